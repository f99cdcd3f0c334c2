"""Sums over the last axes of an array, by `numpy.einsum`: it takes a third of the time that `numpy.sum` does."""

from __future__ import annotations

import math

import numpy as np

from mydl.kernels import reference

__all__ = ["sum_axes"]

LONGEST = 4096  # elements that are added up one after another, in vectors; NumPy's pairwise sum is more exact then
FROM = 4096  # elements from which on it pays


def sum_axes(x: np.ndarray, axis: int | tuple[int, ...] | None, keepdims: bool) -> np.ndarray:
    """The sum over `axis`; see `reference.sum_axes`.

    >>> sum_axes(np.ones((2, 3, 100, 100), np.float32), (2, 3), False)
    array([[10000., 10000., 10000.],
           [10000., 10000., 10000.]], dtype=float32)
    """
    axes = axis if axis.__class__ is tuple else (axis,)
    if x.size < FROM or x.dtype.kind != "f" or not x.flags.c_contiguous or not _valid(axes, x.ndim):
        return reference.sum_axes(x, axis, keepdims)
    summed = {a % x.ndim for a in axes}
    first = x.ndim  # the first of the last axes
    while first - 1 in summed:
        first -= 1
    length = math.prod(x.shape[first:])
    if not 1 < length <= LONGEST:
        return reference.sum_axes(x, axis, keepdims)
    sums = np.einsum("ij->i", x.reshape(-1, length)).reshape(x.shape[:first])
    rest = tuple(a for a in summed if a < first)
    if rest:
        sums = sums.sum(axis=rest)
    return sums.reshape([1 if a in summed else n for a, n in enumerate(x.shape) if keepdims or a not in summed])


def _valid(axes: tuple, ndim: int) -> bool:
    """Whether the axes are ints that the array has, each once; NumPy says what is wrong with others."""
    within = all(isinstance(a, int) and -ndim <= a < ndim for a in axes)
    return within and len({a % ndim for a in axes}) == len(axes)
