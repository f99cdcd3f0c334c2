"""Triangles and diagonals of matrices, in batches where there are more dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.op import tensor_of
from mydl.backend import on_device
from mydl.functions.arguments import Tensor, axis_of, require_tensor, shape_of
from mydl.functions.reduction import sum
from mydl.functions.shape import ravel
from mydl.ops.elementwise import Where
from mydl.ops.indexing import Diagonal, PlaceDiagonal

__all__ = ["diag", "diag_embed", "diagflat", "diagonal", "trace", "tril", "tril_indices", "triu", "triu_indices"]


def _triangle(input: Tensor, diagonal: int, lower: bool, name: str) -> Tensor:
    input = require_tensor(input, name)
    if input.ndim < 2:
        raise RuntimeError(f"{name}: wanted at least 2 dimensions, got shape {input.shape}")
    rows, columns = input.shape[-2:]
    kept = np.tri(rows, columns, diagonal if lower else diagonal - 1, dtype=bool)
    mask = input.xp.asarray(kept if lower else ~kept)
    return Where.apply(mask, input, input.xp.zeros((), input.dtype))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix, and 0 above its `diagonal`-th diagonal.

    >>> import mydl
    >>> tril(mydl.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle(input, diagonal, True, "tril")


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix, and 0 below its `diagonal`-th diagonal.

    >>> import mydl
    >>> triu(mydl.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _triangle(input, diagonal, False, "triu")


def _indices(kept: np.ndarray, dtype: Any, device: Any) -> Tensor:
    array = np.stack(np.nonzero(kept)).astype(np.int64 if dtype is None else dtype)
    return tensor_of(array if device is None else on_device(array, device))


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = np.int64, device: Any = None) -> Tensor:
    """(2, n): the rows and the columns of the elements that `tril` keeps.

    >>> import mydl
    >>> tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    rows, columns = shape_of((row, col), "tril_indices", least=0)
    return _indices(np.tri(rows, columns, offset, dtype=bool), dtype, device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = np.int64, device: Any = None) -> Tensor:
    """(2, n): the rows and the columns of the elements that `triu` keeps.

    >>> import mydl
    >>> triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    rows, columns = shape_of((row, col), "triu_indices", least=0)
    return _indices(~np.tri(rows, columns, offset - 1, dtype=bool), dtype, device)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, `offset` above the main one, as the last dimension; a view.

    >>> import mydl
    >>> diagonal(mydl.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """
    input = require_tensor(input, "diagonal")
    a, b = axis_of(dim1, input.ndim, "diagonal"), axis_of(dim2, input.ndim, "diagonal")
    if a == b:
        raise RuntimeError(f"diagonal: wanted two different dimensions, got {dim1} and {dim2} of shape {input.shape}")
    return Diagonal.apply(input, offset=offset, axis1=a, axis2=b)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices, 0 but for the last dimension of `input` on their diagonals.

    >>> import mydl
    >>> diag_embed(mydl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    input = require_tensor(input, "diag_embed")
    ndim = input.ndim + 1
    a, b = axis_of(dim1, ndim, "diag_embed"), axis_of(dim2, ndim, "diag_embed")
    if input.ndim == 0 or a == b:
        raise RuntimeError(f"diag_embed: wanted two different dims, got {dim1} and {dim2} for shape {input.shape}")
    size = input.shape[-1] + (offset if offset > 0 else -offset)
    shape = list(input.shape[:-1])
    for axis in sorted((a, b)):
        shape.insert(axis, size)
    if a > b:
        a, b, offset = b, a, -offset
    return PlaceDiagonal.apply(input, shape=tuple(shape), offset=offset, axis1=a, axis2=b)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix that has a vector as its diagonal.

    >>> import mydl
    >>> diag(mydl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    input = require_tensor(input, "diag")
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim == 2:
        return Diagonal.apply(input, offset=diagonal, axis1=0, axis2=1).clone()
    raise RuntimeError(f"diag: wanted a vector or a matrix, got shape {input.shape}")


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """The matrix that has all elements of `input` on its diagonal.

    >>> import mydl
    >>> diagflat(mydl.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(ravel(input), offset)


def trace(input: Tensor) -> Tensor:
    """The sum of the main diagonal of a matrix.

    >>> import mydl
    >>> trace(mydl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    input = require_tensor(input, "trace")
    if input.ndim != 2:
        raise RuntimeError(f"trace: wanted a matrix, got shape {input.shape}")
    return sum(Diagonal.apply(input, offset=0, axis1=0, axis2=1))
