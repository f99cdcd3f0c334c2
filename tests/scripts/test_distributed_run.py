"""train_model on two processes: the run of one process, which one process can take up again."""

from __future__ import annotations

import signal
import time

import pytest

import mydl
from mydl.history import History
from tests.distributed.launch import finished, mpiexec


@pytest.mark.slow
def test_a_run_of_two_processes_is_that_of_one(small, tmp_path) -> None:
    """Stopped, and taken up by one process; beside the run of one, and two jobs that are refused."""
    folder, whole = tmp_path / "run", tmp_path / "whole"
    flags = [*small, "--epochs", "40"]
    job = mpiexec(2, "scripts.train_model", *flags, "--distributed", "--out", folder)
    alone = mpiexec(1, "scripts.train_model", *flags, "--out", whole)
    copies = mpiexec(2, "scripts.train_model", *small, "--out", tmp_path / "copies")
    three = mpiexec(3, "scripts.train_model", *small, "--distributed", "--out", tmp_path / "three")
    while not (folder / "history.csv").exists() and job.poll() is None:
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)

    status, stdout, stderr = finished(job)
    assert status == 143, stderr
    assert stdout.count("epoch   1 ") == 1
    assert "go on with: python -m scripts.train_model --resume" in stdout
    epoch = mydl.load(folder / "checkpoint.safetensors")["progress"]["epoch"]
    assert 2 <= epoch < 40
    assert finished(mpiexec(1, "scripts.train_model", "--resume", "--out", folder))[0] == 0
    assert finished(alone)[0] == 0
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole.iterdir()}
    rows, truth = (History.read(path / "history.csv").rows for path in (folder, whole))
    assert [row["epoch"] for row in rows] == [row["epoch"] for row in truth]
    for row, wanted in zip(rows[:3], truth):  # later, what another order of summation leaves has grown
        for name in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
            assert row[name] == pytest.approx(wanted[name], rel=1e-3, abs=1e-3)

    assert "started as 2 processes, which would all do the same: add --distributed" in finished(copies)[2]
    assert finished(three)[2].splitlines() == [
        "mydl.distributed: rank 0 of 3: train_model: error: --batch-size 40: wanted a multiple of the 3 processes"
    ]
    assert not (tmp_path / "copies").exists() and not (tmp_path / "three").exists()
