"""Activation functions that are more than one elementary function."""

from __future__ import annotations

import math
from typing import Any

from mydl.autograd.op import Op
from mydl.ops.casting import wide
from mydl.ops.elementwise import Erf, Sigmoid

__all__ = ["ELU", "GELU", "GELUTanh", "HardTanh", "Hardswish", "LeakyReLU", "PReLU", "SiLU", "Step"]


class Step(Op):
    """1 where x >= 0, else 0 (Heaviside's function); its gradient is 0 everywhere."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return (x >= 0).astype(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.xp.zeros_like(grad)


class LeakyReLU(Op):
    """x where x > 0, else slope x."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, slope: float) -> Any:
        ctx.save(x)
        ctx.slope = slope
        return ctx.xp.where(x > 0, x, x * slope)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return ctx.xp.where(x > 0, grad, grad * ctx.slope)


class PReLU(Op):
    """x where x > 0, else w x, with w broadcast against x; dw = g x where x <= 0."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any) -> Any:
        ctx.save(x, w)
        return ctx.xp.where(x > 0, x, x * w)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, w = ctx.saved
        where = ctx.xp.where
        needs_x, needs_w = ctx.needs_input_grad
        dx = where(x > 0, grad, grad * w) if needs_x else None
        return dx, (where(x > 0, 0, grad * x) if needs_w else None)


class ELU(Op):
    """scale x where x > 0, else scale alpha (exp(x) - 1); d/dx = scale, or scale alpha exp(x)."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, alpha: float, scale: float = 1.0) -> Any:
        ctx.save(x)
        ctx.alpha, ctx.scale = alpha, scale
        return ctx.xp.where(x > 0, x * scale, ctx.xp.expm1(x) * (alpha * scale))

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        xp = ctx.xp
        # the positive side is taken out before exp: where it overflowed, 0 times inf would spoil a second derivative
        slope = xp.exp(xp.where(x < 0, x, 0)) * (ctx.alpha * ctx.scale)
        return xp.where(x <= 0, grad * slope, grad * ctx.scale)


class GELU(Op):
    """x P(x) with P the normal distribution's cumulative function; d/dx = P(x) + x p(x), p its density."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return x * _normal_cdf(ctx, x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        density = ctx.xp.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
        return grad * (_normal_cdf(ctx, x) + x * density)


def _normal_cdf(ctx: Any, x: Any) -> Any:
    return (ctx.call(Erf, x * math.sqrt(0.5)) + 1) * 0.5


class GELUTanh(Op):
    """x (1 + tanh(u)) / 2 with u = sqrt(2/pi) (x + 0.044715 x**3), which is close to GELU.

    d/dx = (1 + tanh(u)) / 2 + x (1 - tanh(u)**2) / 2 du/dx.
    """

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        z = wide(x)
        return (z * (ctx.xp.tanh(_gelu_inner(z)) + 1) * 0.5).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        x = wide(x)
        t = ctx.xp.tanh(_gelu_inner(x))
        slope = (x * x * (3 * 0.044715) + 1) * math.sqrt(2 / math.pi)
        return grad * ((t + 1) * 0.5 + x * (1 - t * t) * slope * 0.5)


def _gelu_inner(x: Any) -> Any:
    return (x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)


class SiLU(Op):
    """x s(x) with s the sigmoid; d/dx = s(x) (1 + x (1 - s(x)))."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        z = wide(x)
        return (z * ctx.call(Sigmoid, z)).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        x = wide(x)
        s = ctx.call(Sigmoid, x)
        return grad * (s * (x * (1 - s) + 1))


class HardTanh(Op):
    """x held within [low, high]; d/dx = 1 strictly within and for NaN, else 0 (Clamp's is 1 at the bounds too)."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, low: float, high: float) -> Any:
        ctx.save(x)
        ctx.low, ctx.high = low, high
        return ctx.xp.minimum(ctx.xp.maximum(x, low), high)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return ctx.xp.where((x <= ctx.low) | (x >= ctx.high), 0, grad)


class Hardswish(Op):
    """x min(max(x + 3, 0), 6) / 6; d/dx = 0 up to -3, 1 from 3, and x / 3 + 1/2 between."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return x * ctx.xp.minimum(ctx.xp.maximum(x + 3, 0), 6) / 6

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        where = ctx.xp.where
        return where(x <= -3, 0, where(x < 3, grad * (x / 3 + 0.5), grad))
