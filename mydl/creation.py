"""Tensors from nothing: zeros, ones, ranges, random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.backend import get_default_dtype
from mydl.functions.arguments import shape_of
from mydl.tensor import MyTensor

__all__ = ["arange", "ones", "zeros"]


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> MyTensor:
    """Zeros of the given shape.

    >>> zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return MyTensor(np.zeros(shape_of(size, "zeros"), dtype or get_default_dtype()), None, device, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> MyTensor:
    """Ones of the given shape.

    >>> ones(2)
    tensor([1., 1.])
    """
    return MyTensor(np.ones(shape_of(size, "ones"), dtype or get_default_dtype()), None, device, requires_grad)


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> MyTensor:
    """start, start + step, … below end; int64 where all three are ints.

    >>> arange(3)
    tensor([0, 1, 2])
    """
    if end is None:
        start, end = 0, start
    if dtype is None:
        dtype = np.int64 if all(isinstance(v, (int, np.integer)) for v in (start, end, step)) else get_default_dtype()
    return MyTensor(np.arange(start, end, step).astype(dtype), None, device, requires_grad)
