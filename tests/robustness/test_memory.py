"""Memory that stays flat, graphs that die by themselves, errors that leave nothing behind, depths that hold."""

from __future__ import annotations

import mmap

import pytest

import mydl
from scripts.robustness_tools import memory
from scripts.robustness_tools.memory import depths, failures, graphs, steady
from scripts.robustness_tools.tally import Effort


def test_graphs_die_without_the_garbage_collector():
    assert graphs(Effort(3)).lost == []


def test_a_cycle_is_noticed(monkeypatch):
    step = mydl.optim.Adam.step

    def keep(self, *args):
        self.kept = [*getattr(self, "kept", []), mydl.ones(1)]
        return step(self, *args)

    monkeypatch.setattr(mydl.optim.Adam, "step", keep)
    assert len(graphs(Effort(2)).lost) == 2


def test_a_backward_that_raises_leaves_nothing_behind():
    assert failures(Effort(30)).lost == []


@pytest.mark.slow
def test_depths():
    assert depths().lost == []


def test_a_leak_is_noticed(monkeypatch):
    kept = []

    def step(*_):  # past the heap, which may hold freed memory that was counted before
        kept.append(mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        kept[-1].write(b"x" * (1 << 20))

    monkeypatch.setattr(memory, "_step", step)
    (text,) = memory._steady("mlp", Effort(100)).lost
    assert text.startswith("mlp: from ")
    assert memory._steady("mlp", Effort(1000, seconds=-1)).found == "ended before the first tenth"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("mlp", 4_000), ("resnet", 600)])
def test_steps_hold_a_flat_resident_size(name, steps):
    tally = steady(name, Effort(steps))
    assert tally.tried == steps and tally.lost == []
