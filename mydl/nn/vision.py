"""Layers that rearrange and resize images; see the functions of the same names in `nn.functional`."""

from __future__ import annotations

from typing import Any

from mydl.nn import functional as F
from mydl.nn.module import NeuralNetwork
from mydl.nn.options import Optioned
from mydl.tensor import MyTensor

__all__ = [
    "Fold", "PixelShuffle", "PixelUnshuffle", "Unfold", "Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d",
]  # fmt: skip


class Upsample(NeuralNetwork):
    """The input resized to `size` or by `scale_factor`; see `functional.interpolate`.

    >>> import mydl
    >>> Upsample(scale_factor=2)(mydl.ones(1, 3, 4, 4)).shape
    (1, 3, 8, 8)
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode, self.align_corners, self.recompute_scale_factor = mode, align_corners, recompute_scale_factor

    def forward(self, input: MyTensor) -> MyTensor:
        """The input resized."""
        return F.interpolate(
            input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor
        )

    def extra_repr(self) -> str:
        """The options."""
        size = f"scale_factor={self.scale_factor}" if self.scale_factor is not None else f"size={self.size}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` with mode "nearest".

    >>> import mydl
    >>> UpsamplingNearest2d(scale_factor=2)(mydl.ones(1, 1, 2, 2)).shape
    (1, 1, 4, 4)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` with mode "bilinear" and align_corners=True.

    >>> import mydl
    >>> UpsamplingBilinear2d(size=(4, 4))(mydl.ones(1, 1, 2, 2)).shape
    (1, 1, 4, 4)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Optioned):
    """(…, C r², H, W) -> (…, C, H r, W r).

    >>> import mydl
    >>> PixelShuffle(2)(mydl.ones(1, 4, 2, 2)).shape
    (1, 1, 4, 4)
    """

    _options = ("upscale_factor",)

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: MyTensor) -> MyTensor:
        """The input rearranged."""
        return F.pixel_shuffle(input, self.upscale_factor)


class PixelUnshuffle(Optioned):
    """(…, C, H r, W r) -> (…, C r², H, W).

    >>> import mydl
    >>> PixelUnshuffle(2)(mydl.ones(1, 1, 4, 4)).shape
    (1, 4, 2, 2)
    """

    _options = ("downscale_factor",)

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: MyTensor) -> MyTensor:
        """The input rearranged."""
        return F.pixel_unshuffle(input, self.downscale_factor)


class Unfold(Optioned):
    """The blocks that a convolution sees, as columns (N, C kh kw, blocks).

    >>> import mydl
    >>> Unfold(2)(mydl.ones(1, 2, 3, 3)).shape
    (1, 8, 4)
    """

    _options = ("kernel_size", "dilation", "padding", "stride")

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: MyTensor) -> MyTensor:
        """The blocks."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Optioned):
    """The sum of blocks at their places in an image of output_size, the transpose of `Unfold`.

    >>> import mydl
    >>> Fold((3, 3), 2)(mydl.ones(1, 8, 4)).shape
    (1, 2, 3, 3)
    """

    _options = ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: MyTensor) -> MyTensor:
        """The image."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
