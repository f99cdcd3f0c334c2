"""Stochastic gradient descent, with and without momentum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mydl import kernels
from mydl.kernels import capture
from mydl.optim.flat import FlatOptimizer
from mydl.optim.optimizer import Group, check_options, check_rates

__all__ = ["SGD", "Momentum"]


class SGD(FlatOptimizer):
    """Stochastic gradient descent.

        g = gradient + weight_decay · p                       (the gradient negated with `maximize`)
        b = momentum · b + (1 - dampening) · g                (b = g in the first step)
        p = p - lr · (g + momentum · b with `nesterov`, else b)

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the learning rate, 1e-3 by default.
        momentum: how much of the step before is kept, 0 (none) by default.
        dampening: how much of the gradient is left out of the momentum, 0 by default.
        weight_decay: an L2 penalty, 0 by default.
        nesterov: take the gradient where momentum leads to. Needs momentum and no dampening.
        maximize: go up instead of down.
        foreach, fused: PyTorch's implementations; kept in the group, without effect.
        differentiable: only False.

    Raises:
        ValueError: a rate is negative, or Nesterov has no momentum or a dampening.

    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

    >>> from mydl.tensor import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = SGD([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5000], requires_grad=True)
    """

    scalar_state = ()
    follows_captured = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        name = type(self).__name__
        rates = check_rates(name, lr=lr, momentum=momentum, weight_decay=weight_decay)
        how = check_options(name, foreach=foreach, fused=fused, differentiable=differentiable)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(f"{name}: nesterov needs a momentum and no dampening, got {momentum} and {dampening}")
        super().__init__(params, {**rates, "dampening": dampening, "nesterov": nesterov, "maximize": maximize, **how})

    def moment_names(self, group: Group) -> tuple[str, ...]:
        """The momentum, where there is any."""
        return ("momentum_buffer",) if group["momentum"] else ()

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        buffer = moments[0] if moments else None
        lr, momentum = capture.live(lambda: float(group["lr"])), capture.live(lambda: float(group["momentum"]))
        rates = (lr, momentum, float(group["dampening"]), float(group["weight_decay"]))
        kernels.of(p).sgd_step(p, g, buffer, *rates, group["nesterov"], first, group["maximize"])
        return ()


class Momentum(SGD):
    """SGD with a momentum of 0.9 and a learning rate of 0.01 unless told otherwise: the course's name for it.

    Arguments, formulas and errors are those of `SGD`.

    >>> from mydl.tensor import tensor
    >>> Momentum([tensor([1.0], requires_grad=True)]).defaults["momentum"]
    0.9
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-2, momentum: float = 0.9, **options: Any) -> None:
        super().__init__(params, lr, momentum, **options)
