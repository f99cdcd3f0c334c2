"""Adamax, Adam with the largest gradient in the place of the mean square."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mydl.backend import array_module
from mydl.kernels.reference.optimizer import blocks
from mydl.optim.adaptive import decayed_gradient
from mydl.optim.flat import FlatOptimizer
from mydl.optim.optimizer import Group, check_betas, check_options, check_rates

__all__ = ["Adamax"]


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
