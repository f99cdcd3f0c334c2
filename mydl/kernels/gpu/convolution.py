"""Convolution on a GPU: by cuDNN where `nvidia-cudnn-frontend` is installed, else windows laid out and multiplied.

Not yet run on a GPU. cuDNN serves float32 alone. Its fast kernels round to TF32 (10 bits after the point); they are
left out unless `mydl.cuda.allow_tf32` lets them in.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import math
from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.kernels import reference
from mydl.kernels.gpu.blas import matmul
from mydl.kernels.gpu.launch import contiguous

__all__ = ["allow_tf32", "conv2d", "conv2d_input_grad", "conv2d_weight_grad", "cudnn"]

Array = Any
Pair = tuple[int, int]

_OLDEST, _NEWEST = (1, 18), (1, 29)  # of nvidia-cudnn-frontend: from the first up to, but without, the second
_COLUMNS = 2**28  # bytes of windows that are laid out at a time

_tf32 = False


def allow_tf32(allowed: bool) -> bool:
    """Let cuDNN's convolutions round to TF32, or not; whether they might before."""
    global _tf32
    before, _tf32 = _tf32, bool(allowed)
    return before


@functools.cache
def cudnn() -> Any:
    """The module `cudnn`, or None where `nvidia-cudnn-frontend` is not installed. RuntimeError for a wrong version."""
    try:
        version = importlib.metadata.version("nvidia-cudnn-frontend")
    except importlib.metadata.PackageNotFoundError:
        return None
    wanted = 'pip install "nvidia-cudnn-frontend>=1.18,<1.29" nvidia-cudnn-cu12 (CUDA 12) or -cu13 (CUDA 13)'
    if not _OLDEST <= tuple(int(part) for part in version.split(".")[:2]) < _NEWEST:
        raise RuntimeError(f"nvidia-cudnn-frontend {version} found. Run: {wanted}, or uninstall it.")
    try:
        module = importlib.import_module("cudnn")
        module.backend_version()
    except (ImportError, OSError, RuntimeError) as error:
        raise RuntimeError(f"nvidia-cudnn-frontend {version} finds no cuDNN ({error}). Run: {wanted}.") from error
    return module


@functools.cache
def _handle(xp: Any, device: int) -> Any:
    return cudnn().create_handle()


class _Plan:
    """One of cuDNN's graphs, for given shapes, ready to run: two tensors in, one out.

    Args:
        kind: "conv_fprop", "conv_dgrad" or "conv_wgrad".
        inputs: for both inputs the name of cuDNN's argument and the shape.
        output: the output's shape.
    """

    def __init__(
        self, handle: Any, kind: str, inputs: tuple, output: tuple, stride: Pair, padding: Pair, dilation: Pair
    ) -> None:
        library = cudnn()
        number = library.data_type.FLOAT
        self.graph = library.pygraph(
            io_data_type=number, intermediate_data_type=number, compute_data_type=number, handle=handle
        )
        self.inputs = {
            name: self.graph.tensor(name=name, dim=list(shape), stride=_strides(shape), data_type=number)
            for name, shape in inputs
        }
        geometry = {"padding": list(padding), "stride": list(stride), "dilation": list(dilation)}
        self.output = getattr(self.graph, kind)(**self.inputs, **geometry)
        self.output.set_output(True).set_data_type(number).set_dim(list(output)).set_stride(_strides(output))
        self.graph.validate()
        self.graph.build_operation_graph()
        self.graph.create_execution_plans([library.heur_mode.A, library.heur_mode.FALLBACK])
        if not _tf32:
            notes = library.numerical_note
            self.graph.deselect_numeric_notes([notes.TENSOR_CORE, notes.DOWN_CONVERT_INPUTS])
        self.graph.check_support()
        self.graph.build_plans()
        self.workspace = self.graph.get_workspace_size()

    def run(self, xp: Any, handle: Any, arrays: list[Array], output: Array) -> Array:
        """Compute on the current stream."""
        cudnn().set_stream(handle=handle, stream=xp.cuda.get_current_stream().ptr)
        workspace = xp.empty(max(self.workspace, 1), np.uint8)
        pointers = {tensor: array.data.ptr for tensor, array in zip(self.inputs.values(), arrays, strict=True)}
        self.graph.execute({**pointers, self.output: output.data.ptr}, workspace.data.ptr, handle=handle)
        return output


def _strides(shape: tuple[int, ...]) -> list[int]:
    """Those of a contiguous array, in elements."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


@functools.cache
def _plan(xp: Any, device: int, tf32: bool, *what: Any) -> _Plan | None:
    """The plan, made once for each kind, shapes and `tf32`, which it reads itself; None where cuDNN has none."""
    try:
        return _Plan(_handle(xp, device), *what)
    except cudnn().cudnnGraphNotSupportedError:
        return None


def _by_cudnn(kind: str, operands: dict[str, Array], output: tuple, *geometry: Pair) -> Array | None:
    """cuDNN's result, or None where cuDNN is not there or does not serve these arrays."""
    if any(array.dtype != np.float32 or not array.size for array in operands.values()) or cudnn() is None:
        return None
    arrays = contiguous(*operands.values())
    xp, device = array_module(arrays[0]), int(arrays[0].device.id)
    inputs = tuple((name, array.shape) for name, array in zip(operands, arrays, strict=True))
    plan = _plan(xp, device, _tf32, kind, inputs, tuple(output), *geometry)
    return plan and plan.run(xp, _handle(xp, device), arrays, xp.empty(output, np.float32))


def _size(x: tuple, w: tuple, stride: Pair, padding: Pair, dilation: Pair) -> tuple[int, int, int, int]:
    """The shape of a convolution's output."""
    rows, columns = ((x[2 + a] + 2 * padding[a] - dilation[a] * (w[2 + a] - 1) - 1) // stride[a] + 1 for a in range(2))
    return x[0], w[0], rows, columns


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Array:
    """As `reference.conv2d`."""
    shape = _size(x.shape, w.shape, stride, padding, dilation)
    y = _by_cudnn("conv_fprop", {"image": x, "weight": w}, shape, stride, padding, dilation)
    if y is None:
        if not (x.size and w.size):
            return reference.conv2d(x, w, b, stride, padding, dilation, groups)
        y = array_module(x).empty(shape, x.dtype)
        for images, group, inputs, outputs in _parts(x.shape, w.shape, shape, groups):
            columns = _columns(x[images, inputs], w.shape, shape, stride, padding, dilation)
            y[images, outputs] = matmul(_matrix(w, group, groups), columns).reshape(
                -1, w.shape[0] // groups, *shape[2:]
            )
    if b is not None:
        y += b[:, None, None]
    return y


def conv2d_input_grad(
    grad: Array, w: Array, input_shape: tuple, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """As `reference.conv2d_input_grad`."""
    dx = _by_cudnn("conv_dgrad", {"loss": grad, "filter": w}, input_shape, stride, padding, dilation)
    if dx is not None:
        return dx
    if not (grad.size and w.size):
        return reference.conv2d_input_grad(grad, w, input_shape, stride, padding, dilation, groups)
    xp = array_module(grad)
    n, c, height, width = input_shape
    dx = xp.zeros((n, c, height + 2 * padding[0], width + 2 * padding[1]), grad.dtype)
    (kh, kw), (rows, columns) = w.shape[2:], grad.shape[2:]
    for images, group, inputs, outputs in _parts(input_shape, w.shape, grad.shape, groups):
        product = matmul(_matrix(w, group, groups).T, _pixels(grad[images, outputs]))
        product = product.reshape(-1, c // groups, kh, kw, rows, columns)
        part = dx[images, inputs]
        for i in range(kh):
            for j in range(kw):
                top, left = i * dilation[0], j * dilation[1]
                bottom, right = top + (rows - 1) * stride[0] + 1, left + (columns - 1) * stride[1] + 1
                part[:, :, top : bottom : stride[0], left : right : stride[1]] += product[:, :, i, j]
    return xp.ascontiguousarray(dx[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width])


def conv2d_weight_grad(
    grad: Array, x: Array, weight_shape: tuple, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Array:
    """As `reference.conv2d_weight_grad`."""
    dw = _by_cudnn("conv_wgrad", {"image": x, "loss": grad}, weight_shape, stride, padding, dilation)
    if dw is not None:
        return dw
    if not (grad.size and x.size and math.prod(weight_shape)):
        return reference.conv2d_weight_grad(grad, x, weight_shape, stride, padding, dilation, groups)
    dw = array_module(x).zeros((weight_shape[0], math.prod(weight_shape[1:])), x.dtype)
    for images, _, inputs, outputs in _parts(x.shape, weight_shape, grad.shape, groups):
        columns = _columns(x[images, inputs], weight_shape, grad.shape, stride, padding, dilation)
        dw[outputs] += matmul(_pixels(grad[images, outputs]), columns.swapaxes(1, 2)).sum(axis=0)
    return dw.reshape(weight_shape)


def _parts(x: tuple, w: tuple, y: tuple, groups: int) -> list[tuple[slice, int, slice, slice]]:
    """(images, group, its input channels, its output channels), so few that their windows fit into memory."""
    inputs, outputs = w[1], w[0] // groups
    block = max(1, _COLUMNS // (8 * math.prod(w[1:]) * math.prod(y[2:])))
    return [
        (slice(n, n + block), g, slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs))
        for n in range(0, x[0], block)
        for g in range(groups)
    ]


def _matrix(w: Array, group: int, groups: int) -> Array:
    """The weights of a group, (outputs, inputs · kh · kw)."""
    return w.reshape(groups, len(w) // groups, -1)[group]


def _pixels(y: Array) -> Array:
    """(N, C, H, W) as (N, C, H · W)."""
    return y.reshape(*y.shape[:2], -1)


def _columns(x: Array, w: tuple, y: tuple, stride: Pair, padding: Pair, dilation: Pair) -> Array:
    """What each output pixel sees, copied: (N, inputs · kh · kw, rows · columns)."""
    xp = array_module(x)
    n, c, height, width = x.shape
    if any(padding):
        padded = xp.zeros((n, c, height + 2 * padding[0], width + 2 * padding[1]), x.dtype)
        padded[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = x
        x = padded
    image, channel, row, pixel = x.strides
    taps, places = (row * dilation[0], pixel * dilation[1]), (row * stride[0], pixel * stride[1])
    windows = xp.lib.stride_tricks.as_strided(x, (n, c, *w[2:], *y[2:]), (image, channel, *taps, *places))
    return windows.reshape(n, math.prod(w[1:]), -1)
