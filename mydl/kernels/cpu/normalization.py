"""Batch normalisation: the statistics in one reading of memory, the result in a second.

Partial sums belong to planes, or to columns where x is (N, C), and are put together in double precision and
always in the same order: the result has the same bits on any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from mydl.kernels import reference
from mydl.kernels.cpu.compiler import compile_parallel
from mydl.kernels.cpu.parallel import launch

__all__ = ["batch_norm", "batch_norm_backward", "batch_norm_eval"]

# Elements of a plane whose sum is kept in single precision: 16 KB, which a second look finds in the cache.
CHUNK = 4096
# Columns of an (N, C) array that one task takes: two cache lines of each row.
COLUMNS = 32


@np.errstate(all="ignore")  # NaN and inf go through, as in a compiled loop
def batch_norm(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(y, mean, var, inv_std) of a batch; see `reference.batch_norm`."""
    if x.dtype != np.float32 or x.size == 0:
        return reference.batch_norm(x, weight, bias, eps)
    x = np.ascontiguousarray(x)
    n, c = x.shape[:2]
    length = x.size // (n * c)
    if length == 1:
        moments, normalise, rows = _column_moments, _normalise_columns, x.reshape(n, c)
        means, squares = np.empty((2, 1, c))
    else:
        moments, normalise, rows = _plane_moments, _normalise_planes, x.reshape(n * c, length)
        means, squares = np.empty((2, n, c))
    launch(moments, x.size, rows, means.reshape(-1), squares.reshape(-1))
    mean = means.mean(axis=0)
    count = x.size // c
    var = (squares.sum(axis=0) + (count // len(means)) * ((means - mean) ** 2).sum(axis=0)) / count
    inv_std = 1 / np.sqrt(var + eps)
    scale = inv_std if weight is None else inv_std * weight
    near = mean.astype(np.float32)
    shift = (near - mean) * scale  # what rounding the mean leaves: much of a deviation where |mean| >> std
    if bias is not None:
        shift += bias
    y = np.empty_like(x)
    by_channel = near, scale.astype(np.float32), shift.astype(np.float32)
    launch(normalise, x.size, rows, *by_channel, y.reshape(rows.shape))
    return y, near, var.astype(np.float32), inv_std.astype(np.float32)


@compile_parallel()
def _plane_moments(x, means, squares):
    """Mean and sum of squared deviations of each row of x (planes, length).

    The chunks of a row are put together as in Chan, Golub and LeVeque, "Algorithms for Computing the Sample
    Variance", 1983.
    """
    planes, length = x.shape
    for i in prange(planes):
        mean = 0.0
        square = 0.0
        for start in range(0, length, CHUNK):
            size = min(CHUNK, length - start)
            chunk = x[i, start : start + size]
            total = np.float32(0)
            for j in range(size):
                total += chunk[j]
            near = total / np.float32(size)
            rest = np.float32(0)
            spread = np.float32(0)
            for j in range(size):
                d = chunk[j] - near
                rest += d
                spread += d * d
            rest64 = np.float64(rest) / size
            gap = np.float64(near) + rest64 - mean
            square += np.float64(spread) - rest64 * rest64 * size + gap * gap * start * size / (start + size)
            mean += gap * size / (start + size)
        means[i] = mean
        squares[i] = square


@compile_parallel()
def _column_moments(x, means, squares):
    """Mean and sum of squared deviations of each column of x (rows, columns)."""
    rows, columns = x.shape
    for block in prange((columns + COLUMNS - 1) // COLUMNS):
        start = block * COLUMNS
        size = min(COLUMNS, columns - start)
        total = np.zeros(COLUMNS)
        for r in range(rows):
            row = x[r, start : start + size]
            for j in range(size):
                total[j] += row[j]
        for j in range(size):
            total[j] /= rows
        square = np.zeros(COLUMNS)
        for r in range(rows):
            row = x[r, start : start + size]
            for j in range(size):
                d = row[j] - total[j]
                square[j] += d * d
        for j in range(size):
            means[start + j] = total[j]
            squares[start + j] = square[j]


@compile_parallel()
def _normalise_planes(x, mean, scale, shift, y):
    channels = mean.size
    for i in prange(x.shape[0]):
        c = i % channels
        m, a, b = mean[c], scale[c], shift[c]
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - m) * a + b


@compile_parallel()
def _normalise_columns(x, mean, scale, shift, y):
    for i in prange(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] = (x[i, c] - mean[c]) * scale[c] + shift[c]


@np.errstate(all="ignore")
def batch_norm_backward(
    grad: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, inv_std: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(dx, dweight, dbias); see `reference.batch_norm_backward`."""
    if not (x.dtype == grad.dtype == mean.dtype == np.float32) or x.size == 0:
        return reference.batch_norm_backward(grad, x, weight, mean, inv_std)
    x, grad = np.ascontiguousarray(x), np.ascontiguousarray(grad)
    n, c = x.shape[:2]
    length = x.size // (n * c)
    if length == 1:
        reduce, combine, shape = _column_sums, _input_grad_columns, (n, c)
        sums, products = np.empty((2, 1, c))
    else:
        reduce, combine, shape = _plane_sums, _input_grad_planes, (n * c, length)
        sums, products = np.empty((2, n, c))
    grad_rows, rows = grad.reshape(shape), x.reshape(shape)
    launch(reduce, 2 * x.size, grad_rows, rows, mean, sums.reshape(-1), products.reshape(-1))
    dbias = sums.sum(axis=0)
    dweight = products.sum(axis=0) * inv_std
    scale = inv_std.astype(np.float64) if weight is None else np.multiply(inv_std, weight, dtype=np.float64)
    count = x.size // c
    by_x = (-scale * inv_std * dweight / count).astype(np.float32)
    constant = (-scale * dbias / count).astype(np.float32)
    dx = np.empty_like(x)
    by_channel = mean, scale.astype(np.float32), by_x, constant
    launch(combine, 2 * x.size, grad_rows, rows, *by_channel, dx.reshape(shape))
    param_dtype = x.dtype if weight is None else weight.dtype
    return dx, dweight.astype(param_dtype), dbias.astype(param_dtype)


@compile_parallel()
def _plane_sums(grad, x, mean, sums, products):
    """Σ grad and Σ grad · (x - mean) of each row of (planes, length)."""
    planes, length = x.shape
    for i in prange(planes):
        m = mean[i % mean.size]
        total = 0.0
        product = 0.0
        for start in range(0, length, CHUNK):
            gs = grad[i, start : start + CHUNK]
            xs = x[i, start : start + CHUNK]
            part = np.float32(0)
            part_product = np.float32(0)
            for j in range(gs.size):
                part += gs[j]
                part_product += gs[j] * (xs[j] - m)
            total += part
            product += part_product
        sums[i] = total
        products[i] = product


@compile_parallel()
def _column_sums(grad, x, mean, sums, products):
    """Σ grad and Σ grad · (x - mean) of each column of (rows, columns)."""
    rows, columns = x.shape
    for block in prange((columns + COLUMNS - 1) // COLUMNS):
        start = block * COLUMNS
        size = min(COLUMNS, columns - start)
        near = mean[start : start + size]
        total = np.zeros(COLUMNS)
        product = np.zeros(COLUMNS)
        for r in range(rows):
            gs = grad[r, start : start + size]
            xs = x[r, start : start + size]
            for j in range(size):
                total[j] += gs[j]
                product[j] += gs[j] * (xs[j] - near[j])
        for j in range(size):
            sums[start + j] = total[j]
            products[start + j] = product[j]


@compile_parallel()
def _input_grad_planes(grad, x, mean, scale, by_x, constant, dx):
    channels = mean.size
    for i in prange(x.shape[0]):
        c = i % channels
        m, a, b, k = mean[c], scale[c], by_x[c], constant[c]
        for j in range(x.shape[1]):
            dx[i, j] = grad[i, j] * a + (x[i, j] - m) * b + k


@compile_parallel()
def _input_grad_columns(grad, x, mean, scale, by_x, constant, dx):
    for i in prange(x.shape[0]):
        for c in range(x.shape[1]):
            dx[i, c] = grad[i, c] * scale[c] + (x[i, c] - mean[c]) * by_x[c] + constant[c]


def batch_norm_eval(
    x: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    mean: np.ndarray,
    var: np.ndarray,
    eps: float,
) -> np.ndarray:
    """The result by given statistics; see `reference.batch_norm_eval`."""
    if x.dtype != np.float32 or x.size == 0 or x.ndim == 2:
        return reference.batch_norm_eval(x, weight, bias, mean, var, eps)
    x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    planes, scratch = len(x) * x.shape[1], np.empty((2, x.shape[1]), np.float32)
    rows, results = x.reshape(planes, -1), y.reshape(planes, -1)
    launch(_scale_and_shift, x.size, rows, weight, bias, mean, var, float(eps), scratch, results)
    return y


@compile_parallel()
def _scale_and_shift(x, weight, bias, mean, var, eps, scratch, y):
    channels = mean.size
    scale, shift = scratch
    for c in range(channels):
        scale[c] = 1 / np.sqrt(np.float64(var[c]) + eps)
        if weight is not None:  # known when compiled
            scale[c] *= weight[c]
        shift[c] = -mean[c] * scale[c]
        if bias is not None:
            shift[c] += bias[c]
    for i in prange(len(x)):
        a, b = scale[i % channels], shift[i % channels]
        for j in range(x.shape[1]):
            y[i, j] = x[i, j] * a + b
