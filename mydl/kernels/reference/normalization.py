"""Batch normalisation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.kernels.reference.blocks import for_blocks

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_eval", "move_statistics"]

Array = Any  # numpy.ndarray or cupy.ndarray


def _layout(x: Array) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The axes that are reduced (all but 1), the shape that spreads (C,) over x, and a channel's elements."""
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return axes, shape, x.size // max(x.shape[1], 1)


def _dot(a: Array, b: Array) -> Array:
    """Σ a · b of each channel, (C,), without an array for the products."""
    shape = (*a.shape[:2], math.prod(a.shape[2:]))
    return array_module(a).einsum("ncl,ncl->nc", a.reshape(shape), b.reshape(shape)).sum(axis=0)


def batch_norm(x: Array, weight: Array | None, bias: Array | None, eps: float) -> tuple[Array, Array, Array, Array]:
    """Normalise every channel of a batch: y = (x - mean) / sqrt(var + eps) · weight + bias.

    Ioffe and Szegedy, "Batch Normalization", ICML 2015. x is (N, C), (N, C, L), (N, C, H, W), ...; weight and
    bias are (C,) or None (1 and 0).

    Returns:
        (y, mean, var, inv_std): y in x's dtype; the channel's mean, its biased variance and 1 / sqrt(var +
        eps), each (C,), in float32 at least (float16 is computed in float32). An empty batch has mean 0 and
        variance 0.

    >>> import numpy as np
    >>> y, mean, var, _ = batch_norm(np.array([[1.0], [3.0]]), None, None, 0.0)
    >>> y.ravel(), mean, var
    (array([-1.,  1.]), array([2.]), array([1.]))
    """
    xp = array_module(x)
    axes, shape, count = _layout(x)
    count = max(count, 1)
    wide = np.result_type(x.dtype, np.float32)
    y, none = xp.empty(x.shape, wide), xp.zeros((2, x.shape[1]), wide)
    with np.errstate(all="ignore"):  # NaN and inf go through
        # The first mean only brings the numbers near zero. What it lacks (its rounding error, much when
        # |mean| >> std) is measured on the differences, where it is small and its square can be taken from
        # the variance.
        near = sum(for_blocks(lambda images: x[images].sum(axis=axes, dtype=wide), x), start=none[0]) / count

        def centred(images: slice) -> Array:
            part = xp.subtract(x[images], near.reshape(shape), out=y[images])
            return xp.stack([part.sum(axis=axes), _dot(part, part)])

        rest, square = sum(for_blocks(centred, x), start=none) / count
        var = square - rest * rest
        inv_std = 1 / xp.sqrt(var + eps)
        scale = inv_std if weight is None else inv_std * weight
        shift = -rest * scale if bias is None else bias - rest * scale

        def scaled(images: slice) -> None:
            part = y[images]
            part *= scale.reshape(shape)
            part += shift.reshape(shape)

        for_blocks(scaled, y)
    return y.astype(x.dtype, copy=False), near + rest, var, inv_std


def batch_norm_backward(
    grad: Array, x: Array, weight: Array | None, mean: Array, inv_std: Array
) -> tuple[Array, Array, Array]:
    """The gradients of `batch_norm` for x, weight and bias: (dx, dweight, dbias).

    With x̂ = (x - mean) · inv_std and M elements in a channel:

        dbias = sum(grad),  dweight = sum(grad · x̂),  dx = weight · inv_std · (grad - dbias / M - x̂ ·
        dweight / M)

    dx has x's dtype; dweight and dbias, both (C,), have the weight's (x's where weight is None).

    >>> import numpy as np
    >>> x, one = np.array([[1.0], [3.0]]), np.ones(1)
    >>> batch_norm_backward(np.array([[1.0], [0.0]]), x, one, 2 * one, one)
    (array([[0.],
           [0.]]), array([-1.]), array([1.]))
    """
    axes, shape, count = _layout(x)
    count = max(count, 1)
    wide = np.result_type(x.dtype, np.float32)
    xp = array_module(x)
    dx, none = xp.empty(x.shape, wide), xp.zeros((2, x.shape[1]), wide)

    def sums(images: slice) -> Array:
        part = xp.subtract(x[images], mean.reshape(shape), out=dx[images])
        return xp.stack([grad[images].sum(axis=axes, dtype=wide), _dot(grad[images], part)])

    def combined(images: slice) -> None:
        part = dx[images]
        part *= (-inv_std * dweight / count).reshape(shape)
        part += grad[images]
        part -= (dbias / count).reshape(shape)
        part *= (inv_std if weight is None else inv_std * weight).reshape(shape)

    with np.errstate(all="ignore"):  # NaN and inf go through
        dbias, dweight = sum(for_blocks(sums, x), start=none)
        dweight = dweight * inv_std
        for_blocks(combined, dx)
    param_dtype = x.dtype if weight is None else weight.dtype
    return (
        dx.astype(x.dtype, copy=False),
        dweight.astype(param_dtype, copy=False),
        dbias.astype(param_dtype, copy=False),
    )


def batch_norm_eval(x: Array, weight: Array | None, bias: Array | None, mean: Array, var: Array, eps: float) -> Array:
    """y = (x - mean) / sqrt(var + eps) · weight + bias with given statistics (C,), as one scale and shift a channel.

    >>> import numpy as np
    >>> batch_norm_eval(np.array([[1.0], [3.0]]), None, None, np.ones(1), np.full(1, 4.0), 0.0)
    array([[0.],
           [1.]])
    """
    _, shape, _ = _layout(x)
    wide = np.result_type(x.dtype, np.float32)  # float16 is computed in float32 and rounded once
    with np.errstate(all="ignore"):  # NaN and inf go through
        scale = 1 / array_module(x).sqrt(var.astype(wide, copy=False) + eps)
        if weight is not None:
            scale = scale * weight
        shift = -mean * scale if bias is None else bias - mean * scale
        y = x * scale.reshape(shape)
        y += shift.reshape(shape)
    return y.astype(x.dtype, copy=False)


def move_statistics(
    running_mean: Array, running_var: Array, mean: Array, var: Array, momentum: float, correction: float
) -> None:
    """Move running statistics towards a batch's, in place: running = (1 - momentum) · running + momentum · batch.

    The batch's variance is multiplied by `correction` first, n / (n - 1) for its unbiased estimate.

    >>> import numpy as np
    >>> mean, var = np.zeros(1), np.ones(1)
    >>> move_statistics(mean, var, np.ones(1), np.ones(1), 0.25, 2.0)
    >>> mean, var
    (array([0.25]), array([1.25]))
    """
    for running, batch in ((running_mean, mean), (running_var, var * correction)):
        running *= 1 - momentum
        running += (batch * momentum).astype(running.dtype, copy=False)
