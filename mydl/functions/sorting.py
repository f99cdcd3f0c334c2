"""Order: sort, topk, median, distinct values and counts. The gradient goes to the elements that were taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.op import tensor_of
from mydl.functions.arguments import Tensor, axis_of, require_flag, require_numbers, require_tensor, tensor_along
from mydl.functions.reduction import ValuesAndIndices
from mydl.ops.indexing import Gather, Slice
from mydl.ops.reduction import Picked

__all__ = ["argsort", "bincount", "kthvalue", "median", "msort", "nanmedian", "sort", "topk", "unique"]


def _order(input: Any, axis: int, descending: bool) -> Any:
    """Positions along `axis` in sorted order, equal elements as they stand; NaN counts as the largest."""
    array, xp = input.array, input.xp
    if array.ndim == 0:
        return xp.zeros((), np.int64)
    if not descending:
        return xp.argsort(array, axis=axis, kind="stable").astype(np.int64, copy=False)
    backwards = xp.argsort(xp.flip(array, axis), axis=axis, kind="stable")
    return (array.shape[axis] - 1 - xp.flip(backwards, axis)).astype(np.int64, copy=False)


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesAndIndices:
    """(values, indices) in order along `dim`; equal elements keep theirs, NaN counts as the largest.

    >>> import mydl
    >>> sort(mydl.tensor([3.0, 1.0, 2.0]))
    ValuesAndIndices(values=tensor([1., 2., 3.]), indices=tensor([1, 2, 0]))
    """
    require_flag(descending, "sort: descending")
    input, axis = tensor_along(input, dim, "sort")
    index = _order(input, axis, descending)
    return ValuesAndIndices(Gather.apply(input, index=index, axis=axis), tensor_of(index))


def msort(input: Tensor) -> Tensor:
    """The values in order along the first dimension.

    >>> import mydl
    >>> msort(mydl.tensor([3.0, 1.0, 2.0]))
    tensor([1., 2., 3.])
    """
    return sort(input, 0).values


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Tensor:
    """The indices that `sort` gives.

    >>> import mydl
    >>> argsort(mydl.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    require_flag(descending, "argsort: descending")
    input = require_tensor(input, "argsort")
    return tensor_of(_order(input, axis_of(dim, input.ndim, "argsort"), descending))


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices:
    """(values, indices) of the k largest (or smallest) elements along `dim`, always in order.

    >>> import mydl
    >>> topk(mydl.tensor([3.0, 1.0, 2.0]), 2).values
    tensor([3., 2.])
    """
    require_flag(largest, "topk: largest")
    input = require_numbers(input, "topk")
    axis = axis_of(dim, input.ndim, "topk")
    length = input.shape[axis] if input.ndim else 1
    if not 0 <= k <= length:
        raise RuntimeError(f"topk: wanted 0 <= k <= {length}, the size of dim {dim} of shape {input.shape}, got {k}")
    index = _order(input, axis, largest)
    if input.ndim:
        index = index[(slice(None),) * axis + (slice(0, k),)]
    return ValuesAndIndices(Gather.apply(input, index=index, axis=axis), tensor_of(index))


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """(value, index) of the k-th smallest element along `dim`, counted from 1.

    >>> import mydl
    >>> kthvalue(mydl.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    input = require_numbers(input, "kthvalue")
    axis = axis_of(dim, input.ndim, "kthvalue", keepdim)
    length = input.shape[axis] if input.ndim else 1
    if not 1 <= k <= length:
        raise RuntimeError(f"kthvalue: wanted 1 <= k <= {length}, got {k}")
    order = _order(input, axis, False)
    return picked(input, order[_at(axis, k - 1)] if input.ndim else order, axis, keepdim)


def _at(axis: int, place: int) -> tuple:
    return (slice(None),) * axis + (slice(place, place + 1),)


def picked(input: Any, index: Any, axis: int, keepdim: bool) -> ValuesAndIndices:
    """The elements at `index`, which has length 1 along `axis`."""
    values = Gather.apply(input, index=index, axis=axis)
    if keepdim or input.ndim == 0:
        return ValuesAndIndices(values, tensor_of(index))
    key = (slice(None),) * axis + (0,)
    return ValuesAndIndices(Slice.apply(values, key=key), tensor_of(index[key]))


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median, the lower one of an even number; with `dim`, (values, indices) along it. NaN if there is a NaN.

    >>> import mydl
    >>> median(mydl.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    """
    return _median(input, dim, keepdim, False, "median")


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of the elements that are not NaN, otherwise as `median`.

    >>> import mydl
    >>> nanmedian(mydl.tensor([4.0, 1.0, float("nan")]))
    tensor(1.)
    """
    return _median(input, dim, keepdim, True, "nanmedian")


def _median(input: Any, dim: int | None, keepdim: bool, without_nan: bool, name: str) -> Any:
    input = require_numbers(input, name)
    if dim is None:
        if keepdim:
            raise TypeError(f"{name}: keepdim=True wants a dim")
        if input.numel() == 0:
            return input.new_full((), float("nan") if input.dtype.kind == "f" else np.iinfo(input.dtype).min)
        return Picked.apply(input, value=_median(input.detach().reshape(-1), 0, False, without_nan, name).values.array)
    axis = axis_of(dim, input.ndim, name, keepdim)
    order = _order(input, axis, False)
    if input.ndim == 0:
        return picked(input, order, axis, keepdim)
    length = input.shape[axis]
    if length == 0:
        raise IndexError(f"{name}: wanted at least one element along dim {dim} of shape {input.shape}")
    array, xp = input.array, input.xp
    wrong = array != array
    if without_nan:  # which stand last in the order
        middle = (length - wrong.sum(axis=axis, keepdims=True) - 1) // 2
        return picked(input, xp.take_along_axis(order, xp.maximum(middle, 0), axis), axis, keepdim)
    first_wrong = xp.expand_dims(xp.argmax(wrong, axis=axis), axis)
    index = xp.where(wrong.any(axis=axis, keepdims=True), first_wrong, order[_at(axis, (length - 1) // 2)])
    return picked(input, index.astype(np.int64), axis, keepdim)


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The distinct values in order, or the distinct slices along `dim`; no gradient flows through it.

    With return_inverse also where each element went, with return_counts also how often each value appears.

    >>> import mydl
    >>> unique(mydl.tensor([2, 1, 2]), return_counts=True)
    (tensor([1, 2]), tensor([1, 2]))
    """
    input = require_tensor(input, "unique")
    axis = None if dim is None else axis_of(dim, input.ndim, "unique")
    values, inverse, counts = input.xp.unique(
        input.array, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    results = [tensor_of(values)]
    if return_inverse:
        results.append(tensor_of(inverse.reshape(input.shape if axis is None else (-1,)).astype(np.int64)))
    if return_counts:
        results.append(tensor_of(counts.astype(np.int64)))
    return results[0] if len(results) == 1 else tuple(results)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, 2, … appears among the elements, or the sum of their weights.

    >>> import mydl
    >>> bincount(mydl.tensor([0, 2, 2]), minlength=4)
    tensor([1, 0, 2, 0])
    """
    input = require_tensor(input, "bincount")
    if input.ndim != 1 or input.dtype.kind not in "iu":
        raise RuntimeError(f"bincount: wanted integers in one dimension, got {input.shape} {input.dtype}")
    if input.numel() and int(input.array.min()) < 0:
        raise RuntimeError(f"bincount: wanted no negative numbers, got {int(input.array.min())}")
    if weights is None:
        return tensor_of(input.xp.bincount(input.array, minlength=minlength).astype(np.int64))
    counted = input.xp.bincount(input.array, weights.array, minlength)
    return tensor_of(counted.astype(np.float32 if weights.dtype == np.float32 else np.float64))
