"""Trigonometric and hyperbolic functions and their inverses; integers become the default floating dtype."""

from __future__ import annotations

from mydl.functions.arguments import Tensor, require_tensor
from mydl.ops import trigonometry as ops
from mydl.ops.arithmetic import Atan2

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan",
    "atan2", "atanh", "cos", "cosh", "sin", "sinh", "tan",
]  # fmt: skip


def sin(input: Tensor) -> Tensor:
    """The sine.

    >>> import mydl
    >>> sin(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """
    return ops.Sin.apply(require_tensor(input, "sin"))


def cos(input: Tensor) -> Tensor:
    """The cosine.

    >>> import mydl
    >>> cos(mydl.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """
    return ops.Cos.apply(require_tensor(input, "cos"))


def tan(input: Tensor) -> Tensor:
    """The tangent.

    >>> import mydl
    >>> tan(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5574])
    """
    return ops.Tan.apply(require_tensor(input, "tan"))


def asin(input: Tensor) -> Tensor:
    """The inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1].

    >>> import mydl
    >>> asin(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5708])
    """
    return ops.Asin.apply(require_tensor(input, "asin"))


def acos(input: Tensor) -> Tensor:
    """The inverse cosine, in [0, pi]; NaN outside [-1, 1].

    >>> import mydl
    >>> acos(mydl.tensor([0.0, 1.0]))
    tensor([1.5708, 0.0000])
    """
    return ops.Acos.apply(require_tensor(input, "acos"))


def atan(input: Tensor) -> Tensor:
    """The inverse tangent, in [-pi/2, pi/2].

    >>> import mydl
    >>> atan(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])
    """
    return ops.Atan.apply(require_tensor(input, "atan"))


def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine.

    >>> import mydl
    >>> sinh(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])
    """
    return ops.Sinh.apply(require_tensor(input, "sinh"))


def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine.

    >>> import mydl
    >>> cosh(mydl.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])
    """
    return ops.Cosh.apply(require_tensor(input, "cosh"))


def asinh(input: Tensor) -> Tensor:
    """The inverse hyperbolic sine.

    >>> import mydl
    >>> asinh(mydl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """
    return ops.Asinh.apply(require_tensor(input, "asinh"))


def acosh(input: Tensor) -> Tensor:
    """The inverse hyperbolic cosine; NaN below 1.

    >>> import mydl
    >>> acosh(mydl.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """
    return ops.Acosh.apply(require_tensor(input, "acosh"))


def atanh(input: Tensor) -> Tensor:
    """The inverse hyperbolic tangent; NaN outside [-1, 1].

    >>> import mydl
    >>> atanh(mydl.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
    """
    return ops.Atanh.apply(require_tensor(input, "atanh"))


def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle of the point (other, input), in [-pi, pi].

    >>> import mydl
    >>> atan2(mydl.tensor([1.0]), mydl.tensor([-1.0]))
    tensor([2.3562])
    """
    return Atan2.apply(require_tensor(input, "atan2"), require_tensor(other, "atan2"))


arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
