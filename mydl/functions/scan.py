"""Running sums and products along a dimension, and differences of neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.op import tensor_of
from mydl.backend import to_host
from mydl.functions.arguments import Tensor, axis_of, require_tensor, tensor_along
from mydl.functions.joining import cat
from mydl.functions.reduction import ValuesAndIndices, accumulable
from mydl.ops.arithmetic import Sub
from mydl.ops.indexing import Gather, Slice
from mydl.ops.reduction import CumProd, CumSum

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "trapezoid", "trapz"]


def cumsum(input: Tensor, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Tensor:
    """The sum of the elements so far along `dim`; booleans and integers in int64.

    >>> import mydl
    >>> cumsum(mydl.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    input = accumulable(require_tensor(input, "cumsum"), dtype)
    return CumSum.apply(input, axis=axis_of(axis if dim is None else dim, input.ndim, "cumsum"))


def cumprod(input: Tensor, dim: int | None = None, *, dtype: Any = None, axis: int | None = None) -> Tensor:
    """The product of the elements so far along `dim`; booleans and integers in int64.

    >>> import mydl
    >>> cumprod(mydl.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 2., 6.])
    """
    input = accumulable(require_tensor(input, "cumprod"), dtype)
    return CumProd.apply(input, axis=axis_of(axis if dim is None else dim, input.ndim, "cumprod"))


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The n-th differences of neighbours along `dim`, after `prepend` and `append` have been joined to its ends.

    >>> import mydl
    >>> diff(mydl.tensor([1.0, 4.0, 9.0]))
    tensor([3., 5.])
    """
    input, axis = tensor_along(input, dim, "diff")
    if n < 0 or input.ndim == 0:
        raise RuntimeError(f"diff: wanted n of 0 or more and at least one dimension, got {n} and shape {input.shape}")
    if n == 0:
        return input
    if prepend is not None or append is not None:
        input = cat([part for part in (prepend, input, append) if part is not None], axis)
    lead = (slice(None),) * axis
    for _ in range(n):
        after, before = (Slice.apply(input, key=(*lead, part)) for part in (slice(1, None), slice(None, -1)))
        input = Sub.apply(after, before) if input.dtype.kind != "b" else after != before
    return input


def _running_extreme(input: Tensor, dim: int, largest: bool, name: str) -> ValuesAndIndices:
    input = require_tensor(input, name)
    axis = axis_of(dim, input.ndim, name)
    x = to_host(input.array)  # CuPy accumulates sums and products only
    if x.ndim == 0:
        return ValuesAndIndices(input.clone(), tensor_of(input.xp.zeros((), np.int64)))
    best = (np.maximum if largest else np.minimum).accumulate(x, axis=axis)
    places = np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    index = input.xp.asarray(np.maximum.accumulate(np.where((x == best) | (x != x), places, 0), axis=axis))
    return ValuesAndIndices(Gather.apply(input, index=index, axis=axis), tensor_of(index))


def cummax(input: Tensor, dim: int) -> ValuesAndIndices:
    """(values, indices) of the largest element so far along `dim`, the last one of several.

    >>> import mydl
    >>> cummax(mydl.tensor([1.0, 3.0, 2.0]), 0).values
    tensor([1., 3., 3.])
    """
    return _running_extreme(input, dim, True, "cummax")


def cummin(input: Tensor, dim: int) -> ValuesAndIndices:
    """(values, indices) of the smallest element so far along `dim`, the last one of several.

    >>> import mydl
    >>> cummin(mydl.tensor([3.0, 1.0, 2.0]), 0).values
    tensor([3., 1., 1.])
    """
    return _running_extreme(input, dim, False, "cummin")


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1.0, dim: int = -1) -> Tensor:
    """The integral of y along `dim` by the trapezoidal rule, over the places x, or over steps of dx.

    >>> import mydl
    >>> trapezoid(mydl.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    y, axis = tensor_along(y, dim, "trapezoid")
    lead = (slice(None),) * axis
    middle = (y[(*lead, slice(1, None))] + y[(*lead, slice(None, -1))]) / 2
    if x is None:
        return middle.sum(axis) * dx
    steps = diff(x, dim=axis if x.ndim == y.ndim else -1)
    shape = [-1 if i == axis else 1 for i in range(y.ndim)]
    return (middle * (steps if x.ndim != 1 else steps.reshape(shape))).sum(axis)


trapz = trapezoid
