"""Max and average pooling: a plane is one task, a row of windows is worked on at a time."""

from __future__ import annotations

import numpy as np
from numba import prange

from mydl.kernels import reference
from mydl.kernels.cpu.compiler import compile_parallel
from mydl.kernels.cpu.parallel import launch
from mydl.kernels.reference.pooling import pooled_shape, window_divisors

__all__ = ["avg_pool2d", "avg_pool2d_backward", "max_pool2d", "max_pool2d_backward"]

Pair = tuple[int, int]

# Rows of windows are padded to a multiple of the longest vector, so that no loop ends in single elements.
VECTOR = 16
# Marks a window that has no element in the plane; two of them still fit int32.
NOWHERE = -(2**30)


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The largest element of each window and its position; see `reference.max_pool2d`."""
    if x.dtype != np.float32:
        return reference.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    n, c, h, w = x.shape
    out = pooled_shape(x.shape, kernel, stride, padding, dilation, ceil_mode)
    y = np.empty((n, c, *out), np.float32)
    indices = np.empty(y.shape, np.int64)
    planes = np.ascontiguousarray(x).reshape(n * c, h, w)
    results = y.reshape(n * c, *out), indices.reshape(n * c, *out)
    launch(_max_pool, y.size * kernel[0] * kernel[1], planes, kernel, stride, padding, dilation, *results)
    return y, indices


@compile_parallel()
def _max_pool(x, kernel, stride, padding, dilation, y, indices):
    planes, h, w = x.shape
    ho, wo = y.shape[1:]
    kh, kw = kernel
    sh, sw = stride
    ph, pw = padding
    dh, dw = dilation
    lanes = (wo + VECTOR - 1) // VECTOR * VECTOR
    width = lanes + (kw - 1) * dw // sw
    first_column = np.empty(wo, np.int32)  # of each window: how far from its corner its first element is
    for b in range(wo):
        l = max(0, (pw - b * sw + dw - 1) // dw)
        first_column[b] = l * dw if l < kw and b * sw - pw + l * dw < w else NOWHERE
    for i in prange(planes):
        best = np.empty(lanes, np.float32)
        where = np.empty(lanes, np.int32)  # how far from the window's corner, in the flat plane
        # A padded row of x, every sw-th element together: what one tap sees in neighbouring windows are
        # neighbours.
        phases = np.full((sw, width), np.float32(-np.inf))
        for a in range(ho):
            top = a * sh - ph
            k = max(0, (dh - 1 - top) // dh)
            first_row = np.int32(k * dh * w if k < kh and top + k * dh < h else NOWHERE)
            best[:] = -np.inf
            for b in range(wo):
                where[b] = first_row + first_column[b]
            while k < kh and top + k * dh < h:
                row = x[i, top + k * dh]
                for f in range(sw):
                    for t in range(max(0, (pw - f + sw - 1) // sw), min(width, (w + pw - f - 1) // sw + 1)):
                        phases[f, t] = row[t * sw + f - pw]
                for l in range(kw):
                    tap = phases[l * dw % sw, l * dw // sw :]
                    offset = np.int32(k * dh * w + l * dw)
                    for b in range(lanes):
                        v = tap[b]
                        better = (v > best[b]) | (v != v)
                        best[b] = v if better else best[b]
                        where[b] = offset if better else where[b]
                k += 1
            for b in range(wo):
                y[i, a, b] = best[b]
                indices[i, a, b] = top * w + b * sw - pw + where[b] if where[b] >= 0 else -1


def max_pool2d_backward(grad: np.ndarray, indices: np.ndarray, input_shape: tuple[int, ...]) -> np.ndarray:
    """Each element of `grad` added where its window's maximum was; see `reference.max_pool2d_backward`."""
    if grad.dtype != np.float32 or indices.dtype != np.int64:
        return reference.max_pool2d_backward(grad, indices, input_shape)
    n, c, h, w = input_shape
    windows = grad.shape[2] * grad.shape[3]
    dx = np.empty(input_shape, np.float32)
    grad = np.ascontiguousarray(grad).reshape(n * c, windows)
    indices = np.ascontiguousarray(indices).reshape(n * c, windows)
    launch(_max_pool_backward, dx.size, grad, indices, dx.reshape(n * c, h * w))
    return dx


@compile_parallel()
def _max_pool_backward(grad, indices, dx):
    for i in prange(dx.shape[0]):
        dx[i] = 0
        for b in range(grad.shape[1]):
            if indices[i, b] >= 0:
                dx[i, indices[i, b]] += grad[i, b]


def avg_pool2d(
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """The mean of each window; see `reference.avg_pool2d`."""
    if x.dtype != np.float32:
        return reference.avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
    n, c, h, w = x.shape
    out = pooled_shape(x.shape, kernel, stride, padding, (1, 1), ceil_mode)
    divisors = window_divisors(x.shape, out, kernel, stride, padding, count_include_pad, divisor_override)
    y = np.empty((n, c, *out), np.float32)
    planes = np.ascontiguousarray(x).reshape(n * c, h, w)
    windows = kernel, stride, padding, divisors.astype(np.float32)
    launch(_avg_pool, x.size, planes, *windows, y.reshape(n * c, *out))
    return y


@compile_parallel()
def _avg_pool(x, kernel, stride, padding, divisors, y):
    planes, h, w = x.shape
    ho, wo = divisors.shape
    for i in prange(planes):
        column = np.empty(w, np.float32)
        for a in range(ho):
            top = a * stride[0] - padding[0]
            column[:] = 0
            for r in range(max(top, 0), min(top + kernel[0], h)):
                for q in range(w):
                    column[q] += x[i, r, q]
            for b in range(wo):
                left = b * stride[1] - padding[1]
                total = np.float32(0)
                for q in range(max(left, 0), min(left + kernel[1], w)):
                    total += column[q]
                y[i, a, b] = total / divisors[a, b]


def avg_pool2d_backward(
    grad: np.ndarray,
    input_shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """grad / divisor added to every element of its window; see `reference.avg_pool2d_backward`."""
    settings = kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    if grad.dtype != np.float32:
        return reference.avg_pool2d_backward(grad, input_shape, *settings)
    n, c, h, w = input_shape
    out = grad.shape[2:]
    divisors = window_divisors(input_shape, out, kernel, stride, padding, count_include_pad, divisor_override)
    dx = np.empty(input_shape, np.float32)
    grad = np.ascontiguousarray(grad).reshape(n * c, *out)
    windows = kernel, stride, padding, divisors.astype(np.float32)
    launch(_avg_pool_backward, dx.size, grad, *windows, dx.reshape(n * c, h, w))
    return dx


@compile_parallel()
def _avg_pool_backward(grad, kernel, stride, padding, divisors, dx):
    planes, h, w = dx.shape
    ho, wo = divisors.shape
    for i in prange(planes):
        column = np.empty(w, np.float32)
        dx[i] = 0
        for a in range(ho):
            top = a * stride[0] - padding[0]
            column[:] = 0
            for b in range(wo):
                left = b * stride[1] - padding[1]
                share = grad[i, a, b] / divisors[a, b]
                for q in range(max(left, 0), min(left + kernel[1], w)):
                    column[q] += share
            for r in range(max(top, 0), min(top + kernel[0], h)):
                for q in range(w):
                    dx[i, r, q] += column[q]
