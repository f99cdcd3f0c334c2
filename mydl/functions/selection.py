"""Elements chosen by index tensors and masks, and put back: gather, scatter, index_select, masked_fill, take, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import describe, tensor_of
from mydl.backend import array_module
from mydl.errors import RangeError
from mydl.functions.arguments import Number, Tensor, as_tensor_operand, axis_of, integer_range, require_tensor, shape_of
from mydl.functions.conversion import filling
from mydl.functions.indexing import read_key
from mydl.functions.shape import broadcast_tensors
from mydl.ops.arithmetic import Add, Mul
from mydl.ops.elementwise import Where
from mydl.ops.indexing import Gather, PlaceAt, Put, Scatter, ScatterPut, Slice, Take, along
from mydl.ops.shape import Expand, Reshape

__all__ = [
    "argwhere", "gather", "index_add", "index_copy", "index_fill", "index_put", "index_select", "masked_fill",
    "masked_scatter", "masked_select", "nonzero", "put", "scatter", "scatter_add", "scatter_reduce", "take",
    "take_along_dim", "unravel_index",
]  # fmt: skip


def _index_array(index: Any, input: Any, dim: int, name: str) -> tuple[Any, int]:
    """The index as an array, checked, and the axis that it counts along."""
    index = require_tensor(index, name)
    axis = axis_of(dim, input.ndim, name)
    if index.dtype.kind not in "iu" or index.dtype.itemsize < 4:
        raise RuntimeError(f"{name}: wanted an index of int64, got {describe(index)}")
    if index.device != input.device:
        raise RuntimeError(f"{name}: the index is on {index.device}, the tensor on {input.device}")
    size = input.shape[axis] if input.ndim else 1
    if index.numel():
        low, high = integer_range(index)
        if low < 0 or high >= size:
            wrong = low if low < 0 else high
            raise RangeError(f"{name}: index {wrong} is out of range for dim {dim} of size {size}, shape {input.shape}")
    return index.array, axis


def _aligned(index: Any, input: Any, axis: int, name: str, source: Any = None) -> Any:
    """An index that has a dimension for each of the tensor's, none longer but for `axis`."""
    ndim = max(input.ndim, 1)
    if max(index.ndim, 1) != ndim or (isinstance(source, Variable) and source.ndim and max(source.ndim, 1) != ndim):
        raise RuntimeError(f"{name}: wanted an index of {input.ndim} dimensions, got {index.shape} for {input.shape}")
    for i, n in enumerate(index.shape):
        if i != axis and input.ndim and n > input.shape[i]:
            raise RuntimeError(f"{name}: an index of {index.shape} is too large for {input.shape} at dimension {i}")
        if isinstance(source, Variable) and source.ndim and n > source.shape[i]:
            raise RuntimeError(f"{name}: an index of shape {index.shape} is too large for a source of {source.shape}")
    return index


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """y[i][j][k] = input[index[i][j][k]][j][k] for dim 0, input[i][index[i][j][k]][k] for dim 1, and so on.

    >>> import mydl
    >>> gather(mydl.tensor([[1, 2], [3, 4]]), 1, mydl.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])
    """
    input = require_tensor(input, "gather")
    array, axis = _index_array(index, input, dim, "gather")
    if array.size == 0:
        return Take.apply(Reshape.apply(input, shape=(-1,)), key=(array,))
    array = _aligned(array, input, axis, "gather")
    if array.ndim == 0 and input.ndim == 1:
        return Slice.apply(input, key=(int(array),))
    return Gather.apply(input, index=array, axis=axis)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with the other dimensions of both broadcast; without `dim`, of the flattened tensor.

    >>> import mydl
    >>> take_along_dim(mydl.tensor([[1, 2], [3, 4]]), mydl.tensor([[1], [0]]), 1)
    tensor([[2],
            [3]])
    """
    input, indices = require_tensor(input, "take_along_dim"), require_tensor(indices, "take_along_dim")
    if dim is None:
        return take(input, Reshape.apply(indices, shape=(-1,)))
    axis = axis_of(dim, input.ndim, "take_along_dim")
    if input.ndim != indices.ndim:
        raise RuntimeError(f"take_along_dim: wanted as many dimensions, got {describe(input)} and {describe(indices)}")
    try:
        others = np.broadcast_shapes(*((*s.shape[:axis], 1, *s.shape[axis + 1 :]) for s in (input, indices)))
    except ValueError:
        raise RuntimeError(f"take_along_dim: {describe(input)} and {describe(indices)} do not fit together") from None
    wide = [Expand.apply(x, shape=(*others[:axis], x.shape[axis], *others[axis + 1 :])) for x in (input, indices)]
    return gather(wide[0], axis, wide[1])


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at `index` of the flattened tensor, in the shape of the index.

    >>> import mydl
    >>> take(mydl.tensor([[1, 2], [3, 4]]), mydl.tensor([0, 3]))
    tensor([1, 4])
    """
    flat = Reshape.apply(require_tensor(input, "take"), shape=(-1,))
    index = require_tensor(index, "take")
    array = index.array
    if array.dtype.kind not in "iu":
        raise RuntimeError(f"take: wanted an index of int64, got {describe(index)}")
    low, high = integer_range(index) if array.size else (0, -1)
    if low < -flat.numel() or high >= flat.numel():
        raise RangeError(f"take: an index is out of range for {flat.numel()} elements")
    return Take.apply(flat, key=(array,))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along `dim` at the places that a vector of indices names.

    >>> import mydl
    >>> index_select(mydl.tensor([[1, 2], [3, 4]]), 1, mydl.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    input = require_tensor(input, "index_select")
    key, wanted = _slices(index, input, dim, "index_select")
    if input.ndim == 0:
        if wanted[0] > 1:
            raise RuntimeError(f"index_select: wanted one index for a tensor of no dimensions, got {wanted[0]}")
        return input.clone()
    return Take.apply(input, key=key)


def _slices(index: Any, input: Any, dim: int, name: str) -> tuple[tuple, tuple]:
    """The key of the slices along `dim` that a vector of indices names, and their shape."""
    array, axis = _index_array(index, input, dim, name)
    if array.ndim > 1:
        raise IndexError(f"{name}: wanted a vector of indices, got shape {array.shape}")
    key = (slice(None),) * axis + (array.reshape(-1),)
    return key, (*input.shape[:axis], array.size, *input.shape[axis + 1 :])


def _one_value(value: Any, input: Any, name: str) -> Any:
    """A number or a 0-d tensor as a tensor of the input's dtype."""
    if not isinstance(value, Variable):
        value = tensor_of(input.xp.asarray(filling(value, input.dtype, name)))
    if value.ndim:
        raise RuntimeError(f"{name}: wanted a number or a 0-d tensor as value, got shape {value.shape}")
    return value.to(input.dtype)


def _vector_of(x: Any) -> Any:
    """A tensor of zero dimensions as a vector of one element."""
    return Reshape.apply(x, shape=(1,)) if x.ndim == 0 else x


def _as_vectors(input: Any, index: Any, source: Any) -> tuple[Any, Any]:
    """What goes into a vector: an index and a source of zero dimensions count as one element of it."""
    if input.ndim != 1:
        return index, source
    return tuple(_vector_of(x) if isinstance(x, Variable) else x for x in (index, source))


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Number = 1) -> Tensor:
    """input with alpha times the slices of `source` added at the places along `dim` that `index` names.

    >>> import mydl
    >>> index_add(mydl.zeros(3), 0, mydl.tensor([0, 0, 2]), mydl.ones(3))
    tensor([2., 0., 1.])
    """
    input, source = require_tensor(input, "index_add"), require_tensor(source, "index_add")
    key, wanted = _slices(index, input, dim, "index_add")
    if input.ndim == 0 and source.ndim == 0:
        return Reshape.apply(index_add(_vector_of(input), 0, index, _vector_of(source), alpha=alpha), shape=())
    if source.dtype != input.dtype:
        raise RuntimeError(f"index_add: wanted a source of {input.dtype}, got {source.dtype}")
    if source.shape != wanted:
        raise RuntimeError(f"index_add: wanted a source of shape {wanted}, got {source.shape}")
    scaled = source if alpha == 1 else Mul.apply(source, alpha)
    return Add.apply(input, PlaceAt.apply(scaled, key=key, shape=input.shape))


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """input with its slices along `dim` that `index` names replaced by those of `source`.

    >>> import mydl
    >>> index_copy(mydl.zeros(3), 0, mydl.tensor([2, 0]), mydl.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    input, source = require_tensor(input, "index_copy"), require_tensor(source, "index_copy")
    key, wanted = _slices(index, input, dim, "index_copy")
    if input.ndim == 0:
        return Reshape.apply(index_copy(_vector_of(input), 0, index, _vector_of(source)), shape=())
    _, source = _as_vectors(input, index, source)
    if source.shape != wanted or source.dtype != input.dtype:
        raise RangeError(f"index_copy: wanted a source of {wanted} {input.dtype}, got {describe(source)}")
    return Put.apply(input, source, key=key)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Tensor | Number) -> Tensor:
    """input with `value` in its slices along `dim` that `index` names.

    >>> import mydl
    >>> index_fill(mydl.zeros(3), 0, mydl.tensor([0, 2]), 1)
    tensor([1., 0., 1.])
    """
    input = require_tensor(input, "index_fill")
    key, _ = _slices(index, input, dim, "index_fill")
    if input.ndim == 0:
        return Reshape.apply(index_fill(_vector_of(input), 0, index, value), shape=())
    return Put.apply(input, _one_value(value, input, "index_fill"), key=key)


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor | Number | None = None,
    *,
    value: Number | None = None,
    reduce: str | None = None,
) -> Tensor:
    """input with src[i][j][k] at [index[i][j][k]][j][k] for dim 0, and so on; a number may be given as `value`.

    With reduce="add" it is added there instead. Where an index repeats, which value wins is left open, as in
    PyTorch, unless they are added.

    >>> import mydl
    >>> scatter(mydl.zeros(2, 3), 1, mydl.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if (src is None) == (value is None):
        raise TypeError("scatter: wanted either src or value")
    src = value if src is None else src
    input = require_tensor(input, "scatter")
    index, src = _as_vectors(input, index, src)
    array, axis = _index_array(index, input, dim, "scatter")
    _aligned(array, input, axis, "scatter", src)
    if isinstance(src, Variable) and src.dtype != input.dtype:
        raise RuntimeError(f"scatter: wanted a source of {input.dtype}, got {describe(src)}")
    if array.size == 0:
        return input.clone()
    if reduce is not None:
        if reduce != "add":
            raise NotImplementedError(f"scatter: reduce={reduce!r} is not supported; only 'add' is")
        if not isinstance(src, Variable):
            src = tensor_of(input.xp.full(array.shape, src, input.dtype))
        return scatter_add(input, dim, index, src)
    source = src if isinstance(src, Variable) else as_tensor_operand(src, input).to(input.dtype)
    return ScatterPut.apply(input, source, index=array, axis=axis)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """input with src[i][j][k] added at [index[i][j][k]][j][k] for dim 0, and so on.

    >>> import mydl
    >>> scatter_add(mydl.zeros(3), 0, mydl.tensor([0, 0, 2]), mydl.ones(3))
    tensor([2., 0., 1.])
    """
    input, src = require_tensor(input, "scatter_add"), require_tensor(src, "scatter_add")
    index, src = _as_vectors(input, index, src)
    array, axis = _index_array(index, input, dim, "scatter_add")
    _aligned(array, input, axis, "scatter_add", src)
    if src.dtype != input.dtype:
        raise RuntimeError(f"scatter_add: wanted a source of {input.dtype}, got {describe(src)}")
    if array.size == 0:
        return input.clone()
    return Add.apply(input, Scatter.apply(src, index=array, axis=axis, shape=input.shape))


def _mask(mask: Any, name: str) -> Any:
    mask = require_tensor(mask, name)
    if mask.dtype != bool:
        raise RuntimeError(f"{name}: wanted a mask of booleans, got {describe(mask)}")
    return mask


def masked_fill(input: Tensor, mask: Tensor, value: Tensor | Number) -> Tensor:
    """input with `value`, a number or a 0-d tensor, where the mask is True.

    >>> import mydl
    >>> masked_fill(mydl.zeros(2), mydl.tensor([True, False]), -1)
    tensor([-1.,  0.])
    """
    input, mask = require_tensor(input, "masked_fill"), _mask(mask, "masked_fill")
    return Where.apply(mask, _one_value(value, input, "masked_fill"), input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is True, in one dimension; both are broadcast.

    >>> import mydl
    >>> masked_select(mydl.tensor([1, 2, 3]), mydl.tensor([True, False, True]))
    tensor([1, 3])
    """
    input, mask = broadcast_tensors(require_tensor(input, "masked_select"), _mask(mask, "masked_select"))
    return Take.apply(_vector_of(input), key=(_vector_of(mask).array,))


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """input with the elements of `source`, in their order, where the mask is True.

    >>> import mydl
    >>> masked_scatter(mydl.zeros(3), mydl.tensor([True, False, True]), mydl.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    input, mask = broadcast_tensors(require_tensor(input, "masked_scatter"), _mask(mask, "masked_scatter"))
    source = require_tensor(source, "masked_scatter")
    count = int(mask.array.sum())
    if source.numel() < count or source.dtype != input.dtype:
        raise RuntimeError(
            f"masked_scatter: wanted {count} elements of {input.dtype} as source, got {describe(source)}"
        )
    return Put.apply(input, Reshape.apply(source, shape=(-1,))[:count], key=(mask.array,))


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """(n, ndim): the indices of the elements that are not 0; with as_tuple a vector for each dimension.

    >>> import mydl
    >>> nonzero(mydl.tensor([0, 2, 3]))
    tensor([[1],
            [2]])
    """
    input = require_tensor(input, "nonzero")
    xp = input.xp
    if input.ndim == 0 and not as_tuple:
        return tensor_of(xp.zeros((int(bool(input.array)), 0), np.int64))
    indices = xp.atleast_1d(input.array).nonzero()
    return tuple(tensor_of(i) for i in indices) if as_tuple else tensor_of(xp.stack(indices, axis=1))


def argwhere(input: Tensor) -> Tensor:
    """As `nonzero`.

    >>> import mydl
    >>> argwhere(mydl.tensor([0, 2])).shape
    (1, 1)
    """
    return nonzero(input)


def index_put(input: Tensor, indices: Sequence[Tensor], values: Tensor, accumulate: bool = False) -> Tensor:
    """input with `values` at input[indices], or added there, repeated places adding up.

    >>> import mydl
    >>> index_put(mydl.zeros(3), [mydl.tensor([0, 0])], mydl.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])
    """
    input, values = require_tensor(input, "index_put"), require_tensor(values, "index_put")
    if values.dtype != input.dtype:
        raise RuntimeError(f"index_put: wanted values of {input.dtype}, got {describe(values)}")
    # an index of zero dimensions would be one of the ints, which `read_key` keeps apart
    places = (_vector_of(i) if isinstance(i, Variable) and i.dtype != bool else i for i in indices)
    _, key = read_key(tuple(places), input.array)
    if not accumulate:
        return Put.apply(input, values, key=key)
    wide = Expand.apply(values, shape=input.array[key].shape)
    return Add.apply(input, PlaceAt.apply(wide, key=key, shape=input.shape))


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """input with the elements of `source` at `index` of the flattened tensor, or added there.

    >>> import mydl
    >>> put(mydl.zeros(2, 2), mydl.tensor([1, 2]), mydl.tensor([5.0, 6.0]))
    tensor([[0., 5.],
            [6., 0.]])
    """
    flat, places, values = (Reshape.apply(require_tensor(x, "put"), shape=(-1,)) for x in (input, index, source))
    if len(places) != len(values):
        raise RangeError(f"put: wanted as many elements as indices, got {describe(source)} for {describe(index)}")
    return Reshape.apply(index_put(flat, (places,), values, accumulate), shape=input.shape)


def _extreme_at(best: Any, key: Any, values: Any, name: str) -> Any:
    """`best` with the maximum or minimum of it and `values` at `key`, in a dtype of which a GPU has atomic ones."""
    xp, dtype = array_module(best), best.dtype
    if xp is np or dtype in (np.float32, np.float64):
        getattr(xp, name).at(best, key, values)
        return best
    if dtype.kind == "f":
        return _extreme_at(best.astype(np.float32), key, values.astype(np.float32), name).astype(dtype)
    sign = np.uint64(1 << 63)  # turned over, it puts the negative numbers below the others
    best, values = (array.astype(np.int64).view(np.uint64) ^ sign for array in (best, values))
    getattr(xp, name).at(best, key, values)
    return (best ^ sign).view(np.int64).astype(dtype)


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """input with src[i][j][k] taken in at [index[i][j][k]][j][k] for dim 0, and so on.

    `reduce` is "sum", "mean", "amax" or "amin"; the input's own elements count where nothing is taken in, and
    elsewhere with `include_self`. Those that share an extreme share its gradient.

    >>> import mydl
    >>> scatter_reduce(mydl.zeros(2), 0, mydl.tensor([0, 0]), mydl.tensor([3.0, 5.0]), "mean", include_self=False)
    tensor([4., 0.])
    """
    if reduce not in ("sum", "mean", "amax", "amin"):
        raise NotImplementedError(f"scatter_reduce: reduce={reduce!r} is not supported; sum, mean, amax and amin are")
    input, src = require_tensor(input, "scatter_reduce"), require_tensor(src, "scatter_reduce")
    index, src = _as_vectors(input, index, src)
    ones = tensor_of(src.xp.ones_like(src.array))
    counts = scatter_add(tensor_of(input.xp.zeros_like(input.array)), dim, index, ones)
    own = (counts == 0).to(input.dtype) if not include_self else tensor_of(input.xp.ones_like(input.array))
    counts = counts + own
    if reduce in ("sum", "mean"):
        total = scatter_add(Where.apply(own.bool(), input, 0), dim, index, src)
        if reduce == "sum":
            return total
        return total / counts if input.dtype.kind == "f" else total // counts
    array, axis = index.array, axis_of(dim, input.ndim, "scatter_reduce")
    key, part = along(input.xp, array, axis), tuple(slice(0, n) for n in array.shape)
    limit = -np.inf if reduce == "amax" else np.inf
    if input.dtype.kind == "b":
        limit = reduce == "amin"
    elif input.dtype.kind != "f":
        limit = getattr(np.iinfo(input.dtype), "min" if reduce == "amax" else "max")
    best = input.xp.where(own.array != 0, input.array, input.dtype.type(limit))
    best = _extreme_at(best, key, src.array[part], "maximum" if reduce == "amax" else "minimum")
    if input.dtype.kind != "f":
        return tensor_of(best)
    # best as the mean of the elements that are equal to it, so that they share the gradient
    theirs, mine = tensor_of(src.array[part] == best[key]), tensor_of((input.array == best) & (own.array != 0))
    hits = scatter_add(mine.to(input.dtype), dim, index, theirs.to(input.dtype))
    return scatter_add(Where.apply(mine, input, 0), dim, index, Where.apply(theirs, src[part], 0)) / hits


def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The place along each dimension of the elements that `indices` name in a flattened tensor of that shape.

    >>> import mydl
    >>> unravel_index(mydl.tensor([0, 5]), (2, 3))
    (tensor([0, 1]), tensor([0, 2]))
    """
    indices = require_tensor(indices, "unravel_index")
    sizes = shape_of((shape,), "unravel_index")
    return tuple(tensor_of(i) for i in indices.xp.unravel_index(indices.array, sizes))
