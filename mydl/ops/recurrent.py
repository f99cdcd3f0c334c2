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
        i, f, g, o = LSTMStep.values(ctx, a)
        cell = f * c + i * g
        t = ctx.xp.tanh(cell)
        ctx.gates = i, f, g, o, t
        return o * t, cell

    @staticmethod
    def values(ctx: Any, a: Any) -> tuple:
        """The gates: sigmoids, in one call though g has no use for it, and the tanh of g."""
        i, f, _, o = _parts(ctx.call(Sigmoid, a), 4)
        return i, f, ctx.xp.tanh(_parts(a, 4)[2]), o

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        dh, dc = grads
        a, c = ctx.saved
        xp = ctx.xp
        if ctx.recording:
            i, f, g, o = LSTMStep.values(ctx, a)
            t = xp.tanh(f * c + i * g)
        else:
            i, f, g, o, t = ctx.gates
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
        ctx.gates = _, z, n = GRUStep.values(ctx, a, b)
        return n + z * (h - n)

    @staticmethod
    def values(ctx: Any, a: Any, b: Any) -> tuple:
        """The gates (r, z, n)."""
        r, z, _ = _parts(ctx.call(Sigmoid, a + b), 3)
        return r, z, ctx.xp.tanh(_parts(a, 3)[2] + r * _parts(b, 3)[2])

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        a, b, h = ctx.saved
        r, z, n = GRUStep.values(ctx, a, b) if ctx.recording else ctx.gates
        dn = grad * (1 - z) * (1 - n * n)
        dz = grad * (h - n) * z * (1 - z)
        dr = dn * _parts(b, 3)[2] * r * (1 - r)
        join = ctx.xp.concatenate
        return join((dr, dz, dn), axis=-1), join((dr, dz, dn * r), axis=-1), grad * z
