"""The same elements in another shape or order. What can be a view of the same memory is one, as in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.functions.arguments import Size, Tensor, axis_of, int_of, require_tensor, shape_of, tensor_along
from mydl.ops import shape as ops
from mydl.ops.indexing import Slice, Take

__all__ = [
    "adjoint", "broadcast_shapes", "broadcast_tensors", "broadcast_to", "expand", "expand_as", "flatten", "meshgrid",
    "moveaxis", "movedim", "narrow", "permute", "ravel", "reshape", "reshape_as", "select", "squeeze", "swapaxes",
    "swapdims", "t", "transpose", "unflatten", "unsqueeze", "view", "view_as",
]  # fmt: skip


def reshape(input: Tensor, *shape: Any, **named: Any) -> Tensor:
    """The same elements in another shape; one size may be -1.

    >>> import mydl
    >>> reshape(mydl.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    return _reshaped(require_tensor(input, "reshape"), shape_of(shape, "reshape", named, "shape"), "reshape")


def _reshaped(input: Tensor, shape: tuple, name: str) -> Tensor:
    known = math.prod(n for n in shape if n != -1)
    if shape.count(-1) > 1 or any(n < -1 for n in shape):
        raise RuntimeError(f"{name}: wanted sizes of 0 or more and at most one -1, got {shape}")
    if -1 in shape and known == 0:
        raise RuntimeError(f"{name}: -1 is ambiguous in {shape}, beside a size of 0")
    if (-1 in shape and input.array.size % known) or (-1 not in shape and input.array.size != known):
        raise RuntimeError(f"{name}: shape {shape} does not hold {input.array.size} elements of shape {input.shape}")
    return ops.Reshape.apply(input, shape=shape)


def view(input: Tensor, *shape: Any, **named: Any) -> Tensor:
    """The same memory in another shape, or RuntimeError where that needs a copy (use reshape there).

    >>> import mydl
    >>> view(mydl.arange(4), 2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if len(shape) == 1 and isinstance(shape[0], (np.dtype, type)):
        raise NotImplementedError("view: reading the same bytes as another dtype is not supported; use .to(dtype)")
    input = require_tensor(input, "view")
    result = _reshaped(input, shape_of(shape, "view", named, "size"), "view")
    if result.numel() and not input.xp.may_share_memory(input.array, result.array):
        raise RuntimeError(
            f"view: shape {result.shape} of a tensor of shape {input.shape} and these strides needs a copy; use reshape"
        )
    return result


def permute(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """The dimensions in another order.

    >>> import mydl
    >>> permute(mydl.zeros(2, 3, 4), 2, 0, 1).shape
    (4, 2, 3)
    """
    input = require_tensor(input, "permute")
    wanted = shape_of(dims, "permute", named, "dims")
    axes = tuple(axis_of(d, input.ndim, "permute") for d in wanted)
    if len(axes) != input.ndim or len(set(axes)) != input.ndim:
        raise RuntimeError(f"permute: wanted each of {input.ndim} dimensions once, got {wanted}")
    return ops.Permute.apply(input, axes=axes)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
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


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None, *, axis: int | None = None) -> Tensor:
    """Without its dimensions of size 1, or without those of `dim` that have size 1.

    >>> import mydl
    >>> squeeze(mydl.zeros(2, 1, 3, 1)).shape, squeeze(mydl.zeros(2, 1, 3, 1), 1).shape
    ((2, 3), (2, 3, 1))
    """
    input = require_tensor(input, "squeeze")
    dim = axis if dim is None else dim
    if dim is None:
        axes = set(range(input.ndim))
    else:
        axes = {axis_of(d, input.ndim, "squeeze") for d in (dim if isinstance(dim, Sequence) else (dim,))}
    return ops.Reshape.apply(input, shape=tuple(n for i, n in enumerate(input.shape) if n != 1 or i not in axes))


def unsqueeze(input: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """With a new dimension of size 1 at `dim`.

    >>> import mydl
    >>> unsqueeze(mydl.zeros(2, 3), -1).shape
    (2, 3, 1)
    """
    input = require_tensor(input, "unsqueeze")
    axis = axis_of(axis if dim is None else dim, input.ndim + 1, "unsqueeze")
    return ops.Reshape.apply(input, shape=(*input.shape[:axis], 1, *input.shape[axis:]))


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from start_dim to end_dim made one.

    >>> import mydl
    >>> flatten(mydl.zeros(2, 3, 4), 1).shape
    (2, 12)
    """
    input = require_tensor(input, "flatten")
    shape = input.array.shape
    start, end = axis_of(start_dim, len(shape), "flatten"), axis_of(end_dim, len(shape), "flatten")
    if not shape:
        return ops.Reshape.apply(input, shape=(1,))
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    size = math.prod(shape[start : end + 1])
    return ops.Reshape.apply(input, shape=(*shape[:start], size, *shape[end + 1 :]))


def expand(input: Tensor, *sizes: Any, **named: Any) -> Tensor:
    """Dimensions of size 1 repeated to the given sizes without copying; -1 keeps a size.

    >>> import mydl
    >>> expand(mydl.tensor([[1], [2]]), 2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    input = require_tensor(input, "expand")
    wanted = shape_of(sizes, "expand", named, "size")
    extra = len(wanted) - input.ndim
    if extra < 0:
        raise RuntimeError(f"expand: {len(wanted)} sizes are too few for a tensor of shape {input.shape}")
    shape = []
    for i, size in enumerate(wanted):
        have = input.shape[i - extra] if i >= extra else None
        if size == -1 and have is None:
            raise RuntimeError(f"expand: -1 cannot stand for a new leading dimension in {wanted}")
        if have not in (None, 1, size) and size != -1:
            raise RuntimeError(
                f"expand: size {size} does not fit dimension {i - extra} of shape {input.shape}, of size {have}"
            )
        shape.append(have if size == -1 else size)
    return ops.Expand.apply(input, shape=tuple(shape))


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """The same elements in the shape of `other`.

    >>> import mydl
    >>> reshape_as(mydl.arange(4), mydl.zeros(2, 2)).shape
    (2, 2)
    """
    return reshape(input, other.shape)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """The same memory in the shape of `other`.

    >>> import mydl
    >>> view_as(mydl.arange(4), mydl.zeros(2, 2)).shape
    (2, 2)
    """
    return view(input, other.shape)


def ravel(input: Tensor) -> Tensor:
    """All elements in one dimension; a copy where they do not lie one after another in memory.

    >>> import mydl
    >>> ravel(mydl.zeros(2, 3)).shape
    (6,)
    """
    return flatten(require_tensor(input, "ravel").contiguous())


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` split into several of the given sizes, one of which may be -1.

    >>> import mydl
    >>> unflatten(mydl.zeros(2, 6), 1, (2, -1)).shape
    (2, 2, 3)
    """
    input, axis = tensor_along(input, dim, "unflatten")
    sizes = shape_of((sizes,), "unflatten")
    known = math.prod(n for n in sizes if n != -1)
    whole = input.shape[axis]
    if (-1 not in sizes and known != whole) or (-1 in sizes and (known == 0 or whole % known)):
        raise RuntimeError(f"unflatten: sizes {sizes} do not multiply up to {whole}, dimension {dim} of {input.shape}")
    full = tuple(whole // known if n == -1 else n for n in sizes)
    return ops.Reshape.apply(input, shape=(*input.shape[:axis], *full, *input.shape[axis + 1 :]))


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a tensor of at most one dimension as it is.

    >>> import mydl
    >>> t(mydl.zeros(2, 3)).shape
    (3, 2)
    """
    input = require_tensor(input, "t")
    if input.ndim > 2:
        raise RuntimeError(f"t: wanted at most 2 dimensions, got shape {input.shape}; use transpose(dim0, dim1) or .mT")
    return ops.Permute.apply(input, axes=tuple(range(input.ndim))[::-1])


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The dimensions `source` moved to the places `destination`, the others in their order.

    >>> import mydl
    >>> movedim(mydl.zeros(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    input = require_tensor(input, "movedim")
    sources, places = ((d,) if isinstance(d, int) else tuple(d) for d in (source, destination))
    sources = tuple(axis_of(d, input.ndim, "movedim") for d in sources)
    places = tuple(axis_of(d, input.ndim, "movedim") for d in places)
    if len(sources) != len(places) or len(set(sources)) != len(sources) or len(set(places)) != len(places):
        raise RuntimeError(f"movedim: wanted as many different sources as destinations, got {source} and {destination}")
    if input.ndim == 0:
        return ops.Permute.apply(input, axes=())
    axes = [i for i in range(input.ndim) if i not in sources]
    for place, axis in sorted(zip(places, sources)):
        axes.insert(place, axis)
    return ops.Permute.apply(input, axes=tuple(axes))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of `other`.

    >>> import mydl
    >>> expand_as(mydl.zeros(3), mydl.zeros(2, 3)).shape
    (2, 3)
    """
    return expand(input, other.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """`expand` to a shape.

    >>> import mydl
    >>> broadcast_to(mydl.zeros(3), (2, 3)).shape
    (2, 3)
    """
    return expand(input, size)


def broadcast_shapes(*shapes: Any) -> Size:
    """The common shape of several shapes.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError:
        raise RuntimeError(f"broadcast_shapes: shapes {list(shapes)} do not fit together") from None


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Tensors expanded to their common shape.

    >>> import mydl
    >>> [x.shape for x in broadcast_tensors(mydl.zeros(2, 1), mydl.zeros(3))]
    [(2, 3), (2, 3)]
    """
    shape = broadcast_shapes(*(require_tensor(x, "broadcast_tensors").shape for x in tensors))
    return tuple(expand(x, shape) for x in tensors)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid: vectors expanded to their sizes ("ij"), or to these with the first two swapped ("xy").

    >>> import mydl
    >>> meshgrid(mydl.arange(2), mydl.arange(3))[0]
    tensor([[0, 0, 0],
            [1, 1, 1]])
    """
    vectors = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: wanted indexing 'ij' or 'xy', got {indexing!r}")
    if any(v.ndim > 1 for v in vectors):
        raise RuntimeError(f"meshgrid: wanted vectors, got shapes {[v.shape for v in vectors]}")
    if len({require_tensor(v, "meshgrid").dtype for v in vectors}) > 1:
        raise RuntimeError(f"meshgrid: wanted tensors of one dtype, got {[str(v.dtype) for v in vectors]}")
    shape = tuple(v.numel() for v in vectors)
    grids = tuple(
        ops.Expand.apply(reshape(v, [-1 if j == i else 1 for j in range(len(vectors))]), shape=shape)
        for i, v in enumerate(vectors)
    )
    return grids if indexing == "ij" or len(grids) < 2 else tuple(transpose(g, 0, 1) for g in grids)


def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """The `length` elements from `start` on along `dim`; a view.

    >>> import mydl
    >>> narrow(mydl.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    input, axis = tensor_along(input, dim, "narrow")
    if input.ndim == 0:
        raise RuntimeError("narrow: wanted at least one dimension, got a tensor of none")
    size, first, length = input.shape[axis], int_of(start, "narrow: start"), int_of(length, "narrow: length")
    first = first + size if first < 0 else first
    if length < 0 or not 0 <= first <= size - length:
        raise RuntimeError(
            f"narrow: {length} elements from {start} on do not lie in dimension {dim} of shape {input.shape}"
        )
    return Slice.apply(input, key=(slice(None),) * axis + (slice(first, first + length),))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at `index` along `dim`, without that dimension; a view.

    >>> import mydl
    >>> select(mydl.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    input, axis = tensor_along(input, dim, "select")
    if input.ndim == 0 or not -input.shape[axis] <= int_of(index, "select: index") < input.shape[axis]:
        raise IndexError(f"select: index {index} is out of range for dimension {dim} of shape {input.shape}")
    return Slice.apply(input, key=(slice(None),) * axis + (int(index),))


swapdims = transpose


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """As `transpose`, by NumPy's names.

    >>> import mydl
    >>> swapaxes(mydl.zeros(2, 3), axis0=0, axis1=1).shape
    (3, 2)
    """
    return transpose(input, axis0, axis1)


moveaxis = movedim


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged.

    >>> import mydl
    >>> adjoint(mydl.zeros(2, 3, 4)).shape
    (2, 4, 3)
    """
    return transpose(input, -2, -1) if require_tensor(input, "adjoint").ndim else input


def unfold(input: Tensor, dimension: int, size: int, step: int = 1) -> Tensor:
    """Windows of `size` elements along a dimension, `step` apart, as the last dimension; a copy.

    >>> import mydl
    >>> unfold(mydl.arange(5), 0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    input, axis = tensor_along(input, dimension, "unfold")
    length = input.shape[axis] if input.ndim else 1
    if not 0 <= size <= length or step < 1:
        raise RuntimeError(
            f"unfold: windows of {size} by steps of {step} do not lie in dimension {dimension} of {input.shape}"
        )
    if input.ndim == 0:
        return ops.Reshape.apply(input, shape=(1,))[:size]
    places = input.xp.arange(0, length - size + 1, step)[:, None] + input.xp.arange(size)
    return movedim(Take.apply(input, key=(slice(None),) * axis + (places,)), axis + 1, -1)
