"""cuBLAS and cuDNN for the stand-in: what they do to memory, from what they are told of it, by NumPy on the host."""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from mydl.kernels import reference
from tests.strict_cupy.recording import launched

__all__ = ["HostBLAS", "cudnn_module"]


def _memory(address: int, shape: tuple[int, ...], steps: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array at an address; `steps` are its strides in elements."""
    span = sum((size - 1) * step for size, step in zip(shape, steps, strict=True)) + 1
    whole = np.ctypeslib.as_array((ctypes.c_ubyte * (span * dtype.itemsize)).from_address(address)).view(dtype)
    return np.lib.stride_tricks.as_strided(whole, shape, tuple(step * dtype.itemsize for step in steps))


class HostBLAS:
    """The functions of cuBLAS that mydl calls, with their C arguments."""

    def cublasCreate_v2(self, handle: Any) -> int:
        """A handle, with no stream and no workspace of one's own."""
        handle._obj.value = 1
        self.set: list[str] = []
        return 0

    def cublasDestroy_v2(self, handle: Any) -> int:
        """The handle's end."""
        return 0

    def cublasSetStream_v2(self, handle: Any, stream: ctypes.c_void_p) -> int:
        """Where its work goes; the workspace is forgotten."""
        self.set = ["stream"]
        return 0 if stream.value else 1

    def cublasSetWorkspace_v2(self, handle: Any, workspace: ctypes.c_void_p, size: ctypes.c_size_t) -> int:
        """The memory that products may use, so that none is allocated while a stream is captured."""
        self.set.append("workspace")
        return 0 if workspace.value and size.value else 1

    def cublasGemmStridedBatchedEx(
        self, handle: Any, op_a: Any, op_b: Any, m: Any, n: Any, k: Any, alpha: Any, a: Any, a_type: Any, a_lead: Any,
        a_step: Any, b: Any, b_type: Any, b_lead: Any, b_step: Any, beta: Any, c: Any, c_type: Any, c_lead: Any,
        c_step: Any, count: Any, compute: Any, algorithm: Any,
    ) -> int:  # fmt: skip
        """c = alpha · op(a) · op(b) + beta · c for `count` matrices whose columns follow one another."""
        if self.set != ["stream", "workspace"]:
            return 1
        code, wanted = {0: ("f4", 68), 1: ("f8", 70), 2: ("f2", 68)}[a_type.value]
        if {a_type.value, b_type.value, c_type.value} != {a_type.value} or compute.value != wanted:
            return 7  # CUBLAS_STATUS_INVALID_VALUE
        dtype = np.dtype(code)

        def matrices(at: Any, op: int, rows: int, columns: int, lead: Any, step: Any) -> np.ndarray:
            held = (columns, rows) if op else (rows, columns)
            if lead.value < max(held[0], 1):
                raise ValueError(f"a leading dimension of {lead.value} for {held[0]} rows")
            found = _memory(at.value, (count.value, *held), (step.value, 1, lead.value), dtype)
            return found.swapaxes(1, 2) if op else found

        x = matrices(a, op_a.value, m.value, k.value, a_lead, a_step)
        y = matrices(b, op_b.value, k.value, n.value, b_lead, b_step)
        z = matrices(c, 0, m.value, n.value, c_lead, c_step)
        scale, keep = alpha._obj.value, beta._obj.value
        wide = np.result_type(dtype, np.float32)

        def run() -> None:
            z[...] = scale * (x.astype(wide) @ y.astype(wide)) + (keep * z if keep else 0)

        launched(run, [z])
        return 0


class _Tensor:
    """A tensor of a cuDNN graph: what it looks like in memory."""

    def __init__(self, dim: list[int] | None = None, stride: list[int] | None = None) -> None:
        self.dim, self.stride, self.output = dim, stride, False

    def set_output(self, value: bool) -> _Tensor:
        """Whether it is a result."""
        self.output = value
        return self

    def set_data_type(self, data_type: str) -> _Tensor:
        """Its numbers."""
        assert data_type == "float32"
        return self

    def set_dim(self, dim: list[int]) -> _Tensor:
        """Its shape."""
        self.dim = dim
        return self

    def set_stride(self, stride: list[int]) -> _Tensor:
        """Its strides in elements."""
        self.stride = stride
        return self


def cudnn_module(supported: Callable[[str], bool] = lambda kind: True) -> types.SimpleNamespace:
    """The module `cudnn` of nvidia-cudnn-frontend, as far as mydl calls it. `log` holds what was done, in order."""
    log: list[Any] = []

    class NotSupported(Exception):
        """No engine does what the graph wants."""

    class Graph:
        """One operation between tensors; the calls must come in cuDNN's order."""

        def __init__(
            self, *, io_data_type: str, intermediate_data_type: str, compute_data_type: str, handle: Any
        ) -> None:
            assert {io_data_type, intermediate_data_type, compute_data_type} == {"float32"}
            assert handle == "handle"
            self.calls: list[str] = []

        def tensor(self, *, name: str, dim: list[int], stride: list[int], data_type: str) -> _Tensor:
            """An input."""
            assert data_type == "float32"
            return _Tensor(dim, stride)

        def _operation(self, kind: str, first: _Tensor, second: _Tensor, geometry: dict) -> _Tensor:
            self.kind, self.first, self.second, self.geometry = kind, first, second, geometry
            assert set(geometry) == {"padding", "stride", "dilation"}
            self.out = _Tensor()
            return self.out

        def conv_fprop(self, *, image: _Tensor, weight: _Tensor, **geometry: list[int]) -> _Tensor:
            """The convolution."""
            return self._operation("conv_fprop", image, weight, geometry)

        def conv_dgrad(self, *, loss: _Tensor, filter: _Tensor, **geometry: list[int]) -> _Tensor:
            """Its gradient by the image."""
            return self._operation("conv_dgrad", loss, filter, geometry)

        def conv_wgrad(self, *, image: _Tensor, loss: _Tensor, **geometry: list[int]) -> _Tensor:
            """Its gradient by the weight."""
            return self._operation("conv_wgrad", image, loss, geometry)

        def __getattr__(self, name: str) -> Callable[..., Any]:
            if name not in (*ORDER, "deselect_numeric_notes"):
                raise AttributeError(name)

            def call(*arguments: Any) -> None:
                self.calls.append(name)
                log.append((name, *arguments))
                if name == "check_support" and not supported(self.kind):
                    raise NotSupported(self.kind)

            return call

        def get_workspace_size(self) -> int:
            """Bytes."""
            assert [name for name in self.calls if name in ORDER] == ORDER
            return 1000

        def execute(self, pointers: dict[_Tensor, int], workspace: int, *, handle: Any) -> None:
            """Compute from and into memory."""
            assert handle == "handle" and workspace and self.out.output
            x, w, y = (
                _memory(pointers[t], tuple(t.dim), tuple(t.stride), np.dtype(np.float32))
                for t in (self.first, self.second, self.out)
            )
            channels = {"conv_fprop": (x, w), "conv_dgrad": (y, w), "conv_wgrad": (x, y)}[self.kind]
            groups = channels[0].shape[1] // channels[1].shape[1]
            rest = (*(tuple(self.geometry[name]) for name in ("stride", "padding", "dilation")), groups)

            def run() -> None:
                if self.kind == "conv_fprop":
                    y[...] = reference.conv2d(x, w, None, *rest)
                elif self.kind == "conv_dgrad":
                    y[...] = reference.conv2d_input_grad(x, w, y.shape, *rest)
                else:
                    y[...] = reference.conv2d_weight_grad(w, x, y.shape, *rest)

            log.append(self.kind)
            launched(run, [y])

    ORDER = ["validate", "build_operation_graph", "create_execution_plans", "check_support", "build_plans"]
    return types.SimpleNamespace(
        pygraph=Graph,
        create_handle=lambda: "handle",
        set_stream=lambda *, handle, stream: log.append("set_stream"),
        data_type=types.SimpleNamespace(FLOAT="float32"),
        heur_mode=types.SimpleNamespace(A="A", FALLBACK="FALLBACK"),
        numerical_note=types.SimpleNamespace(TENSOR_CORE="TENSOR_CORE", DOWN_CONVERT_INPUTS="DOWN_CONVERT_INPUTS"),
        cudnnGraphNotSupportedError=NotSupported,
        log=log,
    )
