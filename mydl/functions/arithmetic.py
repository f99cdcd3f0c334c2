"""Arithmetic between tensors and numbers, with broadcasting and PyTorch's type promotion."""

from __future__ import annotations

from typing import Any

from mydl.functions.arguments import require_tensor
from mydl.ops import arithmetic as ops

__all__ = ["add", "div", "maximum", "minimum", "mul", "neg", "pow", "sub"]


def add(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input + alpha * other.

    >>> import mydl
    >>> add(mydl.tensor([1.0, 2.0]), 3)
    tensor([4., 5.])
    """
    input = require_tensor(input, "add")
    return ops.Add.apply(input, other if alpha == 1 else ops.Mul.apply(require_tensor(other, "add"), alpha))


def sub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """input - alpha * other.

    >>> import mydl
    >>> sub(mydl.tensor([1.0, 2.0]), 3)
    tensor([-2., -1.])
    """
    input = require_tensor(input, "sub")
    return ops.Sub.apply(input, other if alpha == 1 else ops.Mul.apply(require_tensor(other, "sub"), alpha))


def mul(input: Any, other: Any) -> Any:
    """input * other.

    >>> import mydl
    >>> mul(mydl.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return ops.Mul.apply(require_tensor(input, "mul"), other)


def div(input: Any, other: Any) -> Any:
    """input / other; integers become the default floating dtype.

    >>> import mydl
    >>> div(mydl.tensor([1, 2]), 2)
    tensor([0.5000, 1.0000])
    """
    return ops.Div.apply(require_tensor(input, "div"), other)


def pow(input: Any, exponent: Any) -> Any:
    """input ** exponent; one of the two may be a number.

    >>> import mydl
    >>> pow(mydl.tensor([1.0, 2.0]), 2)
    tensor([1., 4.])
    """
    return ops.Pow.apply(input, exponent)


def neg(input: Any) -> Any:
    """-input.

    >>> import mydl
    >>> neg(mydl.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return ops.Neg.apply(require_tensor(input, "neg"))


def maximum(input: Any, other: Any) -> Any:
    """The larger of each pair; NaN where either is NaN. Equal elements share the gradient.

    >>> import mydl
    >>> maximum(mydl.tensor([1.0, 4.0]), mydl.tensor([3.0, 2.0]))
    tensor([3., 4.])
    """
    return ops.Maximum.apply(require_tensor(input, "maximum"), require_tensor(other, "maximum"))


def minimum(input: Any, other: Any) -> Any:
    """The smaller of each pair; NaN where either is NaN. Equal elements share the gradient.

    >>> import mydl
    >>> minimum(mydl.tensor([1.0, 4.0]), mydl.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return ops.Minimum.apply(require_tensor(input, "minimum"), require_tensor(other, "minimum"))
