"""The forms that images come in, and the base class of the transforms that do not care which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from mydl.backend import array_module, is_array
from mydl.tensor import MyTensor

Span: TypeAlias = "float | Sequence[float]"


class ImageTransform:
    """A transform that is a function of pixels (N, C, H, W), whatever the images came in."""

    whole_batch = True

    def __call__(self, img: Any) -> Any:
        pixels, restore = to_pixels(img, type(self).__name__)
        return restore(self._apply(pixels))

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        raise NotImplementedError(type(self).__name__)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in vars(self).items())})"


def is_pil(value: Any) -> bool:
    """Whether it is a PIL image; Pillow is not imported to see."""
    return any(cls.__module__ == "PIL.Image" for cls in type(value).__mro__)


def to_pixels(img: Any, name: str) -> tuple[np.ndarray, Callable[[np.ndarray], Any]]:
    """The images as pixels (N, C, H, W), and the function that brings pixels back into their form."""
    array = img.array if isinstance(img, MyTensor) else img
    wrap: Callable[[Any], Any] = MyTensor if isinstance(img, MyTensor) else lambda result: result
    if is_pil(img):
        from PIL import Image

        if img.mode not in ("L", "LA", "RGB", "RGBA", "I", "F"):
            raise ValueError(f"{name}: PIL images of mode {img.mode} must be converted to L or RGB first")
        array = np.asarray(img)

        def wrap(result: np.ndarray) -> Any:
            return Image.fromarray(result[..., 0] if result.ndim == 3 and result.shape[-1] == 1 else result)

    if not is_array(array) or array.dtype.kind not in "uif":
        kind = f"array of {array.dtype}" if is_array(array) else type(img).__name__
        raise TypeError(f"{name}: wanted a PIL image, or an array or a tensor of numbers, got {kind}")
    xp = array_module(array)
    if array.ndim not in (2, 3, 4) or (is_pil(img) and array.ndim > 3):
        raise ValueError(f"{name}: wanted images of 2 to 4 dims, got shape {array.shape}")
    one_image = array.ndim == 2 or (array.ndim == 3 and isinstance(img, MyTensor))
    channels_last = False
    if not isinstance(img, MyTensor) and array.ndim > 2:
        one_image = array.ndim == 3 and (is_pil(img) or (array.dtype.kind != "f" and array.shape[-1] in (1, 3, 4)))
        channels_last = one_image or (array.ndim == 4 and array.dtype.kind != "f")
    has_channels = array.ndim == 4 or (array.ndim == 3 and one_image)
    pixels = array if has_channels else array[..., None, :, :]
    pixels = xp.moveaxis(pixels, -1, -3) if channels_last else pixels
    pixels = pixels[None] if one_image else pixels

    def restore(result: np.ndarray) -> Any:
        if result.dtype != array.dtype and array.dtype.kind != "f":
            limits = np.iinfo(array.dtype)
            result = xp.clip(xp.rint(result), limits.min, limits.max)
        result = result.astype(array.dtype, copy=False)
        result = result[0] if one_image else result
        result = xp.moveaxis(result, -3, -1) if channels_last else result
        return wrap(xp.ascontiguousarray(result if has_channels else result[..., 0, :, :]))

    return pixels, restore


def between(draw: np.ndarray, span: Sequence[float]) -> np.ndarray:
    """Numbers drawn from 0 to 1 as numbers from span[0] to span[1].

    >>> between(np.array([0.0, 0.5]), (2, 4))
    array([2., 3.])
    """
    return span[0] + draw * (span[1] - span[0])


def span(name: str, value: Any, middle: float, lowest: float) -> tuple[float, float]:
    """The pair itself, or middle ± a number, cut off at `lowest` (a hue must lie within it)."""
    if isinstance(value, (int, float, np.number)):
        if value < 0:
            raise ValueError(f"{name}: a single number must not be negative, got {value}")
        low = float(middle - value)
        return (low if lowest == -0.5 else max(low, lowest)), float(middle + value)
    if not isinstance(value, Sequence) or len(value) != 2 or not lowest <= value[0] <= value[1]:
        raise ValueError(f"{name}: wanted a number, or two in order from {lowest}, got {value}")
    return float(value[0]), float(value[1])


def fill_values(fill: Span, pixels: np.ndarray) -> np.ndarray:
    """What fills uncovered pixels, one value or one a channel, as (1 or C, 1, 1); ValueError for another number.

    >>> fill_values((1, 2), np.zeros((1, 2, 3, 3))).shape
    (2, 1, 1)
    """
    values = np.atleast_1d(np.asarray(fill))
    if values.size not in (1, pixels.shape[1]):
        raise ValueError(f"fill: {values.size} values for images of {pixels.shape[1]} channels")
    return values[:, None, None]
