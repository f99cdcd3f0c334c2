"""Convolution: a view of all windows through as_strided, contracted with the weights by matmul."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mydl.backend import array_module, get_num_threads

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]


@np.errstate(all="ignore")  # NaN and inf go through
def conv2d(x, w, b, stride, padding, dilation, groups):
    """Cross-correlation: y[n, o, i, j] = b[o] + Σ w[o, c, k, l] · x[n, c, i·s − p + k·d, j·s − p + l·d].

    The sum is over c, k and l.

    Args:
        x: input (N, C, H, W); outside the image it counts as 0.
        w: weights (O, C/groups, kh, kw); output channel o sees the input channels of its own group.
        b: bias (O,) or None.
        stride, padding, dilation: pairs (vertical, horizontal).
        groups: number of groups that the channels fall into.

    Returns:
        (N, O, Ho, Wo) with Ho = ⌊(H + 2p − d·(kh − 1) − 1) / s⌋ + 1, Wo likewise.

    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d(x, np.ones((1, 1, 2, 2)), None, (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    xp = array_module(x)
    rows = _rows(x, w.shape[2:], stride, padding, dilation)
    n, c, kw, _, wo = rows.shape
    o, ho = len(w), _count(x.shape[2] + 2 * padding[0], w.shape[2], stride[0], dilation[0])
    weight = w.reshape(groups, o // groups, c // groups, -1, kw).transpose(3, 0, 1, 2, 4)
    weight = weight.reshape(-1, groups, o // groups, c // groups * kw)
    y = xp.empty((n, groups, o // groups, ho * wo), x.dtype)

    def block(images):
        columns = _columns(rows[images], groups)
        y[images] = sum(
            weight[k] @ _taken(columns, k, ho, stride, dilation).reshape(*columns.shape[:3], -1)
            for k in range(len(weight))
        )

    _for_blocks_of_images(block, rows)
    y = y.reshape(n, o, ho, wo)
    if b is not None:
        y += b[:, None, None]
    return y


@np.errstate(all="ignore")  # NaN and inf go through
def conv2d_input_grad(grad, w, input_shape, stride, padding, dilation, groups):
    """Gradient of `conv2d` by its input, which is the transposed convolution of `grad` with `w`.

    dx[n, c, i·s − p + k·d, j·s − p + l·d] is the sum of w[o, c, k, l] · grad[n, o, i, j] over all that fall
    there.

    Args:
        grad: gradient by the output, (N, O, Ho, Wo).
        w: weights (O, C/groups, kh, kw).
        input_shape: (N, C, H, W), the shape of what comes back.
        stride, padding, dilation, groups: as in `conv2d`.

    >>> grad = w = np.ones((1, 1, 2, 2))
    >>> conv2d_input_grad(grad, w, (1, 1, 3, 3), (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    o, _, kh, kw = w.shape
    inner = tuple(dilation[a] * (w.shape[2 + a] - 1) - padding[a] for a in range(2))
    large = 4 * math.prod(grad.shape[2:]) >= math.prod(input_shape[2:])  # else most factors would be zeros of padding
    if stride == (1, 1) and min(inner) >= 0 and large:  # a convolution itself, with the weights turned round
        turned = w.reshape(groups, o // groups, -1, kh, kw)[..., ::-1, ::-1].swapaxes(1, 2)
        return conv2d(grad, turned.reshape(-1, o // groups, kh, kw), None, stride, inner, dilation, groups)
    xp = array_module(grad)
    n, c, h, width = input_shape
    ho, wo = grad.shape[2:]
    dx = xp.zeros((n, c, h + 2 * padding[0], width + 2 * padding[1]), grad.dtype)
    rows = _rows(dx, (kh, kw), stride, (0, 0), dilation)
    weight = w.reshape(groups, o // groups, -1, kh, kw).transpose(3, 0, 2, 4, 1)
    weight = weight.reshape(kh, groups, c // groups * kw, o // groups)
    grad = grad.reshape(n, groups, o // groups, ho * wo)

    def block(images):
        for k in range(kh):
            columns = (weight[k] @ grad[images]).reshape(-1, c, kw, ho, wo)
            for l in range(kw):
                target = _taken(rows[images, :, l], k, ho, stride, dilation)
                target += columns[:, :, l]

    _for_blocks_of_images(block, rows)
    return xp.ascontiguousarray(dx[:, :, padding[0] : padding[0] + h, padding[1] : padding[1] + width])


@np.errstate(all="ignore")  # NaN and inf go through
def conv2d_weight_grad(grad, x, weight_shape, stride, padding, dilation, groups):
    """Gradient of `conv2d` by its weights.

    dw[o, c, k, l] = Σ grad[n, o, i, j] · x[n, c, i·s − p + k·d, j·s − p + l·d] over n, i and j.

    Args:
        grad: gradient by the output, (N, O, Ho, Wo).
        x: input (N, C, H, W).
        weight_shape: (O, C/groups, kh, kw), the shape of what comes back.
        stride, padding, dilation, groups: as in `conv2d`.

    >>> x = np.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d_weight_grad(np.ones((1, 1, 2, 2)), x, (1, 1, 2, 2), (1, 1), (0, 0), (1, 1), 1)[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    xp = array_module(grad)
    o, _, kh, kw = weight_shape
    rows = _rows(x, (kh, kw), stride, padding, dilation)
    n, c, _, _, wo = rows.shape
    ho = grad.shape[2]
    grad = grad.reshape(n, groups, o // groups, ho * wo)

    def block(images):
        columns = _columns(rows[images], groups)
        taken = (_taken(columns, k, ho, stride, dilation).reshape(*columns.shape[:3], -1) for k in range(kh))
        return xp.stack([(grad[images] @ t.swapaxes(2, 3)).sum(axis=0) for t in taken])

    zero = xp.zeros((kh, groups, o // groups, c // groups * kw), grad.dtype)
    dw = sum(_for_blocks_of_images(block, rows), start=zero)
    dw = dw.reshape(kh, groups, o // groups, c // groups, kw).transpose(1, 2, 3, 0, 4)
    return dw.reshape(weight_shape)


def _count(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many places a kernel has along an axis."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


def _rows(x, kernel, stride, padding, dilation):
    """View (N, C, kw, H + 2p, Wo) of the zero-padded x, for one row of the kernel.

    At [..., l, i, j] is what tap l sees in row i when the kernel is at place j. Without padding it is a
    view of x itself, which one may write to.
    """
    n, c, h, w = x.shape
    xp = array_module(x)
    if any(padding):
        padded = xp.zeros((n, c, h + 2 * padding[0], w + 2 * padding[1]), x.dtype)
        padded[:, :, padding[0] : padding[0] + h, padding[1] : padding[1] + w] = x
        x = padded
    shape = (n, c, kernel[1], x.shape[2], _count(x.shape[3], kernel[1], stride[1], dilation[1]))
    image, channel, row, pixel = x.strides
    strides = (image, channel, pixel * dilation[1], row, pixel * stride[1])
    return xp.lib.stride_tricks.as_strided(x, shape, strides)


def _columns(rows, groups: int):
    """The rows of some images, copied, as (N, groups, C/groups · kw, H + 2p, Wo)."""
    n, c, kw, h, wo = rows.shape
    return rows.reshape(n, groups, c // groups * kw, h, wo)


def _taken(rows, k: int, count: int, stride, dilation):
    """The `count` rows (last axis but one) that row k of the kernel meets."""
    first = k * dilation[0]
    return rows[..., first : first + (count - 1) * stride[0] + 1 : stride[0], :]


def _for_blocks_of_images(work, rows) -> list:
    """[work(images), …] for slices of the batch whose columns stay in the cache, shared among threads.

    NumPy gives up the interpreter's lock while it copies and multiplies. CuPy's slices are as large as memory
    allows.
    """
    on_host = isinstance(rows, np.ndarray)
    n, *shape = rows.shape
    block = max(1, (2**20 if on_host else 2**28) // max(1, math.prod(shape) * rows.itemsize))
    slices = [slice(i, i + block) for i in range(0, n, block)]
    threads = min(get_num_threads(), len(slices)) if on_host else 1
    if threads < 2:
        return [work(images) for images in slices]

    @np.errstate(all="ignore")  # a setting of each thread
    def quietly(images):
        return work(images)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(quietly, slices))
