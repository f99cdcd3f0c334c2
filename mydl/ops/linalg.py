"""Matrix products: matmul, the affine map of a linear layer, and einsum."""

from __future__ import annotations

from typing import Any

from mydl.autograd.op import Op
from mydl.ops.casting import cast_all, result_dtype

__all__ = ["Einsum", "Linear", "MatMul"]


def _same_dtype(inputs: tuple) -> tuple:
    x, y = inputs
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
        dx = xp.matmul(grad, w) if needs_x else None
        dw = db = None
        if len(w.shape) == 1:
            rows, columns = xp.reshape(grad, (-1, 1)), xp.reshape(x, (-1, x.shape[-1]))
        else:
            rows, columns = xp.reshape(grad, (-1, grad.shape[-1])), xp.reshape(x, (-1, x.shape[-1]))
        if needs_w:
            dw = xp.matmul(xp.transpose(rows), columns, out=ctx.grad_buffer(1))
        if needs_b:
            db = xp.sum(rows, axis=0, out=ctx.grad_buffer(2))
        return dx, dw, db


def _promote_all(inputs: tuple) -> tuple:
    return cast_all(inputs, result_dtype(*inputs))


class Einsum(Op):
    """The sum of products that `equation` names, in explicit form ("ij,jk->ik"), each letter once per operand.

    The gradient of an operand is the einsum of the output's gradient with the other operands, arranged to that
    operand's letters; letters that only it has are spread out again.
    """

    prepare = _promote_all

    @staticmethod
    def forward(ctx: Any, *operands: Any, equation: str) -> Any:
        ctx.save(*operands)
        ctx.equation = equation
        return ctx.xp.asarray(ctx.xp.einsum(equation, *operands, optimize=True))

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        left, result = ctx.equation.split("->")
        terms = left.split(",")
        grads = []
        for i, term in enumerate(terms):
            if not ctx.needs_input_grad[i]:
                grads.append(None)
                continue
            others = [t for j, t in enumerate(terms) if j != i]
            seen = set(result).union(*others)
            reachable = "".join(letter for letter in term if letter in seen)
            equation = ",".join([result, *others]) + "->" + reachable
            values = [value for j, value in enumerate(ctx.saved) if j != i]
            part = ctx.call(Einsum, grad, *values, equation=equation)
            shape = ctx.saved[i].shape
            kept = tuple(n if letter in seen else 1 for letter, n in zip(term, shape))
            grads.append(ctx.xp.broadcast_to(ctx.xp.reshape(part, kept), shape))
        return tuple(grads)
