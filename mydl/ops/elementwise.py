"""Functions of one tensor, element by element, and the choice between two."""

from __future__ import annotations

import math
from typing import Any

from mydl import kernels
from mydl.autograd.op import Op
from mydl.ops.casting import cast_all, result_dtype, to_floating

__all__ = [
    "Abs",
    "Clamp",
    "Clone",
    "Cos",
    "Erf",
    "Exp",
    "Expm1",
    "Log",
    "Log1p",
    "ReLU",
    "Sigmoid",
    "Sin",
    "Softplus",
    "Sqrt",
    "Tan",
    "Tanh",
    "Where",
]


class Exp(Op):
    """exp(x); d/dx = exp(x)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = ctx.xp.exp(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad * y


class Expm1(Op):
    """exp(x) - 1, exact near 0; d/dx = exp(x)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = ctx.xp.expm1(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad * (y + 1)


class Log(Op):
    """ln x; d/dx = 1 / x."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.log(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / x


class Log1p(Op):
    """ln(1 + x), exact near 0; d/dx = 1 / (1 + x)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.log1p(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / (x + 1)


class Sqrt(Op):
    """The square root; d/dx = 1 / (2 sqrt(x))."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = ctx.xp.sqrt(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad / (2 * y)


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


class Tanh(Op):
    """tanh(x); d/dx = 1 - tanh(x)**2."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = ctx.xp.tanh(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad * (1 - y * y)


class Sigmoid(Op):
    """s(x) = 1 / (1 + exp(-x)); d/dx = s (1 - s). Where exp(-x) overflows, 1 / inf is the right 0."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = 1 / (1 + ctx.xp.exp(-x))
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad * (1 - y) * y


class Softplus(Op):
    """ln(1 + exp(beta x)) / beta, and x itself where beta x > threshold; d/dx = sigmoid(beta x), or 1."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any, *, beta: float, threshold: float) -> Any:
        ctx.save(x)
        ctx.beta, ctx.threshold = beta, threshold
        scaled = x * beta
        # logaddexp(0, z) is max(z, 0) + log1p(exp(-|z|)): it neither overflows nor loses the small end.
        return ctx.xp.where(scaled > threshold, x, ctx.xp.logaddexp(scaled, 0).astype(x.dtype) / beta)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        scaled = x * ctx.beta
        slope = 1 / (1 + ctx.xp.exp(-scaled))
        return ctx.xp.where(scaled > ctx.threshold, grad, grad * slope)


class Erf(Op):
    """The error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x; d/dx = 2/sqrt(pi) exp(-x**2)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return kernels.of(x).erf(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad * (ctx.xp.exp(-(x * x)) * (2 / math.sqrt(math.pi)))


class Abs(Op):
    """|x|; d/dx = sign(x), 0 at 0."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.abs(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad * ctx.xp.sign(x)


class ReLU(Op):
    """max(x, 0); d/dx = 1 where x > 0, else 0. It keeps its output alone."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = kernels.of(x).relu(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        if ctx.recording:
            return grad * (y > 0)
        return kernels.of(y).relu_backward(grad, y)


class Clamp(Op):
    """x held within [low, high]; d/dx = 1 within, bounds included, else 0. A bound that is None does not bind."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, low: Any, high: Any) -> Any:
        ctx.save(x)
        ctx.low, ctx.high = low, high
        y = x
        if low is not None:
            y = ctx.xp.maximum(y, low)
        if high is not None:
            y = ctx.xp.minimum(y, high)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        if ctx.low is not None:
            grad = ctx.xp.where(x < ctx.low, 0, grad)
        if ctx.high is not None:
            grad = ctx.xp.where(x > ctx.high, 0, grad)
        return grad


class Clone(Op):
    """A copy of x; d/dx = 1."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.copy()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad


def _promote_choices(inputs: tuple) -> tuple:
    condition, x, y = inputs
    if condition.dtype != bool:
        raise TypeError(f"Where: wanted a boolean condition, got {condition.dtype}")
    return (condition, *cast_all((x, y), result_dtype(x, y)))


class Where(Op):
    """x where the condition holds, else y; each gets the gradient where it was chosen."""

    prepare = _promote_choices

    @staticmethod
    def forward(ctx: Any, condition: Any, x: Any, y: Any) -> Any:
        ctx.save(condition)
        return ctx.xp.where(condition, x, y)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (condition,) = ctx.saved
        where = ctx.xp.where
        _, needs_x, needs_y = ctx.needs_input_grad
        return None, (where(condition, grad, 0) if needs_x else None), (where(condition, 0, grad) if needs_y else None)
