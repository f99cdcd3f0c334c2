"""Comparisons, tests and logic, element by element, giving boolean tensors. They carry no gradient: they are no ops."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import describe, tensor_of
from mydl.backend import is_array
from mydl.errors import ShapeError
from mydl.functions.arguments import Number, Tensor, require_operands, require_tensor
from mydl.functions.shape import broadcast_tensors
from mydl.ops.casting import result_dtype

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "eq", "equal", "ge", "greater", "greater_equal", "gt", "is_nonzero", "isclose", "isfinite", "isin", "isinf",
    "isnan", "isneginf", "isposinf", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or",
    "logical_xor", "lt", "ne", "not_equal", "signbit",
]  # fmt: skip


def _pairwise(name: str, input: Any, other: Any, function: str) -> Any:
    """NumPy's `function` of two operands in their common dtype; TypeError for what is no operand."""
    if isinstance(other, Variable):
        other = other.array
    elif not is_operand(other):
        raise TypeError(f"{name}: wanted a tensor or a number, got {describe(other)}")
    input = require_tensor(input, name)
    array, xp = input.array, input.xp
    if is_array(other) and other.dtype != array.dtype:
        dtype = result_dtype(array, other)
        array, other = array.astype(dtype, copy=False), other.astype(dtype, copy=False)
    elif isinstance(other, float) and array.dtype.kind in "biu":
        array = array.astype(result_dtype(array, other))
    try:
        return tensor_of(getattr(xp, function)(array, other))
    except ValueError:
        raise ShapeError(f"{name}: {describe(input)} and {describe(other)} do not broadcast together") from None
    except TypeError:
        raise TypeError(f"{name}: not defined for {describe(input)} and {describe(other)}") from None


def is_operand(value: Any) -> bool:
    """Whether a tensor can be compared with `value`.

    >>> is_operand(2), is_operand("2")
    (True, False)
    """
    return isinstance(value, (Variable, bool, int, float, complex, np.generic)) or is_array(value)


def eq(input: Tensor, other: Tensor | Number) -> Tensor:
    """input == other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) == 2
    tensor([False,  True])
    """
    return _pairwise("eq", input, other, "equal")


def ne(input: Tensor, other: Tensor | Number) -> Tensor:
    """input != other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) != 2
    tensor([ True, False])
    """
    return _pairwise("ne", input, other, "not_equal")


def lt(input: Tensor, other: Tensor | Number) -> Tensor:
    """input < other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) < 2
    tensor([ True, False])
    """
    return _pairwise("lt", input, other, "less")


def le(input: Tensor, other: Tensor | Number) -> Tensor:
    """input <= other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) <= 1
    tensor([ True, False])
    """
    return _pairwise("le", input, other, "less_equal")


def gt(input: Tensor, other: Tensor | Number) -> Tensor:
    """input > other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) > 1
    tensor([False,  True])
    """
    return _pairwise("gt", input, other, "greater")


def ge(input: Tensor, other: Tensor | Number) -> Tensor:
    """input >= other.

    >>> import mydl
    >>> mydl.tensor([1, 2]) >= 2
    tensor([False,  True])
    """
    return _pairwise("ge", input, other, "greater_equal")


def _logical(name: str, input: Any, other: Any) -> Any:
    return _pairwise(name, require_tensor(input, name), require_tensor(other, name), name)


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Whether both are nonzero.

    >>> import mydl
    >>> logical_and(mydl.tensor([0, 2]), mydl.tensor([1, 3]))
    tensor([False,  True])
    """
    return _logical("logical_and", input, other)


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Whether either is nonzero.

    >>> import mydl
    >>> logical_or(mydl.tensor([0, 2]), mydl.tensor([0, 0]))
    tensor([False,  True])
    """
    return _logical("logical_or", input, other)


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Whether exactly one is nonzero.

    >>> import mydl
    >>> logical_xor(mydl.tensor([0, 2]), mydl.tensor([1, 3]))
    tensor([ True, False])
    """
    return _logical("logical_xor", input, other)


def logical_not(input: Tensor) -> Tensor:
    """Whether each element is 0.

    >>> import mydl
    >>> logical_not(mydl.tensor([0, 2]))
    tensor([ True, False])
    """
    input = require_tensor(input, "logical_not")
    return tensor_of(input.xp.logical_not(input.array))


def _bitwise(name: str, input: Any, other: Any, function: str | None = None) -> Any:
    for value in (input, other):
        if isinstance(value, float) or getattr(value, "dtype", np.dtype(bool)).kind not in "biu":
            raise TypeError(f"{name}: wanted integers or booleans, got {describe(input)} and {describe(other)}")
    if not is_array(other) and not isinstance(other, Variable):
        dtype = result_dtype(input, other)
        input, other = tensor_of(input.array.astype(dtype)), input.xp.asarray(other, dtype=dtype)
    return _pairwise(name, input, other, function or name)


def bitwise_and(input: Tensor, other: Tensor | Number) -> Tensor:
    """input & other, bit by bit; for booleans, both.

    >>> import mydl
    >>> mydl.tensor([6, 3]) & 2
    tensor([2, 2])
    """
    return _bitwise("bitwise_and", input, other)


def bitwise_or(input: Tensor, other: Tensor | Number) -> Tensor:
    """input | other, bit by bit; for booleans, either.

    >>> import mydl
    >>> mydl.tensor([4, 3]) | 2
    tensor([6, 3])
    """
    return _bitwise("bitwise_or", input, other)


def bitwise_xor(input: Tensor, other: Tensor | Number) -> Tensor:
    """input ^ other, bit by bit; for booleans, exactly one.

    >>> import mydl
    >>> mydl.tensor([6, 3]) ^ 2
    tensor([4, 1])
    """
    return _bitwise("bitwise_xor", input, other)


def bitwise_not(input: Tensor) -> Tensor:
    """~input, bit by bit; for booleans, not.

    >>> import mydl
    >>> ~mydl.tensor([True, False])
    tensor([False,  True])
    """
    input = require_tensor(input, "bitwise_not")
    if input.dtype.kind not in "biu":
        raise TypeError(f"bitwise_not: wanted integers or booleans, got {describe(input)}")
    return tensor_of(input.xp.invert(input.array))


def isnan(input: Tensor) -> Tensor:
    """Whether each element is NaN.

    >>> import mydl
    >>> isnan(mydl.tensor([1.0, float("nan")]))
    tensor([False,  True])
    """
    input = require_tensor(input, "isnan")
    return tensor_of(input.xp.isnan(input.array))


def isinf(input: Tensor) -> Tensor:
    """Whether each element is infinite, of either sign.

    >>> import mydl
    >>> isinf(mydl.tensor([1.0, float("-inf")]))
    tensor([False,  True])
    """
    input = require_tensor(input, "isinf")
    return tensor_of(input.xp.isinf(input.array))


def isfinite(input: Tensor) -> Tensor:
    """Whether each element is neither NaN nor infinite.

    >>> import mydl
    >>> isfinite(mydl.tensor([1.0, float("inf")]))
    tensor([ True, False])
    """
    input = require_tensor(input, "isfinite")
    return tensor_of(input.xp.isfinite(input.array))


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether |input - other| <= atol + rtol |other|, element by element; the dtypes must be equal.

    >>> import mydl
    >>> isclose(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 2.1]))
    tensor([ True, False])
    """
    input, other = require_tensor(input, "isclose"), require_tensor(other, "isclose")
    if input.dtype != other.dtype:
        raise RuntimeError(f"isclose: wanted tensors of one dtype, got {input.dtype} and {other.dtype}")
    input, other = broadcast_tensors(input, other)
    return tensor_of(input.xp.isclose(input.array, other.array, rtol=rtol, atol=atol, equal_nan=equal_nan))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds for every element.

    >>> import mydl
    >>> allclose(mydl.tensor([1.0]), mydl.tensor([1.0 + 1e-7]))
    True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether shape and all elements are the same.

    >>> import mydl
    >>> equal(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 2.0]))
    True
    """
    input, other = require_tensor(input, "equal"), require_tensor(other, "equal")
    return input.shape == other.shape and bool((input.array == other.array).all())


def isposinf(input: Tensor) -> Tensor:
    """Whether each element is infinity.

    >>> import mydl
    >>> isposinf(mydl.tensor([1.0, float("inf")]))
    tensor([False,  True])
    """
    return require_tensor(input, "isposinf") == float("inf")


def isneginf(input: Tensor) -> Tensor:
    """Whether each element is minus infinity.

    >>> import mydl
    >>> isneginf(mydl.tensor([1.0, float("-inf")]))
    tensor([False,  True])
    """
    return require_tensor(input, "isneginf") == float("-inf")


def signbit(input: Tensor) -> Tensor:
    """Whether the sign of each element is set, as it is of -0.0.

    >>> import mydl
    >>> signbit(mydl.tensor([1.0, -0.0]))
    tensor([False,  True])
    """
    array = require_tensor(input, "signbit").array
    return tensor_of(input.xp.signbit(array) if array.dtype.kind == "f" else array < 0)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among the test elements; either may be a number.

    >>> import mydl
    >>> isin(mydl.tensor([1, 2, 3]), mydl.tensor([1, 3]))
    tensor([ True, False,  True])
    """
    like = elements if isinstance(elements, Variable) else require_tensor(test_elements, "isin")
    require_operands(elements, test_elements, "isin")
    here, there = (v.array if isinstance(v, Variable) else like.xp.asarray(v) for v in (elements, test_elements))
    return tensor_of(like.xp.asarray(like.xp.isin(here, there, assume_unique=assume_unique, invert=invert)))


def bitwise_left_shift(input: Tensor, other: Tensor | Number) -> Tensor:
    """input << other, bit by bit.

    >>> import mydl
    >>> mydl.tensor([1, 3]) << 2
    tensor([ 4, 12])
    """
    return _bitwise("bitwise_left_shift", input, other, "left_shift")


def bitwise_right_shift(input: Tensor, other: Tensor | Number) -> Tensor:
    """input >> other, bit by bit.

    >>> import mydl
    >>> mydl.tensor([4, 12]) >> 2
    tensor([1, 3])
    """
    return _bitwise("bitwise_right_shift", input, other, "right_shift")


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not 0.

    >>> import mydl
    >>> is_nonzero(mydl.tensor([2.0]))
    True
    """
    return bool(require_tensor(input, "is_nonzero"))


greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
