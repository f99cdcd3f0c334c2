"""Picture files of any size and mode, as 8-bit grey or colour arrays."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mydl.data.folder import read_image

__all__ = ["quiet", "read_picture"]

STRIP = 1 << 18  # pixels that are converted at a time
SIXTEEN_BITS = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # Pillow opens 16-bit files as any of them


def read_picture(
    path: str | os.PathLike[str], channels: int, size: tuple[int, int] | None = None, background: str | None = "white"
) -> np.ndarray:
    """The picture in a file: uint8, (H, W) for 1 channel or (H, W, 3) for 3.

    A photograph is turned upright as its EXIF data say, 16 bits become 8, transparent parts show `background`.

    Args:
        channels: 1 for grey (0.299 R + 0.587 G + 0.114 B), 3 for RGB.
        size: height and width to scale the picture to; all pixels that fall into one count.
        background: "white" or "black", or None for the one that what is drawn stands out from.

    Raises ValueError for a damaged file, OSError for one that cannot be opened.
    """

    def convert(image: Any) -> np.ndarray:
        from PIL import Image, ImageOps

        ImageOps.exif_transpose(image, in_place=True)
        if size is not None and image.size != size[::-1]:
            whole = Image.new("L" if channels == 1 else "RGB", image.size)
            for top, strip in _strips(image, whole.mode, background):
                whole.paste(strip, (0, top))
            return np.asarray(whole.resize(size[::-1], Image.Resampling.BILINEAR))
        pixels = np.empty((image.height, image.width, channels)[: 2 + (channels == 3)], np.uint8)
        for top, strip in _strips(image, "L" if channels == 1 else "RGB", background):
            pixels[top : top + strip.height] = np.asarray(strip)
        return pixels

    return read_image(path, convert)


def _strips(image: Any, mode: str, background: str | None) -> Iterator[tuple[int, Any]]:
    """The first row of each strip of the image, and the strip in `mode`, 8 bits and opaque.

    Converted as a whole a large image would be in memory several times.
    """
    lines = max(1, STRIP // image.width)
    parts = {top: (0, top, image.width, min(top + lines, image.height)) for top in range(0, image.height, lines)}
    wide = image.mode in (*SIXTEEN_BITS, "F")
    white = _white(image.mode, (image.crop(box) for box in parts.values())) if wide else 0
    clear = image.has_transparency_data
    if clear and background is None:
        background = _contrary(image.crop(box) for box in parts.values())
    for top, box in parts.items():
        strip = image.crop(box)
        if white:
            strip = _eight_bits(strip, white)
        if clear:
            strip = _opaque(strip, background)
        yield top, strip.convert(mode)


def _white(mode: str, parts: Iterable[Any]) -> int:
    """The value of white pixels of more than 8 bits; ValueError if there are others above it or below 0."""
    ends = [(float(np.min(part)), float(np.max(part))) for part in parts]
    low, high = float(np.min(ends)), float(np.max(ends))
    # Floating pictures say nowhere what white is; both 1 and 255 are in use.
    white = 65535 if mode != "F" else 1 if high <= 1 else 255
    if not 0 <= low <= high <= white:
        raise ValueError(f"pixels from {low:g} to {high:g}; wanted 0 to {white}")
    return white


def _eight_bits(image: Any, white: int) -> Any:
    from PIL import Image

    values = np.asarray(image).astype(np.float64)
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _contrary(parts: Iterable[Any]) -> str:
    """The background, black or white, that what is drawn in these parts of a picture stands out from."""
    light = opaque = 0.0
    for part in parts:
        pixels = np.asarray(part.convert("RGBA")).astype(np.float64)
        seen = pixels[..., 3]
        light += float((pixels[..., :3] @ (0.299, 0.587, 0.114) * seen).sum())
        opaque += float(seen.sum())
    return "black" if light > 127.5 * opaque else "white"


def _opaque(image: Any, background: str | None) -> Any:
    from PIL import Image

    below = Image.new("RGBA", image.size, background)
    return Image.alpha_composite(below, image.convert("RGBA"))


@contextmanager
def quiet() -> Iterator[None]:
    """Around the reading of strangers' files: Pillow's warnings about them go unsaid, its errors do not.

    For the whole process, threads included; so it belongs around the threads, not into them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield
