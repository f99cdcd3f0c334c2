"""Resampling whole batches of images: affine maps and resizing, on arrays (N, C, H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mydl.backend import array_module


def affine(
    images: np.ndarray, matrices: np.ndarray, size: tuple[int, int], bilinear: bool, fill: ArrayLike = 0.0
) -> np.ndarray:
    """Each image seen through its own affine map, (N, C, *size), float32.

    `matrices` (N, 2, 3) send output to input coordinates, [x', y'] = M [x, y, 1], with the origin in the
    corner of the top left pixel (its centre is at 0.5, 0.5), as in Pillow. A point outside the input gets
    `fill` (a number, or one a channel); another the pixel it falls in, or, `bilinear`, the mean of the four
    pixel centres around it, weighted by distance, with the border repeated.

    >>> image = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    >>> one_left = np.array([[[1, 0, 1], [0, 1, 0]]])
    >>> affine(image, one_left, (2, 3), bilinear=True)[0, 0].tolist()
    [[1.0, 2.0, 0.0], [4.0, 5.0, 0.0]]
    """
    height, width = images.shape[2:]
    x, y = places(images, matrices, size)
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    if bilinear:
        x -= np.float32(0.5)
        y -= np.float32(0.5)
        result = sample(images, x, y)
    else:
        first, _ = _index(images, x, y)
        result = _take(images, first)
    xp = array_module(images)
    xp.copyto(result, xp.asarray(fill, dtype=np.float32).reshape(-1, 1, 1), where=outside[:, None])
    return result


def places(images: Any, matrices: Any, size: tuple[int, int]) -> tuple[Any, Any]:
    """Where the maps of `affine` send the centres of the output's pixels: x and y, (N, *size), float32.

    >>> x, y = places(np.zeros((1, 1, 2, 2)), np.array([[[1, 0, 1], [0, 1, 0]]]), (1, 2))
    >>> x.tolist(), y.tolist()
    ([[[1.5, 2.5]]], [[[0.5, 0.5]]])
    """
    xp = array_module(images)
    column = xp.arange(size[1], dtype=np.float32) + np.float32(0.5)
    row = xp.arange(size[0], dtype=np.float32)[:, None] + np.float32(0.5)
    terms = xp.asarray(matrices, dtype=np.float32)[:, :, :, None, None]
    x = terms[:, 0, 0] * column + (terms[:, 0, 1] * row + terms[:, 0, 2])
    y = terms[:, 1, 0] * column + (terms[:, 1, 1] * row + terms[:, 1, 2])
    return x, y


def sample(images: Any, x: Any, y: Any) -> Any:
    """The images at the points (x, y) (N, h, w), bilinearly, the border repeated outside: (N, C, h, w), float32.

    Here the centre of the top left pixel is at (0, 0). NumPy's and CuPy's arrays alike.

    >>> sample(np.array([[[[0, 2], [4, 6]]]]), np.array([[[0.5, 9]]]), np.array([[[0.5, 0]]]))
    array([[[[3., 2.]]]], dtype=float32)
    """
    height, width = images.shape[2:]
    xp = array_module(images)
    x = xp.clip(x, 0, width - 1).astype(np.float32, copy=False)
    y = xp.clip(y, 0, height - 1).astype(np.float32, copy=False)
    # At the last pixel's centre the one before it weighs 0, so that there is always a next one.
    first, (left, top) = _index(images, xp.minimum(x, max(width - 2, 0)), xp.minimum(y, max(height - 2, 0)))
    right, down = (x - left)[:, None], (y - top)[:, None]
    beside, below = min(width - 1, 1), min(height - 1, 1) * width
    upper, lower = _take(images, first), _take(images, first + below)
    for row, start in ((upper, first), (lower, first + below)):
        slope = _take(images, start + beside)
        slope -= row
        slope *= right
        row += slope
    lower -= upper
    lower *= down
    upper += lower
    return upper


def _index(images: Any, x: Any, y: Any) -> tuple[Any, tuple[Any, Any]]:
    """Which pixel of `images` each point is in: in the flattened array, of channel 0; and its column and row."""
    xp = array_module(images)
    count, channels, height, width = images.shape
    column, row = (xp.floor(xp.clip(at, 0, side - 1)) for at, side in ((x, width), (y, height)))
    whole = np.int32 if images.size < 2**31 else np.int64  # the narrower one takes half of the time
    first = (xp.arange(count, dtype=whole) * (channels * height * width))[:, None, None]
    return row.astype(np.int32) * width + column.astype(np.int32) + first, (column, row)


def _take(images: Any, first: Any) -> Any:
    """The pixels at these indices, and those at the same place in the other channels, (N, C, h, w), float32."""
    xp = array_module(images)
    plane = images.shape[2] * images.shape[3]
    channels = xp.arange(images.shape[1], dtype=np.int32)[:, None, None] * plane
    return xp.take(images, first[:, None] + channels).astype(np.float32, copy=False)


def resize(images: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    """Images scaled to `size` (height, width), (N, C, *size), float32.

    "nearest" takes the input pixel under each output pixel's centre; "bilinear" and "bicubic" weight the
    pixels around it with a triangle or Keys' cubic (a = -0.5), first along rows, then along columns. When an
    image shrinks, the kernel is widened by the same factor, so that every input pixel counts; as in Pillow.

    >>> resize(np.array([[[[0, 2, 4, 6]]]]), (1, 2), "bilinear")
    array([[[[1.4285715, 4.5714283]]]], dtype=float32)
    """
    rows = _weights(images.shape[2], size[0], interpolation)
    columns = _weights(images.shape[3], size[1], interpolation)
    return rows @ (images.astype(np.float32) @ columns.T)


def _weights(old: int, new: int, interpolation: str) -> np.ndarray:
    """How much each of `old` pixels counts in each of `new` ones, (new, old); rows add up to 1."""
    scale = old / new
    centre = ((np.arange(new) + 0.5) * scale)[:, None]
    pixels = np.arange(old)
    if interpolation == "nearest":
        return (pixels == np.floor(centre)).astype(np.float32)
    weights = _kernel(np.abs(pixels + 0.5 - centre) / max(scale, 1.0), interpolation)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _kernel(distance: np.ndarray, interpolation: str) -> np.ndarray:
    if interpolation == "bilinear":
        return np.maximum(1 - distance, 0)
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return np.where(distance < 1, near, np.where(distance < 2, far, 0))
