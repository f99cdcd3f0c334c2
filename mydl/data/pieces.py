"""Transforms that cut pieces out of images, or put borders around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.backend import array_module

from . import warp
from .draws import uniforms
from .geometry import InterpolationMode, bordered, interpolation_mode
from .images import ImageTransform, Span, between

ATTEMPTS = 10  # at a rectangle that fits; torchvision makes as many


def _sides(name: str, padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) from one, two or four paddings."""
    sides = np.atleast_1d(padding).astype(int)
    if sides.size not in (1, 2, 4):
        raise ValueError(f"{name}: wanted 1, 2 or 4 paddings, got {padding}")
    return tuple(np.tile(sides, 4 // sides.size).tolist())


class Pad(ImageTransform):
    """A border: `padding` on all sides, (left and right, top and bottom), or (left, top, right, bottom).

    Filled by `padding_mode`: "constant" (with `fill`), "edge", "reflect" or "symmetric".

    >>> Pad((1, 0))(np.array([[5, 6]], np.uint8)).tolist()
    [[0, 5, 6, 0]]
    """

    def __init__(self, padding: int | Sequence[int], fill: Span = 0, padding_mode: str = "constant") -> None:
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError(f"Pad: padding_mode {padding_mode!r}: wanted constant, edge, reflect or symmetric")
        _sides("Pad", padding)
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        left, top, right, bottom = _sides("Pad", self.padding)
        return bordered(pixels, (top, bottom), (left, right), self.fill, self.padding_mode)


class CenterCrop(ImageTransform):
    """The middle of an image, of `size` (height and width, or both in one int); black around a smaller one.

    >>> CenterCrop((1, 2))(np.array([[1, 2, 3, 4]], np.uint8)).tolist()
    [[2, 3]]
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = size

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        height, width = (int(side) for side in np.broadcast_to(self.size, 2))
        missing = max(height - pixels.shape[2], 0), max(width - pixels.shape[3], 0)
        if any(missing):
            rows, columns = ((n // 2, (n + 1) // 2) for n in missing)
            pixels = bordered(pixels, rows, columns, 0, "constant")
        top, left = round((pixels.shape[2] - height) / 2), round((pixels.shape[3] - width) / 2)
        return pixels[:, :, top : top + height, left : left + width]


def _rectangles(
    pixels: np.ndarray, scale: Sequence[float], ratio: Sequence[float]
) -> list[tuple[int, int, int, int] | None]:
    """For each image (top, left, height, width) of a random rectangle, or None where no attempt fitted.

    Its area is a part of the image's from `scale`, its width / height from `ratio`, uniformly in the logarithm.
    """
    height, width = pixels.shape[2:]
    draws = uniforms(len(pixels), 2 * ATTEMPTS + 2)
    found: list[tuple[int, int, int, int] | None] = []
    for draw in draws:
        area = between(draw[:ATTEMPTS], scale) * (height * width)
        shape = np.exp(between(draw[ATTEMPTS:-2], np.log(ratio)))
        heights, widths = np.rint(np.sqrt(area / shape)).astype(int), np.rint(np.sqrt(area * shape)).astype(int)
        fits = np.flatnonzero((heights > 0) & (heights <= height) & (widths > 0) & (widths <= width))
        if not fits.size:
            found.append(None)
            continue
        h, w = int(heights[fits[0]]), int(widths[fits[0]])
        found.append((int(draw[-2] * (height - h + 1)), int(draw[-1] * (width - w + 1)), h, w))
    return found


def _check_spans(name: str, scale: Sequence[float], ratio: Sequence[float]) -> None:
    if not 0 <= scale[0] <= scale[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
        raise ValueError(f"{name}: wanted scale and ratio in order, scale from 0 to 1, got {scale} and {ratio}")


class RandomResizedCrop(ImageTransform):
    """A random piece of an image, scaled to `size`: the augmentation of ImageNet training.

    The piece has a part of the image's area from `scale` and a width / height from `ratio`; where ten attempts at
    one that fits fail, it is the largest in the middle whose proportions `ratio` allows.

    >>> RandomResizedCrop(14)(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 14, 14)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        if antialias is False:
            raise NotImplementedError("RandomResizedCrop: antialias=False")
        _check_spans("RandomResizedCrop", scale, ratio)
        self.size, self.scale, self.ratio = size, scale, ratio
        self.interpolation = interpolation_mode("RandomResizedCrop", interpolation, tuple(InterpolationMode))
        self.antialias = antialias

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        size = tuple(int(side) for side in np.broadcast_to(self.size, 2))
        result = array_module(pixels).empty((*pixels.shape[:2], *size), np.float32)
        for index, piece in enumerate(_rectangles(pixels, self.scale, self.ratio)):
            top, left, height, width = piece or self._middle(*pixels.shape[2:])
            cut = pixels[index : index + 1, :, top : top + height, left : left + width]
            result[index] = warp.resize(cut, size, self.interpolation.value)[0]
        return result

    def _middle(self, height: int, width: int) -> tuple[int, int, int, int]:
        shape = min(max(width / height, self.ratio[0]), self.ratio[1])
        h, w = min(height, round(width / shape)), min(width, round(height * shape))
        return (height - h) // 2, (width - w) // 2, h, w


class RandomErasing(ImageTransform):
    """With probability `p` a random rectangle of an image is overwritten by `value`, one number or one a channel.

    Its size is drawn as in `RandomResizedCrop` (Zhong et al., "Random erasing data augmentation", 2020).

    >>> RandomErasing(p=1, scale=(1, 1), ratio=(1, 1), value=7)(np.zeros((2, 2), np.uint8)).tolist()
    [[7, 7], [7, 7]]
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        if value == "random":
            raise NotImplementedError('RandomErasing: value="random" is not supported')
        if not 0 <= p <= 1:
            raise ValueError(f"RandomErasing: wanted a probability, got {p}")
        _check_spans("RandomErasing", scale, ratio)
        self.p, self.scale, self.ratio, self.value, self.inplace = p, scale, ratio, value, inplace

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        chosen = uniforms(len(pixels), 1)[:, 0] < self.p
        pixels = pixels if self.inplace else pixels.copy()
        value = array_module(pixels).asarray(np.reshape(self.value, (-1, 1, 1)))
        for image, erase, piece in zip(pixels, chosen, _rectangles(pixels, self.scale, self.ratio)):
            if erase and piece:
                top, left, height, width = piece
                image[:, top : top + height, left : left + width] = value
        return pixels
