"""Arithmetic between tensors and numbers, with broadcasting and PyTorch's type promotion."""

from __future__ import annotations

from mydl.autograd.engine import Variable
from mydl.functions.arguments import Number, Tensor, require_tensor
from mydl.ops import arithmetic as ops

__all__ = [
    "add", "addcdiv", "addcmul", "div", "divide", "floor_divide", "fmod", "lerp", "maximum", "minimum", "mul",
    "multiply", "neg", "negative", "pow", "remainder", "rsub", "sub", "subtract", "true_divide",
]  # fmt: skip


def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input + alpha * other.

    >>> import mydl
    >>> add(mydl.tensor([1.0, 2.0]), 3)
    tensor([4., 5.])
    """
    return ops.Add.apply(require_tensor(input, "add"), _scaled(other, alpha))


def sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input - alpha * other.

    >>> import mydl
    >>> sub(mydl.tensor([1.0, 2.0]), 3)
    tensor([-2., -1.])
    """
    return ops.Sub.apply(require_tensor(input, "sub"), _scaled(other, alpha))


def rsub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """other - alpha * input.

    >>> import mydl
    >>> rsub(mydl.tensor([1.0, 2.0]), 3)
    tensor([2., 1.])
    """
    return ops.Sub.apply(other, _scaled(require_tensor(input, "rsub"), alpha))


def _scaled(value: Tensor | Number, alpha: Number) -> Tensor | Number:
    if alpha == 1:
        return value
    if isinstance(value, Variable) and value.dtype.kind in "biu" and isinstance(alpha, float):
        raise RuntimeError(f"alpha: wanted an integer beside a tensor of {value.dtype}, got {alpha}")
    return value * alpha


def mul(input: Tensor, other: Tensor | Number) -> Tensor:
    """input * other.

    >>> import mydl
    >>> mul(mydl.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return ops.Mul.apply(require_tensor(input, "mul"), other)


def div(input: Tensor, other: Tensor | Number, *, rounding_mode: str | None = None) -> Tensor:
    """input / other; integers become the default floating dtype.

    With rounding_mode "floor" or "trunc" the quotient is rounded down or towards zero, integers stay integers, and
    the gradient is 0.

    >>> import mydl
    >>> div(mydl.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    >>> div(mydl.tensor([-3, 3]), 2, rounding_mode="trunc")
    tensor([-1,  1])
    """
    input = require_tensor(input, "div")
    if rounding_mode is None:
        return ops.Div.apply(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(f"div: wanted 'floor', 'trunc' or None as rounding_mode, got {rounding_mode!r}")
    return ops.RoundedDiv.apply(input, other, mode=rounding_mode)


def floor_divide(input: Tensor, other: Tensor | Number) -> Tensor:
    """input / other rounded down; no gradient flows through it.

    >>> import mydl
    >>> floor_divide(mydl.tensor([-3, 3]), 2)
    tensor([-2,  1])
    """
    return div(require_tensor(input, "floor_divide"), other, rounding_mode="floor").detach()


def remainder(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input - other * floor(input / other), which has the sign of other, as Python's %.

    >>> import mydl
    >>> remainder(mydl.tensor([-3.0, 3.0]), 2)
    tensor([1., 1.])
    """
    return ops.Remainder.apply(input, other)


def fmod(input: Tensor, other: Tensor | Number) -> Tensor:
    """input - other * trunc(input / other), which has the sign of input, as C's fmod.

    >>> import mydl
    >>> fmod(mydl.tensor([-3.0, 3.0]), 2)
    tensor([-1.,  1.])
    """
    return ops.Fmod.apply(require_tensor(input, "fmod"), other)


def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """input ** exponent; one of the two may be a number.

    >>> import mydl
    >>> pow(mydl.tensor([1.0, 2.0]), 2)
    tensor([1., 4.])
    """
    return ops.Pow.apply(input, exponent)


def neg(input: Tensor) -> Tensor:
    """-input.

    >>> import mydl
    >>> neg(mydl.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return ops.Neg.apply(require_tensor(input, "neg"))


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of each pair; NaN where either is NaN. Equal elements share the gradient.

    >>> import mydl
    >>> maximum(mydl.tensor([1.0, 4.0]), mydl.tensor([3.0, 2.0]))
    tensor([3., 4.])
    """
    return ops.Maximum.apply(require_tensor(input, "maximum"), require_tensor(other, "maximum"))


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of each pair; NaN where either is NaN. Equal elements share the gradient.

    >>> import mydl
    >>> minimum(mydl.tensor([1.0, 4.0]), mydl.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return ops.Minimum.apply(require_tensor(input, "minimum"), require_tensor(other, "minimum"))


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 * tensor2.

    >>> import mydl
    >>> addcmul(mydl.ones(2), mydl.ones(2), mydl.ones(2), value=2)
    tensor([3., 3.])
    """
    return add(input, mul(tensor1, tensor2), alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 / tensor2.

    >>> import mydl
    >>> addcdiv(mydl.ones(2), mydl.ones(2), mydl.ones(2), value=2)
    tensor([3., 3.])
    """
    return add(input, div(tensor1, tensor2), alpha=value)


def lerp(input: Tensor, end: Tensor, weight: Tensor | Number) -> Tensor:
    """input + weight * (end - input).

    >>> import mydl
    >>> lerp(mydl.zeros(2), mydl.ones(2), 0.25)
    tensor([0.2500, 0.2500])
    """
    input = require_tensor(input, "lerp")
    return input + sub(require_tensor(end, "lerp"), input) * weight


subtract, multiply, divide, negative = sub, mul, div, neg


def true_divide(input: Tensor, other: Tensor | Number) -> Tensor:
    """input / other, as `div` without rounding.

    >>> import mydl
    >>> true_divide(mydl.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    return div(input, other)
