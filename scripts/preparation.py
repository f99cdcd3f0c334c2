"""How pixels become a model's inputs: the normalisation, with its statistics, and the augmentation before it."""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from mydl import MyTensor
from mydl.backend import array_module
from mydl.data.images import is_pil

__all__ = ["KINDS", "LARGEST_SIDE", "Preparation"]

KINDS = ("none", "scale", "pixel", "channel")
EPSILON = 1e-6  # added to a pixel's deviation
LARGEST_SIDE = 1 << 14


@dataclasses.dataclass(frozen=True)
class Preparation:
    """A function from uint8 images to float32 inputs, (N, H, W) or (N, H, W, 3) to (N, C, H, W).

    `normalize` says what becomes of a pixel value p:

    - "none": p, from 0 to 255;
    - "scale": x = p / 255, from 0 to 1;
    - "pixel": (x - mean) / (deviation + 1e-6), with mean and deviation of that pixel over the training images;
    - "channel": (x - mean) / deviation, with mean and deviation of all pixels of that channel.

    A pixel or channel that has one value in all training images becomes 0, whatever it is in others: it has told
    the model nothing.

    A single image, PIL's or an array, gives (C, H, W). `augmentation` is applied to x, images (N, C, H, W).

    >>> preparation = Preparation.of(np.array([[[0, 255]], [[255, 255]]], np.uint8), "pixel")
    >>> preparation(np.array([[0, 255]], np.uint8)).array.round(3).tolist()
    [[[-1.0, 0.0]]]
    """

    size: tuple[int, int]
    channels: int
    normalize: str
    mean: np.ndarray | None = None  # (C, 1, 1) or (C, H, W), float32; None for "none" and "scale"
    deviation: np.ndarray | None = None
    augmentation: Callable[[Any], Any] | None = None

    whole_batch: ClassVar[bool] = True

    @classmethod
    def of(cls, images: np.ndarray, normalize: str) -> Preparation:
        """The preparation with the statistics of these uint8 images, of which there must be one at least."""
        if normalize not in KINDS:
            raise ValueError(f"normalize: wanted one of {', '.join(KINDS)}, got {normalize!r}")
        channels = 1 if images.ndim == 3 else images.shape[3]
        size = (images.shape[1], images.shape[2])
        if normalize in ("none", "scale"):
            return cls(size, channels, normalize)
        sums = np.zeros((*size, channels), np.int64)
        squares = sums.copy()
        for part in np.array_split(images.reshape(len(images), *sums.shape), len(images) // 1000 + 1):
            sums += part.sum(axis=0, dtype=np.int64)
            squares += np.square(part, dtype=np.int32).sum(axis=0, dtype=np.int64)
        sums, squares = np.moveaxis(sums, -1, 0), np.moveaxis(squares, -1, 0)
        count = len(images)
        if normalize == "channel":
            count *= size[0] * size[1]
            sums = sums.sum(axis=(1, 2), keepdims=True)
            squares = squares.sum(axis=(1, 2), keepdims=True)
        # Whole numbers as far as possible: what never changes has a variance of exactly 0.
        variance = (count * squares.astype(object) - sums.astype(object) ** 2).astype(np.float64) / float(count) ** 2
        mean, deviation = sums / count / 255, np.sqrt(variance) / 255
        return cls(size, channels, normalize, mean.astype(np.float32), deviation.astype(np.float32))

    def __call__(self, images: Any) -> MyTensor:
        """The inputs; ValueError if the images have another size or number of channels."""
        array = np.asarray(images) if is_pil(images) else images
        colour = (3,) if self.channels == 3 else ()
        single = array.ndim == 2 + len(colour)
        batch = array[None] if single else array
        if batch.shape[1:] != (*self.size, *colour) or batch.dtype != np.uint8:
            wanted = "×".join(map(str, (*self.size, *colour)))
            raise ValueError(f"preparation: wanted uint8 images of {wanted}, got {array.dtype} {tuple(array.shape)}")
        xp = array_module(batch)
        pixels = xp.moveaxis(batch, -1, 1) if colour else batch[:, None]
        x = xp.divide(xp.ascontiguousarray(pixels), np.float32(255), dtype=np.float32)
        if self.augmentation is not None:
            x = self.augmentation(x)
        if self.normalize == "none":
            x = x * np.float32(255)  # exactly p again, for each of the 256
        elif self.mean is not None and self.deviation is not None:
            divisor = self.deviation + np.float32(EPSILON if self.normalize == "pixel" else 0)
            divisor[self.deviation == 0] = np.inf
            x = x - xp.asarray(self.mean)
            x /= xp.asarray(divisor)
        return MyTensor(x[0] if single else x)

    def to_json(self) -> dict[str, Any]:
        """What `from_json` makes the preparation of again, exactly, without its augmentation.

        The statistics of channels are numbers, those of pixels `{"shape": [C, H, W], "float32": "…"}`, the values
        in base64, little-endian.
        """
        content: dict[str, Any] = {"size": list(self.size), "channels": self.channels, "normalize": self.normalize}
        for name in ("mean", "deviation"):
            array = getattr(self, name)
            if array is not None and self.normalize == "channel":
                content[name] = [float(value) for value in array.ravel()]
            elif array is not None:
                text = base64.b64encode(array.astype("<f4").tobytes()).decode()
                content[name] = {"shape": list(array.shape), "float32": text}
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Preparation:
        """The preparation that `to_json` wrote; ValueError, in one line, for anything else.

        >>> Preparation.from_json({"size": [28, 28], "channels": 1, "normalize": "scale"}).size
        (28, 28)
        """
        match content:
            case {"size": [int(height), int(width)], "channels": 1 | 3 as channels, "normalize": str(normalize)} if (
                0 < height <= LARGEST_SIDE and 0 < width <= LARGEST_SIDE and normalize in KINDS and channels is not True
            ):
                size = (height, width)
            case _:
                raise ValueError("preparation: wanted size, channels and normalize, as train_model writes them")
        if normalize in ("none", "scale"):
            return cls(size, channels, normalize)
        shape = (channels, 1, 1) if normalize == "channel" else (channels, *size)
        mean, deviation = (_statistics(content.get(name), name, shape) for name in ("mean", "deviation"))
        if deviation.min() < 0:
            raise ValueError(f"preparation: wanted deviations of at least 0, found {deviation.min()}")
        return cls(size, channels, normalize, mean, deviation)


def _statistics(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers in one entry of `to_json`."""
    try:
        match value:
            case {"float32": str(text)}:
                array = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)
            case [*numbers] if all(isinstance(number, float | int) for number in numbers):
                array = np.array(numbers, np.float32)
            case _:
                array = np.empty(0, np.float32)
    except (ValueError, OverflowError):
        array = np.empty(0, np.float32)
    if array.size != math.prod(shape) or not np.isfinite(array).all():
        raise ValueError(f"preparation: wanted {math.prod(shape):,} finite numbers as {name}, found something else")
    return array.reshape(shape)
