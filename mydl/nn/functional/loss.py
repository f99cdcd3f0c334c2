"""Losses between an input and a target. `reduction` is "mean" (the default), "sum" or "none".

`size_average` and `reduce` are PyTorch's older way of saying the same.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from mydl.autograd.op import describe
from mydl.errors import DtypeError, ShapeError
from mydl.functions.arguments import Tensor, require_floating, require_tensor
from mydl.nn.functional.arguments import Flag, reduced, reduction_of
from mydl.ops.arithmetic import Div, Mul, Sub
from mydl.ops.elementwise import Abs, Clamp, Exp, Log, Softplus, Where
from mydl.ops.loss import BinaryCrossEntropy
from mydl.ops.reduction import Sum

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "huber_loss", "kl_div", "l1_loss",
    "mse_loss", "poisson_nll_loss", "smooth_l1_loss",
]  # fmt: skip


def _both(input: Any, target: Any, name: str) -> tuple[Any, Any]:
    """Input and target as tensors; other shapes broadcast, with a warning, as in PyTorch."""
    input, target = require_tensor(input, name), require_tensor(target, name)
    target = target.to(input.dtype) if target.dtype == bool and input.dtype != bool else target
    if input.array.shape != target.array.shape:
        try:
            np.broadcast_shapes(input.shape, target.shape)
        except ValueError:
            raise ShapeError(f"{name}: {describe(input)} and {describe(target)} do not broadcast together") from None
        warnings.warn(
            f"{name}: an input {describe(input)} and a target {describe(target)} are broadcast together, which is "
            "seldom meant; give them the same shape",
            UserWarning,
            stacklevel=3,
        )
    return input, target


def _weighted(loss: Any, weight: Any, reduction: str, name: str) -> Any:
    """The loss reduced, each element times its weight; the mean is divided by the sum of the weights."""
    if weight is None:
        return reduced(loss, reduction)
    weight = _fitting(weight, loss, name)
    weighted = loss * weight
    return Sum.apply(weighted) / Sum.apply(weight) if reduction == "mean" else reduced(weighted, reduction)


def _fitting(weight: Any, loss: Any, name: str) -> Any:
    weight = require_tensor(weight, name)
    if weight.shape != loss.shape:
        raise ShapeError(f"{name}: wanted weights of the loss's shape {loss.shape}, got {weight.shape}")
    return weight


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """(x - t)².

    >>> import mydl
    >>> mse_loss(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 4.0]))
    tensor(2.)
    """
    reduction = reduction_of(size_average, reduce, reduction, "mse_loss")
    difference = Sub.apply(*_both(input, target, "mse_loss"))
    return _weighted(Mul.apply(difference, difference), weight, reduction, "mse_loss")


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """|x - t|.

    >>> import mydl
    >>> l1_loss(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 4.0]))
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction, "l1_loss")
    return _weighted(Abs.apply(Sub.apply(*_both(input, target, "l1_loss"))), weight, reduction, "l1_loss")


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """(x - t)² / 2 where |x - t| <= delta, else delta (|x - t| - delta / 2) (Huber, 1964).

    >>> import mydl
    >>> huber_loss(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 4.0]))
    tensor(0.7500)
    """
    reduction = reduction_of(None, None, reduction, "huber_loss")
    if delta <= 0:
        raise ValueError(f"huber_loss: wanted delta above 0, got {delta}")
    loss = _half_square(Abs.apply(Sub.apply(*_both(input, target, "huber_loss"))), delta)
    if weight is not None:  # unlike the two losses above, the mean is over the elements: PyTorch's is
        loss = loss * _fitting(weight, loss, "huber_loss")
    return reduced(loss, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """(x - t)² / (2 beta) where |x - t| < beta, else |x - t| - beta / 2 (Girshick, 2015).

    >>> import mydl
    >>> smooth_l1_loss(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 4.0]))
    tensor(0.7500)
    """
    reduction = reduction_of(size_average, reduce, reduction, "smooth_l1_loss")
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: wanted beta of at least 0, got {beta}")
    distance = Abs.apply(Sub.apply(*_both(input, target, "smooth_l1_loss")))
    if beta == 0:
        return reduced(distance, reduction)
    return reduced(_half_square(distance, beta) / beta, reduction)


def _half_square(distance: Any, bound: float) -> Any:
    """d² / 2 up to the bound b, b d - b² / 2 beyond; as m (d - m / 2), m = min(d, b), it is right at infinity too."""
    small = Clamp.apply(distance, low=None, high=bound)
    return small * (distance - small * 0.5)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """t (ln t - x) for log-probabilities x and probabilities t (or their logarithms with `log_target`).

    `reduction="batchmean"`, the sum divided by the first size, is the Kullback-Leibler divergence; "mean" divides by
    the number of elements, as PyTorch does.

    >>> import mydl
    >>> kl_div(mydl.tensor([[0.5, 0.5]]).log(), mydl.tensor([[1.0, 0.0]]), reduction="batchmean")
    tensor(0.6931)
    """
    by_batch = reduction == "batchmean" and size_average is None and reduce is None
    reduction = "sum" if by_batch else reduction_of(size_average, reduce, reduction, "kl_div")
    input, target = require_floating(input, "kl_div"), require_floating(target, "kl_div")
    try:
        np.broadcast_shapes(input.shape, target.shape)
    except ValueError:
        got = f"{describe(input)} and {describe(target)}"
        raise ShapeError(f"kl_div: wanted an input and a target of one shape, got {got}") from None
    if log_target:
        loss = Exp.apply(target) * (target - input)
    else:
        # t ln t is 0 at 0: no logarithm is taken there, so that the gradient is not NaN
        some = target.array != 0
        safe = Where.apply(some, target, target.xp.ones_like(target.array))
        entropy = Where.apply(some, safe * Log.apply(safe), target.xp.zeros_like(target.array))
        loss = entropy - target * input
    loss = reduced(loss, reduction)
    return Div.apply(loss, input.shape[0]) if by_batch and input.ndim else loss


def _same_shape(input: Any, target: Any, name: str) -> tuple[Any, Any]:
    input, target = require_floating(input, name), require_floating(target, name)
    if input.shape != target.shape:
        raise ShapeError(f"{name}: wanted a target of the input's shape, got {describe(input)} and {describe(target)}")
    return input, target


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """-(t ln p + (1 - t) ln(1 - p)) for probabilities p; the logarithms are held above -100, as in PyTorch.

    `weight` broadcasts against the loss.

    >>> import mydl
    >>> binary_cross_entropy(mydl.tensor([0.5]), mydl.tensor([1.0]))
    tensor(0.6931)
    """
    name = "binary_cross_entropy"
    reduction = reduction_of(size_average, reduce, reduction, name)
    input, target = _same_shape(input, target, name)
    if input.dtype != target.dtype:
        raise DtypeError(f"{name}: wanted input and target of one dtype, got {input.dtype} and {target.dtype}")
    for what, p in (("probabilities", input.array), ("targets", target.array)):
        if p.size and not bool(((p >= 0) & (p <= 1)).all()):
            raise ShapeError(f"{name}: wanted {what} between 0 and 1, got values from {p.min()} to {p.max()}")
    loss = BinaryCrossEntropy.apply(input, target)
    if weight is not None:
        loss = loss * require_tensor(weight, name).expand(loss.shape)
    return reduced(loss, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(x), computed from x so that nothing overflows: (1 - t) x + softplus(-x).

    `pos_weight` multiplies the part of the positive targets: (1 - t) x + (1 + (pos_weight - 1) t) softplus(-x).

    >>> import mydl
    >>> binary_cross_entropy_with_logits(mydl.tensor([0.0]), mydl.tensor([1.0]))
    tensor(0.6931)
    """
    name = "binary_cross_entropy_with_logits"
    reduction = reduction_of(size_average, reduce, reduction, name)
    input, target = _same_shape(input, target, name)
    soft = Softplus.apply(-input, beta=1.0, threshold=math.inf)
    if pos_weight is not None:
        soft = soft * ((require_tensor(pos_weight, name) - 1) * target + 1)
    loss = (1 - target) * input + soft
    if weight is not None:
        loss = loss * require_tensor(weight, name)
    return reduced(loss, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Flag = None,
    eps: float = 1e-8,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """exp(x) - t x for the logarithm x of a rate, or x - t ln(x + eps) for a rate; counts t.

    With `full` also Stirling's t ln t - t + ln(2 pi t) / 2 where t > 1.

    >>> import mydl
    >>> poisson_nll_loss(mydl.tensor([0.0]), mydl.tensor([2.0]))
    tensor(1.)
    """
    reduction = reduction_of(size_average, reduce, reduction, "poisson_nll_loss")
    input, target = require_floating(input, "poisson_nll_loss"), require_tensor(target, "poisson_nll_loss")
    loss = Exp.apply(input) - target * input if log_input else input - target * Log.apply(input + eps)
    if full:
        many = target.array > 1
        t = Where.apply(many, target, target.xp.ones_like(target.array))
        stirling = t * Log.apply(t) - t + 0.5 * Log.apply(2 * math.pi * t)
        loss = loss + Where.apply(many, stirling, target.xp.zeros_like(target.array))
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(ln max(var, eps) + (x - t)² / max(var, eps)) / 2, and ln(2 pi) / 2 more with `full`.

    `var` has the input's shape, or 1 as its last size, or lacks the last dimension. No gradient flows through the
    maximum (Nix and Weigend, 1994).

    >>> import mydl
    >>> gaussian_nll_loss(mydl.tensor([1.0]), mydl.tensor([3.0]), mydl.tensor([1.0]))
    tensor(2.)
    """
    name = "gaussian_nll_loss"
    reduction = reduction_of(None, None, reduction, name)
    input, target = require_floating(input, name), require_tensor(target, name)
    variance = input.new_full(input.shape, var) if isinstance(var, (int, float)) else require_tensor(var, name)
    if bool((variance.array < 0).any()):
        raise ValueError(f"{name}: wanted variances of at least 0, got {float(variance.array.min())}")
    if variance.shape == input.shape[:-1] and variance.shape != input.shape:
        variance = variance.unsqueeze(-1)
    elif variance.shape not in (input.shape, (*input.shape[:-1], 1)):
        raise ShapeError(f"{name}: variances {describe(variance)} do not fit an input {describe(input)}")
    variance = variance + (variance.detach().clamp(min=eps) - variance.detach())
    difference = input - target
    loss = 0.5 * (Log.apply(variance) + difference * difference / variance)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
