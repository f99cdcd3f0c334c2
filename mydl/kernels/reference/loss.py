"""Softmax, its logarithm, and the cross entropy of class labels.

The functions cover the whole range of their dtype: the largest element of a row is subtracted before anything
is raised to a power. A row that holds NaN or +inf, or nothing but -inf, gives NaN, as in PyTorch. float16 is
computed in float32 and rounded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.backend import array_module

__all__ = [
    "cross_entropy", "cross_entropy_backward", "log_softmax", "log_softmax_backward", "softmax", "softmax_backward",
]  # fmt: skip

Array = Any  # numpy.ndarray or cupy.ndarray


def _quiet() -> np.errstate:
    """inf - inf and what overflows to -inf before exp are part of the definition, not mishaps."""
    return np.errstate(invalid="ignore", over="ignore", divide="ignore")


def _widen(x: Array) -> Array:
    """x in float32 when it is narrower, else x itself."""
    return x.astype(np.result_type(x.dtype, np.float32), copy=False)


def _shift(x: Array, axis: int) -> Array:
    """x minus its largest element along `axis`."""
    return x - x.max(axis=axis, keepdims=True) if x.size else x


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along `axis`.

    >>> import numpy as np
    >>> softmax(np.array([[0.0, 0.0]]), 1)
    array([[0.5, 0.5]])
    """
    xp = array_module(x)
    with _quiet():
        y = xp.exp(_shift(_widen(x), axis))
        y /= y.sum(axis=axis, keepdims=True)
    return y.astype(x.dtype, copy=False)


def softmax_backward(grad: Array, y: Array, axis: int) -> Array:
    """The gradient of `softmax` from its output: y · (grad - sum(grad · y)).

    >>> import numpy as np
    >>> softmax_backward(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), 1)
    array([[ 0.25, -0.25]])
    """
    g, p = _widen(grad), _widen(y)
    with _quiet():
        dx = p * (g - (g * p).sum(axis=axis, keepdims=True))
    return dx.astype(grad.dtype, copy=False)


def log_softmax(x: Array, axis: int) -> Array:
    """x - log(sum(exp(x))) along `axis`.

    >>> import numpy as np
    >>> log_softmax(np.array([[0.0, 0.0]]), 1).round(3)
    array([[-0.693, -0.693]])
    """
    xp = array_module(x)
    with _quiet():
        shifted = _shift(_widen(x), axis)
        y = shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))
    return y.astype(x.dtype, copy=False)


def log_softmax_backward(grad: Array, y: Array, axis: int) -> Array:
    """The gradient of `log_softmax` from its output: grad - exp(y) · sum(grad).

    >>> import numpy as np
    >>> log_softmax_backward(np.array([[1.0, 0.0]]), np.log([[0.25, 0.75]]), 1)
    array([[ 0.75, -0.75]])
    """
    xp = array_module(grad)
    g = _widen(grad)
    with _quiet():
        dx = g - xp.exp(_widen(y)) * g.sum(axis=axis, keepdims=True)
    return dx.astype(grad.dtype, copy=False)


def cross_entropy(
    logits: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array]:
    """The cross entropy of each row of `logits` with its class, PyTorch's `reduction="none"`.

    With log p = log_softmax(logits), class weights w (ones without `weight`), C classes and smoothing s:

        loss_i = (1 - s) · -w[t_i] · log p[i, t_i]  +  s / C · sum_c -w[c] · log p[i, c]

    and 0 where t_i is `ignore_index`. `logits` is (N, C), `target` int64 (N,), each in 0..C-1 or
    `ignore_index` (the caller has checked), `weight` (C,).

    Returns:
        the losses (N,) in the logits' dtype, and log(sum(exp(logits))) (N,), in float32 at least, for the
        gradient.

    >>> import numpy as np
    >>> loss, _ = cross_entropy(np.zeros((2, 4)), np.array([3, -100]), None, -100, 0.0)
    >>> loss.round(4)
    array([1.3863, 0.    ])
    """
    xp = array_module(logits)
    z = _widen(logits)
    kept = target != ignore_index
    label = xp.where(kept, target, 0)
    with _quiet():
        largest = z.max(axis=1)
        shifted = z - largest[:, None]
        log_sum = xp.log(xp.exp(shifted).sum(axis=1))
        loss = log_sum - xp.take_along_axis(shifted, label[:, None], axis=1)[:, 0]
        if weight is not None:
            loss *= weight[label]
        if label_smoothing:
            smooth = log_sum[:, None] - shifted
            if weight is not None:
                smooth *= weight
            loss = (1 - label_smoothing) * loss + (label_smoothing / z.shape[1]) * smooth.sum(axis=1)
        log_sum_exp = largest + log_sum
    return xp.where(kept, loss, z.dtype.type(0)).astype(logits.dtype, copy=False), log_sum_exp


def cross_entropy_backward(
    grad: Array,
    logits: Array,
    log_sum_exp: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
) -> Array:
    """The gradient of `cross_entropy` for the logits, (N, C), from that of the losses, `grad` (N,).

    With p = softmax(logits) and W the sum of the class weights w:

        grad_i · ((1 - s) · w[t_i] · (p[i, c] - [c = t_i])  +  s / C · (W · p[i, c] - w[c]))

    and 0 in the rows that are ignored. Near the ends of the dtype's range log_sum_exp says no more than which
    element is the largest, so exp(logits - log_sum_exp) is divided by its sum.

    >>> import numpy as np
    >>> z, t = np.zeros((1, 2)), np.array([1])
    >>> cross_entropy_backward(np.ones(1), z, np.log([2.0]), t, None, -100, 0.0)
    array([[ 0.5, -0.5]])
    """
    xp = array_module(logits)
    z, g = _widen(logits), _widen(grad)
    classes = z.shape[1]
    kept = target != ignore_index
    label = xp.where(kept, target, 0)
    hard = (1 - label_smoothing) * g
    if weight is not None:
        hard = hard * weight[label]
    with _quiet():
        dz = xp.exp(z - log_sum_exp[:, None])
        scale = hard
        if label_smoothing:
            soft = (label_smoothing / classes) * g
            scale = hard + soft * (classes if weight is None else weight.sum())
        dz *= (scale / dz.sum(axis=1))[:, None]
        if label_smoothing:
            dz -= soft[:, None] * (1 if weight is None else weight)
        dz[xp.arange(len(z)), label] -= hard
    return xp.where(kept[:, None], dz, z.dtype.type(0)).astype(logits.dtype, copy=False)
