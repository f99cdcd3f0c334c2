"""Tensors from nothing, or from what is at hand: zeros, ones, ranges, the like of another tensor, arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.backend import get_default_dtype
from mydl.functions.arguments import Number, Size, require_tensor, shape_of
from mydl.functions.conversion import as_array, as_dtype, check_memory_format, filling
from mydl.tensor import MyTensor

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor",
    "ShortTensor", "arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_numpy", "full", "full_like",
    "linspace", "logspace", "ones", "ones_like", "scalar_tensor", "zeros", "zeros_like",
]  # fmt: skip


def _sizes(size: Any, name: str) -> tuple:
    """A shape given as one sequence."""
    if isinstance(size, (int, Variable)):
        raise TypeError(f"{name}: wanted a tuple of ints as size, got {size!r}")
    return shape_of((size,), name, least=0)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **named: Any) -> MyTensor:
    """Zeros of the given shape.

    >>> zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    array = np.zeros(shape_of(size, "zeros", named, "size", 0), as_dtype(dtype) or get_default_dtype())
    return MyTensor(array, device=device, requires_grad=requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **named: Any) -> MyTensor:
    """Ones of the given shape.

    >>> ones(2)
    tensor([1., 1.])
    """
    array = np.ones(shape_of(size, "ones", named, "size", 0), as_dtype(dtype) or get_default_dtype())
    return MyTensor(array, device=device, requires_grad=requires_grad)


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False, **named: Any) -> MyTensor:
    """A tensor of the given shape, to be filled; what it holds before is left open.

    >>> empty(2, 3).shape
    (2, 3)
    """
    array = np.empty(shape_of(size, "empty", named, "size", 0), as_dtype(dtype) or get_default_dtype())
    return MyTensor(array, device=device, requires_grad=requires_grad)


def full(
    size: Any, fill_value: Number | MyTensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> MyTensor:
    """The given shape filled with a number, in the dtype that the number alone would have.

    >>> full((2,), 3.5)
    tensor([3.5000, 3.5000])
    """
    value = as_array(fill_value) if dtype is None else np.empty(0, dtype)
    array = np.full(_sizes(size, "full"), filling(fill_value, value.dtype, "full"))
    return MyTensor(array, device=device, requires_grad=requires_grad)


def zeros_like(
    input: MyTensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: str | None = None,
) -> MyTensor:  # fmt: skip
    """Zeros of the shape, dtype and device of `input`.

    >>> zeros_like(ones(2))
    tensor([0., 0.])
    """
    options: dict[str, Any] = {"dtype": dtype, "device": device, "memory_format": memory_format}
    return full_like(input, 0, requires_grad=requires_grad, **options)


def ones_like(
    input: MyTensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: str | None = None,
) -> MyTensor:  # fmt: skip
    """Ones of the shape, dtype and device of `input`.

    >>> ones_like(zeros(2))
    tensor([1., 1.])
    """
    options: dict[str, Any] = {"dtype": dtype, "device": device, "memory_format": memory_format}
    return full_like(input, 1, requires_grad=requires_grad, **options)


def empty_like(
    input: MyTensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: str | None = None,
) -> MyTensor:  # fmt: skip
    """A tensor of the shape, dtype and device of `input`, to be filled; zeros for now.

    >>> empty_like(zeros(2)).shape
    (2,)
    """
    return zeros_like(input, dtype=dtype, device=device, requires_grad=requires_grad, memory_format=memory_format)


def full_like(
    input: MyTensor, fill_value: Number, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: str | None = None,
) -> MyTensor:  # fmt: skip
    """The shape, dtype and device of `input`, filled with a number.

    >>> full_like(zeros(2), 3)
    tensor([3., 3.])
    """
    check_memory_format(memory_format, "full_like")
    input = require_tensor(input, "full_like")
    array = np.full(input.shape, filling(fill_value, as_dtype(dtype) or input.dtype, "full_like"))
    return MyTensor(array, device=device or input.device, requires_grad=requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> MyTensor:
    """The n by n (or n by m) matrix with ones on its main diagonal.

    >>> eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    array = np.eye(*shape_of((n, n if m is None else m), "eye", least=0), dtype=as_dtype(dtype) or get_default_dtype())
    return MyTensor(array, device=device, requires_grad=requires_grad)


def _number(value: Any) -> Any:
    if isinstance(value, (Variable, np.generic)):
        value = value.item()
    if not isinstance(value, (int, float)):
        raise TypeError(f"wanted a number, got {value!r}")
    return value


def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> MyTensor:
    """start, start + step, … up to but not including end: arange(end) or arange(start, end, step).

    int64 where all three are ints, otherwise the default dtype.

    >>> arange(3)
    tensor([0, 1, 2])
    """
    if end is None:
        start, end = 0, start
    start, end, step = _number(start), _number(end), _number(step)
    if step == 0 or not (end - start) * step >= 0 or math.isinf(end - start):
        raise RuntimeError(f"arange: a step of {step} does not lead from {start} to {end}")
    if dtype is None:
        dtype = np.int64 if all(isinstance(v, int) for v in (start, end, step)) else get_default_dtype()
    # Each element from its number, as PyTorch computes it: a running sum would gather rounding errors.
    count = int(np.ceil((end - start) / step))
    array = (start + np.arange(count) * step).astype(dtype)
    return MyTensor(array, device=device, requires_grad=requires_grad)


def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> MyTensor:
    """`steps` numbers from start to end, both included, evenly spaced.

    >>> linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if steps < 0:
        raise RuntimeError(f"linspace: wanted 0 or more steps, got {steps}")
    array = np.linspace(_number(start), _number(end), steps).astype(as_dtype(dtype) or get_default_dtype())
    return MyTensor(array, device=device, requires_grad=requires_grad)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> MyTensor:  # fmt: skip
    """base to the power of `linspace(start, end, steps)`.

    >>> logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    if steps < 0:
        raise RuntimeError(f"logspace: wanted 0 or more steps, got {steps}")
    array = (base ** np.linspace(_number(start), _number(end), steps)).astype(as_dtype(dtype) or get_default_dtype())
    return MyTensor(array, device=device, requires_grad=requires_grad)


def scalar_tensor(s: Number, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> MyTensor:
    """A number as a tensor of zero dimensions, in the default dtype.

    >>> scalar_tensor(2)
    tensor(2.)
    """
    return full((), s, dtype=dtype or get_default_dtype(), device=device, requires_grad=requires_grad)


def from_numpy(ndarray: np.ndarray) -> MyTensor:
    """A tensor that shares the array's memory.

    >>> from_numpy(np.ones(2, np.float32))
    tensor([1., 1.])
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: wanted a NumPy array, got {type(ndarray).__name__}")
    if not ndarray.dtype.isnative:
        raise ValueError(f"from_numpy: memory of dtype {ndarray.dtype}, in another order of bytes, cannot be shared")
    return MyTensor(ndarray)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> MyTensor:
    """`data` as a tensor; a tensor as it is, an array without a copy, where dtype and device allow it.

    >>> as_tensor([1, 2])
    tensor([1, 2])
    """
    if isinstance(data, MyTensor):
        return data.to(device=device, dtype=dtype)
    return MyTensor(as_array(data, as_dtype(dtype)), device=device)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> MyTensor:
    """As `as_tensor`; always a copy with copy=True.

    >>> asarray([1, 2])
    tensor([1, 2])
    """
    result = as_tensor(obj, dtype, device)
    result = result.clone() if copy else result
    return result.requires_grad_() if requires_grad else result


class TypedTensor:
    """PyTorch's older constructors, such as `FloatTensor`: of sizes (zeros, to be filled), or of data in its dtype.

    >>> LongTensor([1, 2]), FloatTensor(2, 3).shape, isinstance(ones(2), FloatTensor)
    (tensor([1, 2]), (2, 3), True)
    """

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def __call__(self, *data: Any) -> MyTensor:
        """A tensor of the dtype."""
        sizes = not data or isinstance(data[0], (int, np.integer, Size))
        return zeros(*(data or (0,)), dtype=self.dtype) if sizes else MyTensor(as_array(*data).astype(self.dtype))

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, MyTensor) and value.dtype == self.dtype


FloatTensor, DoubleTensor, HalfTensor = TypedTensor(np.float32), TypedTensor(np.float64), TypedTensor(np.float16)
LongTensor, IntTensor, ShortTensor = TypedTensor(np.int64), TypedTensor(np.int32), TypedTensor(np.int16)
CharTensor, ByteTensor, BoolTensor = TypedTensor(np.int8), TypedTensor(np.uint8), TypedTensor(np.bool_)
