"""One step of the recurrent layers that have gates, from the gates' inputs on."""

from __future__ import annotations

from typing import Any

from mydl.autograd.op import Op
from mydl.ops.elementwise import Sigmoid

__all__ = ["GRUStep", "LSTMStep"]


def _parts(x: Any, count: int) -> list:
    """The last axis cut into `count` equal parts."""
    size = x.shape[-1] // count
    return [x[..., i * size : (i + 1) * size] for i in range(count)]


class LSTMStep(Op):
    """(h', c') from gate inputs a = (i, f, g, o) side by side and the cell c, s being the sigmoid:

    c' = s(f) c + s(i) tanh(g),  h' = s(o) tanh(c').  (Hochreiter and Schmidhuber, 1997; Gers et al., 2000.)
    """

    @staticmethod
    def forward(ctx: Any, a: Any, c: Any) -> Any:
        ctx.save(a, c)
        i, f, g, o = LSTMStep.gates(ctx, a)
        cell = f * c + i * g
        return o * ctx.xp.tanh(cell), cell

    @staticmethod
    def gates(ctx: Any, a: Any) -> tuple:
        """The gates' values: sigmoids, and the tanh of g."""
        i, f, g, o = _parts(a, 4)
        return ctx.call(Sigmoid, i), ctx.call(Sigmoid, f), ctx.xp.tanh(g), ctx.call(Sigmoid, o)

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        dh, dc = grads
        a, c = ctx.saved
        xp = ctx.xp
        i, f, g, o = LSTMStep.gates(ctx, a)
        t = xp.tanh(f * c + i * g)
        do = xp.zeros_like(o)
        if dh is not None:
            through = dh * o * (1 - t * t)
            dc = through if dc is None else dc + through
            do = dh * t * o * (1 - o)
        da = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), do)
        return xp.concatenate(da, axis=-1), dc * f


class GRUStep(Op):
    """h' from the inputs' part a = (r, z, n) and the state's part b = (r, z, n), side by side, and the state h:

    r = s(a_r + b_r),  z = s(a_z + b_z),  n = tanh(a_n + r b_n),  h' = (1 - z) n + z h.  (Cho et al., 2014.)
    """

    @staticmethod
    def forward(ctx: Any, a: Any, b: Any, h: Any) -> Any:
        ctx.save(a, b, h)
        _, z, n = GRUStep.gates(ctx, a, b)
        return n + z * (h - n)

    @staticmethod
    def gates(ctx: Any, a: Any, b: Any) -> tuple:
        """(r, z, n)."""
        (a_r, a_z, a_n), (b_r, b_z, b_n) = _parts(a, 3), _parts(b, 3)
        r = ctx.call(Sigmoid, a_r + b_r)
        return r, ctx.call(Sigmoid, a_z + b_z), ctx.xp.tanh(a_n + r * b_n)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        a, b, h = ctx.saved
        r, z, n = GRUStep.gates(ctx, a, b)
        dn = grad * (1 - z) * (1 - n * n)
        dz = grad * (h - n) * z * (1 - z)
        dr = dn * _parts(b, 3)[2] * r * (1 - r)
        join = ctx.xp.concatenate
        return join((dr, dz, dn), axis=-1), join((dr, dz, dn * r), axis=-1), grad * z
