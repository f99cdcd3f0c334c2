"""Optimizers with a step size for each element: RMSprop, Adagrad, Adadelta, Rprop; Adam's kin are in adam.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mydl.backend import array_module
from mydl.kernels.reference.optimizer import blocks
from mydl.optim.flat import FlatOptimizer
from mydl.optim.optimizer import Group, check_options, check_rates

__all__ = ["Adadelta", "Adagrad", "RMSprop", "Rprop"]


def decayed_gradient(group: Group, p: Any, g: Any) -> Any:
    """The gradient, negated with `maximize`, plus weight_decay · p; a new array or g itself."""
    if group["maximize"]:
        g = -g
    return g + float(group["weight_decay"]) * p if group["weight_decay"] else g


class RMSprop(FlatOptimizer):
    """Gradients divided by the root of a running average of their squares.

        v = alpha · v + (1 - alpha) · g²
        d = sqrt(v) + eps;   with `centered`: a = alpha · a + (1 - alpha) · g,  d = sqrt(v - a²) + eps
        p = p - lr · g / d;  with momentum: b = momentum · b + g / d,           p = p - lr · b

    g is the gradient (negated with `maximize`) + weight_decay · p.

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the learning rate, 1e-2 by default.
        alpha: how slowly the average of the squares changes, 0.99 by default.
        eps: added to the root, 1e-8 by default.
        weight_decay: an L2 penalty, 0 by default.
        momentum: how much of the step before is kept, 0 by default.
        centered: divide by the standard deviation instead.
        maximize: go up instead of down.
        foreach: PyTorch's implementation; kept in the group, without effect.
        capturable, differentiable: only False.

    Raises:
        ValueError: a rate is negative.

    Tieleman and Hinton, "Lecture 6.5: rmsprop", Coursera 2012; Graves, "Generating Sequences With Recurrent
    Neural Networks", 2013 (centered).

    >>> from mydl.tensor import tensor
    >>> RMSprop([tensor([1.0], requires_grad=True)], centered=True).defaults["alpha"]
    0.99
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        name = type(self).__name__
        rates = check_rates(name, lr=lr, eps=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        how = check_options(name, foreach=foreach, capturable=capturable, differentiable=differentiable)
        super().__init__(params, {**rates, "centered": centered, "maximize": maximize, **how})

    def moment_names(self, group: Group) -> tuple[str, ...]:
        """The average of the squares, the momentum and the average, as far as the options need them."""
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return tuple(names)

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        xp = array_module(p)
        lr, alpha, eps, momentum = (float(group[key]) for key in ("lr", "alpha", "eps", "momentum"))
        names = self.moment_names(group)
        for pb, gb, *moment_blocks in blocks(p, g, *moments):
            of = dict(zip(names, moment_blocks, strict=True))
            gradient = decayed_gradient(group, pb, gb)
            v = of["square_avg"]
            v *= alpha
            v += (1 - alpha) * (gradient * gradient)
            if group["centered"]:
                average = of["grad_avg"]
                average += (1 - alpha) * (gradient - average)
                denominator = v - average * average
                xp.sqrt(denominator, out=denominator)
            else:
                denominator = xp.sqrt(v)
            denominator += eps
            step = xp.divide(gradient, denominator, out=denominator)
            if momentum > 0:
                buffer = of["momentum_buffer"]
                buffer *= momentum
                buffer += step
                pb -= lr * buffer
            else:
                step *= lr
                pb -= step
        return (scalars[0] + 1,)


class Adagrad(FlatOptimizer):
    """Gradients divided by the root of the sum of all their squares so far.

        s = s + g²
        p = p - lr / (1 + (step - 1) · lr_decay) · g / (sqrt(s) + eps)

    g is the gradient (negated with `maximize`) + weight_decay · p.

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the learning rate, 1e-2 by default.
        lr_decay: how fast it falls with the steps, 0 by default.
        weight_decay: an L2 penalty, 0 by default.
        initial_accumulator_value: what s starts from, 0 by default.
        eps: added to the root, 1e-10 by default.
        maximize: go up instead of down.
        foreach, fused: PyTorch's implementations; kept in the group, without effect.
        differentiable: only False.

    Raises:
        ValueError: a rate is negative.

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    2011.

    >>> from mydl.tensor import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> Adagrad([w], initial_accumulator_value=0.5).state[w]["sum"]
    tensor([0.5000])
    """

    moment_state = ("sum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        name = type(self).__name__
        rates = check_rates(name, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)
        start = check_rates(name, initial_accumulator_value=initial_accumulator_value)
        how = check_options(name, foreach=foreach, fused=fused, differentiable=differentiable)
        super().__init__(params, {**rates, **start, "maximize": maximize, **how})
        for group in self.param_groups:
            self.begin_state(group)

    def initial_state(self, group: Group, name: str) -> float:
        """`initial_accumulator_value` for the sum, 0 for the step count."""
        return float(group["initial_accumulator_value"]) if name == "sum" else 0.0

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        xp = array_module(p)
        rate = float(group["lr"]) / (1 + float(scalars[0]) * float(group["lr_decay"]))
        for pb, gb, total in blocks(p, g, moments[0]):
            gradient = decayed_gradient(group, pb, gb)
            total += gradient * gradient
            denominator = xp.sqrt(total)
            denominator += float(group["eps"])
            step = xp.divide(gradient, denominator, out=denominator)
            step *= rate
            pb -= step
        return (scalars[0] + 1,)


class Adadelta(FlatOptimizer):
    """Steps as large as the steps before them, whatever the scale of the gradients.

        v = rho · v + (1 - rho) · g²
        d = sqrt(u + eps) / sqrt(v + eps) · g
        u = rho · u + (1 - rho) · d²
        p = p - lr · d

    g is the gradient (negated with `maximize`) + weight_decay · p.

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the learning rate, 1.0 by default.
        rho: how slowly both averages change, 0.9 by default.
        eps: added under both roots, 1e-6 by default.
        weight_decay: an L2 penalty, 0 by default.
        foreach: PyTorch's implementation; kept in the group, without effect.
        capturable, differentiable: only False.
        maximize: go up instead of down.

    Raises:
        ValueError: a rate is negative, or rho is above 1.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012.

    >>> from mydl.tensor import tensor
    >>> Adadelta([tensor([1.0], requires_grad=True)]).defaults["rho"]
    0.9
    """

    moment_state = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        name = type(self).__name__
        rates = check_rates(name, lr=lr, eps=eps, weight_decay=weight_decay)
        how = check_options(name, foreach=foreach, capturable=capturable, differentiable=differentiable)
        if not 0 <= rho <= 1:
            raise ValueError(f"{name}: invalid rho {rho}: it must be from 0 to 1")
        super().__init__(params, {**rates, "rho": rho, "maximize": maximize, **how})

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        xp = array_module(p)
        lr, rho, eps = (float(group[key]) for key in ("lr", "rho", "eps"))
        for pb, gb, v, u in blocks(p, g, *moments):
            gradient = decayed_gradient(group, pb, gb)
            v *= rho
            v += (1 - rho) * (gradient * gradient)
            step = xp.sqrt(u + eps)
            step /= xp.sqrt(v + eps)
            step *= gradient
            u *= rho
            u += (1 - rho) * (step * step)
            step *= lr
            pb -= step
        return (scalars[0] + 1,)


class Rprop(FlatOptimizer):
    """Resilient backpropagation: a step grows while its gradient keeps its sign, and shrinks where it turned.

        s = min(max(s · η, smallest), largest),   η = η₊ where g · previous g > 0, η₋ where it is < 0, else 1
        p = p - s · sign(g),                      with g = 0 where it turned

    For whole batches: the signs of small ones are mostly noise.

    Args:
        params: tensors, (name, tensor) pairs, or parameter groups; see `Optimizer`.
        lr: the first step, 1e-2 by default.
        etas: (η₋, η₊), (0.5, 1.2) by default.
        step_sizes: the smallest and the largest step, (1e-6, 50) by default.
        foreach: PyTorch's implementation; kept in the group, without effect.
        maximize: go up instead of down.
        capturable, differentiable: only False.

    Raises:
        ValueError: lr is negative, or not 0 < η₋ < 1 < η₊.

    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", 1993.

    >>> from mydl.tensor import tensor
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Rprop([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.7500], requires_grad=True)
    """

    moment_state = ("prev", "step_size")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        rates = check_rates("Rprop", lr=lr)
        how = check_options("Rprop", foreach=foreach, capturable=capturable, differentiable=differentiable)
        if not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Rprop: invalid etas {etas}: the first must be between 0 and 1, the second above 1")
        super().__init__(params, {**rates, "etas": etas, "step_sizes": step_sizes, "maximize": maximize, **how})

    def initial_state(self, group: Group, name: str) -> float:
        """`lr` for the sizes of the steps, 0 for the rest."""
        return float(group["lr"]) if name == "step_size" else 0.0

    def update(self, group: Group, p: Any, g: Any, moments: list, scalars: list, first: bool) -> Sequence[Any]:
        """One step; see the class."""
        xp = array_module(p)
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        for pb, gb, previous, size in blocks(p, g, *moments):
            gradient = -gb if group["maximize"] else gb
            turn = gradient * previous
            size *= xp.where(turn > 0, grow, xp.where(turn < 0, shrink, 1)).astype(size.dtype)
            xp.clip(size, least, most, out=size)
            previous[...] = xp.where(turn < 0, 0, gradient)
            pb -= size * xp.sign(previous)
        return (scalars[0] + 1,)
