"""Random chains of operations against NumPy and central differences, and the laws of algebra."""

from __future__ import annotations

import pytest

import mydl
from mydl.ops.elementwise import Tanh
from scripts.robustness_tools.properties import LAWS, chains, laws
from scripts.robustness_tools.tally import Effort


def test_chains():
    tally = chains(Effort(200))
    assert tally.tried == 200 and tally.lost == []


def test_laws():
    assert laws(Effort(3 * len(LAWS))).lost == []


@pytest.mark.slow
def test_more():
    assert chains(Effort(8_000, seed=1)).lost == []
    assert laws(Effort(40 * len(LAWS), seed=1)).lost == []


def test_a_wrong_gradient_is_noticed(monkeypatch):
    monkeypatch.setattr(Tanh, "backward", staticmethod(lambda ctx, grad: grad * (1 - ctx.saved[0])))
    assert any("gradient" in text for text in chains(Effort(200)).lost)


def test_a_wrong_value_is_noticed(monkeypatch):
    right = mydl.nn.functional.conv2d
    monkeypatch.setattr(mydl.nn.functional, "conv2d", lambda *args, **options: right(*args, **options) + 1)
    assert any("linear" in text for text in laws(Effort(len(LAWS))).lost)
