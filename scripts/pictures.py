"""Picture files of any size and mode, as 8-bit grey or colour arrays."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from mydl.data.folder import read_image

__all__ = ["quiet", "read_picture"]

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

        image = _eight_bits(ImageOps.exif_transpose(image))
        if image.has_transparency_data:
            image = _opaque(image.convert("RGBA"), background)
        image = image.convert("L" if channels == 1 else "RGB")
        if size is not None and image.size != size[::-1]:
            image = image.resize(size[::-1], Image.Resampling.BILINEAR)
        return np.asarray(image)

    return read_image(path, convert)


def _eight_bits(image: Any) -> Any:
    from PIL import Image

    if image.mode not in (*SIXTEEN_BITS, "F"):
        return image
    values = np.asarray(image).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    # Floating pictures say nowhere what white is; both 1 and 255 are in use.
    white = 65535 if image.mode != "F" else 1 if high <= 1 else 255
    if not 0 <= low <= high <= white:
        raise ValueError(f"pixels from {low:g} to {high:g}; wanted 0 to {white}")
    return Image.fromarray(np.rint(values * (255 / white)).astype(np.uint8))


def _opaque(image: Any, background: str | None) -> Any:
    from PIL import Image

    if background is None:
        pixels = np.asarray(image).astype(np.float64)
        seen = pixels[..., 3]
        luma = pixels[..., :3] @ (0.299, 0.587, 0.114)
        background = "black" if (luma * seen).sum() > 127.5 * seen.sum() else "white"
    below = Image.new("RGBA", image.size, background)
    return Image.alpha_composite(below, image)


@contextmanager
def quiet() -> Iterator[None]:
    """Around the reading of strangers' files: Pillow's warnings about them go unsaid, its errors do not.

    For the whole process, threads included; so it belongs around the threads, not into them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield
