"""Functions of a tensor, element by element. Integers and booleans become floats where the result is no integer."""

from __future__ import annotations

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import tensor_of
from mydl.errors import ShapeError
from mydl.functions.arguments import (
    Number,
    Tensor,
    as_tensor_operand,
    require_floating,
    require_operands,
    require_tensor,
)
from mydl.ops import elementwise as ops
from mydl.ops.arithmetic import Pow, Sub
from mydl.ops.casting import Cast, result_dtype

__all__ = [
    "abs", "absolute", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "erf", "exp", "exp2", "expm1", "fix",
    "floor", "frac", "log", "log1p", "log2", "log10", "nan_to_num", "reciprocal", "relu", "round", "rsqrt", "sigmoid",
    "sign", "sqrt", "square", "tanh", "trunc", "where",
]  # fmt: skip


def exp(input: Tensor) -> Tensor:
    """e to the power of each element.

    >>> import mydl
    >>> exp(mydl.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return ops.Exp.apply(require_tensor(input, "exp"))


def exp2(input: Tensor) -> Tensor:
    """2 to the power of each element.

    >>> import mydl
    >>> exp2(mydl.tensor([0.0, 3.0]))
    tensor([1., 8.])
    """
    return ops.Exp2.apply(require_tensor(input, "exp2"))


def expm1(input: Tensor) -> Tensor:
    """exp(input) - 1, exact near 0.

    >>> import mydl
    >>> expm1(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """
    return ops.Expm1.apply(require_tensor(input, "expm1"))


def log(input: Tensor) -> Tensor:
    """The natural logarithm; -inf at 0, NaN below.

    >>> import mydl
    >>> log(mydl.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
    """
    return ops.Log.apply(require_tensor(input, "log"))


def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2; -inf at 0, NaN below.

    >>> import mydl
    >>> log2(mydl.tensor([1.0, 8.0]))
    tensor([0., 3.])
    """
    return ops.Log2.apply(require_tensor(input, "log2"))


def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10; -inf at 0, NaN below.

    >>> import mydl
    >>> log10(mydl.tensor([1.0, 50.0]))
    tensor([0.0000, 1.6990])
    """
    return ops.Log10.apply(require_tensor(input, "log10"))


def log1p(input: Tensor) -> Tensor:
    """ln(1 + input), exact near 0.

    >>> import mydl
    >>> log1p(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """
    return ops.Log1p.apply(require_tensor(input, "log1p"))


def sqrt(input: Tensor) -> Tensor:
    """The square root; NaN below 0.

    >>> import mydl
    >>> sqrt(mydl.tensor([1.0, 4.0]))
    tensor([1., 2.])
    """
    return ops.Sqrt.apply(require_tensor(input, "sqrt"))


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input).

    >>> import mydl
    >>> rsqrt(mydl.tensor([1.0, 4.0]))
    tensor([1.0000, 0.5000])
    """
    return ops.Rsqrt.apply(require_tensor(input, "rsqrt"))


def reciprocal(input: Tensor) -> Tensor:
    """1 / input.

    >>> import mydl
    >>> reciprocal(mydl.tensor([1.0, 4.0]))
    tensor([1.0000, 0.2500])
    """
    return ops.Reciprocal.apply(require_tensor(input, "reciprocal"))


def square(input: Tensor) -> Tensor:
    """input * input.

    >>> import mydl
    >>> square(mydl.tensor([1.0, -3.0]))
    tensor([1., 9.])
    """
    return Pow.apply(require_tensor(input, "square"), 2)


def abs(input: Tensor) -> Tensor:
    """The absolute value; its derivative at 0 is taken to be 0.

    >>> import mydl
    >>> abs(mydl.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return ops.Abs.apply(require_tensor(input, "abs"))


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent.

    >>> import mydl
    >>> tanh(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return ops.Tanh.apply(require_tensor(input, "tanh"))


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-input)).

    >>> import mydl
    >>> sigmoid(mydl.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """
    return ops.Sigmoid.apply(require_tensor(input, "sigmoid"))


def relu(input: Tensor) -> Tensor:
    """max(input, 0).

    >>> import mydl
    >>> relu(mydl.tensor([1.0, -2.0]))
    tensor([1., 0.])
    """
    return ops.ReLU.apply(require_tensor(input, "relu"))


def erf(input: Tensor) -> Tensor:
    """The error function.

    >>> import mydl
    >>> erf(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return ops.Erf.apply(require_tensor(input, "erf"))


def _stepwise(input: Tensor, function: str, name: str) -> Tensor:
    input = require_tensor(input, name)
    if (input.dtype.kind in "iu" and function != "sign") or (input.dtype == bool and function == "sign"):
        return input.clone()  # integers are whole already, and booleans have no sign
    return ops.Stepwise.apply(input, function=function)


def floor(input: Tensor) -> Tensor:
    """The largest whole number that is not above each element; gradient 0.

    >>> import mydl
    >>> floor(mydl.tensor([-1.5, 1.5]))
    tensor([-2.,  1.])
    """
    return _stepwise(input, "floor", "floor")


def ceil(input: Tensor) -> Tensor:
    """The smallest whole number that is not below each element; gradient 0.

    >>> import mydl
    >>> ceil(mydl.tensor([-1.5, 1.5]))
    tensor([-1.,  2.])
    """
    return _stepwise(input, "ceil", "ceil")


def trunc(input: Tensor) -> Tensor:
    """Each element without its fraction; gradient 0.

    >>> import mydl
    >>> trunc(mydl.tensor([-1.5, 1.5]))
    tensor([-1.,  1.])
    """
    return _stepwise(input, "trunc", "trunc")


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """Each element to the nearest number of that many decimals, halves to the even one; gradient 0.

    >>> import mydl
    >>> round(mydl.tensor([0.5, 1.5, -1.2]))
    tensor([ 0.,  2., -1.])
    """
    if decimals == 0:
        return _stepwise(input, "rint", "round")
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    if decimals > 0:
        return _stepwise(input * scale, "rint", "round") / scale
    return _stepwise(input / scale, "rint", "round") * scale


def frac(input: Tensor) -> Tensor:
    """The fraction of each element, with its sign.

    >>> import mydl
    >>> frac(mydl.tensor([1.25, -1.25]))
    tensor([ 0.2500, -0.2500])
    """
    input = require_floating(input, "frac")
    return Sub.apply(input, trunc(input))


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1 by the sign; gradient 0.

    >>> import mydl
    >>> sign(mydl.tensor([-1.5, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    return _stepwise(input, "sign", "sign")


def clamp(input: Tensor, min: Tensor | Number | None = None, max: Tensor | Number | None = None) -> Tensor:
    """input held within [min, max]; either bound may be None, a number or a tensor.

    The gradient passes where input is within the bounds, themselves included; a tensor bound gets it where it
    binds. Where min is above max, the result is max.

    >>> import mydl
    >>> clamp(mydl.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    input = require_tensor(input, "clamp")
    bounds = [bound for bound in (min, max) if bound is not None]
    for bound in bounds:
        require_operands(input, bound, "clamp")
    if not bounds:
        raise ShapeError("clamp: wanted at least one of min and max")
    if any(isinstance(bound, Variable) for bound in bounds):
        if min is not None:
            low = as_tensor_operand(min, input)
            input = ops.Where.apply((input < low) | (low != low), low, input)
        if max is not None:
            high = as_tensor_operand(max, input)
            input = ops.Where.apply((input > high) | (high != high), high, input)
        return input
    dtype = result_dtype(input, *bounds)
    if dtype != input.dtype:
        input = Cast.apply(input, dtype=dtype)
    return ops.Clamp.apply(input, low=min, high=max)


def clamp_min(input: Tensor, min: Tensor | Number) -> Tensor:
    """input, and min where it is below.

    >>> import mydl
    >>> clamp_min(mydl.tensor([-2.0, 2.0]), 0)
    tensor([0., 2.])
    """
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Tensor | Number) -> Tensor:
    """input, and max where it is above.

    >>> import mydl
    >>> clamp_max(mydl.tensor([-2.0, 2.0]), 0)
    tensor([-2.,  0.])
    """
    return clamp(input, max=max)


def nan_to_num(
    input: Tensor, nan: float | None = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """input with NaN and the infinities replaced, the infinities by the dtype's largest numbers by default.

    >>> import mydl
    >>> nan_to_num(mydl.tensor([float("nan"), 1.0, float("inf")]), posinf=9.0)
    tensor([0., 1., 9.])
    """
    input = require_tensor(input, "nan_to_num")
    if input.dtype.kind != "f":
        return input.clone()
    limits = np.finfo(input.dtype)
    array = input.array
    largest = float(limits.max) if posinf is None else posinf
    smallest = float(limits.min) if neginf is None else neginf
    result = ops.Where.apply(array != array, nan or 0.0, input)
    result = ops.Where.apply(array == np.inf, largest, result)
    return ops.Where.apply(array == -np.inf, smallest, result)


def where(condition: Tensor, input: Tensor | Number | None = None, other: Tensor | Number | None = None) -> Tensor:
    """input where the condition holds, else other; with the condition alone, the indices where it holds.

    >>> import mydl
    >>> where(mydl.tensor([True, False]), mydl.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
    condition = require_tensor(condition, "where")
    if input is None and other is None:
        return tuple(tensor_of(index) for index in condition.xp.atleast_1d(condition.array).nonzero())
    if input is None or other is None:
        raise TypeError("where: wanted two choices beside the condition, or none")
    for choice in (input, other):
        require_operands(condition, choice, "where")
    return ops.Where.apply(condition, input, other)


absolute, clip, fix = abs, clamp, trunc
