"""Ops that draw: dropout."""

from __future__ import annotations

from typing import Any

from mydl import kernels
from mydl.autograd.op import Op

__all__ = ["Dropout"]


class Dropout(Op):
    """x / (1 - p) where a 16-bit draw reaches p 2**16, else 0; a gradient goes back through the same places.

    The draws are kept, two bytes an element, and not the mask. (Srivastava et al., "Dropout", 2014.)
    """

    @staticmethod
    def forward(ctx: Any, x: Any, *, draws: Any, threshold: int, scale: float) -> Any:
        ctx.options = {"draws": draws, "threshold": threshold, "scale": scale}
        return kernels.of(x).dropout(x, draws, threshold, scale)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Dropout, grad, **ctx.options)
