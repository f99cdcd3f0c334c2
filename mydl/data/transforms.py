"""Image transforms under torchvision's names, for one image or for a whole batch at once.

Every transform but `Lambda` takes

- a PIL image, and gives one back (`ToTensor` gives a tensor);
- a NumPy array of images as they are stored: (H, W), (H, W, C) with 1, 3 or 4 channels, a batch (N, H, W) or
  (N, H, W, C); or a batch as layers want it, floating, (N, H, W) or (N, C, H, W);
- a tensor, (H, W), (C, H, W) or a batch (N, C, H, W).

In a batch every image has its own random draws. Under a DataLoader they are a function of (seed, epoch,
sample), the same whether the image is transformed alone or in a batch; elsewhere they come from mydl's
default generator. All of these say `whole_batch = True`; the datasets apply any other callable to one image
after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mydl.backend import array_module, get_default_dtype, is_array
from mydl.tensor import MyTensor

from . import color
from .draws import uniforms
from .geometry import (
    InterpolationMode,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    Resize,
)
from .images import ImageTransform, Span, between, is_pil, span

__all__ = [
    "ColorJitter",
    "Compose",
    "InterpolationMode",
    "Lambda",
    "Normalize",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "Resize",
    "ToTensor",
]


class Compose:
    """Transforms one after another.

    >>> Compose([Resize(14), ToTensor()])(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 1, 14, 14)
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    @property
    def whole_batch(self) -> bool:
        """Whether all of them can be applied to a whole batch."""
        return all(getattr(transform, "whole_batch", False) for transform in self.transforms)

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "\n    ".join(["Compose(", *map(str, self.transforms)]) + "\n)"


class Lambda:
    """Any function of an image.

    A dataset applies it image by image, and with it the whole `Compose` that it is in.

    >>> Lambda(lambda x: x + 1)(2)
    3
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: wanted a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


class ToTensor:
    """Images to a tensor of shape (C, H, W), or a batch of them to (N, C, H, W).

    uint8 values 0 … 255 become floating ones 0 … 1 of the default dtype; other dtypes are kept as they are.

    >>> ToTensor()(np.full((2, 28, 28), 51, np.uint8))[0, 0, 0, 0].item()
    0.20000000298023224
    """

    whole_batch = True

    def __call__(self, pic: Any) -> MyTensor:
        if is_array(pic):
            array = pic
        elif is_pil(pic):
            array = np.asarray(pic)
            array = array.astype(np.uint8) * 255 if array.dtype == bool else array
        else:
            raise TypeError(f"ToTensor: wanted a PIL image or a NumPy array, got {type(pic).__name__}")
        if array.ndim not in (2, 3, 4):
            raise ValueError(f"ToTensor: wanted an array of 2 to 4 dims, got shape {array.shape}")
        if array.ndim == 2 or (array.ndim == 3 and array.shape[-1] not in (1, 3, 4)):
            array = array[..., None]
        xp = array_module(array)
        array = xp.moveaxis(array, -1, -3)
        if array.dtype != np.uint8:
            return MyTensor(array.copy(order="C"))
        dtype = get_default_dtype()
        return MyTensor(xp.divide(xp.ascontiguousarray(array), dtype.type(255), dtype=dtype))

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize(ImageTransform):
    """(image - mean) / std, channel by channel, for tensors and floating batches; `inplace` overwrites them.

    >>> Normalize(0.5, 0.25)(MyTensor(np.ones((1, 2, 2)))).tolist()
    [[[2.0, 2.0], [2.0, 2.0]]]
    """

    def __init__(self, mean: Span, std: Span, inplace: bool = False) -> None:
        self.mean = mean
        self.std = std
        self.inplace = inplace
        if not np.all(std):
            raise ValueError(f"Normalize: std must not be zero, got {std}")

    def __call__(self, tensor: Any) -> Any:
        array = tensor.array if isinstance(tensor, MyTensor) else tensor
        if not is_array(array) or array.dtype.kind != "f":
            kind = array.dtype if is_array(array) else type(tensor).__name__
            raise TypeError(f"Normalize: wanted a floating tensor or array, got {kind}; put ToTensor() before it")
        return super().__call__(tensor)

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        mean = np.atleast_1d(np.asarray(self.mean, pixels.dtype))
        std = np.atleast_1d(np.asarray(self.std, pixels.dtype))
        channels = pixels.shape[1]
        if mean.size not in (1, channels) or std.size not in (1, channels):
            raise ValueError(f"Normalize: {mean.size} means and {std.size} deviations for {channels} channels")
        xp = array_module(pixels)
        result = xp.subtract(pixels, xp.asarray(mean)[:, None, None], out=pixels if self.inplace else None)
        result /= xp.asarray(std)[:, None, None]
        return result


class ColorJitter(ImageTransform):
    """Change brightness, contrast, saturation and hue at random, in random order.

    Each of the first three is multiplied by a factor from `[max(0, 1 - x), 1 + x]`, or from the given pair;
    hue is turned by a part of the circle from `[-hue, hue]` (at most 0.5), or from the pair. Grey images have
    neither saturation nor hue.

    >>> ColorJitter(brightness=(2, 2))(np.array([[10, 200]], np.uint8)).tolist()
    [[20, 255]]
    """

    def __init__(self, brightness: Span = 0, contrast: Span = 0, saturation: Span = 0, hue: Span = 0) -> None:
        self.brightness = span("ColorJitter: brightness", brightness, 1.0, 0.0)
        self.contrast = span("ColorJitter: contrast", contrast, 1.0, 0.0)
        self.saturation = span("ColorJitter: saturation", saturation, 1.0, 0.0)
        self.hue = span("ColorJitter: hue", hue, 0.0, -0.5)
        if self.hue[1] > 0.5:
            raise ValueError(f"ColorJitter: hue: wanted at most 0.5, got {hue}")

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        if pixels.shape[1] not in (1, 3):
            raise ValueError(f"ColorJitter: wanted grey or RGB images, got {pixels.shape[1]} channels")
        xp = array_module(pixels)
        draw = uniforms(len(pixels), 8).T
        bound = 1.0 if pixels.dtype.kind == "f" else float(np.iinfo(pixels.dtype).max)
        values = pixels.astype(np.float32) / np.float32(bound)
        spans = (self.brightness, self.contrast, self.saturation, self.hue)
        order = np.argsort(draw[4:], axis=0)
        for turn in range(4):
            for number, (limits, neutral) in enumerate(zip(spans, (1, 1, 1, 0), strict=True)):
                chosen = np.flatnonzero(order[turn] == number)
                if chosen.size and limits != (neutral, neutral):
                    factors = between(draw[number, chosen], limits).astype(np.float32)[:, None, None, None]
                    chosen, factors = xp.asarray(chosen), xp.asarray(factors)
                    values[chosen] = color.ADJUST[number](values[chosen], factors)
        return values * np.float32(bound)
