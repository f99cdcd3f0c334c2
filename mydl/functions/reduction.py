"""Reductions over dimensions. `dim` is an int, a tuple of ints, or None for all; `axis` and `keepdims` are synonyms."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mydl.autograd.op import tensor_of
from mydl.functions.arguments import axes_of, axis_of, require_tensor
from mydl.ops import reduction as ops
from mydl.ops.casting import Cast

__all__ = ["ValuesAndIndices", "argmax", "argmin", "max", "mean", "min", "sum", "var"]


class ValuesAndIndices(NamedTuple):
    """What max, min, sort and topk along a dimension return."""

    values: Any
    indices: Any


def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum of the elements; booleans and integers are summed in int64.

    >>> import mydl
    >>> sum(mydl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([3., 7.])
    """
    input = require_tensor(input, "sum")
    if dtype is not None and input.dtype != dtype:
        input = Cast.apply(input, dtype=np.dtype(dtype))
    elif input.dtype.kind in "biu" and input.dtype != np.int64:
        input = tensor_of(input.array.astype(np.int64))
    axes = axes_of(axis if dim is None else dim, input.ndim, "sum")
    return ops.Sum.apply(input, axis=axes, keepdims=keepdim or keepdims)


def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean of the elements, which must be floating; NaN of none.

    >>> import mydl
    >>> mean(mydl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([2., 3.])
    """
    input = require_tensor(input, "mean")
    if dtype is not None and input.dtype != dtype:
        input = Cast.apply(input, dtype=np.dtype(dtype))
    if input.dtype.kind not in "fc":
        raise RuntimeError(f"mean: wanted a floating tensor, got {input.dtype}; use .float() first or pass dtype=")
    axes = axes_of(axis if dim is None else dim, input.ndim, "mean")
    return ops.Mean.apply(input, axis=axes, keepdims=keepdim or keepdims)


def var(input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None) -> Any:
    """The variance, divided by n - correction; correction is 1 by default, 0 with unbiased=False.

    >>> import mydl
    >>> var(mydl.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    input = require_tensor(input, "var")
    if isinstance(dim, bool):  # var(x, unbiased)
        dim, unbiased = None, dim
    if input.dtype.kind not in "fc":
        raise RuntimeError(f"var: wanted a floating tensor, got {input.dtype}")
    if correction is None:
        correction = 0 if unbiased is False else 1
    axes = axes_of(dim, input.ndim, "var")
    return ops.Var.apply(input, axis=axes, correction=correction, keepdims=keepdim)


def _extreme(input: Any, dim: Any, keepdim: bool, largest: bool, name: str) -> Any:
    input = require_tensor(input, name)
    if hasattr(dim, "array"):
        from mydl.functions.arithmetic import maximum, minimum

        return (maximum if largest else minimum)(input, dim)
    if dim is None:
        if input.numel() == 0:
            raise RuntimeError(f"{name}: wanted at least one element, got shape {input.shape}")
        return ops.Extremum.apply(input, largest=largest)
    axis = axis_of(dim, input.ndim, name)
    if input.ndim and input.shape[axis] == 0:
        raise IndexError(f"{name}: dim {dim} of shape {input.shape} has no elements")
    return ValuesAndIndices(*ops.ArgReduce.apply(input, largest=largest, axis=axis, keepdims=keepdim))


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The largest element; with `dim`, (values, indices) along it; with a tensor as `dim`, `maximum` of the two.

    >>> import mydl
    >>> max(mydl.tensor([[1.0, 5.0], [3.0, 4.0]]), dim=1).indices
    tensor([1, 1])
    """
    return _extreme(input, dim, keepdim, True, "max")


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The smallest element; with `dim`, (values, indices) along it; with a tensor as `dim`, `minimum` of the two.

    >>> import mydl
    >>> min(mydl.tensor([[1.0, 5.0], [3.0, 4.0]]), dim=1).values
    tensor([1., 3.])
    """
    return _extreme(input, dim, keepdim, False, "min")


def _arg_extreme(input: Any, dim: Any, keepdim: bool, largest: bool, name: str) -> Any:
    input = require_tensor(input, name)
    if input.numel() == 0 and (dim is None or input.shape[axis_of(dim, input.ndim, name)] == 0):
        raise IndexError(f"{name}: wanted at least one element along dim {dim}, got shape {input.shape}")
    axis = None if dim is None or input.ndim == 0 else axis_of(dim, input.ndim, name)
    array = input.array
    index = (array.argmax if largest else array.argmin)(axis=axis, keepdims=keepdim)
    return tensor_of(input.xp.asarray(index, dtype=np.int64))


def argmax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The position of the (first) largest element: in the flattened tensor, or along `dim`. int64.

    >>> import mydl
    >>> argmax(mydl.tensor([1.0, 5.0, 3.0]))
    tensor(1)
    """
    return _arg_extreme(input, dim, keepdim, True, "argmax")


def argmin(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The position of the (first) smallest element: in the flattened tensor, or along `dim`. int64.

    >>> import mydl
    >>> argmin(mydl.tensor([1.0, 5.0, 3.0]))
    tensor(0)
    """
    return _arg_extreme(input, dim, keepdim, False, "argmin")
