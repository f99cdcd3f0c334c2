"""Rprop: steps of a size of their own for each element, from the gradients' signs alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mydl.backend import array_module
from mydl.kernels.reference.optimizer import blocks
from mydl.optim.flat import FlatOptimizer
from mydl.optim.optimizer import Group, check_options, check_rates

__all__ = ["Rprop"]


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
