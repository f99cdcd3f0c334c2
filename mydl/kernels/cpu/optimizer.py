"""One step of SGD and of Adam, in place on flat arrays: everything in one pass over memory."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from mydl.kernels import reference
from mydl.kernels.cpu.compiler import compile_parallel
from mydl.kernels.cpu.parallel import launch

__all__ = ["adam_step", "sgd_step"]


def _served(*arrays: np.ndarray | None) -> bool:
    for a in arrays:  # noqa: SIM110 - a generator would cost as much as a small kernel
        if a is not None and (a.dtype != np.float32 or not a.flags.c_contiguous):
            return False
    return True


def sgd_step(
    p: np.ndarray,
    g: np.ndarray,
    momentum_buffer: np.ndarray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    first: bool,
    maximize: bool,
) -> None:
    """Stochastic gradient descent with momentum; see `reference.sgd_step`."""
    if not _served(p, g, momentum_buffer):
        reference.sgd_step(p, g, momentum_buffer, lr, momentum, dampening, weight_decay, nesterov, first, maximize)
        return
    sign = -1.0 if maximize else 1.0
    if momentum_buffer is None:
        launch(_sgd, 2 * p.size, p, g, float(lr), float(weight_decay), sign)
        return
    launch(
        _sgd_momentum,
        3 * p.size,
        p,
        g,
        momentum_buffer,
        float(lr),
        float(momentum),
        1.0 - dampening,
        float(weight_decay),
        sign,
        bool(nesterov),
        bool(first),
    )


@compile_parallel()
def _sgd(p, g, lr, weight_decay, sign):
    rate, decay, s = np.float32(lr), np.float32(weight_decay), np.float32(sign)
    for i in prange(p.size):
        step = s * g[i]
        if decay != 0:  # not always: 0 · inf would be NaN
            step += decay * p[i]
        p[i] -= rate * step


@compile_parallel()
def _sgd_momentum(p, g, buffer, lr, momentum, fresh, weight_decay, sign, nesterov, first):
    rate, decay, s = np.float32(lr), np.float32(weight_decay), np.float32(sign)
    keep, add = np.float32(momentum), np.float32(fresh)
    for i in prange(p.size):
        step = s * g[i]
        if decay != 0:
            step += decay * p[i]
        b = step if first else keep * buffer[i] + add * step
        buffer[i] = b
        p[i] -= rate * (step + keep * b if nesterov else b)


def adam_step(
    p: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    vmax: np.ndarray | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Adam, AdamW and AMSGrad; see `reference.adam_step`."""
    if not _served(p, g, m, v, vmax):
        reference.adam_step(p, g, m, v, vmax, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)
        return
    launch(
        _adam,
        4 * p.size,
        p,
        g,
        m,
        v,
        vmax,
        lr / (1 - beta1**step),
        1.0 - beta1,
        float(beta2),
        math.sqrt(1 - beta2**step),
        float(eps),
        1.0 - lr * weight_decay if decoupled else 1.0,
        0.0 if decoupled else float(weight_decay),
        -1.0 if maximize else 1.0,
    )


@compile_parallel()
def _adam(p, g, m, v, vmax, step_size, blend1, beta2, root_correction, eps, shrink, weight_decay, sign):
    rate, blend, keep, fresh = (
        np.float32(step_size),
        np.float32(blend1),
        np.float32(beta2),
        np.float32(1 - beta2),
    )
    root, epsilon = np.float32(root_correction), np.float32(eps)
    factor, decay, s = np.float32(shrink), np.float32(weight_decay), np.float32(sign)
    for i in prange(p.size):
        x = p[i] * factor
        gradient = s * g[i]
        if decay != 0:  # not always: 0 · inf would be NaN
            gradient += decay * x
        first = m[i] + blend * (gradient - m[i])
        second = keep * v[i] + fresh * (gradient * gradient)
        m[i] = first
        v[i] = second
        if vmax is not None:  # known when compiled
            if second > vmax[i] or second != second:
                vmax[i] = second
            second = vmax[i]
        p[i] = x - rate * (first / (np.sqrt(second) / root + epsilon))
