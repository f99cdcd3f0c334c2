"""Normalisation: by the batch's statistics or by given ones, and by an example's own over some axes."""

from __future__ import annotations

import math
from typing import Any

from mydl import kernels
from mydl.autograd.op import Op
from mydl.ops.casting import wide
from mydl.ops.reduction import Sum

__all__ = ["BatchNorm", "BatchNormEval", "RootMeanSquare", "Standardize"]


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


class BatchNormEval(Op):
    """y = (x - mean) / sqrt(var + eps) w + b with the given statistics (C,), as one scale and shift a channel.

    With s = 1 / sqrt(var + eps): dx = g s w, dw = sum(g (x - mean) s), db = sum(g) over all axes but 1.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, *, mean: Any, var: Any, eps: float) -> Any:
        needs_x, needs_w, _ = ctx.needs_input_grad
        ctx.save(x if needs_w else None, weight if needs_x else None)
        ctx.input_shape = x.shape
        if needs_x or needs_w:  # from a copy: running statistics may move on, in place, before backward
            ctx.mean, ctx.inv_std = wide(mean.copy()), 1 / ctx.xp.sqrt(wide(var) + eps)
        return kernels.of(x).batch_norm_eval(x, weight, bias, mean, var, eps)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, weight = ctx.saved
        xp, grad = ctx.xp, wide(grad)
        ndim = len(ctx.input_shape)
        column, axes = (-1, *(1,) * (ndim - 2)), (0, *range(2, ndim))
        needs_x, needs_w, needs_b = ctx.needs_input_grad
        dx = dw = None
        if needs_x:
            scale = ctx.inv_std if weight is None else weight * ctx.inv_std
            dx = grad * xp.reshape(scale, column)
        if needs_w:
            z = (wide(x) - ctx.mean.reshape(column)) * ctx.inv_std.reshape(column)
            dw = xp.sum(grad * z, axis=axes)
        return dx, dw, (xp.sum(grad, axis=axes) if needs_b else None)


class Standardize(Op):
    """z = (x - mean(x)) / sqrt(var(x) + eps) over `axes`; dx = (g - mean(g) - z mean(g z)) / sqrt(var(x) + eps)."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axes: tuple, eps: float) -> Any:
        ctx.axes, ctx.eps = axes, eps
        ctx.save(x)
        z, ctx.inv_std = _standardize(ctx, wide(x))
        return z.astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        if ctx.recording:
            z, inv_std = _standardize(ctx, x)
        else:
            x, grad, inv_std = wide(x), wide(grad), ctx.inv_std
            z = (x - _mean(ctx, x)) * inv_std
        return inv_std * (grad - _mean(ctx, grad) - z * _mean(ctx, grad * z))


def _mean(ctx: Any, x: Any) -> Any:
    """The mean over the op's axes, kept as axes of length 1; 0 where there is nothing."""
    count = max(math.prod(x.shape[axis] for axis in ctx.axes), 1)
    return ctx.call(Sum, x, axis=ctx.axes, keepdims=True) / count


def _standardize(ctx: Any, x: Any) -> tuple[Any, Any]:
    """(z, 1 / sqrt(var + eps)) of an array, or of a tensor while backward is recorded."""
    centred = x - _mean(ctx, x)
    inv_std = (_mean(ctx, centred * centred) + ctx.eps) ** -0.5
    return centred * inv_std, inv_std


class RootMeanSquare(Op):
    """z = x / sqrt(mean(x**2) + eps) over `axes`; dx = (g - z mean(g z)) / sqrt(mean(x**2) + eps)."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axes: tuple, eps: float) -> Any:
        ctx.axes, ctx.eps = axes, eps
        ctx.save(x)
        y = wide(x)
        ctx.inv_rms = (_mean(ctx, y * y) + eps) ** -0.5
        return (y * ctx.inv_rms).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        if ctx.recording:
            inv_rms = (_mean(ctx, x * x) + ctx.eps) ** -0.5
        else:
            x, grad, inv_rms = wide(x), wide(grad), ctx.inv_rms
        z = x * inv_rms
        return inv_rms * (grad - z * _mean(ctx, grad * z))
