from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import models
import mydl
from mydl import data
from scripts import test_model, train_model


@pytest.fixture(scope="module")
def tested(finished, tmp_path_factory) -> Path:
    """The finished run, tested."""
    folder = tmp_path_factory.mktemp("tested") / "run"
    folder.mkdir()
    for path in finished.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    test_model.main([str(folder), "--threads", "1"])
    return folder


def test_test_json_is_what_numpy_says_of_the_weights(tested):
    config = json.loads((tested / "config.json").read_text())
    images = data.SyntheticDigits(train=False)
    (mean,), (deviation,) = config["data"]["preparation"]["mean"], config["data"]["preparation"]["deviation"]
    x = (images.data.numpy().reshape(2000, 784) / 255 - mean) / deviation
    labels = images.targets.numpy()
    state = mydl.load(tested / "best.safetensors")
    (w1, b1), (w2, b2) = (
        (state[f"layers.{i}.weight"].numpy().astype(np.float64), state[f"layers.{i}.bias"].numpy()) for i in (1, 3)
    )
    logits = np.maximum(x @ w1.T + b1, 0) @ w2.T + b2
    called = logits.argmax(1)

    found = json.loads((tested / "test.json").read_text())
    assert found.keys() == {"loss", "accuracy", "per_class"}
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(2000), labels]
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert found["accuracy"] == pytest.approx((called == labels).mean(), abs=1.1 / 2000)
    assert list(found["per_class"]) == list("0123456789")
    for name, row in found["per_class"].items():
        of_class, called_so = labels == int(name), called == int(name)
        assert row["images"] == of_class.sum()
        assert row["recall"] == pytest.approx((called == labels)[of_class].mean(), abs=0.01)
        assert row["precision"] == pytest.approx((called == labels)[called_so].mean(), abs=0.01)


def test_the_confusion_matrix_is_a_picture(tested):
    with Image.open(tested / "confusion.png") as picture:
        picture.load()
        assert picture.format == "PNG" and picture.width >= 400


def test_what_it_prints(tested, capsys):
    found = json.loads((tested / "test.json").read_text())
    test_model.main([str(tested)])
    first, second, header, *rows, last = capsys.readouterr().out.splitlines()
    assert first == "mlp on 2,000 test images of digits"
    assert second == f"loss {found['loss']:.4f}  accuracy {found['accuracy']:.4f}"
    assert header.split() == ["class", "images", "recall", "precision"]
    assert [row.split() for row in rows] == [
        [name, str(row["images"]), f"{row['recall']:.4f}", f"{row['precision']:.4f}"]
        for name, row in found["per_class"].items()
    ]
    assert last == f"written: {tested / 'test.json'}, {tested / 'confusion.png'}"


def test_batches_and_weights(run_copy, tested, capsys):
    """Batches of another size add up to the same; the last weights are not the best ones."""
    test_model.main([str(run_copy), "--batch-size", "77"])
    wanted, found = (json.loads((run / "test.json").read_text()) for run in (tested, run_copy))
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-6)
    assert found["accuracy"] == pytest.approx(wanted["accuracy"], abs=1.1 / 2000)
    path = run_copy / "last.safetensors"
    mydl.save({name: tensor * 0 for name, tensor in mydl.load(path).items()}, path, mydl.load_metadata(path))
    test_model.main([str(run_copy), "--weights", "last"])
    found = json.loads((run_copy / "test.json").read_text())
    assert found["loss"] == pytest.approx(np.log(10), rel=1e-6)
    assert found["per_class"]["0"]["recall"] == 1 and found["per_class"]["1"]["precision"] == 0


@pytest.mark.parametrize("model", ["logistic", "resnet"])
def test_other_models_and_the_test_images_of_a_folder(tmp_path, small, data_dir, model):
    run = tmp_path / "run"
    train_model.main([*small, "--model", model, "--out", str(run)])
    test_model.main([str(run), "--data-dir", str(data_dir)])
    found = json.loads((run / "test.json").read_text())
    assert sum(row["images"] for row in found["per_class"].values()) == 60
    right = sum(row["images"] * row["recall"] for row in found["per_class"].values())
    assert found["accuracy"] == pytest.approx(right / 60)


# What it refuses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("", "the following arguments are required: RUN"),
        ("a b", "unrecognized arguments: b"),
        ("a --weights worst", "--weights: invalid choice"),
        ("a --batch-size 0", "--batch-size: wanted a whole number above 0"),
        ("a --threads x", "--threads: wanted a whole number above 0"),
        ("a --device gpu", "--device: invalid choice"),
        ("a --fast", "unrecognized arguments: --fast"),
        ("a --data-dir", "--data-dir: expected one argument"),
    ],
)
def test_wrong_flags(refused, flags, words):
    line = refused(test_model, *flags.split())
    assert words in line and line.endswith("; see --help")


def test_runs_that_are_none(refused, tmp_path):
    wanted = f"{tmp_path / 'x'}: wanted a run's folder or a file of weights; found no such folder or file"
    assert refused(test_model, tmp_path / "x") == wanted
    wanted = f"{tmp_path}: wanted a run's folder, as train_model makes it; no best.safetensors in it"
    assert refused(test_model, tmp_path) == wanted
    (tmp_path / "file").write_text("")
    assert refused(test_model, tmp_path / "file").startswith(f"cannot load '{tmp_path / 'file'}': found 0 bytes")
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


def test_a_file_of_weights_is_enough(finished, tmp_path):
    """The model and the preparation of the images travel in it."""
    (tmp_path / "mine.safetensors").write_bytes((finished / "best.safetensors").read_bytes())
    test_model.main([str(tmp_path / "mine.safetensors"), "--threads", "1"])
    assert json.loads((tmp_path / "test.json").read_text())["accuracy"] > 0.2


def metadata(**changes) -> dict[str, str]:
    """What a run's weights say of themselves, but for the changes: text, or what JSON makes of the rest."""
    preparation = {"size": [28, 28], "channels": 1, "normalize": "channel", "mean": [0.16], "deviation": [0.27]}
    told = {
        "model": {"name": "mlp", "options": {"classes": 10, "hidden": [32], "dropout": 0.0}},
        "data": {"name": "digits", "preparation": preparation, "classes": list("0123456789")},
    }
    for key, value in changes.items():
        place = next(place for place in (told, told["data"], told["model"], told["model"]["options"], preparation)
                     if key in place or place is told["model"]["options"])  # fmt: skip
        place[key] = value
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in told.items()}


TOLD = {
    "no model": ({"data": metadata()["data"]}, "no model is named in it"),
    "no data": ({"model": metadata()["model"]}, "found None"),
    "no JSON": (metadata(model="{name: mlp}"), "wanted the model's name and options in JSON"),
    "nested deeply": (metadata(data="[" * 100_000), "wanted a description of the data in JSON"),
    "a list": (metadata(model=[]), "wanted the model's name and options, found []"),
    "options in a list": (metadata(options=[10]), "wanted the model's name and options, found"),
    "data in a word": (metadata(data='"digits"'), "found 'digits'"),
    "no classes": (metadata(classes=None), "wanted in its metadata the data's name, preparation and classes"),
    "other classes": (metadata(classes=list("abcdefghij")), "trained on the classes ['a', 'b'"),
    "no deviation": (metadata(deviation=[0.0]), "deviation"),
    "NaN": (metadata(mean=[float("nan")]), "mean"),
    "unknown data": (metadata(data=metadata()["data"].replace("digits", "cifar")), "no dataset 'cifar'"),
    "unknown model": (metadata(model='{"name": "vgg", "options": {}}'), "no model 'vgg'; wanted one of"),
    "unknown option": (metadata(depth=3), "depth"),
    "negative size": (metadata(hidden=[-5]), "-5"),
    "no size": (metadata(hidden=[0]), "0"),
    "broken size": (metadata(hidden=[1.5]), "1.5"),
    "size in words": (metadata(hidden="ab"), "a"),
    "nested sizes": (metadata(hidden=[[32]]), "[32]"),
    "no sizes": (metadata(hidden=None), "None"),
    "true": (metadata(hidden=[True]), "True"),
    "size of petabytes": (metadata(hidden=[10**13]), "too large for the 25,450 weights of the file"),
    "size beyond all": (metadata(hidden=[10**30]), "cannot build mlp with {"),
    "sizes that multiply": (metadata(in_features=10**5, hidden=[10**5]), "too large for the 25,450 weights"),
    "much dropout": (metadata(dropout=2), "2"),
    "wordy dropout": (metadata(dropout="much"), "much"),
    "nine classes": (metadata(model=metadata()["model"].replace("10", "9")), "the state does not fit MLP"),
    "other sizes": (metadata(hidden=[33]), "the state does not fit MLP"),
    "other depth": (metadata(hidden=[32, 32]), "missing keys: layers.5.weight, layers.5.bias"),
    "another model": (metadata(model='{"name": "resnet", "options": {}}'), "does not fit ResNet"),
}


@pytest.mark.parametrize("what", TOLD)
def test_weights_that_say_something_else(refused, run_copy, what):
    told, words = TOLD[what]
    path = run_copy / "best.safetensors"
    mydl.save(mydl.load(path), path, told)
    before = {path.name for path in run_copy.iterdir()}
    line = refused(test_model, run_copy)
    assert words in line
    assert what == "unknown data" or str(path) in line or "preparation" in line
    assert {path.name for path in run_copy.iterdir()} == before


def _foreign_numbers(path: Path) -> None:
    state = mydl.load(path)
    state["layers.1.weight"] *= float("nan")
    mydl.save(state, path, mydl.load_metadata(path))


def _nine_outputs(path: Path) -> None:
    models.save(models.build("mlp", classes=9, hidden=[32]), path, mydl.load_metadata(path))


def _without(path: Path, name: str) -> None:
    state, metadata = mydl.load(path), mydl.load_metadata(path)
    del state[name]
    mydl.save(state, path, metadata)


WEIGHTS = {
    "no best.safetensors in it": Path.unlink,
    "wanted a complete one in the format of safetensors": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "found 0 bytes": lambda path: path.write_bytes(b""),
    "found 40 bytes": lambda path: path.write_bytes(b"\x80\x04\x95" + b"pickle" * 6 + b"."),
    "found a folder or device": lambda path: (path.unlink(), path.mkdir()),
    "the state does not fit MLP": lambda path: mydl.save(
        models.build("resnet").state_dict(), path, mydl.load_metadata(path)
    ),
    "missing keys: layers.1.weight": lambda path: _without(path, "layers.1.weight"),
    "1 layers are too many for the 0 tensors": lambda path: mydl.save({}, path, mydl.load_metadata(path)),
    "give a loss of nan, not a finite one": _foreign_numbers,
    "wanted outputs (N, 10) for 10 classes, got (1000, 9)": _nine_outputs,
}


@pytest.mark.parametrize("words", WEIGHTS)
def test_damaged_weights(refused, run_copy, words):
    WEIGHTS[words](run_copy / "best.safetensors")
    assert words in refused(test_model, run_copy)
    assert not (run_copy / "test.json").exists() and not (run_copy / "confusion.png").exists()


def test_results_that_cannot_be_written(refused, run_copy):
    (run_copy / "test.json").mkdir()
    line = refused(test_model, run_copy)
    assert line.startswith(f"{run_copy / 'test.json'}: cannot write: ")
    assert not any(path.name.endswith(".tmp") for path in run_copy.iterdir())


def test_data_that_are_not_there(refused, tmp_path, small, data_dir):
    train_model.main([*small, "--model", "logistic", "--out", str(tmp_path / "run")])
    line = refused(test_model, tmp_path / "run", "--data-dir", tmp_path / "nowhere")
    assert line == f"{tmp_path / 'nowhere'}: no such folder to look for MNIST in"
