"""The three convolutions of float32 arrays, by the way that suits the shapes.

Batches under 3×3 kernels go by tiles (`winograd.py`, `winograd_weights.py`): a quarter of the multiplications, rounded
otherwise than the definition. The rest goes tap by tap (`direct.py`). Other dtypes, empty arrays and shapes for which
planes waste most of the work (a kernel about as large as the image, for which BLAS is better) go to the reference, and
so does the rare case in which a padding zero or a zero in a gap would meet a factor that is not finite and make a NaN
where the definition has none.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mydl.kernels import reference
from mydl.kernels.cpu import direct, winograd, winograd_weights
from mydl.kernels.cpu.planes import forward_plan, input_grad_plan

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]

_NO_BIAS = np.zeros(1, np.float32)
_SINGLE = np.dtype(np.float32)


def conv2d(x, w, b, stride, padding, dilation, groups):
    """As `mydl.kernels.reference.conv2d`.

    >>> x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    >>> conv2d(x, np.ones((1, 1, 2, 2), np.float32), None, (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    """
    bias, b_stride = (_NO_BIAS, 0) if b is None else (b, 1)
    if not _served(x, w, bias):
        return reference.conv2d(x, w, b, stride, padding, dilation, groups)
    shape, tiles, plan = _forward(x.shape, w.shape, stride, padding, dilation, groups)
    y = np.empty(shape, np.float32)
    if tiles:
        if winograd.convolve(tiles, x, w, False, bias, b_stride, y):
            return y
        plan = forward_plan(x.shape, w.shape, stride, padding, dilation, groups)
    if not plan:
        return reference.conv2d(x, w, b, stride, padding, dilation, groups)
    direct.convolve(plan, x, w, bias, b_stride, y)
    return y


@lru_cache(maxsize=512)
def _forward(x_shape, w_shape, stride, padding, dilation, groups):
    """(the result's shape, how to convolve by tiles or None, how tap by tap where there are no tiles)."""
    size = (
        (x_shape[2 + a] + 2 * padding[a] - dilation[a] * (w_shape[2 + a] - 1) - 1) // stride[a] + 1 for a in range(2)
    )
    shape = x_shape[0], w_shape[0], *size
    np.empty(shape, np.float32)  # what is beyond memory fails here: plans for it would be long
    arguments = x_shape, w_shape, stride, padding, dilation, groups
    tiles = winograd.tile_plan(*arguments)
    return shape, tiles, None if tiles else forward_plan(*arguments)


def conv2d_input_grad(grad, w, input_shape, stride, padding, dilation, groups):
    """As `mydl.kernels.reference.conv2d_input_grad`.

    >>> w = np.ones((1, 1, 2, 2), np.float32)
    >>> conv2d_input_grad(np.ones((1, 1, 1, 1), np.float32), w, (1, 1, 2, 2), (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[1., 1.],
           [1., 1.]], dtype=float32)
    """
    if not _served(grad, w):
        return reference.conv2d_input_grad(grad, w, input_shape, stride, padding, dilation, groups)
    dx = np.empty(input_shape, np.float32)
    # A convolution itself, with the weights turned round and the padding that makes up for the other.
    w_shape = groups * w.shape[1], len(w) // groups, *w.shape[2:]
    tiles = winograd.tile_plan(grad.shape, w_shape, stride, (2 - padding[0], 2 - padding[1]), dilation, groups)
    # nothing is checked where the results are written
    fits = tiles and tiles.sizes[6:8] == tuple(input_shape[2:])
    if fits and winograd.convolve(tiles, grad, w, True, _NO_BIAS, 0, dx):
        return dx
    plan = input_grad_plan(tuple(input_shape), w.shape, grad.shape[2:], stride, padding, dilation, groups)
    if not plan or not np.isfinite(w).all():
        return reference.conv2d_input_grad(grad, w, input_shape, stride, padding, dilation, groups)
    direct.convolve(plan, grad, w, _NO_BIAS, 0, dx)
    return dx


def conv2d_weight_grad(grad, x, weight_shape, stride, padding, dilation, groups):
    """As `mydl.kernels.reference.conv2d_weight_grad`.

    >>> x = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    >>> grad = np.ones((1, 1, 2, 2), np.float32)
    >>> conv2d_weight_grad(grad, x, (1, 1, 2, 2), (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    """
    if not _served(grad, x):
        return reference.conv2d_weight_grad(grad, x, weight_shape, stride, padding, dilation, groups)
    tiles = winograd_weights.tile_plan(x.shape, tuple(weight_shape), stride, padding, dilation, groups)
    if tiles:
        dw = winograd_weights.correlate(tiles, grad, x)
        if np.isfinite(dw).all():
            return dw
    plan = forward_plan(x.shape, tuple(weight_shape), stride, padding, dilation, groups)
    if not plan:
        return reference.conv2d_weight_grad(grad, x, weight_shape, stride, padding, dilation, groups)
    dw = np.empty(weight_shape, np.float32)
    direct.correlate(plan, grad, x, groups, dw)
    if not np.isfinite(dw).all():
        return reference.conv2d_weight_grad(grad, x, weight_shape, stride, padding, dilation, groups)
    return dw


def _served(a, b, c=_NO_BIAS) -> bool:
    return a.dtype == b.dtype == c.dtype == _SINGLE and bool(a.size and b.size and c.size)
