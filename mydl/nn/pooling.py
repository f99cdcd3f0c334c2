"""Pooling layers."""

from __future__ import annotations

from typing import Any

from mydl.nn import functional as F
from mydl.nn.functional.arguments import Sizes, sizes_of
from mydl.nn.module import NeuralNetwork
from mydl.nn.options import Optioned
from mydl.tensor import MyTensor

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d", "AvgPool2d",
    "FullAveragePool2d", "MaxPool1d", "MaxPool2d", "MaxUnpool1d", "MaxUnpool2d",
]  # fmt: skip


class FullAveragePool2d(NeuralNetwork):
    """The mean of each plane: (N, C, H, W) -> (N, C).

    >>> import mydl
    >>> FullAveragePool2d()(mydl.ones(2, 3, 4, 4)).shape
    (2, 3)
    """

    @staticmethod
    def forward(input: MyTensor) -> MyTensor:
        """The planes' means."""
        return F.full_average_pool2d(input)


class _MaxPool(Optioned):
    """The constructor that the max poolings share."""

    _options = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode


class MaxPool2d(_MaxPool):
    """The largest element of each window of (N, C, H, W) or (C, H, W); the stride is the kernel's size by default.

    With `return_indices` also its flat position in the plane.

    >>> import mydl
    >>> MaxPool2d(2)(mydl.ones(1, 3, 4, 4)).shape
    (1, 3, 2, 2)
    """

    def forward(self, input: MyTensor) -> Any:
        """The windows' largest elements."""
        options = (self.padding, self.dilation, self.ceil_mode, self.return_indices)
        return F.max_pool2d(input, self.kernel_size, self.stride, *options)


class MaxPool1d(_MaxPool):
    """`MaxPool2d` for lines (N, C, L) or (C, L).

    >>> import mydl
    >>> MaxPool1d(2)(mydl.ones(1, 3, 4)).shape
    (1, 3, 2)
    """

    def forward(self, input: MyTensor) -> Any:
        """The windows' largest elements."""
        options = (self.padding, self.dilation, self.ceil_mode, self.return_indices)
        return F.max_pool1d(input, self.kernel_size, self.stride, *options)


class MaxUnpool2d(Optioned):
    """`MaxPool2d` backwards: the elements at the places that its `return_indices` gave, zeros elsewhere.

    >>> import mydl
    >>> y, indices = MaxPool2d(2, return_indices=True)(mydl.ones(1, 3, 4, 4))
    >>> MaxUnpool2d(2)(y, indices).shape
    (1, 3, 4, 4)
    """

    _options, _spatial = ("kernel_size", "stride", "padding"), 2

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size = sizes_of(kernel_size, self._spatial, type(self).__name__, "kernel_size", 1)
        stride = self.kernel_size if stride is None else stride
        self.stride = sizes_of(stride, self._spatial, type(self).__name__, "stride", 1)
        self.padding = sizes_of(padding, self._spatial, type(self).__name__, "padding")

    def forward(self, input: MyTensor, indices: MyTensor, output_size: Any = None) -> MyTensor:
        """Planes or lines of zeros with the input's elements in them, of `output_size` where it is given."""
        unpool = F.max_unpool2d if self._spatial == 2 else F.max_unpool1d
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(MaxUnpool2d):
    """`MaxUnpool2d` for lines (N, C, L) or (C, L).

    >>> import mydl
    >>> MaxUnpool1d(2)(mydl.ones(1, 3, 2), mydl.tensor([[[0, 2]] * 3]).reshape(1, 3, 2)).shape
    (1, 3, 4)
    """

    _spatial = 1


class AvgPool2d(Optioned):
    """The mean of each window of (N, C, H, W) or (C, H, W); the stride is the kernel's size by default.

    The padding's zeros count as elements if `count_include_pad`; `divisor_override` is divided by instead.

    >>> import mydl
    >>> AvgPool2d(2)(mydl.ones(1, 3, 4, 4)).shape
    (1, 3, 2, 2)
    """

    _options = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: MyTensor) -> MyTensor:
        """The windows' means."""
        options = (self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override)
        return F.avg_pool2d(input, self.kernel_size, self.stride, *options)


class AvgPool1d(Optioned):
    """`AvgPool2d` for lines (N, C, L) or (C, L).

    >>> import mydl
    >>> AvgPool1d(2)(mydl.ones(1, 3, 4)).shape
    (1, 3, 2)
    """

    _options = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = _single(kernel_size if stride is None else stride)
        self.padding = _single(padding)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: MyTensor) -> MyTensor:
        """The windows' means."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


def _single(value: Sizes) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


class _AdaptivePool(Optioned):
    """The constructor that the adaptive poolings share."""

    _options = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size


class AdaptiveAvgPool2d(_AdaptivePool):
    """Means over windows that cover (N, C, H, W) or (C, H, W) evenly, as many as output_size; None keeps a size.

    >>> import mydl
    >>> AdaptiveAvgPool2d((1, None))(mydl.ones(1, 3, 4, 5)).shape
    (1, 3, 1, 5)
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """The windows' means."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool1d(_AdaptivePool):
    """`AdaptiveAvgPool2d` for lines (N, C, L) or (C, L).

    >>> import mydl
    >>> AdaptiveAvgPool1d(2)(mydl.ones(1, 3, 5)).shape
    (1, 3, 2)
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """The windows' means."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Largest elements over the windows of `AdaptiveAvgPool2d`; with `return_indices` also their flat positions.

    >>> import mydl
    >>> AdaptiveMaxPool2d(2)(mydl.ones(1, 3, 4, 5)).shape
    (1, 3, 2, 2)
    """

    def forward(self, input: MyTensor) -> Any:
        """The windows' largest elements."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """`AdaptiveMaxPool2d` for lines (N, C, L) or (C, L).

    >>> import mydl
    >>> AdaptiveMaxPool1d(2)(mydl.ones(1, 3, 5)).shape
    (1, 3, 2)
    """

    def forward(self, input: MyTensor) -> Any:
        """The windows' largest elements."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)
