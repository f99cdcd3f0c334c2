"""Kills, power cuts and failing disks: there is always a whole checkpoint."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

import mydl
from mydl import files, serialization
from scripts import checkpoint
from scripts.robustness_tools.crashes import failing_disks, kills, power_cuts
from scripts.robustness_tools.tally import Effort


def test_kill_9(tmp_path):
    tally = kills(Effort(6), tmp_path)
    assert tally.faults == 6 and tally.lost == []


@pytest.mark.slow
def test_kill_9_two_hundred_times(tmp_path):
    assert kills(Effort(200, seed=1), tmp_path).lost == []


def test_power_cuts(tmp_path):
    tally = power_cuts(Effort(3), tmp_path)
    assert tally.faults > 50 and tally.lost == []


def test_failing_disks(tmp_path):
    tally = failing_disks(Effort(8), tmp_path)
    assert tally.faults == 8 and tally.lost == []


@pytest.mark.slow
def test_more_failing_disks(tmp_path):
    assert failing_disks(Effort(100, seed=1), tmp_path).lost == []


@contextlib.contextmanager
def _in_place(path):
    """A careless writer: the file itself is opened and filled."""
    with open(path, "wb") as file:
        yield file


@contextlib.contextmanager
def _not_synced(path):
    """A writer that renames before the bytes are on the disk."""
    temporary = Path(f"{path}.new")
    with open(temporary, "wb") as file:
        yield file
    os.replace(temporary, path)
    files._sync_folder(Path(path).parent)


@contextlib.contextmanager
def _folder_not_synced(path):
    """A writer whose rename may not be on the disk when it says that all is well."""
    temporary = Path(f"{path}.new")
    with open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


@pytest.mark.parametrize(
    ("check", "effort", "writer"),
    [(power_cuts, 1, _not_synced), (power_cuts, 1, _folder_not_synced), (failing_disks, 6, _in_place)],
)
def test_careless_writers_are_noticed(tmp_path, monkeypatch, check, effort, writer):
    for module in (serialization, checkpoint, mydl.history):
        monkeypatch.setattr(module, "atomic_write", writer)
    assert check(Effort(effort), tmp_path).lost
