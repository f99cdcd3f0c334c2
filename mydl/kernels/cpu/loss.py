"""Softmax, its logarithm and cross entropy: a row of C-contiguous float32 at a time, along the last axis."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from mydl.kernels import reference
from mydl.kernels.cpu.compiler import compile_parallel, compile_serial
from mydl.kernels.cpu.parallel import launch

__all__ = [
    "cross_entropy", "cross_entropy_backward", "log_softmax", "log_softmax_backward", "softmax", "softmax_backward",
]  # fmt: skip


@compile_serial(fastmath={"contract", "nsz"})
def _exp(x):
    """exp(x) of a float32 x <= 0 within 2 units in the last place, NaN for NaN, 0 below -88.

    exp(x) = 2**n · exp(r) with |r| <= log(2) / 2 and Cephes' polynomial for exp(r). Unlike the C library's
    function it is made of operations that exist on vectors, which makes a loop over a row ten times as fast.
    """
    x = np.float32(-88) if x < np.float32(-88) else x
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) - n * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@compile_serial()
def _largest(row):
    """The largest element of a float32 row.

    Compared as integers in the same order, for which vectors have a maximum (that of floats would lose NaN).
    """
    largest = np.int32(-0x80000000)
    for j in range(row.size):
        bits = np.float32(row[j]).view(np.int32)
        largest = max(largest, np.int32(bits ^ ((bits >> 31) & 0x7FFFFFFF)))
    return np.int32(largest ^ ((largest >> 31) & 0x7FFFFFFF)).view(np.float32)


@compile_serial(fastmath={"reassoc", "contract", "nsz"})
def _sum_exp(row, largest):
    """Σ exp(x - largest) over a row, added up in any order."""
    total = np.float32(0)
    for j in range(row.size):
        total += _exp(row[j] - largest)
    return total


# A kernel that computes log p = (x - largest) - log_sum must not regroup it as x - (largest + log_sum): next
# to a large number the logarithm would be lost.
IN_ORDER = {"contract", "nsz"}


def _served(axis: int, *arrays: np.ndarray) -> bool:
    return all(a.dtype == np.float32 and a.flags.c_contiguous and a.size and axis in (-1, a.ndim - 1) for a in arrays)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """exp(x) / sum(exp(x)); see `reference.softmax`."""
    if not _served(axis, x):
        return reference.softmax(x, axis)
    y = np.empty_like(x)
    shape = -1, x.shape[-1]
    launch(_softmax, 2 * x.size, x.reshape(shape), y.reshape(shape))
    return y


@compile_parallel()
def _softmax(x, y):
    for i in prange(x.shape[0]):
        largest = _largest(x[i])
        total = np.float32(0)
        for j in range(x.shape[1]):
            e = _exp(x[i, j] - largest)
            y[i, j] = e
            total += e
        for j in range(x.shape[1]):
            y[i, j] /= total


def softmax_backward(grad: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """y · (grad - sum(grad · y)); see `reference.softmax_backward`."""
    if not _served(axis, grad, y):
        return reference.softmax_backward(grad, y, axis)
    dx = np.empty_like(y)
    shape = -1, y.shape[-1]
    launch(_softmax_backward, 2 * y.size, grad.reshape(shape), y.reshape(shape), dx.reshape(shape))
    return dx


@compile_parallel()
def _softmax_backward(grad, y, dx):
    for i in prange(y.shape[0]):
        total = np.float32(0)
        for j in range(y.shape[1]):
            total += grad[i, j] * y[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = y[i, j] * (grad[i, j] - total)


def log_softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """x - log(sum(exp(x))); see `reference.log_softmax`."""
    if not _served(axis, x):
        return reference.log_softmax(x, axis)
    y = np.empty_like(x)
    shape = -1, x.shape[-1]
    launch(_log_softmax, 2 * x.size, x.reshape(shape), y.reshape(shape))
    return y


@compile_parallel(fastmath=IN_ORDER)
def _log_softmax(x, y):
    for i in prange(x.shape[0]):
        largest = _largest(x[i])
        log_total = np.float32(math.log(_sum_exp(x[i], largest)))
        for j in range(x.shape[1]):
            y[i, j] = (x[i, j] - largest) - log_total


def log_softmax_backward(grad: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """grad - exp(y) · sum(grad); see `reference.log_softmax_backward`."""
    if not _served(axis, grad, y):
        return reference.log_softmax_backward(grad, y, axis)
    dx = np.empty_like(y)
    shape = -1, y.shape[-1]
    launch(_log_softmax_backward, 2 * y.size, grad.reshape(shape), y.reshape(shape), dx.reshape(shape))
    return dx


@compile_parallel()
def _log_softmax_backward(grad, y, dx):
    for i in prange(y.shape[0]):
        total = np.float32(0)
        for j in range(y.shape[1]):
            total += grad[i, j]
        for j in range(y.shape[1]):
            dx[i, j] = grad[i, j] - _exp(y[i, j]) * total


def _class_weights(weight: np.ndarray | None, classes: int) -> np.ndarray:
    return np.ones(classes, np.float32) if weight is None else np.ascontiguousarray(weight, np.float32)


def cross_entropy(
    logits: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(losses, log_sum_exp) of rows of logits; see `reference.cross_entropy`."""
    if logits.dtype != np.float32 or target.dtype != np.int64:
        return reference.cross_entropy(logits, target, weight, ignore_index, label_smoothing)
    n, classes = logits.shape
    loss, log_sum_exp = np.empty((2, n), np.float32)
    launch(
        _cross_entropy,
        2 * logits.size,
        np.ascontiguousarray(logits),
        np.ascontiguousarray(target),
        _class_weights(weight, classes),
        ignore_index,
        float(label_smoothing),
        loss,
        log_sum_exp,
    )
    return loss, log_sum_exp


@compile_parallel(fastmath=IN_ORDER)
def _cross_entropy(logits, target, weight, ignore_index, label_smoothing, loss, log_sum_exp):
    rows, classes = logits.shape
    hard = np.float32(1 - label_smoothing)
    soft = np.float32(label_smoothing / classes)
    for i in prange(rows):
        z = logits[i]
        largest = _largest(z)
        log_total = np.float32(math.log(_sum_exp(z, largest)))
        log_sum_exp[i] = largest + log_total
        t = target[i]
        if t == ignore_index:
            loss[i] = 0
            continue
        value = hard * (weight[t] * (log_total - (z[t] - largest)))
        if soft > 0:
            spread = np.float32(0)
            for j in range(classes):
                spread += weight[j] * (log_total - (z[j] - largest))
            value += soft * spread
        loss[i] = value


def cross_entropy_backward(
    grad: np.ndarray,
    logits: np.ndarray,
    log_sum_exp: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    ignore_index: int,
    label_smoothing: float,
) -> np.ndarray:
    """The gradient for the logits; see `reference.cross_entropy_backward`."""
    if not (logits.dtype == grad.dtype == log_sum_exp.dtype == np.float32) or target.dtype != np.int64:
        return reference.cross_entropy_backward(
            grad, logits, log_sum_exp, target, weight, ignore_index, label_smoothing
        )
    dz = np.empty(logits.shape, np.float32)
    launch(
        _cross_entropy_backward,
        2 * logits.size,
        np.ascontiguousarray(grad),
        np.ascontiguousarray(logits),
        np.ascontiguousarray(log_sum_exp),
        np.ascontiguousarray(target),
        _class_weights(weight, logits.shape[1]),
        ignore_index,
        float(label_smoothing),
        dz,
    )
    return dz


@compile_parallel()
def _cross_entropy_backward(grad, logits, log_sum_exp, target, weight, ignore_index, label_smoothing, dz):
    rows, classes = logits.shape
    weights = np.float32(0)
    for j in range(classes):  # weight.sum() would have Numba import all of its mathematics (see `compiler._Cache`)
        weights += weight[j]
    for i in prange(rows):
        t = target[i]
        if t == ignore_index:
            dz[i] = 0
            continue
        total = np.float32(0)
        for j in range(classes):
            e = _exp(logits[i, j] - log_sum_exp[i])
            dz[i, j] = e
            total += e
        hard = np.float32(1 - label_smoothing) * weight[t] * grad[i]
        soft = np.float32(label_smoothing / classes) * grad[i]
        factor = (hard + soft * weights) / total
        if label_smoothing > 0:
            for j in range(classes):
                dz[i, j] = dz[i, j] * factor - soft * weight[j]
        else:
            for j in range(classes):
                dz[i, j] *= factor
        dz[i, t] -= hard
