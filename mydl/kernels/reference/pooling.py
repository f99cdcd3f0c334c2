"""Max and average pooling over planes.

x is (N, C, H, W); kernel, stride, padding and dilation are pairs (vertical, horizontal) that the caller has
checked: padding is at most half the kernel. A window slides over the plane with `padding` rows and columns
around it; with `ceil_mode` the last window may reach beyond the bottom or right padding, but must start
before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mydl.backend import array_module

__all__ = [
    "avg_pool2d", "avg_pool2d_backward", "max_pool2d", "max_pool2d_backward", "pooled_shape", "pooled_size",
    "window_divisors",
]  # fmt: skip

Array = Any  # numpy.ndarray or cupy.ndarray
Pair = tuple[int, int]


def pooled_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows fit along one axis: (size + 2·padding - dilation·(kernel - 1) - 1) / stride + 1,
    rounded down.

    With `ceil_mode` it is rounded up, but a window that would start in the right padding is dropped.

    >>> pooled_size(5, 2, 2, 0, 1, False), pooled_size(5, 2, 2, 0, 1, True)
    (2, 3)
    """
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def pooled_shape(
    shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> Pair:
    """(Ho, Wo) for an input of `shape` (..., H, W): `pooled_size` of both axes.

    >>> pooled_shape((1, 1, 5, 6), (2, 2), (2, 2), (0, 0), (1, 1), True)
    (3, 3)
    """
    rows, columns = (
        pooled_size(size, k, s, p, d, ceil_mode)
        for size, k, s, p, d in zip(shape[-2:], kernel, stride, padding, dilation, strict=True)
    )
    return rows, columns


def _padded_size(shape: tuple[int, ...], out: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """The size of the plane with its padding and with what the last windows reach beyond it."""
    return tuple(
        max(size + 2 * p, (o - 1) * s + d * (k - 1) + 1)
        for size, o, k, s, p, d in zip(shape[-2:], out, kernel, stride, padding, dilation, strict=True)
    )


def _taps(padded: Array, out: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Iterator[tuple[Pair, Array]]:
    """For each place (i, j) in the kernel the view (N, C, Ho, Wo) of what the windows have there."""
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            rows = slice(top, top + (out[0] - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (out[1] - 1) * stride[1] + 1, stride[1])
            yield (top, left), padded[:, :, rows, columns]


def _surround(x: Array, size: Pair, padding: Pair, fill: float) -> Array:
    """x in the middle of planes of `size`, `fill` around it."""
    xp = array_module(x)
    padded = xp.full((*x.shape[:2], *size), fill, dtype=x.dtype)
    padded[:, :, padding[0] : padding[0] + x.shape[2], padding[1] : padding[1] + x.shape[3]] = x
    return padded


def max_pool2d(
    x: Array, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Array, Array]:
    """The largest element of each window, and where it is.

    Of equal elements the first counts; a NaN is larger than anything (of several the last counts, as in
    PyTorch).

    Returns:
        (y, indices), both (N, C, Ho, Wo): indices are int64 positions in the flat H·W plane. A dilated window
        can step over a small plane altogether: it gives -inf and the index -1.

    >>> import numpy as np
    >>> y, indices = max_pool2d(np.arange(4.0).reshape(1, 1, 2, 2), (2, 2), (2, 2), (0, 0), (1, 1), False)
    >>> y.item(), indices.item()
    (3.0, 3)
    """
    xp = array_module(x)
    height, width = x.shape[2:]
    out = pooled_shape(x.shape, kernel, stride, padding, dilation, ceil_mode)
    padded = _surround(x, _padded_size(x.shape, out, kernel, stride, padding, dilation), padding, -np.inf)
    # The first tap of each window that lies in the plane, in both directions.
    top, left = (np.arange(out[a]) * stride[a] - padding[a] for a in range(2))
    down, right = (-(np.minimum(corner, 0) // d) for corner, d in ((top, dilation[0]), (left, dilation[1])))
    rows = (down < kernel[0]) & (top + down * dilation[0] < height)
    columns = (right < kernel[1]) & (left + right * dilation[1] < width)
    # Which tap is the best so far, numbered from 0 in as few bytes as will do: a later one has a higher number.
    best = xp.full((*x.shape[:2], *out), -np.inf, dtype=x.dtype)
    chosen = xp.empty(best.shape, np.min_scalar_type(kernel[0] * kernel[1]))
    chosen[...] = xp.asarray(np.where(rows, down, 0)[:, None] * kernel[1] + np.where(columns, right, 0))
    offsets: list[int] = []
    for (below, beside), tap in _taps(padded, out, kernel, stride, dilation):
        tap = xp.ascontiguousarray(tap)
        better = (tap > best) | (tap != tap)
        xp.maximum(chosen, better * chosen.dtype.type(len(offsets)), out=chosen)
        xp.maximum(best, tap, out=best)
        offsets.append(below * width + beside)
    indices = xp.asarray(offsets)[chosen]
    indices += xp.asarray(top[:, None] * width + left)
    if not (rows.all() and columns.all()):
        indices[:, :, xp.asarray(~(rows[:, None] & columns))] = -1
    return best, indices


def max_pool2d_backward(grad: Array, indices: Array, input_shape: tuple[int, ...]) -> Array:
    """The gradient of `max_pool2d`: each element of `grad` is added where its window's maximum was.

    >>> import numpy as np
    >>> max_pool2d_backward(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 3), (1, 1, 2, 2)).ravel()
    array([0., 0., 0., 1.])
    """
    xp = array_module(grad)
    n, c, h, w = input_shape
    wide = np.result_type(grad.dtype, np.float32)
    dx = xp.zeros((n * c, h * w), dtype=wide)
    windows = grad.shape[2] * grad.shape[3]
    values = xp.where(indices < 0, wide.type(0), grad).reshape(n * c, windows)
    planes = xp.arange(n * c)[:, None]
    xp.add.at(dx, (planes, xp.maximum(indices, 0).reshape(n * c, windows)), values)
    return dx.astype(grad.dtype, copy=False).reshape(input_shape)


def window_divisors(
    shape: tuple[int, ...],
    out: Pair,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """What each window's sum is divided by in `avg_pool2d`, (Ho, Wo), for an input of `shape` (..., H, W).

    >>> window_divisors((1, 1, 3, 3), (2, 2), (2, 2), (2, 2), (1, 1), False, None)
    array([[1, 2],
           [2, 4]])
    """
    if divisor_override is not None:
        return np.full(out, divisor_override)
    counts = []
    for size, o, k, s, p in zip(shape[-2:], out, kernel, stride, padding, strict=True):
        start = np.arange(o) * s - p
        end = np.minimum(start + k, size + p)
        counts.append(end - start if count_include_pad else np.minimum(end, size) - np.maximum(start, 0))
    return counts[0][:, None] * counts[1]


def avg_pool2d(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """The mean of each window: its sum over its number of elements, (N, C, Ho, Wo).

    The padding's zeros count as elements if `count_include_pad`; `divisor_override`, where it is not None, is
    divided by instead.

    >>> import numpy as np
    >>> avg_pool2d(np.arange(4.0).reshape(1, 1, 2, 2), (2, 2), (2, 2), (0, 0), False, True, None).item()
    1.5
    """
    xp = array_module(x)
    one = (1, 1)
    out = pooled_shape(x.shape, kernel, stride, padding, one, ceil_mode)
    padded = _surround(x, _padded_size(x.shape, out, kernel, stride, padding, one), padding, 0)
    y = xp.zeros((*x.shape[:2], *out), dtype=np.result_type(x.dtype, np.float32))
    for _, tap in _taps(padded, out, kernel, stride, one):
        y += tap
    divisor = window_divisors(x.shape, out, kernel, stride, padding, count_include_pad, divisor_override)
    y /= xp.asarray(divisor, dtype=y.dtype)
    return y.astype(x.dtype, copy=False)


def avg_pool2d_backward(
    grad: Array,
    input_shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Array:
    """The gradient of `avg_pool2d`: grad / divisor is added to every element of its window.

    >>> import numpy as np
    >>> settings = (2, 2), (2, 2), (0, 0), False, True, None
    >>> avg_pool2d_backward(np.ones((1, 1, 1, 1)), (1, 1, 2, 2), *settings).ravel()
    array([0.25, 0.25, 0.25, 0.25])
    """
    xp = array_module(grad)
    one = (1, 1)
    out = grad.shape[2:]
    wide = np.result_type(grad.dtype, np.float32)
    divisor = window_divisors(input_shape, out, kernel, stride, padding, count_include_pad, divisor_override)
    share = grad / xp.asarray(divisor, dtype=wide)
    size = _padded_size(input_shape, out, kernel, stride, padding, one)
    padded = xp.zeros((*input_shape[:2], *size), dtype=wide)
    for _, tap in _taps(padded, out, kernel, stride, one):
        tap += share
    (top, left), (height, width) = padding, input_shape[2:]
    dx = padded[:, :, top : top + height, left : left + width]
    return xp.ascontiguousarray(dx.astype(grad.dtype, copy=False))
