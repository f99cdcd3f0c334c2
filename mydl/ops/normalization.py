"""Batch normalisation from the batch's own statistics, as one op with a fused backward."""

from __future__ import annotations

from typing import Any

from mydl import kernels
from mydl.autograd.op import Op

__all__ = ["BatchNorm"]


class BatchNorm(Op):
    """(y, mean, var) with y = (x - mean) / sqrt(var + eps) w + b, over all axes but 1; var is the biased one.

    With z = (x - mean) / sqrt(var + eps), m elements a channel and g = dL/dy:
    dx = w / sqrt(var + eps) (g - mean(g) - z mean(g z)), dw = sum(g z), db = sum(g).
    (Ioffe and Szegedy, "Batch Normalization", 2015.) `mean` and `var` are for running statistics and carry no
    gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, *, eps: float) -> Any:
        y, mean, var, inv_std = kernels.of(x).batch_norm(x, weight, bias, eps)
        ctx.save(x, weight)
        ctx.eps, ctx.mean, ctx.inv_std = eps, mean, inv_std
        return y, mean, var

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        grad, d_mean, d_var = grads
        if d_mean is not None or d_var is not None:
            raise RuntimeError("BatchNorm: the batch statistics carry no gradient; detach them")
        x, weight = ctx.saved
        if ctx.recording:
            return _composite_backward(ctx, grad, x, weight)
        dx, dw, db = kernels.of(x).batch_norm_backward(grad, x, weight, ctx.mean, ctx.inv_std)
        _, needs_w, needs_b = ctx.needs_input_grad
        return dx, (dw if needs_w else None), (db if needs_b else None)


def _composite_backward(ctx: Any, grad: Any, x: Any, weight: Any) -> Any:
    """The same formula in recorded operations, from x itself, so that second derivatives flow through it."""
    xp = ctx.xp
    axes = (0, *range(2, len(x.shape)))
    column = (1, -1, *(1,) * (len(x.shape) - 2))
    count = x.shape[0]
    for n in x.shape[2:]:
        count *= n

    def mean(value: Any) -> Any:
        return xp.sum(value, axis=axes, keepdims=True) / count

    centred = x - mean(x)
    scale = (mean(centred * centred) + ctx.eps) ** -0.5
    z = centred * scale
    g = grad if weight is None else grad * xp.reshape(weight, column)
    dx = scale * (g - mean(g) - z * mean(g * z))
    _, needs_w, needs_b = ctx.needs_input_grad
    dw = xp.sum(grad * z, axis=axes) if needs_w else None
    return dx, dw, (xp.sum(grad, axis=axes) if needs_b else None)
