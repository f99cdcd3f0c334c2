"""Trainings in threads side by side, and loaders whose threads fail."""

from __future__ import annotations

import pytest

from scripts.robustness_tools.tally import Effort
from scripts.robustness_tools.threads import loaders, trainings


def test_four_trainings_at_once():
    tally = trainings(Effort(1), steps=8)
    assert tally.tried == 4 and tally.lost == []


def test_loaders():
    tally = loaders(Effort(60))
    assert tally.faults == 60 and tally.lost == []


@pytest.mark.slow
def test_more():
    assert trainings(Effort(10, seed=1)).lost == []
    assert loaders(Effort(500, seed=1)).lost == []
