"""Batch normalisation on a GPU: one kernel for the sums of each channel's slices, one that uses them.

Not yet run on a GPU.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.kernels import reference
from mydl.kernels.gpu.launch import THREADS, contiguous, launch, served

__all__ = ["batch_norm", "batch_norm_backward"]

Array = Any

_ELEMENTS = 8 * THREADS  # of a slice, at least
_SLICES = 64  # of a channel, at most


def _sizes(x: Array) -> tuple[tuple[int, int], tuple[Any, ...]] | None:
    """The grid (channels, slices) and the kernels' sizes (elements of a channel, channels, elements of a plane).

    None where there is nothing to do, or more than 32 bits can number.
    """
    channels, length = x.shape[1], math.prod(x.shape[2:])
    count = len(x) * length
    if not channels or not 0 < count < 2**31:
        return None
    slices = min(max(count // _ELEMENTS, 1), _SLICES)
    return (channels, slices), tuple(np.uint32(size) for size in (count, channels, length))


def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array, Array]:
    """As `reference.batch_norm`."""
    sizes = _sizes(x) if served(x, weight, bias) else None
    if sizes is None:
        return reference.batch_norm(x, weight, bias, eps)
    (channels, slices), counts = sizes
    x, weight, bias = contiguous(x, weight, bias)
    xp = array_module(x)
    sums = xp.empty((channels, slices, 2), np.float64)
    y, statistics = xp.empty_like(x), [xp.empty(channels, x.dtype) for _ in range(3)]
    launch("batch_norm_sums", x.dtype, (channels, slices), x, sums, *counts)
    arguments = (x, weight, bias, sums, y, *statistics, *counts, float(eps))
    launch("batch_norm", x.dtype, (channels, slices), *arguments)
    mean, var, inv_std = statistics
    return y, mean, var, inv_std


def batch_norm_backward(
    grad: Array, x: Array, weight: Array | None, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """As `reference.batch_norm_backward`."""
    sizes = _sizes(x) if served(grad, x, weight, mean, inv_std) else None
    if sizes is None:
        return reference.batch_norm_backward(grad, x, weight, mean, inv_std)
    (channels, slices), counts = sizes
    grad, x, weight = contiguous(grad, x, weight)
    xp = array_module(x)
    sums = xp.empty((channels, slices, 2), np.float64)
    dx, dweight, dbias = xp.empty_like(x), xp.empty(channels, x.dtype), xp.empty(channels, x.dtype)
    launch("batch_norm_backward_sums", x.dtype, (channels, slices), grad, x, mean, sums, *counts)
    arguments = (grad, x, weight, mean, inv_std, sums, dx, dweight, dbias, *counts)
    launch("batch_norm_backward", x.dtype, (channels, slices), *arguments)
    return dx, dweight, dbias
