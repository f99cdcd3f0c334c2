"""Square matrices and decompositions: solve, inv, det, slogdet with gradients; svd, qr, eigh, cholesky without."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mydl.autograd.modes import mode
from mydl.autograd.op import describe, tensor_of
from mydl.errors import DtypeError, LinAlgError, ShapeError
from mydl.functions.arguments import Tensor, require_floating
from mydl.functions.elementwise import exp, where
from mydl.functions.shape import transpose, unsqueeze
from mydl.ops.linalg import SLogDet, Solve

__all__ = [
    "cholesky", "det", "eigh", "eigvalsh", "inv", "inverse", "logdet", "matrix_rank", "pinv", "qr", "slogdet", "solve",
    "svd", "svdvals",
]  # fmt: skip


def _square(input: Any, name: str) -> Any:
    input = require_floating(input, name)
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        raise ShapeError(f"{name}: wanted square matrices, (…, n, n), got {describe(input)}")
    return input


def _constant(input: Any, name: str) -> Any:
    """The array of matrices whose decomposition carries no gradient."""
    input = require_floating(input, name)
    if input.ndim < 2:
        raise ShapeError(f"{name}: wanted matrices, (…, m, n), got {describe(input)}")
    if mode.grad and input.requires_grad:
        raise NotImplementedError(f"{name}: a gradient is not supported; use .detach()")
    return input.array


class _QR(NamedTuple):
    Q: Any
    R: Any


class _SVD(NamedTuple):
    U: Any
    S: Any
    Vh: Any


class _SLogDet(NamedTuple):
    sign: Any
    logabsdet: Any


class _Eigh(NamedTuple):
    eigenvalues: Any
    eigenvectors: Any


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B (or X A = B with left=False), A being (…, n, n) and B (…, n, k), (…, n) or (n,).

    >>> import mydl
    >>> solve(mydl.tensor([[2.0, 0.0], [0.0, 4.0]]), mydl.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    A, B = _square(A, "solve"), require_floating(B, "solve")
    if A.dtype != B.dtype:
        raise DtypeError(f"solve: wanted one dtype, got {describe(A)} and {describe(B)}")
    vectors = B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1])
    if B.ndim == 0 or B.shape[-1 if vectors or not left else -2] != A.shape[-1] or (vectors and not left):
        raise ShapeError(f"solve: {describe(A)} and {describe(B)} do not fit together")
    if not left:
        return transpose(Solve.apply(transpose(A, -1, -2), transpose(B, -1, -2)), -1, -2)
    return Solve.apply(A, unsqueeze(B, -1)).squeeze(-1) if vectors else Solve.apply(A, B)


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices.

    >>> import mydl
    >>> inv(mydl.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    A = _square(A, "inv")
    return Solve.apply(A, A.xp.eye(A.shape[-1], dtype=A.dtype))


def slogdet(A: Tensor) -> tuple[Tensor, Tensor]:
    """(sign, ln of the absolute value) of the determinants of square matrices.

    >>> import mydl
    >>> tuple(slogdet(mydl.eye(2)))
    (tensor(1.), tensor(0.))
    """
    return _SLogDet(*SLogDet.apply(_square(A, "slogdet")))


def logdet(input: Tensor) -> Tensor:
    """ln of the determinants of square matrices; NaN where one is negative.

    >>> import mydl
    >>> logdet(mydl.eye(2))
    tensor(0.)
    """
    sign, size = slogdet(_square(input, "logdet"))
    return where(sign < 0, float("nan"), size)


def det(input: Tensor) -> Tensor:
    """The determinants of square matrices; backward wants matrices that are not singular.

    >>> import mydl
    >>> round(det(mydl.tensor([[2.0, 0.0], [0.0, 4.0]])).item(), 4)
    8.0
    """
    sign, size = slogdet(_square(input, "det"))
    return sign * exp(size)


def cholesky(input: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with L LT = input, its transpose with upper=True; LinAlgError if there is none.

    >>> import mydl
    >>> cholesky(mydl.tensor([[4.0]]))
    tensor([[2.]])
    """
    array = _constant(_square(input, "cholesky"), "cholesky")
    try:
        lower = tensor_of(input.xp.linalg.cholesky(array))
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"cholesky: {error} (got {describe(input)})") from None
    return transpose(lower, -1, -2) if upper else lower


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R): A = Q R, Q with orthonormal columns, R upper triangular; `mode` is "reduced" or "complete".

    >>> import mydl
    >>> qr(mydl.eye(2)).R.shape
    (2, 2)
    """
    if mode not in ("reduced", "complete"):
        raise RuntimeError(f"qr: wanted 'reduced' or 'complete' as mode, got {mode!r}")
    return _QR(*map(tensor_of, A.xp.linalg.qr(_constant(A, "qr"), mode=mode)))


def svd(A: Tensor, full_matrices: bool = True) -> Any:
    """(U, S, Vh): A = U diag(S) Vh, the singular values S in descending order.

    >>> import mydl
    >>> svd(mydl.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    return _SVD(*map(tensor_of, A.xp.linalg.svd(_constant(A, "svd"), full_matrices=full_matrices)))


def svdvals(A: Tensor) -> Tensor:
    """The singular values in descending order.

    >>> import mydl
    >>> svdvals(mydl.tensor([[0.0, 2.0], [1.0, 0.0]]))
    tensor([2., 1.])
    """
    return tensor_of(A.xp.linalg.svd(_constant(A, "svdvals"), compute_uv=False))


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues, eigenvectors) of symmetric matrices, the eigenvalues in ascending order.

    >>> import mydl
    >>> eigh(mydl.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    return _Eigh(*map(tensor_of, A.xp.linalg.eigh(_constant(_square(A, "eigh"), "eigh"), UPLO)))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices in ascending order.

    >>> import mydl
    >>> eigvalsh(mydl.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return tensor_of(A.xp.linalg.eigvalsh(_constant(_square(A, "eigvalsh"), "eigvalsh"), UPLO))


def pinv(A: Tensor) -> Tensor:
    """The pseudo-inverse of matrices, singular values below max(m, n) eps times the largest counting as 0.

    >>> import mydl
    >>> pinv(mydl.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    array = _constant(A, "pinv")
    return tensor_of(A.xp.linalg.pinv(array, rcond=max(A.shape[-2:]) * A.xp.finfo(A.dtype).eps))


def matrix_rank(A: Tensor) -> Tensor:
    """How many singular values are above max(m, n) eps times the largest.

    >>> import mydl
    >>> matrix_rank(mydl.eye(2))
    tensor(2)
    """
    return tensor_of(A.xp.asarray(A.xp.linalg.matrix_rank(_constant(A, "matrix_rank")), dtype="int64"))


inverse = inv
