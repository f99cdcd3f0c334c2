"""Rearranging and resizing images: unfold, fold, pixel_shuffle, interpolate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.op import describe
from mydl.errors import ShapeError
from mydl.functions.arguments import Tensor, require_floating, require_tensor
from mydl.nn.functional.arguments import Sizes, pair
from mydl.nn.functional.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d
from mydl.ops.convolution import Fold, Unfold
from mydl.ops.indexing import Take
from mydl.ops.shape import Permute, Reshape

__all__ = ["fold", "interpolate", "pixel_shuffle", "pixel_unshuffle", "unfold", "upsample"]


def _blocks(size: tuple, kernel: tuple, dilation: tuple, padding: tuple, stride: tuple, name: str) -> tuple[int, int]:
    """How many blocks fit down and across."""
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zip(size, kernel, dilation, padding, stride)
    )
    if min(out) < 1:
        raise ShapeError(
            f"{name}: blocks of {kernel} with dilation {dilation} do not fit an image of {size} padded by {padding}"
        )
    return out  # type: ignore[return-value]


def unfold(input: Tensor, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> Tensor:
    """The blocks that a convolution sees, as columns: (N, C, H, W) -> (N, C kh kw, blocks), or without N.

    >>> import mydl
    >>> unfold(mydl.ones(1, 2, 3, 3), 2).shape
    (1, 8, 4)
    """
    name = "unfold"
    input = require_floating(input, name)
    if input.ndim not in (3, 4):
        raise ShapeError(f"{name}: wanted an input (N, C, H, W) or (C, H, W), got {describe(input)}")
    kernel, dilation = pair(kernel_size, name, "kernel_size", 1), pair(dilation, name, "dilation", 1)
    padding, stride = pair(padding, name, "padding"), pair(stride, name, "stride", 1)
    x = input if input.ndim == 4 else Reshape.apply(input, shape=(1, *input.shape))
    out = _blocks(x.shape[2:], kernel, dilation, padding, stride, name)
    y = Unfold.apply(x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, out=out)
    y = Reshape.apply(y, shape=(x.shape[0], x.shape[1] * kernel[0] * kernel[1], out[0] * out[1]))
    return y if input.ndim == 4 else Reshape.apply(y, shape=y.shape[1:])


def fold(
    input: Tensor, output_size: Any, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
) -> Tensor:
    """The sum of blocks at their places in an image of `output_size`, the transpose of `unfold`.

    >>> import mydl
    >>> fold(mydl.ones(1, 4, 4), (3, 3), 2)[0, 0]
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    name = "fold"
    input = require_floating(input, name)
    if input.ndim not in (2, 3):
        raise ShapeError(f"{name}: wanted an input (N, C kh kw, blocks) or (C kh kw, blocks), got {describe(input)}")
    size, kernel = pair(output_size, name, "output_size", 1), pair(kernel_size, name, "kernel_size", 1)
    dilation, stride = pair(dilation, name, "dilation", 1), pair(stride, name, "stride", 1)
    padding = pair(padding, name, "padding")
    out = _blocks(size, kernel, dilation, padding, stride, name)
    rows, columns = input.shape[-2:]
    if columns != out[0] * out[1] or rows % (kernel[0] * kernel[1]):
        raise ShapeError(
            f"{name}: wanted {out[0] * out[1]} blocks and a multiple of {kernel[0] * kernel[1]} rows for an image of "
            f"{size}, got {describe(input)}"
        )
    n, channels = (input.shape[0] if input.ndim == 3 else 1), rows // (kernel[0] * kernel[1])
    x = Reshape.apply(input, shape=(n, channels, *kernel, *out))
    y = Fold.apply(
        x, shape=(n, channels, *size), kernel=kernel, stride=stride, padding=padding, dilation=dilation, out=out
    )
    return y if input.ndim == 3 else Reshape.apply(y, shape=y.shape[1:])


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(…, C r², H, W) -> (…, C, H r, W r): channels become places in a finer image (Shi et al., 2016).

    >>> import mydl
    >>> pixel_shuffle(mydl.ones(1, 4, 2, 2), 2).shape
    (1, 1, 4, 4)
    """
    input, r = require_tensor(input, "pixel_shuffle"), upscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-3] % (r * r):
        raise ShapeError(f"pixel_shuffle: wanted channels that {r}² divides, (…, C, H, W), got {describe(input)}")
    *lead, channels, h, w = input.shape
    n = len(lead)
    x = Reshape.apply(input, shape=(*lead, channels // (r * r), r, r, h, w))
    x = Permute.apply(x, axes=(*range(n), n, n + 3, n + 1, n + 4, n + 2))
    return Reshape.apply(x, shape=(*lead, channels // (r * r), h * r, w * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(…, C, H r, W r) -> (…, C r², H, W): the inverse of `pixel_shuffle`.

    >>> import mydl
    >>> pixel_unshuffle(mydl.ones(1, 1, 4, 4), 2).shape
    (1, 4, 2, 2)
    """
    input, r = require_tensor(input, "pixel_unshuffle"), downscale_factor
    if input.ndim < 3 or r < 1 or input.shape[-1] % r or input.shape[-2] % r:
        raise ShapeError(f"pixel_unshuffle: wanted sizes that {r} divides, (…, C, H, W), got {describe(input)}")
    *lead, channels, h, w = input.shape
    n = len(lead)
    x = Reshape.apply(input, shape=(*lead, channels, h // r, r, w // r, r))
    x = Permute.apply(x, axes=(*range(n), n, n + 2, n + 4, n + 1, n + 3))
    return Reshape.apply(x, shape=(*lead, channels * r * r, h // r, w // r))


# By mode, the numbers of dimensions after (N, C) that it takes.
_SPATIAL = {
    "nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "linear": (1,), "bilinear": (2,), "trilinear": (3,),
    "bicubic": (2,), "area": (1, 2),
}  # fmt: skip


def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """The input (N, C, L), (N, C, H, W), … resized to `size`, or by `scale_factor`.

    "nearest" takes place ⌊i in / out⌋, "nearest-exact" ⌊(i + 1/2) in / out⌋; "linear" (of lines), "bilinear" (of
    images) and "trilinear" weigh the two nearest places along each dimension, "bicubic" the four nearest (Keys, 1981,
    with a = -3/4), where the corners' centres coincide with `align_corners`, the corners themselves otherwise;
    "area" is `adaptive_avg_pool2d`. With `scale_factor` places are counted by its inverse, or by the sizes in / out if
    `recompute_scale_factor` is True.

    >>> import mydl
    >>> interpolate(mydl.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    name = "interpolate"
    input = require_floating(input, name)
    if mode not in _SPATIAL or antialias:
        what = f"mode={mode!r}" if mode not in _SPATIAL else "antialias=True"
        raise NotImplementedError(f"{name}: {what} is not supported; the modes are {', '.join(_SPATIAL)}")
    spatial = input.ndim - 2
    if spatial not in _SPATIAL[mode]:
        raise ShapeError(f"{name}: mode {mode!r} takes {_SPATIAL[mode]} dimensions after (N, C), got {describe(input)}")
    if align_corners is not None and mode.startswith(("nearest", "area")):
        raise ValueError(f"{name}: align_corners is for the linear and cubic modes only, not for {mode!r}")
    sizes, scales = _sizes(input, size, scale_factor, recompute_scale_factor, spatial)
    if mode == "area":
        return (adaptive_avg_pool1d if spatial == 1 else adaptive_avg_pool2d)(input, tuple(sizes))
    for axis, out, scale in zip(range(2, input.ndim), sizes, scales):
        if mode.startswith("nearest"):
            input = _take(input, axis, _nearest(input, axis, out, scale, mode == "nearest-exact"))
        elif mode == "bicubic" or out != input.shape[axis]:  # else PyTorch leaves it as it is, whatever the scale
            input = _weighted(input, axis, out, scale, bool(align_corners), mode == "bicubic")
    return input


upsample = interpolate  # PyTorch's older name


def _sizes(input: Any, size: Any, factor: Any, recompute: bool | None, spatial: int) -> tuple[list[int], list[float]]:
    """(output sizes, input places per output place) along each dimension."""
    if (size is None) == (factor is None):
        raise ValueError("interpolate: wanted either size or scale_factor")
    given = size if factor is None else factor
    values = list(given) if isinstance(given, (tuple, list)) else [given] * spatial
    if len(values) != spatial:
        raise ShapeError(f"interpolate: wanted {spatial} sizes or scale factors for {describe(input)}, got {given!r}")
    if factor is None:
        if recompute:
            raise ValueError("interpolate: recompute_scale_factor=True wants scale_factor, not size")
        if any(not isinstance(value, (int, np.integer)) for value in values):
            raise TypeError(f"interpolate: wanted ints as size, got {given!r}")
        sizes = [int(value) for value in values]
    else:
        sizes = [math.floor(n * value) for n, value in zip(input.shape[2:], values)]
    if min(sizes) < 1 or 0 in input.shape[1:]:
        raise ShapeError(f"interpolate: wanted sizes above 0, got {describe(input)} to {tuple(sizes)}")
    if factor is None or recompute:
        return sizes, [n / out for n, out in zip(input.shape[2:], sizes)]
    return sizes, [1 / value for value in values]


def _take(x: Any, axis: int, places: np.ndarray) -> Any:
    return Take.apply(x, key=(slice(None),) * axis + (x.xp.asarray(places),))


def _nearest(x: Any, axis: int, out: int, scale: float, exact: bool) -> np.ndarray:
    """The input place of each output place; which way ties and odd scales go is PyTorch's.

    It computes the places of an image in single precision, those of a line or a volume in the input's; and it copies
    or doubles the places of an image that keeps or doubles its size, whatever the scale factor says.
    """
    size, image = x.shape[axis], x.ndim == 4
    if image and not exact and out in (size, 2 * size):
        return np.arange(out) // (out // size)
    kind: Any = np.float64 if x.dtype == np.float64 and not (image and not exact) else np.float32
    places = np.floor((np.arange(out).astype(kind) + kind(0.5 * exact)) * kind(scale)).astype(np.int64)
    return np.minimum(places, size - 1)


def _weighted(x: Any, axis: int, out: int, scale: float, align_corners: bool, cubic: bool) -> Any:
    """Between the two nearest places along one axis, or the four nearest."""
    size = x.shape[axis]
    if align_corners:
        where = np.arange(out) * ((size - 1) / (out - 1) if out > 1 else 0.0)
    else:
        where = (np.arange(out) + 0.5) * scale - 0.5
        where = where if cubic else np.maximum(where, 0)
    low = np.floor(where).astype(np.int64)
    share = where - low
    shares = {0: 1 - share, 1: share}
    if cubic:
        shares = {tap: _cubic(abs(share - tap)) for tap in (-1, 0, 1, 2)}
    total = None
    for tap, weight in shares.items():
        column = weight.astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1 - axis))
        part = _take(x, axis, np.clip(low + tap, 0, size - 1)) * x.xp.asarray(column)
        total = part if total is None else total + part
    return total


def _cubic(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Keys' kernel: the weight of a place at a distance of up to 2."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    return np.where(distance <= 1, near, a * (((distance - 5) * distance + 8) * distance - 4))
