from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shell(tmp_path):
    """Run a shell script as one types it, in a folder that gets the results; `python` is the one that tests."""
    (tmp_path / "scripts").mkdir()
    for script in (ROOT / "scripts").glob("*.sh"):
        shutil.copy(script, tmp_path / "scripts")
    shutil.copytree(ROOT / "scripts" / "configs", tmp_path / "scripts" / "configs")
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def call(line: str) -> subprocess.CompletedProcess:
        return subprocess.run(["bash", *line.split()], cwd=tmp_path, env=environment, capture_output=True, text=True)

    return call


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "resnet"])
def test_train_then_test(shell, tmp_path, model):
    """The two commands; each finds the other's folder by itself, or another that it is given."""
    trained = shell(f"scripts/train_{model}.sh --limit 120 --epochs 1 --threads 1")
    assert trained.returncode == 0, trained.stderr
    assert f"the run is in results/{model}-digits" in trained.stdout
    tested = shell(f"scripts/test_{model}.sh --threads 1")
    assert tested.returncode == 0, tested.stderr
    run = tmp_path / "results" / f"{model}-digits"
    accuracy = json.loads((run / "test.json").read_text())["accuracy"]
    assert f"accuracy {accuracy:.4f}" in tested.stdout
    settings = json.loads((run / "config.json").read_text())["settings"]
    assert (settings["model"], settings["epochs"], settings["limit"]) == (model, 1, 120)


def test_errors_come_through(shell, said):
    for line in ("scripts/train_mlp.sh --speed 3", "scripts/test_mlp.sh", "scripts/test_resnet.sh elsewhere"):
        ended = shell(line)
        assert ended.returncode == 2 and len(said(ended.stderr)) == 1


@pytest.mark.parametrize("name", ["train_mlp", "train_resnet", "test_mlp", "test_resnet"])
def test_the_scripts_can_be_run(name):
    assert os.access(ROOT / "scripts" / f"{name}.sh", os.X_OK)
