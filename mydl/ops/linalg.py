"""Matrix products: matmul, and the affine map of a linear layer."""

from __future__ import annotations

import math
from typing import Any

from mydl.autograd.op import Op

__all__ = ["Linear", "MatMul"]


def _same_dtype(inputs: tuple) -> tuple:
    x, y = inputs
    if x.dtype == bool:
        raise TypeError("MatMul: wanted numbers, got booleans; use .long() first")
    if x.dtype is y.dtype or x.dtype == y.dtype:
        return inputs
    raise TypeError(f"MatMul: wanted operands of one dtype, got {x.dtype} and {y.dtype}; cast one with .to(dtype)")


class MatMul(Op):
    """x @ y with NumPy's rules for 1-D operands and batch axes; dx = g yT, dy = xT g."""

    prepare = _same_dtype

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save(x, y)
        return ctx.xp.matmul(x, y)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        needs_x, needs_y = ctx.needs_input_grad
        dx = dy = None
        if len(x.shape) == 1 and len(y.shape) == 1:
            return (grad * y if needs_x else None), (grad * x if needs_y else None)
        xp = ctx.xp
        if len(y.shape) == 1:
            column = xp.expand_dims(grad, -1)
            dx = column * y if needs_x else None
            dy = xp.matmul(xp.swapaxes(x, -1, -2), column)[..., 0] if needs_y else None
        elif len(x.shape) == 1:
            row = xp.expand_dims(grad, -2)
            dx = xp.matmul(row, xp.swapaxes(y, -1, -2))[..., 0, :] if needs_x else None
            dy = xp.expand_dims(x, -1) * row if needs_y else None
        else:
            dx = xp.matmul(grad, xp.swapaxes(y, -1, -2)) if needs_x else None
            dy = xp.matmul(xp.swapaxes(x, -1, -2), grad) if needs_y else None
        return dx, dy


class Linear(Op):
    """x wT + b for x (…, in), w (out, in), b (out,) or None; dx = g w, dw = gT x, db = the sum of g's rows.

    The gradients of w and b go straight into the optimizer's flat buffer where there is one.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, b: Any) -> Any:
        if x.ndim == 0 or x.shape[-1] != w.shape[-1]:
            raise ValueError(f"wanted an input of shape (…, {w.shape[-1]}) for a weight of shape {w.shape}")
        if x.dtype != w.dtype:
            raise TypeError("wanted input and weight of one dtype; cast one with .to(dtype)")
        ctx.save(x, w)
        y = ctx.xp.matmul(x, w.T)
        if b is not None:
            y += b
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, w = ctx.saved
        xp = ctx.xp
        needs_x, needs_w, needs_b = ctx.needs_input_grad
        one_output = len(w.shape) == 1
        if one_output:
            grad = xp.expand_dims(grad, -1)
        rows, columns = (xp.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1])) for a in (grad, x))
        dx = dw = db = None
        if needs_x:
            dx = grad * w if one_output else xp.matmul(grad, w)
        if needs_w:
            dw = (
                xp.sum(rows * columns, axis=0)
                if one_output
                else xp.matmul(xp.transpose(rows), columns, out=ctx.grad_buffer(1))
            )
        if needs_b:
            db = xp.sum(rows, axis=0, out=ctx.grad_buffer(2))
        return dx, dw, db
