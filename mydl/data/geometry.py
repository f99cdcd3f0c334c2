"""Transforms that move pixels: resizing, flipping, turning, affine maps."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.data import warp
from mydl.data.draws import uniforms
from mydl.data.images import ImageTransform, Span, between, fill_values, span


class InterpolationMode(enum.Enum):
    """How pixels between pixels are made."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"


class Resize(ImageTransform):
    """Scale images to `size`: (height, width), or an int for the shorter side, keeping the proportions.

    With an int, `max_size` bounds the longer side. Shrinking weights all the pixels that fall into one
    (antialias), as Pillow does.

    >>> Resize(14)(np.zeros((5, 28, 56), np.uint8)).shape
    (5, 14, 28)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        if antialias is False:
            raise NotImplementedError("Resize: antialias=False")
        self.size = size
        self.interpolation = interpolation_mode("Resize", interpolation, tuple(InterpolationMode))
        self.max_size, self.antialias = max_size, antialias
        if np.asarray(size).dtype.kind not in "iu" or np.min(size, initial=1) < 1 or np.size(size) not in (1, 2):
            raise ValueError(f"Resize: wanted one or two sizes of at least 1, got {size}")
        if max_size is not None and (np.size(size) == 2 or max_size <= np.atleast_1d(size)[0]):
            raise ValueError(f"Resize: max_size={max_size} goes with a single size that is smaller, got size={size}")

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        size = self._target(*pixels.shape[2:])
        return pixels if size == pixels.shape[2:] else warp.resize(pixels, size, self.interpolation.value)

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if np.size(self.size) == 2:
            return int(self.size[0]), int(self.size[1])  # type: ignore[index]
        short = int(np.atleast_1d(self.size)[0])
        long = int(short * max(height, width) / min(height, width))
        if self.max_size is not None and long > self.max_size:
            short, long = int(self.max_size * short / long), self.max_size
        return (short, long) if height <= width else (long, short)


class RandomHorizontalFlip(ImageTransform):
    """Mirror an image, left to right, with probability `p`.

    >>> RandomHorizontalFlip(p=1)(np.array([[1, 2]], np.uint8)).tolist()
    [[2, 1]]
    """

    _axis = -1

    def __init__(self, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: wanted a probability, got {p}")
        self.p = p

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        xp = array_module(pixels)
        flip = xp.asarray(uniforms(len(pixels), 1)[:, 0] < self.p)
        return xp.where(flip[:, None, None, None], xp.flip(pixels, self._axis), pixels)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Mirror an image, top to bottom, with probability `p`.

    >>> RandomVerticalFlip(p=1)(np.array([[1], [2]], np.uint8)).tolist()
    [[2], [1]]
    """

    _axis = -2


class RandomRotation(ImageTransform):
    """Turn an image counter-clockwise by a random angle between -degrees and degrees, or the two given.

    About `center` (x, y), by default the middle. Uncovered pixels get `fill`. `expand` enlarges the image so
    that all of it is seen; images of a batch would then differ in size, so that is for single ones.

    >>> RandomRotation((90, 90))(np.array([[1, 2], [3, 4]], np.uint8)).tolist()
    [[2, 4], [1, 3]]
    """

    def __init__(
        self,
        degrees: Span,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Span = 0,
    ) -> None:
        self.degrees = span("RandomRotation: degrees", degrees, 0.0, -math.inf)
        self.interpolation = interpolation_mode("RandomRotation", interpolation)
        self.expand, self.center, self.fill = expand, center, fill

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        angle = np.deg2rad(between(uniforms(len(pixels), 1)[:, 0], self.degrees))
        turn = _rotation(angle)
        height, width = pixels.shape[2:]
        centre = np.array(self.center or (width / 2, height / 2))
        size, seen = (height, width), centre
        if self.expand:
            if len(pixels) > 1:
                raise ValueError(f"RandomRotation: expand=True gives {len(pixels)} images of different sizes")
            corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) - centre
            places = corners @ turn[0].T + centre
            extent = np.ptp(places, axis=0)
            # A right angle swaps the sides, wherever the middle falls; else Pillow counts the pixels touched.
            touched = np.ceil(places.max(axis=0)) - np.floor(places.min(axis=0))
            columns, rows = np.where(np.isclose(extent, np.rint(extent)), np.rint(extent), touched).astype(int)
            size, seen = (int(rows), int(columns)), centre + np.array([columns - width, rows - height]) / 2
        offset = centre - turn @ seen
        return _affine(self, pixels, turn, offset, size)


class RandomAffine(ImageTransform):
    """Turn, shift, scale and shear an image at random, keeping its middle (or `center`) in place.

    Args:
        degrees: the angle is between these two, or between -degrees and degrees, clockwise.
        translate: (a, b): shift by up to a·width and b·height pixels, rounded to whole ones.
        scale: (smallest, largest) factor.
        shear: degrees; s or (s1, s2) along x; (s1, s2, t1, t2) along x and y.
        interpolation: NEAREST or BILINEAR.
        fill: value of the uncovered pixels, or one a channel.
        center: (x, y) that stays in place.

    The map is x ↦ T C (scale · R · Shear_y · Shear_x) C⁻¹ x.

    >>> jitter = RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5)
    >>> jitter(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 28, 28)
    """

    def __init__(
        self,
        degrees: Span,
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: Span | None = None,
        interpolation: InterpolationMode = InterpolationMode.NEAREST,
        fill: Span = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        self.degrees = span("RandomAffine: degrees", degrees, 0.0, -math.inf)
        if translate is not None and (len(translate) != 2 or not all(0 <= part <= 1 for part in translate)):
            raise ValueError(f"RandomAffine: translate: wanted two numbers from 0 to 1, got {translate}")
        if scale is not None and (len(scale) != 2 or min(scale) <= 0):
            raise ValueError(f"RandomAffine: scale: wanted two numbers above 0, got {scale}")
        if np.size(shear or 0) not in (1, 2, 4):
            raise ValueError(f"RandomAffine: shear: wanted 1, 2 or 4 numbers, got {shear}")
        self.translate, self.scale, self.shear = translate, scale, shear
        if isinstance(shear, (int, float)):
            self.shear = span("RandomAffine: shear", shear, 0.0, -math.inf)
        self.interpolation = interpolation_mode("RandomAffine", interpolation)
        self.fill, self.center = fill, center

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        height, width = pixels.shape[2:]
        draw = uniforms(len(pixels), 6).T
        angle = np.deg2rad(between(draw[0], self.degrees))
        reach = np.array(self.translate or (0, 0)) * (width, height)
        shift = np.round((2 * draw[1:3].T - 1) * reach)
        scale = between(draw[3], self.scale or (1, 1))
        shears = [*(self.shear or (0, 0)), 0, 0]  # type: ignore[misc]
        along_x = np.tan(np.deg2rad(between(draw[4], shears[0:2])))
        along_y = np.tan(np.deg2rad(between(draw[5], shears[2:4])))
        one, zero = np.ones_like(angle), np.zeros_like(angle)
        shear_x = np.array([[one, -along_x], [zero, one]]).transpose(2, 0, 1)
        shear_y = np.array([[one, zero], [-along_y, one]]).transpose(2, 0, 1)
        back = np.linalg.inv(scale[:, None, None] * (_rotation(angle) @ shear_y @ shear_x))
        centre = np.array(self.center or (width / 2, height / 2))
        offset = centre - (back @ (centre + shift)[:, :, None])[:, :, 0]
        return _affine(self, pixels, back, offset, (height, width))


def _affine(
    transform: RandomRotation | RandomAffine,
    pixels: np.ndarray,
    linear: np.ndarray,
    offset: np.ndarray,
    size: tuple[int, int],
) -> np.ndarray:
    matrices = np.concatenate([linear, offset[:, :, None]], axis=2)
    bilinear = transform.interpolation is InterpolationMode.BILINEAR
    return warp.affine(pixels, matrices, size, bilinear, fill_values(transform.fill, pixels))


def _rotation(angle: np.ndarray) -> np.ndarray:
    """[[cos, -sin], [sin, cos]] of each angle, (N, 2, 2); with y downwards it turns clockwise."""
    cos, sin = np.round(np.cos(angle), 15), np.round(np.sin(angle), 15)  # right angles exactly
    return np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)


def interpolation_mode(
    name: str,
    value: Any,
    allowed: Sequence[InterpolationMode] = (InterpolationMode.NEAREST, InterpolationMode.BILINEAR),
) -> InterpolationMode:
    """The mode, also from its name or from Pillow's number for it.

    >>> interpolation_mode("RandomRotation", "nearest")
    <InterpolationMode.NEAREST: 'nearest'>
    """
    value = {0: "nearest", 2: "bilinear", 3: "bicubic"}.get(value, value) if isinstance(value, int) else value
    mode = InterpolationMode(value)
    if mode not in allowed:
        raise NotImplementedError(f"{name}: interpolation={mode}")
    return mode
