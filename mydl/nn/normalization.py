"""Normalisation layers: batch, layer, group, instance, root mean square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.autograd.op import describe
from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn import init as initialisers
from mydl.nn.linear import new_parameter
from mydl.nn.module import NeuralNetwork
from mydl.tensor import MyTensor, Parameter

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "LayerNorm",
    "LocalResponseNorm", "RMSNorm",
]  # fmt: skip


class _Affine(NeuralNetwork):
    """What the normalisations share: a weight that starts at 1, and a bias that starts at 0."""

    weight: Parameter | None
    bias: Parameter | None  # RMSNorm has none

    def _put_affine(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        self.register_parameter("weight", new_parameter(shape, device, dtype, 1.0) if weight else None)
        self.register_parameter("bias", new_parameter(shape, device, dtype) if weight and bias else None)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            initialisers.ones_(self.weight)
        bias = getattr(self, "bias", None)
        if bias is not None:
            initialisers.zeros_(bias)


class _ByChannel(_Affine):
    """What batch and instance normalisation share: weight, bias and running statistics by channel."""

    running_mean: MyTensor | None
    running_var: MyTensor | None
    num_batches_tracked: MyTensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = (num_features,)
        self._put_affine(shape, affine, bias, device, dtype)
        if track_running_stats:
            self.register_buffer("running_mean", new_parameter(shape, device, dtype).detach())
            self.register_buffer("running_var", new_parameter(shape, device, dtype, 1.0).detach())
            self.register_buffer("num_batches_tracked", MyTensor(np.zeros((), np.int64), device=device))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)

    def reset_running_stats(self) -> None:
        """Running mean 0, running variance 1, no batches seen."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, running statistics as at the start."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_dims(self, input: MyTensor, wanted: tuple[int, ...]) -> None:
        if input.ndim not in wanted:
            dims = " or ".join(map(str, wanted))
            raise ShapeError(f"{type(self).__name__}: wanted an input of {dims} dimensions, got {describe(input)}")

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ByChannel):
    """What the batch normalisations share."""

    dims: tuple[int, ...]

    def forward(self, input: MyTensor) -> MyTensor:
        """The input normalised: by its own statistics in training, by the running ones in evaluation."""
        if input.ndim not in self.dims:
            self._check_dims(input, self.dims)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.array += 1
            self.num_batches_tracked._version[0] += 1
            if self.momentum is None:  # the plain average over all batches
                momentum = 1 / int(self.num_batches_tracked.item())
        from_batch = self.training or self.running_mean is None
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, from_batch, momentum, self.eps
        )


class BatchNorm1d(_BatchNorm):
    """y = (x - mean) / sqrt(var + eps) weight + bias by channel of (N, C) or (N, C, L).

    In training mean and var are the batch's, and the running ones move towards them by `momentum` (with
    `momentum=None` they are the average over all batches); in evaluation the running ones are taken.
    Ioffe and Szegedy, "Batch normalization", 2015.

    >>> import mydl
    >>> BatchNorm1d(3)(mydl.ones(2, 3)).shape
    (2, 3)
    """

    dims: tuple[int, ...] = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images (N, C, H, W).

    >>> import mydl
    >>> BatchNorm2d(3)(mydl.ones(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    dims = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes (N, C, D, H, W).

    >>> import mydl
    >>> BatchNorm3d(3)(mydl.ones(2, 3, 2, 2, 2)).shape
    (2, 3, 2, 2, 2)
    """

    dims = (5,)


class _InstanceNorm(_ByChannel):
    """What the instance normalisations share."""

    dims: int  # of one example

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: MyTensor) -> MyTensor:
        """The input normalised by its planes' statistics, or in evaluation by the running ones if tracked."""
        self._check_dims(input, (self.dims, self.dims + 1))
        batch = input if input.ndim > self.dims else input.unsqueeze(0)
        momentum = 0.0 if self.momentum is None else self.momentum
        own = self.training or not self.track_running_stats
        y = F.instance_norm(batch, self.running_mean, self.running_var, self.weight, self.bias, own, momentum, self.eps)
        return y if input.ndim > self.dims else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """`InstanceNorm2d` for lines (N, C, L) or (C, L).

    >>> import mydl
    >>> InstanceNorm1d(3)(mydl.ones(2, 3, 4)).shape
    (2, 3, 4)
    """

    dims = 2


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each image normalised over its own plane, (N, C, H, W) or (C, H, W).

    Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016.

    >>> import mydl
    >>> InstanceNorm2d(3)(mydl.ones(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    dims = 3


class LayerNorm(_Affine):
    """y = (x - mean) / sqrt(var + eps) weight + bias over the last dimensions, of sizes normalized_shape.

    `weight` and `bias` have that shape. Ba, Kiros and Hinton, "Layer normalization", 2016.

    >>> import mydl
    >>> LayerNorm(3)(mydl.ones(2, 3)).shape
    (2, 3)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._put_affine(self.normalized_shape, elementwise_affine, bias, device, dtype)

    def forward(self, input: MyTensor) -> MyTensor:
        """The input normalised."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        bias = self.bias is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={bias}"


class RMSNorm(_Affine):
    """y = x / sqrt(mean(x²) + eps) weight over the last dimensions, of sizes normalized_shape.

    Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> import mydl
    >>> RMSNorm(2)(mydl.tensor([1.0, 7.0]))
    tensor([0.2000, 1.4000], grad_fn=<Mul>)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = new_parameter(self.normalized_shape, device, dtype, 1.0) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def forward(self, input: MyTensor) -> MyTensor:
        """The input normalised."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """Each example's channels in num_groups groups, each normalised by its own statistics; weight, bias by channel.

    Wu and He, "Group normalization", 2018.

    >>> import mydl
    >>> GroupNorm(2, 4)(mydl.ones(2, 4, 3, 3)).shape
    (2, 4, 3, 3)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise ShapeError(f"GroupNorm: {num_groups} groups do not divide {num_channels} channels")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._put_affine((num_channels,), affine, bias, device, dtype)

    def forward(self, input: MyTensor) -> MyTensor:
        """The input normalised."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        bias = self.bias is not None
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={bias}"


class LocalResponseNorm(NeuralNetwork):
    """x / (k + alpha · the mean of x² over `size` neighbouring channels)^beta (Krizhevsky et al., 2012).

    >>> import mydl
    >>> LocalResponseNorm(2)(mydl.ones(1, 4, 3, 3)).shape
    (1, 4, 3, 3)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: MyTensor) -> MyTensor:
        """The normalised input."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
