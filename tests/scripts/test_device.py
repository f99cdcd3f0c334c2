"""The programs with --device cuda, on the stand-in: the same run as on the CPU, and one line where there is no GPU."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from mydl.history import History
from scripts import test_model, train_model


@pytest.mark.parametrize("model", ["mlp", "resnet"])
def test_a_run_is_the_same_on_both_devices(small, tmp_path, ledger, model, capsys):
    rows = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        # SGD: Adam's first steps turn the rounding of a gradient near 0 into a whole step.
        flags = ["--model", model, "--limit", "120", "--optimizer", "sgd", "--lr", "0.01", "--device", device]
        flags += ["--dropout", "0.2"] if model == "mlp" else ["--augment", "0.5", "--normalize", "pixel"]
        train_model.main([*small, *flags, "--out", str(out)])
        (rows[device],) = History.read(out / "history.csv")
    for key in ("train_loss", "val_loss"):
        np.testing.assert_allclose(rows["cuda"][key], rows["cpu"][key], rtol=1e-3)
    # the weights of one device serve the other
    capsys.readouterr()
    for device in ("cpu", "cuda"):
        test_model.main([str(tmp_path / "cuda"), "--data-dir", small[3], "--device", device])
    said = capsys.readouterr().out.split("\n")
    assert said[: len(said) // 2] == said[len(said) // 2 : -1]


def test_no_gpu_is_one_line_and_not_a_run_on_the_cpu(small, tmp_path, monkeypatch, refused):
    monkeypatch.setitem(sys.modules, "cupy", None)
    line = refused(train_model, *small, "--device", "cuda", "--out", tmp_path / "run")
    assert line.startswith("CuPy is not installed. Run: pip install cupy-cuda12x (CUDA 12) or cupy-cuda13x (CUDA 13)")
    assert not (tmp_path / "run").exists()
