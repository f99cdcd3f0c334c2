"""Arithmetic on two operands: + - * / ** , maximum, minimum, and negation."""

from __future__ import annotations

from typing import Any

from mydl.autograd.op import Op
from mydl.ops.casting import promote, promote_floating

__all__ = ["Add", "Div", "Maximum", "Minimum", "Mul", "Neg", "Pow", "Sub"]


class Add(Op):
    """x + y; d/dx = d/dy = 1."""

    prepare = promote

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        return x + y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad, grad


class Sub(Op):
    """x - y; d/dx = 1, d/dy = -1."""

    prepare = promote

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        return x - y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad, (-grad if ctx.needs_input_grad[1] else None)


class Mul(Op):
    """x y; d/dx = y, d/dy = x."""

    prepare = promote

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        needs_x, needs_y = ctx.needs_input_grad
        ctx.save(x if needs_y else None, y if needs_x else None)
        return x * y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        needs_x, needs_y = ctx.needs_input_grad
        return (grad * y if needs_x else None), (grad * x if needs_y else None)


class Div(Op):
    """x / y; d/dx = 1 / y, d/dy = -x / y**2."""

    prepare = promote_floating

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save(x if ctx.needs_input_grad[1] else None, y)
        return x / y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        needs_x, needs_y = ctx.needs_input_grad
        return (grad / y if needs_x else None), (-grad * ((x / y) / y) if needs_y else None)


class Pow(Op):
    """x**y; d/dx = y x**(y-1), 0 where y = 0; d/dy = x**y ln x, 0 where x = 0 and y >= 0."""

    prepare = promote

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        result = x**y
        ctx.save(x, y, result if ctx.needs_input_grad[1] else None)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y, result = ctx.saved
        xp = ctx.xp
        needs_x, needs_y = ctx.needs_input_grad
        dx = dy = None
        if needs_x:
            if isinstance(y, (int, float)):
                dx = grad * (y * x ** (y - 1)) if y != 0 else xp.zeros_like(grad)
            else:
                dx = xp.where(y == 0, 0, grad * (y * x ** (y - 1)))
        if needs_y:
            base = xp.full_like(y, x) if isinstance(x, (int, float)) else x
            dy = xp.where((base == 0) & (y >= 0), 0, grad * (result * xp.log(base)))
        return dx, dy


class Neg(Op):
    """-x; d/dx = -1."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return -x

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return -grad


class Maximum(Op):
    """max(x, y); the gradient goes to the larger, half to each where they are equal."""

    prepare = promote

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save(x, y)
        return ctx.xp.maximum(x, y)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        shared = ctx.xp.where(x == y, grad / 2, grad)
        return ctx.xp.where(x < y, 0, shared), ctx.xp.where(x > y, 0, shared)


class Minimum(Op):
    """min(x, y); the gradient goes to the smaller, half to each where they are equal."""

    prepare = promote

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save(x, y)
        return ctx.xp.minimum(x, y)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        shared = ctx.xp.where(x == y, grad / 2, grad)
        return ctx.xp.where(x > y, 0, shared), ctx.xp.where(x < y, 0, shared)
