"""What the operators of a tensor do: a + b, a[i], a < b, a += b, …"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mydl.functions import arithmetic, comparison, elementwise, indexing
from mydl.functions.arguments import Number, Tensor
from mydl.ops.arithmetic import Add, Div, Mul, Pow, Remainder, RoundedDiv, Sub
from mydl.ops.elementwise import ReLU
from mydl.ops.linalg import MatMul

__all__ = ["Operators", "in_place"]

# Functions whose op writes straight into memory that it is given: none of these needs its first input for backward.
_WRITING: dict[Callable[..., Any], Any] = {arithmetic.add: Add, arithmetic.sub: Sub, elementwise.relu: ReLU}


def in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that computes `function` of the tensor and takes the result into the tensor's own memory."""
    op = _WRITING.get(function)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if op is not None and not kwargs and self._may_be_overwritten(*args):
            return self._overwrite(op, *args)
        return self._become(function(self._snapshot(), *args, **kwargs))

    method.__name__ = method.__qualname__ = f"{function.__name__}_"
    method.__doc__ = f"`{function.__name__}` in place; returns the tensor itself."
    return method


class Operators:
    """The operators of a tensor, each the function that it is short for."""

    # NumPy arrays leave `array * tensor` to the tensor's operators.
    __array_ufunc__ = None

    def __add__(self, other: Tensor | Number) -> Tensor:
        return Add.apply(self, other)

    def __radd__(self, other: Tensor | Number) -> Tensor:
        return Add.apply(self, other)

    def __sub__(self, other: Tensor | Number) -> Tensor:
        return Sub.apply(self, other)

    def __rsub__(self, other: Tensor | Number) -> Tensor:
        return Sub.apply(other, self)

    def __mul__(self, other: Tensor | Number) -> Tensor:
        return Mul.apply(self, other)

    def __rmul__(self, other: Tensor | Number) -> Tensor:
        return Mul.apply(self, other)

    def __truediv__(self, other: Tensor | Number) -> Tensor:
        return Div.apply(self, other)

    def __rtruediv__(self, other: Tensor | Number) -> Tensor:
        return Div.apply(other, self)

    def __pow__(self, other: Tensor | Number) -> Tensor:
        return Pow.apply(self, other)

    def __rpow__(self, other: Tensor | Number) -> Tensor:
        return Pow.apply(other, self)

    def __mod__(self, other: Tensor | Number) -> Tensor:
        return Remainder.apply(self, other)

    def __rmod__(self, other: Tensor | Number) -> Tensor:
        return Remainder.apply(other, self)

    def __floordiv__(self, other: Tensor | Number) -> Tensor:
        return arithmetic.floor_divide(self, other)

    def __rfloordiv__(self, other: Tensor | Number) -> Tensor:
        return RoundedDiv.apply(other, self, mode="//")

    def __matmul__(self, other: Tensor | Number) -> Tensor:
        return MatMul.apply(self, other)

    def __rmatmul__(self, other: Tensor | Number) -> Tensor:
        return MatMul.apply(other, self)

    def __pos__(self) -> Tensor:
        return self

    __neg__ = arithmetic.neg
    __abs__ = elementwise.abs
    __invert__ = comparison.bitwise_not
    __and__ = __rand__ = comparison.bitwise_and
    __or__ = __ror__ = comparison.bitwise_or
    __xor__ = __rxor__ = comparison.bitwise_xor

    __lshift__ = comparison.bitwise_left_shift
    __rshift__ = comparison.bitwise_right_shift

    def __eq__(self, other: Any) -> Any:
        return comparison.eq(self, other) if comparison.is_operand(other) else NotImplemented

    def __ne__(self, other: Any) -> Any:
        return comparison.ne(self, other) if comparison.is_operand(other) else NotImplemented

    __lt__ = comparison.lt
    __le__ = comparison.le
    __gt__ = comparison.gt
    __ge__ = comparison.ge
    __hash__ = object.__hash__  # by identity: defining == would take it away

    __getitem__ = indexing.get_item
    __setitem__ = indexing.set_item

    __iadd__ = in_place(arithmetic.add)
    __isub__ = in_place(arithmetic.sub)
    __imul__ = in_place(arithmetic.mul)
    __itruediv__ = in_place(arithmetic.div)
    __ifloordiv__ = in_place(arithmetic.floor_divide)
    __imod__ = in_place(arithmetic.remainder)
    __ipow__ = in_place(arithmetic.pow)
    __iand__ = in_place(comparison.bitwise_and)
    __ior__ = in_place(comparison.bitwise_or)
    __ixor__ = in_place(comparison.bitwise_xor)
    __ilshift__ = in_place(comparison.bitwise_left_shift)
    __irshift__ = in_place(comparison.bitwise_right_shift)
