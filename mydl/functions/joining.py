"""Tensors joined and cut: cat, stack, split, chunk, unbind. Pieces are views of the tensor that was cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.autograd.op import describe
from mydl.errors import RangeError, ShapeError
from mydl.functions.arguments import Tensor, axis_of, require_tensor, tensor_along
from mydl.functions.shape import meshgrid, reshape
from mydl.ops import shape as ops
from mydl.ops.casting import result_dtype
from mydl.ops.indexing import Take

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "cat", "chunk", "column_stack",
    "combinations", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "row_stack", "split",
    "split_with_sizes", "stack", "tensor_split", "unbind", "vsplit", "vstack",
]  # fmt: skip


def _parts(tensors: Sequence[Tensor], name: str) -> list[Tensor]:
    """A sequence of tensors, checked; a tensor is none."""
    if not isinstance(tensors, Sequence):
        raise TypeError(f"{name}: wanted a list or tuple of tensors, got {describe(tensors)}")
    return [require_tensor(t, name) for t in tensors]


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors end to end along `dim`; their other sizes must agree.

    >>> import mydl
    >>> cat([mydl.zeros(1, 2), mydl.ones(2, 2)]).shape
    (3, 2)
    """
    dim = dim if axis is None else axis
    parts = _parts(tensors, "cat")
    if not parts:
        raise ShapeError("cat: wanted at least one tensor")
    if any(part.ndim == 0 for part in parts):
        raise RuntimeError("cat: tensors of zero dimensions cannot be joined; use stack")
    # PyTorch lets an empty 1-d tensor stand beside any shape.
    real = [part for part in parts if part.shape != (0,)] or parts[:1]
    if real[0].shape == (0,):  # nothing but such vectors: PyTorch takes every dim then
        dim = dim if dim.__class__ is not int else 0
    axis = axis_of(dim, real[0].ndim, "cat")
    for part in real[1:]:
        if part.ndim != real[0].ndim or any(
            a != b for i, (a, b) in enumerate(zip(part.shape, real[0].shape)) if i != axis
        ):
            shapes = ", ".join(str(p.shape) for p in real)
            raise RuntimeError(f"cat: sizes must agree but along dim {dim}, got shapes {shapes}")
    joined = ops.Concatenate.apply(*real, axis=axis)
    return joined if len(real) == len(parts) else joined.to(result_dtype(*parts))  # the empty ones' dtypes count too


def stack(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors of one shape side by side along a new dimension.

    >>> import mydl
    >>> stack([mydl.zeros(2), mydl.ones(2)], dim=1)
    tensor([[0., 1.],
            [0., 1.]])
    """
    parts = _parts(tensors, "stack")
    if not parts:
        raise RuntimeError("stack: wanted at least one tensor")
    if any(part.shape != parts[0].shape for part in parts):
        raise RuntimeError(f"stack: wanted tensors of one shape, got {', '.join(str(p.shape) for p in parts)}")
    return ops.Stack.apply(*parts, axis=axis_of(dim if axis is None else axis, parts[0].ndim + 1, "stack"))


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple:
    """Pieces along `dim`: of the given size, the last one smaller if need be, or of the given sizes.

    >>> import mydl
    >>> [piece.shape for piece in split(mydl.zeros(5, 2), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    tensor, axis = tensor_along(tensor, dim, "split")
    if tensor.ndim == 0:
        raise RuntimeError("split: wanted at least one dimension, got a tensor of none")
    length = tensor.shape[axis]
    if isinstance(split_size_or_sections, (int, np.integer)):
        size = int(split_size_or_sections)
        if size < 0 or (size == 0 and length):
            raise RuntimeError(f"split: wanted a positive size, got {size}")
        lengths = [min(size, length - start) for start in range(0, length, size or 1)] or [0]
    else:
        lengths = [int(n) for n in split_size_or_sections]
        if any(n < 0 for n in lengths) or sum(lengths) != length:
            raise RuntimeError(f"split: sizes {lengths} do not add up to {length}, dimension {dim} of {tensor.shape}")
    return ops.Split.apply(tensor, lengths=tuple(lengths), axis=axis)


concat = concatenate = cat


def _at_least(tensor: Tensor, ndim: int) -> Tensor:
    """`tensor` with dimensions of size 1 as atleast_1d, atleast_2d and atleast_3d add them."""
    shape = require_tensor(tensor, f"atleast_{ndim}d").shape
    if ndim == 1 and len(shape) == 0:
        return reshape(tensor, 1)
    if ndim == 2 and len(shape) < 2:
        return reshape(tensor, 1, -1)
    if ndim == 3 and len(shape) < 3:
        return reshape(tensor, *shape, 1) if len(shape) == 2 else reshape(tensor, 1, -1, 1)
    return tensor


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: along the second dimension, or along the only one.

    >>> import mydl
    >>> hstack([mydl.zeros(2, 1), mydl.ones(2, 2)]).shape
    (2, 3)
    """
    parts = [_at_least(t, 1) for t in _parts(tensors, "hstack")]
    return cat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors on top of each other, a vector being a row.

    >>> import mydl
    >>> vstack([mydl.zeros(2), mydl.ones(2)]).shape
    (2, 2)
    """
    return cat([_at_least(t, 2) for t in _parts(tensors, "vstack")], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one behind the other, along the third dimension.

    >>> import mydl
    >>> dstack([mydl.zeros(2), mydl.ones(2)]).shape
    (1, 2, 2)
    """
    return cat([_at_least(t, 3) for t in _parts(tensors, "dstack")], 2)


row_stack = vstack


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side, a vector being a column.

    >>> import mydl
    >>> column_stack([mydl.zeros(2), mydl.ones(2)]).shape
    (2, 2)
    """
    return hstack([reshape(t, -1, 1) if t.ndim < 2 else t for t in _parts(tensors, "column_stack")])


def _all_at_least(tensors: tuple, ndim: int) -> Any:
    several = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    results = tuple(_at_least(t, ndim) for t in several)
    return results[0] if several is tensors and len(tensors) == 1 else results


def atleast_1d(*tensors: Any) -> Any:
    """Tensors of zero dimensions as vectors of one element, the others as they are; a tuple where several are given.

    >>> import mydl
    >>> atleast_1d(mydl.tensor(2))
    tensor([2])
    """
    return _all_at_least(tensors, 1)


def atleast_2d(*tensors: Any) -> Any:
    """Tensors of fewer than two dimensions as one row; a tuple where several are given.

    >>> import mydl
    >>> atleast_2d(mydl.tensor([1, 2])).shape
    (1, 2)
    """
    return _all_at_least(tensors, 2)


def atleast_3d(*tensors: Any) -> Any:
    """Tensors with dimensions of size 1 up to three, a vector being (1, n, 1), a matrix (n, m, 1).

    >>> import mydl
    >>> atleast_3d(mydl.zeros(2, 3)).shape
    (2, 3, 1)
    """
    return _all_at_least(tensors, 3)


def block_diag(*tensors: Tensor) -> Tensor:
    """Matrices along the diagonal of a larger one, 0 elsewhere; a vector is a row.

    >>> import mydl
    >>> block_diag(mydl.ones(1, 1), mydl.ones(1, 2))
    tensor([[1., 0., 0.],
            [0., 1., 1.]])
    """
    blocks = [_at_least(require_tensor(t, "block_diag"), 2) for t in tensors]
    if any(block.ndim > 2 for block in blocks):
        raise RuntimeError(f"block_diag: wanted at most 2 dimensions, got shapes {[b.shape for b in blocks]}")
    width, left, rows = sum(block.shape[1] for block in blocks), 0, []
    for block in blocks:
        before, after = block.new_zeros(len(block), left), block.new_zeros(len(block), width - left - block.shape[1])
        rows.append(cat([before, block, after], 1))
        left += block.shape[1]
    return cat(rows)


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """(n, k): every combination of one element from each of k vectors, the last one changing fastest.

    >>> import mydl
    >>> cartesian_prod(mydl.tensor([1, 2]), mydl.tensor([3])).tolist()
    [[1, 3], [2, 3]]
    """
    if any(t.ndim != 1 for t in tensors):
        raise RuntimeError(f"cartesian_prod: wanted vectors, got shapes {[t.shape for t in tensors]}")
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(grid, -1) for grid in meshgrid(*tensors)], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """(n, r): every choice of r elements of a vector, in their order.

    >>> import mydl
    >>> combinations(mydl.tensor([1, 2, 3])).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    if require_tensor(input, "combinations").ndim != 1 or r < 0:
        raise RuntimeError(f"combinations: wanted a vector and r of 0 or more, got shape {input.shape} and {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(len(input)), r)), np.int64).reshape(-1, r)
    return Take.apply(input, key=(input.xp.asarray(places),))


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces along `dim`, equal but for the last one.

    >>> import mydl
    >>> [piece.shape for piece in chunk(mydl.zeros(5), 3)]
    [(2,), (2,), (1,)]
    """
    input = require_tensor(input, "chunk")
    if chunks < 1:
        raise RuntimeError(f"chunk: wanted at least one chunk, got {chunks}")
    axis = axis_of(dim, input.ndim, "chunk")
    if input.ndim == 0:
        raise RuntimeError("chunk: wanted at least one dimension, got a tensor of none")
    length = input.shape[axis]
    if length == 0:
        return split(input, [0] * chunks, axis)
    return split(input, -(-length // chunks), axis)


def tensor_split(input: Tensor, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces along `dim`: that many, the first ones larger by one if need be, or cut before the given indices.

    >>> import mydl
    >>> [piece.shape for piece in tensor_split(mydl.zeros(5), 3)]
    [(2,), (2,), (1,)]
    """
    input, axis = tensor_along(input, dim, "tensor_split")
    length = input.shape[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        n = int(indices_or_sections)
        return split(input, [length // n + (i < length % n) for i in range(n)], axis)
    pieces = []
    for a, b in zip((0, *indices_or_sections), (*indices_or_sections, length)):
        pieces.append(input[(slice(None),) * axis + (slice(a, b),)])
    return tuple(pieces)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, each without it.

    >>> import mydl
    >>> unbind(mydl.tensor([[1, 2], [3, 4]]), 1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    input, axis = tensor_along(input, dim, "unbind")
    if input.ndim == 0:
        raise RangeError("unbind: wanted at least one dimension, got a tensor of none")
    return ops.Unbind.apply(input, axis=axis)


def hsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Equal pieces side by side, or cut before the given columns: along the second dimension, or the only one.

    >>> import mydl
    >>> [piece.shape for piece in hsplit(mydl.zeros(2, 4), 2)]
    [(2, 2), (2, 2)]
    """
    return _equal_split(input, indices_or_sections, 0 if require_tensor(input, "hsplit").ndim == 1 else 1, "hsplit")


def vsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Equal pieces one below the other, or cut before the given rows.

    >>> import mydl
    >>> [piece.shape for piece in vsplit(mydl.zeros(2, 4), 2)]
    [(1, 4), (1, 4)]
    """
    return _equal_split(input, indices_or_sections, 0, "vsplit", 2)


def dsplit(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Equal pieces along the third dimension, or cut before the given places.

    >>> import mydl
    >>> [piece.shape for piece in dsplit(mydl.zeros(1, 1, 4), 2)]
    [(1, 1, 2), (1, 1, 2)]
    """
    return _equal_split(input, indices_or_sections, 2, "dsplit", 3)


def _equal_split(input: Tensor, sections: int | Sequence[int], axis: int, name: str, least: int = 1) -> tuple:
    if require_tensor(input, name).ndim < least:
        raise RuntimeError(f"{name}: wanted at least {least} dimensions, got shape {input.shape}")
    if isinstance(sections, int) and (sections < 1 or input.shape[axis] % sections):
        raise RuntimeError(f"{name}: {sections} equal pieces of dimension {axis} of shape {input.shape} do not exist")
    return tensor_split(input, sections, axis)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the given sizes along `dim`, as `split` makes them.

    >>> import mydl
    >>> [piece.shape for piece in split_with_sizes(mydl.zeros(3), [1, 2])]
    [(1,), (2,)]
    """
    return split(input, tuple(split_sizes), dim)
