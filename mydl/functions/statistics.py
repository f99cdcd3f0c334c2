"""Quantiles, counts and covariances of samples, and places in sorted sequences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import describe, tensor_of
from mydl.backend import to_host
from mydl.functions.arguments import Tensor, axis_of, require_floating, require_numbers, require_tensor, tensor_along
from mydl.functions.elementwise import clamp, sqrt, where
from mydl.functions.reduction import ValuesAndIndices, mean
from mydl.functions.selection import index_select
from mydl.functions.shape import movedim, reshape, unsqueeze
from mydl.functions.sorting import picked, sort

__all__ = ["bucketize", "corrcoef", "cov", "histc", "mode", "quantile", "searchsorted", "unique_consecutive"]

_PLACES = {"linear": None, "lower": np.floor, "higher": np.ceil, "nearest": np.rint, "midpoint": None}


def quantile(
    input: Tensor, q: Tensor | float, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The value below which a part q of the elements lies, along `dim` or of them all; NaN if there is a NaN.

    Several q, a vector, make the first dimension of the result. Between two elements, `interpolation` is "linear",
    "lower", "higher", "nearest" or "midpoint".

    >>> import mydl
    >>> quantile(mydl.tensor([1.0, 2.0, 3.0, 5.0]), 0.5)
    tensor(2.5000)
    """
    input = require_floating(input, "quantile")
    if not isinstance(q, (Variable, float, int)) or (isinstance(q, Variable) and q.dtype != input.dtype):
        raise RuntimeError(f"quantile: wanted a number or a tensor of {input.dtype} as q, got {describe(q)}")
    parts = np.asarray(to_host(q.array) if isinstance(q, Variable) else q, dtype=np.float64)
    if parts.ndim > 1 or not ((parts >= 0) & (parts <= 1)).all():
        raise RuntimeError(f"quantile: wanted q from 0 to 1, a number or a vector, got {describe(q)}")
    if interpolation not in _PLACES:
        raise RuntimeError(f"quantile: wanted interpolation {', '.join(_PLACES)}, got {interpolation!r}")
    if input.numel() == 0:
        raise RuntimeError(f"quantile: wanted at least one element, got shape {input.shape}")
    axis = 0 if dim is None else axis_of(dim, input.ndim, "quantile", keepdim)
    rows = movedim(reshape(input, -1) if dim is None or input.ndim == 0 else input, axis, 0)
    ordered = sort(rows, 0).values
    place = parts.reshape(-1) * (len(ordered) - 1)
    rounded = _PLACES[interpolation]
    place = place if rounded is None else rounded(place)
    low, high = (index_select(ordered, 0, _index(input, f(place))) for f in (np.floor, np.ceil))
    weight = np.where(place % 1 > 0, 0.5, 0.0) if interpolation == "midpoint" else place % 1
    weight = input.xp.asarray(weight.reshape(-1, *[1] * (rows.ndim - 1)), dtype=input.dtype)
    result = where(ordered[-1:] != ordered[-1:], float("nan"), low + (high - low) * weight)
    if keepdim and input.ndim:
        result = unsqueeze(result, axis + 1) if dim is not None else reshape(result, -1, *[1] * input.ndim)
    return result if parts.ndim else result[0]


def _index(like: Any, places: np.ndarray) -> Any:
    return tensor_of(like.xp.asarray(places.astype(np.int64)))


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """(value, index) of the most frequent element along `dim`, the smallest of several; the index is its last place.

    >>> import mydl
    >>> mode(mydl.tensor([3.0, 1.0, 3.0])).values
    tensor(3.)
    """
    input, axis = tensor_along(input, dim, "mode", keepdim)
    rows = np.moveaxis(to_host(input.array), axis, -1) if input.ndim else to_host(input.array).reshape(1)
    if rows.shape[-1] == 0:
        raise IndexError(f"mode: wanted at least one element along dim {dim}, got shape {input.shape}")

    def place(row: np.ndarray) -> int:
        values, counts = np.unique(row, return_counts=True)
        return len(row) - 1 - int((row[::-1] == values[counts.argmax()]).argmax())

    found = np.array([place(row) for row in rows.reshape(-1, rows.shape[-1])], np.int64).reshape(*rows.shape[:-1], 1)
    index = input.xp.asarray(np.moveaxis(found, -1, axis) if input.ndim else found.reshape(()))
    return picked(input, index, axis, keepdim)


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of `bins` equal parts of [min, max], of their own range where both are equal.

    >>> import mydl
    >>> histc(mydl.tensor([0.0, 1.0, 1.5, 3.0]), bins=3)
    tensor([1., 2., 1.])
    """
    input = require_floating(input, "histc")
    if bins < 1 or min > max:
        raise RuntimeError(f"histc: wanted bins above 0 and min <= max, got {bins}, {min} and {max}")
    array = to_host(input.array)
    low, high = (float(array.min()), float(array.max())) if min == max and array.size else (min, max)
    low, high = (low - 1, high + 1) if low == high else (low, high)
    inside = array[(array >= low) & (array <= high)].astype(np.float64)
    places = np.minimum((inside - low) / (high - low) * bins, bins - 1).astype(np.int64)
    counts = np.bincount(places, minlength=bins)
    return tensor_of(input.xp.asarray(counts, dtype=input.dtype))


def cov(input: Tensor, *, correction: int = 1, fweights: None = None, aweights: None = None) -> Tensor:
    """The covariances of the rows, each a variable, over the columns: x xT / (n - correction), x centred.

    >>> import mydl
    >>> cov(mydl.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if fweights is not None or aweights is not None:
        raise NotImplementedError("cov: fweights and aweights are not supported")
    if require_numbers(input, "cov").ndim > 2:
        raise RuntimeError(f"cov: wanted at most 2 dimensions, got {describe(input)}")
    x = input if input.dtype.kind == "f" else input.float()
    rows = reshape(x, 1, -1) if x.ndim < 2 else x
    centred = rows - mean(rows, 1, keepdim=True)
    result = centred @ centred.t() / max(rows.shape[1] - correction, 0)
    return reshape(result, ()) if len(rows) == 1 else result


def corrcoef(input: Tensor) -> Tensor:
    """The correlations of the rows: their covariances divided by both standard deviations.

    >>> import mydl
    >>> corrcoef(mydl.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(input)
    if c.ndim == 0:
        return c / c
    deviation = sqrt(c.diagonal())
    return clamp(c / deviation[:, None] / deviation, -1, 1)


def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: None = None,
) -> Tensor:  # fmt: skip
    """Where each element would go into the sequence, sorted along its last dimension, before its equals or after them.

    >>> import mydl
    >>> searchsorted(mydl.tensor([1, 3, 5]), mydl.tensor([3, 6]))
    tensor([1, 3])
    """
    if sorter is not None:
        raise NotImplementedError("searchsorted: sorter= is not supported; sort the sequence first")
    sequence = require_tensor(sorted_sequence, "searchsorted")
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: wanted side 'left' or 'right' as right={right} says, got {side!r}")
    if not isinstance(input, (Variable, int, float)):
        raise TypeError(f"searchsorted: wanted a tensor or a number, got {describe(input)}")
    values = input.array if isinstance(input, Variable) else sequence.xp.asarray(input)
    side = side or ("right" if right else "left")
    if sequence.ndim == 1:
        places = sequence.xp.searchsorted(sequence.array, values, side=side)
    else:
        if sequence.shape[:-1] != values.shape[:-1]:
            raise RuntimeError(f"searchsorted: {describe(sequence)} and {describe(values)} differ before the last dim")
        rows = zip(sequence.array.reshape(-1, sequence.shape[-1]), values.reshape(-1, values.shape[-1]))
        places = sequence.xp.asarray([sequence.xp.searchsorted(s, v, side=side) for s, v in rows])
    dtype = np.int32 if out_int32 else np.int64
    return tensor_of(sequence.xp.asarray(places, dtype=dtype).reshape(values.shape))


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """Which of the intervals between sorted boundaries each element falls into; see `searchsorted`.

    >>> import mydl
    >>> bucketize(mydl.tensor([0.5, 2.0]), mydl.tensor([1.0, 2.0]))
    tensor([0, 1])
    """
    if require_tensor(boundaries, "bucketize").ndim != 1:
        raise RuntimeError(f"bucketize: wanted a vector of boundaries, got {describe(boundaries)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements (or the slices along `dim`) without those that equal the one before; otherwise as `unique`.

    >>> import mydl
    >>> unique_consecutive(mydl.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    input = require_tensor(input, "unique_consecutive")
    axis = 0 if dim is None else axis_of(dim, input.ndim, "unique_consecutive")
    array, xp = (input.array.reshape(-1) if dim is None else input.array), input.xp
    rows = xp.moveaxis(array, axis, 0)
    rows = rows.reshape(len(rows), math.prod(rows.shape[1:]))
    starts = xp.concatenate([xp.ones(min(len(rows), 1), bool), (rows[1:] != rows[:-1]).any(axis=1)])
    first = xp.nonzero(starts)[0]
    results = [tensor_of(xp.take(array, first, axis=axis))]
    if return_inverse:
        inverse = xp.cumsum(starts) - 1
        results.append(tensor_of(inverse.reshape(input.shape) if dim is None else inverse))
    if return_counts:
        ends = xp.concatenate([first[1:], xp.asarray([len(rows)], dtype=first.dtype)])
        results.append(tensor_of(ends[: len(first)] - first))
    return results[0] if len(results) == 1 else tuple(results)
