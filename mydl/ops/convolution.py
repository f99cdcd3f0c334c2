"""Two-dimensional convolution and its two gradients, each other's derivatives; windows unfolded and folded back."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl import kernels
from mydl.autograd.op import Op
from mydl.ops.casting import wide
from mydl.ops.reduction import Sum

__all__ = ["Conv2D", "Conv2DInputGrad", "Conv2DWeightGrad", "Fold", "Unfold"]


class Conv2D(Op):
    """Cross-correlation of x (N, C, H, W) with w (O, C/groups, kh, kw), plus b (O,) or None -> (N, O, H', W').

    y[n, o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[n, c, i s + u d - p, j s + v d - p],
    with H' = (H + 2 p - d (kh - 1) - 1) // s + 1.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, b: Any, **options: Any) -> Any:
        ctx.save(x if ctx.needs_input_grad[1] else None, w if ctx.needs_input_grad[0] else None)
        ctx.options, ctx.shapes = options, (x.shape, w.shape)
        return _kernel(x, "conv2d")(x, w, b, **options)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, w = ctx.saved
        needs_x, needs_w, needs_b = ctx.needs_input_grad
        x_shape, w_shape = ctx.shapes
        dx = ctx.call(Conv2DInputGrad, grad, w, shape=x_shape, **ctx.options) if needs_x else None
        dw = ctx.call(Conv2DWeightGrad, grad, x, shape=w_shape, **ctx.options) if needs_w else None
        db = ctx.call(Sum, grad, axis=(0, 2, 3)) if needs_b else None
        return dx, dw, db


def _kernel(x: Any, name: str) -> Any:
    """A convolution kernel for x. float16 is computed in float32, in which sums go on growing, and rounded once."""
    kernel = getattr(kernels.of(x), name)
    if x.dtype != np.float16:
        return kernel
    return lambda *arguments, **options: kernel(*map(wide, arguments), **options).astype(np.float16)


class Conv2DInputGrad(Op):
    """The gradient of Conv2D's input from the output's; also the transposed convolution of `grad` with w."""

    @staticmethod
    def forward(ctx: Any, grad: Any, w: Any, *, shape: tuple, **options: Any) -> Any:
        ctx.save(grad if ctx.needs_input_grad[1] else None, w if ctx.needs_input_grad[0] else None)
        ctx.options, ctx.w_shape = options, w.shape
        return _kernel(grad, "conv2d_input_grad")(grad, w, shape, **options)

    @staticmethod
    def backward(ctx: Any, x: Any) -> Any:
        grad, w = ctx.saved
        needs_grad, needs_w = ctx.needs_input_grad
        d_grad = ctx.call(Conv2D, x, w, None, **ctx.options) if needs_grad else None
        dw = ctx.call(Conv2DWeightGrad, grad, x, shape=ctx.w_shape, **ctx.options) if needs_w else None
        return d_grad, dw


class Conv2DWeightGrad(Op):
    """The gradient of Conv2D's weight from the output's gradient and the input."""

    @staticmethod
    def forward(ctx: Any, grad: Any, x: Any, *, shape: tuple, **options: Any) -> Any:
        ctx.save(grad if ctx.needs_input_grad[1] else None, x if ctx.needs_input_grad[0] else None)
        ctx.options, ctx.x_shape = options, x.shape
        return _kernel(grad, "conv2d_weight_grad")(grad, x, shape, **options)

    @staticmethod
    def backward(ctx: Any, w: Any) -> Any:
        grad, x = ctx.saved
        needs_grad, needs_x = ctx.needs_input_grad
        d_grad = ctx.call(Conv2D, x, w, None, **ctx.options) if needs_grad else None
        dx = ctx.call(Conv2DInputGrad, grad, w, shape=ctx.x_shape, **ctx.options) if needs_x else None
        return d_grad, dx


def _taps(plane: Any, kernel: tuple, stride: tuple, dilation: tuple, out: tuple) -> Any:
    """For each tap (u, v) of the kernel the part of the padded `plane` that it sees, (N, C, H', W')."""
    for u in range(kernel[0]):
        for v in range(kernel[1]):
            rows, columns = (
                slice(at * d, at * d + (n - 1) * s + 1, s) for at, d, n, s in zip((u, v), dilation, out, stride)
            )
            yield (u, v), plane[:, :, rows, columns]


def _plane(xp: Any, shape: tuple, padding: tuple, dtype: Any) -> tuple[Any, Any]:
    """(zeros for planes of `shape` with their padding, the part of them without it)."""
    (n, c, h, w), (top, left) = shape, padding
    whole = xp.zeros((n, c, h + 2 * top, w + 2 * left), dtype)
    return whole, whole[:, :, top : top + h, left : left + w]


class Unfold(Op):
    """y[n, c, u, v, i, j] = x[n, c, i s + u d - p, j s + v d - p], 0 outside: what each tap of a convolution sees."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, padding: tuple, **windows: Any) -> Any:
        ctx.shape_in, ctx.options = x.shape, {"padding": padding, **windows}
        whole, inside = _plane(ctx.xp, x.shape, padding, x.dtype)
        inside[...] = x
        y = ctx.xp.empty((*x.shape[:2], *windows["kernel"], *windows["out"]), x.dtype)
        for (u, v), part in _taps(whole, **windows):
            y[:, :, u, v] = part
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Fold, grad, shape=ctx.shape_in, **ctx.options)


class Fold(Op):
    """The transpose of Unfold: every element added where it was taken from, in planes of `shape`."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, shape: tuple, padding: tuple, **windows: Any) -> Any:
        ctx.options = {"padding": padding, **windows}
        whole, inside = _plane(ctx.xp, shape, padding, x.dtype)
        for (u, v), part in _taps(whole, **windows):
            part += x[:, :, u, v]
        return inside.copy()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(Unfold, grad, **ctx.options)
