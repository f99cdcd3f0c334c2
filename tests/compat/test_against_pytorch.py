"""Tensor functions and methods against PyTorch: one row an op or option, outputs, dtypes, first and second derivatives.

A row is an expression that both libraries evaluate, `m` being the library and x, y, z the inputs, and the inputs'
shapes or values. `python -m pytest tests/compat --collect-only -q | tail -1` prints the count of rows.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import mydl

torch = pytest.importorskip("torch")

Draw = Callable[[np.random.Generator], np.ndarray]


def normal(*shape: int) -> Draw:
    """Normal numbers of both signs."""
    return lambda rng: rng.standard_normal(shape)


def positive(*shape: int) -> Draw:
    """Numbers from 0.5 to 2."""
    return lambda rng: rng.uniform(0.5, 2, shape)


def unit(*shape: int) -> Draw:
    """Numbers from -0.9 to 0.9."""
    return lambda rng: rng.uniform(-0.9, 0.9, shape)


def spread(*shape: int) -> Draw:
    """Numbers apart from each other and from whole numbers, in random order."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        n = math.prod(shape)
        return ((rng.permutation(n) - n // 2) * 0.37 + 0.13).reshape(shape)

    return draw


def ints(low: int, high: int, *shape: int) -> Draw:
    """Whole numbers, int64."""
    return lambda rng: rng.integers(low, high, shape)


def bools(*shape: int) -> Draw:
    """True and False."""
    return lambda rng: rng.random(shape) < 0.5


def const(*values: Any, dtype: Any = np.float64) -> Draw:
    """The given values."""
    return lambda rng: np.array(values, dtype).reshape(np.shape(values[0]) if len(values) == 1 else (len(values),))


def array(value: Any, dtype: Any = np.float64) -> Draw:
    """The given nested list."""
    return lambda rng: np.array(value, dtype)


@dataclass
class Row:
    """One expression and the inputs that it is evaluated on; `grad` False for what PyTorch does not differentiate."""

    code: str
    draws: tuple[Draw, ...]
    grad: bool = True
    second: bool = True
    statement: bool = False  # executed, for what it does to w = x * 1

    def __str__(self) -> str:
        return self.code


ROWS: list[Row] = []


def row(code: str, *draws: Draw, **options: bool) -> None:
    """Add one row."""
    ROWS.append(Row(code, draws, **options))


def rows(codes: str, *draws: Draw, **options: bool) -> None:
    """Add a row for each line of `codes`."""
    for line in codes.strip().splitlines():
        row(line.strip(), *draws, **options)


A, B, C = normal(3, 4), normal(3, 4), normal(4)
NAN, INF = float("nan"), float("inf")
ODD = const(-INF, -2.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, INF, NAN)

# Arithmetic: equal shapes, broadcasting both ways, 0-d, zero-size, numbers.
for shapes in [
    ((3, 4), (3, 4)),
    ((3, 1), (4,)),
    ((2, 1, 4), (3, 1)),
    ((), (3,)),
    ((), ()),
    ((0, 3), (3,)),
    ((0, 1), (1, 3)),
]:
    for code in ("x + y", "x - y", "x * y", "x / y", "m.maximum(x, y)", "m.minimum(x, y)", "m.atan2(x, y)"):
        row(code, *(spread(*s) for s in shapes))
    row("x ** y", positive(*shapes[0]), normal(*shapes[1]))
rows("""
    x + 2
    2 - x
    x * 2.5
    2.5 / x
    x / 3
    -x
    +x
    abs(x)
    x ** 2
    x ** 3
    x ** 1
    x ** 0
    x ** -1
    x ** -2.5
    x ** 0.5
    2 ** x
    0.5 ** x
    m.add(x, 2, alpha=3)
    m.sub(x, 2, alpha=3)
    x.sub(1.5)
    m.mul(x, 3)
    m.div(x, 3)
    m.true_divide(x, 3)
    m.pow(x, 2)
    m.pow(2.0, x)
    m.neg(x)
    x.negative()
    m.rsub(x, 2)
    m.square(x)
    m.reciprocal(x)
    m.sqrt(x)
    m.rsqrt(x)
    m.exp(x)
    m.exp2(x)
    m.expm1(x)
    m.log(x)
    m.log2(x)
    m.log10(x)
    m.log1p(x)
    x.exp().log()
    m.sin(x)
    m.cos(x)
    m.tan(x)
    m.sinh(x)
    m.cosh(x)
    m.asinh(x)
    m.atan(x)
    m.tanh(x)
    m.sigmoid(x)
    m.erf(x)
    m.relu(x)
    m.abs(x)
    m.absolute(x)
    x.sin().cos().tan()
    m.nn.functional.relu(x)
""", positive(3, 4))  # fmt: skip
rows("m.asin(x)\nm.acos(x)\nm.atanh(x)\nm.arcsin(x)\nx.arccos()", unit(3, 4))
rows("m.acosh(x + 1)\nm.arccosh(x + 1)", positive(3, 4))
rows("""
    m.add(x, y, alpha=0.5)
    m.sub(x, y, alpha=0.5)
    m.lerp(x, y, 0.3)
    m.lerp(x * 1e8, y, 0.9)
    m.lerp(x, y, 1.0)
    m.lerp(x * 1e8, y, y.sigmoid())
    m.hypot(x * 1e30, y * 1e30)
    m.hypot(x * 1e-30, y * 1e-30)
    m.addcmul(x, x, y, value=0.5)
    m.addcdiv(x, x, y, value=0.5)
    m.remainder(x, y)
    m.fmod(x, y)
    x % y
    x % 2
    m.div(x, y, rounding_mode='floor')
    m.div(x, y, rounding_mode='trunc')
    x.div(0.7, rounding_mode='floor')
""", spread(3, 4), spread(4))  # fmt: skip
rows("7.5 % y\nx // y\nx // 0.7\n3.7 // x\nm.floor_divide(x, y)", spread(3, 4), spread(4), grad=False)
rows("""
    m.floor(x)
    m.ceil(x)
    m.round(x)
    m.trunc(x)
    m.fix(x)
    m.frac(x)
    m.sign(x)
    m.round(x, decimals=1)
    m.round(x * 100, decimals=-1)
    x.floor()
    x.round()
""", spread(3, 4), second=False)  # fmt: skip
# The same at the corners: signed zeros, halves, infinities, NaN; first derivatives are compared there too.
rows("""
    m.exp(x)
    m.expm1(x)
    m.log(x)
    m.log1p(x)
    m.sqrt(x)
    m.rsqrt(x)
    m.abs(x[:-1])
    m.sign(x)
    m.floor(x)
    m.ceil(x)
    m.round(x)
    m.trunc(x)
    m.tanh(x)
    m.sigmoid(x)
    m.relu(x)
    m.erf(x)
    m.sin(x)
    m.atan(x)
    m.sinh(x)
    m.square(x)
    m.reciprocal(x)
    x ** 2
    x ** 3
    x ** 0
    x ** -1
    x[5:] ** 0.5
    2 ** x
    m.clamp(x, -1, 1.5)
    m.clamp(x, min=-0.5)
    m.clamp(x, max=0.5)
    m.nan_to_num(x)
    m.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-2.0)
    m.maximum(x, m.zeros_like(x))
    m.minimum(x, m.zeros_like(x))
    m.cumsum(x[4:9], 0)
    m.nansum(x[1:])
""", ODD, second=False)  # fmt: skip
rows("""
    m.isnan(x)
    m.isinf(x)
    m.isfinite(x)
    x == x
    x != x
    x < 0.5
    x >= 0
    m.logical_not(x)
    m.amax(x)
    x.max(0).values
    x.max(0).indices
    x.min(0).values
    x.min(0).indices
    x.argmax()
    x.argmin()
    m.median(x)
    m.median(x, 0).values
    m.sort(x).values
    m.sort(x, descending=True).values
    m.argsort(x[1:4])
    m.topk(x, 3).values
    m.topk(x[:-1], 3, largest=False).values
    x.sum()
    x.mean()
    x.prod()
    m.nansum(x)
    m.nanmean(x)
    m.logsumexp(x[:-1], 0)
    m.logsumexp(x[:1], 0)
    m.remainder(x, 1.5)
    m.fmod(x, 1.5)
    x // 1.5
    x // 0
    m.softmax(x[1:-2], 0)
    m.unique(x[1:-1])
    m.atan2(x, m.zeros_like(x))
    m.norm(x)
    m.allclose(x, x, equal_nan=True)
    m.allclose(x, x)
    m.isclose(x, x + 1e-9)
    m.equal(x, x)
""", ODD, grad=False)  # fmt: skip
row("m.norm(x)", array([0.0, 0.0]), second=False)
row("m.norm(x, dim=1)", array([[0.0, 0.0], [3.0, -4.0]]), second=False)
row("m.std(x, 1)", array([[1.0, 1.0], [3.0, -4.0]]), second=False)
row("m.prod(x)", array([0.0, 2.0, 3.0]))
row("m.prod(x)", array([0.0, 2.0, 0.0]))
row("m.prod(x, 1)", array([[0.0, 2.0, 0.5], [0.0, 2.0, 0.0], [1.0, 2.0, 3.0]]))
row("m.cumprod(x, 1)", array([[0.0, 2.0, 0.5], [1.5, 0.0, 0.0], [1.0, 2.0, 3.0]]))
row("m.cumprod(x, 0)", array([[0.0, 2.0, 0.5], [1.5, 0.0, 0.0], [1.0, 2.0, 3.0]]))
row("m.amax(x, 1)", array([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]]))
row("m.max(x)", array([[1.0, 3.0, 0.0], [2.0, 3.0, 3.0]]))
row("m.maximum(x, y)", array([1.0, 2.0]), array([1.0, 3.0]))

# Clamp with tensors, where, logic.
rows("""
    m.clamp(x, y, z)
    m.clamp(x, min=y)
    m.clamp(x, max=y)
    m.clip(x, -1, 1)
    x.clamp(0)
    m.clamp_min(x, 0.2)
    m.clamp_max(x, 0.2)
    m.where(x > 0, x, y)
    m.where(x > 0, x, 0.0)
    m.where(x > 0, 1.0, x)
    x.where(x > 0, y)
    m.where(x[:, :1] > 0, x, y[0])
""", spread(3, 4), normal(3, 4), positive(3, 4))  # fmt: skip
rows("""
    m.where(x > 0, 1.0, 0.0)
    m.where(x > 0, 1, 0)
    m.where(x > 0)[0]
    x > y
    m.gt(x, y)
    x.ge(0)
    x.le(y[0])
    x.lt(0.3)
    x.eq(x)
    x.ne(y)
    m.logical_and(x > 0, y > 0)
    m.logical_or(x > 0, y)
    m.logical_xor(x, y > 0)
    (x > 0) & (y > 0)
    (x > 0) | (y > 0)
    (x > 0) ^ (y > 0)
    ~(x > 0)
    m.isclose(x, y, atol=1.0)
    (x > 0).all()
    (x > 0).any(1)
    (x > 0).all(dim=0, keepdim=True)
    m.any(x)
    m.all(x, 1)
    m.any(x > 0, dim=(0, 1))
    m.count_nonzero(x > 0)
    m.count_nonzero(x > 0, dim=1)
""", A, B, grad=False)  # fmt: skip

# Reductions.
for draw in (normal(3, 4), normal(2, 3, 2), normal(5), normal()):
    rows("""
        x.sum()
        x.mean()
        x.amax()
        x.amin()
        x.max()
        x.min()
        x.prod()
        x.sum(-1)
        x.mean(0)
        x.sum(0, keepdim=True)
        x.sum(dim=-1, dtype=m.float32)
        x.amax(-1, keepdim=True)
        x.amin(0)
        x.max(-1).values
        x.max(0, keepdim=True)[0]
        x.min(-1)[0]
        x.prod(-1)
        x.prod(0, keepdim=True)
        x.logsumexp(-1)
        m.logsumexp(x, 0, keepdim=True)
        x.norm()
        x.norm(dim=-1)
        x.cumsum(-1)
        x.cumsum(0)
        x.cumprod(-1)
        x.median()
        x.median(-1).values
        x.sort(-1).values
        x.sort(0, descending=True)[0]
        x.topk(1, -1)[0]
        m.softmax(x, -1)
        m.log_softmax(x, -1)
        m.softmax(x, 0)
        x.log_softmax(0)
    """, draw)  # fmt: skip
    rows("""
        x.argmax()
        x.argmin(-1)
        x.argmax(0, keepdim=True)
        x.argmax(keepdim=True)
        x.max(-1).indices
        x.sort(-1).indices
        x.argsort(0)
        x.argsort(-1, descending=True)
        x.median(-1).indices
        x.topk(1)[1]
    """, draw, grad=False)  # fmt: skip
for draw in (normal(3, 4), normal(2, 3, 2), normal(5)):
    rows("""
        x.var()
        x.std()
        x.var(-1)
        x.std(0, keepdim=True)
        x.var(unbiased=False)
        x.var(0, unbiased=False)
        x.var(-1, True, True)
        x.std(-1, correction=0)
        m.var(x, dim=0, correction=2)
        m.var_mean(x, -1)[0]
        m.std_mean(x, -1)[1]
    """, draw)  # fmt: skip
rows("""
    x.sum((0, -1))
    x.sum([0, 2], keepdim=True)
    x.sum(())
    x.sum(dim=None)
    x.mean((1, 2), keepdim=True)
    x.amax((0, 2))
    x.amin((-1, -2), keepdim=True)
    x.var((0, 2))
    x.std((0, 1), unbiased=False)
    x.logsumexp((0, 2))
    x.norm(dim=(0, 2))
    x.norm(p=1)
    x.norm(p=3)
    x.norm(3, 1)
    x.norm(0.5)
    x.norm(float('inf'))
    x.norm(float('-inf'), dim=1)
    x.norm('fro', dim=(0, 1), keepdim=True)
    m.norm(x, 1.5, -1, True)
    m.nansum(x, 1)
    m.nanmean(x, (0, 1))
    m.aminmax(x, dim=0)[1]
    m.diff(x)
    m.diff(x, dim=1)
    m.diff(x, n=2, dim=1)
    m.cumsum(x, 1)
    m.cumprod(x, 1)
    m.kthvalue(x, 2, 1)[0]
    m.topk(x, 2, dim=1)[0]
    m.topk(x, 2, 1, False)[0]
    m.sort(x, dim=1, descending=True)[0]
    m.msort(x)
    m.max(x, x.flip(0))
    m.min(x, x.flip(0))
    x.max(dim=1, keepdim=True)[0]
""", spread(2, 3, 4))  # fmt: skip
row("x.norm(0)", normal(5), grad=False)
row("m.unique(x)", ints(0, 4, 3, 4), grad=False)
row("m.unique(x, return_inverse=True)[1]", ints(0, 4, 3, 4), grad=False)
row("m.unique(x, return_inverse=True, return_counts=True)[2]", ints(0, 4, 3, 4), grad=False)
row("m.unique(x, dim=0)", ints(0, 2, 6, 2), grad=False)
row("m.bincount(x, minlength=7)", ints(0, 5, 9), grad=False)
row("m.bincount(x, y)", ints(0, 5, 9), normal(9), grad=False)
for draw in (normal(0), normal(0, 3), normal(3, 0)):
    rows("""
    x.sum()
    x.mean()
    x.prod()
    x.sum(0)
    x.sum(-1)
    x.prod(0)
    x.cumsum(0)
    x.logsumexp(0)
    x.norm()
    x.relu()
    x * 2
""", draw)  # fmt: skip
    rows("x.mean(-1)\nx.any()\nx.all(0)\nx.argsort(0)\nx.sort(0)[0]\nm.nonzero(x)\nx.flatten()", draw, grad=False)

# Products.
rows("m.matmul(x, y)\nx @ y\nx.matmul(y)\nm.mm(x, y)\nx.mm(y)", normal(3, 4), normal(4, 2))
for shapes in [
    ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 3)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)), ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((1, 3, 4), (2, 4, 5)), ((0, 4), (4, 3)),
    ((3, 0), (0, 2)), ((2, 0, 3), (2, 3, 4)), ((1, 1), (1, 1)),
]:  # fmt: skip
    row("x @ y", *(normal(*s) for s in shapes))
rows("m.bmm(x, y)\nx.bmm(y)", normal(2, 3, 4), normal(2, 4, 5))
rows("m.mv(x, y)\nx.mv(y)", normal(3, 4), normal(4))
rows("m.dot(x, y)\nm.inner(x, y)\nm.outer(x, y)\nx.dot(y)", normal(4), normal(4))
rows("m.inner(x, y)", normal(2, 4), normal(3, 4))
rows(
    "m.addmm(z, x, y)\nm.addmm(z, x, y, beta=0.5, alpha=2)\nz.addmm(x, y, beta=0)",
    normal(3, 4),
    normal(4, 2),
    normal(2),
)
rows("m.addmv(z, x, y, alpha=0.5)", normal(3, 4), normal(4), normal(3))
rows("m.baddbmm(z, x, y)\nm.baddbmm(z, x, y, beta=2, alpha=0.5)", normal(2, 3, 4), normal(2, 4, 5), normal(1, 5))
rows("m.tensordot(x, y)\nm.tensordot(x, y, dims=([1, 2], [0, 1]))", normal(2, 3, 4), normal(3, 4, 5))
rows("m.tensordot(x, y, dims=0)\nm.tensordot(x, y, ([0], [1]))\nm.tensordot(x, y, dims=1)", normal(3, 3), normal(3, 3))
rows("""
    m.einsum('ij,jk->ik', x, y)
    m.einsum('ij,jk', x, y)
    m.einsum('ij, jk -> ki', x, y)
    m.einsum('ij,jk->', x, y)
    m.einsum('ij,kl->ijkl', x, y)
    m.einsum('ij,jk->j', x, y)
    m.einsum('ij,jk->ijk', [x, y])
    m.einsum('...j,j...->...', x, y)
    m.einsum(x, [0, 1], y, [1, 2], [0, 2])
    m.einsum(x, [0, 1], y, [1, 2])
    m.einsum('ij->ji', x)
    m.einsum('ij->', x)
    m.einsum('ij->i', x)
    m.einsum('ba', x)
""", normal(3, 4), normal(4, 3))  # fmt: skip
rows(
    "m.einsum('ii->i', x)\nm.einsum('ii', x)\nm.einsum('ii,ij->j', x, y)\nm.einsum('ij,ij->ij', x, y)",
    normal(3, 3),
    normal(3, 3),
)
rows("""
    m.einsum('bij,bjk->bik', x, y)
    m.einsum('...ij,...jk->...ik', x, y)
    m.einsum('bij,bjk->ik', x, y)
    m.einsum('bij,bkl->bil', x, y)
""", normal(2, 3, 4), normal(2, 4, 5))  # fmt: skip
row("m.einsum('bhqd,bhkd->bhqk', x, y)", normal(2, 2, 3, 4), normal(2, 2, 5, 4))
row("m.einsum('...ij,jk->...ik', x, y)", normal(2, 1, 3, 4), normal(4, 5))
row("m.einsum('...i,...i->...', x, y)", normal(2, 1, 4), normal(3, 4))
row("m.einsum('bn,anm,bm->ba', x, y, z)", normal(2, 3), normal(5, 3, 4), normal(2, 4))
row("m.einsum('ij,ij->i', x, y)", normal(3, 1), normal(3, 4))
row("m.einsum('iij->j', x)", normal(3, 3, 2))
row("m.einsum('i,->i', x, y)", normal(3), normal())

# Shapes.
rows("""
    x.reshape(4, 6)
    x.reshape((4, -1))
    m.reshape(x, (-1,))
    x.view(6, 4)
    x.view(-1, 2, 2)
    x.view_as(x)
    x.reshape_as(x.reshape(24))
    x.flatten()
    x.flatten(1)
    m.flatten(x, 0, 1)
    x.flatten(-2, -1)
    x.ravel()
    x.unflatten(-1, (2, 2))
    m.unflatten(x, 1, (3, -1))
    x.permute(2, 0, 1)
    m.permute(x, (-1, 1, 0))
    x.transpose(0, 2)
    x.transpose(-1, -2)
    x.swapaxes(0, 1)
    m.swapdims(x, 0, -1)
    x.movedim(0, -1)
    m.movedim(x, (0, 1), (2, 0))
    m.moveaxis(x, -1, 0)
    x.mT
    x.unsqueeze(0)
    x.unsqueeze(-1)
    m.unsqueeze(x, 2)
    x[:, :1].squeeze()
    x[:, :1].squeeze(1)
    x[:, :1].squeeze((0, 1))
    x.squeeze(0)
    x[:1, :1].squeeze(-2)
    x.expand(2, 2, 3, 4)
    x[:, :1].expand(-1, 5, -1)
    x[:1].expand_as(x)
    m.broadcast_to(x, (3, 2, 3, 4))
    m.broadcast_tensors(x, x[0, 0])[1]
    x.narrow(1, 1, 2)
    m.narrow(x, -1, -3, 2)
    x.select(1, 2)
    m.select(x, -1, -1)
    m.cat([x, x], 1)
    m.cat((x, x * 2, x[:1]))
    m.cat([x, m.zeros(0, dtype=m.float64)])
    m.concat([x, x], dim=-1)
    m.concatenate([x, x], axis=0)
    m.stack([x, x], axis=1)
    x.cumsum(axis=1)
    m.cumprod(x, axis=0)
    x.softmax(axis=-1)
    m.log_softmax(x, axis=0)
    x.unsqueeze(axis=1).squeeze(axis=1)
    (x > 0).any(axis=1)
    m.all(x > 0, axis=0)
    x.std(axis=0, keepdims=True)
    m.var(x, axis=1, keepdims=True)
    x.max(axis=1, keepdims=True)[0]
    m.argmin(x, axis=1, keepdims=True)
    m.stack([x, x * 2])
    m.stack((x, x), dim=-1)
    m.stack([x, x], 1)
    m.hstack([x, x])
    m.vstack([x, x])
    m.dstack([x, x])
    m.hstack([x[0, 0], x[1, 1]])
    m.vstack([x[0, 0], x[1, 1]])
    m.dstack([x[0, 0], x[1, 1]])
    m.split(x, 2, dim=1)[1]
    x.split(3, -1)[0] * x.split(3, -1)[1]
    x.split([1, 2], 1)[1]
    x.chunk(2)[0]
    m.chunk(x, 3, dim=2)[-1]
    x.chunk(5, 1)[2]
    m.tensor_split(x, 3, dim=2)[0]
    m.tensor_split(x, (1, 2), dim=1)[1]
    x.unbind()[1]
    m.unbind(x, -1)[0] * m.unbind(x, -1)[2]
    x.repeat(2, 1, 3)
    x.repeat(2, 1, 1, 2)
    x[0, 0].repeat(3)
    x.tile(2)
    m.tile(x, (2, 2))
    x.tile((1, 2, 1, 1, 2))
    x.repeat_interleave(2)
    m.repeat_interleave(x, 3, dim=1)
    m.repeat_interleave(x, m.tensor([0, 2, 1]), dim=1)
    x.flip(0)
    x.flip(0, -1)
    m.flip(x, [1])
    m.flip(input=x, dims=(0,))
    m.tile(x, dims=(2, 1))
    m.reshape(input=x, shape=(4, 6))
    x.view(size=(6, 4))
    m.permute(input=x, dims=(1, 0, 2))
    x.expand(size=(2, 2, 3, 4))
    x.repeat(repeats=(2, 1, 1))
    m.fliplr(x)
    x.flipud()
    x.roll(1)
    x.roll(2, 1)
    m.roll(x, (1, -1), (0, 2))
    m.rot90(x)
    m.rot90(x, -1, (1, 2))
    x.rot90(2, [0, 2])
    m.rot90(x, 3)
    x.contiguous()
    x.transpose(0, 1).contiguous()
    x.transpose(0, 1).reshape(-1)
    x.clone()
    x.tril()
    m.triu(x, 1)
    x.tril(-1)
    m.triu(x, diagonal=-2)
    x.diagonal()
    x.diagonal(1, 1, 2)
    m.diagonal(x, offset=-1, dim1=-1, dim2=0)
    m.diag_embed(x)
    m.diag_embed(x, 1, 0, -1)
    m.diag_embed(x, -1, 2, 1)
    m.diag_embed(x[0], offset=1)
    x.index_select(1, m.tensor([2, 0, 2]))
    m.index_select(x, -1, m.tensor([0]))
    m.take(x, m.tensor([[0, 5], [23, -1]]))
    m.masked_fill(x, x > 0, 0.5)
    x.masked_fill(x[0] > 0, -1)
    m.masked_select(x, x > 0)
    x.masked_select(x[0] > 0)
    m.index_add(x, 1, m.tensor([0, 0, 2]), x, alpha=2)
    m.index_add(x, 0, m.tensor([1]), x[:1])
    x.index_copy(1, m.tensor([2, 0]), x[:, :2])
    x.index_fill(1, m.tensor([0, 2]), 3.0)
    m.masked_scatter(x, x > 0, x.flatten())
""", normal(2, 3, 4))  # fmt: skip
rows("""
    x.reshape(())
    x.reshape(1)
    x.view(1, 1)
    x.squeeze()
    x.unsqueeze(0)
    x.flatten()
    x.expand(3)
    x.repeat(2)
    x.t()
    x.T
""", normal())  # fmt: skip
rows("""
    x.flip(())
    x.squeeze(0)
    x.clone()
    x.repeat(())
    x.tile(2)
    x.tile(())
    x.roll(1)
    x.movedim(0, 0)
    x.ravel()
""", normal())  # fmt: skip
rows("""
    x.t()
    x.T
    m.t(x)
    x.mT
    m.trace(x)
    x.trace()
    m.diag(x)
    x.diag(1)
    m.diag(x, -2)
    x.diagonal(offset=5)
""", normal(3, 4))  # fmt: skip
rows("m.diag(x)\nm.diag(x, 2)\nx.diag(-1)\nx.t()\nx.diag_embed()", normal(3))
rows(
    "m.meshgrid(x, y, indexing='ij')[0]\nm.meshgrid(x, y, indexing='xy')[1]\nm.meshgrid([x, y], indexing='ij')[1]",
    normal(3),
    normal(2),
)
rows("""
    x.reshape(2, 0)
    x.flatten()
    x.expand(2, 0, 2)
    m.cat([x, x], 1)
    x.split(2)[0]
    x.flip(0)
    x.repeat(2, 2)
    x.T
    x.unsqueeze(1)
""", normal(0, 2))  # fmt: skip
rows("m.tril_indices(3, 4)\nm.triu_indices(3, 4, 1)\nm.tril_indices(3, 3, offset=-1)", grad=False)

# Gather and scatter.
for code in ("m.gather(x, 1, y)", "x.gather(-1, y)", "m.take_along_dim(x, y, 1)"):
    row(code, normal(3, 4), ints(0, 4, 3, 5))
row("m.gather(x, 0, y)", normal(3, 4), ints(0, 3, 2, 3))
row("m.gather(x, 2, y)", normal(3, 4, 2), ints(0, 2, 1, 2, 3))
row("x.gather(0, y)", normal(), ints(0, 1, 3))
row("m.take_along_dim(x, y, dim=0)", normal(3, 1), ints(0, 3, 2, 4))
row("m.take_along_dim(x, y)", normal(3, 4), ints(0, 12, 5))
row("m.take_along_dim(x, m.argsort(x, 1), 1)", normal(3, 4))
rows("m.scatter_add(x, 1, y, z)\nx.scatter_add(-1, y, z)", normal(3, 4), ints(0, 4, 3, 5), normal(3, 5))
row("m.scatter(x, 1, y, z, reduce='add')", normal(3, 4), ints(0, 4, 3, 5), normal(3, 5), grad=False)
row("m.scatter_add(x, 0, y, z)", normal(3, 4), ints(0, 3, 2, 3), normal(4, 5), grad=False)
row("m.scatter(x, 1, y, z)", normal(2, 4), array([[0, 3], [2, 1]], np.int64), normal(2, 2))
row("x.scatter(1, y, z)", normal(2, 4), array([[0, 3]], np.int64), normal(2, 3), grad=False)
row("x.scatter(1, y, 2.5)", normal(2, 4), array([[0, 3], [2, 1]], np.int64))
row("m.scatter(x, 0, y, 1)", normal(3), array([1], np.int64))
row("m.scatter(x, 0, y, value=1.5)", normal(3), array([1], np.int64))
row("m.scatter(x * 1, 0, y, z)", normal(), array([0], np.int64), normal(1), second=False)
row("x / y", array([3, 1], np.uint8), array(-1, np.int64), grad=False)
rows("x.sum(dtype=m.int32)\nx.sum(0, dtype=m.int16)\nx.prod(dtype=m.int32)", ints(0, 4, 2, 3), grad=False)
row("m.inference_mode(False)(lambda: (x * 2).requires_grad)()", normal(3))
row("m.inference_mode(mode=True)(lambda: (x * 2).requires_grad)()", normal(3))
row("m.randint(high=3, size=(2,)).shape == (2,)", normal(3), grad=False)
row("x * m.pi + m.e", normal(3))
row("m.optim.SGD([x], lr=0.1).param_groups[0]['lr']", normal(3))

# Reading with every kind of key.
rows("""
    x[0]
    x[-1]
    x[1:]
    x[::2]
    x[...]
    x[None]
    x[0, 1]
    x[0, 1, 2]
    x[..., 0]
    x[0, ...]
    x[:, None, 1]
    x[1, None, :, 0]
    x[:, -1]
    x[[0, 1, 1]]
    x[m.tensor([1, 0])]
    x[m.tensor([[1, 0], [0, 0]])]
    x[:, [2, 0]]
    x[..., [3, 3, 0]]
    x[[0, 1], [2, 0]]
    x[0, :, [0, 2]]
    x[[0, 1], :, [0, 2]]
    x[[[0], [1]], [0, 2]]
    x[:, 0, [1, 2]]
    x[None, [1, 0]]
    x[[1, 0], None]
    x[[0, 1], ..., [1, 2]]
    x[x > 0]
    x[x[:, 0, 0] > -9]
    x[:, x[0, :, 0] > 0]
    x[x[..., 0] > 0]
    x[x[:, :, 0] > 0, 1]
    x[True]
    x[False]
    x[None, ..., None]
    x[m.tensor(1)]
    x[m.tensor([True, False])]
    x[:, m.tensor([True, False, True]), [1, 2]]
    x[1:1]
    x[[]]
    x[0, [0, 1], 1:3]
    x[slice(0, 1)]
    x[(0, 1)]
    x[-1, -1, -1]
    x[..., None]
    x[:, ::2, ::3]
    x[5:]
    x[[-1, 0]]
    x[[True, False], 1]
""", normal(2, 3, 4))  # fmt: skip
rows("x[...]\nx[None]\nx[()]\nx[True]\nx[x > -9]", normal())

# Writing in place, and the graph following.
rows("""
    w[0] = 1.5
    w[:, 1] = y[:, 0]
    w[..., 0] = y[:, 0]
    w[0, 1] = y[0, 0]
    w[[0, 1]] = y[1:]
    w[[0, 2], [1, 1]] = y[0, :2]
    w[w > 0] = 0
    w[1:] *= 2
    w[0] += y[0]
    w *= y
    w += 1
    w -= y[0]
    w /= 3
    w **= 2
    w.add_(y, alpha=2)
    w.zero_()
    w.fill_(2)
    w.fill_(y[0, 0])
    w.copy_(y[0])
    w.clamp_(-0.5, 0.5)
    w.exp_()
    w.relu_()
    w.sigmoid_()
    w.t()[0] = y[:, 0]
    w.view(-1)[3:7] = 0
    w.diagonal().mul_(2)
    w[0].zero_(); w[1] *= 3
    v = w[1]; w *= 2; v += y[0]; w.add_(1)
    w.masked_fill_(y > 0, 0)
    w.transpose(0, 1).add_(y.t())
    w.unsqueeze(0)[0, 1] = 5
    w.scatter_add_(1, m.tensor([[0, 1]]), y[:1, :2])
    w.index_add_(0, m.tensor([0, 2]), y[:2])
    w.index_copy_(0, m.tensor([0, 2]), y[:2])
    w.neg_().abs_()
    w.sub_(y).div_(2)
    w.pow_(3)
    w.tanh_()
    w.cumsum_(1)
    w.tril_()
    w.lerp_(y, 0.3)
    w.addcmul_(y, y, value=0.5)
    w.addcdiv_(y, y.exp(), value=0.5)
    w.round_()
    w.scatter_(1, m.tensor([[0], [2], [1]]), 1.0)
    a, b = w.split(2, 1); w[0] = 7
    w[:, [0, 2]] = y[:, :2]
    w[0, [1, 2]] = y[0, 0]
    w[None, 0] = y[:1]
    w[y > 0] = y[y > 0]
    u = w.reshape(-1); u[0] = 3; u *= y[0, 0]
    w[1, 2:] = m.tensor([1.0, 2.0])
    w[...] = y
    w[:] = 3
    w.t().copy_(y.t())
    w[2] = w[0]
    w.expand(3, 4).sum()
    w[m.tensor([True, False, True])] = y[:2]
    w[-1] = y[0, 0]
    w.atan2_(y)
    w.remainder_(0.7)
    w.floor_()
    w.eq_(y)
    w %= 0.7
    w.index_fill_(1, m.tensor([0]), 4)
    w.nan_to_num_()
    w.addmm_(y, y.t() @ y)
    w.masked_scatter_(y > 0, y)
    w.subtract_(y).multiply_(2).divide_(3).negative_().absolute_()
""", A, B, second=False, statement=True)  # fmt: skip
rows("""
    w.t().mul_(y.t())
    w[:, 1:] = y[:, :-1]
    w[...] = 2
""", normal(0, 4), normal(0, 4), second=False, statement=True)  # fmt: skip

# Creation: no gradient.
rows("""
    m.zeros(2, 3)
    m.zeros((2, 3))
    m.zeros(size=(2,))
    m.rand(size=(2, 0))
    m.tensor([1.0]).new_zeros(size=(2,))
    m.zeros(())
    m.ones(2, dtype=m.int64)
    m.ones([2, 2], dtype=m.float16)
    m.full((2, 3), 1.5)
    m.full((2,), 3)
    m.full((2,), True)
    m.full((), 2, dtype=m.float64)
    m.eye(3)
    m.eye(2, 3, dtype=m.int32)
    m.arange(5)
    m.arange(1, 6, 2)
    m.arange(0.0, 1.0, 0.25)
    m.arange(5, 0, -2)
    m.arange(1.5)
    m.arange(0, 1, 0.1)
    m.arange(3, dtype=m.float32)
    m.linspace(0, 1, 5)
    m.linspace(-3, 10, 7, dtype=m.float64)
    m.linspace(2, 3, 1)
    m.linspace(0, 1, 0)
    m.logspace(0, 2, 5)
    m.logspace(0, 4, 3, base=2)
    m.tensor(1)
    m.tensor(1.5)
    m.tensor(True)
    m.tensor([1, 2.5])
    m.tensor([[1, 2], [3, 4]], dtype=m.float64)
    m.tensor([])
    m.tensor([m.tensor(1.0), m.tensor(2.0)])
    m.as_tensor([1, 2])
    m.as_tensor([1.5], dtype=m.float64)
    m.asarray([1.0, 2.0])
    m.zeros_like(m.tensor([1, 2]))
    m.ones_like(m.tensor([1.0]), dtype=m.int64)
    m.full_like(m.tensor([1.0, 2.0]), 7)
    m.empty_like(m.tensor([1.0])).zero_()
    m.empty(2, 3).fill_(1)
    m.tensor([1.0]).new_zeros(2, 3)
    m.tensor([1.0]).new_ones((2,), dtype=m.int64)
    m.tensor([1]).new_full((2,), 3)
    m.tensor([1.0]).new_tensor([1, 2])
    m.tensor([1.5, -2.5]).long()
    m.tensor([1, 0]).bool()
    m.tensor([1.5]).half()
    m.tensor([1.5]).double()
    m.tensor([1]).float()
    m.tensor([1.7]).int()
    m.tensor([1.5]).type_as(m.tensor([1]))
    m.tensor([1.5]).to(m.float64)
    m.tensor([1.5]).to(dtype=m.int32)
    m.tensor([1.5]).to(m.tensor([1]))
    m.tensor([1.5]).to('cpu')
    m.tensor([1.5]).to('cpu', m.float64)
    m.tensor([3, 4]) & 1
    m.tensor([3, 4]) | 1
    m.tensor([3, 4]) ^ m.tensor([1, 1])
    ~m.tensor([3, 4])
    m.tensor([7, -7]) // 2
    m.tensor([7, -7]) % 3
    7 // m.tensor([2, -2])
    m.tensor([7, -7]).fmod(3)
    m.div(m.tensor([7, -7]), 2, rounding_mode='trunc')
    m.tensor([1, 2]) / 2
    m.tensor([1, 2]) ** 2
    2 ** m.tensor([1, 2])
    m.tensor([1, 2]).exp()
    m.tensor([True, False]).sum()
    m.tensor([1, 2], dtype=m.int32).sum()
    m.tensor([1, 2], dtype=m.uint8).prod()
    m.tensor([1, 2], dtype=m.int32).cumsum(0)
    m.tensor([1, 2], dtype=m.uint8).all()
    m.tensor([1.5, 2]).clamp(1, 1.7)
    m.tensor([1, 5]).clamp(2, 4)
    m.tensor([1, 5]).clamp(1.5)
    m.tensor([1, 2]).sqrt()
    m.tensor([4, 9]).rsqrt()
    m.tensor([1, -2]).abs()
    m.tensor([1, -2]).sign()
    m.tensor([1, 2]).floor()
    m.tensor([1, 2]).masked_fill(m.tensor([False, True]), 2.7)
    m.tensor([3, 1, 2]).sort()[0]
    m.tensor([3, 1, 2]).max()
    m.tensor([3, 1, 2]).median()
    m.tensor([3, 1, 2]) @ m.tensor([1, 2, 3])
    m.tensor([[0, 2], [3, 0]]).nonzero()
    m.nonzero(m.tensor([0, 1, 2]), as_tuple=True)[0]
    m.argwhere(m.tensor([[0, 2]]))
    m.nonzero(m.tensor(3))
    m.tensor([1.0, 2.0]).mean(dtype=m.float64)
    m.tensor([1, 2]).mean(dtype=m.float32)
    m.tensor([1, 2]) == m.tensor([1.0, 3.0])
    m.tensor([250], dtype=m.uint8) + 10
    m.tensor([0], dtype=m.int32).add_(m.tensor([99], dtype=m.uint8), alpha=3)
    m.rsub(m.tensor([99], dtype=m.uint8), m.tensor([0], dtype=m.int32), alpha=3)
    m.sub(m.tensor([1.0]), m.tensor([60000.0], dtype=m.float16), alpha=2.0)
    m.tensor([1], dtype=m.uint8).add(m.tensor([True]), alpha=2)
    m.tensor([True, False]).add_(m.tensor([True, True]), alpha=3)
    m.add(m.tensor([False]), m.tensor([True, False]), alpha=0)
    m.add(m.tensor([False]), True, alpha=2)
    m.add(m.tensor([True]), 1, alpha=2)
    m.softmax(m.tensor([1, 2]), 0, dtype=m.float32)
    m.scalar_tensor(2)
    m.result_type(m.tensor([1]), 1.5) == m.float32
    m.promote_types(m.int32, m.float16) == m.float16
    m.is_tensor(m.tensor(1))
    m.is_floating_point(m.tensor(1))
    m.numel(m.zeros(2, 3))
    m.zeros(2, 3).stride()
    m.zeros(2, 3).t().stride()
    m.zeros(2, 3).t().is_contiguous()
    m.zeros(2, 3).size(1)
    list(m.zeros(2, 3).size())
    m.zeros(2, 3).dim()
    m.zeros(2, 3).nelement()
    m.zeros(2, 3).element_size()
    m.zeros(2, 3).tolist()
    len(m.zeros(2, 3))
    [int(v) for v in m.arange(3)]
    2 in m.arange(3)
    float(m.tensor(2.5))
    int(m.tensor([3]))
    [1, 2, 3][m.tensor(1)]
    bool(m.tensor([0.0]))
    f'{m.tensor(2.5):.3f}'
    m.can_cast(m.float32, m.int64)
""", grad=False)  # fmt: skip

# Functions put together from others.
rows("""
    m.erfc(x)
    m.logit(x.sigmoid())
    m.logit(x.sigmoid(), eps=0.3)
    m.logaddexp(x, y)
    m.xlogy(x, y.exp())
    m.xlogy(x, 2.5)
    m.xlogy(2, y.exp())
    m.sinc(x)
    m.deg2rad(x)
    x.rad2deg()
    m.hypot(x, y)
    m.copysign(x, y)
    m.copysign(x, -2.0)
    m.fmax(x, y)
    m.fmin(x, y)
    m.float_power(x.exp(), y)
    x.exp().float_power(2)
    m.positive(x)
    x.sgn()
    m.dist(x, y)
    m.dist(x, y, 1)
    m.renorm(x, 2, 0, 1.0)
    x.renorm(1, -1, 0.5)
    m.kron(x, y)
    m.kron(x[0], y)
    m.cross(x[:, :3], y[:, :3])
    m.cross(x[:, :3], y[:, :3], dim=1)
    m.linalg.cross(x[:, :3], y[:, :3])
    m.linalg.vecdot(x, y)
    m.linalg.multi_dot([x, y.t(), x])
    m.chain_matmul(x, y.t(), x)
    m.addr(y, x[:, 0], y[0], beta=0.5, alpha=2)
    m.vdot(x[0], y[0])
    m.ger(x[0], y[0])
    m.trapezoid(x)
    m.trapz(x, dx=0.5, dim=0)
    m.trapezoid(x, y)
    m.trapezoid(x, y[:, 0], dim=0)
    m.cov(x)
    m.cov(x, correction=0)
    x[0].cov()
    m.corrcoef(x)
    m.quantile(x, 0.3)
    m.quantile(x, 0.6, dim=1)
    x.quantile(0.25, 0, True)
    m.quantile(x, m.tensor([0.1, 0.5, 1.0], dtype=m.float64), dim=-1, keepdim=True)
    m.quantile(x, 0.4, 1, interpolation='nearest')
    m.quantile(x, 0.4, 1, interpolation='lower')
    m.quantile(x, 0.4, 1, interpolation='higher')
    m.quantile(x, 0.4, 1, interpolation='midpoint')
    m.nanmedian(x)
    m.nanmedian(x, 1).values
    m.cummax(x, 1).values
    x.cummin(0)[0]
    m.mode(x, 0).values
    m.diff(x, prepend=y[:, :2])
    m.diff(x, n=2, dim=0, prepend=y, append=y[:1])
    m.column_stack([x, y[:, 0]])
    m.column_stack((x[0], y[0]))
    m.atleast_1d(x.sum())
    m.atleast_2d(x[0])
    x.sum().reshape(())[None] * m.atleast_3d(x)
    m.atleast_2d(x[0], y)[1]
    m.block_diag(x, y[0], x.sum())
    m.cartesian_prod(x[0], y[0, :2])
    m.combinations(x[0])
    m.combinations(x[0], 3, with_replacement=True)
    x.hsplit(2)[1]
    m.vsplit(x, [1])[1]
    m.hsplit(x[0], (1, 2))[1]
    m.dsplit(x.reshape(1, 3, 4), 2)[0]
    x.split_with_sizes([1, 3], 1)[1]
    x.unfold(1, 2, 1)
    x.unfold(0, 2, 2)
    x.unfold(-1, 3, 1).sum(-1)
    m.adjoint(x)
    x.mH
    x.H
    m.swapaxes(x, axis0=0, axis1=1)
    m.diagflat(x)
    m.diagflat(x[0], 1)
    x.sum_to_size(1, 4)
    x.sum_to_size(4)
    m.index_put(x, (m.tensor([0, 2]),), y[:2])
    m.index_put(x, (m.tensor([0, 0]), m.tensor([1, 1])), y[0, :2], accumulate=True)
    x.put(m.tensor([1, 5]), y[0, :2])
    x.put(m.tensor([1, 1]), y[0, :2], accumulate=True)
    m.scatter_reduce(x, 1, m.tensor([[0, 0], [1, 3]]), y[:2, :2], 'sum')
    x.scatter_reduce(1, m.tensor([[0, 0], [1, 3]]), y[:2, :2], 'mean', include_self=False)
    m.scatter_reduce(x, 0, m.tensor([[0, 0], [1, 2]]), y[:2, :2], 'mean')
    m.scatter_reduce(x, 0, m.tensor([[0, 0], [1, 2]]), y[:2, :2], 'sum', include_self=False)
    x.contiguous(memory_format=m.contiguous_format)
    x.clone(memory_format=m.preserve_format)
    x.to(memory_format=m.preserve_format)
    m.nn.functional.relu(x).to('cpu', non_blocking=True)
    m.cosine_similarity(x, y)
    m.pairwise_distance(x, y)
    m.selu(x)
    m.layer_norm(x, (4,))
    x.norm(-1)
    reversed(x)
""", A, spread(3, 4))  # fmt: skip
rows("""
    m.scatter_reduce(x, 1, m.tensor([[0, 0], [1, 3]]), y[:2, :2], 'amax')
    x.scatter_reduce(1, m.tensor([[0, 0], [1, 3]]), y[:2, :2], 'amin', include_self=False)
    m.scatter_reduce(x * 0, 1, m.tensor([[0, 0], [1, 3]]), y[:2, :2] * 0, 'amax')
    m.sinc(x * 0)
    m.cdist(x, y)
    m.cdist(x, y, p=1)
    m.cdist(x, y[:2], p=float('inf'))
    m.cdist(x, x, 1)
""", A, spread(3, 4), second=False)  # fmt: skip
rows("m.bmm(x, y)\nm.addbmm(z, x, y)\nm.addbmm(z, x, y, beta=2, alpha=0.5)\nz.addbmm(x, y, beta=0)",
     normal(2, 3, 4), normal(2, 4, 5), normal(3, 5))  # fmt: skip
rows("""
    m.linalg.inv(x)
    m.inverse(x)
    m.linalg.solve(x, y)
    m.linalg.solve(x, y[:, 0])
    m.linalg.solve(x, y.t(), left=False)
    m.linalg.det(x)
    m.det(x @ x)
    m.logdet(x @ x.t())
    m.slogdet(x)[1]
    x.slogdet()[0]
    m.linalg.norm(x)
    m.linalg.norm(x, 'fro')
    m.linalg.norm(x, 1)
    m.linalg.norm(x, float('inf'))
    m.linalg.norm(x, -1)
    m.linalg.norm(x, 3, dim=1)
    m.linalg.norm(x, dim=(0, 1), keepdim=True)
    m.linalg.vector_norm(x)
    m.linalg.vector_norm(x, 1, dim=0)
    m.linalg.matrix_norm(x, 1, keepdim=True)
    m.linalg.matrix_norm(x, float('-inf'))
    m.linalg.matrix_power(x, 3)
    m.matrix_power(x, 1)
    m.linalg.diagonal(x, offset=1)
""", array([[3.0, 0.5, -1.0], [0.2, 2.0, 0.7], [-0.4, 1.0, 4.0]]), normal(3, 2))  # fmt: skip
rows(
    "m.linalg.solve(x, y)\nm.linalg.inv(x)\nm.linalg.det(x)",
    lambda rng: rng.standard_normal((2, 3, 3)) + 3 * np.eye(3),
    normal(2, 3, 1),
)
rows("""
    m.linalg.svd(x).S
    m.linalg.svd(x, full_matrices=False)[0].abs()
    m.linalg.svdvals(x)
    m.linalg.qr(x)[1].abs()
    m.linalg.qr(x, 'complete').Q.shape == (4, 4)
    m.linalg.eigh(x.t() @ x).eigenvalues
    m.linalg.eigvalsh(x.t() @ x)
    m.linalg.cholesky(x.t() @ x)
    m.linalg.cholesky(x.t() @ x, upper=True)
    m.linalg.pinv(x)
    m.linalg.matrix_rank(x)
    m.linalg.matrix_norm(x, 'nuc')
    m.linalg.norm(x, 2)
    m.linalg.matrix_norm(x, -2, keepdim=True)
""", normal(4, 3), grad=False)  # fmt: skip
rows("""
    m.heaviside(x, y[:1])
    m.vander(x[0])
    m.vander(x[0], 3, True)
    m.matrix_power(x[:, :3], 0)
    m.var(x, ())
    m.std(x, (), correction=0)
    m.std_mean(x, ())[0]
    m.scatter_reduce(x, 1, m.tensor([[0, 0], [1, 3]]), y, 'amax')
    m.signbit(x)
    m.isposinf(x / 0)
    m.isneginf(x / 0)
    m.isin(x, x[0])
    m.isin(x, 0.5)
    m.isin(x, x[0], invert=True)
    m.greater(x, y)
    x.greater_equal(y)
    m.less(x, y)
    x.less_equal(0)
    m.not_equal(x, y)
    m.is_nonzero(x.sum())
    m.histc(x, 5)
    m.histc(x, bins=4, min=-1, max=1)
    m.cummax(x, 1).indices
    m.cummin(x, 0).indices
    m.mode(x, 1).indices
    m.searchsorted(x[0].sort()[0], y)
    m.searchsorted(x.sort(1)[0], y, right=True)
    m.searchsorted(x[0].sort()[0], 0.1)
    m.searchsorted(x[0].sort()[0], y, side='right', out_int32=True)
    m.bucketize(x, m.tensor([-1.0, 0.0, 1.0], dtype=m.float64))
    m.bucketize(x, m.tensor([-1.0, 0.0, 1.0], dtype=m.float64), right=True)
    m.erfinv(x.tanh())
    (x > 0).all(dim=())
    (x > 0).any(())
    m.count_nonzero(x > 0, dim=(0, 1))
    x.count_nonzero(0, 1)
    x.shape.numel()
    x.size().numel()
    x.shape[1:].numel()
    x.get_device()
    x.is_cpu
    x.is_sparse
    x.is_complex()
    x.is_signed()
    x.is_same_size(y)
    x.type(m.LongTensor)
    x.type(dtype=m.float32)
    x.type('torch.ByteTensor')
    m.Generator(device='cpu').manual_seed(3).initial_seed()
    m.compile(m.relu)(x)
    m.set_float32_matmul_precision('highest')
    isinstance(m.autograd.Variable(x), m.autograd.Variable)
    isinstance(x.tolist(), m.autograd.Variable)
    m.use_deterministic_algorithms(False, warn_only=True)
    hasattr(m.backends.cuda.matmul, 'allow_tf32')
    m.nn.Unflatten(-1, (-1,))(m.zeros(2, 0, 4))
    x.is_contiguous(memory_format=m.channels_last)
    m.rand_like(x, generator=m.Generator()).shape == x.shape
    m.zeros_like(x, memory_format=m.preserve_format)
    isinstance(x, m.FloatTensor)
    isinstance(x, m.DoubleTensor)
    isinstance(x.shape, m.Size)
    isinstance(x.dtype, m.dtype)
""", A, spread(3, 4), grad=False)  # fmt: skip
rows("""
    m.unique_consecutive(x)
    m.unique_consecutive(x, return_inverse=True)[1]
    m.unique_consecutive(x, return_counts=True)[1]
    m.unique_consecutive(x.reshape(3, 4), dim=0)
    m.mode(x)[0]
    m.mode(x.reshape(3, 4), 0)[0]
    m.mode(x.reshape(3, 4), 0, keepdim=True)[1]
    x << 2
    x >> 1
    m.bitwise_left_shift(x, x)
    m.cummax(x, 0)[1]
    m.unravel_index(x, (2, 3))[1]
    m.scatter_reduce(x, 0, x, x, 'amax')
    m.scatter_reduce(x, 0, x, x, 'mean')
    m.block_diag(x, x)
    m.float_power(x, 2)
    m.nanmedian(x)
    m.cov(x)
    m.copysign(x, -1)
    m.heaviside(x - 1, x)
    m.sum(x).sum_to_size(())
    m.trapezoid(x)
    m.deg2rad(x)
""", ints(0, 3, 12), grad=False)  # fmt: skip
rows("""
    m.nanmedian(x, 0)[0]
    m.nanmedian(x)
    m.quantile(x, 0.5)
    m.fmax(x, x.flip(0))
    m.fmin(x, x.flip(0))
    m.cummax(x, 0)[0]
    m.cummin(x, 0)[0]
    m.signbit(x)
    m.xlogy(x, x)
    m.copysign(m.ones_like(x), x)
    m.sinc(x)
    m.erfc(x)
    m.deg2rad(x)
    m.erfinv(x)
    m.logit(x)
    m.sgn(x)
    m.hypot(x, x)
    x.norm(-1)
    m.isposinf(x)
    m.isneginf(x)
""", ODD, grad=False)  # fmt: skip
rows("""
    x.gather(0, m.tensor(0))
    x.index_select(0, m.tensor([0]))
    x.index_select(0, m.tensor(0))
    x.index_fill(0, m.tensor([0]), 3.0)
    x.index_add(0, m.tensor(0), x)
    x.index_copy(0, m.tensor([0]), x.reshape(1))
    m.atleast_3d(x)
    m.quantile(x, 0.5)
    m.mode(x)[0]
    m.cummax(x, 0)[0]
    x.unfold(0, 1, 1)
    m.erfc(x)
    m.kron(x, x)
    x.all(dim=())
""", normal())  # fmt: skip
rows("m.cat([x, x], 1)\nx.index_select(0, m.tensor([], dtype=m.int64))\nm.fmax(x, x)\nm.block_diag(x, x)", normal(0))
rows("""
    x // 0
    x % 0
    m.fmod(x, 0)
    m.cummax(x, 0)[0]
    m.unique_consecutive(x)
    m.searchsorted(x, x)
    m.combinations(x)
""", ints(0, 3, 0), grad=False)  # fmt: skip
rows("""
    w.unsqueeze_(0).mul_(y)
    w.squeeze_().add_(1)
    w.t_().mul_(y.t())
    w.transpose_(0, 1); w[1] = 3
    w.swapaxes_(0, 1).swapdims_(0, 1)
    v = w.view(12)[2:]; v.unsqueeze_(1); v *= 2
    w.mul_(2); w.t_(); w += y.t()
    w.t_().t_().exp_()
    w.fill_diagonal_(5)
    w.fill_diagonal_(y[0, 0].item())
    w.index_put_((m.tensor([0, 2]),), y[:2])
    w.index_put_([m.tensor([0, 0])], y[:2], accumulate=True)
    w.put_(m.tensor([1, 4]), y[0, :2])
    w.scatter_reduce_(1, m.tensor([[0, 0], [1, 3]]), y[:2, :2], 'sum')
    w.addr_(y[:, 0], y[0])
    w.hypot_(y)
    w.copysign_(y)
    w.xlogy_(y.exp())
    w.deg2rad_()
    w.erfc_()
    w.arctan_().arctan2_(y)
    w.greater_(y)
    w.sgn_()
    w.renorm_(2, 0, 1.0)
    w.float_power_(2)
    w.copy_(y, non_blocking=True)
""", A, B, second=False, statement=True)  # fmt: skip
rows("""
    m.Tensor(2, 3).shape == (2, 3)
    m.Tensor([1.0, 2.0])
    m.Tensor([[0, 1], [1, 0]])
    m.Tensor(3).shape == (3,)
    m.FloatTensor([1, 2])
    m.FloatTensor(2, 3).shape == (2, 3)
    m.LongTensor([1, 2])
    m.LongTensor(2).shape == (2,)
    m.BoolTensor([1, 0])
    m.LongTensor([1]).new([2, 3])
    m.ones(2).new(3, 4).shape == (3, 4)
    m.ones(2).new(m.ones(2, 3).shape).shape == (2, 3)
    m.ByteTensor([1]).dtype == m.uint8
    m.DoubleTensor()
    m.HalfTensor([1.5])
    m.tril_indices(2, 3, dtype=m.int32)
    m.triu_indices(2, 3, device='cpu')
    m.full((2,), 2.7, dtype=m.int64)
    m.full_like(m.tensor([1, 2]), 1.5)
    m.tensor([1, 2]).fill_(2.5)
    m.tensor([True]).fill_(3)
    m.full_like(m.tensor([1]), float('inf'), dtype=m.float32)
    m.tensor([m.tensor(1), 2.5])
    m.tensor([m.tensor(1.0, dtype=m.float64), 2])
    m.tensor([[m.tensor(1, dtype=m.int32)]])
    m.tensor([True, 1.5])
    m.tensor([[], []])
    m.broadcast_shapes((2, 1), (3,)) == (2, 3)
    m.is_complex(m.ones(1))
    m.tensor([3]).char()
    m.is_tensor(m.default_generator)
    m.manual_seed(5).initial_seed() == m.initial_seed()
    m.set_rng_state(m.get_rng_state())
    m.poisson(m.zeros(3))
    m.zeros(2, 3).size() == m.Size([2, 3])
    m.cartesian_prod(m.tensor([1, 2]))
    m.isin(2, m.tensor([1, 2]))
""", grad=False)  # fmt: skip


# Lists of indices are read as tuples of them; masks of uint8.
rows("""
    x[[m.tensor(0), m.tensor(1)]]
    x[[m.tensor([0, 1]), 2]]
    x[[[0, 1], [2, 0]]]
    x[[[0, 1]]]
    x[[slice(0, 1), ...]]
    x[[None, 1]]
    x[[(1, 0)]]
    x[[m.tensor(1)]]
    x[[[]]]
    m.where(m.tensor([1, 0, 1], dtype=m.uint8), x[..., :3], y)
""", A, normal(3, 3))  # fmt: skip
rows("""
    w[[m.tensor(0), m.tensor(1)]] = 5
    w[[[0, 1], [2, 0]]] = y[:2, 0]
    w[w > 0] = m.tensor(2)
    w[:, m.tensor([True, False, True, False])] = m.tensor(1)
    w[m.tensor([0, 2]), m.tensor([True, False, False, False])] = 3
""", A, normal(3, 3), statement=True)  # fmt: skip

# What infinities and NaN do to elements beside them, and pooling backwards.
rows("""
    x.scatter_reduce(0, m.tensor([[0, 0], [0, 2]]), y, 'amax')
    (-x).scatter_reduce(0, m.tensor([[0, 0], [0, 2]]), y, 'amin', include_self=False)
""", array([[-INF, INF], [-INF, 1.0], [-INF, 2.0]]), array([[3.0, 4.0], [-INF, INF]]), second=False)  # fmt: skip
PLACES = "m.tensor([[0, 2, 9], [10, 11, 13]]).expand(2, 3, 2, 3)"
rows(f"""
    m.nn.functional.max_unpool2d(x, {PLACES}, 2)
    m.nn.functional.max_unpool2d(x, {PLACES}, (2, 3), (3, 2), (0, 1), output_size=(6, 4))
    m.nn.functional.max_unpool2d(x, {PLACES}, kernel_size=2, output_size=m.Size([2, 3, 5, 5]))
    m.nn.functional.max_unpool2d(x[0], {PLACES}[0], 2)
    m.nn.functional.max_unpool1d(x[0, 0], {PLACES}[0, 0] // 3, 2)
    m.nn.functional.max_unpool1d(x[0, 0], {PLACES}[0, 0] % 6, 3, stride=2, padding=1, output_size=[6])
    m.nn.MaxUnpool2d(2, stride=2)(*m.nn.functional.max_pool2d(x, 2, return_indices=True), output_size=x.size())
    m.nn.functional.upsample(x, scale_factor=2, mode='bilinear', align_corners=True)
    m.nn.MaxUnpool1d(2)(*m.nn.MaxPool1d(2, return_indices=True)(x[0]))
""", normal(2, 3, 2, 3))  # fmt: skip


def run(library: Any, row: Row, arrays: list[np.ndarray], want_grad: bool) -> tuple[Any, list[Any]]:
    """The result of a row's code, and the leaves."""
    leaves = []
    for a in arrays:
        leaf = library.from_numpy(np.array(a))
        if want_grad and a.dtype.kind == "f":
            leaf.requires_grad_()
        leaves.append(leaf)
    names = dict(zip("xyz", leaves), m=library)
    if row.statement:
        names["w"] = names["x"] * 1
        exec(row.code, names)
        return names["w"], leaves
    return eval(row.code, names), leaves


def plain(value: Any) -> Any:
    """A result as an array or a Python value."""
    if isinstance(value, (mydl.Tensor, torch.Tensor)):
        return value.detach().numpy(force=True)
    return value


def dtype_name(value: Any) -> str:
    """`float32`, for either library's tensor."""
    return str(value.dtype).removeprefix("torch.")


def close(mine: Any, theirs: Any, what: str) -> None:
    """Equal shapes, and values to 1e-9 or what their dtype holds."""
    assert mine.shape == theirs.shape, f"{what}: shape {mine.shape}, PyTorch {theirs.shape}"
    tolerance = {"float16": 2e-3, "float32": 2e-6}.get(str(theirs.dtype), 1e-9)
    np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance, err_msg=what)


def gradients(library: Any, output: Any, leaves: list[Any], weight: np.ndarray, create: bool) -> list[Any]:
    """The gradients of a weighted sum of the output with respect to the leaves that want one."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    cotangent = library.from_numpy(weight.astype(dtype_name(output)))
    return list(library.autograd.grad([output], wanted, [cotangent], create_graph=create, allow_unused=True))


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_row(row: Row, request: pytest.FixtureRequest) -> None:
    rng = np.random.default_rng(zlib.crc32(row.code.encode()))
    arrays = [np.asarray(draw(rng)) for draw in row.draws]
    theirs, their_leaves = run(torch, row, arrays, row.grad)
    mine, my_leaves = run(mydl, row, arrays, row.grad)
    if row.code in ("x.get_device()", "x.is_cpu") and request.config.getoption("--device") != "cpu":
        assert mine != theirs
        return
    if not isinstance(theirs, torch.Tensor):
        assert mine == theirs
        return
    assert dtype_name(mine) == dtype_name(theirs)
    close(plain(mine), plain(theirs), "output")
    if not row.grad:
        return
    assert mine.requires_grad == theirs.requires_grad
    if not theirs.requires_grad:
        return
    weight = rng.standard_normal(tuple(theirs.shape))
    ours = gradients(mydl, mine, my_leaves, weight, row.second)
    others = gradients(torch, theirs, their_leaves, weight, row.second)
    my_total: Any = 0
    their_total: Any = 0
    for i, (a, b) in enumerate(zip(ours, others, strict=True)):
        if b is None:
            assert a is None or not plain(a).any(), f"gradient {i}: PyTorch has none"
            continue
        # PyTorch gives None where mydl gives zeros and the other way round; both mean no dependence.
        close(np.zeros(tuple(b.shape)) if a is None else plain(a), plain(b), f"gradient {i}")
        probe = rng.standard_normal(tuple(b.shape))
        if a is not None:
            my_total = my_total + (a * mydl.from_numpy(probe)).sum()
        their_total = their_total + (b * torch.from_numpy(probe)).sum()
    if not row.second or not getattr(their_total, "requires_grad", False):
        return
    one = np.ones(())
    for i, (a, b) in enumerate(
        zip(second_of(mydl, my_total, my_leaves, one), second_of(torch, their_total, their_leaves, one), strict=True)
    ):
        close(a, b, f"second derivative {i}")


def second_of(library: Any, total: Any, leaves: list[Any], one: np.ndarray) -> list[np.ndarray]:
    """Gradients of a sum of first derivatives, zeros where it does not depend on a leaf."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if not getattr(total, "requires_grad", False):
        return [np.zeros(tuple(leaf.shape)) for leaf in wanted]
    found = gradients(library, total, leaves, one, False)
    return [np.zeros(tuple(leaf.shape)) if g is None else plain(g) for g, leaf in zip(found, wanted)]
