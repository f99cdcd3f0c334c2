"""x[key] and x[key] = value, with PyTorch's keys: ints, slices, None, ..., index tensors and masks.

Ints, slices and None are applied first and make a view; index tensors and masks are applied to that view and make a
copy. (NumPy would count an int among the index arrays, and so put their dimensions first in x[0, :, index].)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.modes import mode
from mydl.autograd.op import describe, tensor_of
from mydl.backend import device_of, is_array, on_device
from mydl.errors import DtypeError, ShapeError
from mydl.functions.arguments import as_tensor_operand, integer_range
from mydl.ops.indexing import Put, Slice, Take

__all__ = ["get_item", "set_item"]


_PARTS = (Variable, np.ndarray, list, tuple, range, slice, type(None), type(...))  # no numbers


def _read_part(part: Any) -> Any:
    """One part of a key: index tensors and lists as arrays, 0-d integers as ints."""
    if isinstance(part, Variable):
        part = part.array
    elif isinstance(part, (list, tuple, range)):
        part = np.asarray([p.item() if isinstance(p, Variable) and p.ndim == 0 else p for p in part])
        part = part.astype(np.int64) if part.size == 0 else part
    elif isinstance(part, (bool, np.bool_)):
        return np.asarray(part)
    elif isinstance(part, (int, np.integer)):
        return int(part)
    elif isinstance(part, slice):
        if part.step is not None and part.step <= 0:
            raise ValueError(f"Slice: wanted a step above 0, got {part.step}; use flip")
        return slice(*(v if v is None else int(v) for v in (part.start, part.stop, part.step)))
    if part is None or part is Ellipsis:
        return part
    if not is_array(part):
        raise IndexError(
            f"indexing: wanted ints, slices, None, ..., index tensors or masks as a key, got {type(part).__name__}"
        )
    if part.dtype.kind not in "iub":
        raise IndexError(f"indexing: an index tensor must be of integers or booleans, got {part.dtype}")
    if part.dtype == np.uint8:  # PyTorch's masks of old
        part = part.astype(bool)
    return int(part) if part.ndim == 0 and part.dtype.kind in "iu" else part


def read_key(key: Any, array: Any) -> tuple[tuple, tuple]:
    """(a key of ints, slices, None and ..., a key of index arrays for what that one gives, () if there are none)."""
    shape = array.shape
    if isinstance(key, list) and len(key) < 32 and any(isinstance(part, _PARTS) for part in key):
        key = tuple(key)  # as PyTorch reads a list of indices: x[[i, j]] is x[i, j]
    key = key if isinstance(key, tuple) else (key,)
    parts = [_read_part(part) for part in key]
    if not any(is_array(part) for part in parts):
        return tuple(parts), ()
    used = sum(_dimensions(part) for part in parts)
    if used > len(shape):
        raise IndexError(f"indexing: too many indices for a tensor of shape {shape}: {used}")
    basic: list[Any] = []
    arrays: list[Any] = []
    axis = 0  # of the tensor, at the part being read
    for given, part in zip(key, parts):
        if is_array(part):
            taken = _dimensions(part)
            basic.extend([slice(None)] * taken if part.ndim else [None])  # a 0-d mask adds a dimension
            part = _checked(given, part, array, axis)
            arrays.append(part if part.ndim else part.reshape(1))
            axis += taken
        elif part is Ellipsis:
            skipped = len(shape) - used
            basic.extend([slice(None)] * skipped)
            arrays.extend([slice(None)] * skipped)
            axis += skipped
        else:
            basic.append(part)
            if not isinstance(part, int):
                arrays.append(slice(None))
            axis += part is not None
    return tuple(basic), tuple(arrays)


def _dimensions(part: Any) -> int:
    """How many dimensions of the tensor one part of a key takes."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if is_array(part) and part.dtype == bool else 1


def _checked(given: Any, part: Any, array: Any, axis: int) -> Any:
    """An index or mask where `array` is. A mask must fit; an index must be in range, which CuPy would not notice."""
    shape, on_host = array.shape, isinstance(array, np.ndarray)
    if part.dtype == bool:
        if part.shape != shape[axis : axis + part.ndim]:
            raise IndexError(f"indexing: a mask of shape {part.shape} does not fit shape {shape} at dimension {axis}")
    elif part.size and not on_host:
        low, high = integer_range(given if isinstance(given, Variable) else tensor_of(part))
        if low < -shape[axis] or high >= shape[axis]:
            raise IndexError(f"an index is out of range for dimension {axis} of shape {shape}")
    if on_host and not isinstance(part, np.ndarray):
        raise RuntimeError(f"an index tensor on {device_of(part)} for a tensor on the cpu; move it with .cpu()")
    return part if on_host or not isinstance(part, np.ndarray) else on_device(part, device_of(array))


def _is_whole(key: tuple) -> bool:
    """Whether a basic key leaves the tensor as it is."""
    return all(isinstance(part, slice) and part == slice(None) for part in key)


def get_item(self: Any, key: Any) -> Any:
    """self[key]: a view where the key has only ints, slices, None and ..., else a copy.

    >>> import mydl
    >>> mydl.arange(6)[mydl.tensor([0, -1])]
    tensor([0, 5])
    """
    if key.__class__ is int:  # the way of loops over samples, which is to be quick
        return Slice.apply(self, key=(key,))
    basic, arrays = read_key(key, self.array)
    if not arrays:
        return Slice.apply(self, key=basic)
    part = self if _is_whole(basic) else Slice.apply(self, key=basic)
    return Take.apply(part, key=arrays)


def set_item(self: Any, key: Any, value: Any) -> None:
    """self[key] = value, in place; the value is broadcast and cast, and the graph follows.

    Numbers must fit an integer dtype. Index tensors want a value of the dtype; for masks a single element may have
    another.
    """
    basic, arrays = read_key(key, self.array)
    if isinstance(value, (int, float)) and self.dtype.kind in "iu":
        limits = np.iinfo(self.dtype)
        if not min(limits.min, -limits.max) <= value <= limits.max:
            raise ShapeError(f"set_item: {value} does not fit {self.dtype}")
    elif isinstance(value, Variable):
        if arrays and value.dtype != self.dtype:
            masks = all(part.dtype == bool for part in arrays if is_array(part))
            if not (masks and value.array.size == 1):
                raise DtypeError(f"set_item: wanted a value of {self.dtype}, got {describe(value)}")
    elif value is None or isinstance(value, str):
        raise TypeError(f"set_item: wanted a tensor or numbers, got {value!r}")
    value = as_tensor_operand(value, self)
    part = self if arrays and _is_whole(basic) else Slice.apply(self, key=basic)
    room = len(part.shape)
    while value.ndim > room and value.shape[0] == 1:
        value = Slice.apply(value, key=(0,))
    if not arrays:
        part.copy_(value)
        return
    if value.dtype != self.dtype:
        value = value.to(self.dtype)
    if mode.grad and (part.requires_grad or value.requires_grad):
        part._become(Put.apply(part._snapshot(), value, key=arrays))
    else:
        try:
            part.array[arrays] = value.array
        except ValueError as error:
            raise ShapeError(f"set_item: {error} (a tensor of shape {self.shape})") from None
        part._version[0] += 1
