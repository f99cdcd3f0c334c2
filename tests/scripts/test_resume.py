"""A run that ends at any moment is taken up where it was, and ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import mydl
from mydl import plotting
from mydl.history import History
from scripts import checkpoint, train_model
from scripts.command_line import Stopped, stop_requests
from scripts.runs import claimed

PROGRAM = "from scripts.train_model import main, run; run(main, 'train_model')"


class Killed(BaseException):
    """Ends a run as a power cut would: nothing in the programs catches it."""


@pytest.fixture
def no_pictures(monkeypatch):
    """For tests with dozens of runs: drawing the curves takes longer than such a run."""
    monkeypatch.setattr(plotting, "save_figure", lambda figure, path: None)
    monkeypatch.setattr(plotting, "training_curves", lambda history: None)


def state(path: Path) -> dict[str, list]:
    return {name: (tensor.dtype.name, tensor.tolist()) for name, tensor in mydl.load(path).items()}


def outcome(folder: Path) -> tuple:
    """All that a run leaves, but for the seconds that it took."""
    rows = [{**row, "seconds": 0} for row in History.read(folder / "history.csv")]
    return rows, state(folder / "best.safetensors"), state(folder / "last.safetensors")


def train(out: Path, *flags: object) -> None:
    train_model.main([*map(str, flags), "--out", str(out)])


# With five batches an epoch: every scheduler, optimizer and option that remembers something.
KINDS = {
    "adam": "--hidden 8 --dropout 0.3",
    "onecycle, average, accumulated": "--hidden 8 --scheduler onecycle --ema 0.9 --accumulate 2",
    "momentum, multistep in iterations": "--model logistic --optimizer momentum --scheduler multistep "
    "--milestones 3 7 --milestones-in iterations",
    "plateau, clipping, smoothing": "--model logistic --optimizer adamw --scheduler plateau --clip-norm 0.5 "
    "--label-smoothing 0.1",
    "augmented, cosine, patience": "--model logistic --augment 0.5 --scheduler cosine --patience 1 --optimizer sgd",
    "exponential": "--model logistic --scheduler exponential --gamma 0.9 --keep 2",
    "resnet": "--model resnet --limit 100 --batch-size 20 --scheduler step --milestones 1",
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if "accumulated" in kind else pytest.mark.slow) for kind in KINDS]
)
def test_a_run_killed_after_any_checkpoint_ends_the_same(tmp_path, small, monkeypatch, no_pictures, kind):
    """A checkpoint after every step; the run dies right after each of them in turn, and loses its memory."""
    flags = [*small, "--epochs", 3, *KINDS[kind].split()]
    train(tmp_path / "whole", *flags)
    wanted = outcome(tmp_path / "whole")
    save, places = checkpoint.save, set()
    for number in range(2, 100, 1 if kind == "adam" else 4):
        written = 0

        def save_and_die(folder, *rest, number=number):
            nonlocal written
            save(folder, *rest)
            written += 1
            if written == number:
                raise Killed

        monkeypatch.setattr(checkpoint, "save", save_and_die)
        try:
            train(tmp_path / "run", *flags, "--save-minutes", 1e-9)
            break
        except Killed:
            pass
        monkeypatch.setattr(checkpoint, "save", save)
        progress = mydl.load(tmp_path / "run" / checkpoint.NAME)["progress"]
        places.add((progress["epoch"], progress["batch"]))
        mydl.manual_seed(12345)
        train(tmp_path / "run", "--resume")
        assert outcome(tmp_path / "run") == wanted
        shutil.rmtree(tmp_path / "run")
    assert len(places) >= 3 and len({epoch for epoch, _ in places}) >= 2


@pytest.mark.slow
def test_kill_9_at_random_moments(start, tmp_path, small):
    """Six runs at a time of their own; those that die are resumed until they are through."""
    flags = [*small, "--hidden", "8", "--epochs", "30", "--dropout", "0.3", "--save-minutes", "1e-9"]
    train(tmp_path / "whole", *flags)
    wanted = outcome(tmp_path / "whole")
    moments, kills = random.Random(0), 0
    folder = tmp_path / "run"
    while kills < 6:
        arguments = ["--resume"] if (folder / "config.json").exists() else flags
        process = start(PROGRAM, *arguments, "--out", folder, stdout=subprocess.DEVNULL)
        # From the start of the training on, not of the process: importing is a long moment to hit.
        before = (folder / checkpoint.NAME).stat().st_mtime_ns if (folder / checkpoint.NAME).exists() else 0
        while process.poll() is None and (
            not (folder / checkpoint.NAME).exists() or (folder / checkpoint.NAME).stat().st_mtime_ns == before
        ):
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        if process.wait() == 0:
            break
        kills += 1
        mydl.load(folder / checkpoint.NAME)
    if kills:
        train(folder, "--resume")
    assert kills >= 2
    assert outcome(folder) == wanted
    assert not list(folder.glob(".*"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_in_order(start, tmp_path, number, status):
    flags = ["--hidden", 32, "--limit", 3600, "--batch-size", 8, "--epochs", 1000, "--threads", 1]
    process = start(PROGRAM, *flags, "--out", tmp_path / "run", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not (tmp_path / "run" / "history.csv").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(number)
    printed = process.stdout.read()
    assert process.wait() == status
    assert printed.endswith(f"stopped; go on with: python -m scripts.train_model --resume --out {tmp_path / 'run'}\n")
    progress = mydl.load(tmp_path / "run" / checkpoint.NAME)["progress"]
    assert len(progress["history"]) == len(History.read(tmp_path / "run" / "history.csv")) == progress["epoch"] - 1
    assert progress["steps"] == (progress["epoch"] - 1) * 375 + progress["batch"]


def test_a_request_to_stop_ends_after_the_batch_even_the_last_of_an_epoch(tmp_path, small, monkeypatch, no_pictures):
    flags = [*small, "--model", "logistic", "--epochs", 2]
    train(tmp_path / "whole", *flags)
    for number in range(1, 9):
        asked = iter([0] * number)
        monkeypatch.setattr(train_model, "stop_requests", lambda asked=asked: _asked(asked))
        with pytest.raises(Stopped):
            train(tmp_path / "run", *flags)
        monkeypatch.setattr(train_model, "stop_requests", stop_requests)
        train(tmp_path / "run", "--resume")
        assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


class _asked:
    """A `stop_requests` that says no as often as the iterator has zeros, and then yes."""

    def __init__(self, zeros):
        self.zeros = zeros

    def __enter__(self):
        return lambda: next(self.zeros, signal.SIGTERM)

    def __exit__(self, *error):
        return None


# What a resumed run may be told -----------------------------------------------------------------------------


def test_more_epochs(tmp_path, small, capsys):
    train(tmp_path / "five", *small, "--epochs", 5)
    train(tmp_path / "run", *small, "--epochs", 2)
    train(tmp_path / "run", "--resume")
    assert "2 of 2 epochs are done" in capsys.readouterr().out.splitlines()[-1]
    train(tmp_path / "run", "--resume", "--epochs", 5, "--save-every", 2)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "five")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["settings"]["epochs"] == 5 and config["settings"]["save_every"] == 2


def test_fewer_epochs_than_are_done(refused, run_copy):
    before = {path.name: path.read_bytes() for path in run_copy.iterdir()}
    line = refused(train_model, "--resume", "--out", run_copy, "--epochs", 1)
    assert line == f"--epochs 1: the run in {run_copy} has done 2; wanted as many at least"
    assert {path.name: path.read_bytes() for path in run_copy.iterdir()} == before


@pytest.mark.parametrize(
    ("begun", "flags", "words"),
    [
        (
            "",
            "--lr 0.5",
            "--lr 0.5: the run in RUN was begun with 0.001; a resumed run can change no more than --epochs",
        ),
        ("", "--hidden 3 4", "--hidden 3 4: the run in RUN was begun with 600 100"),
        ("", "--seed 3", "--seed 3: the run in RUN was begun with 0"),
        ("--scheduler cosine", "--epochs 5", "--epochs 5: the rates of cosine are made for 1 epochs"),
        ("--scheduler onecycle", "--epochs 5", "--epochs 5: the rates of onecycle are made for 1 epochs"),
    ],
)
def test_what_it_may_not_be_told(refused, tmp_path, small, begun, flags, words):
    run = tmp_path / "run"
    train(run, *small, *begun.split())
    before = outcome(run)
    assert refused(train_model, "--resume", "--out", run, *flags.split()).startswith(words.replace("RUN", str(run)))
    train(run, "--resume", *small, *begun.split())  # the same settings again are no change
    assert outcome(run) == before


def test_other_data_are_noticed(refused, tmp_path, small, data_dir):
    shutil.copytree(data_dir / "mnist", tmp_path / "mnist")
    train(tmp_path / "run", *small, "--data-dir", tmp_path)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-784] + bytes([255]) * 784)
    line = refused(train_model, "--resume", "--out", tmp_path / "run")
    assert line == f"{tmp_path / 'run'}: the mnist data are not those that the run was begun with"


def test_runs_that_cannot_be_resumed(refused, tmp_path, run_copy):
    wanted = "wanted a run's folder, as train_model makes it; found"
    assert refused(train_model, "--resume", "--out", tmp_path / "x") == f"{tmp_path / 'x'}: {wanted} no such folder"
    (tmp_path / "y").mkdir()
    line = refused(train_model, "--resume", "--out", tmp_path / "y")
    assert line == f"{tmp_path / 'y'}: {wanted} no config.json in it"
    (run_copy / checkpoint.NAME).unlink()
    line = refused(train_model, "--resume", "--out", run_copy)
    assert line == f"{run_copy}: no checkpoint.safetensors in it, so there is nothing to resume"


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_files_of_a_run_that_were_harmed(refused, run_copy, capsys, harm):
    before = outcome(run_copy)
    (run_copy / "history.csv").write_bytes(b"garbage\0")
    train(run_copy, "--resume")
    assert outcome(run_copy) == before
    for name in ("last.safetensors", "best.safetensors"):
        harm(run_copy / name)
        line = refused(train_model, "--resume", "--out", run_copy)
        assert name in line
        assert line.endswith("2 of 2 epochs are done, so it is not made again: wanted more --epochs")
    capsys.readouterr()
    train(run_copy, "--resume", "--epochs", 3)
    assert "the best epoch from here on takes its place" in capsys.readouterr().out
    rows, best, last = outcome(run_copy)
    assert len(rows) == 3 and best == last


def _changed(path: Path, **changes: object) -> None:
    """Write the checkpoint anew with other values; keys name places, such as parts__optimizer__state."""
    content = mydl.load(path)
    for place, value in changes.items():
        *way, last = place.split("__")
        inner = content
        for key in way:
            inner = inner[int(key) if key.isdigit() else key]
        inner[int(last) if last.isdigit() else last] = value
    mydl.save(content, path)


HARM = {
    "cannot load": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "found 0 bytes": lambda path: path.write_bytes(b""),
    "wanted a checkpoint of train_model": lambda path: path.write_bytes(
        path.with_name("last.safetensors").read_bytes()
    ),
    "in format 99; wanted format": lambda path: _changed(path, format=99),
    "parts: wanted a dict of model, optimizer, loader": lambda path: _changed(path, parts__scheduler={}),
    "model.layers.1.bias: wanted a tensor (32,)": lambda path: _changed(
        path, **{"parts__model__layers.1.bias": mydl.zeros(31)}
    ),
    "model: wanted a dict of": lambda path: _changed(path, parts__model=3),
    "optimizer.param_groups: wanted 1 items": lambda path: _changed(path, parts__optimizer__param_groups=[]),
    "optimizer.param_groups.0: wanted a dict": lambda path: _changed(path, parts__optimizer__param_groups=[3]),
    "optimizer.state: wanted parameters 0 to 3": lambda path: _changed(path, parts__optimizer__state={9: {}}),
    "optimizer.state.1.exp_avg: wanted a number or (32,)": lambda path: _changed(
        path, parts__optimizer__state__1__exp_avg=mydl.zeros(2, 2)
    ),
    "loader.batch: wanted 0, found 'x'": lambda path: _changed(path, parts__loader__batch="x"),
    "progress: wanted counts from 0 on": lambda path: _changed(path, progress__epoch=-1),
    "progress: wanted a dict of": lambda path: _changed(path, progress={}),
    "progress.loss_sum: wanted a tensor (1,)": lambda path: _changed(path, progress__loss_sum=3),
    "progress.history: wanted rows of numbers": lambda path: _changed(path, progress__history=["x"]),
    "found something else": lambda path: _changed(path, generator="x"),
}


@pytest.mark.parametrize("words", HARM)
def test_damaged_checkpoints(refused, run_copy, words):
    """One line that names the file; the run stays as it was."""
    HARM[words](run_copy / checkpoint.NAME)
    before = {path.name: path.read_bytes() for path in run_copy.iterdir()}
    line = refused(train_model, "--resume", "--out", run_copy, "--epochs", 3)
    assert words in line and str(run_copy / checkpoint.NAME) in line
    assert {path.name: path.read_bytes() for path in run_copy.iterdir()} == before


def test_a_config_of_another_version(refused, run_copy):
    path = run_copy / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "format": 1, "mydl": "0.0.9"}))
    line = refused(train_model, "--resume", "--out", run_copy)
    assert line == f"{path}: written by mydl 0.0.9 in format 1; wanted format 2"
    for content, words in {
        "": "wanted a run's settings in JSON",
        "[" * 100_000: "wanted a run's settings in JSON",
        '{"format": 2, "model": NaN}': "found NaN; wanted a finite number",
        "[]": "found something else",
        json.dumps({**config, "settings": {}}): "wanted the settings of train_model",
        json.dumps({**config, "settings": {**config["settings"], "lr": "fast"}}): "lr: wanted a number, got 'fast'",
        json.dumps({**config, "settings": {**config["settings"], "hidden": [-3]}}): "hidden: wanted a whole number",
        json.dumps(
            {**config, "settings": {**config["settings"], "optimizer": None}}
        ): "optimizer: wanted text, got None",
    }.items():
        path.write_text(content)
        line = refused(train_model, "--resume", "--out", run_copy)
        assert words in line and str(path) in line


def test_keep(tmp_path, small):
    train(tmp_path / "run", *small, "--epochs", 5, "--keep", 3)
    epochs = {
        path.name: mydl.load(path)["progress"]["epoch"] for path in (tmp_path / "run").glob("checkpoint*.safetensors")
    }
    assert epochs == {"checkpoint.safetensors": 6, "checkpoint.1.safetensors": 5, "checkpoint.2.safetensors": 4}

    train(tmp_path / "run", "--resume", "--epochs", 7, "--keep", 2**31 - 1)  # more than there can be
    names = {path.name for path in (tmp_path / "run").glob("checkpoint*.safetensors")}
    assert names == {checkpoint.NAME, *(f"checkpoint.{number}.safetensors" for number in range(1, 5))}


def test_two_programs_cannot_train_in_one_folder(run_copy, small):
    before = {path.name: path.read_bytes() for path in run_copy.iterdir()}
    with claimed(run_copy):
        for flags in (["--resume"], small):
            with pytest.raises(BlockingIOError, match="another program is training in this folder"):
                train(run_copy, *flags)
    assert {path.name: path.read_bytes() for path in run_copy.iterdir()} == before
    assert [
        path for path in run_copy.parent.iterdir() if path != run_copy and path.name.startswith(run_copy.name)
    ] == []


def test_leftovers_of_a_killed_process_go(run_copy):
    (run_copy / f".last.safetensors.{'0' * 16}.tmp").write_text("half")
    (run_copy / ".mine.tmp").write_text("kept")
    train(run_copy, "--resume")
    assert [path.name for path in run_copy.glob(".*")] == [".mine.tmp"]


def test_a_full_disk_leaves_the_checkpoint_before(run_copy, monkeypatch):
    before = (run_copy / checkpoint.NAME).read_bytes()
    save = mydl.save

    def full(content, path, *rest):
        if Path(path).name == checkpoint.NAME:
            raise OSError(28, "cannot write: No space left on device", str(path))
        save(content, path, *rest)

    monkeypatch.setattr(mydl, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train(run_copy, "--resume", "--epochs", 3)
    monkeypatch.undo()
    assert (run_copy / checkpoint.NAME).read_bytes() == before
    train(run_copy, "--resume", "--epochs", 3)
    assert History.read(run_copy / "history.csv")["epoch"] == [1, 2, 3]


def test_the_average_of_the_weights_is_what_is_kept(tmp_path, small):
    """With decay d the average moves by 1 - min(d, n / (n + 9)) in step n; here again, step by step."""
    flags = [*small, "--model", "logistic", "--optimizer", "sgd", "--lr", "0.1", "--epochs", 1]
    average = None
    for steps in range(6):
        mydl.manual_seed(0)
        if steps == 0:
            weight = mydl.nn.Linear(784, 10).weight.detach().numpy().astype(np.float64)
        else:
            asked = iter([0] * steps)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(train_model, "stop_requests", lambda asked=asked: _asked(asked))
                with contextlib.suppress(Stopped):
                    train(tmp_path / "run", *flags)
            weight = mydl.load(tmp_path / "run" / checkpoint.NAME)["parts"]["model"]["linear.weight"].numpy()
        decay = min(0.9, steps / (steps + 9))
        average = weight if average is None else average + (1 - decay) * (weight - average)
    train(tmp_path / "averaged", *flags, "--ema", 0.9)
    found = mydl.load(tmp_path / "averaged" / "last.safetensors")["linear.weight"].numpy()
    np.testing.assert_allclose(found, average, atol=1e-6)


def test_accumulated_batches_are_one_step(tmp_path, small):
    """Without what differs by batch, four batches of 10 step as one of 40."""
    flags = [*small, "--optimizer", "sgd", "--epochs", 2]
    train(tmp_path / "one", *flags)
    train(tmp_path / "four", *flags, "--batch-size", 10, "--accumulate", 4)
    one, four = (mydl.load(tmp_path / name / "last.safetensors") for name in ("one", "four"))
    for name in one:
        np.testing.assert_allclose(four[name].numpy(), one[name].numpy(), atol=1e-5)


def test_seeds(tmp_path, small, capsys):
    """Each as it would be alone; mean and deviation of the best validation accuracies."""
    train(tmp_path / "runs", *small, "--seeds", 3, "--seed", 4)
    last = capsys.readouterr().out.splitlines()[-1]
    scores = [
        max(History.read(tmp_path / "runs" / f"seed-{seed}" / "history.csv")["val_accuracy"]) for seed in (4, 5, 6)
    ]
    assert last.startswith(f"validation accuracy {np.mean(scores):.4f} ± {np.std(scores, ddof=1):.4f} over 3 seeds")
    train(tmp_path / "alone", *small, "--seed", 5)
    assert outcome(tmp_path / "alone") == outcome(tmp_path / "runs" / "seed-5")
    shutil.rmtree(tmp_path / "runs" / "seed-6")
    # The run that is missing is like the others, whether the flags say so again or not.
    train(tmp_path / "runs", "--seeds", 3, "--seed", 4, "--resume")
    assert capsys.readouterr().out.splitlines()[-1] == last


def test_seeds_do_not_go_into_the_folder_of_one_run(tmp_path, small):
    train(tmp_path / "one", *small)
    before = outcome(tmp_path / "one")
    for flags in ((), ("--resume",)):
        with pytest.raises(ValueError, match="is one run and no folder of seeds' runs; wanted another --out"):
            train(tmp_path / "one", "--seeds", 2, *flags)
    assert outcome(tmp_path / "one") == before and not list((tmp_path / "one").glob("seed-*"))


def test_seeds_that_are_too_large_are_refused_before_the_first_run(tmp_path, small, capsys):
    with pytest.raises(SystemExit):
        train(tmp_path / "runs", *small, "--seeds", 2, "--seed", 2**64 - 1)
    assert "wanted a whole number from 0 to 2**64 - 1" in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_patience(tmp_path, small, capsys):
    """A rate at which nothing changes: the first epoch stays the best."""
    flags = [*small, "--model", "logistic", "--optimizer", "sgd", "--lr", "1e-7", "--epochs", 20, "--patience", 3]
    train(tmp_path / "run", *flags)
    assert History.read(tmp_path / "run" / "history.csv")["epoch"] == [1, 2, 3, 4]
    assert "no better validation accuracy for 3 epochs; best" in capsys.readouterr().out
    train(tmp_path / "run", "--resume")
    assert len(History.read(tmp_path / "run" / "history.csv")) == 4
