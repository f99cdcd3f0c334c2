"""One step of SGD and of Adam, in place on flat arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from mydl.backend import array_module

__all__ = ["adam_step", "blocks", "sgd_step"]

Array = Any  # numpy.ndarray or cupy.ndarray

# Elements that are updated together on the host: the handful of arrays that a step touches then stays in the
# cache.
BLOCK = 32768


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """The arrays cut into the same blocks (views; None stays None). On a device one block is everything."""
    size = arrays[0].size
    step = BLOCK if array_module(arrays[0]) is np else max(size, 1)
    for start in range(0, size, step):
        yield tuple(None if a is None else a[start : start + step] for a in arrays)


def sgd_step(
    p: Array,
    g: Array,
    momentum_buffer: Array | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    first: bool,
    maximize: bool,
) -> None:
    """Stochastic gradient descent with momentum, PyTorch's arithmetic, in place on p and `momentum_buffer` b.

        g = ±g + weight_decay · p;   b = momentum · b + (1 - dampening) · g   (b = g when `first`)
        p = p - lr · (g + momentum · b if nesterov else b)

    All arrays are 1-D and of one dtype; without a buffer p = p - lr · g. g is left as it is.

    >>> import numpy as np
    >>> p = np.array([1.0, 2.0])
    >>> sgd_step(p, np.array([1.0, 1.0]), None, 0.5, 0.0, 0.0, 0.0, False, True, False)
    >>> p
    array([0.5, 1.5])
    """
    for pb, gb, buffer in blocks(p, g, momentum_buffer):
        step = -gb if maximize else gb
        if weight_decay:
            step = step + weight_decay * pb
        if buffer is not None:
            if first:
                buffer[...] = step
            else:
                buffer *= momentum
                buffer += (1 - dampening) * step
            step = step + momentum * buffer if nesterov else buffer
        pb -= lr * step


def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    vmax: Array | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """Adam, AdamW (`decoupled`) and AMSGrad (with `vmax`), PyTorch's arithmetic, in place on p, m, v and
    vmax.

        AdamW: p = p · (1 - lr · weight_decay);   else g = ±g + weight_decay · p
        m = beta1 · m + (1 - beta1) · g;   v = beta2 · v + (1 - beta2) · g²;   vmax = max(vmax, v)
        p = p - lr / (1 - beta1**step) · m / (sqrt(v or vmax) / sqrt(1 - beta2**step) + eps)

    Kingma and Ba, "Adam", ICLR 2015; Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR
    2019; Reddi et al., "On the Convergence of Adam and Beyond", ICLR 2018. All arrays are 1-D and of one
    dtype; `step` counts from 1.

    >>> import numpy as np
    >>> p, m, v = np.ones(1), np.zeros(1), np.zeros(1)
    >>> adam_step(p, np.array([3.0]), m, v, None, 1, 0.1, 0.9, 0.999, 1e-8, 0.0, False, False)
    >>> p.round(6)
    array([0.9])
    """
    xp = array_module(p)
    step_size = lr / (1 - beta1**step)
    root_correction = math.sqrt(1 - beta2**step)
    for pb, gb, mb, vb, vmaxb in blocks(p, g, m, v, vmax):
        gradient = -gb if maximize else gb
        if decoupled:
            pb *= 1 - lr * weight_decay
        elif weight_decay:
            gradient = gradient + weight_decay * pb
        mb += (1 - beta1) * (gradient - mb)
        vb *= beta2
        vb += (1 - beta2) * (gradient * gradient)
        if vmaxb is not None:
            xp.maximum(vmaxb, vb, out=vmaxb)
        denominator = xp.sqrt(vb if vmaxb is None else vmaxb)
        denominator /= root_correction
        denominator += eps
        xp.divide(mb, denominator, out=denominator)
        denominator *= step_size
        pb -= denominator
