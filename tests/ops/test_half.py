"""float16 against the same function in float64, rounded once: sums over thousands, and numbers near its ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mydl
from mydl.nn import functional as F

HALF_AND_SINGLE = (np.float16, np.float32)
ROWS = 4096  # more than the 2048 from which on adding 1 changes nothing in float16


def _ones(*shape: int) -> np.ndarray:
    return np.ones(shape)


def _near(value: float, *shape: int) -> np.ndarray:
    return value + np.random.default_rng(0).integers(-2, 3, shape) / 4


CASES: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "sum": (lambda x: x.sum(0) / 4, (_ones(ROWS, 3),)),
    "mean": (lambda x: x.mean(0), (_near(100, ROWS, 3),)),
    "var": (lambda x: x.var(0), (_near(100, ROWS, 3),)),
    "std": (lambda x: x.std(0), (_near(100, ROWS, 3),)),
    "std beyond the variance": (lambda x: x.std(), (np.array([0.0, 1000.0]),)),
    "norm": (lambda x: x.norm(dim=0), (_near(100, ROWS, 3),)),
    "logsumexp": (lambda x: x.logsumexp(0), (_near(0, ROWS, 3),)),
    "linear": (F.linear, (_ones(ROWS, 3) / 4, _near(0, 2, 3), _ones(2))),
    "linear of one output": (F.linear, (_ones(ROWS, 3) / 4, _near(0, 3))),
    "conv2d": (F.conv2d, (_ones(600, 1, 3, 3), _near(0, 2, 1, 1, 1), _ones(2))),
    "batch norm, training": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        (_near(0, ROWS, 2), _ones(2), _ones(2)),
    ),
    "batch norm, evaluation": (
        lambda x, w, b: F.batch_norm(x, w.detach() * 1000, w.detach() * 0.25, w, b),
        (_near(1000, ROWS // 2, 2), _ones(2), _ones(2)),
    ),
    "layer norm": (lambda x: F.layer_norm(x, (ROWS,)), (_near(100, 3, ROWS),)),
    "rms norm": (lambda x: F.rms_norm(x, (ROWS,)), (_near(300, 3, ROWS),)),
    "sigmoid": (F.sigmoid, (np.array([-15.0, -12.0, -8.0, 0.5, 12.0]),)),
    "silu": (F.silu, (np.array([-15.0, -12.0, -8.0, 0.5, 300.0]),)),
    "softplus": (F.softplus, (np.array([-15.0, -12.0, -8.0, 0.5, 300.0]),)),
    "gelu": (F.gelu, (np.array([-300.0, -4.0, 0.5, 300.0]),)),
    "gelu by tanh": (lambda x: F.gelu(x, approximate="tanh"), (np.array([-300.0, -3.0, 0.5, 300.0]),)),
    "hypot": (mydl.hypot, (np.array([300.0, 3e-3]), np.array([400.0, 4e-3]))),
}


@pytest.mark.parametrize("name", CASES)
def test_half_is_the_wide_result_rounded(name: str) -> None:
    function, arrays = CASES[name]
    arrays = tuple(array.astype(np.float16) for array in arrays)
    results = []
    for dtype in (np.float16, np.float64):
        inputs = [mydl.tensor(array.astype(dtype), requires_grad=True) for array in arrays]
        y = function(*inputs)
        start = (1 + np.arange(y.numel()).reshape(y.shape) % 3) / (8 if y.numel() > ROWS else 1)
        y.backward(mydl.tensor(start.astype(dtype)))
        assert y.dtype == dtype
        assert all(x.grad.dtype == dtype for x in inputs)
        results.append([value.numpy().astype(np.float64) for value in (y.detach(), *(x.grad for x in inputs))])
    for half, wide in zip(*results, strict=True):
        np.testing.assert_allclose(half, wide, rtol=4e-3, atol=1e-6 + 2e-3 * min(np.abs(wide).max(), 1))


def test_norms_of_half_take_single_precision_weights() -> None:
    x = _near(1, 2, 4, 3).astype(np.float16)
    weight, bias = np.linspace(0.5, 2, 4, dtype=np.float32), np.linspace(-1, 1, 4, dtype=np.float32)

    def both(function: Callable[..., Any]) -> None:
        half, single = (
            function(*map(mydl.tensor, (x.astype(dtype), weight, bias))) for dtype in ("float16", "float32")
        )
        assert half.dtype == mydl.float16
        np.testing.assert_allclose(half.numpy(), single.numpy(), rtol=2e-3, atol=2e-3)

    both(lambda x, w, b: F.group_norm(x, 2, w, b))
    both(lambda x, w, b: F.layer_norm(x.transpose(1, 2), (4,), w, b))
    with pytest.raises(RuntimeError, match="layer_norm: wanted weight of the input's dtype float32"):
        F.layer_norm(mydl.ones(2, 4), (4,), mydl.ones(4, dtype=mydl.float64))


def test_the_norm_of_half_gradients_is_taken_in_single_precision() -> None:
    p, empty = mydl.zeros(2, dtype=mydl.float16), mydl.zeros(0, dtype=mydl.float16)
    p.grad, empty.grad = mydl.tensor([300.0, 400.0], dtype=mydl.float16), empty.clone()
    assert mydl.nn.utils.clip_grad_norm_([empty, p], 1.0).item() == 500.0
    np.testing.assert_allclose(p.grad.numpy(), [0.6, 0.8], rtol=1e-3)
    assert mydl.nn.utils.get_total_norm([empty]).item() == 0.0


def test_gumbel_softmax_of_half_is_one_hot_on_ties() -> None:
    mydl.manual_seed(0)
    assert F.gumbel_softmax(mydl.zeros(20_000, 4, dtype=mydl.float16), hard=True).sum(-1).max().item() == 1.0
