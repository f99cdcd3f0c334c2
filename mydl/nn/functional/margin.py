"""Losses that ask for a margin, or for the distance of pairs and triplets. `reduction` as in the other losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.op import describe
from mydl.errors import ShapeError
from mydl.functions.arguments import Tensor, require_floating, require_tensor
from mydl.functions.elementwise import clamp_min
from mydl.functions.shape import broadcast_tensors
from mydl.nn.functional.arguments import Flag, reduced, reduction_of
from mydl.nn.functional.distance import pairwise_distance
from mydl.ops.arithmetic import Minimum
from mydl.ops.elementwise import ReLU, Softplus, Where
from mydl.ops.indexing import Gather
from mydl.ops.reduction import Mean, Sum

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss",
]  # fmt: skip


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, -t (x1 - x2) + margin): x1 should rank above x2 where t = 1, below where t = -1.

    >>> import mydl
    >>> margin_ranking_loss(mydl.tensor([1.0]), mydl.tensor([3.0]), mydl.tensor([1.0]))
    tensor(2.)
    """
    name = "margin_ranking_loss"
    reduction = reduction_of(size_average, reduce, reduction, name)
    input1, input2, target = (require_tensor(value, name) for value in (input1, input2, target))
    if not input1.ndim == input2.ndim == target.ndim:
        shapes = ", ".join(describe(value) for value in (input1, input2, target))
        raise ShapeError(f"{name}: wanted two inputs and a target of as many dimensions, got {shapes}")
    return reduced(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """x where t = 1, max(0, margin - x) where t = -1, for distances x.

    >>> import mydl
    >>> hinge_embedding_loss(mydl.tensor([0.5, 0.2]), mydl.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.8000])
    """
    reduction = reduction_of(size_average, reduce, reduction, "hinge_embedding_loss")
    input, target = require_tensor(input, "hinge_embedding_loss"), require_tensor(target, "hinge_embedding_loss")
    zeros = input.new_zeros(())
    apart = Where.apply(target.array != 1, clamp_min(margin - input, 0), zeros)
    return reduced(apart + Where.apply(target.array != -1, input, zeros), reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1, for x (N, D) and t (N,), or without N.

    >>> import mydl
    >>> cosine_embedding_loss(mydl.tensor([[1.0, 0.0]]), mydl.tensor([[0.0, 1.0]]), mydl.tensor([1]))
    tensor(1.)
    """
    name = "cosine_embedding_loss"
    reduction = reduction_of(size_average, reduce, reduction, name)
    input1, input2 = require_floating(input1, name), require_floating(input2, name)
    target = require_tensor(target, name)
    if input1.ndim != target.ndim + 1 or input2.ndim != input1.ndim or target.ndim > 1:
        raise ShapeError(
            f"{name}: wanted inputs (N, D) and a target (N,), or (D,) and (), got {describe(input1)}, "
            f"{describe(input2)} and {describe(target)}"
        )
    tiny = 1e-12  # PyTorch's: added to both squares
    squares = [Sum.apply(x * x, axis=-1) + tiny for x in (input1, input2)]
    cosine = Sum.apply(input1 * input2, axis=-1) / (squares[0] * squares[1]).sqrt()
    zeros = cosine.new_zeros(())
    near = Where.apply(target.array == 1, 1 - cosine, zeros)
    return reduced(near + Where.apply(target.array == -1, clamp_min(cosine - margin, 0), zeros), reduction)


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
) -> Tensor:
    """ln(1 + exp(-t x)) for t of 1 and -1.

    >>> import mydl
    >>> soft_margin_loss(mydl.tensor([0.0]), mydl.tensor([1.0]))
    tensor(0.6931)
    """
    reduction = reduction_of(size_average, reduce, reduction, "soft_margin_loss")
    input, target = require_floating(input, "soft_margin_loss"), require_tensor(target, "soft_margin_loss")
    return reduced(Softplus.apply(-target * input, beta=1.0, threshold=float("inf")), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """`binary_cross_entropy_with_logits` as the mean over the last dimension, the classes; `weight` is theirs.

    >>> import mydl
    >>> multilabel_soft_margin_loss(mydl.zeros(1, 2), mydl.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    name = "multilabel_soft_margin_loss"
    reduction = reduction_of(size_average, reduce, reduction, name)
    input, target = require_floating(input, name), require_tensor(target, name)
    loss = Softplus.apply(-input, beta=1.0, threshold=float("inf")) + (1 - target) * input
    loss = loss if weight is None else loss * require_tensor(weight, name)
    return reduced(Mean.apply(loss, axis=-1), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Σ over the wrong classes c of w[t] max(0, margin - x[t] + x[c])^p / C, for x (N, C) or (C,), classes t (N,).

    >>> import mydl
    >>> multi_margin_loss(mydl.tensor([[0.1, 0.5]]), mydl.tensor([0]))
    tensor(0.7000)
    """
    name = "multi_margin_loss"
    reduction = reduction_of(size_average, reduce, reduction, name)
    input, target = require_floating(input, name), require_tensor(target, name)
    if p not in (1, 2):
        raise ValueError(f"{name}: wanted p of 1 or 2, got {p!r}")
    if input.ndim not in (1, 2) or target.shape != input.shape[:-1] or target.dtype != np.int64:
        raise ShapeError(
            f"{name}: wanted x (N, C) and class indices (N,) in int64, got {describe(input)} and {describe(target)}"
        )
    classes = input.shape[-1]
    index = target.array[..., None]
    if index.size and not bool(((index >= 0) & (index < classes)).all()):
        raise IndexError(f"{name}: wanted classes from 0 to {classes - 1}, got {index.min()} to {index.max()}")
    short = ReLU.apply(margin - Gather.apply(input, index=index, axis=-1) + input)  # whose gradient at 0 is 0
    short = short if p == 1 else short * short
    if weight is not None:
        short = short * require_tensor(weight, name)[target][..., None]
    wrong = input.xp.arange(classes) != index
    return reduced(Sum.apply(Where.apply(wrong, short, input.new_zeros(())), axis=-1) / classes, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(a, p) - d(a, n) + margin) with d = `pairwise_distance` along the last dimension.

    With `swap` d(p, n) takes the place of d(a, n) where it is smaller (Balntas et al., 2016).

    >>> import mydl
    >>> triplet_margin_loss(mydl.zeros(1, 2), mydl.ones(1, 2), mydl.ones(1, 2))
    tensor(1.)
    """
    name = "triplet_margin_loss"
    reduction = reduction_of(size_average, reduce, reduction, name)
    if margin <= 0:
        raise ValueError(f"{name}: wanted a margin above 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        shapes = ", ".join(describe(value) for value in (anchor, positive, negative))
        raise ShapeError(f"{name}: wanted anchor, positive and negative of as many dimensions, got {shapes}")
    anchor, positive, negative = broadcast_tensors(anchor, positive, negative)
    apart: Any = pairwise_distance(anchor, negative, p, eps)
    if swap:
        apart = Minimum.apply(apart, pairwise_distance(positive, negative, p, eps))
    return reduced(clamp_min(pairwise_distance(anchor, positive, p, eps) - apart + margin, 0), reduction)
