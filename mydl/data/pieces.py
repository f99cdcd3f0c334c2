"""Transforms that cut pieces out of images, or put borders around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.data import warp
from mydl.data.draws import uniforms
from mydl.data.geometry import InterpolationMode, interpolation_mode
from mydl.data.images import ImageTransform, Span, between, fill_values

ATTEMPTS = 10  # at a rectangle that fits; torchvision makes as many


def bordered(pixels: Any, rows: tuple[int, int], columns: tuple[int, int], fill: Span, mode: str) -> Any:
    """Pixels (N, C, H, W) with a border: (above, below) and (left, right) pixels wide, filled by `mode`.

    >>> bordered(np.ones((1, 1, 1, 1)), (0, 0), (1, 0), 7, "constant").tolist()
    [[[[7.0, 1.0]]]]
    """
    widths = ((0, 0), (0, 0), rows, columns)
    xp = array_module(pixels)
    if mode != "constant":
        return xp.pad(pixels, widths, mode=mode)
    inside = np.pad(np.ones(pixels.shape[2:], bool), widths[2:])
    values = xp.asarray(fill_values(fill, pixels).astype(pixels.dtype))
    return xp.where(xp.asarray(inside), xp.pad(pixels, widths), values)


def _check_border(name: str, padding: int | Sequence[int], mode: str) -> None:
    if mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(f"{name}: padding_mode {mode!r}: wanted constant, edge, reflect or symmetric")
    if np.size(padding) not in (1, 2, 4):
        raise ValueError(f"{name}: wanted 1, 2 or 4 paddings, got {padding}")


def _sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) from one, two or four paddings."""
    sides = np.atleast_1d(padding).astype(int)
    return tuple(np.tile(sides, 4 // sides.size).tolist())


class Pad(ImageTransform):
    """A border: `padding` on all sides, (left and right, top and bottom), or (left, top, right, bottom).

    Filled by `padding_mode`: "constant" (with `fill`), "edge", "reflect" or "symmetric".

    >>> Pad((1, 0))(np.array([[5, 6]], np.uint8)).tolist()
    [[0, 5, 6, 0]]
    """

    def __init__(self, padding: int | Sequence[int], fill: Span = 0, padding_mode: str = "constant") -> None:
        _check_border("Pad", padding, padding_mode)
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        left, top, right, bottom = _sides(self.padding)
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


class RandomCrop(ImageTransform):
    """Cut a piece of `size` (height and width, or both in one int) out of an image at a random place.

    `padding` is added before: one int for all sides, two for left-right and top-bottom, four for left, top,
    right, bottom; `padding_mode` fills it: "constant" (with `fill`), "edge", "reflect" or "symmetric".
    `pad_if_needed` pads an image that is smaller than `size`. Raises ValueError for a smaller one otherwise.

    >>> RandomCrop(28, padding=2)(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 28, 28)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: Span = 0,
        padding_mode: str = "constant",
    ) -> None:
        _check_border("RandomCrop", 0 if padding is None else padding, padding_mode)
        if np.size(size) > 2:
            raise ValueError(f"RandomCrop: wanted 1 or 2 sizes, got {size}")
        self.size, self.padding, self.pad_if_needed = size, padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        height, width = (int(side) for side in np.broadcast_to(self.size, 2))
        if self.padding is not None:
            left, top, right, bottom = _sides(self.padding)
            pixels = bordered(pixels, (top, bottom), (left, right), self.fill, self.padding_mode)
        if self.pad_if_needed:
            missing = max(height - pixels.shape[2], 0), max(width - pixels.shape[3], 0)
            pixels = bordered(pixels, (missing[0],) * 2, (missing[1],) * 2, self.fill, self.padding_mode)
        if pixels.shape[2] < height or pixels.shape[3] < width:
            raise ValueError(
                f"RandomCrop: {height}×{width} is larger than the image, {pixels.shape[2]}×{pixels.shape[3]}"
            )
        xp = array_module(pixels)
        room = pixels.shape[2] - height + 1, pixels.shape[3] - width + 1
        row, column = (uniforms(len(pixels), 2) * room).astype(np.intp).T
        rows, columns = (xp.asarray(start[:, None] + np.arange(n)) for start, n in ((row, height), (column, width)))
        images, channels = xp.arange(len(pixels))[:, None, None, None], xp.arange(pixels.shape[1])[:, None, None]
        return pixels[images, channels, rows[:, None, :, None], columns[:, None, None, :]]


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
        shape = np.exp(between(draw[ATTEMPTS:-2], [*np.log(ratio)]))
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
        rows, columns = (int(side) for side in np.broadcast_to(self.size, 2))
        result = array_module(pixels).empty((*pixels.shape[:2], rows, columns), np.float32)
        for index, piece in enumerate(_rectangles(pixels, self.scale, self.ratio)):
            top, left, height, width = piece or self._middle(*pixels.shape[2:])
            cut = pixels[index : index + 1, :, top : top + height, left : left + width]
            result[index] = warp.resize(cut, (rows, columns), self.interpolation.value)[0]
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
