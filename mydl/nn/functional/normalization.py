"""Normalisation: by the batch, by the example's last dimensions, by groups of channels, by length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mydl import kernels
from mydl.autograd.op import describe
from mydl.errors import DtypeError, ShapeError
from mydl.functions.arguments import Tensor, require_floating
from mydl.nn.functional.pooling import avg_pool2d
from mydl.ops.normalization import BatchNorm, BatchNormEval, RootMeanSquare, Standardize
from mydl.ops.shape import Pad, Reshape

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"]


def _check_channels(input: Any, values: tuple, name: str) -> None:
    shape, dtype = input.array.shape[1:2], input.array.dtype
    for what, value in zip(("running_mean", "running_var", "weight", "bias"), values):
        if value is None:
            continue
        value = getattr(value, "array", value)  # each look at a tensor's own shape makes a Size
        if value.shape != shape:
            raise ShapeError(f"{name}: wanted {what} of shape {shape} for {describe(input)}, got {value.shape}")
        _check_dtype(value, what, dtype, name)


def _check_dtype(value: Any, what: str, dtype: Any, name: str) -> None:
    """PyTorch takes single precision beside half precision, and otherwise one dtype."""
    if value.dtype != dtype and (dtype, value.dtype) != ("float16", "float32"):
        raise DtypeError(f"{name}: wanted {what} of the input's dtype {dtype}, got {value.dtype}")


def batch_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) weight + bias for each channel of (N, C), (N, C, L), (N, C, H, W), ….

    In training mean and var are the batch's, and the running ones, where given, move towards them in place by
    `momentum` (var with the divisor n - 1 there); otherwise they are the running ones.
    Ioffe and Szegedy, "Batch normalization", 2015.

    >>> import mydl
    >>> batch_norm(mydl.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    input = require_floating(input, "batch_norm")
    shape = input.array.shape
    if len(shape) < 2:
        raise ShapeError(f"batch_norm: wanted an input (N, C, …), got {describe(input)}")
    _check_channels(input, (running_mean, running_var, weight, bias), "batch_norm")
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: without training=True it needs running_mean and running_var")
        return BatchNormEval.apply(input, weight, bias, mean=running_mean.array, var=running_var.array, eps=eps)
    count = shape[0] * math.prod(shape[2:])
    if count == 1:
        raise ShapeError(f"batch_norm: in training it needs more than one value per channel, got {describe(input)}")
    y, mean, var = BatchNorm.apply(input, weight, bias, eps=eps)
    if count:
        _move(running_mean, running_var, mean.array, var.array, momentum, count / (count - 1))
    return y


def _move(running_mean: Any, running_var: Any, mean: Any, var: Any, momentum: float, correction: float) -> None:
    """Move the running statistics, where there are any, towards the batch's."""
    if running_mean is None and running_var is None:
        return
    # one of the two alone is moved beside a copy that nobody sees
    arrays = [new.copy() if held is None else held.array for held, new in ((running_mean, mean), (running_var, var))]
    kernels.of(mean).move_statistics(*arrays, mean, var, momentum, correction)
    for held in (running_mean, running_var):
        if held is not None:
            held._version[0] += 1


def _scaled(y: Any, weight: Any, bias: Any) -> Any:
    """y weight + bias in y's dtype."""
    dtype = y.dtype
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y if y.dtype == dtype else y.to(dtype)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - mean) / sqrt(var + eps) weight + bias over the last dimensions, those of `normalized_shape`.

    Ba, Kiros and Hinton, "Layer normalization", 2016.

    >>> import mydl
    >>> layer_norm(mydl.tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    input = require_floating(input, "layer_norm")
    axes = _last_axes(input, normalized_shape, (weight, bias), "layer_norm")
    for what, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            _check_dtype(value, what, input.dtype, "layer_norm")
    return _scaled(Standardize.apply(input, axes=axes, eps=eps), weight, bias)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """y = x / sqrt(mean(x²) + eps) weight over the last dimensions; eps is the dtype's smallest step by default.

    Zhang and Sennrich, "Root mean square layer normalization", 2019.

    >>> import mydl
    >>> rms_norm(mydl.tensor([[1.0, 7.0]]), (2,))
    tensor([[0.2000, 1.4000]])
    """
    input = require_floating(input, "rms_norm")
    axes = _last_axes(input, normalized_shape, (weight,), "rms_norm")
    eps = float(input.xp.finfo(input.dtype).eps) if eps is None else eps
    return _scaled(RootMeanSquare.apply(input, axes=axes, eps=eps), weight, None)


def _last_axes(input: Any, normalized_shape: Any, values: tuple, name: str) -> tuple[int, ...]:
    shape = tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ShapeError(f"{name}: wanted an input whose last dimensions are {shape}, got {describe(input)}")
    for value in values:
        if value is not None and value.shape != shape:
            raise ShapeError(f"{name}: wanted weight and bias of shape {shape}, got {value.shape}")
    return tuple(range(-len(shape), 0))


def _by_channel(y: Any, weight: Any, bias: Any) -> Any:
    """y weight + bias for each channel, dimension 1."""
    column = (-1, *(1,) * (y.ndim - 2))
    weight, bias = (None if v is None else Reshape.apply(v, shape=column) for v in (weight, bias))
    return _scaled(y, weight, bias)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Each example's channels in `num_groups` groups, each normalised as in `layer_norm`; weight and bias by channel.

    Wu and He, "Group normalization", 2018.

    >>> import mydl
    >>> group_norm(mydl.tensor([[1.0, 3.0, 2.0, 6.0]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    input = require_floating(input, "group_norm")
    if input.ndim < 2:
        raise ShapeError(f"group_norm: wanted an input (N, C, …), got {describe(input)}")
    n, channels = input.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise ShapeError(f"group_norm: {num_groups} groups do not divide {channels} channels")
    _check_channels(input, (None, None, weight, bias), "group_norm")
    size = channels // num_groups * math.prod(input.shape[2:])
    if n * size * num_groups and n * size <= 1:
        raise ShapeError(f"group_norm: wanted more than one value to normalise over, got {describe(input)}")
    grouped = Reshape.apply(input, shape=(n, num_groups, size))
    y = Reshape.apply(Standardize.apply(grouped, axes=(2,), eps=eps), shape=input.shape)
    return _by_channel(y, weight, bias)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each example normalised over its own plane; the running statistics as in `batch_norm`.

    Ulyanov, Vedaldi and Lempitsky, "Instance normalization", 2016.

    >>> import mydl
    >>> instance_norm(mydl.tensor([[[1.0, 3.0]]]), eps=0.0)
    tensor([[[-1.,  1.]]])
    """
    input = require_floating(input, "instance_norm")
    if input.ndim < 3:
        raise ShapeError(f"instance_norm: wanted an input (N, C, L, …), got {describe(input)}")
    _check_channels(input, (running_mean, running_var, weight, bias), "instance_norm")
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes = tuple(range(2, input.ndim))
    count = math.prod(input.shape[2:])
    if count == 1:
        raise ShapeError(f"instance_norm: it needs more than one value per channel, got {describe(input)}")
    for running, correction in ((running_mean, None), (running_var, 1)):
        if running is not None and input.shape[0]:
            array = input.array
            new = array.mean(axes) if correction is None else array.var(axes, ddof=correction)
            running.array *= 1 - momentum
            running.array += (new.mean(0) * momentum).astype(running.dtype, copy=False)
            running._version[0] += 1
    return _by_channel(Standardize.apply(input, axes=axes, eps=eps), weight, bias)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha · the mean of x² over `size` neighbouring channels)^beta for (N, C, …) or (C, L).

    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural networks", 2012.

    >>> import mydl
    >>> local_response_norm(mydl.ones(1, 1, 1), 1, alpha=3.0, beta=0.5)
    tensor([[[0.5000]]])
    """
    input = require_floating(input, "local_response_norm")
    if input.ndim < 3 or size < 1:
        raise ShapeError(f"local_response_norm: wanted (N, C, L, …) and a size above 0, got {describe(input)}, {size}")
    n, channels = input.shape[:2]
    squares = Reshape.apply(input * input, shape=(n, 1, channels, -1))
    padded = Pad.apply(squares, widths=((0, 0), (0, 0), (size // 2, (size - 1) // 2), (0, 0)))
    means = Reshape.apply(avg_pool2d(padded, (size, 1), 1), shape=input.shape)
    return input / (means * alpha + k) ** beta
