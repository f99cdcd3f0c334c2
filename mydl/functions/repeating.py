"""Elements repeated, mirrored, shifted and laid out on grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.backend import to_host
from mydl.functions.arguments import Tensor, axis_of, int_of, require_tensor, shape_of
from mydl.functions.shape import reshape, transpose
from mydl.ops.indexing import Take
from mydl.ops.shape import Expand, Flip, Reshape, Roll

__all__ = ["flip", "fliplr", "flipud", "repeat", "repeat_interleave", "roll", "rot90", "tile"]


def repeat(input: Tensor, *repeats: Any, **named: Any) -> Tensor:
    """The tensor laid out that many times along each dimension; more numbers than dimensions add new ones in front.

    >>> import mydl
    >>> repeat(mydl.tensor([1, 2]), 2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    input = require_tensor(input, "repeat")
    times = shape_of(repeats, "repeat", named, "repeats")
    if len(times) < input.ndim or any(n < 0 for n in times):
        raise RuntimeError(f"repeat: wanted {input.ndim} or more numbers >= 0 for shape {input.shape}, got {times}")
    sizes = (1,) * (len(times) - input.ndim) + input.shape
    spread = Reshape.apply(input, shape=tuple(n for size in sizes for n in (1, size)))
    copies = Expand.apply(spread, shape=tuple(n for pair in zip(times, sizes) for n in pair))
    return Reshape.apply(copies.clone(), shape=tuple(a * b for a, b in zip(times, sizes)))


def tile(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """As `repeat`, with 1 for the leading dimensions that `dims` leaves out.

    >>> import mydl
    >>> tile(mydl.tensor([[1, 2]]), (2,))
    tensor([[1, 2, 1, 2]])
    """
    input = require_tensor(input, "tile")
    times = shape_of(dims, "tile", named, "dims")
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element, or each slice along `dim`, that many times in a row; `repeats` is an int or a tensor of ints.

    >>> import mydl
    >>> repeat_interleave(mydl.tensor([1, 2]), 2)
    tensor([1, 1, 2, 2])
    """
    input = require_tensor(input, "repeat_interleave")
    if repeats is None:  # repeat_interleave(repeats): the index of each, that many times
        return repeat_interleave(input.new_tensor(np.arange(input.numel())), input)
    if dim is None:
        input, dim = reshape(input, -1), 0
    axis = axis_of(dim, input.ndim, "repeat_interleave")
    counts = to_host(repeats.array) if isinstance(repeats, Variable) else np.asarray(repeats)
    length = input.shape[axis] if input.ndim else 1
    if counts.dtype.kind not in "iu" or counts.size not in (1, length) or (counts < 0).any():
        raise RuntimeError(f"repeat_interleave: wanted one count of 0 or more, or {length}, got {counts.tolist()}")
    index = np.repeat(np.arange(length), counts.reshape(-1) if counts.size > 1 else counts.item())
    if output_size is not None and len(index) != output_size:
        raise RuntimeError(f"repeat_interleave: output_size {output_size} is not the sum of the repeats, {len(index)}")
    return Take.apply(input, key=(slice(None),) * axis + (input.xp.asarray(index),))


def flip(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """The elements in reverse order along `dims`; a copy.

    >>> import mydl
    >>> flip(mydl.tensor([1, 2, 3]), 0)
    tensor([3, 2, 1])
    """
    input = require_tensor(input, "flip")
    wanted = shape_of(dims, "flip", named, "dims")
    axes = tuple(axis_of(d, input.ndim, "flip") for d in wanted)
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"flip: a dim appears twice in {wanted}")
    return Flip.apply(input, axes=axes) if input.ndim else input.clone()


def fliplr(input: Tensor) -> Tensor:
    """`flip` along the second dimension.

    >>> import mydl
    >>> fliplr(mydl.tensor([[1, 2]]))
    tensor([[2, 1]])
    """
    if input.ndim < 2:
        raise RuntimeError(f"fliplr: wanted at least 2 dimensions, got shape {input.shape}")
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """`flip` along the first dimension.

    >>> import mydl
    >>> flipud(mydl.tensor([1, 2]))
    tensor([2, 1])
    """
    if input.ndim < 1:
        raise RuntimeError("flipud: wanted at least one dimension, got a tensor of none")
    return flip(input, 0)


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """The elements shifted along `dims` (all of them as one row without), what leaves one end entering at the other.

    >>> import mydl
    >>> roll(mydl.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """
    input = require_tensor(input, "roll")
    if dims is None:
        if not isinstance(shifts, int) and len(shifts) != 1:
            raise RuntimeError(f"roll: wanted one shift where dims is not given, got {tuple(shifts)}")
        return Roll.apply(input, shifts=shifts if isinstance(shifts, int) else shifts[0], axes=None)
    offsets, wanted = ((v,) if isinstance(v, int) else tuple(v) for v in (shifts, dims))
    if len(offsets) != len(wanted):
        raise RuntimeError(f"roll: wanted as many shifts as dims, got {shifts} and {dims}")
    return Roll.apply(input, shifts=offsets, axes=tuple(axis_of(d, input.ndim, "roll") for d in wanted))


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """The plane of two dimensions turned by k quarter turns, from the first towards the second.

    >>> import mydl
    >>> rot90(mydl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    input = require_tensor(input, "rot90")
    if input.ndim < 2 or len(dims) != 2:
        raise RuntimeError(f"rot90: wanted 2 dims of 2 or more dimensions, got {dims} and shape {input.shape}")
    a, b = (axis_of(d, input.ndim, "rot90") for d in dims)
    if a == b:
        raise RuntimeError(f"rot90: wanted two different dims, got {tuple(dims)}")
    turns = int_of(k, "rot90: k") % 4
    if turns == 0:
        return input.clone()
    if turns == 2:
        return flip(input, a, b)
    return transpose(flip(input, b), a, b) if turns == 1 else flip(transpose(input, a, b), b)
