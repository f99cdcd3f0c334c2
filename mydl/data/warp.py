"""Resampling whole batches of images: affine maps and resizing, on arrays (N, C, H, W)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


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
    count, channels, height, width = images.shape
    matrices = matrices.astype(np.float32)
    column = np.arange(size[1], dtype=np.float32) + np.float32(0.5)
    row = np.arange(size[0], dtype=np.float32)[:, None] + np.float32(0.5)
    terms = matrices[:, :, :, None, None]
    x = terms[:, 0, 0] * column + (terms[:, 0, 1] * row + terms[:, 0, 2])
    y = terms[:, 1, 0] * column + (terms[:, 1, 1] * row + terms[:, 1, 2])
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    pixels = np.ascontiguousarray(images).reshape(count * channels, height * width)
    if bilinear:
        x -= np.float32(0.5)
        y -= np.float32(0.5)
    left, top = np.floor(x), np.floor(y)
    first = (np.arange(count, dtype=np.int32) * (channels * height * width))[:, None, None]

    def corner(dx: int, dy: int) -> np.ndarray:
        """The pixels at (left + dx, top + dy), moved to the border where they lie beyond it."""
        i = np.clip(left + np.float32(dx), 0, width - 1).astype(np.int32)
        j = np.clip(top + np.float32(dy), 0, height - 1).astype(np.int32)
        j *= width
        j += i
        j += first
        planes = [np.take(pixels, j + channel * (height * width)) for channel in range(channels)]
        return np.stack(planes, axis=1).astype(np.float32, copy=False)

    if bilinear:
        right, down = (x - left)[:, None], (y - top)[:, None]
        upper = corner(0, 0)
        upper += right * (corner(1, 0) - upper)
        lower = corner(0, 1)
        lower += right * (corner(1, 1) - lower)
        lower -= upper
        lower *= down
        result = upper
        result += lower
    else:
        result = corner(0, 0)
    np.copyto(result, np.asarray(fill, np.float32).reshape(-1, 1, 1), where=outside[:, None])
    return result


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
