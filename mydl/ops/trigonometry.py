"""Trigonometric and hyperbolic functions and their inverses; tanh stands with the activations in elementwise.py."""

from __future__ import annotations

from typing import Any

from mydl.autograd.op import Op
from mydl.ops.casting import to_floating

__all__ = [
    "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cos", "Cosh", "Sin", "Sinh", "Tan",
]  # fmt: skip


class Sin(Op):
    """sin(x); d/dx = cos(x)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.sin(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad * ctx.xp.cos(x)


class Cos(Op):
    """cos(x); d/dx = -sin(x)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.cos(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return -grad * ctx.xp.sin(x)


class Tan(Op):
    """tan(x); d/dx = 1 + tan(x)**2."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = ctx.xp.tan(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad * (1 + y * y)


class Asin(Op):
    """The angle in [-pi/2, pi/2] whose sine is x; d/dx = 1 / sqrt(1 - x**2)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.arcsin(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / ctx.xp.sqrt(1 - x * x)


class Acos(Op):
    """The angle in [0, pi] whose cosine is x; d/dx = -1 / sqrt(1 - x**2)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.arccos(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return -grad / ctx.xp.sqrt(1 - x * x)


class Atan(Op):
    """The angle in [-pi/2, pi/2] whose tangent is x; d/dx = 1 / (1 + x**2)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.arctan(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / (1 + x * x)


class Sinh(Op):
    """(exp(x) - exp(-x)) / 2; d/dx = cosh(x)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.sinh(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad * ctx.call(Cosh, x)


class Cosh(Op):
    """(exp(x) + exp(-x)) / 2; d/dx = sinh(x)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.cosh(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad * ctx.call(Sinh, x)


class Asinh(Op):
    """The inverse of sinh; d/dx = 1 / sqrt(x**2 + 1)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.arcsinh(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / ctx.xp.sqrt(x * x + 1)


class Acosh(Op):
    """The inverse of cosh; d/dx = 1 / sqrt(x**2 - 1)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.arccosh(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / ctx.xp.sqrt(x * x - 1)


class Atanh(Op):
    """The inverse of tanh; d/dx = 1 / (1 - x**2)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.arctanh(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / (1 - x * x)
