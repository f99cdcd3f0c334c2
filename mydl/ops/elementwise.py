"""Functions of one tensor, element by element, and the choice between two."""

from __future__ import annotations

import math
from typing import Any

from mydl import kernels
from mydl.autograd.op import Op
from mydl.errors import DtypeError
from mydl.ops.casting import cast_all, numbers_only, result_dtype, to_floating, wide

__all__ = [
    "Abs", "Clamp", "Clone", "Erf", "Exp", "Exp2", "Expm1", "Log", "Log1p", "Log2", "Log10", "ReLU", "Reciprocal",
    "Rsqrt", "Sigmoid", "Softplus", "Sqrt", "Stepwise", "Tanh", "Where", "signs",
]  # fmt: skip


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


class Exp2(Op):
    """2**x; d/dx = ln 2 2**x."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = ctx.xp.exp2(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad * (y * math.log(2))


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


class Log2(Op):
    """The logarithm to base 2; d/dx = 1 / (x ln 2)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.log2(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / (x * math.log(2))


class Log10(Op):
    """The logarithm to base 10; d/dx = 1 / (x ln 10)."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.log10(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / (x * math.log(10))


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


class Rsqrt(Op):
    """1 / sqrt(x); d/dx = -(1 / sqrt(x))**3 / 2."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = 1 / ctx.xp.sqrt(x)
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return grad * (y * y * y * -0.5)


class Reciprocal(Op):
    """1 / x; d/dx = -1 / x**2."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = 1 / x
        ctx.save(y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        return -grad * (y * y)


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
    """s(x) = 1 / (1 + exp(-x)); d/dx = s (1 - s). Where exp(-x) overflows, 1 / inf is the right 0.

    float16 is computed in float32, since its own exp(-x) overflows where s(x) is not 0 yet.
    """

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = (1 / (1 + ctx.xp.exp(-wide(x)))).astype(x.dtype, copy=False)
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
        return ctx.xp.where(scaled > ctx.threshold, grad, grad * ctx.call(Sigmoid, scaled))


class Erf(Op):
    """The error function, 2/sqrt(pi) times the integral of exp(-t**2) from 0 to x; d/dx = 2/sqrt(pi) exp(-x**2).

    Its complement is 1 - erf(x), exact also where erf(x) is nearly 1.
    """

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any, *, complement: bool = False) -> Any:
        ctx.save(x)
        ctx.factor = (-2 if complement else 2) / math.sqrt(math.pi)
        return kernels.of(x).erfc(x) if complement else kernels.of(x).erf(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad * (ctx.xp.exp(-(x * x)) * ctx.factor)


class Abs(Op):
    """|x|; d/dx = sign(x), 0 at 0 and where x is NaN."""

    prepare = numbers_only

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.abs(x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad * signs(x)


def signs(x: Any) -> Any:
    """-1, 0 or 1 by the sign of each element, 0 for NaN: an array, a constant in second derivatives too."""
    array = getattr(x, "array", x)
    return (array > 0).astype(array.dtype) - (array < 0).astype(array.dtype)


class Stepwise(Op):
    """A function that is constant between steps, named as NumPy does: floor, ceil, rint, trunc, sign; d/dx = 0."""

    prepare = numbers_only

    @staticmethod
    def forward(ctx: Any, x: Any, *, function: str) -> Any:
        y = getattr(ctx.xp, function)(x)
        # The sign of NaN is 0 in PyTorch, NaN in NumPy.
        return ctx.xp.where(x != x, 0, y) if function == "sign" and x.dtype.kind == "f" else y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.xp.zeros_like(grad)


class ReLU(Op):
    """max(x, 0); d/dx = 1 where x > 0, else 0. It keeps its output alone."""

    prepare = numbers_only

    @staticmethod
    def forward(ctx: Any, x: Any, *, out: Any = None) -> Any:
        y = kernels.of(x).relu(x, out)
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
            grad = ctx.xp.where(x >= ctx.low, grad, 0)
        if ctx.high is not None:
            grad = ctx.xp.where(x <= ctx.high, grad, 0)
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
    if condition.dtype == "uint8":  # PyTorch's masks of old
        condition = condition.astype(bool)
    elif condition.dtype != bool:
        raise DtypeError(f"Where: wanted a boolean condition, got {condition.dtype}")
    dtype = result_dtype(x, y)
    # NumPy would read a Python float as float64 where both choices are numbers.
    return (condition, *(v if hasattr(v, "shape") else dtype.type(v) for v in cast_all((x, y), dtype)))


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
        return (
            None,
            (where(condition, grad, 0) if needs_x else None),
            (where(condition, 0, grad) if needs_y else None),
        )
