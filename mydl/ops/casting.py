"""Dtypes of operations: PyTorch's promotion rules, and the differentiable cast that carries them out."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import Op, tensor_of
from mydl.backend import device_of, get_default_dtype, on_device
from mydl.errors import DtypeError

__all__ = [
    "Cast", "Move", "cast_all", "numbers_only", "promote", "promote_floating", "promote_numbers", "promoted",
    "result_dtype", "to_floating", "wide",
]  # fmt: skip

_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def wide(x: Any) -> Any:
    """float16 as float32, in which its sums and squares neither overflow nor stop growing; others as they are.

    >>> wide(np.ones(1, np.float16)).dtype, wide(np.ones(1)).dtype
    (dtype('float32'), dtype('float64'))
    """
    return x.astype(np.float32) if getattr(x, "dtype", None) == np.float16 else x


class Cast(Op):
    """x in another dtype; the gradient goes back in x's own (the engine casts it)."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, dtype: Any) -> Any:
        return x.astype(dtype)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad


class Move(Op):
    """x on another device; the gradient goes back to x's own."""

    moves = True

    @staticmethod
    def forward(ctx: Any, x: Any, *, where: Any) -> Any:
        ctx.source = device_of(x)
        return on_device(x, where)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Move, grad, where=ctx.source)


def _scalar_dtype(value: Any) -> np.dtype:
    if isinstance(value, (bool, np.bool_)):
        return np.dtype(bool)
    if isinstance(value, (int, np.integer)):
        return np.dtype(np.int64)
    if isinstance(value, (complex, np.complexfloating)) and not isinstance(value, (float, np.floating)):
        return np.dtype(np.complex64 if get_default_dtype() != np.float64 else np.complex128)
    return get_default_dtype()


def _has_array(value: Any) -> bool:
    return isinstance(value, Variable) or (hasattr(value, "dtype") and not isinstance(value, np.generic))


def promoted(dtypes: list[np.dtype]) -> np.dtype:
    """The common dtype: the floating one wins over integers of any width, as in PyTorch."""
    if any(d.kind not in _CATEGORY for d in dtypes):
        raise TypeError(f"wanted dtypes of numbers, got {' and '.join(map(str, dtypes))}")
    highest = max(_CATEGORY[d.kind] for d in dtypes)
    if highest == 3:
        return np.result_type(*dtypes)
    return np.result_type(*(d for d in dtypes if _CATEGORY[d.kind] == highest))


def result_dtype(*values: Any) -> np.dtype:
    """The dtype in which PyTorch would compute with `values` (tensors, arrays or Python numbers).

    Tensors with dimensions decide; a 0-d tensor counts only where it is of a higher category (bool < int < float <
    complex), and a Python number only above that.

    >>> result_dtype(np.ones(2, np.float32), 2.5), result_dtype(np.ones(2, np.int64), np.ones(2, np.float16))
    (dtype('float32'), dtype('float16'))
    """
    levels: list[list[np.dtype]] = [[], [], []]
    for value in values:
        if not _has_array(value):
            levels[2].append(_scalar_dtype(value))
        else:
            levels[0 if len(value.shape) else 1].append(np.dtype(value.dtype))
    result: np.dtype | None = None
    for level in levels:
        if level:
            here = promoted(level)
            if result is None or _CATEGORY[here.kind] > _CATEGORY[result.kind]:
                result = here
    if result is None:
        raise TypeError("result_dtype: wanted at least one value")
    return result


def cast_all(inputs: tuple, dtype: np.dtype) -> tuple:
    """Tensors and arrays among `inputs` in `dtype`; Python floats stay, integers wrap round as in PyTorch."""
    cast = []
    for value in inputs:
        if isinstance(value, Variable):
            cast.append(value if value.array.dtype == dtype else Cast.apply(value, dtype=dtype))
        elif _has_array(value):
            cast.append(value.astype(dtype, copy=False))
        else:
            cast.append(np.asarray(value).astype(dtype)[()] if dtype.kind in "iub" else _plain(value))
    return tuple(cast)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def promote(inputs: tuple) -> tuple:
    """Two operands in their common dtype. Equal dtypes, and floating tensors with Python numbers, pass as they are."""
    x, y = inputs
    if isinstance(x, Variable):
        if isinstance(y, Variable):
            if x.array.dtype is y.array.dtype:
                return inputs
        elif (y.__class__ is float or y.__class__ is int) and x.array.dtype.kind == "f":
            return inputs
    for value in inputs:
        if not (_has_array(value) or isinstance(value, (bool, int, float, complex, np.generic))):
            raise TypeError(f"wanted tensors, arrays or numbers, got {type(value).__name__}")
    dtype = result_dtype(x, y)
    return tuple(_tensors_where_needed(cast_all(inputs, dtype)))


def promote_numbers(inputs: tuple) -> tuple:
    """As `promote`; two booleans are refused."""
    inputs = promote(inputs)
    if all(isinstance(v, (bool, np.bool_)) or getattr(v, "dtype", None) == np.bool_ for v in inputs):
        raise DtypeError("wanted numbers, got booleans; use .long() first")
    return inputs


def numbers_only(inputs: tuple) -> tuple:
    """The inputs as they are; a boolean one is refused."""
    value = inputs[0]
    if (value.array if isinstance(value, Variable) else value).dtype.kind == "b":
        raise DtypeError("wanted numbers, got booleans; use .long() first")
    return inputs


def _tensors_where_needed(inputs: tuple) -> Any:
    """NumPy scalars as 0-d arrays where all are scalars, so that forward has an array module."""
    if any(_has_array(value) for value in inputs):
        yield from inputs
        return
    for value in inputs:
        yield tensor_of(value) if isinstance(value, np.generic) else value


def promote_floating(inputs: tuple) -> tuple:
    """As `promote`, and integers become the default floating dtype (true division, atan2)."""
    promoted = promote(inputs)
    if all(not _has_array(v) or v.dtype.kind in "iub" for v in promoted):
        # From the operands as they came: in their common integer dtype a 0-d -1 beside uint8 would be 255.
        source = inputs if any(_has_array(v) for v in inputs) else promoted
        return cast_all(source, get_default_dtype())
    return promoted


def to_floating(inputs: tuple) -> tuple:
    """Integer and boolean tensors in the default floating dtype, as PyTorch's exp, sqrt, … take them."""
    x = inputs[0]
    if x.dtype.kind in "fc":
        return inputs
    return (Cast.apply(tensor_of(x), dtype=get_default_dtype()), *inputs[1:])
