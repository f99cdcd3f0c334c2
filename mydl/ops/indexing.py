"""Taking elements out and putting them back: slices, index arrays, masks, gather and scatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.op import Op, describe, tensor_of
from mydl.backend import array_module

__all__ = [
    "Diagonal", "Embedding", "Gather", "Place", "PlaceAt", "PlaceDiagonal", "Put", "PutView", "Scatter",
    "ScatterPut", "Slice", "Take", "along",
]  # fmt: skip


class Slice(Op):
    """x[key] for a key of ints, slices, None and ...; a view. The gradient is placed into zeros."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Any, *, key: Any) -> Any:
        ctx.key, ctx.input_shape = key, x.shape
        y = x[key]
        # NumPy gives a scalar, not a view, where every axis is an int; an ellipsis makes it a 0-d view.
        return x[(*key, ...) if isinstance(key, tuple) else (key, ...)] if isinstance(y, np.generic) else y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Place, grad, key=ctx.key, shape=ctx.input_shape)


class Place(Op):
    """Zeros of `shape` with x at `key`: the transpose of Slice."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, key: Any, shape: tuple) -> Any:
        ctx.key = key
        y = ctx.xp.zeros(shape, dtype=x.dtype)
        y[key] = x
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Slice, grad, key=ctx.key)


class Take(Op):
    """x[key] for a key with index arrays or masks; a copy. The gradient is added where elements came from."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, key: Any) -> Any:
        ctx.key, ctx.input_shape = key, x.shape
        return ctx.xp.asarray(x[key], order="C")  # index arrays behind a slice give another order

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(PlaceAt, grad, key=ctx.key, shape=ctx.input_shape)


class PlaceAt(Op):
    """Zeros of `shape` with x added at `key`, repeated places adding up: the transpose of Take."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, key: Any, shape: tuple) -> Any:
        ctx.key = key
        y = ctx.xp.zeros(shape, dtype=x.dtype)
        return _added_at(y, key, x)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Take, grad, key=ctx.key)


def _added_at(zeros: Any, key: Any, x: Any) -> Any:
    """`zeros` with x added at `key`, in a dtype in which a GPU can add atomically."""
    xp, dtype = array_module(zeros), zeros.dtype
    if xp is not np and dtype not in (np.float32, np.float64):
        wide = {"f": np.float32, "c": dtype}.get(dtype.kind, np.uint64)  # modulo 2**64 the sign makes no difference
        zeros, x = zeros.astype(wide), x.astype(wide)
    index = key[0] if isinstance(key, tuple) and len(key) == 1 else key
    if isinstance(index, np.ndarray) and index.dtype.kind == "i" and zeros.ndim > 1 and zeros.size and xp is np:
        _rows_added(zeros, index.reshape(-1, 1).astype(np.int64, copy=False), x)
    else:
        xp.add.at(zeros, key, x)
    return zeros.astype(dtype, copy=False)


def _rows_added(zeros: np.ndarray, index: np.ndarray, x: np.ndarray) -> None:
    """Add x's rows at `index` (n, 1) number by number, which NumPy does some ten times as fast as row by row."""
    width = zeros.size // len(zeros)
    columns, numbers = np.arange(width), x.reshape(-1, width)
    block = max(1, 2**18 // width)  # rows at a time: a place is an int64, and all of them would take much memory
    for start in range(0, len(index), block):
        places = index[start : start + block] * width + columns
        np.add.at(zeros.reshape(-1), places.reshape(-1), numbers[start : start + block].reshape(-1))


def along(xp: Any, index: Any, axis: int) -> tuple:
    """The key that picks `index` along `axis`, and its own position along the other axes."""
    key = []
    for i, n in enumerate(index.shape):
        if i == axis:
            key.append(index)
        else:
            key.append(xp.arange(n).reshape([-1 if j == i else 1 for j in range(index.ndim)]))
    return tuple(key)


class Gather(Op):
    """y[i][j][k] = x[index[i][j][k]][j][k] for axis 0, and so on for the others."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, index: Any, axis: int) -> Any:
        ctx.index, ctx.axis, ctx.input_shape = index, axis, x.shape
        if x.ndim == 0:
            return ctx.xp.broadcast_to(x, index.shape).copy()
        return ctx.xp.asarray(x[along(ctx.xp, index, axis % x.ndim)])

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Scatter, grad, index=ctx.index, axis=ctx.axis, shape=ctx.input_shape)


class Scatter(Op):
    """Zeros of `shape` with x added at `index` along `axis`: the transpose of Gather."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, index: Any, axis: int, shape: tuple) -> Any:
        ctx.index, ctx.axis, ctx.source_shape = index, axis, x.shape
        y = ctx.xp.zeros(shape, dtype=x.dtype)
        if y.ndim == 0:
            return y + x.sum(dtype=x.dtype)
        part = x[tuple(slice(0, n) for n in index.shape)]
        return _added_at(y, along(ctx.xp, index, axis % y.ndim), part)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        taken = ctx.call(Gather, grad, index=ctx.index, axis=ctx.axis)
        if taken.shape == ctx.source_shape:
            return taken
        return ctx.call(Place, taken, key=tuple(slice(0, n) for n in ctx.index.shape), shape=ctx.source_shape)


class ScatterPut(Op):
    """A copy of x with `value` at `index` along `axis`; x's gradient is 0 there, and value gets it."""

    @staticmethod
    def forward(ctx: Any, x: Any, value: Any, *, index: Any, axis: int) -> Any:
        ctx.index, ctx.axis, ctx.value_shape = index, axis, value.shape
        y = ctx.xp.array(x)  # also of a NumPy scalar, whose copy would be a scalar again
        if y.ndim == 0:
            y[...] = value if value.ndim == 0 else value[0]
            return y
        part = value[tuple(slice(0, n) for n in index.shape)] if value.ndim else value
        y[along(ctx.xp, index, axis % y.ndim)] = part
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        needs_x, needs_value = ctx.needs_input_grad
        taken = ctx.call(Gather, grad, index=ctx.index, axis=ctx.axis)
        dx = dv = None
        if needs_x:
            dx = ctx.call(ScatterPut, grad, ctx.xp.zeros_like(taken), index=ctx.index, axis=ctx.axis)
        if needs_value:
            dv = taken
            if ctx.value_shape and dv.shape != ctx.value_shape:
                dv = ctx.call(Place, dv, key=tuple(slice(0, n) for n in ctx.index.shape), shape=ctx.value_shape)
        return dx, dv


class Diagonal(Op):
    """The diagonal of two axes of x as the last axis, `offset` above the main one; a view."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Any, *, offset: int, axis1: int, axis2: int) -> Any:
        ctx.options = {"offset": offset, "axis1": axis1, "axis2": axis2}
        ctx.input_shape = x.shape
        y = x.diagonal(offset, axis1, axis2)
        if isinstance(y, np.ndarray) and x.flags.writeable:
            y.flags.writeable = True  # NumPy's diagonal is read-only
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(PlaceDiagonal, grad, shape=ctx.input_shape, **ctx.options)


class PlaceDiagonal(Op):
    """Zeros of `shape` with x on the diagonal of two axes: the transpose of Diagonal."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, shape: tuple, offset: int, axis1: int, axis2: int) -> Any:
        ctx.options = {"offset": offset, "axis1": axis1, "axis2": axis2}
        y = ctx.xp.zeros(shape, x.dtype)
        Diagonal.forward(Diagonal(), y, **ctx.options)[...] = x
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Diagonal, grad, **ctx.options)


class Put(Op):
    """A copy of x with `value` at `key`; x's gradient is 0 there, and value gets it."""

    @staticmethod
    def forward(ctx: Any, x: Any, value: Any, *, key: Any) -> Any:
        ctx.key = key
        y = x.copy()
        y[key] = value
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        zeros = ctx.xp.zeros_like(grad[ctx.key])
        return ctx.call(Put, grad, zeros, key=ctx.key), ctx.call(Take, grad, key=ctx.key)


class PutView(Op):
    """x after the part of it that `views` shows has been overwritten by `value`, in the same memory.

    `views` is the chain of view ops, with their arguments, that leads from x to that part. x's gradient is 0
    there, and value gets it.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, value: Any, *, views: tuple) -> Any:
        ctx.views = views
        ctx.order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))  # of the axes in memory
        return x

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        xp = array_module(grad.array if ctx.recording else grad)
        # In x's order of memory, since a reshape that shows part of x would give a copy of an array in another order.
        back = np.argsort(ctx.order).tolist()
        outside = hole = xp.ones([grad.shape[axis] for axis in ctx.order], grad.dtype).transpose(back)
        part = grad
        for op, options in ctx.views:
            part = ctx.call(op, part, **options)
            hole = ctx.hole(op, hole, options)
        if hole.size and not xp.may_share_memory(hole, outside):
            raise RuntimeError(f"PutView: backward cannot tell which elements of {describe(grad)} were overwritten")
        hole[...] = 0
        return grad * (tensor_of(outside) if ctx.recording else outside), part

    def hole(self, op: type[Op], array: Any, options: dict) -> Any:
        """The view of a plain array that a view op gives."""
        scratch = op()
        scratch.xp = array_module(array)
        return op.forward(scratch, array, **options)


class Embedding(Op):
    """Row index[…] of w (rows, columns) for each index; dw sums the gradients of the places a row went to.

    The row `padding`, if not None, gets none; with `by_frequency` a row's sum is divided by the number of places.
    """

    @staticmethod
    def forward(ctx: Any, w: Any, *, index: Any, padding: int | None, by_frequency: bool) -> Any:
        ctx.index, ctx.input_shape, ctx.factor = index, w.shape, None
        if padding is not None or by_frequency:
            xp = ctx.xp
            factor = xp.ones(index.shape, w.dtype)
            if by_frequency:
                counts = xp.bincount(index.reshape(-1), minlength=w.shape[0])
                factor /= counts[index].astype(w.dtype)
            if padding is not None:
                factor[index == padding] = 0
            ctx.factor = factor[..., None]
        return ctx.xp.take(w, index, axis=0)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        grad = grad if ctx.factor is None else grad * ctx.factor
        return ctx.call(PlaceAt, grad, key=ctx.index, shape=ctx.input_shape)
