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
    mean, deviation = config["data"]["statistics"]
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
    state = mydl.load(run_copy / "last.safetensors")
    mydl.save({name: tensor * 0 for name, tensor in state.items()}, run_copy / "last.safetensors")
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
    wanted = "wanted a run's folder, as train_model makes it; found"
    assert refused(test_model, tmp_path / "x") == f"{tmp_path / 'x'}: {wanted} no such folder"
    assert refused(test_model, tmp_path) == f"{tmp_path}: {wanted} no config.json in it"
    (tmp_path / "file").write_text("")
    assert refused(test_model, tmp_path / "file").startswith(f"{tmp_path / 'file'}: {wanted}")
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


MODEL = {"name": "mlp", "options": {"classes": 10, "hidden": [32], "dropout": 0.0}}
DATA = {"name": "digits", "statistics": [0.16, 0.27], "classes": list("0123456789")}


def with_options(**changes) -> dict:
    return {"model": {"name": "mlp", "options": MODEL["options"] | changes}, "data": DATA}


CONFIGS = {
    "empty": (b"", "wanted a run's settings in JSON"),
    "no JSON": (b"{model: mlp}", "wanted a run's settings in JSON"),
    "cut short": (json.dumps({"model": MODEL, "data": DATA}).encode()[:-9], "wanted a run's settings in JSON"),
    "no UTF-8": (b"\xff\xfe\x00", "wanted a run's settings in JSON"),
    "nested deeply": (b"[" * 100_000, "wanted a run's settings in JSON"),
    "a list": ([], "found something else"),
    "no data": ({"model": MODEL}, "found something else"),
    "no model": ({"data": DATA}, "found something else"),
    "a model that is a word": ({"model": "mlp", "data": DATA}, "found something else"),
    "options in a list": ({"model": MODEL | {"options": [10]}, "data": DATA}, "found something else"),
    "no statistics": ({"model": MODEL, "data": {"name": "digits"}}, "found something else"),
    "one statistic": ({"model": MODEL, "data": DATA | {"statistics": [0.1]}}, "found something else"),
    "words for statistics": (
        {"model": MODEL, "data": DATA | {"statistics": ["a", "b"]}},
        "found something else",
    ),
    "no deviation": ({"model": MODEL, "data": DATA | {"statistics": [0.1, 0.0]}}, "found something else"),
    "NaN": ({"model": MODEL, "data": DATA | {"statistics": [float("nan"), 1.0]}}, "found something else"),
    "unknown data": ({"model": MODEL, "data": DATA | {"name": "cifar"}}, "no dataset 'cifar'"),
    "unknown model": ({"model": MODEL | {"name": "vgg"}, "data": DATA}, "no model 'vgg'; wanted one of"),
    "unknown option": (with_options(depth=3), "depth"),
    "two names": (with_options(name="resnet"), "name"),
    "negative size": (with_options(hidden=[-5]), "-5"),
    "no size": (with_options(hidden=[0]), "0"),
    "broken size": (with_options(hidden=[1.5]), "1.5"),
    "size in words": (with_options(hidden="ab"), "a"),
    "nested sizes": (with_options(hidden=[[32]]), "[32]"),
    "no sizes": (with_options(hidden=None), "None"),
    "true": (with_options(hidden=[True]), "True"),
    "size of petabytes": (with_options(hidden=[10**13]), "[10000000000000]"),
    "size beyond all": (with_options(hidden=[10**30]), "cannot build mlp with {"),
    "much dropout": (with_options(dropout=2), "2"),
    "wordy dropout": (with_options(dropout="much"), "much"),
    "nine classes": (with_options(classes=9), "the state does not fit MLP"),
    "negative classes": (with_options(classes=-1), "-1"),
    "other sizes": (with_options(hidden=[33]), "the state does not fit MLP"),
    "other depth": (with_options(hidden=[32, 32]), "missing keys: layers.5.weight, layers.5.bias"),
    "another model": ({"model": {"name": "resnet", "options": {}}, "data": DATA}, "does not fit ResNet"),
}


@pytest.mark.parametrize("what", CONFIGS)
def test_damaged_configs(refused, run_copy, what):
    content, words = CONFIGS[what]
    path = run_copy / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    before = {path.name for path in run_copy.iterdir()}
    line = refused(test_model, run_copy)
    assert words in line
    assert what == "unknown data" or line.startswith(str(run_copy))
    assert {path.name for path in run_copy.iterdir()} == before


def _foreign_numbers(path: Path) -> None:
    state = mydl.load(path)
    mydl.save({**state, "layers.1.weight": state["layers.1.weight"] * float("nan")}, path)


def _nine_outputs(path: Path) -> None:
    config = json.loads(path.with_name("config.json").read_text())
    config["model"] = {"name": "mlp", "options": {"classes": 9, "hidden": [32]}}
    path.with_name("config.json").write_text(json.dumps(config))
    mydl.save(models.build("mlp", classes=9, hidden=[32]).state_dict(), path)


WEIGHTS = {
    "No such file or directory": Path.unlink,
    "wanted a complete .safetensors file": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "found 0 bytes": lambda path: path.write_bytes(b""),
    "found 40 bytes": lambda path: path.write_bytes(b"\x80\x04\x95" + b"pickle" * 6 + b"."),
    "found a folder or device": lambda path: (path.unlink(), path.mkdir()),
    "the state does not fit MLP": lambda path: mydl.save(models.build("resnet").state_dict(), path),
    "missing keys: layers.1.weight": lambda path: mydl.save({}, path),
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
