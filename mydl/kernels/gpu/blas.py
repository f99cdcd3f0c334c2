"""Matrix products by a cuBLAS handle of our own: CuPy's refuses to work while a stream is captured.

Not yet run on a GPU.
"""

from __future__ import annotations

import ctypes
import math
import sys
from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.kernels import capture, reference

__all__ = ["CuBLAS", "load_library", "matmul"]

WORKSPACE = 32 * 2**20  # bytes, as NVIDIA recommends for Hopper
# cudaDataType, cublasComputeType and the scalars' C type
_TYPES: dict[np.dtype, tuple[int, int, Any]] = {
    np.dtype(np.float32): (0, 68, ctypes.c_float),
    np.dtype(np.float64): (1, 70, ctypes.c_double),
    np.dtype(np.float16): (2, 68, ctypes.c_float),
}


def matmul(a: Any, b: Any, out: Any = None, bias: Any = None) -> Any:
    """As `reference.matmul`: by CuPy, or while a step is captured or warmed up by our own cuBLAS handle."""
    if capture.products is None or a.dtype not in _TYPES or a.dtype != b.dtype or not a.size or not b.size:
        return reference.matmul(a, b, out, bias)
    y = capture.products.matmul(a, b, out)
    if bias is not None:
        y += bias
    return y


def load_library(cupy: Any) -> Any:
    """The cuBLAS that CuPy uses, for ctypes."""
    cupy.cuda.get_cublas_handle()  # CuPy loads it now; the name then finds the very same one
    version = cupy.cuda.runtime.runtimeGetVersion() // 1000
    return ctypes.CDLL(f"cublas64_{version}.dll" if sys.platform == "win32" else f"libcublas.so.{version}")


class CuBLAS(capture.Products):
    """A handle on one stream, with its workspace; both live as long as the object."""

    def __init__(self, cupy: Any, stream: Any) -> None:
        self.library = load_library(cupy)
        self.handle = ctypes.c_void_p()
        self.workspace = cupy.empty(WORKSPACE, np.uint8)
        self._call("cublasCreate_v2", ctypes.byref(self.handle))
        self._call("cublasSetStream_v2", self.handle, ctypes.c_void_p(stream.ptr))  # forgets the workspace
        workspace = ctypes.c_void_p(self.workspace.data.ptr)
        self._call("cublasSetWorkspace_v2", self.handle, workspace, ctypes.c_size_t(WORKSPACE))

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self.library.cublasDestroy_v2(self.handle)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self.library, name)(*arguments)
        if status:
            raise RuntimeError(f"{name}: cuBLAS answered with status {status}")

    def matmul(self, a: Any, b: Any, out: Any = None) -> Any:
        """a @ b for operands of any number of dimensions, float32 (in full precision), float64 or float16."""
        xp = array_module(a)
        rows, columns = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
        if rows.shape[-1] != columns.shape[-2]:
            raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
        batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
        shape = (*batch, rows.shape[-2], columns.shape[-1])
        direct = out is not None and out.shape == shape and out.flags.c_contiguous and out.dtype == a.dtype
        c = out if direct else xp.empty(shape, a.dtype)
        self._gemm(_stacked(rows, batch), _stacked(columns, batch), c, math.prod(batch))
        if a.ndim == 1:
            c = c[..., 0, :]
        if b.ndim == 1:
            c = c[..., 0]
        if out is None or direct:
            return c
        out[...] = c
        return out

    def _gemm(self, a: Any, b: Any, c: Any, count: int) -> None:
        """c = a @ b for c (…, m, n) in C order.

        cuBLAS counts along columns first and so sees every matrix transposed: cᵀ = bᵀ aᵀ, with n rows and m columns.
        """
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        kind, compute, scalar = _TYPES[a.dtype]
        (a, a_op, a_lead, a_step), (b, b_op, b_lead, b_step) = _laid_out(a), _laid_out(b)
        one, zero = ctypes.byref(scalar(1)), ctypes.byref(scalar(0))
        sizes = (ctypes.c_int(size) for size in (b_op, a_op, n, m, k))
        self._call(
            "cublasGemmStridedBatchedEx", self.handle, *sizes, one,
            ctypes.c_void_p(b.data.ptr), ctypes.c_int(kind), ctypes.c_int(b_lead), ctypes.c_longlong(b_step),
            ctypes.c_void_p(a.data.ptr), ctypes.c_int(kind), ctypes.c_int(a_lead), ctypes.c_longlong(a_step), zero,
            ctypes.c_void_p(c.data.ptr), ctypes.c_int(kind), ctypes.c_int(n), ctypes.c_longlong(m * n),
            ctypes.c_int(count), ctypes.c_int(compute), ctypes.c_int(-1),
        )  # fmt: skip


def _stacked(matrices: Any, batch: tuple[int, ...]) -> Any:
    """One matrix, which serves a whole batch, or as many as the batch has, (count, rows, columns)."""
    if matrices.ndim == 2 or math.prod(matrices.shape[:-2]) == 1:
        return matrices.reshape(matrices.shape[-2:])
    whole = array_module(matrices).broadcast_to(matrices, (*batch, *matrices.shape[-2:]))
    return whole.reshape(-1, *matrices.shape[-2:])


def _laid_out(a: Any) -> tuple[Any, int, int, int]:
    """(matrices, operation, leading dimension, elements from one matrix to the next) as cuBLAS is told them.

    The operation is 0 for rows one after another and 1 (transposed) for columns; others are copied.
    """
    for attempt in (a, None):
        if attempt is None:
            a = array_module(a).ascontiguousarray(a)
        *first, row, column = (stride // a.itemsize for stride in a.strides)
        rows, columns = a.shape[-2:]
        step = first[0] if first else 0
        if (column == 1 or columns == 1) and (row >= columns or rows == 1):
            return a, 0, max(row, columns), step
        if (row == 1 or rows == 1) and (column >= rows or columns == 1):
            return a, 1, max(column, rows), step
    raise AssertionError("a contiguous matrix has its rows one after another")
