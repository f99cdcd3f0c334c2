"""Functions of a tensor, element by element."""

from __future__ import annotations

from typing import Any

from mydl.autograd.engine import Variable
from mydl.autograd.op import tensor_of
from mydl.functions.arguments import as_tensor_operand, require_tensor
from mydl.ops import elementwise as ops

__all__ = ["abs", "clamp", "exp", "log", "relu", "sigmoid", "sqrt", "tanh", "where"]


def exp(input: Any) -> Any:
    """e to the power of each element.

    >>> import mydl
    >>> exp(mydl.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return ops.Exp.apply(require_tensor(input, "exp"))


def log(input: Any) -> Any:
    """The natural logarithm; -inf at 0, NaN below.

    >>> import mydl
    >>> log(mydl.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
    """
    return ops.Log.apply(require_tensor(input, "log"))


def sqrt(input: Any) -> Any:
    """The square root; NaN below 0.

    >>> import mydl
    >>> sqrt(mydl.tensor([1.0, 4.0]))
    tensor([1., 2.])
    """
    return ops.Sqrt.apply(require_tensor(input, "sqrt"))


def abs(input: Any) -> Any:
    """The absolute value; its derivative at 0 is taken to be 0.

    >>> import mydl
    >>> abs(mydl.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return ops.Abs.apply(require_tensor(input, "abs"))


def tanh(input: Any) -> Any:
    """The hyperbolic tangent.

    >>> import mydl
    >>> tanh(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return ops.Tanh.apply(require_tensor(input, "tanh"))


def sigmoid(input: Any) -> Any:
    """1 / (1 + exp(-input)).

    >>> import mydl
    >>> sigmoid(mydl.tensor([0.0, 2.0]))
    tensor([0.5000, 0.8808])
    """
    return ops.Sigmoid.apply(require_tensor(input, "sigmoid"))


def relu(input: Any) -> Any:
    """max(input, 0).

    >>> import mydl
    >>> relu(mydl.tensor([1.0, -2.0]))
    tensor([1., 0.])
    """
    return ops.ReLU.apply(require_tensor(input, "relu"))


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """input held within [min, max]; either bound may be None, a number or a tensor.

    >>> import mydl
    >>> clamp(mydl.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    input = require_tensor(input, "clamp")
    if min is None and max is None:
        raise ValueError("clamp: wanted at least one of min and max")
    if isinstance(min, Variable) or isinstance(max, Variable):
        from mydl.ops.arithmetic import Maximum, Minimum

        if min is not None:
            input = Maximum.apply(input, as_tensor_operand(min, input))
        return input if max is None else Minimum.apply(input, as_tensor_operand(max, input))
    return ops.Clamp.apply(input, low=min, high=max)


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; with the condition alone, the indices where it holds.

    >>> import mydl
    >>> where(mydl.tensor([True, False]), mydl.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """
    condition = require_tensor(condition, "where")
    if input is None and other is None:
        return tuple(tensor_of(index) for index in condition.array.nonzero())
    return ops.Where.apply(condition, as_tensor_operand(input, condition), as_tensor_operand(other, condition))
