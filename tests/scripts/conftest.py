"""Small data and small runs for the programs' tests, and a way to call a program as its command line does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import mydl
from mydl import data
from scripts import train_model
from scripts.command_line import run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    """The programs set the number of threads for their process, which here is everybody's."""
    before = mydl.get_num_threads()
    mydl.set_num_threads(1)
    yield
    mydl.set_num_threads(before)


@pytest.fixture(autouse=True)
def nobody_downloads(monkeypatch, tmp_path_factory):
    """An empty cache folder, no MYDL_DATA, and a proxy that refuses: no test depends on the machine or the net."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("MYDL_DATA", raising=False)
    monkeypatch.delenv("MYDL_TRACEBACK", raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def write_idx(path: Path, array: np.ndarray) -> None:
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    """A folder with a tiny `mnist`: 240 images to train on, 60 to test on; read in no time."""
    root = tmp_path_factory.mktemp("data")
    (root / "mnist").mkdir()
    for part, train, size in (("train", True, 240), ("t10k", False, 60)):
        digits = data.SyntheticDigits(train=train, size=size)
        write_idx(root / "mnist" / f"{part}-images-idx3-ubyte", digits.data.numpy())
        write_idx(root / "mnist" / f"{part}-labels-idx1-ubyte", digits.targets.numpy())
    return root


@pytest.fixture
def small(data_dir) -> list[str]:
    """Flags of a run of a tenth of a second: 200 images to train on, 40 to validate on, 5 steps an epoch."""
    flags = ["--data", "mnist", "--data-dir", str(data_dir), "--batch-size", "40"]
    return [*flags, "--epochs", "1", "--threads", "1"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """The folder of a finished run on the embedded digits; read it, do not write to it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    flags = "--hidden 32 --epochs 2 --limit 600 --batch-size 64 --threads 1"
    train_model.main([*flags.split(), "--out", str(folder)])
    return folder


@pytest.fixture
def run_copy(finished, tmp_path) -> Path:
    """A copy of the finished run, to do harm to."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


@pytest.fixture
def refused(capsys):
    """Call a program that must refuse: exit status 2 and one line on stderr, which it returns."""

    def call(program: ModuleType, *arguments: object) -> str:
        name = program.__name__.rpartition(".")[2]
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(lambda: program.main([str(argument) for argument in arguments]), name)
        (line,) = _said(capsys.readouterr().err)
        assert ended.value.code == 2
        assert line.startswith(f"{name}: error: ")
        return line.removeprefix(f"{name}: error: ")

    return call


def _said(stderr: str) -> list[str]:
    """The lines on stderr, without the note that a first run on a machine compiles."""
    return [line for line in stderr.splitlines() if line and not line.startswith("mydl: compiling kernels")]


@pytest.fixture
def said():
    """The function that takes the note of a first run from what a process put on stderr."""
    return _said


@pytest.fixture
def start():
    """Start a program in a process of its own; what is left of it is killed afterwards."""
    processes = []

    def call(code: str, *arguments: object, **options: object) -> subprocess.Popen:
        # A process that was started in the background ignores Ctrl-C; that must not depend on who runs us.
        listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        command = [sys.executable, "-c", listen + code, *map(str, arguments)]
        processes.append(subprocess.Popen(command, cwd=ROOT, text=True, **options))
        return processes[-1]

    yield call
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
