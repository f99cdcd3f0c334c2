"""README's promises: its first two blocks are one command each, its program runs and learns, and what follows runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def test_the_first_two_blocks_are_one_command_each() -> None:
    for language, text in BLOCKS[:2]:
        assert language == "bash"
        assert len(text.strip().splitlines()) == 1


def test_the_program_runs_and_learns(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    program = "".join(text for language, text in BLOCKS if language == "python")
    (tmp_path / "program.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    losses = [float(value) for value in re.findall(r"loss (\d+\.\d+)", done.stdout)]
    assert len(losses) == 3
    assert losses[-1] < 0.3 < losses[0]
    assert " 20,490 " in done.stdout and "Conv2D, backward" in done.stdout
    assert (tmp_path / "digits.onnx").stat().st_size > 4 * 20_490


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert pictures
    for picture in pictures:
        assert (ROOT / picture).is_file(), picture
