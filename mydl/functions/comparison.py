"""Comparisons, element by element, giving boolean tensors. They carry no gradient, so they are no ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import describe, tensor_of
from mydl.backend import is_array

__all__ = ["eq", "ge", "gt", "le", "lt", "ne"]


def _compare(name: str, input: Any, other: Any) -> Any:
    if isinstance(other, Variable):
        other = other.array
    elif not (is_array(other) or isinstance(other, (bool, int, float, complex, np.generic))):
        return NotImplemented
    try:
        return tensor_of(getattr(input.xp, name)(input.array, other))
    except ValueError:
        raise ValueError(f"{name}: {describe(input)} and {describe(other)} do not broadcast together") from None


def eq(input: Any, other: Any) -> Any:
    """input == other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) == 2
    tensor([False,  True])
    """
    return _compare("equal", input, other)


def ne(input: Any, other: Any) -> Any:
    """input != other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) != 2
    tensor([ True, False])
    """
    return _compare("not_equal", input, other)


def lt(input: Any, other: Any) -> Any:
    """input < other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) < 2
    tensor([ True, False])
    """
    return _compare("less", input, other)


def le(input: Any, other: Any) -> Any:
    """input <= other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) <= 1
    tensor([ True, False])
    """
    return _compare("less_equal", input, other)


def gt(input: Any, other: Any) -> Any:
    """input > other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) > 1
    tensor([False,  True])
    """
    return _compare("greater", input, other)


def ge(input: Any, other: Any) -> Any:
    """input >= other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) >= 2
    tensor([False,  True])
    """
    return _compare("greater_equal", input, other)
