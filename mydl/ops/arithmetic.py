"""Arithmetic on two operands: + - * / ** , remainders, maximum, minimum, atan2; and negation."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl import kernels
from mydl.autograd.op import Op
from mydl.errors import DtypeError
from mydl.kernels import LARGE
from mydl.ops.casting import numbers_only, promote, promote_floating, promote_numbers

__all__ = [
    "Add", "Atan2", "Div", "Fmod", "Hypot", "Maximum", "Minimum", "Mul", "Neg", "Pow", "Remainder", "RoundedDiv", "Sub",
]  # fmt: skip


class Add(Op):
    """x + y; d/dx = d/dy = 1."""

    prepare = promote

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any, *, out: Any = None) -> Any:
        if x.__class__ is y.__class__ and x.size >= LARGE:
            return kernels.of(x).add(x, y, out)
        return x + y if out is None else ctx.xp.add(x, y, out=out)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad, grad


def _promote_difference(inputs: tuple) -> tuple:
    """As `promote`; booleans are refused, two of them by NumPy."""
    promoted = promote(inputs)
    if promoted is not inputs and any(isinstance(v, bool) or getattr(v, "dtype", None) == np.bool_ for v in inputs):
        raise DtypeError("Sub: wanted numbers, got booleans; use ^ or logical_xor, or .long() first")
    return promoted


class Sub(Op):
    """x - y; d/dx = 1, d/dy = -1."""

    prepare = _promote_difference

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any, *, out: Any = None) -> Any:
        return x - y if out is None else ctx.xp.subtract(x, y, out=out)

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


def _power(x: Any, y: Any) -> Any:
    """x**y; cubes and fourth powers by multiplication: NumPy's power is some hundred times slower where x < 0."""
    if isinstance(y, (int, float)) and y in (3, 4):
        square = x * x
        return square * (x if y == 3 else square)
    return x**y


def _integer_power(xp: Any, x: Any, y: Any) -> Any:
    """x**y of integers; below y = 0, where NumPy refuses, its whole part: ±1 of ±1, else 0, as PyTorch has it."""
    power = x ** xp.maximum(y, 0)
    inverse = xp.where(x == -1, 1 - 2 * (y % 2), x == 1)
    return xp.where(y < 0, inverse.astype(power.dtype), power)


class Pow(Op):
    """x**y; d/dx = y x**(y-1), 0 where y = 0; d/dy = x**y ln x, 0 where x = 0 and y >= 0."""

    prepare = promote_numbers

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        # a Python number comes as one, or as a NumPy scalar; below 0 PyTorch refuses it too
        integers = hasattr(y, "dtype") and not isinstance(y, np.generic) and y.dtype.kind == "i"
        result = _integer_power(ctx.xp, x, y) if integers else _power(x, y)
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
                dx = grad * (y * _power(x, y - 1)) if y != 0 else xp.zeros_like(grad)
            else:
                dx = xp.where(y == 0, 0, grad * (y * x ** (y - 1)))
        if needs_y:
            base = xp.full_like(y, x) if isinstance(x, (int, float)) else x
            dy = xp.where((base == 0) & (y >= 0), 0, grad * (result * xp.log(base)))
        return dx, dy


class Neg(Op):
    """-x; d/dx = -1."""

    prepare = numbers_only

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


def _promote_divisible(inputs: tuple) -> tuple:
    """As `promote`; integers are not divided by zero, booleans not at all."""
    x, y = promote_numbers(inputs)
    divisor = getattr(y, "array", y)
    whole = getattr(divisor, "dtype", None) is not None and divisor.dtype.kind in "iub"
    if whole and 0 not in getattr(x, "shape", ()) and bool((divisor == 0).any()):
        raise RuntimeError("integers cannot be divided by 0")
    return x, y


class Remainder(Op):
    """x - y floor(x / y), with the sign of y; d/dx = 1, d/dy = -floor(x / y)."""

    prepare = _promote_divisible

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        if ctx.needs_input_grad[1]:
            ctx.save(ctx.xp.floor_divide(x, y))
        return ctx.xp.remainder(x, y)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad, (-grad * ctx.saved[0] if ctx.needs_input_grad[1] else None)


class Fmod(Op):
    """x - y trunc(x / y), with the sign of x; d/dx = 1, d/dy = -trunc(x / y)."""

    prepare = _promote_divisible

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        if ctx.needs_input_grad[1]:
            ctx.save(ctx.xp.trunc(x / y))
        return ctx.xp.fmod(x, y)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad, (-grad * ctx.saved[0] if ctx.needs_input_grad[1] else None)


class Atan2(Op):
    """The angle of the point (y, x), as atan2(y, x); d/dy = x / (x**2 + y**2), d/dx = -y / (x**2 + y**2); 0 at 0."""

    prepare = promote_floating

    @staticmethod
    def forward(ctx: Any, y: Any, x: Any) -> Any:
        ctx.save(y, x)
        return ctx.xp.arctan2(y, x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        y, x = ctx.saved
        square = x * x + y * y
        scaled = ctx.xp.where(square == 0, 0, grad / square)
        return scaled * x, -scaled * y


class Hypot(Op):
    """sqrt(x**2 + y**2), also where a square is beyond the dtype; d/dx = x / hypot(x, y), d/dy = y / hypot(x, y)."""

    prepare = promote_floating

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        length = ctx.xp.hypot(x, y)
        ctx.save(x, y, length)
        return length

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y, length = ctx.saved
        return grad * (x / length), grad * (y / length)


class RoundedDiv(Op):
    """x / y rounded down ("floor", "//") or towards zero ("trunc"), integers staying integers; d/dx = d/dy = 0.

    As the operator "//" it has no derivative: backward refuses, as PyTorch's does.
    """

    prepare = _promote_divisible

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any, *, mode: str) -> Any:
        ctx.mode = mode
        if mode != "trunc":
            return ctx.xp.floor_divide(x, y)
        kind = (x if hasattr(x, "dtype") else y).dtype.kind
        quotient = ctx.xp.asarray(x / y if kind == "f" else (x - ctx.xp.fmod(x, y)) // y)
        return ctx.xp.trunc(quotient)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        if ctx.mode == "//":
            raise RuntimeError("floor_divide: // has no derivative; use mydl.div(x, y, rounding_mode='floor')")
        zeros = ctx.xp.zeros_like(grad)
        return zeros, zeros
