"""Batch normalisation by the statistics of all ranks' batches together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from mydl import kernels
from mydl.autograd.op import Op
from mydl.distributed.group import group, world_size
from mydl.nn import BatchNorm1d, BatchNorm2d, BatchNorm3d, NeuralNetwork
from mydl.ops.casting import wide
from mydl.tensor import MyTensor

__all__ = ["SyncBatchNorm"]

Module = TypeVar("Module", bound=NeuralNetwork)


class BatchNormAcrossRanks(Op):
    """`mydl.ops.normalization.BatchNorm` with the means over all ranks' elements; returns (y, mean, unbiased var).

    `total` sums an array of float64 over the ranks in place: in forward (m, Σx, Σx²) by channel, in backward
    (Σg, Σgz). Each rank has its own statistics from the kernel and corrects what that gave by one scale and one
    shift a channel.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Any, weight: Any, bias: Any, *, eps: float, total: Callable[[Any], None]
    ) -> tuple[Any, Any, Any]:
        xp, z = ctx.xp, wide(x)
        count = x.size // x.shape[1]
        y, near, spread, near_inv_std = kernels.of(z).batch_norm(z, None, None, eps)
        here, var_here = near.astype(np.float64), spread.astype(np.float64)
        sums = xp.stack([xp.full_like(here, count), count * here, count * (var_here + here * here)])
        total(sums)
        mean = sums[1] / sums[0]
        var = sums[2] / sums[0] - mean * mean
        inv_std = 1 / xp.sqrt(xp.maximum(var, 0) + eps)
        scale = inv_std if weight is None else inv_std * weight
        shift = (here - mean) * scale if bias is None else (here - mean) * scale + bias
        y *= _column(scale / near_inv_std, y)
        y += _column(shift, y)
        ctx.save(x, weight)
        ctx.mean, ctx.inv_std = mean.astype(z.dtype), inv_std.astype(z.dtype)
        ctx.count, ctx.all, ctx.total = count, sums[0], total
        return y.astype(x.dtype, copy=False), mean, var * (sums[0] / (sums[0] - 1))

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        grad, d_mean, d_var = grads
        if d_mean is not None or d_var is not None:
            raise RuntimeError("SyncBatchNorm: the batch statistics carry no gradient; detach them")
        if ctx.recording:
            raise NotImplementedError("SyncBatchNorm: second derivatives across ranks are not supported")
        x, weight = ctx.saved
        z = wide(x)
        dx, dw, db = kernels.of(z).batch_norm_backward(wide(grad), z, weight, ctx.mean, ctx.inv_std)
        sums = ctx.xp.stack([db, dw]).astype(np.float64)
        mine = sums / ctx.count
        ctx.total(sums)
        change = (mine - sums / ctx.all) * (ctx.inv_std if weight is None else weight * ctx.inv_std)
        z = z - _column(ctx.mean, z)
        z *= _column(change[1] * ctx.inv_std, z)
        z += _column(change[0], z)
        dx += z
        _, needs_w, needs_b = ctx.needs_input_grad
        return dx.astype(x.dtype, copy=False), (dw if needs_w else None), (db if needs_b else None)


def _column(values: Any, like: Any) -> Any:
    """(C,) in the shape that spreads over `like`'s channels, and in its dtype."""
    return values.reshape(1, -1, *(1,) * (like.ndim - 2)).astype(like.dtype, copy=False)


class SyncBatchNorm(BatchNorm1d):
    """Batch normalisation whose training statistics are those of all ranks' batches together, as if they were one.

    In evaluation, or in one process, it is what it was converted from. Inputs are (N, C), (N, C, L), …; ranks may have
    different N. Each forward and each backward pass waits for all ranks.

    >>> import mydl
    >>> SyncBatchNorm(3)(mydl.ones(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    dims = (2, 3, 4, 5)

    @classmethod
    def convert_sync_batchnorm(cls, module: Module) -> Module:
        """Make every batch normalisation in `module` a synchronised one, in place, and return the module.

        Parameters and buffers stay the same tensors.

        >>> from mydl import nn
        >>> SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.BatchNorm2d(8)))
        Sequential(
          (0): SyncBatchNorm(8, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
        )
        """
        for layer in module.modules():
            if isinstance(layer, (BatchNorm1d, BatchNorm2d, BatchNorm3d)):
                layer.__class__ = cls
        return module

    def forward(self, input: MyTensor) -> MyTensor:
        """The input normalised: by all ranks' statistics in training, by the running ones in evaluation."""
        from_batch = self.training or self.running_mean is None
        if world_size() == 1 or not from_batch:
            return super().forward(input)
        self._check_dims(input, self.dims)
        y, mean, var = BatchNormAcrossRanks.apply(
            input, self.weight, self.bias, eps=self.eps, total=lambda sums: group().reduce(sums, "sum", "SyncBatchNorm")
        )
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked += 1
            momentum = 1 / int(self.num_batches_tracked.item()) if self.momentum is None else self.momentum
            averages: list[Any] = [(self.running_mean, mean), (self.running_var, var)]
            for running, new in averages:
                running.copy_((1 - momentum) * running + momentum * new.detach().to(running.dtype))
        return y
