"""Pooling over windows of an image or a line, and over adaptive windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.op import describe, tensor_of
from mydl.errors import ShapeError
from mydl.functions.arguments import Tensor, require_floating
from mydl.functions.selection import scatter
from mydl.nn.functional.arguments import Sizes, as_image, as_line, pair, sizes_of
from mydl.ops.indexing import Gather
from mydl.ops.linalg import MatMul
from mydl.ops.pooling import AvgPool2D, MaxPool2D
from mydl.ops.reduction import Mean
from mydl.ops.shape import Reshape

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d", "avg_pool1d",
    "avg_pool2d", "full_average_pool2d", "max_pool1d", "max_pool2d", "max_unpool1d", "max_unpool2d",
]  # fmt: skip


def _batched(input: Any, spatial: int, name: str) -> tuple[Any, bool]:
    """`input` with a batch dimension, and whether it had one."""
    input = require_floating(input, name)
    ndim = input.array.ndim
    if ndim not in (spatial + 1, spatial + 2):
        dims = "L" if spatial == 1 else "H, W"
        raise ShapeError(f"{name}: wanted an input (N, C, {dims}) or (C, {dims}), got {describe(input)}")
    if 0 in input.array.shape[-spatial - 1 :] and name != "adaptive_avg_pool2d":
        raise ShapeError(f"{name}: wanted an input that is empty in its batch at most, got {describe(input)}")
    if ndim == spatial + 2:
        return input, True
    return Reshape.apply(input, shape=(1, *input.shape)), False


def _as_was(y: Any, batched: bool) -> Any:
    return y if batched else Reshape.apply(y, shape=y.shape[1:])


def _windows(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, name: str) -> tuple:
    """(kernel, stride, padding, dilation) in pairs, checked against the input."""
    kernel = pair(kernel, name, "kernel_size", 1)
    stride = kernel if stride is None or stride == () else pair(stride, name, "stride", 1)
    padding, dilation = pair(padding, name, "padding"), pair(dilation, name, "dilation", 1)
    for size, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation):
        if 2 * p > k:
            raise ShapeError(f"{name}: wanted padding of at most half the kernel, got {padding} for kernel {kernel}")
        # with ceil_mode a window may reach beyond the border, by less than the stride
        if size + 2 * p + (s - 1 if ceil_mode else 0) < d * (k - 1) + 1:
            raise ShapeError(
                f"{name}: a kernel of {kernel} with dilation {dilation} and padding {padding} is larger than the "
                f"input, {describe(x)}"
            )
    return kernel, stride, padding, dilation


def max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The largest element of each window of (N, C, H, W) or (C, H, W); the stride is the kernel's size by default.

    With `return_indices` also where it was, as a flat position in the plane. With `ceil_mode` the last window may
    reach beyond the border.

    >>> import mydl
    >>> max_pool2d(mydl.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    tensor([[[4.]]])
    """
    x, batched = _batched(input, 2, "max_pool2d")
    kernel, stride, padding, dilation = _windows(x, kernel_size, stride, padding, dilation, ceil_mode, "max_pool2d")
    y, indices = MaxPool2D.apply(
        x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=bool(ceil_mode)
    )
    y = _as_was(y, batched)
    return (y, _as_was(indices, batched)) if return_indices else y


def avg_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (N, C, H, W) or (C, H, W); the stride is the kernel's size by default.

    The padding's zeros count as elements if `count_include_pad`; `divisor_override` is divided by instead.

    >>> import mydl
    >>> avg_pool2d(mydl.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2)
    tensor([[[2.5000]]])
    """
    x, batched = _batched(input, 2, "avg_pool2d")
    kernel, stride, padding, _ = _windows(x, kernel_size, stride, padding, 1, ceil_mode, "avg_pool2d")
    if divisor_override is not None and divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override must not be 0")
    window = {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": bool(ceil_mode)}
    whole = bool(count_include_pad)
    return _as_was(AvgPool2D.apply(x, **window, count_include_pad=whole, divisor_override=divisor_override), batched)


def _one(value: Any, name: str, what: str, least: int = 0) -> int:
    return sizes_of(value, 1, name, what, least)[0]


def max_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The largest element of each window of (N, C, L) or (C, L); arguments as in `max_pool2d`.

    >>> import mydl
    >>> max_pool1d(mydl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    name = "max_pool1d"
    x, batched = _batched(input, 1, name)
    kernel = _one(kernel_size, name, "kernel_size", 1)
    stride = kernel if stride is None or stride == () else _one(stride, name, "stride", 1)
    padding, dilation = _one(padding, name, "padding"), _one(dilation, name, "dilation", 1)
    y, indices = max_pool2d(as_image(x), (1, kernel), (1, stride), (0, padding), (1, dilation), ceil_mode, True)
    y = _as_was(as_line(y), batched)
    return (y, _as_was(as_line(indices), batched)) if return_indices else y


def avg_pool1d(
    input: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (N, C, L) or (C, L); arguments as in `avg_pool2d`.

    >>> import mydl
    >>> avg_pool1d(mydl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    name = "avg_pool1d"
    x, batched = _batched(input, 1, name)
    kernel = _one(kernel_size, name, "kernel_size", 1)
    stride = kernel if stride is None or stride == () else _one(stride, name, "stride", 1)
    padding = _one(padding, name, "padding")
    y = avg_pool2d(as_image(x), (1, kernel), (1, stride), (0, padding), ceil_mode, count_include_pad)
    return _as_was(as_line(y), batched)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """`max_pool2d` backwards: planes of zeros with the input's elements at the flat places that `indices` names.

    A plane measures (size - 1) stride - 2 padding + kernel, or `output_size`, within a stride of that.

    >>> import mydl
    >>> max_unpool2d(mydl.tensor([[[4.0]]]), mydl.tensor([[[2]]]), 2)
    tensor([[[0., 0.],
             [4., 0.]]])
    """
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 2)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Any = None,
) -> Tensor:
    """`max_pool1d` backwards; arguments as in `max_unpool2d`.

    >>> import mydl
    >>> max_unpool1d(mydl.tensor([[3.0, 2.0]]), mydl.tensor([[1, 2]]), 2)
    tensor([[0., 3., 2., 0.]])
    """
    return _unpooled(input, indices, kernel_size, stride, padding, output_size, 1)


def _unpooled(input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, output_size: Any, spatial: int) -> Any:
    name = f"max_unpool{spatial}d"
    x, batched = _batched(input, spatial, name)
    kernel = sizes_of(kernel, spatial, name, "kernel_size", 1)
    stride = kernel if stride is None or stride == () else sizes_of(stride, spatial, name, "stride", 1)
    padding = sizes_of(padding, spatial, name, "padding")
    sizes = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[2:], stride, padding, kernel))
    if output_size is not None:
        given = tuple(output_size)
        given = given[2:] if len(given) == spatial + 2 else given
        if len(given) != spatial or any(abs(g - n) >= s for g, n, s in zip(given, sizes, stride)):
            raise ValueError(f"{name}: wanted an output_size within {stride} of {sizes}, got {tuple(output_size)}")
        sizes = given
    if getattr(indices, "dtype", None) != np.int64 or indices.shape != input.shape:
        raise RuntimeError(f"{name}: wanted int64 indices of shape {input.shape}, got {describe(indices)}")
    planes, flat = x.shape[:2], (*x.shape[:2], math.prod(x.shape[2:]))
    zeros = tensor_of(x.xp.zeros((*planes, math.prod(sizes)), x.dtype))
    y = scatter(zeros, 2, Reshape.apply(indices, shape=flat), Reshape.apply(x, shape=flat))
    return _as_was(Reshape.apply(y, shape=(*planes, *sizes)), batched)


def full_average_pool2d(input: Tensor) -> Tensor:
    """The mean of each plane: (N, C, H, W) -> (N, C).

    >>> import mydl
    >>> full_average_pool2d(mydl.ones(2, 3, 4, 4)).shape
    (2, 3)
    """
    input = require_floating(input, "full_average_pool2d")
    if input.ndim != 4:
        raise ShapeError(f"full_average_pool2d: wanted an input (N, C, H, W), got {describe(input)}")
    return Mean.apply(input, axis=(2, 3))


def _spans(size: int, count: int) -> list[tuple[int, int]]:
    """(start, end) of `count` windows that cover `size` places: ⌊i size / count⌋ to ⌈(i + 1) size / count⌉."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _output_sizes(x: Any, output_size: Any, name: str) -> tuple[int, int]:
    """The wanted (H', W'), None standing for the input's size."""
    wanted = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(wanted) != 2:
        raise ValueError(f"{name}: wanted one or two ints or None as output_size, got {output_size!r}")
    given = tuple(n if size is None else size for n, size in zip(x.shape[2:], wanted))
    if 0 in x.shape[2:]:
        raise ShapeError(f"{name}: wanted an image that is not empty, got {describe(x)}")
    return pair(given, name, "output_size")


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over output_size windows that cover (N, C, H, W) or (C, H, W) evenly; None keeps a size.

    Window i of n covers the rows ⌊i H / n⌋ to ⌈(i + 1) H / n⌉ - 1, columns likewise.

    >>> import mydl
    >>> adaptive_avg_pool2d(mydl.tensor([[[1.0, 2.0, 3.0]]]), (1, 2))
    tensor([[[1.5000, 2.5000]]])
    """
    name = "adaptive_avg_pool2d"
    x, batched = _batched(input, 2, name)
    sizes = _output_sizes(x, output_size, name)
    if sizes == (1, 1):
        return _as_was(Mean.apply(x, axis=(2, 3), keepdims=True), batched)
    if all(wanted and size % wanted == 0 for size, wanted in zip(x.shape[2:], sizes)):
        kernel = tuple(size // wanted for size, wanted in zip(x.shape[2:], sizes))
        return _as_was(avg_pool2d(x, kernel), batched)
    rows, columns = (x.xp.asarray(_averaging(size, wanted).astype(x.dtype)) for size, wanted in zip(x.shape[2:], sizes))
    return _as_was(MatMul.apply(MatMul.apply(rows, x), columns.T), batched)


def _averaging(size: int, count: int) -> np.ndarray:
    """The matrix (count, size) whose rows take the means over the windows of `_spans`."""
    matrix = np.zeros((count, size))
    for i, (start, end) in enumerate(_spans(size, count)):
        matrix[i, start:end] = 1 / (end - start)
    return matrix


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
    """Largest elements of the windows of `adaptive_avg_pool2d`, with `return_indices` also their flat positions.

    >>> import mydl
    >>> adaptive_max_pool2d(mydl.tensor([[[1.0, 2.0, 3.0]]]), (1, 2))
    tensor([[[2., 3.]]])
    """
    name = "adaptive_max_pool2d"
    x, batched = _batched(input, 2, name)
    (n, c, height, width), sizes = x.shape, _output_sizes(x, output_size, name)
    # the places of each window, short ones filled up with their first place, which cannot win a second time
    windows = [
        [row * width + column for row in range(*rows) for column in range(*columns)]
        for rows in _spans(height, sizes[0])
        for columns in _spans(width, sizes[1])
    ]
    longest = max(map(len, windows), default=1)
    places = np.array([w + w[:1] * (longest - len(w)) for w in windows], np.int64).reshape(len(windows), longest)
    places = x.xp.asarray(places)
    flat = Reshape.apply(x, shape=(n, c, height * width))
    best = flat.array[:, :, places].argmax(axis=-1)
    index = x.xp.take_along_axis(x.xp.broadcast_to(places, (n, c, *places.shape)), best[..., None], -1)[..., 0]
    y = Reshape.apply(Gather.apply(flat, index=index, axis=2), shape=(n, c, *sizes))
    y = _as_was(y, batched)
    if not return_indices:
        return y
    return y, _as_was(tensor_of(index.reshape(n, c, *sizes)), batched)


def _whole_line(output_size: Any, name: str) -> tuple[int, Any]:
    """The output size for a line that stands as an image of one row."""
    size = output_size[0] if isinstance(output_size, (tuple, list)) and len(output_size) == 1 else output_size
    return 1, size if size is None else _one(size, name, "output_size")


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means over output_size windows that cover (N, C, L) or (C, L) evenly.

    >>> import mydl
    >>> adaptive_avg_pool1d(mydl.tensor([[1.0, 2.0, 3.0]]), 2)
    tensor([[1.5000, 2.5000]])
    """
    x, batched = _batched(input, 1, "adaptive_avg_pool1d")
    y = adaptive_avg_pool2d(as_image(x), _whole_line(output_size, "adaptive_avg_pool1d"))
    return _as_was(as_line(y), batched)


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Tensor:
    """Largest elements of the windows of `adaptive_avg_pool1d`.

    >>> import mydl
    >>> adaptive_max_pool1d(mydl.tensor([[1.0, 2.0, 3.0]]), 2)
    tensor([[2., 3.]])
    """
    x, batched = _batched(input, 1, "adaptive_max_pool1d")
    y, indices = adaptive_max_pool2d(as_image(x), _whole_line(output_size, "adaptive_max_pool1d"), True)
    y = _as_was(as_line(y), batched)
    return (y, _as_was(as_line(indices), batched)) if return_indices else y
