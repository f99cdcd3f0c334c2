"""Brightness, contrast, saturation and hue of images: values 0 … 1, arrays (N, C, H, W), C 1 or 3, of NumPy or CuPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.backend import array_module


def brightness(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """factor · image, cut off at 1.

    >>> brightness(np.full((1, 1, 1, 1), 0.25), np.array(2.0)).item()
    0.5
    """
    return _blend(images, 0, factors)


def contrast(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """factor · image + (1 - factor) · (the image's mean grey).

    >>> contrast(np.array([[[[0.0, 1.0]]]]), np.array(0.0)).tolist()
    [[[[0.5, 0.5]]]]
    """
    return _blend(images, grey(images).mean(axis=(1, 2, 3), keepdims=True), factors)


def saturation(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """factor · image + (1 - factor) · (its grey version).

    >>> saturation(np.ones((1, 1, 1, 1)), np.array(0.0)).item()
    1.0
    """
    return images if images.shape[1] == 1 else _blend(images, grey(images), factors)


def hue(images: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Colours moved round the colour circle by a part of it: by 1/3 red becomes green.

    >>> red = np.array([1.0, 0, 0]).reshape(1, 3, 1, 1)
    >>> hue(red, np.array(1 / 3)).round(6).ravel().tolist()
    [0.0, 1.0, 0.0]
    """
    if images.shape[1] == 1:
        return images
    xp = array_module(images)
    red, green, blue = xp.moveaxis(images, 1, 0)
    value = images.max(axis=1)
    chroma = value - images.min(axis=1)
    safe = xp.where(chroma == 0, 1, chroma)
    sector = xp.where(
        value == red, (green - blue) / safe, xp.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    )
    sector = (sector[:, None] + 6 * turns) % 6
    # Channel k falls from value to value - chroma and back along the circle, red first (Smith, 1978).
    place = (xp.array([5, 3, 1], images.dtype).reshape(1, 3, 1, 1) + sector) % 6
    result = value[:, None] - chroma[:, None] * xp.clip(xp.minimum(place, 4 - place), 0, 1)
    return result.astype(images.dtype, copy=False)


def grey(images: np.ndarray) -> np.ndarray:
    """The luma of RGB images, 0.299 R + 0.587 G + 0.114 B, (N, 1, H, W); grey images as they are.

    >>> grey(np.ones((1, 3, 1, 1))).round(6).item()
    1.0
    """
    if images.shape[1] == 1:
        return images
    weights = array_module(images).array([0.299, 0.587, 0.114], images.dtype).reshape(1, 3, 1, 1)
    return (images * weights).sum(axis=1, keepdims=True)


def _blend(images: Any, others: Any, factors: Any) -> Any:
    return array_module(images).clip(factors * images + (1 - factors) * others, 0, 1)


ADJUST = (brightness, contrast, saturation, hue)
