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

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mydl.backend import array_module, get_default_dtype, is_array
from mydl.data import color
from mydl.data.draws import uniforms
from mydl.data.geometry import (
    InterpolationMode,
    RandomAffine,
    RandomHorizontalFlip,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
)
from mydl.data.images import ImageTransform, Span, between, is_pil, span, to_pixels
from mydl.data.pieces import CenterCrop, Pad, RandomCrop, RandomErasing, RandomResizedCrop
from mydl.tensor import MyTensor

__all__ = [
    "CenterCrop", "ColorJitter", "Compose", "ConvertImageDtype", "GaussianBlur", "Grayscale", "InterpolationMode",
    "Lambda", "Normalize", "PILToTensor", "Pad", "RandomAffine", "RandomApply", "RandomCrop", "RandomErasing",
    "RandomHorizontalFlip", "RandomResizedCrop", "RandomRotation", "RandomVerticalFlip", "Resize", "ToTensor",
]  # fmt: skip


class Compose:
    """Transforms one after another.

    >>> Compose([Resize(14), ToTensor()])(np.zeros((5, 28, 28), np.uint8)).shape
    (5, 1, 14, 14)
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        if not isinstance(transforms, Iterable):
            raise TypeError(f"{type(self).__name__}: wanted a list of transforms, got {type(transforms).__name__}")
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


class RandomApply(Compose):
    """Transforms one after another, with probability `p`, each image of a batch on its own; else the image as it is.

    They are computed for every image, so that the draws of what follows do not depend on the choice.

    >>> RandomApply([Resize(14)], p=0)(np.zeros((28, 28), np.uint8)).shape
    (28, 28)
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = p

    def __call__(self, img: Any) -> Any:
        count = len(to_pixels(img, "RandomApply")[0])
        chosen = uniforms(count, 1)[:, 0] < self.p
        changed = super().__call__(img)
        if count == 1 or chosen.all() or not chosen.any():
            return changed if chosen.all() else img
        before, after = (value.array if isinstance(value, MyTensor) else value for value in (img, changed))
        if before.shape != after.shape or before.dtype != after.dtype:
            raise ValueError(
                f"RandomApply: a part of a batch cannot go from {before.dtype} {before.shape} to "
                f"{after.dtype} {after.shape}"
            )
        xp = array_module(before)
        result = xp.where(xp.asarray(chosen).reshape(-1, *(1,) * (before.ndim - 1)), after, before)
        return MyTensor(result) if isinstance(img, MyTensor) else result


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
        array = self._planes(pic)
        xp = array_module(array)
        if array.dtype != np.uint8:
            return MyTensor(array.copy(order="C"))
        dtype = get_default_dtype()
        return MyTensor(xp.divide(xp.ascontiguousarray(array), dtype.type(255), dtype=dtype))

    def _planes(self, pic: Any) -> Any:
        """The image as an array (C, H, W), or the batch as (N, C, H, W)."""
        name = type(self).__name__
        if is_array(pic):
            array = pic
        elif is_pil(pic):
            array = np.asarray(pic)
            array = array.astype(np.uint8) * 255 if array.dtype == bool else array
        else:
            raise TypeError(f"{name}: wanted a PIL image or a NumPy array, got {type(pic).__name__}")
        if array.ndim not in (2, 3, 4):
            raise ValueError(f"{name}: wanted an array of 2 to 4 dims, got shape {array.shape}")
        # three dimensions of an array are a batch where the last is no usual number of channels; of a picture, never
        if array.ndim == 2 or (array.ndim == 3 and array is pic and array.shape[-1] not in (1, 3, 4)):
            array = array[..., None]
        return array_module(array).moveaxis(array, -1, -3)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class PILToTensor(ToTensor):
    """As `ToTensor`, the values and their dtype as they are.

    >>> PILToTensor()(np.full((2, 28, 28), 51, np.uint8))[0, 0, 0, 0]
    tensor(51, dtype=uint8)
    """

    def __call__(self, pic: Any) -> MyTensor:
        return MyTensor(self._planes(pic).copy(order="C"))


class ConvertImageDtype:
    """A tensor's values for another dtype: 0 … 255 of uint8 are 0 … 1 of a floating dtype.

    >>> ConvertImageDtype(np.float32)(MyTensor(np.array([[[0, 255]]], np.uint8))).tolist()
    [[[0.0, 1.0]]]
    """

    whole_batch = True

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        if self.dtype != np.uint8 and self.dtype.kind != "f":
            raise NotImplementedError(f"ConvertImageDtype: wanted uint8 or a floating dtype, got {self.dtype}")

    def __call__(self, image: MyTensor) -> MyTensor:
        array, kinds = image.array, (image.dtype.kind, self.dtype.kind)
        if kinds == ("u", "f"):
            return MyTensor(array.astype(self.dtype) / self.dtype.type(255))
        if kinds == ("f", "u"):
            # at least in float32: in float16 the product of 1 is 256
            return MyTensor((array.astype(np.result_type(array.dtype, np.float32)) * (256 - 1e-3)).astype(self.dtype))
        return MyTensor(array.astype(self.dtype))

    def __repr__(self) -> str:
        return f"ConvertImageDtype({self.dtype})"


class Normalize(ImageTransform):
    """(image - mean) / std, channel by channel, for tensors and floating batches; `inplace` overwrites them.

    >>> Normalize(0.5, 0.25)(MyTensor(np.ones((1, 2, 2)))).tolist()
    [[[2.0, 2.0], [2.0, 2.0]]]
    """

    def __init__(self, mean: Span, std: Span, inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace
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


class Grayscale(ImageTransform):
    """Images without colour: their luma, in one channel or, with `num_output_channels=3`, in three alike.

    >>> Grayscale()(np.full((1, 2, 2, 3), 7, np.uint8)).shape
    (1, 2, 2, 1)
    """

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            raise ValueError(f"Grayscale: wanted 1 or 3 as num_output_channels, got {num_output_channels}")
        self.num_output_channels = num_output_channels

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        grey = color.grey(pixels if pixels.dtype.kind == "f" else pixels.astype(np.float32))
        return grey.repeat(self.num_output_channels, axis=1)


class GaussianBlur(ImageTransform):
    """Blur by a normal distribution of standard deviation `sigma`, or one from that span, cut off at `kernel_size`.

    Kernel sizes, one or (across, down), are odd; borders are reflected.

    >>> GaussianBlur(3, sigma=1.0)(np.ones((1, 1, 4, 4))).round(6).sum()
    np.float64(16.0)
    """

    def __init__(self, kernel_size: int | Sequence[int], sigma: Span = (0.1, 2.0)) -> None:
        self.kernel_size = tuple(int(side) for side in np.broadcast_to(kernel_size, 2))
        self.sigma = (float(sigma), float(sigma)) if isinstance(sigma, (int, float)) else tuple(sigma)
        if any(side < 1 or side % 2 == 0 for side in self.kernel_size):
            raise ValueError(f"GaussianBlur: wanted odd kernel sizes above 0, got {kernel_size}")
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"GaussianBlur: wanted sigma above 0, in order, got {sigma}")

    def _apply(self, pixels: np.ndarray) -> np.ndarray:
        xp = array_module(pixels)
        sigma = between(uniforms(len(pixels), 1), self.sigma)
        blurred = pixels if pixels.dtype.kind == "f" else pixels.astype(np.float32)
        for axis, side in ((3, self.kernel_size[0]), (2, self.kernel_size[1])):
            half = side // 2
            weights = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
            weights = xp.asarray((weights / weights.sum(axis=1, keepdims=True)).astype(blurred.dtype))
            padded = xp.pad(blurred, [(half, half) if a == axis else (0, 0) for a in range(4)], mode="reflect")
            length = pixels.shape[axis]
            taps = [padded[:, :, :, i : i + length] if axis == 3 else padded[:, :, i : i + length] for i in range(side)]
            blurred = sum(tap * weights[:, i, None, None, None] for i, tap in enumerate(taps))
        return blurred
