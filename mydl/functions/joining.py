"""Tensors joined and cut: cat, stack, split, chunk, unbind. Pieces are views of the tensor that was cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mydl.functions.arguments import Tensor, axis_of, require_tensor
from mydl.functions.shape import reshape
from mydl.ops import shape as ops

__all__ = [
    "cat", "chunk", "concat", "concatenate", "dstack", "hstack", "row_stack", "split", "stack", "tensor_split",
    "unbind", "vstack",
]  # fmt: skip


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """Tensors end to end along `dim`; their other sizes must agree.

    >>> import mydl
    >>> cat([mydl.zeros(1, 2), mydl.ones(2, 2)]).shape
    (3, 2)
    """
    dim = dim if axis is None else axis
    parts = [require_tensor(t, "cat") for t in tensors]
    if not parts:
        raise RuntimeError("cat: wanted at least one tensor")
    if any(part.ndim == 0 for part in parts):
        raise RuntimeError("cat: tensors of zero dimensions cannot be joined; use stack")
    # PyTorch lets an empty 1-d tensor stand beside any shape.
    real = [part for part in parts if part.shape != (0,)] or parts[:1]
    axis = axis_of(dim, real[0].ndim, "cat")
    for part in real[1:]:
        if part.ndim != real[0].ndim or any(
            a != b for i, (a, b) in enumerate(zip(part.shape, real[0].shape)) if i != axis
        ):
            shapes = ", ".join(str(p.shape) for p in real)
            raise RuntimeError(f"cat: sizes must agree but along dim {dim}, got shapes {shapes}")
    return ops.Concatenate.apply(*real, axis=axis)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new dimension.

    >>> import mydl
    >>> stack([mydl.zeros(2), mydl.ones(2)], dim=1)
    tensor([[0., 1.],
            [0., 1.]])
    """
    parts = [require_tensor(t, "stack") for t in tensors]
    if not parts:
        raise RuntimeError("stack: wanted at least one tensor")
    if any(part.shape != parts[0].shape for part in parts):
        raise RuntimeError(f"stack: wanted tensors of one shape, got {', '.join(str(p.shape) for p in parts)}")
    return ops.Stack.apply(*parts, axis=axis_of(dim, parts[0].ndim + 1, "stack"))


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple:
    """Pieces along `dim`: of the given size, the last one smaller if need be, or of the given sizes.

    >>> import mydl
    >>> [piece.shape for piece in split(mydl.zeros(5, 2), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    tensor = require_tensor(tensor, "split")
    axis = axis_of(dim, tensor.ndim, "split")
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
    shape = tensor.shape
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
    parts = [_at_least(t, 1) for t in tensors]
    return cat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors on top of each other, a vector being a row.

    >>> import mydl
    >>> vstack([mydl.zeros(2), mydl.ones(2)]).shape
    (2, 2)
    """
    return cat([_at_least(t, 2) for t in tensors], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors one behind the other, along the third dimension.

    >>> import mydl
    >>> dstack([mydl.zeros(2), mydl.ones(2)]).shape
    (1, 2, 2)
    """
    return cat([_at_least(t, 3) for t in tensors], 2)


row_stack = vstack


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
    input = require_tensor(input, "tensor_split")
    axis = axis_of(dim, input.ndim, "tensor_split")
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
    input = require_tensor(input, "unbind")
    axis = axis_of(dim, input.ndim, "unbind")
    if input.ndim == 0:
        raise RuntimeError("unbind: wanted at least one dimension, got a tensor of none")
    return ops.Unbind.apply(input, axis=axis)
