"""Datasets by name: what is split from what, whose statistics are whose, and which images a test may use."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mydl
from mydl import data
from scripts import datasets, predict, test_model, train_model

KINDS = ("none", "scale", "pixel", "channel")


def numbered(root: Path, count: int = 30, start: int = 0, classes: tuple[str, ...] = ("ant", "bee", "cow")) -> Path:
    """A folder of 4×4 images, the number of each in its pixels, the classes in turn."""
    for number in range(start, start + count):
        path = root / classes[number % len(classes)] / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(path)
    return root


def numbers(subset) -> list[int]:
    """The numbers in the images of a part, once it is sure that the labels belong to them."""
    inputs, labels = subset.get_batch(range(len(subset)))
    found = np.rint(inputs.numpy()[:, 0, 0, 0]).astype(int)
    assert labels.tolist() == (found % 3).tolist()
    return found.tolist()


def load(root: Path, **options) -> datasets.Images:
    return datasets.load(f"folder:{root}", None, True, **{"normalize": "none", **options})


def test_names():
    for name in ("digits", "mnist", "fashion", "folder:a/b", "folder:digits"):
        assert datasets.name(name) == name
    for name, error in {"minst": "mnist[?]", "folder:": "wanted one of", "foldr:x": "or folder:PATH", "": "''"}.items():
        with pytest.raises(argparse.ArgumentTypeError, match=error):
            datasets.name(name)
        with pytest.raises((ValueError, OSError)):
            datasets.load(name, None, True)
    assert [datasets.label(name) for name in ("mnist", "folder:/a/b c/", "folder:/")] == ["mnist", "b c", "folder"]


def test_a_folder_is_split_by_the_seed(tmp_path):
    root = numbered(tmp_path / "pets")
    dataset = load(root)
    assert dataset.classes == ["ant", "bee", "cow"] and dataset.input_shape == (3, 4, 4) and dataset.note == ""
    parts = {seed: [numbers(part) for part in datasets.split(load(root, seed=seed))] for seed in (0, 1, 0)}
    for train, val in parts.values():
        assert len(val) == 6 and sorted(train + val) == list(range(30))
    assert parts[0][1] != parts[1][1]
    assert [numbers(part) for part in datasets.split(load(root))] == parts[0]
    train, val = (numbers(part) for part in datasets.split(load(root, limit=10, val_size=3)))
    assert len(train) == 7 and len(val) == 3 and len({n % 3 for n in train + val}) == 3, "not the first class alone"
    with pytest.raises(ValueError, match="30 images, 30 of them to validate on"):
        load(root, val_size=30)


def test_the_statistics_are_those_of_the_images_trained_on(tmp_path):
    root = numbered(tmp_path / "pets")
    dataset = load(root, normalize="channel", seed=3)
    train = np.array(numbers(datasets.split(load(root, seed=3))[0])) / 255
    assert dataset.preparation["mean"] == pytest.approx([train.mean()] * 3, rel=1e-6)
    assert dataset.preparation["deviation"] == pytest.approx([train.std()] * 3, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_is_tested_on_the_images_held_out(tmp_path, kind):
    root = numbered(tmp_path / "pets")
    dataset = load(root, normalize=kind, seed=7, limit=20, grayscale=True)
    preparation = json.loads(json.dumps(dataset.preparation))
    _, val = datasets.split(dataset)
    held_out = datasets.load(f"folder:{root}", None, False, preparation)
    assert "held out for validation" in held_out.note and len(held_out) == 4
    inputs, labels = held_out.get_batch(range(4))
    expected, wanted = val.get_batch(range(4))
    assert np.array_equal(inputs.array, expected.array) and labels.tolist() == wanted.tolist()
    assert held_out.preparation == preparation and held_out.classes == dataset.classes
    again = datasets.load(f"folder:{root}", None, True, preparation)
    assert again.parts == dataset.parts and again.preparation == preparation
    # Elsewhere the same images are the same images; any other cannot be told from those trained on.
    shutil.copytree(root, tmp_path / "moved")
    assert len(datasets.load(f"folder:{tmp_path / 'moved'}", None, False, preparation)) == 4
    numbered(root, 1, start=30)
    for train in (True, False):
        with pytest.raises(ValueError, match="its images have changed since the run"):
            datasets.load(f"folder:{root}", None, train, preparation)


def test_a_folder_with_images_to_test_on(tmp_path):
    numbered(tmp_path / "pets" / "train")
    numbered(tmp_path / "pets" / "test", 6, start=100, classes=("bee", "cow"))
    dataset = load(tmp_path / "pets")
    train, val = (numbers(part) for part in datasets.split(dataset))
    assert sorted(train + val) == list(range(30))
    test = datasets.load(f"folder:{tmp_path / 'pets'}", None, False, dataset.preparation)
    assert test.note == "" and test.classes == ["ant", "bee", "cow"] and len(test) == 6
    assert test.targets.tolist() == [1, 1, 1, 2, 2, 2], "the run's numbers, not the folder's"
    numbered(tmp_path / "pets" / "test", 1, start=200, classes=("elk",))
    with pytest.raises(ValueError, match=r"test: has the class 'elk'; the run knows ant, bee, cow"):
        datasets.load(f"folder:{tmp_path / 'pets'}", None, False, dataset.preparation)


def test_damaged_images_are_named(tmp_path):
    root = numbered(tmp_path / "pets")
    (root / "bee" / "bad.png").write_text("no")
    with pytest.raises(ValueError, match=r"bad\.png: not a readable image"):
        load(root)
    dataset = load(root, skip_bad=True)
    assert len(dataset) == 30 and "left out: 1" in dataset.note and "bad.png" in dataset.note
    train, val = (numbers(part) for part in datasets.split(dataset))
    assert sorted(train + val) == list(range(30))


def test_the_background_of_a_folder(tmp_path):
    for name, offset, background in (("dark", 0, "dark"), ("light", 220, "light"), ("between", 50, None)):
        root = numbered(tmp_path / name, start=offset)
        assert load(root).preparation["background"] == background


@pytest.mark.parametrize("tampered", [{"split": None}, {"classes": [1]}, {"classes": "abc"}, {"size": "4×4"}])
def test_a_tampered_preparation(tmp_path, tampered):
    root = numbered(tmp_path / "pets")
    with pytest.raises(ValueError, match=r"^preparation: wanted "):
        datasets.load(f"folder:{root}", None, False, load(root).preparation | tampered)


def test_mnist_is_normalised_by_its_whole_training_set(data_dir):
    pixels = data.MNIST(data_dir).data.numpy() / 255
    dataset = datasets.load("mnist", str(data_dir), True, seed=4)
    assert dataset.preparation["mean"] == pytest.approx([pixels.mean()]) and dataset.input_shape == (1, 28, 28)
    assert dataset.preparation["deviation"] == pytest.approx([pixels.std()])
    train, val = datasets.split(dataset)
    reference = data.random_split(range(240), [200, 40], seed=4)
    assert [part.indices for part in (train, val)] == [part.indices for part in reference]
    test = datasets.load("mnist", str(data_dir), False, dataset.preparation)
    expected = (data.MNIST(data_dir, train=False).data.numpy()[:, None] / 255 - pixels.mean()) / pixels.std()
    np.testing.assert_allclose(test.get_batch(range(60))[0].array, expected, atol=1e-5)


def test_other_sizes(data_dir):
    expected = data.transforms.Resize((14, 20))(data.MNIST(data_dir).data.numpy())
    dataset = datasets.load("mnist", str(data_dir), True, image_size=[14, 20], normalize="pixel")
    assert dataset.input_shape == (1, 14, 20) and np.array_equal(dataset.data.numpy(), expected)
    test = datasets.load("mnist", str(data_dir), False, json.loads(json.dumps(dataset.preparation)))
    assert test[0][0].shape == (1, 14, 20)
    assert datasets.load("mnist", str(data_dir), True, image_size=[32]).input_shape == (1, 32, 32)
    for size in (0, [1, 2, 3], [-1, 5], 1 << 20):
        with pytest.raises(ValueError, match="image size: wanted a side"):
            datasets.load("mnist", str(data_dir), True, image_size=size)
    with pytest.raises(ValueError, match="mnist: has grey images; the run wants 3 channels"):
        datasets.load("mnist", str(data_dir), False, dataset.preparation | {"channels": 3, "normalize": "scale"})


def test_a_run_on_a_folder(tmp_path, capsys):
    """Trained with augmentation, interrupted and resumed, tested and asked: through the programs."""
    digits = data.SyntheticDigits(size=60)
    for number, (image, label) in enumerate(digits):
        path = tmp_path / "digits" / str(label) / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    flags = ["--data", f"folder:{tmp_path / 'digits'}", "--hidden", "16", "--batch-size", "16", "--threads", "1"]
    flags += ["--grayscale", "--normalize", "pixel", "--augment", "0.5", "--augmentations", "rotation=10", "elastic"]
    train_model.main([*flags, "--epochs", "2", "--out", str(tmp_path / "whole")])
    train_model.main([*flags, "--epochs", "1", "--out", str(tmp_path / "run")])
    train_model.main([*flags, "--epochs", "2", "--out", str(tmp_path / "run"), "--resume"])
    weights = [mydl.load(tmp_path / run / "last.safetensors") for run in ("whole", "run")]
    assert all(np.array_equal(tensor.array, weights[1][name].array) for name, tensor in weights[0].items())
    capsys.readouterr()
    test_model.main([str(tmp_path / "run"), "--weights", "last"])
    assert "held out for validation" in capsys.readouterr().out
    tested = json.loads((tmp_path / "run" / "test.json").read_text())
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()
    last = dict(zip(history[0].split(","), history[-1].split(","), strict=True))
    assert tested["accuracy"] == pytest.approx(float(last["val_accuracy"]), abs=1e-6)
    image = next((tmp_path / "digits" / "3").iterdir())
    predict.main([str(tmp_path / "run"), str(image), "--no-figures"])
    assert len(capsys.readouterr().out.splitlines()) == 12
