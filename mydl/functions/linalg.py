"""Products of vectors and matrices. The operands of a product must have one dtype, as in PyTorch."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from mydl.autograd.op import describe, tensor_of
from mydl.errors import DtypeError, ShapeError
from mydl.functions.arguments import Number, Tensor, axis_of, int_of, require_floating, require_tensor
from mydl.functions.elementwise import where
from mydl.functions.reduction import norm
from mydl.functions.repeating import roll
from mydl.functions.shape import broadcast_tensors, expand, unsqueeze
from mydl.ops.arithmetic import Mul
from mydl.ops.linalg import MatMul
from mydl.ops.shape import Permute, Reshape

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "cdist", "chain_matmul", "cross", "dist", "dot", "ger",
    "inner", "kron", "matmul", "matrix_power", "mm", "mv", "outer", "renorm", "tensordot", "vander", "vdot",
]  # fmt: skip


def _matrices(name: str, input: Any, other: Any, ndims: tuple[int, int]) -> tuple[Any, Any]:
    """The two operands, checked to have the given numbers of dimensions and to fit."""
    x, y = require_tensor(input, name), require_tensor(other, name)
    if (x.ndim, y.ndim) != ndims:
        raise ShapeError(f"{name}: wanted {ndims[0]} and {ndims[1]} dimensions, got {describe(x)} and {describe(y)}")
    if x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0] or (ndims == (3, 3) and x.shape[0] != y.shape[0]):
        raise ShapeError(f"{name}: {describe(x)} and {describe(y)} do not fit together")
    _same_dtype(x, y, name)
    return x, y


def _same_dtype(x: Any, y: Any, name: str) -> None:
    if x.dtype != y.dtype:
        raise DtypeError(f"{name}: wanted operands of one dtype, got {describe(x)} and {describe(y)}")


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """input @ other: vectors, matrices, and batches of matrices whose leading dimensions broadcast.

    >>> import mydl
    >>> matmul(mydl.ones(2, 3), mydl.ones(3))
    tensor([3., 3.])
    """
    return MatMul.apply(require_tensor(input, "matmul"), require_tensor(other, "matmul"))


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices.

    >>> import mydl
    >>> mm(mydl.ones(1, 2), mydl.ones(2, 1))
    tensor([[2.]])
    """
    return MatMul.apply(*_matrices("mm", input, mat2, (2, 2)))


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, (B, n, m) and (B, m, p).

    >>> import mydl
    >>> bmm(mydl.ones(3, 1, 2), mydl.ones(3, 2, 1)).shape
    (3, 1, 1)
    """
    return MatMul.apply(*_matrices("bmm", input, mat2, (3, 3)))


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector.

    >>> import mydl
    >>> mv(mydl.ones(2, 3), mydl.ones(3))
    tensor([3., 3.])
    """
    return MatMul.apply(*_matrices("mv", input, vec, (2, 1)))


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors.

    >>> import mydl
    >>> dot(mydl.tensor([1.0, 2.0]), mydl.tensor([3.0, 4.0]))
    tensor(11.)
    """
    return MatMul.apply(*_matrices("dot", input, tensor, (1, 1)))


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products along the last dimension of both; a product where one is a number.

    >>> import mydl
    >>> inner(mydl.ones(2, 3), mydl.ones(4, 3)).shape
    (2, 4)
    """
    input, other = require_tensor(input, "inner"), require_tensor(other, "inner")
    if input.ndim == 0 or other.ndim == 0:
        return Mul.apply(input, other)
    return tensordot(input, other, ([-1], [-1]))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of each element of one vector with each of another, as a matrix.

    >>> import mydl
    >>> outer(mydl.tensor([1, 2]), mydl.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    x, y = require_tensor(input, "outer"), require_tensor(vec2, "outer")
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(f"outer: wanted two vectors, got {describe(x)} and {describe(y)}")
    return Mul.apply(Reshape.apply(x, shape=(-1, 1) if x.numel() else (0, 1)), y)


def _added(input: Any, product: Any, beta: Number, alpha: Number, name: str) -> Any:
    """beta * input + alpha * product; with beta 0 the input does not count, NaN or not."""
    input = require_tensor(input, name)
    spare = product.ndim - input.ndim
    if spare < 0 or any(n not in (1, m) for n, m in zip(input.shape, product.shape[spare:])):
        raise ShapeError(f"{name}: {describe(input)} does not broadcast to the product's shape {product.shape}")
    if alpha != 1:
        product = product * alpha
    if beta == 0:
        return product
    if input.dtype != product.dtype:
        raise DtypeError(f"{name}: wanted one dtype, got {describe(input)} and a product of {product.dtype}")
    return product + (input if beta == 1 else input * beta)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * the sum over a batch of batch1 @ batch2.

    >>> import mydl
    >>> addbmm(mydl.ones(1, 1), mydl.ones(3, 1, 2), mydl.ones(3, 2, 1))
    tensor([[7.]])
    """
    return _added(input, MatMul.apply(*_matrices("addbmm", batch1, batch2, (3, 3))).sum(0), beta, alpha, "addbmm")


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2).

    >>> import mydl
    >>> addr(mydl.ones(1, 2), mydl.ones(1), mydl.tensor([1.0, 2.0]))
    tensor([[2., 3.]])
    """
    return _added(input, outer(vec1, vec2), beta, alpha, "addr")


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * mat1 @ mat2.

    >>> import mydl
    >>> addmm(mydl.ones(1), mydl.ones(1, 2), mydl.ones(2, 1))
    tensor([[3.]])
    """
    return _added(input, MatMul.apply(*_matrices("addmm", mat1, mat2, (2, 2))), beta, alpha, "addmm")


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * mat @ vec.

    >>> import mydl
    >>> addmv(mydl.ones(1), mydl.ones(1, 2), mydl.ones(2))
    tensor([3.])
    """
    return _added(input, MatMul.apply(*_matrices("addmv", mat, vec, (2, 1))), beta, alpha, "addmv")


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Number = 1, alpha: Number = 1) -> Tensor:
    """beta * input + alpha * batch1 @ batch2, for batches of matrices.

    >>> import mydl
    >>> baddbmm(mydl.ones(1, 1, 1), mydl.ones(1, 1, 2), mydl.ones(1, 2, 1))
    tensor([[[3.]]])
    """
    return _added(input, MatMul.apply(*_matrices("baddbmm", batch1, batch2, (3, 3))), beta, alpha, "baddbmm")


def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Sequence[int]] = 2) -> Tensor:
    """The sums of products over pairs of dimensions: the last `dims` of a with the first of b, or two lists of them.

    >>> import mydl
    >>> tensordot(mydl.ones(2, 3, 4), mydl.ones(3, 4, 5)).shape
    (2, 5)
    """
    a, b = require_tensor(a, "tensordot"), require_tensor(b, "tensordot")
    _same_dtype(a, b, "tensordot")
    if isinstance(dims, int):
        if not 0 <= dims <= min(a.ndim, b.ndim):
            raise ShapeError(f"tensordot: {dims} dims of {describe(a)} and {describe(b)}")
        of_a, of_b = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        of_a = [axis_of(d, a.ndim, "tensordot") for d in dims[0]]
        of_b = [axis_of(d, b.ndim, "tensordot") for d in dims[1]]
    if [a.shape[i] for i in of_a] != [b.shape[i] for i in of_b]:
        raise ShapeError(f"tensordot: dims {of_a} and {of_b} of {describe(a)} and {describe(b)} do not fit together")
    free_a = [i for i in range(a.ndim) if i not in of_a]
    free_b = [i for i in range(b.ndim) if i not in of_b]
    return contract(a, b, [], free_a, of_a, [], free_b, of_b)


def contract(
    a: Tensor, b: Tensor, batch_a: list, free_a: list, summed_a: list, batch_b: list, free_b: list, summed_b: list
) -> Tensor:
    """The product of a and b summed over pairs of dimensions, as one batched matrix product.

    The result has the batch dimensions, then the free ones of a, then those of b.
    """

    def size(x: Any, axes: list) -> int:
        return math.prod(x.shape[axis] for axis in axes)

    batch, rows, inner_size, columns = size(a, batch_a), size(a, free_a), size(a, summed_a), size(b, free_b)
    left = Reshape.apply(Permute.apply(a, axes=(*batch_a, *free_a, *summed_a)), shape=(batch, rows, inner_size))
    right = Reshape.apply(Permute.apply(b, axes=(*batch_b, *summed_b, *free_b)), shape=(batch, inner_size, columns))
    # One column of products needs no sum; the broadcast product is faster there.
    product = Mul.apply(left, right) if inner_size == 1 else MatMul.apply(left, right)
    shape = [a.shape[i] for i in (*batch_a, *free_a)] + [b.shape[i] for i in free_b]
    return Reshape.apply(product, shape=tuple(shape))


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of several matrices, from left to right.

    >>> import mydl
    >>> chain_matmul(mydl.ones(1, 2), mydl.ones(2, 3), mydl.ones(3, 1))
    tensor([[6.]])
    """
    return functools.reduce(mm, matrices)


def matrix_power(input: Tensor, n: int) -> Tensor:
    """The product of n copies of a square matrix, or of a batch of them, n being 0 or more.

    >>> import mydl
    >>> matrix_power(mydl.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
    tensor([[1., 3.],
            [0., 1.]])
    """
    input = require_tensor(input, "matrix_power")
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ShapeError(f"matrix_power: wanted square matrices, got {describe(input)}")
    n = int_of(n, "matrix_power: n")
    if n < 0:
        raise NotImplementedError("matrix_power: a negative power is not supported; use mydl.linalg.inv first")
    if n == 0:
        return expand(tensor_of(input.xp.eye(input.shape[-1], dtype=input.dtype)), input.shape).clone()
    half = matrix_power(input, n // 2) if n > 1 else input
    return input if n == 1 else half @ half if n % 2 == 0 else half @ half @ input


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other.

    >>> import mydl
    >>> dist(mydl.tensor([3.0, 4.0]), mydl.zeros(2))
    tensor(5.)
    """
    return norm(require_tensor(input, "dist") - require_tensor(other, "dist"), p)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norms of the differences of each row of x1 (…, n, m) from each row of x2 (…, k, m): (…, n, k).

    The differences themselves are computed, whatever `compute_mode` says.

    >>> import mydl
    >>> cdist(mydl.tensor([[0.0, 0.0], [3.0, 4.0]]), mydl.zeros(1, 2))
    tensor([[0.],
            [5.]])
    """
    x1, x2 = require_floating(x1, "cdist"), require_floating(x2, "cdist")
    _same_dtype(x1, x2, "cdist")
    if p < 0:
        raise RuntimeError(f"cdist: wanted p of 0 or more, got {p}")
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(f"cdist: wanted (…, n, m) and (…, k, m), got {describe(x1)} and {describe(x2)}")
    return norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1)


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of three elements along `dim`, by default the first dimension of that size.

    >>> import mydl
    >>> cross(mydl.tensor([1, 0, 0]), mydl.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    a, b = broadcast_tensors(require_tensor(input, "cross"), require_tensor(other, "cross"))
    _same_dtype(a, b, "cross")
    axis = next((i for i, n in enumerate(a.shape) if n == 3), 0) if dim is None else axis_of(dim, a.ndim, "cross")
    if a.ndim == 0 or a.shape[axis] != 3:
        raise ShapeError(f"cross: wanted three elements along dim {dim}, got {describe(a)}")
    return roll(a, -1, axis) * roll(b, -2, axis) - roll(a, -2, axis) * roll(b, -1, axis)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of input times the whole of other, laid out in its place.

    >>> import mydl
    >>> kron(mydl.tensor([1, 10]), mydl.tensor([1, 2]))
    tensor([ 1,  2, 10, 20])
    """
    a, b = require_tensor(input, "kron"), require_tensor(other, "kron")
    ndim = max(a.ndim, b.ndim)
    outer_sizes, inner_sizes = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    spread = Reshape.apply(a, shape=tuple(n for size in outer_sizes for n in (size, 1)))
    product = spread * Reshape.apply(b, shape=tuple(n for size in inner_sizes for n in (1, size)))
    return Reshape.apply(product, shape=tuple(m * n for m, n in zip(outer_sizes, inner_sizes)))


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """(n, N): the powers N - 1 to 0 of each element of a vector, or 0 to N - 1.

    >>> import mydl
    >>> vander(mydl.tensor([1, 2]), 3)
    tensor([[1, 1, 1],
            [4, 2, 1]])
    """
    if require_tensor(x, "vander").ndim != 1:
        raise ShapeError(f"vander: wanted a vector, got {describe(x)}")
    powers = x.xp.arange(len(x) if N is None else N)
    return Reshape.apply(x, shape=(len(x), 1)) ** tensor_of(powers if increasing else powers[::-1].copy())


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """input with its slices along `dim` scaled down to the p-norm `maxnorm` where that is exceeded.

    >>> import mydl
    >>> renorm(mydl.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    input = require_floating(input, "renorm")
    axis = axis_of(dim, input.ndim, "renorm")
    if input.ndim < 2 or p <= 0 or maxnorm < 0:
        raise RuntimeError(
            f"renorm: wanted 2 dimensions or more, p > 0, maxnorm >= 0, got {describe(input)}, {p}, {maxnorm}"
        )
    sizes = norm(input, p, tuple(i for i in range(input.ndim) if i != axis), keepdim=True)
    return input * where(sizes > maxnorm, maxnorm / (sizes + 1e-7), 1.0)


ger, vdot = outer, dot
