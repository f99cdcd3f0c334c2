"""How a program ends that somebody stops: in a process of its own, on a terminal and in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import models
import mydl
from mydl.history import History

PROGRAM = "from scripts.train_model import main, run; run(main, 'train_model')"


def read_terminal(descriptor: int) -> str:
    """What a process wrote to its terminal until it ended."""
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # Linux ends a terminal so
            part = b""
        if not part:
            return b"".join(parts).decode()
        parts.append(part)


def test_ctrl_c_in_the_middle_of_an_epoch(start, tmp_path):
    """Two epochs are waited for; the progress bar on the terminal shows loss, accuracy and rate."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    flags = ["--hidden", 32, "--limit", 3600, "--batch-size", 8, "--epochs", 1000, "--threads", 1]
    process = start(PROGRAM, *flags, "--out", tmp_path / "run", stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    terminal = ThreadPoolExecutor(1).submit(read_terminal, ours)  # at once: a terminal nobody reads gets full
    history = tmp_path / "run" / "history.csv"
    while process.poll() is None and not (history.exists() and len(History.read(history)) > 1):
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    terminal = terminal.result()
    os.close(ours)
    printed = process.stdout.read()
    assert process.wait() == 130, terminal
    assert printed.endswith(f"stopped; go on with: python -m scripts.train_model --resume --out {tmp_path / 'run'}\n")
    assert terminal.endswith("train_model: interrupted\r\n") and "Traceback" not in terminal
    assert "loss=" in terminal and "accuracy=" in terminal and "batch/s" in terminal

    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {"config.json", "history.csv", "checkpoint.safetensors", "best.safetensors", "last.safetensors"}
    model = models.build("mlp", hidden=[32])
    for name in ("best", "last"):
        model.load_state_dict(mydl.load(tmp_path / "run" / f"{name}.safetensors"))


def test_a_reader_that_goes_away(start, said, small, tmp_path):
    process = start(PROGRAM, *small, "--out", tmp_path / "run", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    gone = "train_model: error: the reader of the output (head, less) has gone before the end"
    assert said(process.stderr.read()) == [gone]
    assert process.wait() == 2


@pytest.mark.parametrize("stream", [1, 2])
def test_a_closed_stream(start, small, tmp_path, stream):
    """Standard output or error that was closed, as some service managers do, is no error."""
    program = (
        f"import os; os.close({stream}); os.execv(sys.executable, [sys.executable, '-c', {PROGRAM!r}, *sys.argv[1:]])"
    )
    process = start("import sys; " + program, *small, "--out", tmp_path / "run")
    assert process.wait() == 0
    assert (tmp_path / "run" / "training.png").exists()
