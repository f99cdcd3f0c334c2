"""Overflow, subnormals, infinities and NaN in the functions that need care."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mydl
from scripts.robustness_tools.numerics import FUNCTIONS, half_precision, numerics
from scripts.robustness_tools.tally import Effort


def test_the_whole_range():
    tally = numerics(Effort(30 * len(FUNCTIONS)))
    assert tally.tried == 30 * len(FUNCTIONS) and tally.lost == []


@pytest.mark.slow
def test_more_of_it():
    assert numerics(Effort(10_000, seed=1)).lost == []


def test_a_naive_softmax_is_noticed(monkeypatch):
    monkeypatch.setattr(mydl.nn.functional, "softmax", lambda x, dim: x.exp() / x.exp().sum(dim, keepdim=True))
    assert any("softmax" in text for text in numerics(Effort(20 * len(FUNCTIONS))).lost)


def test_training_in_half_precision_with_a_scaled_loss():
    assert half_precision(60).lost == []


@pytest.mark.parametrize("value", [1e-30, 1e-45, 1e38, 3e38])
def test_norms_whose_squares_are_out_of_range(value):
    """As in PyTorch, the squares are gathered in a wider type."""
    x = mydl.tensor([value, 0.0], requires_grad=True)
    y = x.norm()
    assert y.item() == pytest.approx(np.float32(value), rel=1e-6)
    y.backward()
    assert x.grad.tolist() == [1.0, 0.0]
    assert math.isinf(mydl.tensor([3e38, 3e38]).norm().item())
