"""Sums over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["sum_axes"]

Array = Any

_LONG = 4096  # sums of so many elements, one by one, are off by some ten steps of float32


def sum_axes(x: Array, axis: int | tuple[int, ...] | None, keepdims: bool) -> Array:
    """The sum over `axis` (None for all of them), in x's dtype; with `keepdims` the axes stay, of length 1.

    NumPy adds pairwise along what lies together in memory and one by one along the other axes: where the latter are
    long, in float64.

    >>> import numpy as np
    >>> sum_axes(np.ones((2, 3, 4)), (1, 2), False)
    array([12., 12.])
    """
    if axis is None or x.size < _LONG or x.dtype != np.float32:
        return x.sum(axis=axis, keepdims=keepdims)
    axes = {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))} if x.ndim else set()
    one_by_one = math.prod(n for a, n in enumerate(x.shape) if a in axes and x.strides[a] != x.itemsize)
    wide = np.float64 if one_by_one >= _LONG else None
    return x.sum(axis=axis, keepdims=keepdims, dtype=wide).astype(x.dtype, copy=False)
