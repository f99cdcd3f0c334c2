"""Rearranging without arithmetic: reshape, permute, expand, join, split, flip, roll, pad."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from mydl.autograd.op import Op
from mydl.backend import array_module
from mydl.ops.casting import cast_all, result_dtype
from mydl.ops.indexing import Slice

__all__ = ["Concatenate", "Expand", "Flip", "Pad", "Permute", "Reshape", "Roll", "Split", "Stack", "Unbind"]


class Reshape(Op):
    """x in another shape; a view where the memory allows one."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Any, *, shape: tuple) -> Any:
        ctx.input_shape = x.shape
        y = x.reshape(shape)
        ctx.view = y.base is x or (y.base is not None and y.base is x.base)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.xp.reshape(grad, ctx.input_shape)


class Permute(Op):
    """x with its axes in the order `axes`; a view."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Any, *, axes: tuple) -> Any:
        ctx.axes = axes
        return x.transpose(axes)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        n = len(ctx.axes)
        back = [0] * n
        for i, axis in enumerate(ctx.axes):
            back[axis % n] = i
        return ctx.xp.transpose(grad, tuple(back))


class Expand(Op):
    """x broadcast to `shape`; a view. The engine sums the gradient over the repetitions."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Any, *, shape: tuple) -> Any:
        new = len(shape) - x.ndim
        if shape[new:] == x.shape and shape[:new] == (1,) * new:  # nothing is repeated: the view can be written to
            return x[(None,) * new]
        return ctx.xp.broadcast_to(x, shape)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad


def _promote_all(inputs: tuple) -> tuple:
    return cast_all(inputs, result_dtype(*inputs))


class Concatenate(Op):
    """Tensors end to end along `axis`; each gets its part of the gradient."""

    prepare = _promote_all

    @staticmethod
    def forward(ctx: Any, *parts: Any, axis: int) -> Any:
        ctx.axis = axis % parts[0].ndim if parts[0].ndim else axis
        ctx.lengths = [part.shape[ctx.axis] if part.ndim > ctx.axis else 0 for part in parts]
        ctx.shapes = [part.shape for part in parts]
        return ctx.xp.asarray(ctx.xp.concatenate(parts, axis=axis), order="C")

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        parts, start = [], 0
        for length in ctx.lengths:
            key = (slice(None),) * ctx.axis + (slice(start, start + length),)
            parts.append(grad[key])
            start += length
        return tuple(parts)


class Stack(Op):
    """Tensors of one shape along a new axis; each gets its slice of the gradient."""

    prepare = _promote_all

    @staticmethod
    def forward(ctx: Any, *parts: Any, axis: int) -> Any:
        ctx.axis = axis % (parts[0].ndim + 1)
        return ctx.xp.asarray(ctx.xp.stack(parts, axis=axis), order="C")

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        lead = (slice(None),) * ctx.axis
        return tuple(grad[(*lead, i)] for i in range(grad.shape[ctx.axis]))


class Split(Op):
    """x cut along `axis` into views of the given lengths; the gradient joins the pieces' gradients again."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Any, *, lengths: tuple, axis: int) -> Any:
        ends = list(itertools.accumulate(lengths, initial=0))
        lead = (slice(None),) * (axis % x.ndim)
        ctx.axis = axis
        ctx.views = [(Slice, {"key": (*lead, slice(a, b))}) for a, b in itertools.pairwise(ends)]
        pieces = tuple(x[options["key"]] for _, options in ctx.views)
        ctx.piece_shapes = [piece.shape for piece in pieces]
        return pieces

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        return ctx.xp.concatenate(_without_gaps(ctx, grads), axis=ctx.axis)


class Unbind(Op):
    """x cut along `axis` into views without it; the gradient stacks the pieces' gradients again."""

    view = True

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: int) -> Any:
        lead = (slice(None),) * (axis % x.ndim)
        ctx.axis = axis
        ctx.views = [(Slice, {"key": (*lead, i, ...)}) for i in range(x.shape[axis])]
        pieces = tuple(x[options["key"]] for _, options in ctx.views)
        ctx.piece_shapes = [piece.shape for piece in pieces]
        return pieces

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        return ctx.call(Stack, *_without_gaps(ctx, grads), axis=ctx.axis)


def _without_gaps(ctx: Any, grads: list) -> list:
    """The gradients of all pieces: zeros for the pieces that nothing was computed from."""
    given = next(grad for grad in grads if grad is not None)
    dtype = given.dtype
    xp = array_module(getattr(given, "array", given))
    return [xp.zeros(shape, dtype) if grad is None else grad for grad, shape in zip(grads, ctx.piece_shapes)]


class Flip(Op):
    """x with its elements in reverse order along `axes`."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axes: tuple) -> Any:
        ctx.axes = axes
        return ctx.xp.flip(x, axis=axes).copy()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.xp.flip(grad, axis=ctx.axes)


class Roll(Op):
    """x shifted along `axes`, what leaves one end coming in at the other; `axes` None rolls the flattened x."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, shifts: Any, axes: Any) -> Any:
        ctx.shifts, ctx.axes = shifts, axes
        return ctx.xp.roll(x, shifts, axis=axes)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        back = tuple(-s for s in ctx.shifts) if isinstance(ctx.shifts, tuple) else -ctx.shifts
        return ctx.call(Roll, grad, shifts=back, axes=ctx.axes)


class Pad(Op):
    """x with a border of `value`; `widths` is ((before, after), …) by axis, negative ones cut off."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, widths: tuple, value: float = 0.0) -> Any:
        ctx.widths = widths
        cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, x.shape))
        grown = tuple((max(a, 0), max(b, 0)) for a, b in widths)
        return ctx.xp.pad(x[cut], grown, constant_values=np.asarray(value).astype(x.dtype).item())

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Pad, grad, widths=tuple((-a, -b) for a, b in ctx.widths))
