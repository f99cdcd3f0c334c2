"""Running sums and products along a dimension, and differences of neighbours."""

from __future__ import annotations

from typing import Any

from mydl.functions.arguments import Tensor, axis_of, require_tensor
from mydl.functions.reduction import accumulable
from mydl.ops.arithmetic import Sub
from mydl.ops.indexing import Slice
from mydl.ops.reduction import CumProd, CumSum

__all__ = ["cumprod", "cumsum", "diff"]


def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The sum of the elements so far along `dim`; booleans and integers in int64.

    >>> import mydl
    >>> cumsum(mydl.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 3., 6.])
    """
    input = accumulable(require_tensor(input, "cumsum"), dtype)
    return CumSum.apply(input, axis=axis_of(dim, input.ndim, "cumsum"))


def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The product of the elements so far along `dim`; booleans and integers in int64.

    >>> import mydl
    >>> cumprod(mydl.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 2., 6.])
    """
    input = accumulable(require_tensor(input, "cumprod"), dtype)
    return CumProd.apply(input, axis=axis_of(dim, input.ndim, "cumprod"))


def diff(input: Tensor, n: int = 1, dim: int = -1) -> Tensor:
    """The n-th differences of neighbours along `dim`.

    >>> import mydl
    >>> diff(mydl.tensor([1.0, 4.0, 9.0]))
    tensor([3., 5.])
    """
    input = require_tensor(input, "diff")
    axis = axis_of(dim, input.ndim, "diff")
    lead = (slice(None),) * axis
    for _ in range(n):
        after, before = (
            Slice.apply(input, key=(*lead, slice(1, None))),
            Slice.apply(input, key=(*lead, slice(None, -1))),
        )
        input = Sub.apply(after, before)
    return input
