"""Sums over axes."""

from __future__ import annotations

from typing import Any

__all__ = ["sum_axes"]

Array = Any


def sum_axes(x: Array, axis: int | tuple[int, ...] | None, keepdims: bool) -> Array:
    """The sum over `axis` (None for all of them), in x's dtype; with `keepdims` the axes stay, of length 1.

    >>> import numpy as np
    >>> sum_axes(np.ones((2, 3, 4)), (1, 2), False)
    array([12., 12.])
    """
    return x.sum(axis=axis, keepdims=keepdims)
