"""Rearranging tensors. What can be a view of the same memory is one, as in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.functions.arguments import axis_of, require_tensor, shape_of
from mydl.ops import shape as ops

__all__ = [
    "cat", "expand", "flatten", "permute", "reshape", "split", "squeeze", "stack", "transpose", "unsqueeze", "view",
]  # fmt: skip


def reshape(input: Any, *shape: Any) -> Any:
    """The same elements in another shape; one size may be -1.

    >>> import mydl
    >>> reshape(mydl.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return ops.Reshape.apply(require_tensor(input, "reshape"), shape=shape_of(shape, "reshape"))


def view(input: Any, *shape: Any) -> Any:
    """The same memory in another shape, or RuntimeError where that needs a copy (use reshape there).

    >>> import mydl
    >>> view(mydl.arange(4), 2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if len(shape) == 1 and isinstance(shape[0], (np.dtype, type)):
        raise NotImplementedError("view: reading the same bytes as another dtype is not supported; use .to(dtype)")
    input = require_tensor(input, "view")
    result = ops.Reshape.apply(input, shape=shape_of(shape, "view"))
    if result.numel() and not np.shares_memory(input.array, result.array, max_work=1):
        raise RuntimeError(
            f"view: shape {result.shape} of a tensor of shape {input.shape} and these strides needs a copy; use reshape"
        )
    return result


def permute(input: Any, *dims: Any) -> Any:
    """The dimensions in another order.

    >>> import mydl
    >>> permute(mydl.zeros(2, 3, 4), 2, 0, 1).shape
    (4, 2, 3)
    """
    input = require_tensor(input, "permute")
    wanted = shape_of(dims, "permute")
    axes = tuple(axis_of(d, input.ndim, "permute") for d in wanted)
    if len(axes) != input.ndim or len(set(axes)) != input.ndim:
        raise RuntimeError(f"permute: wanted each of {input.ndim} dimensions once, got {wanted}")
    return ops.Permute.apply(input, axes=axes)


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two dimensions exchanged.

    >>> import mydl
    >>> transpose(mydl.zeros(2, 3), 0, 1).shape
    (3, 2)
    """
    input = require_tensor(input, "transpose")
    a, b = axis_of(dim0, input.ndim, "transpose"), axis_of(dim1, input.ndim, "transpose")
    axes = list(range(input.ndim))
    if axes:
        axes[a], axes[b] = axes[b], axes[a]
    return ops.Permute.apply(input, axes=tuple(axes))


def squeeze(input: Any, dim: Any = None) -> Any:
    """Without its dimensions of size 1, or without those of `dim` that have size 1.

    >>> import mydl
    >>> squeeze(mydl.zeros(2, 1, 3, 1)).shape, squeeze(mydl.zeros(2, 1, 3, 1), 1).shape
    ((2, 3), (2, 3, 1))
    """
    input = require_tensor(input, "squeeze")
    if dim is None:
        axes = set(range(input.ndim))
    else:
        axes = {axis_of(d, input.ndim, "squeeze") for d in (dim if isinstance(dim, Sequence) else (dim,))}
    return ops.Reshape.apply(input, shape=tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in axes))


def unsqueeze(input: Any, dim: int) -> Any:
    """With a new dimension of size 1 at `dim`.

    >>> import mydl
    >>> unsqueeze(mydl.zeros(2, 3), -1).shape
    (2, 3, 1)
    """
    input = require_tensor(input, "unsqueeze")
    axis = axis_of(dim, input.ndim + 1, "unsqueeze")
    return ops.Reshape.apply(input, shape=(*input.shape[:axis], 1, *input.shape[axis:]))


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The dimensions from start_dim to end_dim made one.

    >>> import mydl
    >>> flatten(mydl.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    input = require_tensor(input, "flatten")
    if input.ndim == 0:
        return ops.Reshape.apply(input, shape=(1,))
    start, end = axis_of(start_dim, input.ndim, "flatten"), axis_of(end_dim, input.ndim, "flatten")
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    size = 1
    for n in input.shape[start : end + 1]:
        size *= n
    return ops.Reshape.apply(input, shape=(*input.shape[:start], size, *input.shape[end + 1 :]))


def expand(input: Any, *sizes: Any) -> Any:
    """Dimensions of size 1 repeated to the given sizes without copying; -1 keeps a size.

    >>> import mydl
    >>> expand(mydl.tensor([[1], [2]]), 2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    input = require_tensor(input, "expand")
    wanted = shape_of(sizes, "expand")
    extra = len(wanted) - input.ndim
    if extra < 0:
        raise RuntimeError(f"expand: {len(wanted)} sizes are too few for a tensor of shape {input.shape}")
    shape = []
    for i, size in enumerate(wanted):
        have = input.shape[i - extra] if i >= extra else None
        if size == -1 and have is None:
            raise RuntimeError(f"expand: -1 cannot stand for a new leading dimension in {wanted}")
        if have not in (None, 1, size) and size != -1:
            raise RuntimeError(f"expand: size {size} does not fit dimension {i - extra} of shape {input.shape}, of size {have}")
        shape.append(have if size == -1 else size)
    return ops.Expand.apply(input, shape=tuple(shape))


def cat(tensors: Any, dim: int = 0) -> Any:
    """Tensors end to end along `dim`; their other sizes must agree.

    >>> import mydl
    >>> cat([mydl.zeros(1, 2), mydl.ones(2, 2)]).shape
    (3, 2)
    """
    parts = [require_tensor(t, "cat") for t in tensors]
    if not parts:
        raise RuntimeError("cat: wanted at least one tensor")
    if any(part.ndim == 0 for part in parts):
        raise RuntimeError("cat: tensors of zero dimensions cannot be joined; use stack")
    # PyTorch lets an empty 1-d tensor stand beside any shape.
    real = [part for part in parts if part.shape != (0,)] or parts[:1]
    return ops.Concatenate.apply(*real, axis=axis_of(dim, real[0].ndim, "cat"))


def stack(tensors: Any, dim: int = 0) -> Any:
    """Tensors of one shape side by side along a new dimension.

    >>> import mydl
    >>> stack([mydl.zeros(2), mydl.ones(2)], dim=1)
    tensor([[0., 1.],
            [0., 1.]])
    """
    parts = [require_tensor(t, "stack") for t in tensors]
    if not parts:
        raise RuntimeError("stack: wanted at least one tensor")
    return ops.Stack.apply(*parts, axis=axis_of(dim, parts[0].ndim + 1, "stack"))


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple:
    """Pieces along `dim`: of the given size, the last one smaller if need be, or of the given sizes.

    >>> import mydl
    >>> [piece.shape for piece in split(mydl.zeros(5, 2), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """
    tensor = require_tensor(tensor, "split")
    axis = axis_of(dim, tensor.ndim, "split")
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
