"""The matrix product."""

from __future__ import annotations

from typing import Any

from mydl.backend import array_module

__all__ = ["matmul"]


def matmul(a: Any, b: Any, out: Any = None, bias: Any = None) -> Any:
    """a @ b with NumPy's rules for operands of one and of more than two dimensions, into `out` where it is given.

    `bias`, of as many elements as b has columns, is added to every row.

    >>> import numpy as np
    >>> matmul(np.eye(2), np.array([1.0, 2.0]))
    array([1., 2.])
    """
    y = array_module(a).matmul(a, b, out=out)
    if bias is not None:
        y += bias
    return y
