"""Arithmetic between tensors and numbers, with broadcasting and PyTorch's type promotion."""

from __future__ import annotations

from mydl.autograd.engine import Variable
from mydl.autograd.op import describe
from mydl.functions.arguments import Number, Tensor, require_operands, require_tensor
from mydl.ops import arithmetic as ops
from mydl.ops.casting import result_dtype
from mydl.ops.elementwise import Where

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
    require_operands(input, other, "add")
    return ops.Add.apply(input, _scaled(other, alpha, input))


def sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """input - alpha * other.

    >>> import mydl
    >>> sub(mydl.tensor([1.0, 2.0]), 3)
    tensor([-2., -1.])
    """
    require_operands(input, other, "sub")
    return ops.Sub.apply(input, _scaled(other, alpha, input))


def rsub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """other - alpha * input.

    >>> import mydl
    >>> rsub(mydl.tensor([1.0, 2.0]), 3)
    tensor([2., 1.])
    """
    return ops.Sub.apply(other, _scaled(require_tensor(input, "rsub"), alpha, other))


def _scaled(value: Tensor | Number, alpha: Number, beside: Tensor | Number) -> Tensor | Number:
    if alpha.__class__ is int and alpha == 1:
        return value
    if isinstance(alpha, Variable):
        raise TypeError("alpha: wanted a number, got a tensor")
    dtype = result_dtype(value, beside)
    if (isinstance(alpha, float) and dtype.kind in "biu") or (isinstance(alpha, bool) and dtype.kind != "b"):
        raise RuntimeError(f"alpha: wanted a number that {dtype} can hold, got {alpha}")
    if dtype.kind == "b":
        alpha = bool(alpha)
    if isinstance(value, Variable):
        return value.to(dtype) * alpha  # the product must fit the result, not what was given
    return value * alpha if dtype.kind != "b" else value and alpha


def mul(input: Tensor, other: Tensor | Number) -> Tensor:
    """input * other.

    >>> import mydl
    >>> mul(mydl.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    require_operands(input, other, "mul")
    return ops.Mul.apply(input, other)


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
    require_operands(input, other, "div")
    if rounding_mode is None:
        return ops.Div.apply(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(f"div: wanted 'floor', 'trunc' or None as rounding_mode, got {rounding_mode!r}")
    return ops.RoundedDiv.apply(input, other, mode=rounding_mode)


def floor_divide(input: Tensor, other: Tensor | Number) -> Tensor:
    """input / other rounded down; backward through it raises RuntimeError (see `div` for a gradient of 0).

    >>> import mydl
    >>> floor_divide(mydl.tensor([-3, 3]), 2)
    tensor([-2,  1])
    """
    require_operands(input, other, "floor_divide")
    return ops.RoundedDiv.apply(input, other, mode="//")


def remainder(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input - other * floor(input / other), which has the sign of other, as Python's %.

    >>> import mydl
    >>> remainder(mydl.tensor([-3.0, 3.0]), 2)
    tensor([1., 1.])
    """
    require_operands(input, other, "remainder")
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
    require_operands(input, exponent, "pow")
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
    return add(input, mul(require_tensor(tensor1, "addcmul"), require_tensor(tensor2, "addcmul")), alpha=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """input + value * tensor1 / tensor2.

    >>> import mydl
    >>> addcdiv(mydl.ones(2), mydl.ones(2), mydl.ones(2), value=2)
    tensor([3., 3.])
    """
    return add(input, div(require_tensor(tensor1, "addcdiv"), require_tensor(tensor2, "addcdiv")), alpha=value)


def lerp(input: Tensor, end: Tensor, weight: Tensor | Number) -> Tensor:
    """input + weight * (end - input), computed from `end` where |weight| >= 1/2, so that weight 1 gives `end` exactly.

    >>> import mydl
    >>> lerp(mydl.zeros(2), mydl.ones(2), 0.25)
    tensor([0.2500, 0.2500])
    """
    input, end = require_tensor(input, "lerp"), require_tensor(end, "lerp")
    if input.dtype != end.dtype or (isinstance(weight, Variable) and weight.dtype != input.dtype):
        raise RuntimeError(f"lerp: wanted one dtype, got {describe(input)}, {describe(end)} and {describe(weight)}")
    way = sub(end, input)
    if not isinstance(weight, Variable):
        if abs(weight) < 0.5:
            return input + way * weight
        return end - way * float(1 - input.dtype.type(weight))
    return Where.apply(abs(weight.array) < 0.5, input + way * weight, end - way * sub(1, weight))


subtract, multiply, divide, negative = sub, mul, div, neg


def true_divide(input: Tensor, other: Tensor | Number) -> Tensor:
    """input / other, as `div` without rounding.

    >>> import mydl
    >>> true_divide(mydl.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    return div(input, other)
