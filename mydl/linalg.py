"""Linear algebra by the names of torch.linalg."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.errors import LinAlgError
from mydl.functions.arguments import Tensor, axis_of, require_floating
from mydl.functions.elementwise import abs
from mydl.functions.linalg import cross as _cross
from mydl.functions.linalg import matmul, matrix_power
from mydl.functions.matrices import (
    cholesky,
    det,
    eigh,
    eigvalsh,
    inv,
    matrix_rank,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
)
from mydl.functions.reduction import amax, amin, sum
from mydl.functions.reduction import norm as _norm
from mydl.functions.shape import movedim
from mydl.functions.triangles import diagonal as _diagonal

__all__ = [
    "LinAlgError", "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "vecdot",
    "vector_norm",
]  # fmt: skip


def vector_norm(x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """(sum |x|**ord) ** (1/ord) over `dim`, all dimensions by default.

    >>> import mydl
    >>> vector_norm(mydl.tensor([[3.0], [-4.0]]))
    tensor(5.)
    """
    return _norm(x, ord, dim, keepdim, dtype)


def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm of matrices: "fro", "nuc", 1 and -1 (sums of columns), inf and -inf (of rows), 2 and -2 (no gradient).

    >>> import mydl
    >>> matrix_norm(mydl.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor(6.)
    """
    A = require_floating(A, "matrix_norm")
    A = A if dtype is None else A.to(dtype)
    rows, columns = (axis_of(d, A.ndim, "matrix_norm") for d in dim)
    if ord == "fro":
        return _norm(A, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        values = svdvals(movedim(A, (rows, columns), (-2, -1)))
        result = sum(values, -1) if ord == "nuc" else (amax if ord == 2 else amin)(values, -1)
    elif ord in (1, -1, np.inf, -np.inf):
        summed, other = (columns, rows) if np.isinf(ord) else (rows, columns)
        result = (amax if ord > 0 else amin)(sum(abs(A), summed, True), (summed, other))
    else:
        raise RuntimeError(f"matrix_norm: wanted fro, nuc, 1, -1, 2, -2, inf or -inf as ord, got {ord!r}")
    return result if not keepdim else result.reshape([1 if i in (rows, columns) else n for i, n in enumerate(A.shape)])


def norm(A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """`matrix_norm` where two dimensions, or a matrix and an `ord`, are given; otherwise `vector_norm`.

    >>> import mydl
    >>> norm(mydl.tensor([3.0, 4.0])), norm(mydl.eye(2), "fro")
    (tensor(5.), tensor(1.4142))
    """
    A = require_floating(A, "norm")
    pair = A.ndim == 2 if dim is None else isinstance(dim, Sequence) and len(dim) == 2
    if isinstance(ord, str) or (ord is not None and pair):
        return matrix_norm(A, ord, (0, 1) if dim is None else dim, keepdim, dtype=dtype)
    return _norm(A, 2 if ord is None else ord, dim, keepdim, dtype)


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices; the first and the last may be vectors.

    >>> import mydl
    >>> multi_dot([mydl.ones(2), mydl.ones(2, 3), mydl.ones(3)])
    tensor(6.)
    """
    return functools.reduce(matmul, tensors)


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of three elements along `dim`.

    >>> import mydl
    >>> cross(mydl.tensor([1, 0, 0]), mydl.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    return _cross(input, other, dim)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sums of products of vectors along `dim`; the two broadcast.

    >>> import mydl
    >>> vecdot(mydl.ones(2, 3), mydl.ones(3))
    tensor([3., 3.])
    """
    x, y = require_floating(x, "vecdot"), require_floating(y, "vecdot")
    if x.dtype != y.dtype:
        raise RuntimeError(f"vecdot: wanted one dtype, got {x.dtype} and {y.dtype}")
    return sum(x * y, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of the last two dimensions.

    >>> import mydl
    >>> diagonal(mydl.eye(2))
    tensor([1., 1.])
    """
    return _diagonal(A, offset, dim1, dim2)
