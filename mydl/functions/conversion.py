"""From numbers, lists and arrays to tensors, and between dtypes, devices and memory layouts."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.backend import device, get_default_dtype, is_array
from mydl.errors import ShapeError
from mydl.functions.arguments import Tensor, note_range, require_tensor
from mydl.ops.casting import Cast, Move, promoted
from mydl.ops.elementwise import Clone

__all__ = [
    "as_array", "as_dtype", "bool_", "byte", "channels_last", "char", "check_memory_format", "clone", "contiguous",
    "contiguous_format", "cpu", "cuda", "double", "filling", "float_", "half", "int_", "long", "preserve_format",
    "read_to", "short", "to", "type_as",
]  # fmt: skip


def as_dtype(dtype: Any) -> np.dtype | None:
    """A NumPy dtype from what was given as one; None stays None.

    >>> as_dtype("float32")
    dtype('float32')
    """
    if dtype is None:
        return None
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"wanted a dtype such as mydl.float32, got {dtype!r}") from None
    if found.kind not in "biufc":
        raise TypeError(f"wanted a dtype such as mydl.float32, got {dtype!r}")
    return found


def as_array(data: Any, dtype: Any = None) -> Any:
    """`data` as an array: arrays and tensors keep their dtype, Python floats get the default one, ints int64.

    >>> as_array([1.0, 2.0]).dtype
    dtype('float32')
    """
    if isinstance(data, Variable):
        data = data.array
    if is_array(data):
        if data.dtype.kind not in "biufc" or data.dtype.itemsize > 8 * (1 + (data.dtype.kind == "c")):
            raise TypeError(f"tensor: wanted an array of numbers of at most 64 bits, got {data.dtype}")
        if not data.dtype.isnative:  # the other order of bytes
            data = data.astype(data.dtype.newbyteorder("="))
        return data if dtype is None else data.astype(as_dtype(dtype), copy=False)
    if isinstance(data, (list, tuple)):
        data, found = _without_tensors(data)
        dtype = promoted(list(found)) if dtype is None and found and None not in found else dtype
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"tensor: the nested lists are not rectangular{_first_odd(data)}") from error
    except OverflowError as error:
        raise ShapeError(f"tensor: {error}") from error
    if array.dtype.kind not in "biufc":
        raise TypeError(f"tensor: wanted numbers, nested lists of them or an array, got {type(data).__name__}")
    if dtype is None and not isinstance(data, np.generic):
        if array.dtype.kind == "f":
            dtype = get_default_dtype()
        elif array.dtype.kind == "c":
            dtype = np.complex64 if get_default_dtype() == np.float32 else np.complex128
    if dtype is None:
        return array
    dtype = as_dtype(dtype)
    if dtype.kind in "iu":
        _check_range(array, dtype)
    return array.astype(dtype, copy=False)


def _check_range(numbers: np.ndarray, dtype: np.dtype) -> None:
    """Refuse Python numbers that an integer dtype cannot hold; NumPy would wrap them silently."""
    bounds = np.iinfo(dtype)
    if numbers.size == 0:
        return
    low, high = numbers.min(), numbers.max()
    within = np.isfinite(numbers).all() and bounds.min <= low and high <= bounds.max
    if not (within and int(high) <= bounds.max):  # 2**63 - 1 is no float: 2.0**63 counts as no more than it
        raise ShapeError(f"tensor: wanted numbers from {bounds.min} to {bounds.max} for {dtype}, got {low} to {high}")


def _first_odd(data: Any) -> str:
    """Where nested lists are of several lengths, and what to do about tensors."""
    sizes = [np.shape(item)[:1] if hasattr(item, "shape") else (len(item),) if isinstance(item, (list, tuple)) else ()
             for item in data]  # fmt: skip
    if len(set(sizes)) < 2:
        return ""
    words = ", ".join(f"{size[0]} items" if size else "a number" for size in dict.fromkeys(sizes))
    return f": found {words} side by side"


def _without_tensors(data: Any) -> tuple[Any, set]:
    """Nested lists with tensors and arrays as lists of numbers, and the dtypes met; None for what is no number."""
    if isinstance(data, (list, tuple)):
        kinds = set(map(type, data))
        if kinds <= {bool, int, float}:
            return data, {_dtype_of(kind) for kind in kinds}
        # a tensor of one element counts as a number, whatever its shape
        one = [item.reshape(()) if isinstance(item, Variable) and item.array.size == 1 else item for item in data]
        parts = [_without_tensors(item) for item in one]
        return [part for part, _ in parts], set().union(*(dtypes for _, dtypes in parts))
    if isinstance(data, Variable):
        return data.detach().numpy(), {data.dtype}
    return data, {_dtype_of(type(data)) if type(data) in (bool, int, float) else getattr(data, "dtype", None)}


def _dtype_of(kind: type) -> np.dtype:
    """The dtype of Python's numbers of one type."""
    return get_default_dtype() if kind is float else np.dtype(kind)


def filling(value: Any, dtype: np.dtype, name: str) -> Any:
    """The number `value` (or a tensor's only one) as a NumPy scalar of `dtype`; an error where that cannot hold it.

    >>> filling(2.5, np.dtype("int64"), "fill_")
    np.int64(2)
    """
    value = value.item() if isinstance(value, (Variable, np.ndarray, np.generic)) else value
    if not isinstance(value, (bool, int, float, complex)):
        raise TypeError(f"{name}: wanted a number, got {value!r}")
    if dtype.kind in "iu":
        _check_range(np.asarray(value), dtype)
    elif dtype.kind == "f" and np.isfinite(value) and abs(value) > np.finfo(dtype).max:
        raise ShapeError(f"{name}: {value} is beyond the largest number of {dtype}")
    return np.asarray(value).astype(dtype)[()]


contiguous_format, preserve_format, channels_last = "contiguous_format", "preserve_format", "channels_last"


def check_memory_format(memory_format: str | None, name: str) -> None:
    """TypeError for what is no memory format. They are hints about speed: results are the same, and mydl keeps C order.

    >>> check_memory_format("channels_last", "to")
    """
    if memory_format not in (None, contiguous_format, preserve_format, channels_last):
        raise TypeError(f"{name}: wanted a memory format such as mydl.channels_last, got {memory_format!r}")


def read_to(args: tuple, kwargs: dict) -> tuple[device | None, np.dtype | None, bool]:
    """(device or None, dtype or None, copy) from the arguments of `to`.

    >>> read_to(("cpu", np.float32), {})
    (device(type='cpu'), dtype('float32'), False)
    """
    kwargs = dict(kwargs)
    where, dtype, copy = (kwargs.pop("device", None), kwargs.pop("dtype", None), bool(kwargs.pop("copy", False)))
    if isinstance(kwargs.get("other"), Variable):
        args = (*args, kwargs.pop("other"))
    kwargs.pop("non_blocking", None)
    check_memory_format(kwargs.pop("memory_format", None), "to")
    if kwargs:
        raise TypeError(f"to: unknown argument {next(iter(kwargs))!r}")
    for value in args:
        if isinstance(value, Variable):
            where, dtype = value.device, value.dtype
        elif isinstance(value, (str, device)):
            where = device(value)
        elif isinstance(value, (np.dtype, type)):
            dtype = np.dtype(value)
        elif isinstance(value, bool):
            pass  # non_blocking, by position
        elif value is not None:
            raise TypeError(f"to: wanted a dtype, a device or a tensor, got {value!r}")
    return (None if where is None else device(where)), as_dtype(dtype), copy


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """In another dtype, on another device, or like another tensor: `to(mydl.float64)`, `to("cuda")`, `to(other)`.

    The tensor itself is returned where nothing changes and `copy=True` is not given; the gradient flows back.

    >>> import mydl
    >>> mydl.tensor([1, 2]).to(mydl.float32)
    tensor([1., 2.])
    """
    where, dtype, copy = read_to(args, kwargs)
    result = self
    if dtype is not None and result.dtype != dtype:
        result = Cast.apply(result, dtype=dtype)
    if where is not None and not (where.type == result.device.type and where.index in (None, result.device.index)):
        source = result.array
        result = Move.apply(result, where=where)
        note_range(result, source)
    return Clone.apply(self) if copy and result is self else result


def cpu(self: Tensor) -> Tensor:
    """On the host.

    >>> import mydl
    >>> mydl.ones(1).cpu().device
    device(type='cpu')
    """
    return to(self, "cpu")


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """On a GPU; RuntimeError in one line where there is none."""
    if device is None or isinstance(device, int):
        device = "cuda" if device is None else f"cuda:{device}"
    return to(self, device)


def float_(self: Tensor) -> Tensor:
    """In float32.

    >>> import mydl
    >>> mydl.tensor([True, False]).float()
    tensor([1., 0.])
    """
    return to(self, np.float32)


def double(self: Tensor) -> Tensor:
    """In float64.

    >>> import mydl
    >>> mydl.tensor([True, False]).double()
    tensor([1., 0.], dtype=float64)
    """
    return to(self, np.float64)


def half(self: Tensor) -> Tensor:
    """In float16.

    >>> import mydl
    >>> mydl.tensor([True, False]).half()
    tensor([1., 0.], dtype=float16)
    """
    return to(self, np.float16)


def long(self: Tensor) -> Tensor:
    """In int64.

    >>> import mydl
    >>> mydl.tensor([True, False]).long()
    tensor([1, 0])
    """
    return to(self, np.int64)


def int_(self: Tensor) -> Tensor:
    """In int32.

    >>> import mydl
    >>> mydl.tensor([True, False]).int()
    tensor([1, 0], dtype=int32)
    """
    return to(self, np.int32)


def short(self: Tensor) -> Tensor:
    """In int16.

    >>> import mydl
    >>> mydl.tensor([True, False]).short()
    tensor([1, 0], dtype=int16)
    """
    return to(self, np.int16)


def byte(self: Tensor) -> Tensor:
    """In uint8.

    >>> import mydl
    >>> mydl.tensor([True, False]).byte()
    tensor([1, 0], dtype=uint8)
    """
    return to(self, np.uint8)


def char(self: Tensor) -> Tensor:
    """In int8.

    >>> import mydl
    >>> mydl.tensor([True, False]).char()
    tensor([1, 0], dtype=int8)
    """
    return to(self, np.int8)


def bool_(self: Tensor) -> Tensor:
    """In bool: False where it is 0.

    >>> import mydl
    >>> mydl.tensor([0.0, 2.0]).bool()
    tensor([False,  True])
    """
    return to(self, np.bool_)


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """In the dtype and on the device of `other`.

    >>> import mydl
    >>> mydl.tensor([1, 2]).type_as(mydl.ones(1))
    tensor([1., 2.])
    """
    return to(self, other)


def clone(input: Tensor, *, memory_format: str | None = None) -> Tensor:
    """A copy in memory of its own; the gradient flows through.

    >>> import mydl
    >>> clone(mydl.ones(2))
    tensor([1., 1.])
    """
    check_memory_format(memory_format, "clone")
    return Clone.apply(require_tensor(input, "clone"))


def contiguous(self: Tensor, memory_format: str | None = None) -> Tensor:
    """Itself if its memory is in C order, else a copy that is.

    >>> import mydl
    >>> mydl.ones(2, 3).t().contiguous().is_contiguous()
    True
    """
    check_memory_format(memory_format, "contiguous")
    return self if self.array.flags.c_contiguous else Clone.apply(self)
