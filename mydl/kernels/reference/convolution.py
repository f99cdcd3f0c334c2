"""Convolution: a view of all windows through as_strided, contracted with the weights by matmul."""

from __future__ import annotations

import math

import numpy as np

from mydl.backend import array_module
from mydl.kernels.reference.blocks import for_blocks

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
    n, c = x.shape[:2]
    o, _, kh, kw = w.shape
    ho, wo = (_count(x.shape[2 + a] + 2 * padding[a], w.shape[2 + a], stride[a], dilation[a]) for a in range(2))
    weight = w.reshape(groups, o // groups, c // groups, kh, kw).transpose(3, 0, 1, 2, 4)
    weight = weight.reshape(kh, groups, o // groups, c // groups * kw)
    y = xp.empty((n, groups, o // groups, ho * wo), x.dtype)

    def block(images):
        rows = _rows(_padded(x[images], padding), w.shape[2:], stride, dilation)
        columns = rows.reshape(-1, groups, c // groups * kw, *rows.shape[3:])
        for k in range(kh):
            taken = _taken(columns, k, ho, stride, dilation).reshape(*columns.shape[:3], ho * wo)
            if k == 0:
                xp.matmul(weight[0], taken, out=y[images])
            else:
                y[images] += weight[k] @ taken
        if b is not None:
            y[images] += b.reshape(groups, -1, 1)

    for_blocks(block, x, kw)
    return y.reshape(n, o, ho, wo)


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
    dx = xp.empty(input_shape, grad.dtype)
    weight = w.reshape(groups, o // groups, -1, kh, kw).transpose(3, 0, 2, 4, 1)
    weight = weight.reshape(kh, groups, c // groups * kw, o // groups)
    grad = grad.reshape(n, groups, o // groups, ho * wo)

    def block(images):
        padded = xp.zeros((len(dx[images]), c, h + 2 * padding[0], width + 2 * padding[1]), grad.dtype)
        rows = _rows(padded, (kh, kw), stride, dilation)
        for k in range(kh):
            columns = (weight[k] @ grad[images]).reshape(-1, c, kw, ho, wo)
            for l in range(kw):
                target = _taken(rows[:, :, l], k, ho, stride, dilation)
                target += columns[:, :, l]
        dx[images] = padded[:, :, padding[0] : padding[0] + h, padding[1] : padding[1] + width]

    for_blocks(block, dx, kw)
    return dx


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
    c, ho = x.shape[1], grad.shape[2]
    grad = grad.reshape(-1, groups, o // groups, math.prod(grad.shape[2:]))

    def block(images):
        rows = _rows(_padded(x[images], padding), (kh, kw), stride, dilation)
        columns = rows.reshape(-1, groups, c // groups * kw, *rows.shape[3:])
        # Copied: BLAS is slow at small products of a factor that lies the other way.
        factor = grad[images].swapaxes(2, 3).copy()
        taken = (_taken(columns, k, ho, stride, dilation).reshape(*columns.shape[:3], -1) for k in range(kh))
        return xp.stack([(t @ factor).sum(axis=0) for t in taken])

    zero = xp.zeros((kh, groups, c // groups * kw, o // groups), grad.dtype)
    dw = sum(for_blocks(block, x, kw), start=zero)
    dw = dw.reshape(kh, groups, c // groups, kw, o // groups).transpose(1, 4, 2, 0, 3)
    return xp.ascontiguousarray(dw).reshape(weight_shape)


def _count(size: int, kernel: int, stride: int, dilation: int) -> int:
    """How many places a kernel has along an axis."""
    return (size - dilation * (kernel - 1) - 1) // stride + 1


def _padded(x, padding):
    """x with zeros around each plane."""
    if not any(padding):
        return x
    (top, left), (n, c, h, w) = padding, x.shape
    padded = array_module(x).zeros((n, c, h + 2 * top, w + 2 * left), x.dtype)
    padded[:, :, top : top + h, left : left + w] = x
    return padded


def _rows(x, kernel, stride, dilation):
    """View (N, C, kw, H, Wo) of x, padded before, for one row of the kernel.

    At [..., l, i, j] is what tap l sees in row i when the kernel is at place j.
    """
    n, c, h, w = x.shape
    shape = (n, c, kernel[1], h, _count(w, kernel[1], stride[1], dilation[1]))
    image, channel, row, pixel = x.strides
    strides = (image, channel, pixel * dilation[1], row, pixel * stride[1])
    return array_module(x).lib.stride_tricks.as_strided(x, shape, strides)


def _taken(rows, k: int, count: int, stride, dilation):
    """The `count` rows (last axis but one) that row k of the kernel meets."""
    first = k * dilation[0]
    return rows[..., first : first + (count - 1) * stride[0] + 1 : stride[0], :]
