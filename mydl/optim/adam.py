"""Adam and its relatives: AdamW, Adamax, NAdam and RAdam."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mydl import kernels
from mydl.backend import array_module
from mydl.kernels import capture
from mydl.kernels.reference.optimizer import blocks
from mydl.optim.adaptive import decayed_gradient
from mydl.optim.flat import FlatOptimizer
from mydl.optim.optimizer import Group, check_betas, check_options, check_rates

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


class Adam(FlatOptimizer):
    """Running averages of the gradient and of its square, corrected for their start at zero.

        m = β₁ · m + (1 - β₁) · g;   v = β₂ · v + (1 - β₂) · g²
        p = p - lr / (1 - β₁^step) · m / (sqrt(v / (1 - β₂^step)) + eps)

    g is the gradient (negated with `maximize`) + weight_decay · p; with `decoupled_weight_decay` p is
    multiplied by 1 - lr · weight_decay instead. With `amsgrad` the largest v so far takes v's place.

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the learning rate, 1e-3 by default.
        betas: how slowly the two averages change, (0.9, 0.999) by default.
        eps: added to the root, 1e-8 by default.
        weight_decay: 0 by default.
        amsgrad: never let a step size grow again.
        foreach, fused: PyTorch's implementations; kept in the group, without effect.
        maximize: go up instead of down.
        capturable, differentiable: only False.
        decoupled_weight_decay: decay the weights themselves, as AdamW.

    Raises:
        ValueError: a rate is negative, or a beta is not from 0 to below 1.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015; Reddi, Kale and Kumar, "On the
    Convergence of Adam and Beyond", ICLR 2018.

    >>> from mydl.tensor import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.7500], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        name = type(self).__name__
        rates = check_rates(name, lr=lr, eps=eps, weight_decay=weight_decay)
        how = check_options(name, foreach=foreach, fused=fused, capturable=capturable, differentiable=differentiable)
        own = {"betas": check_betas(name, betas), "amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, {**rates, **own, **how, "decoupled_weight_decay": decoupled_weight_decay})

    follows_captured = True

    def moment_names(self, group: Group) -> tuple[str, ...]:
        """The two averages, and the largest second one with `amsgrad`."""
        names = ("exp_avg", "exp_avg_sq")
        return (*names, "max_exp_avg_sq") if group["amsgrad"] else names

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        m, v, *largest = moments
        step = int(scalars[0]) + 1
        arrays = (p, g, m, v, largest[0] if largest else None)
        lr, beta1 = capture.live(lambda: float(group["lr"])), capture.live(lambda: float(group["betas"][0]))
        rates = (lr, beta1, float(group["betas"][1]), float(group["eps"]), float(group["weight_decay"]))
        flags = (group["decoupled_weight_decay"], group["maximize"])
        kernels.of(p).adam_step(*arrays, capture.count(scalars[0]), *rates, *flags)
        return (step,)


class AdamW(Adam):
    """Adam with decoupled weight decay: p is multiplied by 1 - lr · weight_decay before each step.

    Arguments, formulas and errors are those of `Adam`; `weight_decay` is 0.01 by default.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    >>> from mydl.tensor import tensor
    >>> AdamW([tensor([1.0], requires_grad=True)]).defaults["weight_decay"]
    0.01
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        how: dict[str, Any] = {
            "foreach": foreach,
            "fused": fused,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        options = {"maximize": maximize, "decoupled_weight_decay": True}
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, **how, **options)


class Adamax(FlatOptimizer):
    """A running average of the gradient, divided by the largest gradient of late.

        m = β₁ · m + (1 - β₁) · g;   u = max(β₂ · u, |g| + eps)
        p = p - lr / (1 - β₁^step) · m / u

    g is the gradient (negated with `maximize`) + weight_decay · p.

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the learning rate, 2e-3 by default.
        betas: how slowly average and maximum change, (0.9, 0.999) by default.
        eps: added to |g|, 1e-8 by default.
        weight_decay: an L2 penalty, 0 by default.
        foreach: PyTorch's implementation; kept in the group, without effect.
        maximize: go up instead of down.
        differentiable, capturable: only False.

    Raises:
        ValueError: a rate is negative, or a beta is not from 0 to below 1.

    Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015.

    >>> from mydl.tensor import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adamax([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.7500], requires_grad=True)
    """

    moment_state = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        name = type(self).__name__
        rates = check_rates(name, lr=lr, eps=eps, weight_decay=weight_decay)
        how = check_options(name, foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {**rates, "betas": check_betas(name, betas), "maximize": maximize, **how})

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        xp = array_module(p)
        step = float(scalars[0]) + 1
        (beta1, beta2), eps = map(float, group["betas"]), float(group["eps"])
        rate = float(group["lr"]) / (1 - beta1**step)
        for pb, gb, m, u in blocks(p, g, *moments):
            gradient = decayed_gradient(group, pb, gb)
            m += (1 - beta1) * (gradient - m)
            u *= beta2
            xp.maximum(u, xp.abs(gradient) + eps, out=u)
            pb -= rate * (m / u)
        return (scalars[0] + 1,)


class NAdam(FlatOptimizer):
    """Adam with Nesterov's momentum, which grows with the steps.

        μ(t) = β₁ · (1 - 0.96^(t · momentum_decay) / 2);   M = the product of μ(1) … μ(step)
        m = β₁ · m + (1 - β₁) · g;   v = β₂ · v + (1 - β₂) · g²;   d = sqrt(v / (1 - β₂^step)) + eps
        p = p - lr · ((1 - μ(step)) / (1 - M) · g + μ(step + 1) / (1 - M · μ(step + 1)) · m) / d

    g is the gradient (negated with `maximize`) + weight_decay · p; with `decoupled_weight_decay` p is
    multiplied by 1 - lr · weight_decay instead.

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the learning rate, 2e-3 by default.
        betas: how slowly the two averages change, (0.9, 0.999) by default.
        eps: added to the root, 1e-8 by default.
        weight_decay: 0 by default.
        momentum_decay: how fast μ grows, 4e-3 by default.
        decoupled_weight_decay: decay the weights themselves, as AdamW.
        foreach: PyTorch's implementation; kept in the group, without effect.
        maximize: go up instead of down.
        capturable, differentiable: only False.

    Raises:
        ValueError: a rate is negative, or a beta is not from 0 to below 1.

    Dozat, "Incorporating Nesterov Momentum into Adam", ICLR 2016 workshop.

    >>> from mydl.tensor import tensor
    >>> NAdam([tensor([1.0], requires_grad=True)]).defaults["momentum_decay"]
    0.004
    """

    scalar_state = ("step", "mu_product")
    moment_state = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        name = type(self).__name__
        rates = check_rates(name, lr=lr, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        how = check_options(name, foreach=foreach, capturable=capturable, differentiable=differentiable)
        own = {"betas": check_betas(name, betas), "maximize": maximize}
        super().__init__(params, {**rates, **own, **how, "decoupled_weight_decay": decoupled_weight_decay})

    def initial_state(self, group: Group, name: str) -> float:
        """1 for the product of μ, 0 for the rest."""
        return 1.0 if name == "mu_product" else 0.0

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        xp = array_module(p)
        lr, decay = float(group["lr"]), float(group["momentum_decay"])
        beta1, beta2 = (float(beta) for beta in group["betas"])
        step = int(scalars[0]) + 1
        mu, mu_next = (beta1 * (1 - 0.5 * 0.96 ** (t * decay)) for t in (step, step + 1))
        mu_product = scalars[1] * mu  # in the precision of the state, float32 by default, as in PyTorch
        product = float(mu_product)
        gradient_rate = lr * (1 - mu) / (1 - product)
        momentum_rate = lr * mu_next / (1 - product * mu_next)
        correction = 1 - beta2**step
        for pb, gb, m, v in blocks(p, g, *moments):
            gradient = _decay(group, pb, gb)
            _average(m, v, gradient, beta1, beta2)
            denominator = v / correction
            xp.sqrt(denominator, out=denominator)
            denominator += float(group["eps"])
            pb -= (gradient_rate * gradient + momentum_rate * m) / denominator
        return step, mu_product


class RAdam(FlatOptimizer):
    """Adam whose step sizes are rectified while too few gradients have been seen to trust their variance.

        m = β₁ · m + (1 - β₁) · g;   v = β₂ · v + (1 - β₂) · g²;   ρ∞ = 2 / (1 - β₂) - 1
        ρ = ρ∞ - 2 · step · β₂^step / (1 - β₂^step)
        p = p - lr · m / (1 - β₁^step) · r · sqrt(1 - β₂^step) / (sqrt(v) + eps)   where ρ > 5,
            r² = (ρ - 4)(ρ - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρ)
        p = p - lr · m / (1 - β₁^step)                                              elsewhere

    g is the gradient (negated with `maximize`) + weight_decay · p; with `decoupled_weight_decay` p is
    multiplied by 1 - lr · weight_decay instead.

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the learning rate, 1e-3 by default.
        betas: how slowly the two averages change, (0.9, 0.999) by default.
        eps: added to the root, 1e-8 by default.
        weight_decay: 0 by default.
        decoupled_weight_decay: decay the weights themselves, as AdamW.
        foreach: PyTorch's implementation; kept in the group, without effect.
        maximize: go up instead of down.
        capturable, differentiable: only False.

    Raises:
        ValueError: a rate is negative, or a beta is not from 0 to below 1.

    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020.

    >>> from mydl.tensor import tensor
    >>> RAdam([tensor([1.0], requires_grad=True)]).defaults["lr"]
    0.001
    """

    moment_state = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        name = type(self).__name__
        rates = check_rates(name, lr=lr, eps=eps, weight_decay=weight_decay)
        how = check_options(name, foreach=foreach, capturable=capturable, differentiable=differentiable)
        own = {"betas": check_betas(name, betas), "maximize": maximize}
        super().__init__(params, {**rates, **own, **how, "decoupled_weight_decay": decoupled_weight_decay})

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        xp = array_module(p)
        beta1, beta2 = (float(beta) for beta in group["betas"])
        step = int(scalars[0]) + 1
        correction = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / correction
        rate = float(group["lr"]) / (1 - beta1**step)
        trusted = length > 5
        if trusted:
            rectified = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            rate *= math.sqrt(rectified * correction)
        for pb, gb, m, v in blocks(p, g, *moments):
            gradient = _decay(group, pb, gb)
            _average(m, v, gradient, beta1, beta2)
            if trusted:
                denominator = xp.sqrt(v)
                denominator += float(group["eps"])
                pb -= rate * m / denominator
            else:
                pb -= rate * m
        return (step,)


def _decay(group: Group, p: Any, g: Any) -> Any:
    """Decay the weights in place where decoupled; the gradient, with the decay in it where not."""
    if not group["decoupled_weight_decay"]:
        return decayed_gradient(group, p, g)
    p *= 1 - float(group["lr"]) * float(group["weight_decay"])
    return -g if group["maximize"] else g


def _average(m: Any, v: Any, g: Any, beta1: float, beta2: float) -> None:
    """Take the gradient into the running averages m and v, in place."""
    m += (1 - beta1) * (g - m)
    v *= beta2
    v += (1 - beta2) * (g * g)
