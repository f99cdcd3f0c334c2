"""Pooling over windows of (N, C, H, W)."""

from __future__ import annotations

from typing import Any

from mydl import kernels
from mydl.autograd.op import Op
from mydl.ops.indexing import Scatter

__all__ = ["AvgPool2D", "AvgPool2DGrad", "MaxPool2D"]


class MaxPool2D(Op):
    """(the largest value of each window, its flat position in the H W plane); its gradient goes to that position."""

    @staticmethod
    def forward(ctx: Any, x: Any, **options: Any) -> Any:
        y, indices = kernels.of(x).max_pool2d(x, **options)
        ctx.input_shape, ctx.indices = x.shape, indices
        return y, indices

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        grad = grads[0]
        n, c, h, w = ctx.input_shape
        if not ctx.recording:
            return kernels.of(grad).max_pool2d_backward(grad, ctx.indices, ctx.input_shape)
        index = ctx.indices.reshape(n, c, ctx.indices.shape[2] * ctx.indices.shape[3])
        flat = ctx.xp.reshape(grad, index.shape)
        return ctx.xp.reshape(ctx.call(Scatter, flat, index=index, axis=2, shape=(n, c, h * w)), ctx.input_shape)


class AvgPool2D(Op):
    """The mean of each window; a linear map, so its second derivative is itself."""

    @staticmethod
    def forward(ctx: Any, x: Any, **options: Any) -> Any:
        ctx.input_shape, ctx.options = x.shape, options
        return kernels.of(x).avg_pool2d(x, **options)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(AvgPool2DGrad, grad, input_shape=ctx.input_shape, **ctx.options)


class AvgPool2DGrad(Op):
    """The transpose of AvgPool2D: each output's gradient spread evenly over its window."""

    @staticmethod
    def forward(ctx: Any, grad: Any, *, input_shape: tuple, **options: Any) -> Any:
        ctx.options = options
        return kernels.of(grad).avg_pool2d_backward(grad, input_shape, **options)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return ctx.call(AvgPool2D, grad, **ctx.options)
