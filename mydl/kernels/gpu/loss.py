"""Cross entropy of class labels on a GPU, a block of threads to a row. Not yet run on a GPU."""

from __future__ import annotations

from typing import Any

from mydl.backend import array_module
from mydl.kernels import reference
from mydl.kernels.gpu.launch import THREADS, contiguous, launch, served

__all__ = ["cross_entropy", "cross_entropy_backward"]

Array = Any


def _threads(classes: int) -> int:
    return 32 if classes <= 512 else THREADS


def cross_entropy(
    logits: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array]:
    """As `reference.cross_entropy`."""
    if not served(logits, weight) or not logits.size:
        return reference.cross_entropy(logits, target, weight, ignore_index, label_smoothing)
    rows, classes = logits.shape
    logits, target, weight = contiguous(logits, target, weight)
    xp = array_module(logits)
    loss, log_sum_exp = xp.empty(rows, logits.dtype), xp.empty(rows, logits.dtype)
    arguments = (logits, target, weight, loss, log_sum_exp, classes, ignore_index, float(label_smoothing))
    launch("cross_entropy", logits.dtype, rows, *arguments, threads=_threads(classes))
    return loss, log_sum_exp


def cross_entropy_backward(
    grad: Array,
    logits: Array,
    log_sum_exp: Array,
    target: Array,
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
) -> Array:
    """As `reference.cross_entropy_backward`."""
    rest = (target, weight, ignore_index, label_smoothing)
    if not served(grad, logits, weight) or not logits.size:
        return reference.cross_entropy_backward(grad, logits, log_sum_exp, *rest)
    rows, classes = logits.shape
    logits, target, weight = contiguous(logits, target, weight)
    dlogits = array_module(logits).empty_like(logits)
    stride = grad.strides[0] // grad.itemsize  # 0 where one gradient is broadcast to all rows
    arrays = (grad, logits, log_sum_exp, target, weight, dlogits)
    arguments = (*arrays, stride, classes, ignore_index, float(label_smoothing))
    launch("cross_entropy_backward", logits.dtype, rows, *arguments, threads=_threads(classes))
    return dlogits
