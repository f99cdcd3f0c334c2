"""Convolutions, of which there is one: the two-dimensional one. Others are it in another shape or its transpose."""

from __future__ import annotations

from typing import Any

from mydl.autograd.op import describe
from mydl.errors import DtypeError, ShapeError
from mydl.functions.arguments import Tensor, require_floating
from mydl.nn.functional.arguments import Sizes, as_image, as_line, pair, sizes_of
from mydl.nn.functional.padding import pad
from mydl.ops.convolution import Conv2D, Conv2DInputGrad
from mydl.ops.shape import Reshape

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> list[tuple[int, int]]:
    """(before, after) for each axis, so that a convolution of stride 1 keeps the size; an odd one goes after.

    >>> same_padding((4, 3), (1, 2))
    [(1, 2), (2, 2)]
    """
    totals = [d * (k - 1) for k, d in zip(kernel, dilation)]
    return [(total // 2, total - total // 2) for total in totals]


def _meant(shape: tuple[int, ...], channels: int, spatial: int) -> str:
    """What was probably meant with an input whose channels do not fit."""
    if len(shape) == spatial + 2 and shape[-1] == channels:
        return f"; channels come second: .permute(0, {spatial + 1}, {', '.join(map(str, range(1, spatial + 1)))})"
    return "; add the channel with .unsqueeze(1)" if len(shape) == spatial + 1 and channels == 1 else ""


def _check(x: Any, weight: Any, bias: Any, spatial: int, groups: int, name: str, transposed: bool) -> tuple:
    """(the input's shape, the weight's) where shapes, dtypes and groups fit one another."""
    x, weight = x.array, getattr(weight, "array", weight)  # each look at a tensor's own shape makes a Size
    shape, kernel = x.shape, weight.shape
    if len(kernel) != spatial + 2 or len(shape) not in (spatial + 1, spatial + 2):
        dims = "L" if spatial == 1 else "H, W"
        raise ShapeError(
            f"{name}: wanted an input (N, C, {dims}) or (C, {dims}) and a weight of {spatial + 2} dimensions, "
            f"got {describe(x)} and {describe(weight)}"
        )
    if groups.__class__ is not int or groups < 1:
        raise ShapeError(f"{name}: wanted a positive int as groups, got {groups!r}")
    out_channels = kernel[1] * groups if transposed else kernel[0]
    in_channels = kernel[0] if transposed else kernel[1] * groups
    if shape[-spatial - 1] != in_channels or kernel[0] % groups:
        raise ShapeError(
            f"{name}: a weight of shape {kernel} with groups={groups} wants an input of {in_channels} channels "
            f"and a first size that groups divide, got an input of shape {shape}" + _meant(shape, in_channels, spatial)
        )
    if transposed and 0 in shape[-spatial:]:
        raise ShapeError(f"{name}: wanted an input that is empty in its batch or channels at most, got {describe(x)}")
    if bias is not None and bias.shape != (out_channels,):
        raise ShapeError(f"{name}: wanted a bias of shape ({out_channels},), got {describe(bias)}")
    if x.dtype != weight.dtype or (bias is not None and bias.dtype != weight.dtype):
        got = ", ".join(str(value.dtype) for value in (x, weight, bias) if value is not None)
        raise DtypeError(f"{name}: wanted input, weight and bias of one dtype, got {got}; cast with .to(dtype)")
    return shape, kernel


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of input (N, C, H, W) or (C, H, W) with weight (O, C/groups, kh, kw), plus bias (O,).

    H' = ⌊(H + 2 padding - dilation (kh - 1) - 1) / stride⌋ + 1, W' likewise. `padding` is an int, a pair, "valid"
    (none) or "same" (as much as keeps the size; stride 1 only).

    >>> import mydl
    >>> conv2d(mydl.ones(1, 1, 3, 3), mydl.ones(1, 1, 2, 2))
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """
    input = require_floating(input, "conv2d")
    shape, weight_shape = _check(input, weight, bias, 2, groups, "conv2d", transposed=False)
    kernel = weight_shape[2:]
    stride, dilation = pair(stride, "conv2d", "stride", 1), pair(dilation, "conv2d", "dilation", 1)
    if padding.__class__ is str:
        input, padding = _padded(input, kernel, stride, padding, dilation, "conv2d")
        shape = input.array.shape
    padding = pair(padding, "conv2d", "padding")
    for size, k, p, d in zip(shape[-2:], kernel, padding, dilation):
        if size + 2 * p < d * (k - 1) + 1:
            raise ShapeError(
                f"conv2d: a kernel of {kernel} with dilation {dilation} is larger than the input of shape {shape} with "
                f"padding {padding}"
            )
    if len(shape) == 4:
        return Conv2D.apply(input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    batch = Reshape.apply(input, shape=(1, *shape))
    y = Conv2D.apply(batch, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return Reshape.apply(y, shape=y.shape[1:])


def _padded(input: Any, kernel: tuple, stride: tuple, padding: str, dilation: tuple, name: str) -> tuple[Any, tuple]:
    """(input, padding) for padding "same" or "valid"; what is not the same on both sides is padded here."""
    if padding == "valid":
        return input, (0,) * len(kernel)
    if padding != "same":
        raise ValueError(f'{name}: wanted ints, "same" or "valid" as padding, got {padding!r}')
    if any(s != 1 for s in stride):
        raise ValueError(f'{name}: padding="same" wants a stride of 1, got {stride}')
    sides = same_padding(kernel, dilation)
    if all(before == after for before, after in sides):
        return input, tuple(before for before, _ in sides)
    widths = [width for before_after in reversed(sides) for width in before_after]
    return pad(input, tuple(widths)), (0,) * len(kernel)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation of input (N, C, L) or (C, L) with weight (O, C/groups, k); arguments as in `conv2d`.

    >>> import mydl
    >>> conv1d(mydl.ones(1, 1, 3), mydl.ones(1, 1, 2))
    tensor([[[2., 2.]]])
    """
    input = require_floating(input, "conv1d")
    _check(input, weight, bias, 1, groups, "conv1d", transposed=False)
    (stride,) = sizes_of(stride, 1, "conv1d", "stride", 1)
    (dilation,) = sizes_of(dilation, 1, "conv1d", "dilation", 1)
    if isinstance(padding, str):
        input, padding = _padded(input, weight.shape[2:], (stride,), padding, (dilation,), "conv1d")
    (padding,) = sizes_of(padding, 1, "conv1d", "padding")
    y = conv2d(as_image(input), as_image(weight), bias, (1, stride), (0, padding), (1, dilation), groups)
    return as_line(y)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv2d`, its gradient by the input: (N, C, H, W), weight (C, O/groups, kh, kw) -> (N, O, …).

    H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1, W' likewise.

    >>> import mydl
    >>> conv_transpose2d(mydl.ones(1, 1, 1, 2), mydl.ones(1, 1, 1, 2), stride=2)
    tensor([[[[1., 1., 1., 1.]]]])
    """
    name = "conv_transpose2d"
    input = require_floating(input, name)
    _check(input, weight, bias, 2, groups, name, transposed=True)
    stride, dilation = pair(stride, name, "stride", 1), pair(dilation, name, "dilation", 1)
    padding, output_padding = pair(padding, name, "padding"), pair(output_padding, name, "output_padding")
    for more, s, d in zip(output_padding, stride, dilation):
        if more >= s and more >= d:
            raise ValueError(
                f"{name}: wanted output_padding below stride or dilation, got {output_padding}, {stride} and {dilation}"
            )
    batch = input if input.ndim == 4 else Reshape.apply(input, shape=(1, *input.shape))
    kernel = weight.shape[2:]
    whole = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(batch.shape[2:], stride, dilation, kernel)]
    size = [n - 2 * p + more for n, p, more in zip(whole, padding, output_padding)]
    if min(size) < 1:
        raise ShapeError(f"{name}: an input of shape {input.shape} would give an output of size {tuple(size)}")
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    lead = (batch.shape[0], weight.shape[1] * groups)
    if all(more < s for more, s in zip(output_padding, stride)):
        y = Conv2DInputGrad.apply(batch, weight, shape=(*lead, *size), padding=padding, **options)
    else:  # no convolution of an output of this size gives `input`: cut it out of the whole plane instead
        y = Conv2DInputGrad.apply(batch, weight, shape=(*lead, *whole), padding=(0, 0), **options)
        (top, left), (below, right) = padding, output_padding
        y = pad(y, (-left, right - left, -top, below - top))
    if bias is not None:
        y = y + Reshape.apply(bias, shape=(-1, 1, 1))
    return y if input.ndim == 4 else Reshape.apply(y, shape=y.shape[1:])


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Tensor:
    """The transpose of `conv1d`: input (N, C, L) or (C, L) with weight (C, O/groups, k); arguments as in 2-D.

    >>> import mydl
    >>> conv_transpose1d(mydl.ones(1, 1, 2), mydl.ones(1, 1, 2))
    tensor([[[1., 2., 1.]]])
    """
    name = "conv_transpose1d"
    input = require_floating(input, name)
    _check(input, weight, bias, 1, groups, name, transposed=True)
    (stride,) = sizes_of(stride, 1, name, "stride", 1)
    (padding,) = sizes_of(padding, 1, name, "padding")
    (more,) = sizes_of(output_padding, 1, name, "output_padding")
    (dilation,) = sizes_of(dilation, 1, name, "dilation", 1)
    if more >= stride and more >= dilation:
        raise ValueError(f"{name}: wanted output_padding below stride or dilation, got {more}, {stride} and {dilation}")
    y = conv_transpose2d(
        as_image(input), as_image(weight), bias, (1, stride), (0, padding), (0, more), groups, (1, dilation)
    )
    return as_line(y)
