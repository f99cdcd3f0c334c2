"""predict: a picture of any kind becomes what the model knows, and what it says comes out right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import models
import mydl
from mydl import data
from scripts import datasets, predict
from scripts.pictures import read_picture
from scripts.predict import LAYOUTS, as_trained
from scripts.preparation import Preparation
from scripts.runs import open_run

DIGITS = data.SyntheticDigits(train=False, size=40)
PIXELS = DIGITS.data.numpy()


def framed(image: np.ndarray, side: int, size: tuple[int, int], corner: tuple[int, int]) -> np.ndarray:
    """A digit as a picture: its middle 22 pixels `side` wide, at `corner` of a black picture of `size`."""
    digit = Image.fromarray(np.where(image > 60, image, 0)[3:25, 3:25]).resize((side, side), Image.Resampling.BICUBIC)
    picture = np.zeros(size, np.uint8)
    picture[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = np.asarray(digit)
    return picture


@pytest.fixture
def pictures(tmp_path):
    """Saves arrays as pictures in a folder; returns their paths as text."""

    def save(*arrays: np.ndarray, name: str = "{}.png") -> list[str]:
        paths = [tmp_path / name.format(number) for number in range(len(arrays))]
        for path, array in zip(paths, arrays, strict=True):
            Image.fromarray(array).save(path)
        return [str(path) for path in paths]

    return save


def answers(capsys, *arguments: object) -> list[dict]:
    capsys.readouterr()
    predict.main([str(argument) for argument in (*arguments, "--json", "--threads", "1")])
    return json.loads(capsys.readouterr().out)


def test_size_and_place_of_the_digit_do_not_matter():
    layout = LAYOUTS["mnist"]
    for image in PIXELS[:10]:
        reference, _ = as_trained(framed(image, 88, (130, 130), (20, 20)), layout)
        seen = reference.astype(float)
        rows, columns = np.flatnonzero((seen > 100).any(axis=1)), np.flatnonzero((seen > 100).any(axis=0))
        assert 18 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21 and seen.max() > 200
        place = np.arange(28) + 0.5
        assert abs(seen.sum(axis=1) @ place / seen.sum() - 14) < 0.25
        assert abs(seen.sum(axis=0) @ place / seen.sum() - 14) < 0.25
        for side, size, corner in ((88, (400, 100), (300, 7)), (176, (200, 300), (20, 111)), (41, (43, 57), (1, 15))):
            picture = framed(image, side, size, corner)
            for each, inverted in ((picture, False), (255 - picture, True), (picture // 2 + 40, False)):
                result, was_inverted = as_trained(each, layout)
                assert was_inverted == inverted and np.abs(result.astype(float) - reference).mean() < 2


def test_clothes_fill_the_image():
    picture = np.full((300, 500), 240, np.uint8)
    picture[100:150, 80:380] = 30
    image, inverted = as_trained(picture, LAYOUTS["fashion"])
    assert inverted and (image[12:16] > 200).all() and not image[:11].any() and not image[17:].any()


def test_an_image_of_the_right_size_is_taken_as_it_is():
    assert as_trained(PIXELS[0], LAYOUTS["mnist"])[1] is False
    assert np.array_equal(as_trained(PIXELS[0], LAYOUTS["mnist"])[0], PIXELS[0])
    assert np.array_equal(as_trained(255 - PIXELS[0], LAYOUTS["mnist"])[0], PIXELS[0])
    assert np.array_equal(as_trained(PIXELS[0], LAYOUTS["mnist"], "yes")[0], 255 - PIXELS[0])
    light = framed(PIXELS[0], 40, (60, 60), (10, 10)) // 2 + 100  # of grey paper, which auto takes for black
    assert as_trained(light, LAYOUTS["mnist"])[1] is False
    with pytest.raises(ValueError, match="clearly darker than its border"):
        as_trained(light, LAYOUTS["mnist"], "yes")


def test_probabilities_are_those_of_the_test_set(finished, pictures, capsys):
    """Pictures of the test images give what the model says of the dataset, inverted and transparent ones too."""
    run = open_run(finished)
    images, _ = datasets.load("digits", None, False, run.data["preparation"]).get_batch(range(40))
    run.model.eval()
    with mydl.no_grad():
        expected = mydl.softmax(run.model(images), 1).numpy()
    transparent = np.zeros((40, 28, 28, 4), np.uint8)
    transparent[..., 3] = PIXELS  # black ink, as thick as the digit is bright
    for arrays, inverted in ((PIXELS, False), (255 - PIXELS, True), (transparent, True)):
        found = answers(capsys, finished, *pictures(*arrays), "--no-figures")
        shares = np.array([list(answer["probabilities"].values()) for answer in found])
        np.testing.assert_allclose(shares, expected, atol=1e-5)
        assert [answer["inverted"] for answer in found] == [inverted] * 40
        assert [answer["class"] for answer in found] == [str(digit) for digit in expected.argmax(1)]
        assert [answer["probability"] for answer in found] == [max(a["probabilities"].values()) for a in found]
        assert all("figure" not in answer for answer in found)


def test_what_cannot_be_drawn_is_told_all_the_same(run_copy, pictures, capsys):
    (one,) = pictures(PIXELS[0])
    (run_copy / "figs").write_text("no folder")
    with pytest.raises(OSError, match="figs"):
        predict.main([str(run_copy), one])
    assert capsys.readouterr().out.splitlines()[1].split() == ["class", "probability"]


def test_table_and_figures(run_copy, pictures, tmp_path, capsys):
    (one,) = pictures(PIXELS[0])
    predict.main([str(run_copy), one])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["class", "probability"] and len(lines) == 13
    assert sum(float(line.split()[1]) for line in lines[2:12]) == pytest.approx(1, abs=1e-3)
    figure = run_copy / "figs" / "predict" / "0.png"
    assert lines[-1] == f"written: {figure}"
    with Image.open(figure) as drawn:
        assert drawn.format == "PNG" and drawn.width > 400
    (tmp_path / "other").mkdir()
    Image.fromarray(PIXELS[1]).save(tmp_path / "other" / "0.jpg")
    paths = [one, str(tmp_path / "other" / "0.jpg"), one]
    predict.main([str(run_copy), *paths, "--out", str(tmp_path / "new" / "figures"), "--weights", "last"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["image", *paths, "written:"]
    assert sorted(path.name for path in (tmp_path / "new" / "figures").iterdir()) == ["0-2.png", "0-3.png", "0.png"]


def test_a_folders_run(tmp_path, pictures, capsys):
    """Pictures are read as the folder's images were; inverted if those were dark at the border and these are light."""
    root = tmp_path / "images"
    for number, image in enumerate(PIXELS[:20]):
        path = root / str(number % 2) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.stack([image, image // 2, image // 3], axis=2)).save(path)
    dataset = datasets.load(f"folder:{root}", None, True, image_size=(14, 20), normalize="scale")
    about = {"name": f"folder:{root}", "preparation": dataset.preparation, "classes": dataset.classes}
    model = models.build("logistic", in_features=3 * 14 * 20, classes=2)
    models.save(model, tmp_path / "weights.safetensors", {"data": json.dumps(about)})
    with mydl.no_grad():
        expected = mydl.softmax(model(dataset.get_batch(range(20))[0]), 1).numpy()
    order = sorted(range(20), key=lambda n: (n % 2, str(n)))
    paths = [str(root / str(n % 2) / f"{n}.png") for n in order]
    found = answers(capsys, tmp_path / "weights.safetensors", *paths, "--no-figures")
    np.testing.assert_allclose([list(a["probabilities"].values()) for a in found], expected, atol=1e-5)
    assert [a["inverted"] for a in found] == [False] * 20
    (first,) = answers(capsys, tmp_path / "weights.safetensors", paths[0])
    assert Path(first["figure"]) == tmp_path / "figs" / "predict" / "0.png" and Path(first["figure"]).exists()
    inverted = pictures(*(255 - read_picture(path, 3) for path in paths))
    found = answers(capsys, tmp_path / "weights.safetensors", *inverted, "--no-figures")
    np.testing.assert_allclose([list(a["probabilities"].values()) for a in found], expected, atol=0.01)
    assert [a["inverted"] for a in found] == [True] * 20


def test_without_a_run(finished, pictures, capsys, monkeypatch, tmp_path, refused):
    paths = pictures(*PIXELS[:3])
    # The committed ResNet is there; without it, and with no run named, there is nothing to ask.
    assert len(answers(capsys, *paths, "--no-figures")) == 3
    monkeypatch.setattr(predict, "DEFAULT", tmp_path / "absent.safetensors")
    assert (
        refused(predict, *paths)
        == f"RUN: wanted a run's folder before the pictures, got the picture '{paths[0]}'; see --help"
    )
    expected = answers(capsys, finished, *paths, "--no-figures")
    monkeypatch.setattr(predict, "DEFAULT", finished / "best.safetensors")
    assert answers(capsys, *paths, "--no-figures") == expected
    monkeypatch.chdir(tmp_path)
    assert answers(capsys, paths[0])[0]["figure"] == str(Path("results/predict/0.png"))


def test_what_is_there_decides_what_is_a_picture(finished, pictures, capsys, monkeypatch, tmp_path, refused):
    """Not the suffix: a GIF, which is not read, and a file without one are pictures; a folder with one is a run."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PIXELS[0]).save("nameless", "PNG")
    Image.fromarray(PIXELS[0]).save("digit.gif")
    (tmp_path / "run.png").symlink_to(finished)
    (named,) = pictures(PIXELS[0])
    assert answers(capsys, "nameless", "--no-figures")[0]["class"] == answers(capsys, named, "--no-figures")[0]["class"]
    assert refused(predict, "digit.gif").startswith("digit.gif: not a readable image (none of JPEG, PNG")
    assert refused(predict, "absent.jpg") == "absent.jpg: No such file or directory"
    flags = ["nameless", "--no-figures"]
    assert answers(capsys, "run.png", *flags) == answers(capsys, finished, *flags)
    # Flags may stand anywhere.
    assert len(answers(capsys, finished, "--no-figures", named, "--weights", "last", named)) == 2


def test_what_is_refused(finished, pictures, refused, tmp_path):
    good, blank = pictures(PIXELS[0], np.full((50, 40), 200, np.uint8))
    text = tmp_path / "text.png"
    text.write_text("no picture")
    for run, found in (([finished], f"the run '{finished}' alone"), ([], "nothing")):
        assert refused(predict, *run) == f"IMAGE: wanted one picture file at least, found {found}; see --help"
    for run in ([], [finished / "best.safetensors"]):  # one file of weights, where there is nothing to choose
        line = refused(predict, *run, good, "--weights", "last")
        assert line.startswith("--weights last: wanted a run's folder to choose in; ")
    assert "text.png: not a readable image (none of JPEG, PNG" in refused(predict, finished, good, text)
    assert refused(predict, finished, blank).startswith(f"{blank}: nothing in the picture is clearly darker")
    assert "absent.png: No such file" in refused(predict, finished, tmp_path / "absent.png")
    assert "a folder or device" in refused(predict, finished, tmp_path)
    assert "wanted a run's folder" in refused(predict, tmp_path / "no-run", good)
    model = models.build("mlp", hidden=(8,), classes=7)
    about = open_run(finished).data
    models.save(model, tmp_path / "other.safetensors", {"data": json.dumps(about)})
    assert "wanted outputs (N, 10) for 10 classes, got (1, 7)" in refused(predict, tmp_path / "other.safetensors", good)
    model = models.build("mlp", hidden=(8,))
    model.layers[1].bias.data[...] = np.nan
    models.save(model, tmp_path / "nan.safetensors", {"data": json.dumps(about)})
    assert "outputs are not finite" in refused(predict, tmp_path / "nan.safetensors", good)
    assert not (finished / "figs").exists(), "nothing is drawn before everything is read"


def test_transparent_pictures_for_a_folders_run(pictures):
    """Trained on bright on dark, the model gets to see ink of either colour so; on anything else, paper is white."""
    drawing = np.zeros((2, 30, 20, 4), np.uint8)
    drawing[:, 10:20, 5:15, 3] = 255
    drawing[1, :, :, :3] = 255
    dark_ink, light_ink = pictures(*drawing)
    seen = np.zeros((30, 20), np.uint8)
    seen[10:20, 5:15] = 255
    prepare = Preparation((30, 20), 1, "scale")
    for background, expected in (("dark", [seen, seen]), ("light", [255 - seen, 255 | seen])):
        data = {"name": "folder:x", "preparation": {"background": background}}
        for path, wanted in zip((dark_ink, light_ink), expected, strict=True):
            assert np.array_equal(predict.read_image(path, data, prepare, "auto")[0], wanted)


def test_a_long_strip_takes_no_square_of_its_length():
    """A digit in 60,000 rows: the square around a strip of that length would have 28 GB."""
    strip = np.full((60_000, 120), 255, np.uint8)
    strip[9000:51_000, 40:80] = 0
    image, inverted = as_trained(strip, LAYOUTS["mnist"])
    assert inverted and np.flatnonzero(image.any(axis=1))[[0, -1]].tolist() == [4, 23]
