"""Reductions over axes, and running sums. `axis` is None for all axes, an int, or a tuple of ints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl import kernels
from mydl.autograd.op import Op
from mydl.backend import array_module
from mydl.ops.casting import to_floating, wide
from mydl.ops.elementwise import signs
from mydl.ops.indexing import Scatter

__all__ = ["ArgReduce", "CumProd", "CumSum", "Extremum", "LogSumExp", "Mean", "Norm", "Picked", "Prod", "Sum", "Var"]


def _kept_shape(shape: tuple, axis: Any) -> tuple:
    """`shape` with the reduced axes at length 1, as keepdims leaves it."""
    if axis is None:
        return (1,) * len(shape)
    axes = {a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))} if shape else set()
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _count(shape: tuple, axis: Any) -> int:
    kept = _kept_shape(shape, axis)
    return math.prod([n for n, k in zip(shape, kept) if k == 1 or n == 0])


class Sum(Op):
    """The sum over `axis`; every element gets the gradient of its sum. float16 is summed in float32."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        ctx.input_shape, ctx.axis = x.shape, axis
        if x.dtype == np.float16:
            return x.sum(axis=axis, keepdims=keepdims, dtype=np.float32).astype(np.float16)
        if x.dtype.kind in "iu":  # NumPy would widen the small ones; whoever wants them in int64 casts before
            return x.sum(axis=axis, keepdims=keepdims, dtype=x.dtype)
        return kernels.of(x).sum_axes(x, axis, keepdims)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        kept = _kept_shape(ctx.input_shape, ctx.axis)
        return ctx.xp.broadcast_to(ctx.xp.reshape(grad, kept), ctx.input_shape)


class Mean(Op):
    """The mean over `axis`; every element gets 1/n of the gradient of its mean."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
        ctx.input_shape, ctx.axis = x.shape, axis
        count = _count(x.shape, axis)
        if count == 0:
            return x.sum(axis=axis, keepdims=keepdims) * np.nan
        if x.dtype == np.float16:
            return x.mean(axis=axis, keepdims=keepdims)  # which adds up in float32
        return kernels.of(x).sum_axes(x, axis, keepdims) / count

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        kept = _kept_shape(ctx.input_shape, ctx.axis)
        scaled = ctx.xp.reshape(grad / max(_count(ctx.input_shape, ctx.axis), 1), kept)
        return ctx.xp.broadcast_to(scaled, ctx.input_shape)


class Var(Op):
    """sum((x - mean)**2) / max(n - correction, 0) over `axis`; d/dx = 2 (x - mean) / (n - correction)."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: Any = None, correction: float = 1, keepdims: bool = False) -> Any:
        ctx.save(x)
        ctx.axis = axis
        ctx.freedom = _count(x.shape, axis) - correction
        centred = wide(x)
        centred = centred - _safe_mean(centred, axis)
        total = kernels.of(x).sum_axes(centred * centred, axis, keepdims)
        return (total / centred.dtype.type(max(ctx.freedom, 0))).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        x, xp = wide(x), ctx.xp
        kept = _kept_shape(x.shape, ctx.axis)
        total = ctx.call(Sum, x, axis=ctx.axis, keepdims=True)
        mean = xp.reshape(total / max(_count(x.shape, ctx.axis), 1), kept)
        grad = xp.reshape(grad, kept)
        if ctx.axis is None and ctx.freedom <= 0:  # nothing varies freely: PyTorch's infinity, NaN where x is the mean
            return grad * xp.where(x == mean, np.nan, xp.full_like(x, np.inf))
        return grad * ((x - mean) * (2 / ctx.freedom if ctx.freedom else float("inf")))


def _safe_mean(x: Any, axis: Any) -> Any:
    return kernels.of(x).sum_axes(x, axis, True) / max(_count(x.shape, axis), 1)


class Extremum(Op):
    """The largest (or smallest) value over `axis`; the gradient is shared evenly by the elements that have it."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, largest: bool, axis: Any = None, keepdims: bool = False) -> Any:
        y = (x.max if largest else x.min)(axis=axis, keepdims=keepdims)
        ctx.save(x)
        ctx.axis, ctx.largest = axis, largest
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        array = getattr(x, "array", x)  # the mask is a constant of the graph, in second derivatives too
        top = (array.max if ctx.largest else array.min)(axis=ctx.axis, keepdims=True)
        # Where the top is NaN no element equals it: the shares are 0/0 then, as PyTorch's are.
        return ctx.xp.reshape(grad, _kept_shape(array.shape, ctx.axis)) * _shares(array == top, array.dtype, ctx.axis)


def _shares(mask: Any, dtype: Any, axis: Any) -> Any:
    """1/n for each of the n elements of a slice that are chosen, 0 for the others."""
    return mask.astype(dtype) / mask.sum(axis=axis, keepdims=True).astype(dtype)


class Picked(Op):
    """`value`, which is that of one element of x or more; they share the gradient evenly."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, value: Any) -> Any:
        ctx.mask = (x == value) | (x != x) & (value != value)
        return value

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad * _shares(ctx.mask, grad.dtype, None)


class Norm(Op):
    """(sum |x|**p)**(1/p) over `axis`; dx = sign(x) (|x| / y)**(p-1), 0 where x or y is 0.

    For p = inf and -inf the largest and the smallest |x|, whose elements share the gradient evenly.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, *, p: float, axis: Any = None, keepdims: bool = False) -> Any:
        ctx.p, ctx.axis = p, axis
        size = ctx.xp.abs(x).astype(np.float64, copy=False)  # whose range holds the squares of a float32
        if math.isinf(p):
            y = (size.max if p > 0 else size.min)(axis=axis, keepdims=keepdims)
        elif p == 1:
            y = size.sum(axis=axis, keepdims=keepdims)
        elif p == 2:
            y = ctx.xp.sqrt((size * size).sum(axis=axis, keepdims=keepdims))
        else:
            y = (size**p).sum(axis=axis, keepdims=keepdims) ** (1 / p)
        y = y.astype(x.dtype, copy=False)
        ctx.save(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        xp, p = ctx.xp, ctx.p
        grad, y = (xp.reshape(v, _kept_shape(x.shape, ctx.axis)) for v in (grad, y))
        if p == 1:
            return grad * signs(x)
        if math.isinf(p):
            array, top = abs(getattr(x, "array", x)), getattr(y, "array", y)
            mask = (array == top) | (array != array) & (top != top)
            return grad * (signs(x) * _shares(mask, array.dtype, ctx.axis))
        # at 0 the root is not differentiable: neither value nor derivative of what follows may divide by it
        scale, y = xp.where(y == 0, 0, grad), xp.where(y == 0, 1, y)
        if p == 2:
            return scale * (x / y)
        powers = xp.where(x == 0, 0, xp.abs(xp.where(x == 0, 1, x)) ** (p - 1))
        return scale * (signs(x) * powers / y ** (p - 1))


class ArgReduce(Op):
    """(values, indices) of the largest or smallest element along one axis; the gradient goes to that element."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, largest: bool, axis: int, keepdims: bool = False) -> Any:
        if x.ndim == 0:
            ctx.axis, ctx.input_shape, ctx.index = None, (), None
            return x.copy(), ctx.xp.zeros((), dtype=np.int64)
        index = ctx.xp.expand_dims((x.argmax if largest else x.argmin)(axis=axis), axis).astype(np.int64)
        values = ctx.xp.take_along_axis(x, index, axis)
        ctx.axis, ctx.input_shape, ctx.index = axis, x.shape, index
        if keepdims:
            return values, index
        return values.squeeze(axis), index.squeeze(axis)

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        grad = grads[0]
        if ctx.axis is None:
            return grad
        kept = ctx.xp.reshape(grad, ctx.index.shape)
        return ctx.call(Scatter, kept, index=ctx.index, axis=ctx.axis, shape=ctx.input_shape)


class Prod(Op):
    """The product over `axis` (None or an int); d/dx_i = product of the others, right where some of them are 0 too."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
        y = x.prod(axis=axis, keepdims=keepdims, dtype=x.dtype if x.dtype.kind in "iu" else None)
        ctx.save(x, y)
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        xp, axis = ctx.xp, ctx.axis
        if len(x.shape) == 0:
            return grad
        grad, y = (xp.reshape(v, _kept_shape(x.shape, axis)) for v in (grad, y))
        zeros = int((getattr(x, "array", x) == 0).sum())
        if not zeros:
            return grad * (y / x)
        if zeros > 1 and axis is None and not ctx.recording:
            return xp.zeros_like(x)
        rows = xp.reshape(x, (-1,)) if axis is None else xp.swapaxes(x, axis, -1)
        # Products of all before and of all after each element, so that no division meets a zero.
        ones = xp.ones_like(rows[..., :1])
        before = xp.concatenate((ones, rows[..., :-1]), axis=-1)
        after = xp.flip(xp.concatenate((rows[..., 1:], ones), axis=-1), axis=-1)
        others = ctx.call(CumProd, before, axis=-1) * xp.flip(ctx.call(CumProd, after, axis=-1), axis=-1)
        others = xp.reshape(others, x.shape) if axis is None else xp.swapaxes(others, axis, -1)
        return grad * others


class CumProd(Op):
    """Running products y along one axis; dx_k = sum over i >= k of g_i y_i / x_k.

    At the first 0 the division is left out: dx = product of all before · sum of g_i times the product of those
    between, up to the second 0. From there on dx = 0.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: int) -> Any:
        y = ctx.xp.cumprod(x, axis=axis, dtype=x.dtype) if x.ndim else x.copy()
        ctx.save(x, y)
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        xp, axis = ctx.xp, ctx.axis
        if len(x.shape) == 0 or x.shape[axis] == 1:
            return grad
        zero = getattr(x, "array", x) == 0
        if not zero.any():
            return _from_the_end(ctx, grad * y, axis) / x
        if not ctx.recording:
            seen = xp.cumsum(zero, axis=axis)  # zeros up to here
            first, before, between = zero & (seen == 1), seen == 0, seen == 1
            products = xp.cumprod(xp.where(between & ~first, x, 1), axis=axis)
            head = xp.prod(xp.where(before, x, 1), axis=axis, keepdims=True)
            at_first = head * xp.sum(xp.where(between, grad * products, 0), axis=axis, keepdims=True)
            dx = _from_the_end(ctx, xp.where(before, grad * y, 0), axis) / xp.where(before, x, 1)
            return xp.where(before, dx, xp.where(first, at_first, 0)).astype(x.dtype, copy=False)
        # products[..., i, k] is the product of the elements up to i with element k left out, for i >= k
        length = x.shape[axis]
        rows = xp.expand_dims(xp.swapaxes(x, axis, -1), -1)
        left_out = np.eye(length, dtype=bool)
        factors = xp.where(_beside(left_out, zero), 1, xp.broadcast_to(rows, (*rows.shape[:-1], length)))
        products = xp.where(_beside(np.tri(length, dtype=bool), zero), ctx.call(CumProd, factors, axis=-2), 0)
        dx = xp.sum(xp.expand_dims(xp.swapaxes(grad, axis, -1), -1) * products, axis=-2)
        return xp.swapaxes(dx, axis, -1)


def _beside(mask: np.ndarray, array: Any) -> Any:
    """A host mask on the device of `array`."""
    return array_module(array).asarray(mask)


class CumSum(Op):
    """Running sums along one axis; the gradient is the running sum from the other end."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: int) -> Any:
        ctx.axis = axis
        if x.ndim == 0:
            return x.copy()
        # floats are summed in double precision, since NumPy adds them one by one; integers in their own dtype
        wide = np.float64 if x.dtype.kind == "f" else x.dtype
        return ctx.xp.cumsum(x, axis=axis, dtype=wide).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        if len(grad.shape) == 0:
            return grad
        return _from_the_end(ctx, grad, ctx.axis)


def _from_the_end(ctx: Any, x: Any, axis: int) -> Any:
    """Running sums from the other end."""
    return ctx.xp.flip(ctx.call(CumSum, ctx.xp.flip(x, axis=axis), axis=axis), axis=axis)


class LogSumExp(Op):
    """ln sum exp(x) over `axis`, shifted by the largest so that nothing overflows; d/dx = exp(x - y) = softmax."""

    prepare = to_floating

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: Any, keepdims: bool = False) -> Any:
        xp, z = ctx.xp, wide(x)
        shift = xp.zeros(_kept_shape(x.shape, axis), z.dtype)
        if x.size:
            top = z.max(axis=axis, keepdims=True)
            shift = xp.where(xp.isfinite(top), top, shift)
        total = xp.exp(z - shift).sum(axis=axis, keepdims=True)
        kept = (xp.log(total) + shift).astype(x.dtype, copy=False)
        y = kept if keepdims else kept.squeeze(axis)
        ctx.save(x, y)
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        xp = ctx.xp
        kept = _kept_shape(x.shape, ctx.axis)
        return xp.reshape(grad, kept) * xp.exp(x - xp.reshape(y, kept))
