"""SyntheticDigits: the embedded dataset, drawn at run time from the fonts that matplotlib brings."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mydl.backend import philox
from mydl.data import warp
from mydl.data.dataset import ImageArrayDataset
from mydl.data.draws import DIGITS
from mydl.tensor import MyTensor

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique",
    "DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique",
    "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmr10", "cmb10", "cmss10", "cmtt10",
)  # fmt: skip

SIDE = 28
GLYPH = 56  # side of the pre-rendered glyphs: twice as fine as the images
TALL = 38  # height of a glyph in it
STROKES = 3  # thicknesses of a glyph: as drawn, and thickened by 1 and 2 of its pixels on every side
CHUNK = 2000  # images drawn at a time, so that memory stays small
COLUMNS = 12  # random numbers that shape an image, before its noise


class SyntheticDigits(ImageArrayDataset):
    """Digits 0 … 9 in 20 fonts, turned, sheared, scaled, shifted, thickened and noisy: 28×28, white on black.

    A stand-in for MNIST that needs no file and no network. Each image is a glyph in a random font and one of
    three thicknesses, turned by up to ±25°, sheared by up to ±0.3, 17 to 22 pixels high, widened or narrowed
    by up to 15 percent, shifted by up to ±2 pixels each way, at 55 to 100 percent brightness, with Gaussian
    noise of deviation 4 to 30.

    Args:
        train: 10,000 images to train on, or 2,000 to test on. Fonts and ranges are the same; the draws are
            not: the split is part of the counter of the random numbers, so no draw serves both.
        size: how many images, if not so many. The first n are the same whatever the size.
        seed: another seed, other images. The same seed gives the same images wherever Pillow draws the fonts
            alike.
        transform, target_transform: applied to each PIL image and each label; see `mydl.data.transforms`.

    `data` is the uint8 tensor of the images, (N, 28, 28), `targets` the int64 tensor of the labels.

    >>> digits = SyntheticDigits(train=False, size=3)
    >>> digits.data.shape, digits[0][0].size
    ((3, 28, 28), (28, 28))
    """

    classes = [str(digit) for digit in range(10)]

    def __init__(
        self,
        train: bool = True,
        size: int | None = None,
        seed: int = 0,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        size = (10_000 if train else 2_000) if size is None else size
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise ValueError(f"SyntheticDigits: wanted a size of at least 0, got {size!r}")
        self.train, self.seed = train, seed
        images, labels = draw_digits(size, seed, split=0 if train else 1)
        super().__init__(MyTensor(images), MyTensor(labels), transform, target_transform)


def draw_digits(size: int, seed: int, split: int) -> tuple[np.ndarray, np.ndarray]:
    """`size` images (uint8) and labels (int64), a function of seed and split.

    >>> images, labels = draw_digits(2, seed=0, split=0)
    >>> images.shape, images.dtype, labels.dtype
    ((2, 28, 28), dtype('uint8'), dtype('int64'))
    """
    shapes, noise = philox(seed, DIGITS, split, 0), philox(seed, DIGITS, split, 1)
    images = np.empty((size, SIDE, SIDE), np.uint8)
    labels = np.empty(size, np.int64)
    for start in range(0, size, CHUNK):
        part = slice(start, min(start + CHUNK, size))
        count = part.stop - part.start
        images[part], labels[part] = _draw(shapes.random((count, COLUMNS)), noise, count)
    return images, labels


def _draw(draw: np.ndarray, noise: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    label, font, stroke = (
        (draw[:, column] * choices).astype(np.int64) for column, choices in enumerate((10, len(FONTS), STROKES))
    )
    glyphs = _glyphs()[font, label, stroke][:, None]

    def between(column: int, low: float, high: float) -> np.ndarray:
        return low + (high - low) * draw[:, column]

    angle = np.deg2rad(between(3, -25, 25))
    shear = between(4, -0.3, 0.3)
    tall = between(5, 17, 22) / TALL  # output pixels for one of the glyph's
    wide = tall * between(6, 0.85, 1.15)
    shift = 2 * (2 * draw[:, 7:9] - 1)
    cos, sin = np.cos(angle), np.sin(angle)
    # From the image back to the glyph: undo the turn, the shear, then the scale.
    linear = np.array([[(cos + shear * sin) / wide, (shear * cos - sin) / wide], [sin / tall, cos / tall]]).transpose(
        2, 0, 1
    )
    offset = GLYPH / 2 - (linear @ (SIDE / 2 + shift)[:, :, None])[:, :, 0]
    images = warp.affine(glyphs, np.concatenate([linear, offset[:, :, None]], axis=2), (SIDE, SIDE), bilinear=True)[
        :, 0
    ]
    images *= between(9, 0.55, 1.0).astype(np.float32)[:, None, None]
    deviation = between(10, 4, 30).astype(np.float32)[:, None, None]
    images += deviation * noise.standard_normal((count, SIDE, SIDE), np.float32)
    return np.clip(images, 0, 255).astype(np.uint8), label


@functools.cache
def _glyphs() -> np.ndarray:
    """Every digit in every font and thickness, (fonts, 10, STROKES, GLYPH, GLYPH), uint8."""
    import matplotlib
    from PIL import ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    glyphs = np.empty((len(FONTS), 10, GLYPH, GLYPH), np.uint8)
    for number, name in enumerate(FONTS):
        path = folder / f"{name}.ttf"
        if not path.is_file():
            raise FileNotFoundError(f"SyntheticDigits: matplotlib's font {path} is missing; reinstall matplotlib")
        font = ImageFont.truetype(str(path), 48)
        for digit in range(10):
            glyphs[number, digit] = _render(str(digit), font)
    thicker = [glyphs]
    for _ in range(STROKES - 1):
        thicker.append(_thicken(thicker[-1]))
    return _soften(np.stack(thicker, axis=2))


def _render(text: str, font: Any) -> np.ndarray:
    """A character, TALL pixels high, in the middle of a GLYPH × GLYPH image."""
    from PIL import Image, ImageDraw

    left, top, right, bottom = font.getbbox(text)
    character = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(character).text((-left, -top), text, font=font, fill=255)
    wide = min(max(round((right - left) * TALL / (bottom - top)), 1), GLYPH - 8)
    canvas = Image.new("L", (GLYPH, GLYPH))
    canvas.paste(character.resize((wide, TALL), Image.Resampling.BILINEAR), ((GLYPH - wide) // 2, (GLYPH - TALL) // 2))
    return np.asarray(canvas)


def _thicken(images: np.ndarray) -> np.ndarray:
    """Dilation by a cross: every pixel becomes the largest of itself and its four neighbours."""
    padded = np.pad(images, [(0, 0)] * (images.ndim - 2) + [(1, 1), (1, 1)])
    middle = padded[..., 1:-1, 1:-1]
    return functools.reduce(
        np.maximum,
        (middle, padded[..., :-2, 1:-1], padded[..., 2:, 1:-1], padded[..., 1:-1, :-2], padded[..., 1:-1, 2:]),
    )


def _soften(images: np.ndarray) -> np.ndarray:
    """Blur with [1, 2, 1] / 4 both ways, so that halving the size does not leave jagged edges."""
    values = images.astype(np.float32)
    for axis in (-1, -2):
        values = np.float32(0.25) * (np.roll(values, 1, axis) + 2 * values + np.roll(values, -1, axis))
    return np.rint(values).astype(np.uint8)
