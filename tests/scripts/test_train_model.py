from __future__ import annotations

import csv
import json
import math
import resource
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import models
import mydl
from mydl.history import History
from scripts import datasets, train_model
from scripts.settings import LEARNING_RATES

COLUMNS = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
FILES = {"config.json", "history.csv", "checkpoint.safetensors", "best.safetensors", "last.safetensors", "training.png"}


def contents(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def train(out: Path, *flags: object) -> History:
    train_model.main([*map(str, flags), "--out", str(out)])
    return History.read(out / "history.csv")


# What a run leaves ------------------------------------------------------------------------------------------


def test_the_run_folder(finished):
    assert contents(finished) == FILES
    config = json.loads((finished / "config.json").read_text())
    options = {"classes": 10, "in_features": 784, "hidden": [32], "dropout": 0.0}
    options |= {"activation": "relu", "batch_norm": False, "init": "xavier"}
    assert config["model"] == {"name": "mlp", "options": options}
    assert config["data"]["name"] == "digits" and config["data"]["classes"] == list("0123456789")
    assert config["settings"]["epochs"] == 2 and config["settings"]["lr"] == 0.001
    with Image.open(finished / "training.png") as picture:
        picture.load()
        assert picture.format == "PNG" and picture.width >= 600


def test_the_history(finished):
    with open(finished / "history.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == COLUMNS and [row[0] for row in rows[1:]] == ["1", "2"]
    for row in History.read(finished / "history.csv"):
        assert 0 <= row["train_accuracy"] <= 1 and 0 <= row["val_accuracy"] <= 1
        assert row["train_loss"] > 0 and row["val_loss"] > 0 and row["seconds"] > 0 and row["lr"] == 0.001


@pytest.mark.parametrize("name", ["best", "last"])
def test_the_weights_are_a_state_dict_with_the_model_and_its_data_as_metadata(finished, name):
    path = finished / f"{name}.safetensors"
    config = json.loads((finished / "config.json").read_text())
    metadata = {key: json.loads(text) for key, text in mydl.load_metadata(path).items()}
    history = History.read(finished / "history.csv")
    row = history.best("val_accuracy", "max") if name == "best" else history.rows[-1]
    result = {key: row[key] for key in ("epoch", "val_accuracy", "val_loss")}
    assert metadata == {"model": config["model"], "data": config["data"], "result": result}
    state = mydl.load(path)
    model = models.build("mlp", hidden=[32])
    assert state.keys() == model.state_dict().keys()
    assert model.load_state_dict(state) == ([], [])


def losses_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]


def test_an_epoch_again_in_numpy(tmp_path, small, data_dir):
    """Split, first weights and order are the seed's; the steps, the history and the weights as NumPy has them."""
    flags = [*small, "--model", "logistic", "--optimizer", "sgd", "--lr", "0.05", "--seed", "3"]
    row = train(tmp_path / "run", *flags).rows[0]
    images = datasets.load("mnist", str(data_dir), train=True)
    pixels = images.data.numpy().reshape(240, 784) / 255
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (mean,), (deviation,) = config["data"]["preparation"]["mean"], config["data"]["preparation"]["deviation"]
    assert (mean, deviation) == pytest.approx((pixels.mean(), pixels.std()), rel=1e-6)
    x, labels = (pixels - mean) / deviation, images.targets.numpy()
    used, validation = mydl.data.random_split(range(240), [200, 40], seed=3)
    assert not set(used) & set(validation) and len(set(used) | set(validation)) == 240

    mydl.manual_seed(3)
    weight, bias = (p.detach().numpy().astype(np.float64) for p in models.build("logistic").parameters())
    loss = right = 0.0
    for batch in mydl.data.DataLoader(used, 40, shuffle=True, seed=3):
        i = batch.numpy()
        logits = x[i] @ weight.T + bias
        loss += losses_of(logits, labels[i]).sum()
        right += (logits.argmax(1) == labels[i]).sum()
        slope = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(10)[labels[i]]) / 40
        weight, bias = weight - 0.05 * slope.T @ x[i], bias - 0.05 * slope.sum(0)
    assert row["train_loss"] == pytest.approx(loss / 200, rel=1e-5)
    assert row["train_accuracy"] == right / 200
    state = mydl.load(tmp_path / "run" / "last.safetensors")
    np.testing.assert_allclose(state["linear.weight"].numpy(), weight, atol=1e-5)
    np.testing.assert_allclose(state["linear.bias"].numpy(), bias, atol=1e-5)
    logits, labels = x[list(validation)] @ weight.T + bias, labels[list(validation)]
    assert row["val_loss"] == pytest.approx(losses_of(logits, labels).mean(), rel=1e-5)
    assert row["val_accuracy"] == (logits.argmax(1) == labels).mean()


def test_best_is_the_first_epoch_of_the_highest_validation_accuracy(tmp_path, small):
    """A run that stops after that epoch ends with those weights. The rate is high, so that accuracy jumps."""
    flags = [*small, "--hidden", 16, "--optimizer", "sgd", "--lr", "0.5"]
    for seed in range(20):
        history = train(tmp_path / "all", *flags, "--seed", seed, "--epochs", 5)
        best = history.best("val_accuracy", "max")["epoch"]
        if best < 5:
            break
    assert best < 5, "the last epoch was the best with every seed, which does not tell best from last"
    train(tmp_path / "part", *flags, "--seed", seed, "--epochs", best)
    wanted, found, last = (
        (tmp_path / name).read_bytes()
        for name in ("part/last.safetensors", "all/best.safetensors", "all/last.safetensors")
    )
    assert found == wanted != last


def test_best_is_the_first_of_equals(tmp_path, small):
    """A rate that changes the weights a little and the accuracy not at all."""
    flags = [*small, "--model", "logistic", "--optimizer", "sgd", "--lr", "1e-6", "--epochs"]
    assert len(set(train(tmp_path / "three", *flags, 3)["val_accuracy"])) == 1
    train(tmp_path / "one", *flags, 1)
    wanted, found, last = (
        (tmp_path / name).read_bytes()
        for name in ("one/last.safetensors", "three/best.safetensors", "three/last.safetensors")
    )
    assert found == wanted != last


def test_figures_of_the_test_images_go_with_the_weights_that_they_are_of(tmp_path, small):
    run, names = tmp_path / "run", ("test.json", "confusion.png")
    train_model.main([*small, "--out", str(run)])
    for name in names:
        (run / name).write_bytes(b"of the first epoch")
    before = (run / "best.safetensors").read_bytes()
    train_model.main(["--resume", "--epochs", "1", "--out", str(run)])
    assert all((run / name).exists() for name in names), "nothing was trained"
    train_model.main(["--resume", "--epochs", "8", "--out", str(run)])
    assert (run / "best.safetensors").read_bytes() != before
    assert not any((run / name).exists() for name in names)


def test_it_learns(tmp_path):
    """1,500 images and three epochs take the digits to what guessing (0.1) never would."""
    flags = "--hidden 64 --limit 1800 --epochs 4 --batch-size 50 --threads 1"
    history = train(tmp_path / "run", *flags.split())
    assert history["train_loss"] == sorted(history["train_loss"], reverse=True)
    assert history["val_accuracy"][-1] > 0.75


def test_the_same_seed_gives_the_same_run_bit_by_bit_and_another_another(tmp_path, small):
    flags = [*small, "--dropout", "0.3", "--epochs", "2", "--seed"]
    runs = [train(tmp_path / str(i), *flags, seed) for i, seed in enumerate((7, 7, 8))]
    first, second, other = ([{**row, "seconds": 0} for row in history] for history in runs)
    assert first == second != other
    for name in ("best.safetensors", "last.safetensors"):
        first, second, other = ((tmp_path / run / name).read_bytes() for run in "012")
        assert first == second != other


# What the flags do ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw"])
def test_optimizers(tmp_path, small, optimizer):
    history = train(tmp_path / "run", *small, "--epochs", 4, "--optimizer", optimizer, "--weight-decay", 1e-4)
    assert history["lr"][0] == LEARNING_RATES[optimizer]
    assert history["train_loss"][-1] < history["train_loss"][0]


def test_weight_decay(tmp_path, small):
    """AdamW's pulls each weight towards 0 by the factor 1 - lr · decay a step, whatever the gradient."""
    sizes = []
    for decay in (0, 1):
        train(tmp_path / str(decay), *small, "--optimizer", "adamw", "--lr", 0.01, "--weight-decay", decay)
        weight = mydl.load(tmp_path / str(decay) / "last.safetensors")["layers.1.weight"].numpy()
        sizes.append(np.abs(weight).mean())
    assert sizes[1] == pytest.approx(sizes[0] * 0.99**5, rel=0.02)


@pytest.mark.parametrize("model", ["logistic", "mlp", "resnet"])
def test_models(tmp_path, small, model):
    train(tmp_path / "run", *small, "--model", model)
    state = mydl.load(tmp_path / "run" / "last.safetensors")
    options = json.loads((tmp_path / "run" / "config.json").read_text())["model"]["options"]
    assert state.keys() == models.build(model, **options).state_dict().keys()


# With 5 steps an epoch, the learning rates with which 4 epochs begin, as factors of --lr.
SCHEDULES = {
    "none": [1, 1, 1, 1],
    "step --milestones 2 --gamma 0.5": [1, 1, 0.5, 0.5],
    "step --milestones 3 --milestones-in iterations --gamma 0.5": [1, 0.5, 0.5**3, 0.5**5],
    "multistep --milestones 3 1 --gamma 0.5": [1, 0.5, 0.5, 0.25],
    "multistep --milestones 4 6 15 --milestones-in iterations": [1, 0.1, 0.01, 0.001],
    "exponential --gamma 0.5": [1, 0.5, 0.25, 0.125],
    "cosine": [(1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)],
}


@pytest.mark.parametrize("flags", SCHEDULES)
def test_schedulers(tmp_path, small, flags):
    history = train(tmp_path / "run", *small, "--epochs", 4, "--lr", 0.01, "--scheduler", *flags.split())
    assert history["lr"] == pytest.approx([0.01 * factor for factor in SCHEDULES[flags]], rel=1e-9)


def test_onecycle_rises_and_falls(tmp_path, small):
    rates = train(tmp_path / "run", *small, "--epochs", 4, "--lr", 0.01, "--scheduler", "onecycle")["lr"]
    assert rates[0] == pytest.approx(0.01 / 25)
    assert rates[0] < rates[1] > rates[2] > rates[3] and max(rates) <= 0.01


def test_plateau_waits_for_the_validation_loss(tmp_path, small):
    """A rate with which the loss hardly moves: one epoch sets the mark, three are forgiven, a fifth is not."""
    flags = "--epochs 10 --optimizer sgd --lr 1e-7 --scheduler plateau --gamma 0.5 --model logistic"
    history = train(tmp_path / "run", *small, *flags.split())
    assert history["lr"] == pytest.approx([1e-7] * 5 + [0.5e-7] * 4 + [0.25e-7], rel=1e-9)


def test_plateau_leaves_a_run_that_gets_better_alone(tmp_path, small):
    history = train(tmp_path / "run", *small, "--hidden", 16, "--epochs", 8, "--scheduler", "plateau")
    assert history["val_loss"] == sorted(history["val_loss"], reverse=True)
    assert set(history["lr"]) == {0.001}


@pytest.mark.parametrize(
    ("flags", "numbers"),
    [
        ("", "200 images to train on, 40 to validate on"),
        ("--limit 60", "50 images to train on, 10 to validate on"),
        ("--limit 1000", "200 images to train on, 40 to validate on"),
        ("--val-size 100", "140 images to train on, 100 to validate on"),
        ("--limit 60 --val-size 59", "1 images to train on, 59 to validate on"),
    ],
)
def test_limit_and_val_size(tmp_path, small, capsys, flags, numbers):
    train(tmp_path / "run", *small, "--model", "logistic", *flags.split())
    assert numbers in capsys.readouterr().out


def test_threads(tmp_path, small):
    train(tmp_path / "run", *small, "--threads", 2)
    assert mydl.get_num_threads() == 2


def test_an_older_run_is_moved_aside(tmp_path, small, capsys):
    out = tmp_path / "runs" / "mine"
    before = []
    for seed in range(3):
        train(out, *small, "--model", "logistic", "--seed", seed)
        before.append((out / "last.safetensors").read_bytes())
    assert contents(out.parent) == {"mine", "mine.1", "mine.2"}
    found = [(out.parent / name / "last.safetensors").read_bytes() for name in ("mine.1", "mine.2", "mine")]
    assert found == before
    assert f"the run that was in {out} is now in {out}.2" in capsys.readouterr().out


def test_the_default_folder_and_mydl_data(tmp_path, monkeypatch, data_dir):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYDL_DATA", str(data_dir))
    train_model.main(["--data", "mnist", "--model", "logistic", "--epochs", "1"])
    assert contents(tmp_path / "results" / "logistic-mnist") == FILES


# What it refuses --------------------------------------------------------------------------------------------

WRONG_VALUES = [
    ("--model vgg", "--model: invalid choice: 'vgg' (choose from"),
    ("--data cifar", "--data: no dataset 'cifar'; wanted one of"),
    ("--epochs 0", "--epochs: wanted a whole number above 0 (and below 2**31), got '0'"),
    ("--epochs -3", "--epochs: wanted a whole number above 0"),
    ("--epochs 1.5", "got '1.5'"),
    ("--epochs", "--epochs: expected one argument"),
    ("--batch-size 0", "--batch-size: wanted a whole number"),
    ("--batch-size 99999999999999999999999", "below 2**31"),
    ("--lr 0", "--lr: wanted a number above 0, got '0'"),
    ("--lr nan", "--lr: wanted a number above 0, got 'nan'"),
    ("--lr inf", "got 'inf'"),
    ("--lr fast", "got 'fast'"),
    ("--optimizer lion", "--optimizer: invalid choice"),
    ("--weight-decay -1", "--weight-decay: wanted a number of at least 0, got '-1'"),
    ("--hidden", "--hidden: expected at least one argument"),
    ("--hidden 10 0", "--hidden: wanted a whole number"),
    ("--hidden 99999999999999999999999", "--hidden: wanted a whole number"),
    ("--dropout 1", "--dropout: wanted a number of at least 0 and below 1, got '1'"),
    ("--dropout -0.1", "got '-0.1'"),
    ("--scheduler cyclic", "--scheduler: invalid choice"),
    ("--milestones 0", "--milestones: wanted"),
    ("--milestones-in hours", "--milestones-in: invalid choice"),
    ("--gamma 0", "--gamma: wanted a number above 0"),
    ("--val-size 0", "--val-size: wanted"),
    ("--limit none", "--limit: wanted"),
    ("--seed -1", "--seed: wanted a whole number from 0 to 2**64 - 1, got '-1'"),
    ("--seed 18446744073709551616", "--seed: wanted"),
    ("--threads 0", "--threads: wanted"),
    ("--threads 99999999999", "--threads: wanted"),
    ("--device tpu", "--device: invalid choice"),
    ("--colour red", "unrecognized arguments: --colour red"),
    ("--epoch 3", "unrecognized arguments: --epoch 3"),
    ("mnist", "unrecognized arguments: mnist"),
]


@pytest.mark.parametrize(("flags", "words"), WRONG_VALUES, ids=[flags for flags, _ in WRONG_VALUES])
def test_wrong_flags(refused, tmp_path, monkeypatch, flags, words):
    monkeypatch.chdir(tmp_path)
    line = refused(train_model, *flags.split())
    assert words in line and line.endswith("; see --help")
    assert contents(tmp_path) == set()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--limit 3", "3 images, 0 of them to validate on"),
        ("--val-size 240", "240 images, 240 of them to validate on"),
        ("--scheduler plateau --gamma 2", "wanted a factor below 1, got 2.0"),
    ],
)
def test_flags_that_do_not_fit_each_other(refused, tmp_path, small, flags, words):
    assert words in refused(train_model, *small, *flags.split(), "--out", tmp_path / "run")
    assert contents(tmp_path) == set()


def test_a_device_that_is_not_there(refused, tmp_path, small):
    try:
        mydl.zeros(1).to("cuda")
    except RuntimeError:
        line = refused(train_model, *small, "--device", "cuda", "--out", tmp_path / "run")
        assert "CuPy" in line or "GPU" in line
    else:
        train(tmp_path / "run", *small, "--device", "cuda")


@pytest.mark.parametrize("out", ["file", "file/below", "file/far/below"])
def test_a_run_folder_that_cannot_be_made(refused, tmp_path, small, out):
    (tmp_path / "file").write_text("mine")
    line = refused(train_model, *small, "--out", tmp_path / out)
    assert line.startswith(f"--out {tmp_path / out}: cannot make the run's folder: ")
    assert (tmp_path / "file").read_text() == "mine" and contents(tmp_path) == {"file"}


def test_data_that_are_not_there(refused, tmp_path):
    nowhere = tmp_path / "nowhere"
    line = refused(train_model, "--data", "mnist", "--data-dir", nowhere, "--out", tmp_path / "run")
    assert line == f"{nowhere}: no such folder to look for MNIST in"
    assert contents(tmp_path) == set()


@pytest.mark.parametrize("data", ["mnist", "fashion"])
def test_data_that_cannot_be_fetched(refused, tmp_path, monkeypatch, data):
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("MYDL_DATA", str(tmp_path / "there"))
    line = refused(train_model, "--data", data, "--data-dir", tmp_path / "here", "--out", tmp_path / "run")
    assert f"not in {tmp_path / 'here'} (no such files), nor in {tmp_path / 'there'} (no such folder)" in line
    assert line.count("Connection refused") == 2
    assert contents(tmp_path) == {"here"}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE = {
    "cut short": ("train-images-idx3-ubyte", _cut),
    "not an IDX file": ("train-labels-idx1-ubyte", lambda path: path.write_bytes(b"<html>" * 99)),
    "wanted uint8 labels from 0 to 9, got uint8 (240,) up to 200": (
        "train-labels-idx1-ubyte",
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\xc8"),
    ),
    "damaged or incomplete gzip file": (
        "train-images-idx3-ubyte",
        lambda path: path.write_bytes(b"\x1f\x8b" + bytes(99)),
    ),
}


@pytest.mark.parametrize("words", DAMAGE)
def test_damaged_data(refused, tmp_path, data_dir, words):
    name, harm = DAMAGE[words]
    folder = tmp_path / "mnist"
    folder.mkdir()
    for path in (data_dir / "mnist").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    harm(folder / name)
    line = refused(train_model, "--data", "mnist", "--data-dir", tmp_path, "--out", tmp_path / "run")
    assert line.startswith(str(folder / name)) and (words in line or words == "cut short")
    assert contents(tmp_path) == {"mnist"}


@pytest.mark.parametrize("flags", ["--lr 1e30", "--lr 1e18 --epochs 3"])
def test_a_loss_that_is_no_number_ends_the_run(refused, tmp_path, small, flags):
    line = refused(train_model, *small, "--optimizer", "sgd", *flags.split(), "--out", tmp_path / "run")
    assert "the loss is" in line and "try a learning rate below 1e+" in line
    assert contents(tmp_path / "run") <= FILES - {"training.png"}
    assert not all(map(math.isfinite, History.read(tmp_path / "run" / "history.csv").rows[-1].values()))
    for path in (tmp_path / "run").glob("*t.safetensors"):  # best, last, checkpoint
        state = mydl.load(path)
        state = state["parts"]["model"] if "parts" in state else state
        assert all(np.isfinite(tensor.numpy()).all() for tensor in state.values())


def test_a_full_disk(refused, tmp_path, small):
    """A limit on the size of files, below that of the weights and above that of the rest: no checkpoint, no run."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        line = refused(train_model, *small, "--out", tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert line == f"{tmp_path / 'run' / 'checkpoint.safetensors'}: cannot write: File too large"
    assert contents(tmp_path / "run") == set()
