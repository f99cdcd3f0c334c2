"""Element by element: sum, rectified linear unit, error function, dropout."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from mydl.kernels import reference
from mydl.kernels.cpu.compiler import compile_parallel
from mydl.kernels.cpu.parallel import launch

__all__ = ["add", "dropout", "erf", "relu", "relu_backward"]

# So many elements count as one unit of work. Two threads save some µs on fewer than a quarter of a million of them,
# and where the kernel stands between two matrix products they lose more to the threads of BLAS, which wait for work.
EACH = 16


def _served(*arrays: np.ndarray) -> bool:
    """Whether the kernels here take the arrays."""
    shape = arrays[0].shape
    for a in arrays:  # noqa: SIM110 - a generator would cost as much as a small kernel
        if a.dtype != np.float32 or not a.flags.carray or a.shape != shape:
            return False
    return True


def add(x: np.ndarray, y: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """x + y; see `reference.add`."""
    arrays = (x, y) if out is None else (x, y, out)
    if not _served(*arrays) or (out is not None and any(a is not out and np.may_share_memory(a, out) for a in (x, y))):
        return reference.add(x, y, out)
    z = np.empty_like(x) if out is None else out
    launch(_add, x.size // EACH, x.reshape(-1), y.reshape(-1), z.reshape(-1))
    return z


@compile_parallel()
def _add(x, y, z):
    for i in prange(x.size):
        z[i] = x[i] + y[i]


def relu(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """max(x, 0); see `reference.relu`."""
    if x.dtype != np.float32 or not x.flags.carray:  # `_served` would cost as much as a small array's result
        return reference.relu(x, out)
    y = np.empty_like(x) if out is None else out
    launch(_relu, x.size // EACH, x.reshape(-1), y.reshape(-1))
    return y


@compile_parallel()
def _relu(x, y):
    for i in prange(x.size):
        y[i] = np.float32(0) if x[i] < 0 else x[i]


def relu_backward(grad: np.ndarray, y: np.ndarray) -> np.ndarray:
    """0 where y <= 0, `grad` elsewhere; see `reference.relu_backward`."""
    if grad.dtype == np.float32 and not grad.flags.carray:  # of a sum or a mean, say: one number for many elements
        grad = grad.copy(order="C")
    if not _served(grad, y):
        return reference.relu_backward(grad, y)
    dx = np.empty_like(grad)
    launch(_relu_backward, y.size // EACH, grad.reshape(-1), y.reshape(-1), dx.reshape(-1))
    return dx


@compile_parallel()
def _relu_backward(grad, y, dx):
    for i in prange(y.size):
        dx[i] = np.float32(0) if y[i] <= 0 else grad[i]


def erf(x: np.ndarray) -> np.ndarray:
    """The error function; see `reference.erf`."""
    if x.dtype not in (np.float32, np.float64) or not x.flags.c_contiguous:
        return reference.erf(x)
    y = np.empty_like(x)
    if x.dtype == np.float32:
        launch(_erf_single, x.size, x.reshape(-1), y.reshape(-1))
    else:
        launch(_erf, 8 * x.size, x.reshape(-1), y.reshape(-1))  # an element takes as long as some eight additions
    return y


@compile_parallel()
def _erf(x, y):
    for i in prange(x.size):
        y[i] = math.erf(x[i])


# x P(x²) / Q(x²), fitted by least squares to erf on [-4, 4], beyond which single precision has ±1: within 3e-8 of erf,
# and it vectorises, which math.erf does not.
_P = (1.12837913945, 0.193540281056, 0.0531010838904, 0.00388313002851, 0.00028455968928, 1.98680157378e-06)
_Q = (1.0, 0.504853165304, 0.115347996587, 0.0152068248352, 0.00118551657247, 3.74200472012e-05)


@compile_parallel()
def _erf_single(x, y):
    for i in prange(x.size):
        a = np.float64(x[i])
        a = 4.0 if a > 4.0 else a
        a = -4.0 if a < -4.0 else a
        z = a * a
        p, q = _P[5], _Q[5]
        for k in range(5):
            p, q = p * z + _P[4 - k], q * z + _Q[4 - k]
        y[i] = a * p / q


def dropout(x: np.ndarray, keep_bits: np.ndarray, threshold: int, scale: float) -> np.ndarray:
    """x · scale where `keep_bits` >= threshold, 0 elsewhere; see `reference.dropout`."""
    if not (_served(x) and keep_bits.dtype == np.uint16 and keep_bits.flags.c_contiguous):
        return reference.dropout(x, keep_bits, threshold, scale)
    y = np.empty_like(x)
    launch(_dropout, x.size // EACH, x.reshape(-1), keep_bits.reshape(-1), threshold, float(scale), y.reshape(-1))
    return y


@compile_parallel()
def _dropout(x, keep_bits, threshold, scale, y):
    factor = np.float32(scale)
    for i in prange(x.size):
        y[i] = x[i] * factor if keep_bits[i] >= threshold else np.float32(0)
