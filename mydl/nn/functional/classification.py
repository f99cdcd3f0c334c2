"""Losses of a classifier: cross entropy from logits, from log-probabilities and from probabilities."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.op import describe, tensor_of
from mydl.backend import to_host
from mydl.errors import DtypeError, ShapeError
from mydl.functions.arguments import Tensor, integer_range, require_floating, require_tensor
from mydl.nn.functional.arguments import Flag, reduced, reduction_of
from mydl.ops.arithmetic import Div, Mul, Neg
from mydl.ops.elementwise import Where
from mydl.ops.indexing import Gather
from mydl.ops.loss import ClampedLog, CrossEntropy, LogSoftmax
from mydl.ops.reduction import Mean, Sum
from mydl.ops.shape import Permute, Reshape

__all__ = ["cross_entropy", "cross_entropy_from_probs", "nll_loss"]


def _class_axis(input: Any) -> int:
    """The axis of the classes in (N, C), (C,) or (N, C, d1, …)."""
    return 1 if input.ndim > 1 else 0


def _rows(x: Any) -> Any:
    """(N, C), (C,) or (N, C, d1, …) as (rows, C)."""
    ndim = x.array.ndim
    if ndim == 2:
        return x
    if ndim == 1:
        return Reshape.apply(x, shape=(1, -1))
    axes = (0, *range(2, ndim), 1)
    moved = Permute.apply(x, axes=axes)
    return Reshape.apply(moved, shape=(math.prod(moved.shape[:-1]), x.shape[1]))


def _class_indices(input: Any, target: Any, ignore_index: int, name: str) -> tuple[Any, bool]:
    """(the target's classes in one row, whether any may be ignored), after checking shape, dtype and range.

    Where the range of labels on a GPU is known, and within the classes, this does not wait for the GPU.
    """
    shape = input.array.shape
    wanted = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if not isinstance(ignore_index, int):
        raise TypeError(f"{name}: wanted an int as ignore_index, got {ignore_index!r}")
    if target.shape != wanted:
        meant = "; take .squeeze(1)" if target.shape == (*wanted, 1) and wanted else ""
        if target.shape == shape and len(shape) > 1:
            meant = "; take .argmax(1) of one-hot classes"
        raise ShapeError(
            f"{name}: wanted class indices of shape {wanted} for an input of shape {shape}, got {describe(target)}"
            + meant
        )
    if target.dtype not in (np.int64, np.uint8):
        raise DtypeError(f"{name}: wanted class indices in int64, got {describe(target)}; cast them with .long()")
    labels = target.array.reshape(-1).astype(np.int64, copy=False)
    if not labels.size:
        return labels, False
    classes = shape[1] if len(shape) > 1 else shape[0]
    low, high = integer_range(target)
    if low < 0 or high >= classes:
        host = to_host(labels)
        bad = host[(host != ignore_index) & ((host < 0) | (host >= classes))]
        if bad.size:
            raise IndexError(f"{name}: class {bad[0]} is out of range for {classes} classes; wanted 0 to {classes - 1}")
    return labels, low <= ignore_index <= high


def _class_weight(weight: Any, input: Any, target: Any, name: str) -> Any:
    """The class weights as an array; they are constants."""
    if weight is None:
        return None
    weight = require_tensor(weight, name)
    classes = input.shape[_class_axis(input)]
    if weight.shape != (classes,):
        raise ShapeError(f"{name}: wanted a weight for each of {classes} classes, got {describe(weight)}")
    if weight.dtype != input.dtype and target.dtype.kind != "f":
        raise TypeError(f"{name}: wanted weights of the input's dtype {input.dtype}, got {weight.dtype}")
    if weight.requires_grad:
        raise NotImplementedError(f"{name}: a gradient by the class weights is not supported; detach them")
    return weight.array.astype(input.dtype, copy=False)


def _reduced_rows(
    loss: Any, labels: Any, ignored: bool, weight: Any, ignore_index: int, reduction: str, shape: tuple
) -> Any:
    """The rows' losses as PyTorch reduces them: the mean is over the weights of the rows that are not ignored."""
    if reduction == "none":
        return loss if loss.shape == shape else Reshape.apply(loss, shape=shape)
    if reduction == "sum":
        return Sum.apply(loss)
    if weight is None and not ignored:
        return Mean.apply(loss)
    xp = loss.xp
    kept = labels != ignore_index
    counted = kept if weight is None else xp.where(kept, weight[xp.where(kept, labels, 0)], 0)
    return Div.apply(Sum.apply(loss), xp.asarray(counted.sum(), dtype=loss.dtype))  # a GPU is not waited for


def _check_input(input: Any, name: str) -> Any:
    input = require_floating(input, name)
    if input.array.ndim == 0:
        raise ShapeError(f"{name}: wanted an input (N, C), (C,) or (N, C, d1, …), got {describe(input)}")
    if input.shape[_class_axis(input)] == 0:
        raise ShapeError(f"{name}: wanted at least one class, got {describe(input)}")
    return input


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    ignore_index: int = -100,
    reduce: Flag = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-ln softmax(x)[t] for logits x (N, C), (C,) or (N, C, d1, …).

    The target holds class indices (int64, of x's shape without C) or probabilities (of x's shape). `weight` (C,)
    multiplies the classes' parts, and the mean of class indices is divided by the sum of the targets' weights; rows
    whose class is `ignore_index` do not count. `label_smoothing` s mixes the target with s times the uniform
    distribution (Szegedy et al., 2016).

    >>> import mydl
    >>> cross_entropy(mydl.tensor([[0.0, 0.0]]), mydl.tensor([1]))
    tensor(0.6931)
    """
    name = "cross_entropy"
    reduction = reduction_of(size_average, reduce, reduction, name)
    if not 0 <= label_smoothing <= 1:
        raise ShapeError(f"{name}: wanted label_smoothing between 0 and 1, got {label_smoothing}")
    input, target = _check_input(input, name), require_tensor(target, name)
    weight = _class_weight(weight, input, target, name)
    if target.shape == input.shape and target.dtype.kind == "f":
        if ignore_index >= 0:
            raise ShapeError(f"{name}: ignore_index goes with class indices, got {describe(target)} as the target")
        return _soft(LogSoftmax.apply(input, axis=_class_axis(input)), target, weight, reduction, label_smoothing)
    if target.dtype.kind == "f":
        raise ShapeError(
            f"{name}: wanted class indices in int64, or probabilities of the input's shape {input.shape}, "
            f"got {describe(target)}{'; cast them with .long()' if target.ndim < input.ndim else ''}"
        )
    labels, ignored = _class_indices(input, target, ignore_index, name)
    loss = CrossEntropy.apply(
        _rows(input), target=labels, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing
    )
    return _reduced_rows(loss, labels, ignored, weight, ignore_index, reduction, target.shape)


def _soft(log_p: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    """-Σ_c w_c t_c log_p_c for target probabilities t; the mean is over the rows."""
    axis = _class_axis(log_p)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / log_p.shape[axis]
    if weight is not None:
        target = Mul.apply(target, weight.reshape(-1, *(1,) * (log_p.ndim - 1 - axis)))
    loss = Neg.apply(Sum.apply(Mul.apply(log_p, target), axis=axis))
    return reduced(loss, reduction)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    ignore_index: int = -100,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """-x[t] for log-probabilities x (N, C), (C,) or (N, C, d1, …) and class indices t; arguments as in `cross_entropy`.

    >>> import mydl
    >>> nll_loss(mydl.tensor([[-0.5, -2.0]]), mydl.tensor([1]))
    tensor(2.)
    """
    name = "nll_loss"
    reduction = reduction_of(size_average, reduce, reduction, name)
    input, target = _check_input(input, name), require_tensor(target, name)
    weight = _class_weight(weight, input, target, name)
    labels, ignored = _class_indices(input, target, ignore_index, name)
    loss = _picked(_rows(input), labels, ignored, weight, ignore_index)
    return _reduced_rows(loss, labels, ignored, weight, ignore_index, reduction, target.shape)


def _picked(log_p: Any, labels: Any, ignored: bool, weight: Any, ignore_index: int) -> Any:
    """-w[t] log_p[t] for each row, 0 for those that are ignored."""
    kept = labels != ignore_index
    safe = labels * kept if ignored else labels
    loss = Neg.apply(Reshape.apply(Gather.apply(log_p, index=safe[:, None], axis=1), shape=labels.shape))
    if weight is not None:
        loss = Mul.apply(loss, weight[safe])
    if ignored:
        zeros = tensor_of(loss.xp.zeros_like(loss.array))
        loss = Where.apply(kept, loss, zeros)
    return loss


def cross_entropy_from_probs(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """`cross_entropy` of probabilities p instead of logits: -ln p[t], safe where p is 0.

    The logarithm is held above -100, and its derivative 1 / p below 1e12, so that loss and gradient stay finite.

    >>> import mydl
    >>> cross_entropy_from_probs(mydl.tensor([[0.0, 1.0]]), mydl.tensor([0]))
    tensor(100.)
    """
    name = "cross_entropy_from_probs"
    reduction = reduction_of(None, None, reduction, name)
    if not 0 <= label_smoothing <= 1:
        raise ShapeError(f"{name}: wanted label_smoothing between 0 and 1, got {label_smoothing}")
    input, target = _check_input(input, name), require_tensor(target, name)
    p = input.array
    if p.size and not bool((p >= 0).all() & (p <= 1 + 1e-3).all()):
        raise ShapeError(f"{name}: wanted probabilities between 0 and 1, got values from {p.min()} to {p.max()}")
    weight = _class_weight(weight, input, target, name)
    log_p = ClampedLog.apply(input)
    if target.shape == input.shape and target.dtype.kind == "f":
        return _soft(log_p, target, weight, reduction, label_smoothing)
    labels, ignored = _class_indices(input, target, ignore_index, name)
    rows = _rows(log_p)
    loss = _picked(rows, labels, ignored, weight, ignore_index)
    if label_smoothing:
        every = rows if weight is None else Mul.apply(rows, weight)
        smooth = Neg.apply(Mean.apply(every, axis=1))
        if ignored:
            smooth = Mul.apply(smooth, (labels != ignore_index).astype(smooth.dtype))
        loss = loss * (1 - label_smoothing) + smooth * label_smoothing
    return _reduced_rows(loss, labels, ignored, weight, ignore_index, reduction, target.shape)
