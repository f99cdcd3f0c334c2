"""Training images changed at random: turned, moved, bent, made lighter or darker, partly erased."""

from __future__ import annotations

import argparse
import difflib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.data import color, warp
from mydl.data.draws import uniforms

__all__ = ["ALL", "USUAL", "Augmentation", "ratio", "strength"]

# What each change does to an image at a draw u from [-1, 1), and how strong it is unless said otherwise.
STRENGTHS = {
    "rotation": 45.0,  # turned by u times as many degrees
    "shift": 0.1,  # moved by u times that part of its width, and of its height
    "shear": 0.2,  # slanted: x + u · strength · y
    "zoom": 0.15,  # enlarged 1 + u · strength times
    "elastic": 0.03,  # bent: every point moves by that part of the side (standard deviation)
    "brightness": 0.3,  # multiplied by 1 + u · strength
    "contrast": 0.3,  # its distance from the mean grey multiplied by 1 + u · strength
    "erasing": 0.15,  # a rectangle of up to that part of the area becomes background
    "flip": 0.5,  # mirrored, left for right, at that probability
}
LIMITS = {"rotation": 180.0, "shift": 1.0, "shear": 2.0, "zoom": 0.9, "elastic": 0.5}  # 1 for the others
ALL = tuple(STRENGTHS)
USUAL = tuple(name for name in ALL if name != "flip")  # a mirrored digit or letter is another one, or none
GRID = 5  # an elastic bend is given by so many points each way
COLUMNS = 12  # draws an image for all but the elastic bend


def ratio(text: str) -> float:
    """A number from 0 to 1, for argparse.

    >>> ratio("0.5")
    0.5
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"wanted a number from 0 to 1, got {text!r}")
    return value


def strength(text: str) -> str:
    """A change by its name, or NAME=STRENGTH; the text itself, once it is found to be right. For argparse.

    >>> strength("rotation=15")
    'rotation=15'
    """
    try:
        _parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _parse(text: str) -> tuple[str, float]:
    name, equals, number = text.partition("=")
    if name not in STRENGTHS:
        near = difflib.get_close_matches(name, ALL, n=1)
        raise ValueError(f"no augmentation {name!r}; wanted {near[0] + '?' if near else 'one of ' + ', '.join(ALL)}")
    try:
        value = float(number) if equals else STRENGTHS[name]
    except ValueError:
        value = math.nan
    limit = LIMITS.get(name, 1.0)
    if not 0 < value <= limit:
        raise ValueError(f"augmentation {name}: wanted a strength above 0 and up to {limit:g}, got {number!r}")
    return name, value


class Augmentation:
    """Changes a share of the images of a batch at random, each in its own way.

    Args:
        ratio: the probability that an image is changed, by all of the changes named; else it stays as it is.
        changes: names out of `ALL`, each with or without a strength of its own ("rotation=15"); by default `USUAL`,
            which is all but "flip".

    A flip comes first. All that moves pixels is then one bilinear resampling: an output pixel at p from the middle
    shows the input at R · S · (p - shift) / zoom + b(p), with R the rotation, S the shear and b the elastic bend.
    What comes in from outside has the colour that an erased rectangle gets: the median of the image's border.

    The draws are `uniforms`: under a DataLoader a function of (seed, epoch, sample), whatever the threads, the
    batch size or the device, and a resumed run draws the same. (Elastic: Simard, Steinkraus and Platt, "Best
    practices for convolutional neural networks", 2003. Erasing: Zhong et al., "Random erasing", 2017.)

    Raises ValueError for an unknown name or a strength out of range.

    >>> Augmentation(0.5, ["rotation=15", "elastic"])(np.zeros((4, 1, 28, 28), np.float32)).shape
    (4, 1, 28, 28)
    """

    def __init__(self, ratio: float, changes: Sequence[str] = USUAL) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"Augmentation: wanted a ratio from 0 to 1, got {ratio}")
        self.ratio = ratio
        self.strengths = dict(_parse(change) for change in changes)

    def __call__(self, images: Any) -> Any:
        """Images (N, C, H, W), floating, from 0 to 1, of NumPy or CuPy, with a share of them changed."""
        columns = COLUMNS + (2 * GRID * GRID if "elastic" in self.strengths else 0)
        draw = uniforms(len(images), columns)
        chosen = np.flatnonzero(draw[:, 0] < self.ratio)
        if chosen.size == 0 or images.size == 0:
            return images
        xp = array_module(images)
        signed = 2 * draw[chosen] - 1
        where = xp.asarray(chosen)
        parts = images[where]
        if "flip" in self.strengths:
            # The draw that chose the image is uniform below the ratio, and free of what the other draws decide.
            mirrored = xp.asarray(draw[chosen, 0] < self.ratio * self.strengths["flip"])
            parts[mirrored] = parts[mirrored, :, :, ::-1]
        background = _border(parts)
        if self.strengths.keys() & {"rotation", "shift", "shear", "zoom", "elastic"}:
            parts = self._moved(parts, background, signed)
        if "erasing" in self.strengths:
            parts = self._erased(parts, background, draw[chosen, 8:12])
        for column, (name, adjust) in enumerate((("brightness", color.brightness), ("contrast", color.contrast)), 6):
            if name in self.strengths:
                factors = xp.asarray(1 + self.strengths[name] * signed[:, column], dtype=np.float32)
                parts = adjust(parts, factors[:, None, None, None])
        result = images.copy()
        result[where] = parts
        return result

    def __repr__(self) -> str:
        return f"Augmentation({self.ratio}, {[f'{name}={value:g}' for name, value in self.strengths.items()]})"

    def _moved(self, images: Any, background: Any, signed: np.ndarray) -> Any:
        """Rotation, shift, shear, zoom and elastic bend, in one go."""
        xp = array_module(images)
        count, _, height, width = images.shape
        by = {name: self.strengths.get(name, 0.0) for name in ("rotation", "shift", "shear", "zoom", "elastic")}
        angle = np.deg2rad(by["rotation"]) * signed[:, 1]
        shear, zoom = by["shear"] * signed[:, 4], 1 + by["zoom"] * signed[:, 5]
        cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
        back = np.array([[cos, cos * shear - sin], [sin, sin * shear + cos]]).transpose(2, 0, 1)
        size = np.array([width, height])
        seen = size / 2 + by["shift"] * signed[:, 2:4] * size
        offset = size / 2 - (back @ seen[:, :, None])[:, :, 0]
        x, y = warp.places(images, np.concatenate([back, offset[:, :, None]], axis=2), (height, width))
        if by["elastic"]:
            # Of weights whose squares add up to 1; √3 times a draw from [-1, 1) has deviation 1.
            points = (
                signed[:, COLUMNS:].reshape(count, 2, GRID, GRID) * math.sqrt(3) * by["elastic"] * min(height, width)
            )
            bend = _spread(height, xp) @ xp.asarray(points, dtype=np.float32) @ _spread(width, xp).T
            x += bend[:, 0]
            y += bend[:, 1]
        # A rim of background one pixel wide; the point 0.5, 0.5 is the centre of the first pixel within it.
        framed = xp.empty((*images.shape[:2], height + 2, width + 2), images.dtype)
        framed[...] = background
        framed[:, :, 1:-1, 1:-1] = images
        x += np.float32(0.5)
        y += np.float32(0.5)
        return warp.sample(framed, x, y)

    def _erased(self, images: Any, background: Any, draw: np.ndarray) -> Any:
        """A rectangle, of half to double as wide as high, filled with the background."""
        xp = array_module(images)
        height, width = images.shape[2:]
        area = self.strengths["erasing"] * draw[:, 0] * height * width
        stretch = 2.0 ** (draw[:, 1] - 0.5)
        inside = []
        for side, length, place in (
            (height, np.sqrt(area) / stretch, draw[:, 2]),
            (width, np.sqrt(area) * stretch, draw[:, 3]),
        ):
            length = np.minimum(np.rint(length), side)
            start = np.floor(place * (side - length + 1))
            pixels = np.arange(side)
            inside.append(xp.asarray((pixels >= start[:, None]) & (pixels < (start + length)[:, None])))
        rows, columns = inside
        return xp.where(rows[:, None, :, None] & columns[:, None, None, :], background, images)


def _border(images: Any) -> Any:
    """The median of each image's border, channel by channel: (N, C, 1, 1)."""
    xp = array_module(images)
    border = xp.concatenate([images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]], axis=2)
    border.sort(axis=2)
    return border[:, :, border.shape[2] // 2, None, None]


def _spread(side: int, xp: Any) -> Any:
    """How much each of GRID points counts at each pixel: Gaussians, (side, GRID); the squares of a row add up to 1."""
    points = (np.arange(GRID) + 0.5) / GRID
    distance = ((np.arange(side) + 0.5) / side)[:, None] - points
    weights = np.exp(-0.5 * (distance * GRID / 0.7) ** 2)
    return xp.asarray(weights / np.sqrt((weights**2).sum(axis=1, keepdims=True)), dtype=np.float32)
