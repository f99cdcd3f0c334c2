"""Every op against central differences, first and second derivatives; every op keeps its dtype; none is forgotten."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mydl
from mydl.autograd import gradcheck, gradgradcheck
from mydl.autograd.op import Op
from mydl.ops.arithmetic import RoundedDiv
from mydl.ops.casting import Cast, Move
from mydl.ops.elementwise import Softplus, Stepwise
from mydl.ops.indexing import Embedding, Place, PlaceAt, PlaceDiagonal, Scatter
from mydl.ops.linalg import Linear
from mydl.ops.reduction import ArgReduce
from mydl.ops.shape import Pad

FAMILIES = ["arithmetic", "casting", "elementwise", "indexing", "linalg", "reduction", "shape", "trigonometry"]

INDEX = np.array([[0, 2], [1, 1]])
BACK = slice(None, None, 2)


def normal(*shape: int) -> np.ndarray:
    """Normal numbers, the same ones for a shape every time."""
    return np.random.default_rng(len(shape) * 100 + sum(shape)).standard_normal(shape)


def positive(*shape: int) -> np.ndarray:
    """Numbers from 0.5 to 1.5."""
    return np.random.default_rng(7).uniform(0.5, 1.5, shape)


def distinct(*shape: int) -> np.ndarray:
    """Numbers 0.37 apart in random order, none within 0.05 of a whole number or a half."""
    n = int(np.prod(shape))
    return ((np.random.default_rng(3).permutation(n) - n // 2) * 0.37 + 0.13).reshape(shape)


def put(x: Any, value: Any) -> Any:
    """A masked and an indexed write."""
    y = x * 1
    y[[0, 2], [1, 1]] = value
    y[y > 100] = 0.0
    return y


def put_view(x: Any, value: Any) -> Any:
    """A write through two views."""
    y = x * 1
    y.t()[1:, 0] = value
    y[0].mul_(value[0])
    return y * y


# Of each op the functions that use it, and the inputs: shapes that broadcast, no dimensions, a size of 1, a size of 0.
CASES: dict[str, list[tuple[Callable[..., Any], tuple[np.ndarray, ...]]]] = {
    "Add": [(lambda x, y: x + y, (normal(3, 1), normal(2))), (lambda x: x + 2, (normal(),))],
    "Sub": [(lambda x, y: x - y, (normal(2), normal(3, 1))), (lambda x: 2 - x, (normal(0, 2),))],
    "Mul": [(lambda x, y: x * y, (normal(2, 1, 3), normal(4, 1))), (lambda x, y: x * y * x, (normal(), normal(2)))],
    "Div": [(lambda x, y: x / y, (normal(3, 1), positive(2))), (lambda x: 2 / x, (positive(2, 2),))],
    "Pow": [
        (lambda x, y: x**y, (positive(3, 1), normal(2))), (lambda x: x**3, (normal(2, 2),)),
        (lambda x: 2**x, (normal(3),)),
        (lambda x: x**2, (normal(),)), (lambda x: x**-1.5, (positive(3),)), (lambda x: x**0, (normal(3),)),
    ],
    "Neg": [(lambda x: -x * x, (normal(2, 3),))],
    "Maximum": [(lambda x, y: mydl.maximum(x, y) ** 2, (distinct(3, 1), normal(4)))],
    "Minimum": [(lambda x, y: mydl.minimum(x, y) ** 2, (distinct(3, 1), normal(4)))],
    "Remainder": [(lambda x, y: x % y, (distinct(3, 4), positive(4) * 0.777))],
    "Fmod": [(lambda x, y: mydl.fmod(x, y), (distinct(3, 4), positive(4) * 0.777))],
    "Atan2": [(mydl.atan2, (distinct(3, 4), normal(4)))],
    "Hypot": [(mydl.hypot, (distinct(3, 4), normal(4)))],
    "RoundedDiv": [(lambda x: RoundedDiv.apply(x, 0.7, mode="floor") + x, (distinct(3),))],
    "Cast": [(lambda x: Cast.apply(x, dtype=x.dtype) * x, (normal(3),))],
    "Move": [(lambda x: Move.apply(x, where=x.device) * x, (normal(3),))],
    "Exp": [(mydl.exp, (normal(2, 3),)), (mydl.exp, (normal(),))],
    "Exp2": [(mydl.exp2, (normal(2, 3),))],
    "Expm1": [(mydl.expm1, (normal(2, 3),))],
    "Log": [(mydl.log, (positive(2, 3),))],
    "Log2": [(mydl.log2, (positive(2, 3),))],
    "Log10": [(mydl.log10, (positive(2, 3),))],
    "Log1p": [(mydl.log1p, (positive(2, 3),))],
    "Sqrt": [(mydl.sqrt, (positive(2, 3),)), (mydl.sqrt, (positive(),))],
    "Rsqrt": [(mydl.rsqrt, (positive(2, 3),))],
    "Reciprocal": [(mydl.reciprocal, (positive(2, 3),))],
    "Tanh": [(mydl.tanh, (normal(2, 3),))],
    "Sigmoid": [(mydl.sigmoid, (normal(2, 3),))],
    "Softplus": [(lambda x: Softplus.apply(x, beta=2.0, threshold=1.1), (distinct(2, 3),))],
    "Erf": [(mydl.erf, (normal(2, 3),)), (mydl.erfc, (normal(2, 3),))],
    "Abs": [(lambda x: mydl.abs(x) * x, (distinct(2, 3),))],
    "Stepwise": [(lambda x: Stepwise.apply(x, function="floor") + x, (distinct(2, 3),))],
    "ReLU": [(lambda x: mydl.relu(x) ** 2, (distinct(2, 3),))],
    "Clamp": [(lambda x: x.clamp(-0.6, 0.6) * x, (distinct(2, 3),)), (lambda x: x.clamp(max=0.2), (distinct(3),))],
    "Clone": [(lambda x: x.clone() * x, (normal(2),))],
    "Where": [(lambda x, y: mydl.where(y > 0, x, y) ** 2, (normal(2, 1), distinct(3)))],
    "Sin": [(mydl.sin, (normal(2, 3),))],
    "Cos": [(mydl.cos, (normal(2, 3),))],
    "Tan": [(mydl.tan, (positive(2, 3) - 0.8,))],
    "Asin": [(mydl.asin, (positive(2, 3) - 1,))],
    "Acos": [(mydl.acos, (positive(2, 3) - 1,))],
    "Atan": [(mydl.atan, (normal(2, 3),))],
    "Sinh": [(mydl.sinh, (normal(2, 3),))],
    "Cosh": [(mydl.cosh, (normal(2, 3),))],
    "Asinh": [(mydl.asinh, (normal(2, 3),))],
    "Acosh": [(mydl.acosh, (positive(2, 3) + 1,))],
    "Atanh": [(mydl.atanh, (positive(2, 3) - 1,))],
    "Sum": [
        (lambda x: x.sum() ** 2, (normal(2, 3),)), (lambda x: x.sum((0, -1)) ** 2, (normal(2, 3, 2),)),
        (lambda x: x.sum(1, keepdim=True) * x, (normal(2, 3),)), (lambda x: x.sum(0) * x, (normal(),)),
    ],
    "Mean": [(lambda x: x.mean(1) ** 2, (normal(2, 3),)), (lambda x: x.mean() ** 2, (normal(2, 1, 2),))],
    "Var": [
        (lambda x: x.var((0, 2), keepdim=True), (normal(2, 3, 2),)),
        (lambda x: x.var(unbiased=False), (normal(5),)),
    ],
    "Extremum": [(lambda x: x.amax((0, 2)) ** 2, (distinct(2, 3, 2),)), (lambda x: x.amin() ** 2, (distinct(4),))],
    "Picked": [(lambda x: x.max() ** 2, (distinct(2, 3),)), (lambda x: x.median() ** 2, (distinct(5),))],
    "Norm": [
        *((lambda x, p=p: x.norm(p, 1), (normal(2, 3),)) for p in (1, 2, 3, 0.5, -1, float("inf"))),
        (lambda x: x.norm(keepdim=True) * x, (normal(2, 3),)), (lambda x: x.norm(2, (0, 2)), (normal(2, 3, 2),)),
    ],
    "ArgReduce": [
        (lambda x: x.max(1).values ** 2, (distinct(2, 3),)),
        (lambda x: x.min(0, keepdim=True)[0] ** 2, (distinct(2, 3),)),
        (lambda x: ArgReduce.apply(x, largest=True, axis=0)[0] ** 2, (normal(),)),
    ],
    "Prod": [
        (lambda x: x.prod(), (normal(2, 3),)), (lambda x: x.prod(0, keepdim=True), (normal(2, 3),)),
        (lambda x: x.prod(1), (np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 1.5]]),)),
    ],
    "CumSum": [(lambda x: x.cumsum(1) ** 2, (normal(2, 3),)), (lambda x: x.cumsum(0) * x, (normal(),))],
    "CumProd": [
        (lambda x: x.cumprod(1), (normal(2, 3),)),
        (lambda x: x.cumprod(0), (np.array([[0.0, 2.0], [1.5, 0.0], [2.0, 1.0]]),)),
    ],
    "LogSumExp": [(lambda x: x.logsumexp((0, 1)), (normal(2, 3),)), (lambda x: x.logsumexp(0, True), (normal(2, 3),))],
    "Reshape": [(lambda x: x.reshape(3, -1) ** 2, (normal(2, 3),)), (lambda x: x.t().reshape(-1) * 2, (normal(2, 3),))],
    "Permute": [(lambda x: x.permute(2, 0, 1) ** 2, (normal(2, 3, 1),))],
    "Expand": [(lambda x: x.expand(4, -1, 2) ** 2, (normal(3, 1),))],
    "Concatenate": [(lambda x, y: mydl.cat([x, y, x], 1) ** 2, (normal(2, 3), normal(2, 0)))],
    "Stack": [(lambda x, y: mydl.stack([x, y], -1) ** 2, (normal(2), normal(2)))],
    "Split": [
        (lambda x: x.split([1, 2], 1)[1] ** 2, (normal(2, 3),)),
        (lambda x: x.chunk(2)[0] * x.chunk(2)[1], (normal(4),)),
    ],
    "Unbind": [(lambda x: x.unbind(1)[0] * x.unbind(1)[2], (normal(2, 3),))],
    "Flip": [(lambda x: x.flip(0, 1) * x, (normal(2, 3),))],
    "Roll": [(lambda x: x.roll(1) * x, (normal(2, 3),)), (lambda x: x.roll((1, 2), (0, 1)) * x, (normal(2, 3),))],
    "Pad": [(lambda x: Pad.apply(x, widths=((1, 0), (-1, 2))) ** 2, (normal(2, 3),))],
    "Slice": [(lambda x: x[1:, None, ::2] ** 2, (normal(3, 3),)), (lambda x: x[0, 1] ** 2, (normal(2, 2),))],
    "Place": [(lambda x: Place.apply(x, key=(BACK,), shape=(4,)) ** 2, (normal(2),))],
    "Take": [(lambda x: x[:, [0, 0, 2]] ** 2, (normal(2, 3),)), (lambda x: x[x > 0] ** 2, (distinct(2, 3),))],
    "PlaceAt": [(lambda x: PlaceAt.apply(x, key=(x.xp.asarray([1, 1, 0]),), shape=(3,)) ** 2, (normal(3),))],
    "Gather": [(lambda x: x.gather(1, mydl.tensor(INDEX)) ** 2, (normal(2, 3),))],
    "Scatter": [(lambda x: Scatter.apply(x, index=x.xp.asarray(INDEX), axis=1, shape=(2, 3)) ** 2, (normal(3, 2),))],
    "ScatterPut": [(lambda x, y: x.scatter(1, mydl.tensor([[0, 2], [1, 0]]), y) ** 2, (normal(3, 3), normal(2, 3)))],
    "Diagonal": [(lambda x: x.diagonal(1, 2, 0) ** 2, (normal(3, 2, 3),))],
    "PlaceDiagonal": [
        (lambda x: PlaceDiagonal.apply(x, shape=(3, 2, 3), offset=1, axis1=0, axis2=2) ** 2, (normal(2, 2),))
    ],
    "Put": [(lambda x, y: put(x, y) ** 2, (normal(3, 2), normal(2)))],
    "PutView": [(put_view, (normal(3, 2), normal(1)))],
    "Embedding": [
        (
            lambda w: Embedding.apply(w, index=w.xp.asarray(INDEX), padding=None, by_frequency=False) ** 2,
            (normal(4, 2),),
        ),
    ],
    "MatMul": [
        (lambda x, y: x @ y, (normal(2, 3), normal(3, 2))), (lambda x, y: x @ y, (normal(3), normal(3))),
        (lambda x, y: x @ y, (normal(2, 3), normal(3))), (lambda x, y: x @ y, (normal(3), normal(2, 3, 2))),
        (lambda x, y: x @ y, (normal(2, 1, 2, 3), normal(2, 3, 1))), (lambda x, y: x @ y, (normal(2, 0), normal(0, 2))),
    ],
    "Solve": [
        (lambda a, b: mydl.linalg.solve(a, b), (normal(3, 3) + 3 * np.eye(3), normal(3, 2))),
        (lambda a, b: mydl.linalg.solve(a, b), (normal(2, 3, 3) + 3 * np.eye(3), normal(1, 3, 1))),
        (lambda a: mydl.linalg.inv(a), (normal(2, 2) + 3 * np.eye(2),)),
    ],
    "SLogDet": [
        (lambda a: mydl.linalg.slogdet(a)[1], (normal(2, 3, 3) + 3 * np.eye(3),)),
        (lambda a: mydl.linalg.det(a), (normal(3, 3) - 3 * np.eye(3),)),
    ],
    "Linear": [
        (lambda x, w, b: Linear.apply(x, w, b) ** 2, (normal(2, 2, 3), normal(4, 3), normal(4))),
        (lambda x, w: Linear.apply(x, w, None) ** 2, (normal(3), normal(2, 3))),
    ],
}  # fmt: skip

FLAT = [
    pytest.param(f, arrays, id=f"{name}-{i}") for name, cases in CASES.items() for i, (f, arrays) in enumerate(cases)
]


def leaves(arrays: tuple[np.ndarray, ...], dtype: Any = np.float64) -> tuple[Any, ...]:
    """Fresh leaves that want a gradient."""
    return tuple(mydl.tensor(a.astype(dtype), requires_grad=True) for a in arrays)


def test_no_op_is_forgotten() -> None:
    found = set()
    for family in FAMILIES:
        module = importlib.import_module(f"mydl.ops.{family}")
        found |= {n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, Op) and v is not Op}
    assert found == set(CASES)


@pytest.mark.parametrize(("function", "arrays"), FLAT)
def test_first_derivatives(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    assert gradcheck(function, leaves(arrays), atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize(("function", "arrays"), FLAT)
def test_second_derivatives(function: Callable[..., Any], arrays: tuple[np.ndarray, ...]) -> None:
    assert gradgradcheck(function, leaves(arrays), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("function", "arrays"), FLAT)
def test_dtype_is_kept(function: Callable[..., Any], arrays: tuple[np.ndarray, ...], dtype: Any) -> None:
    inputs = leaves(arrays, dtype)
    result = function(*inputs)
    assert result.dtype == dtype
    result.backward(mydl.ones_like(result), create_graph=True)
    for x in inputs:
        assert x.grad.dtype == dtype
        assert x.grad.shape == x.shape
        second = second_of(x)
        assert second is None or second.dtype == dtype


def second_of(x: Any) -> Any:
    """The derivative of the sum of x's gradient by x, None where there is none."""
    if not x.grad.requires_grad:
        return None
    return mydl.autograd.grad(x.grad.sum(), x, retain_graph=True, allow_unused=True)[0]


def test_half_sums_are_gathered_in_single_precision() -> None:
    ones = mydl.ones(3, 4096, dtype=mydl.float16)
    assert ones.sum(1).tolist() == [4096.0] * 3
    assert ones.t().sum(0).tolist() == [4096.0] * 3
    assert float(ones[0].cumsum(0)[-1]) == 4096.0
    for create_graph in (False, True):  # a gradient summed over what was broadcast
        bias = mydl.zeros(3, dtype=mydl.float16, requires_grad=True)
        (mydl.zeros(8192, 3, dtype=mydl.float16) + bias).backward(ones[0, 0].expand(8192, 3), create_graph=create_graph)
        assert bias.grad.tolist() == [8192.0] * 3
        assert bias.grad.dtype == mydl.float16


def test_norm_of_half_does_not_overflow() -> None:
    assert mydl.tensor([300.0, 400.0], dtype=mydl.float16).norm().item() == 500.0
