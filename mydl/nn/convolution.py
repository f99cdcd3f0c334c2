"""Convolution layers. Their weights start Kaiming-uniform and their biases with 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn import init as initialisers
from mydl.nn.functional.arguments import Sizes, sizes_of
from mydl.nn.functional.convolution import same_padding
from mydl.nn.linear import Initialiser, WithInit, new_parameter
from mydl.nn.options import differing
from mydl.tensor import MyTensor

__all__ = ["Conv1d", "Conv2D", "ConvTranspose1d", "ConvTranspose2d"]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(WithInit):
    """What the convolutions share: sizes, weight, bias, and the border that is not of zeros."""

    spatial: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        init: Initialiser = initialisers.kaiming_uniform_,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if not isinstance(groups, int) or groups < 1 or in_channels % groups or out_channels % groups:
            raise ShapeError(f"{name}: groups={groups} must divide {in_channels} and {out_channels} channels")
        if padding_mode not in _PADDING_MODES or (self.transposed and padding_mode != "zeros"):
            wanted = '"zeros"' if self.transposed else f"one of {_PADDING_MODES}"
            raise ValueError(f"{name}: wanted {wanted} as padding_mode, got {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = sizes_of(kernel_size, self.spatial, name, "kernel_size", 1)
        self.stride = sizes_of(stride, self.spatial, name, "stride", 1)
        self.dilation = sizes_of(dilation, self.spatial, name, "dilation", 1)
        self.output_padding: tuple[int, ...] = (0,) * self.spatial
        self.padding_mode = padding_mode
        self.padding: Any = padding
        if not isinstance(padding, str):
            self.padding = sizes_of(padding, self.spatial, name, "padding")
        elif padding not in ("same", "valid") or self.transposed:
            raise ValueError(f'{name}: wanted ints, "same" or "valid" as padding, got {padding!r}')
        elif padding == "same" and any(s != 1 for s in self.stride):
            raise ShapeError(f'{name}: padding="same" wants a stride of 1, got {self.stride}')
        self.init = init
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = new_parameter((first, second // groups, *self.kernel_size), device, dtype)
        self.register_parameter("bias", new_parameter((out_channels,), device, dtype) if bias else None)
        self.reset_parameters()

    def _border(self, input: MyTensor) -> MyTensor:
        """The input with its border, for the padding modes other than zeros."""
        sides: Sequence[tuple[int, int]]
        if self.padding == "same":
            sides = same_padding(self.kernel_size, self.dilation)
        elif self.padding == "valid":
            sides = [(0, 0) for _ in self.kernel_size]
        else:
            sides = [(p, p) for p in self.padding]
        return F.pad(input, [width for side in reversed(sides) for width in side], self.padding_mode)

    def _conv_forward(self, input: MyTensor, weight: MyTensor, bias: MyTensor | None) -> MyTensor:
        """`forward` with weights other than the layer's; subclasses call it, as in PyTorch."""
        function, padding = F.conv2d if self.spatial == 2 else F.conv1d, self.padding
        if self.padding_mode != "zeros":
            input, padding = self._border(input), 0
        return function(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """The options; those with a default only where they differ from it."""
        none, one = (0,) * self.spatial, (1,) * self.spatial
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += differing(self, padding=none, dilation=one, output_padding=none, groups=1)
        return text + (", bias=False" if self.bias is None else "") + differing(self, padding_mode="zeros")


class Conv2D(_Convolution):
    """Cross-correlation of (N, C, H, W) or (C, H, W) with out_channels kernels, see `functional.conv2d`.

    `weight` is (out_channels, in_channels / groups, kh, kw), `bias` (out_channels,). `padding` is an int, a pair,
    "same" or "valid"; `padding_mode` fills the border with "zeros", or by "reflect", "replicate" or "circular".

    >>> import mydl
    >>> Conv2D(1, 16, kernel_size=3, stride=1, padding=1, bias=False)(mydl.ones(2, 1, 8, 8)).shape
    (2, 16, 8, 8)
    """

    spatial = 2

    def forward(self, input: MyTensor) -> MyTensor:
        """The cross-correlation."""
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Convolution):
    """Cross-correlation of (N, C, L) or (C, L) with out_channels kernels; arguments as for `Conv2D`.

    >>> import mydl
    >>> Conv1d(2, 4, 3, padding="same")(mydl.ones(5, 2, 8)).shape
    (5, 4, 8)
    """

    spatial = 1

    def forward(self, input: MyTensor) -> MyTensor:
        """The cross-correlation."""
        return self._conv_forward(input, self.weight, self.bias)


class _Transposed(_Convolution):
    """What the transposed convolutions share."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        init: Initialiser = initialisers.kaiming_uniform_,
    ) -> None:
        options = (stride, padding, dilation, groups, bias, padding_mode, device, dtype)
        super().__init__(in_channels, out_channels, kernel_size, *options, init=init)
        self.output_padding = sizes_of(output_padding, self.spatial, type(self).__name__, "output_padding")

    def _output_padding(self, input: MyTensor, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The output_padding that leads to `output_size`, if that is given."""
        if output_size is None:
            return self.output_padding
        name = type(self).__name__
        wanted = sizes_of(tuple(output_size)[-self.spatial :], self.spatial, name, "output_size")
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                input.shape[-self.spatial :], self.stride, self.padding, self.dilation, self.kernel_size
            )
        ]
        for size, low, s in zip(wanted, least, self.stride):
            if not low <= size < low + s:
                most = tuple(low + s - 1 for low, s in zip(least, self.stride))
                raise ValueError(f"{name}: wanted output_size from {tuple(least)} to {most}, got {tuple(wanted)}")
        return tuple(size - low for size, low in zip(wanted, least))

    def _run_transposed(self, function: Any, input: MyTensor, output_size: Sequence[int] | None) -> MyTensor:
        more = self._output_padding(input, output_size)
        return function(input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation)


class ConvTranspose2d(_Transposed):
    """The transpose of `Conv2D`, which makes an image larger: H' = (H - 1) stride - 2 padding + dilation (kh - 1) + 1.

    `weight` is (in_channels, out_channels / groups, kh, kw). Of the sizes that a convolution of stride s maps to the
    same H, `output_padding` or `forward`'s `output_size` chooses one.

    >>> import mydl
    >>> ConvTranspose2d(4, 2, 2, stride=2)(mydl.ones(1, 4, 5, 5)).shape
    (1, 2, 10, 10)
    """

    spatial = 2

    def forward(self, input: MyTensor, output_size: Sequence[int] | None = None) -> MyTensor:
        """The transposed convolution."""
        return self._run_transposed(F.conv_transpose2d, input, output_size)


class ConvTranspose1d(_Transposed):
    """The transpose of `Conv1d`; see `ConvTranspose2d`.

    >>> import mydl
    >>> ConvTranspose1d(4, 2, 2, stride=2)(mydl.ones(1, 4, 5)).shape
    (1, 2, 10)
    """

    spatial = 1

    def forward(self, input: MyTensor, output_size: Sequence[int] | None = None) -> MyTensor:
        """The transposed convolution."""
        return self._run_transposed(F.conv_transpose1d, input, output_size)
