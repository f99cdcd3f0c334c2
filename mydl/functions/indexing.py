"""x[key] and x[key] = value, with NumPy's and PyTorch's keys: ints, slices, None, ..., index arrays and masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.backend import is_array, to_host
from mydl.functions.arguments import as_tensor_operand
from mydl.ops.indexing import Put, Slice, Take

__all__ = ["get_item", "read_key", "set_item"]


def _read_part(part: Any) -> tuple[Any, bool]:
    """One part of a key, and whether it is an index array (which makes a copy) or not (a view)."""
    if isinstance(part, Variable):
        part = part.array
        if part.ndim == 0 and part.dtype.kind in "iu":
            return int(part), False
    if part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)) and not isinstance(part, bool):
        if isinstance(part, slice) and part.step is not None and part.step <= 0:
            raise ValueError(f"Slice: wanted a step above 0, got {part.step}; use flip")
        return part, False
    if isinstance(part, (list, tuple, range)):
        part = np.asarray([p.item() if isinstance(p, Variable) else p for p in part])
        if part.size == 0:
            part = part.astype(np.int64)
    if isinstance(part, bool):
        return part, True
    if is_array(part):
        if part.dtype.kind not in "iub":
            raise IndexError(f"an index array must be of integers or booleans, got {part.dtype}")
        return part, True
    raise IndexError(f"wanted ints, slices, None, ..., index arrays or masks as a key, got {type(part).__name__}")


def read_key(key: Any, shape: tuple) -> tuple[Any, bool]:
    """A key for NumPy or CuPy from what was written between brackets, and whether it makes a view.

    Index arrays are checked against the shape, since CuPy would wrap them silently.
    """
    parts = key if isinstance(key, tuple) else (key,)
    read = [_read_part(part) for part in parts]
    advanced = any(is_index for _, is_index in read)
    parts = tuple(part for part, _ in read)
    if advanced:
        _check_bounds(parts, shape)
    return parts, not advanced


def _check_bounds(parts: tuple, shape: tuple) -> None:
    used = sum(1 if not is_array(p) or p.dtype != bool else p.ndim for p in parts if p is not None and p is not Ellipsis and not isinstance(p, bool))
    axis = 0
    for part in parts:
        if part is None or isinstance(part, bool):
            continue
        if part is Ellipsis:
            axis += len(shape) - used
            continue
        if axis >= len(shape):
            raise IndexError(f"too many indices for a tensor of shape {shape}")
        if is_array(part) and part.dtype == bool:
            if part.shape != shape[axis : axis + part.ndim]:
                raise IndexError(f"a mask of shape {part.shape} does not fit shape {shape} at dimension {axis}")
            axis += part.ndim
            continue
        if is_array(part) and part.size and not isinstance(part, np.ndarray):
            host = to_host(part)
            if host.min() < -shape[axis] or host.max() >= shape[axis]:
                raise IndexError(f"an index is out of range for dimension {axis} of shape {shape}")
        axis += 1


def get_item(self: Any, key: Any) -> Any:
    """self[key]: a view where the key has only ints, slices, None and ..., else a copy.

    >>> import mydl
    >>> mydl.arange(6)[mydl.tensor([0, -1])]
    tensor([0, 5])
    """
    key, is_view = read_key(key, self.array.shape)
    return Slice.apply(self, key=key) if is_view else Take.apply(self, key=key)


def set_item(self: Any, key: Any, value: Any) -> None:
    """self[key] = value, in place; the graph follows."""
    key, is_view = read_key(key, self.array.shape)
    value = as_tensor_operand(value, self)
    if is_view:
        Slice.apply(self, key=key).copy_(value)
    else:
        if value.dtype != self.dtype:
            value = value.to(self.dtype)
        self._become(Put.apply(self._snapshot(), value, key=key))
