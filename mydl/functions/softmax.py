"""softmax and log_softmax along a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.functions.arguments import Tensor, axis_of, require_floating, require_tensor
from mydl.ops.casting import Cast
from mydl.ops.loss import LogSoftmax, Softmax

__all__ = ["log_softmax", "softmax"]


def _input(input: Any, dim: Any, dtype: Any, name: str) -> tuple[Any, int]:
    input = require_tensor(input, name)
    if dtype is not None and input.dtype != dtype:
        input = Cast.apply(input, dtype=np.dtype(dtype))
    if dim is None:
        raise TypeError(f"{name}: wanted dim, the dimension along which the results sum to 1")
    return require_floating(input, name), axis_of(dim, input.ndim, name)


def softmax(input: Tensor, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Tensor:
    """exp(input) / sum of exp(input) along `dim`.

    >>> import mydl
    >>> softmax(mydl.tensor([0.0, 0.0]), 0)
    tensor([0.5000, 0.5000])
    """
    input, axis = _input(input, axis if dim is None else dim, dtype, "softmax")
    return Softmax.apply(input, axis=axis) if input.ndim else input * 0 + 1


def log_softmax(input: Tensor, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Tensor:
    """input - ln sum of exp(input) along `dim`.

    >>> import mydl
    >>> log_softmax(mydl.tensor([0.0, 0.0]), 0)
    tensor([-0.6931, -0.6931])
    """
    input, axis = _input(input, axis if dim is None else dim, dtype, "log_softmax")
    return LogSoftmax.apply(input, axis=axis) if input.ndim else input * 0
