"""Reductions over dimensions. `dim` is an int, a tuple of ints, or None for all; `axis` and `keepdims` are synonyms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import describe, tensor_of
from mydl.errors import RangeError
from mydl.functions.arguments import Tensor, axes_of, axis_of, require_floating, require_numbers, require_tensor
from mydl.functions.arithmetic import maximum, minimum
from mydl.ops import reduction as ops
from mydl.ops.casting import Cast, wide
from mydl.ops.elementwise import Where

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "logsumexp", "max", "mean", "min",
    "nanmean", "nansum", "norm", "prod", "std", "std_mean", "sum", "var", "var_mean",
]  # fmt: skip

Dim = int | tuple[int, ...] | list[int] | None


class ValuesAndIndices(NamedTuple):
    """What max, min, median, sort and topk along a dimension return."""

    values: Tensor
    indices: Tensor


class Extremes(NamedTuple):
    """What aminmax returns."""

    min: Tensor
    max: Tensor


def _in_dtype(input: Any, dtype: Any) -> Any:
    return input if dtype is None or input.dtype == dtype else Cast.apply(input, dtype=np.dtype(dtype))


def accumulable(input: Any, dtype: Any) -> Any:
    """The input of a sum or product: integers and booleans in int64, unless another dtype is asked for."""
    if dtype is None and input.dtype.kind in "biu" and input.dtype != np.int64:
        return tensor_of(input.array.astype(np.int64))
    return _in_dtype(input, dtype)


def sum(
    input: Tensor, dim: Dim = None, keepdim: bool = False, *,
    dtype: Any = None, axis: Dim = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The sum of the elements; booleans and integers are summed in int64.

    >>> import mydl
    >>> sum(mydl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=1)
    tensor([3., 7.])
    """
    input = accumulable(require_tensor(input, "sum"), dtype)
    axes = axes_of(axis if dim is None else dim, input.ndim, "sum", keepdim)
    return ops.Sum.apply(input, axis=axes, keepdims=keepdim or keepdims)


def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of the elements that are not NaN.

    >>> import mydl
    >>> nansum(mydl.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    input = require_tensor(input, "nansum")
    if input.dtype.kind == "f":
        input = Where.apply(input.array != input.array, 0, input)
    return sum(input, dim, keepdim, dtype=dtype)


def mean(
    input: Tensor, dim: Dim = None, keepdim: bool = False, *,
    dtype: Any = None, axis: Dim = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The mean of the elements, which must be floating; NaN of none.

    >>> import mydl
    >>> mean(mydl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([2., 3.])
    """
    input = _in_dtype(require_tensor(input, "mean"), dtype)
    if input.dtype.kind not in "fc":
        raise RuntimeError(f"mean: wanted a floating tensor, got {input.dtype}; use .float() first or pass dtype=")
    axes = axes_of(axis if dim is None else dim, input.ndim, "mean", keepdim)
    return ops.Mean.apply(input, axis=axes, keepdims=keepdim or keepdims)


def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of the elements that are not NaN.

    >>> import mydl
    >>> nanmean(mydl.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    input = _in_dtype(require_floating(input, "nanmean"), dtype)
    counted = tensor_of((input.array == input.array).astype(input.dtype))
    return nansum(input, dim, keepdim) / sum(counted, dim, keepdim)


def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None, axis: int | None = None
) -> Tensor:
    """The product of the elements; booleans and integers are multiplied in int64.

    >>> import mydl
    >>> prod(mydl.tensor([[1.0, 2.0], [3.0, 4.0]]), 0)
    tensor([3., 8.])
    """
    input = accumulable(require_tensor(input, "prod"), dtype)
    dim = axis if dim is None else dim
    if dim is None and keepdim:
        raise TypeError("prod: keepdim=True wants a dim")
    along = None if dim is None else axis_of(dim, input.ndim, "prod", keepdim)
    along = None if input.ndim == 0 else along
    return ops.Prod.apply(input, axis=along, keepdims=keepdim)


def var(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, axis: Dim = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The variance, divided by n - correction; correction is 1 by default, 0 with unbiased=False.

    >>> import mydl
    >>> var(mydl.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    input = require_floating(input, "var")
    if isinstance(dim, bool):  # var(x, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None and not isinstance(unbiased, bool):
        raise TypeError(f"var: wanted True or False as unbiased, got {describe(unbiased)}; dims go in a tuple")
    if isinstance(correction, Variable):
        correction = correction.item()
    if correction is None:
        correction = 0 if unbiased is False else 1
    keepdim = keepdim or keepdims
    axes = axes_of(axis if dim is None else dim, input.ndim, "var", keepdim)
    return ops.Var.apply(input, axis=axes, correction=correction, keepdims=keepdim)


def std(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None, axis: Dim = None, keepdims: bool = False,
) -> Tensor:  # fmt: skip
    """The standard deviation, the square root of `var`; its gradient is taken as 0 where it is 0.

    >>> import mydl
    >>> std(mydl.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """
    input, keepdim = require_floating(input, "std"), keepdim or keepdims
    # the variance of float16 may lie beyond it where the root does not
    spread = var(wide(input), dim, unbiased, keepdim, correction=correction, axis=axis)
    return _root(spread, 0.5).to(input.dtype)


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None,
) -> tuple:  # fmt: skip
    """(variance, mean) over `dim`.

    >>> import mydl
    >>> var_mean(mydl.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    dims = None if isinstance(dim, bool) else dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dims, keepdim)


def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *,
    correction: float | None = None,
) -> tuple:  # fmt: skip
    """(standard deviation, mean) over `dim`.

    >>> import mydl
    >>> std_mean(mydl.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    dims = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dims, keepdim)


def _root(total: Any, power: float) -> Any:
    """total ** power for total >= 0, with gradient 0 where total is 0 instead of infinity."""
    zero = total.array == 0
    safe = Where.apply(zero, 1, total)
    return Where.apply(zero, 0, safe.sqrt() if power == 0.5 else safe**power)


def norm(input: Tensor, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """(sum |x|**p) ** (1/p); p may be inf, -inf, 0 (the count of nonzeros) and "fro", which is 2.

    Its gradient is taken as 0 where the norm is 0.

    >>> import mydl
    >>> norm(mydl.tensor([3.0, -4.0])), norm(mydl.tensor([3.0, -4.0]), p=1)
    (tensor(5.), tensor(7.))
    """
    input = _in_dtype(require_floating(input, "norm"), dtype)
    if p == "nuc":
        raise NotImplementedError("norm: p='nuc', the sum of singular values, is not supported")
    if isinstance(p, (str, Variable)) and p != "fro":
        raise RuntimeError(f"norm: wanted a number or 'fro' as p, got {describe(p)}")
    p = 2.0 if p is None or p == "fro" else float(p)
    axis = axes_of(dim, input.ndim, "norm", keepdim)
    if p == 0:
        return tensor_of(input.xp.asarray((input.array != 0).sum(axis=axis, keepdims=keepdim), dtype=input.dtype))
    if np.isinf(p):
        _needs_elements(input, axis, "norm")
    return ops.Norm.apply(input, p=p, axis=axis, keepdims=keepdim)


def _needs_elements(input: Any, axes: Any, name: str) -> None:
    sizes = input.shape if axes is None else [input.shape[a] for a in (axes if isinstance(axes, tuple) else (axes,))]
    if 0 in sizes:
        raise RangeError(f"{name}: wanted at least one element to choose from, got shape {input.shape}")


def amax(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest element over `dim`; elements that share it share the gradient.

    >>> import mydl
    >>> amax(mydl.tensor([[1.0, 5.0], [3.0, 4.0]]), 1)
    tensor([5., 4.])
    """
    input = require_tensor(input, "amax")
    axes = axes_of(dim, input.ndim, "amax", keepdim)
    _needs_elements(input, axes, "amax")
    return ops.Extremum.apply(input, largest=True, axis=axes, keepdims=keepdim)


def amin(input: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest element over `dim`; elements that share it share the gradient.

    >>> import mydl
    >>> amin(mydl.tensor([[1.0, 5.0], [3.0, 4.0]]), 1)
    tensor([1., 3.])
    """
    input = require_tensor(input, "amin")
    axes = axes_of(dim, input.ndim, "amin", keepdim)
    _needs_elements(input, axes, "amin")
    return ops.Extremum.apply(input, largest=False, axis=axes, keepdims=keepdim)


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Extremes:
    """(min, max) over `dim`.

    >>> import mydl
    >>> aminmax(mydl.tensor([1.0, 5.0, 3.0])).max
    tensor(5.)
    """
    dims = () if dim is None else dim
    return Extremes(amin(input, dims, keepdim), amax(input, dims, keepdim))


def _extreme(input: Any, dim: Any, keepdim: bool, largest: bool, name: str) -> Any:
    input = require_tensor(input, name)
    if isinstance(dim, Variable):
        return (maximum if largest else minimum)(input, dim)
    if dim is None:
        if keepdim:
            raise TypeError(f"{name}: keepdim=True wants a dim")
        if input.numel() == 0:
            raise RuntimeError(f"{name}: wanted at least one element, got shape {input.shape}")
        return ops.Picked.apply(input, value=(input.array.max if largest else input.array.min)())
    axis = axis_of(dim, input.ndim, name, keepdim)
    if input.ndim:
        _needs_elements(input, axis, name)
    return ValuesAndIndices(*ops.ArgReduce.apply(input, largest=largest, axis=axis, keepdims=keepdim))


def max(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False
) -> Any:
    """The largest element; with `dim`, (values, indices) along it; with a tensor as `dim`, `maximum` of the two.

    >>> import mydl
    >>> max(mydl.tensor([[1.0, 5.0], [3.0, 4.0]]), dim=1).indices
    tensor([1, 1])
    """
    return _extreme(input, axis if dim is None else dim, keepdim or keepdims, True, "max")


def min(
    input: Tensor, dim: Any = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False
) -> Any:
    """The smallest element; with `dim`, (values, indices) along it; with a tensor as `dim`, `minimum` of the two.

    >>> import mydl
    >>> min(mydl.tensor([[1.0, 5.0], [3.0, 4.0]]), dim=1).values
    tensor([1., 3.])
    """
    return _extreme(input, axis if dim is None else dim, keepdim or keepdims, False, "min")


def _arg_extreme(input: Any, dim: Any, keepdim: bool, largest: bool, name: str) -> Any:
    input = require_numbers(input, name)
    axis = None if dim is None else axis_of(dim, input.ndim, name, keepdim)
    axis = axis if input.ndim else None
    _needs_elements(input, axis, name)
    array = input.array
    index = (array.argmax if largest else array.argmin)(axis=axis, keepdims=keepdim)
    return tensor_of(input.xp.asarray(index, dtype=np.int64))


def argmax(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False
) -> Tensor:
    """The position of the (first) largest element: in the flattened tensor, or along `dim`. int64.

    >>> import mydl
    >>> argmax(mydl.tensor([1.0, 5.0, 3.0]))
    tensor(1)
    """
    return _arg_extreme(input, axis if dim is None else dim, keepdim or keepdims, True, "argmax")


def argmin(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: int | None = None, keepdims: bool = False
) -> Tensor:
    """The position of the (first) smallest element: in the flattened tensor, or along `dim`. int64.

    >>> import mydl
    >>> argmin(mydl.tensor([1.0, 5.0, 3.0]))
    tensor(0)
    """
    return _arg_extreme(input, axis if dim is None else dim, keepdim or keepdims, False, "argmin")


def logsumexp(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """ln of the sum of exp(input) over `dim`, without overflow.

    >>> import mydl
    >>> logsumexp(mydl.tensor([0.0, 0.0]), 0)
    tensor(0.6931)
    """
    if dim is None:
        raise TypeError("logsumexp: wanted dim, an int or a tuple of ints")
    input = require_tensor(input, "logsumexp")
    return ops.LogSumExp.apply(input, axis=axes_of(dim, input.ndim, "logsumexp", keepdim), keepdims=keepdim)


def _truth(input: Any, dim: Any, keepdim: bool, name: str) -> Any:
    input = require_tensor(input, name)
    axes = axes_of(dim, input.ndim, name, keepdim)
    if isinstance(dim, Sequence) and not dim:  # over no dimensions: the truth of each element
        return tensor_of(input.array.astype(bool).astype(np.uint8 if input.dtype == np.uint8 else bool))
    result = input.xp.asarray(getattr(input.xp, name)(input.array, axis=axes, keepdims=keepdim))
    return tensor_of(result.astype(np.uint8) if input.dtype == np.uint8 else result)


def all(input: Tensor, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None) -> Tensor:
    """Whether every element is nonzero.

    >>> import mydl
    >>> all(mydl.tensor([[True, False], [True, True]]), dim=1)
    tensor([False,  True])
    """
    return _truth(input, axis if dim is None else dim, keepdim, "all")


def any(input: Tensor, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None) -> Tensor:
    """Whether some element is nonzero.

    >>> import mydl
    >>> any(mydl.tensor([[True, False], [False, False]]), dim=1)
    tensor([ True, False])
    """
    return _truth(input, axis if dim is None else dim, keepdim, "any")


def count_nonzero(input: Tensor, dim: Dim = None, *dims: int) -> Tensor:
    """How many elements are not 0.

    >>> import mydl
    >>> count_nonzero(mydl.tensor([0, 2, 3]))
    tensor(2)
    """
    input = require_tensor(input, "count_nonzero")
    axes = axes_of((dim, *dims) if dims else dim, input.ndim, "count_nonzero")
    return tensor_of((input.array != 0).sum(axis=axes, dtype=np.int64))
