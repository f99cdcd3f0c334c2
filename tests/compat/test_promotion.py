"""Type promotion as PyTorch's: every pair of dtypes, as tensors with dimensions, without, and as Python numbers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import mydl

torch = pytest.importorskip("torch")

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
KINDS = ["tensor", "0-d"]
NUMBERS = [True, 2, 2.5]
OPERATIONS = [
    "x + y", "x * y", "x / y", "x ** y", "x // y", "x % y", "m.maximum(x, y)", "m.where(c, x, y)", "x == y",
    "m.fmod(x, y)", "m.atan2(x, y)", "m.cat([x[None], y[None]])", "m.div(x, y, rounding_mode='trunc')", "x - y",
]  # fmt: skip


def operand(library: Any, dtype: str, kind: str) -> Any:
    """A tensor of threes and ones, so that every operation is defined and exact."""
    value = [1, 3] if kind == "tensor" else 3
    return library.tensor(value, dtype=getattr(library, dtype))


def outcome(library: Any, code: str, x: Any, y: Any) -> tuple[str, Any]:
    """The dtype and values of an expression, or that it was refused."""
    try:
        result = eval(code, {"m": library, "x": x, "y": y, "c": library.tensor([True, False])})
    except (RuntimeError, TypeError, ValueError):
        return "refused", None
    return str(result.dtype).removeprefix("torch."), result.tolist()


def same(mine: Any, theirs: Any) -> bool:
    """Whether two nested lists hold the same numbers, to float16's precision."""
    if theirs is None:
        return mine is None
    return bool(np.allclose(np.array(mine, float), np.array(theirs, float), rtol=2e-3, equal_nan=True))


@pytest.mark.parametrize("code", OPERATIONS)
def test_pairs_of_tensors(code: str) -> None:
    wrong = []
    for a, b, left, right in itertools.product(DTYPES, DTYPES, KINDS, KINDS):
        if "cat" in code and left != right:
            continue
        theirs = outcome(torch, code, operand(torch, a, left), operand(torch, b, right))
        mine = outcome(mydl, code, operand(mydl, a, left), operand(mydl, b, right))
        if mine[0] != theirs[0] or not same(mine[1], theirs[1]):
            wrong.append(f"{code} for {a} {left} and {b} {right}: {mine}, PyTorch {theirs}")
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("code", [c for c in OPERATIONS if "max" not in c and "cat" not in c and "atan" not in c])
def test_tensors_beside_numbers(code: str) -> None:
    wrong = []
    for a, kind, number, swapped in itertools.product(DTYPES, KINDS, NUMBERS, [False, True]):
        if (swapped and code.startswith("m.")) or (code == "x ** y" and a == "bool" and number is True):
            continue  # PyTorch allows a boolean tensor to the power True, and only that
        results = []
        for library in (mydl, torch):
            x, y = operand(library, a, kind), number
            results.append(outcome(library, code, *((y, x) if swapped else (x, y))))
        mine, theirs = results
        if mine[0] != theirs[0] or not same(mine[1], theirs[1]):
            wrong.append(f"{code} for {a} {kind} and {number} (swapped: {swapped}): {mine}, PyTorch {theirs}")
    assert not wrong, "\n".join(wrong[:20])


@pytest.mark.parametrize("kinds", list(itertools.product(KINDS, KINDS)), ids=str)
def test_result_type(kinds: tuple[str, str]) -> None:
    for a, b in itertools.product(DTYPES, DTYPES):
        mine = mydl.result_type(operand(mydl, a, kinds[0]), operand(mydl, b, kinds[1]))
        theirs = torch.result_type(operand(torch, a, kinds[0]), operand(torch, b, kinds[1]))
        assert str(mine) == str(theirs).removeprefix("torch."), (a, b)


UNARY = """
m.exp(x) m.log(x) m.sqrt(x) m.rsqrt(x) m.sin(x) m.tanh(x) m.sigmoid(x) m.relu(x) m.abs(x) m.neg(x) m.square(x)
m.sign(x) m.floor(x) m.round(x) m.trunc(x) m.reciprocal(x) m.log1p(x) m.expm1(x) m.log2(x) m.erf(x) m.acos(x)
x.sum() x.prod() x.mean() x.var() x.std() x.norm() x.max() x.amin() x.max(0).values x.sort()[0] x.cumsum(0)
x.cumprod(0) x.median() x.logsumexp(0) m.softmax(x,0) m.log_softmax(x,0) x.argmax() x.any() x.all() x.flip(0)
x.repeat(2) x.roll(1) x.unique() x.topk(1)[0] x.clamp(1,2) x.clamp(0.5,1.5) x.clamp(min=1) m.stack([x,x]) x.tril()
x.diag() x.masked_fill(x>1,2) x.gather(0,m.tensor([0])) x@x m.outer(x,x) m.isnan(x) m.logical_not(x)
x.count_nonzero() x.new_zeros(2) m.zeros_like(x) x.double() x.half() x.long() x.bool() m.nansum(x)
x.scatter_add(0,m.tensor([0,0]),x) x.index_add(0,m.tensor([0]),x[:1]) m.where(x>0,x,0) x[x>1] -x x.frac()
x.logsumexp(0) m.einsum('i,i->',x,x) x.take_along_dim(m.tensor([0]),0) x.nan_to_num() m.std_mean(x)[0]
x.cumsum(0,dtype=m.float32) m.dot(x,x)
"""


@pytest.mark.parametrize("code", UNARY.split())
def test_dtypes_of_results(code: str) -> None:
    """Every dtype through every function: no float widens, integers become floats exactly where PyTorch's do."""
    wrong = []
    for dtype in DTYPES:
        results = []
        for library in (mydl, torch):
            x = library.tensor([[1, 2], [2, 0]] if "tril" in code else [1, 2], dtype=getattr(library, dtype))
            results.append(outcome(library, code, x, None))
        mine, theirs = results
        if theirs[0] == "refused" and mine[0] != "refused" and dtype == "float16":
            continue  # PyTorch has no such kernel for float16 on a CPU
        if mine[0] != theirs[0] or not same(mine[1], theirs[1]):
            wrong.append(f"{code} of {dtype}: {mine}, PyTorch {theirs}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("code", ["x ** y", "m.pow(int(x[1]), y)", "x ** y[0]", "x.pow_(y)"])
def test_integers_to_negative_powers(dtype: str, code: str) -> None:
    for exponent in range(-3, 4):
        results = []
        for library in (mydl, torch):
            x = library.tensor([-3, -2, -1, 0, 1, 2], dtype=getattr(library, dtype))
            results.append(outcome(library, code, x, library.full_like(x, exponent)))
        assert results[0] == results[1], exponent
    with pytest.raises(RuntimeError, match="Integers to negative integer powers"):
        mydl.tensor([2]) ** -1
