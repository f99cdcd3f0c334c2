"""Launching the kernels of kernels.cu, which CuPy compiles when they are first needed. Not yet run on a GPU."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from mydl.backend import array_module

__all__ = ["contiguous", "launch", "served", "served_in_place"]

_SOURCE = Path(__file__).with_name("kernels.cu")
_C_TYPES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
THREADS = 256  # of a block; kernels.cu has room for so many


def served(*arrays: Any) -> bool:
    """Whether the kernels serve these arrays (None counts for nothing): one dtype, float32 or float64.

    >>> served(np.zeros(2, np.float32), None), served(np.zeros(2), np.zeros(2, np.float32))
    (True, False)
    """
    dtypes = {array.dtype for array in arrays if array is not None}
    return len(dtypes) == 1 and dtypes <= _C_TYPES.keys()


def served_in_place(*arrays: Any) -> bool:
    """Whether the kernels can also write to these arrays: their elements lie one after another.

    >>> served_in_place(np.zeros(4)), served_in_place(np.zeros(4)[::2])
    (True, False)
    """
    return served(*arrays) and all(array is None or array.flags.c_contiguous for array in arrays)


def contiguous(*arrays: Any) -> list[Any]:
    """The arrays with their elements one after another, copied where they are not; None stays None."""
    return [None if a is None else a if a.flags.c_contiguous else array_module(a).ascontiguousarray(a) for a in arrays]


@functools.cache
def _module(xp: Any, dtype: np.dtype) -> Any:
    """The kernels for arrays of one dtype."""
    return xp.RawModule(code=_SOURCE.read_text(encoding="utf-8"), options=(f"-DREAL={_C_TYPES[dtype]}",))


@functools.cache
def _kernel(xp: Any, dtype: np.dtype, name: str) -> Any:
    return _module(xp, dtype).get_function(name)


def launch(name: str, dtype: np.dtype, grid: int | tuple[int, int], *arguments: Any, threads: int = THREADS) -> None:
    """Run a kernel on the current stream, in `grid` blocks.

    Of the arguments None is the null pointer, ints are 64 bits wide and floats double ones; NumPy scalars keep
    their width.
    """
    xp = next(array_module(a) for a in arguments if hasattr(a, "__cuda_array_interface__"))
    blocks = grid if isinstance(grid, tuple) else (grid,)
    _kernel(xp, dtype, name)(blocks, (threads,), tuple(0 if a is None else a for a in arguments))
