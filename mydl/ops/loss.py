"""Softmax, log-softmax, cross-entropy from logits as one fused op, and logarithms of probabilities that may be 0."""

from __future__ import annotations

from typing import Any

from mydl import kernels
from mydl.autograd.op import Op
from mydl.ops.indexing import Scatter

__all__ = ["BinaryCrossEntropy", "ClampedLog", "CrossEntropy", "LogSoftmax", "Softmax"]


class Softmax(Op):
    """y = exp(x) / sum exp(x) along `axis`, shifted by the largest; dx = y (g - sum(g y))."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: int) -> Any:
        y = kernels.of(x).softmax(x, axis)
        ctx.save(y)
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        if not ctx.recording:
            return kernels.of(y).softmax_backward(grad, y, ctx.axis)
        return y * (grad - ctx.xp.sum(grad * y, axis=ctx.axis, keepdims=True))


class LogSoftmax(Op):
    """y = x - ln sum exp(x) along `axis`; dx = g - exp(y) sum(g)."""

    @staticmethod
    def forward(ctx: Any, x: Any, *, axis: int) -> Any:
        y = kernels.of(x).log_softmax(x, axis)
        ctx.save(y)
        ctx.axis = axis
        return y

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (y,) = ctx.saved
        if not ctx.recording:
            return kernels.of(y).log_softmax_backward(grad, y, ctx.axis)
        return grad - ctx.xp.exp(y) * ctx.xp.sum(grad, axis=ctx.axis, keepdims=True)


class CrossEntropy(Op):
    """The loss of each row of logits x (N, C) for class indices t (N,): w[t] (ln sum exp(x) - x[t]), smoothed.

    With smoothing s the row's loss is (1 - s) w[t] (lse - x[t]) + s / C sum over c of w[c] (lse - x[c]); rows whose
    target is `ignore_index` give 0. The gradient is softmax(x) times the row's total weight, less the weights.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Any,
        *,
        target: Any,
        weight: Any = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
    ) -> Any:
        loss, log_sum_exp = kernels.of(x).cross_entropy(x, target, weight, ignore_index, label_smoothing)
        ctx.save(x)
        ctx.log_sum_exp = log_sum_exp
        ctx.rest = (target, weight, ignore_index, label_smoothing)
        return loss

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        if not ctx.recording:
            return kernels.of(x).cross_entropy_backward(grad, x, ctx.log_sum_exp, *ctx.rest)
        # Of the row's gradient, softmax(x) total - weights, only the softmax depends on x.
        target, weight, ignore_index, smoothing = ctx.rest
        classes = x.shape[1]
        plain = Softmax.apply(x, axis=1)
        kept = (target != ignore_index).astype(x.dtype)
        safe = target * (target != ignore_index)
        class_weight = kept[:, None] if weight is None else kept[:, None] * weight
        class_weight = ctx.xp.broadcast_to(class_weight, x.shape)
        chosen = ctx.call(Scatter, _constant(ctx, kept, weight, safe), index=safe[:, None], axis=1, shape=x.shape)
        weights = chosen * (1 - smoothing) + class_weight * (smoothing / classes)
        total = ctx.xp.sum(weights, axis=1, keepdims=True)
        return ctx.xp.reshape(grad, (-1, 1)) * (plain * total - weights)


def _constant(ctx: Any, kept: Any, weight: Any, safe: Any) -> Any:
    return (kept if weight is None else kept * weight[safe])[:, None]


class ClampedLog(Op):
    """max(ln x, -100); d/dx = 1 / max(x, 1e-12): both finite at 0."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save(x)
        return ctx.xp.maximum(ctx.xp.log(x), -100)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved
        return grad / ctx.xp.where(x < 1e-12, 1e-12, x)


class BinaryCrossEntropy(Op):
    """-(t ln p + (1 - t) ln(1 - p)), the logarithms held above -100; dp = (p - t) / max(p (1 - p), 1e-12)."""

    @staticmethod
    def forward(ctx: Any, p: Any, t: Any) -> Any:
        ctx.save(p, t)
        log, maximum = ctx.xp.log, ctx.xp.maximum
        return -(t * maximum(log(p), -100) + (1 - t) * maximum(ctx.xp.log1p(-p), -100))

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        p, t = ctx.saved
        where, log = ctx.xp.where, ctx.xp.log
        needs_p, needs_t = ctx.needs_input_grad
        dp = dt = None
        if needs_p:
            spread = p * (1 - p)
            dp = grad * (p - t) / where(spread < 1e-12, 1e-12, spread)
        if needs_t:
            dt = grad * (log(1 - p) - log(p))
        return dp, dt
