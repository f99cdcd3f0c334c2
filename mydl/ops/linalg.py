"""Matrix products: matmul, and the affine map of a linear layer; systems of equations and determinants."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl import kernels
from mydl.autograd.op import Op
from mydl.backend import array_module
from mydl.errors import DtypeError
from mydl.ops.casting import wide
from mydl.ops.reduction import Sum

__all__ = ["Linear", "MatMul", "SLogDet", "Solve"]


def _same_dtype(inputs: tuple) -> tuple:
    x, y = inputs
    if x.dtype == bool and 0 not in (*x.shape, *y.shape):
        raise DtypeError("MatMul: wanted numbers, got booleans; use .long() first")
    if x.dtype is y.dtype or x.dtype == y.dtype:
        return inputs
    raise DtypeError(f"MatMul: wanted operands of one dtype, got {x.dtype} and {y.dtype}; cast one with .to(dtype)")


def _matmul(ctx: Any, grad: Any) -> Any:
    """The product that a backward rule uses: the recorded one, or the kernel that suits the arrays."""
    return ctx.xp.matmul if ctx.recording else kernels.of(grad).matmul


class MatMul(Op):
    """x @ y with NumPy's rules for 1-D operands and batch axes; dx = g yT, dy = xT g."""

    prepare = _same_dtype

    @staticmethod
    def forward(ctx: Any, x: Any, y: Any) -> Any:
        ctx.save(x, y)
        try:
            return kernels.of(x).matmul(x, y)
        except ValueError:
            if 0 in (x.ndim, y.ndim):
                raise ValueError("wanted operands of one dimension or more; multiply by a number with *") from None
            rows = y.shape[-2] if y.ndim > 1 else y.shape[0]
            fault = f"the last size of the first, {x.shape[-1]}, is not the size of the second's rows, {rows}"
            raise ValueError(fault if x.shape[-1] != rows else "the batches do not broadcast together") from None

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, y = ctx.saved
        needs_x, needs_y = ctx.needs_input_grad
        dx = dy = None
        if len(x.shape) == 1 and len(y.shape) == 1:
            return (grad * y if needs_x else None), (grad * x if needs_y else None)
        xp, matmul = ctx.xp, _matmul(ctx, grad)
        if len(y.shape) == 1:
            column = xp.expand_dims(grad, -1)
            dx = column * y if needs_x else None
            dy = matmul(xp.swapaxes(x, -1, -2), column)[..., 0] if needs_y else None
        elif len(x.shape) == 1:
            row = xp.expand_dims(grad, -2)
            dx = matmul(row, xp.swapaxes(y, -1, -2))[..., 0, :] if needs_x else None
            dy = xp.expand_dims(x, -1) * row if needs_y else None
        else:
            dx = matmul(grad, xp.swapaxes(y, -1, -2)) if needs_x else None
            dy = matmul(xp.swapaxes(x, -1, -2), grad) if needs_y else None
        return dx, dy


class Linear(Op):
    """x wT + b for x (…, in), w (out, in), b (out,) or None; dx = g w, dw = gT x, db = the sum of g's rows.

    The gradients of w and b go straight into the optimizer's flat buffer where there is one.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, b: Any) -> Any:
        if x.ndim == 0 or x.shape[-1] != w.shape[-1]:
            meant = "; flatten it first, with .flatten(1)" if math.prod(x.shape[1:]) == w.shape[-1] else ""
            raise ValueError(f"wanted an input of shape (…, {w.shape[-1]}) for a weight of shape {w.shape}{meant}")
        if x.dtype != w.dtype or (b is not None and b.dtype != w.dtype):
            raise DtypeError("wanted input, weight and bias of one dtype; cast with .to(dtype)")
        ctx.save(x, w)
        return kernels.of(x).matmul(x, w.T, bias=b)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        x, w = ctx.saved
        xp, matmul = ctx.xp, _matmul(ctx, grad)
        needs_x, needs_w, needs_b = ctx.needs_input_grad
        one_output = len(w.shape) == 1
        if one_output:
            grad = xp.expand_dims(grad, -1)
        rows, columns = grad, x
        if len(x.shape) != 2:
            rows, columns = (xp.reshape(a, (math.prod(a.shape[:-1]), a.shape[-1])) for a in (grad, x))
        dx = dw = db = None
        if needs_x:
            dx = grad * w if one_output else matmul(grad, w)
        if needs_w and one_output:
            dw = ctx.call(Sum, rows * columns, axis=0)
        elif needs_w:
            dw = matmul(rows.T, columns, out=ctx.grad_buffer(1))
        if needs_b and rows.dtype == np.float16:
            db = ctx.call(Sum, rows, axis=0)  # in float32
        elif needs_b:
            db = xp.sum(rows, axis=0, out=ctx.grad_buffer(2))
        return dx, dw, db


class Solve(Op):
    """x = a⁻¹ b for a (…, n, n) and b (…, n, k); db = a⁻ᵀ g, da = -db xᵀ."""

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any) -> Any:
        x = ctx.xp.linalg.solve(wide(a), wide(b)).astype(a.dtype, copy=False)
        ctx.save(a, x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        a, x = ctx.saved
        xp = ctx.xp
        db = ctx.call(Solve, xp.swapaxes(a, -1, -2), grad)
        return (-xp.matmul(db, xp.swapaxes(x, -1, -2)) if ctx.needs_input_grad[0] else None), db


class SLogDet(Op):
    """(sign, ln |det a|) for a (…, n, n); the second gives da = g a⁻ᵀ, the first is constant."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        ctx.save(a)
        return tuple(ctx.xp.asarray(part, dtype=a.dtype) for part in ctx.xp.linalg.slogdet(wide(a)))

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        (a,) = ctx.saved
        xp, array = ctx.xp, getattr(a, "array", a)
        if grads[1] is None:
            return xp.zeros_like(a)
        identity = array_module(array).broadcast_to(array_module(array).eye(a.shape[-1], dtype=a.dtype), a.shape)
        return xp.reshape(grads[1], (*a.shape[:-2], 1, 1)) * ctx.call(Solve, xp.swapaxes(a, -1, -2), identity)
