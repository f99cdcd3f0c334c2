"""The ops that layers and losses are made of, against central differences, first and second derivatives."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mydl
from mydl.autograd import gradcheck, gradgradcheck
from mydl.autograd.op import Op
from mydl.nn import functional as F
from mydl.ops.convolution import Conv2DInputGrad, Conv2DWeightGrad
from mydl.ops.pooling import AvgPool2DGrad
from mydl.ops.recurrent import GRUStep, LSTMStep

# The families that tests/ops/test_gradients.py does not cover.
FAMILIES = ["activation", "convolution", "loss", "normalization", "pooling", "random", "recurrent"]

LABELS = [2, 0, -100, 1]
GEOMETRY: dict[str, Any] = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2), "groups": 2}
WINDOW: dict[str, Any] = {
    "kernel": (3, 2),
    "stride": (2, 2),
    "padding": (1, 1),
    "ceil_mode": True,
    "count_include_pad": False,
    "divisor_override": None,
}


def apart(*shape: int) -> np.ndarray:
    """Numbers 0.37 apart in random order, none near the kinks at -3, 0, 1, 3 and 6."""
    n = int(np.prod(shape))
    return ((np.random.default_rng(3).permutation(n) - n // 2) * 0.37 + 0.13).reshape(shape)


def normal(*shape: int) -> np.ndarray:
    """Normal numbers, the same ones for a shape every time."""
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def shares(*shape: int) -> np.ndarray:
    """Numbers from 0.2 to 0.8, as probabilities are."""
    return np.random.default_rng(5).uniform(0.2, 0.8, shape)


def dropped(x: Any) -> Any:
    """Dropout that draws the same mask every time, squared so that there is a second derivative."""
    mydl.manual_seed(0)
    return F.dropout(x, 0.4) ** 2


def stepped(op: type[Op], *inputs: Any) -> Any:
    """A recurrent step's results as one tensor."""
    results = op.apply(*inputs)
    return sum(results[1:], results[0] * 2) if isinstance(results, tuple) else results


def running(x: Any, weight: Any, bias: Any) -> Any:
    """Batch normalisation by running statistics."""
    mean, var = mydl.tensor([0.3, -0.2]).double(), mydl.tensor([0.5, 2.0]).double()
    return F.batch_norm(x, mean, var, weight, bias) ** 2


CASES: dict[str, list[tuple[Callable[..., Any], tuple[np.ndarray, ...]]]] = {
    "LeakyReLU": [(lambda x: F.leaky_relu(x, 0.1) ** 2, (apart(3, 4),))],
    "PReLU": [(lambda x, w: F.prelu(x, w) ** 2, (apart(2, 3, 2), shares(3)))],
    "ELU": [(lambda x: F.elu(x, 1.5), (apart(3, 4),)), (F.selu, (apart(3, 4),))],
    "GELU": [(F.gelu, (normal(3, 4),))],
    "GELUTanh": [(lambda x: F.gelu(x, approximate="tanh"), (normal(3, 4),))],
    "SiLU": [(F.silu, (normal(3, 4),))],
    "HardTanh": [
        (lambda x: F.hardtanh(x, -1.5, 2.0) ** 2, (apart(3, 4),)),
        (lambda x: F.relu6(x) ** 2, (apart(3, 4),)),
    ],
    "Hardswish": [(lambda x: F.hardswish(x) ** 2, (apart(3, 4),))],
    "Softmax": [(lambda x: F.softmax(x, 1), (normal(2, 3, 2),))],
    "LogSoftmax": [(lambda x: F.log_softmax(x, 0), (normal(3, 4),))],
    "CrossEntropy": [
        (lambda x: F.cross_entropy(x, mydl.tensor(LABELS), reduction="none"), (normal(4, 3),)),
        (
            lambda x: F.cross_entropy(
                x, mydl.tensor(LABELS), mydl.tensor([0.5, 2.0, 1.0]).double(), label_smoothing=0.2
            ),
            (normal(4, 3),),
        ),
    ],
    "ClampedLog": [(lambda p: F.cross_entropy_from_probs(p, mydl.tensor([2, 0])), (shares(2, 3),))],
    "BinaryCrossEntropy": [(F.binary_cross_entropy, (shares(3, 2), shares(2, 3).T.copy()))],
    "Dropout": [(dropped, (normal(3, 4),))],
    "Conv2D": [
        (lambda x, w, b: F.conv2d(x, w, b, **GEOMETRY) ** 2, (normal(2, 4, 4, 5), normal(4, 2, 3, 2), normal(4)))
    ],
    "Conv2DInputGrad": [
        (
            lambda g, w: Conv2DInputGrad.apply(g, w, shape=(1, 4, 4, 5), **GEOMETRY),
            (normal(1, 4, 2, 3), normal(4, 2, 3, 2)),
        )
    ],
    "Conv2DWeightGrad": [
        (
            lambda g, x: Conv2DWeightGrad.apply(g, x, shape=(4, 2, 3, 2), **GEOMETRY),
            (normal(1, 4, 2, 3), normal(1, 4, 4, 5)),
        )
    ],
    "Unfold": [(lambda x: F.unfold(x, (2, 3), dilation=(1, 1), padding=1, stride=2) ** 2, (normal(1, 2, 4, 5),))],
    "Fold": [(lambda x: F.fold(x, (4, 5), (2, 3), padding=1, stride=2) ** 2, (normal(1, 12, 9),))],
    "BatchNorm": [
        (
            lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True) ** 2,
            (normal(3, 2, 2), shares(2), normal(2)),
        ),
        (lambda x: F.batch_norm(x, None, None, training=True) ** 2, (normal(4, 2),)),
    ],
    "BatchNormEval": [(running, (normal(3, 2, 2), shares(2), normal(2)))],
    "Standardize": [(lambda x, w, b: F.layer_norm(x, (4,), w, b) ** 2, (normal(3, 4), shares(4), normal(4)))],
    "RootMeanSquare": [(lambda x, w: F.rms_norm(x, (4,), w) ** 2, (normal(3, 4), shares(4)))],
    "MaxPool2D": [(lambda x: F.max_pool2d(x, 2, 1, 1) ** 2, (apart(1, 2, 3, 4),))],
    "AvgPool2D": [
        (
            lambda x: F.avg_pool2d(x, (3, 2), 2, 1, ceil_mode=True, count_include_pad=False) ** 2,
            (normal(1, 2, 4, 5),),
        )
    ],
    "AvgPool2DGrad": [
        (lambda g: AvgPool2DGrad.apply(g, input_shape=(1, 2, 4, 4), **WINDOW) ** 2, (normal(1, 2, 3, 3),))
    ],
    "LSTMStep": [(lambda a, c: stepped(LSTMStep, a, c), (normal(2, 12), normal(2, 3)))],
    "GRUStep": [(lambda a, b, h: stepped(GRUStep, a, b, h), (normal(2, 9), normal(9, 2).T.copy(), normal(2, 3)))],
}
FLAT = [pytest.param(*case, id=f"{name}-{i}") for name, cases in CASES.items() for i, case in enumerate(cases)]


def leaves(arrays: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
    return tuple(mydl.tensor(array, requires_grad=True) for array in arrays)


def test_no_op_is_forgotten() -> None:
    found = set()
    for family in FAMILIES:
        module = importlib.import_module(f"mydl.ops.{family}")
        found |= {n for n, v in vars(module).items() if isinstance(v, type) and v.__module__ == module.__name__}
    assert found == {*CASES, "Step"}


@pytest.mark.parametrize(("function", "arrays"), FLAT)
def test_first_derivatives(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    assert gradcheck(function, leaves(arrays), atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize(("function", "arrays"), FLAT)
def test_second_derivatives(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    assert gradgradcheck(function, leaves(arrays), atol=1e-6, rtol=1e-4)


def test_the_step_has_no_slope() -> None:
    (x,) = leaves((apart(3, 4),))
    assert gradcheck(F.step, (x,))
    F.step(x).sum().backward()
    assert x.grad.tolist() == np.zeros((3, 4)).tolist()
