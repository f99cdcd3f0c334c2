"""NumPy's names for recorded operations: what `ctx.xp` is while a backward pass is itself recorded.

A backward rule calls `ctx.xp.exp(y)` and `ctx.xp.sum(grad, axis=0)`; with `create_graph=True` these are the functions
below, which take tensors (or constant arrays) and record what they do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import tensor_of
from mydl.backend import array_module
from mydl.ops import arithmetic, elementwise, linalg, reduction, shape, trigonometry

exp = elementwise.Exp.apply
log = elementwise.Log.apply
sqrt = elementwise.Sqrt.apply
sin = trigonometry.Sin.apply
cos = trigonometry.Cos.apply
tanh = elementwise.Tanh.apply
abs = elementwise.Abs.apply
maximum = arithmetic.Maximum.apply
minimum = arithmetic.Minimum.apply


def _array(x: Any) -> Any:
    return x.array if isinstance(x, Variable) else x


def _module(x: Any) -> Any:
    return array_module(_array(x))


def asarray(x: Any) -> Any:
    """x as a tensor."""
    return tensor_of(x)


def zeros_like(x: Any) -> Any:
    """Zeros of x's shape, a constant."""
    return tensor_of(_module(x).zeros_like(_array(x)))


def ones_like(x: Any) -> Any:
    """Ones of x's shape, a constant."""
    return tensor_of(_module(x).ones_like(_array(x)))


def full_like(x: Any, value: float) -> Any:
    """x's shape filled with a number, a constant."""
    return tensor_of(_module(x).full_like(_array(x), value))


def zeros(shape: tuple, dtype: Any) -> Any:
    """Zeros on the host, a constant."""
    return tensor_of(np.zeros(shape, dtype))


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y; either may be a Python number."""
    return elementwise.Where.apply(_array(condition), x, y)


def sum(x: Any, axis: Any = None, keepdims: bool = False, out: None = None) -> Any:
    """The sum over `axis`; `out` is there for NumPy's signature and is None while recording."""
    return reduction.Sum.apply(x, axis=axis, keepdims=keepdims)


def cumsum(x: Any, axis: int) -> Any:
    """Running sums along `axis`."""
    return reduction.CumSum.apply(x, axis=axis)


def matmul(x: Any, y: Any, out: None = None) -> Any:
    """x @ y; `out` is there for NumPy's signature and is None while recording."""
    return linalg.MatMul.apply(x, y)


def reshape(x: Any, new_shape: tuple) -> Any:
    """x in another shape."""
    return shape.Reshape.apply(x, shape=new_shape)


def expand_dims(x: Any, axis: int) -> Any:
    """x with an axis of length 1 at `axis`."""
    new_shape = list(x.shape)
    new_shape.insert(axis if axis >= 0 else len(x.shape) + 1 + axis, 1)
    return shape.Reshape.apply(x, shape=tuple(new_shape))


def transpose(x: Any, axes: tuple | None = None) -> Any:
    """x with its axes in another order, reversed by default."""
    return shape.Permute.apply(x, axes=tuple(axes or reversed(range(len(x.shape)))))


def swapaxes(x: Any, a: int, b: int) -> Any:
    """x with two axes exchanged."""
    axes = list(range(len(x.shape)))
    axes[a], axes[b] = axes[b], axes[a]
    return shape.Permute.apply(x, axes=tuple(axes))


def broadcast_to(x: Any, new_shape: tuple) -> Any:
    """x repeated to `new_shape`."""
    return shape.Expand.apply(x, shape=new_shape)


def concatenate(parts: Any, axis: int = 0) -> Any:
    """Tensors end to end."""
    return shape.Concatenate.apply(*parts, axis=axis)


def stack(parts: Any, axis: int = 0) -> Any:
    """Tensors of one shape side by side along a new axis."""
    return shape.Stack.apply(*parts, axis=axis)


def flip(x: Any, axis: Any) -> Any:
    """x in reverse order along `axis`."""
    return shape.Flip.apply(x, axes=axis)
