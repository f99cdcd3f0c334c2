"""The GPU's kernels through cuBLAS and cuDNN: what these are told is what they need, on the stand-in and on a GPU."""

from __future__ import annotations

import importlib.metadata
from typing import Any

import numpy as np
import pytest

import mydl
from mydl.cupy_loader import load_cupy
from mydl.kernels import reference
from mydl.kernels.gpu import blas, convolution
from tests.strict_cupy.libraries import cudnn_module

TOLERANCE = {np.float16: 1e-2, np.float32: 1e-5, np.float64: 1e-12}
GEOMETRIES = [
    # x, w, stride, padding, dilation, groups
    ((2, 3, 7, 5), (4, 3, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ((1, 4, 9, 6), (6, 2, 3, 2), (2, 1), (1, 0), (1, 2), 2),
    ((3, 5, 6, 6), (5, 1, 3, 3), (1, 1), (2, 1), (1, 1), 5),
    ((2, 2, 8, 8), (3, 2, 1, 1), (2, 2), (0, 0), (1, 1), 1),
]


@pytest.fixture
def handle(gpu: Any) -> blas.CuBLAS:
    cupy = load_cupy()
    return blas.CuBLAS(cupy, cupy.cuda.Stream(non_blocking=True))


def laid_out(array: np.ndarray, how: str) -> Any:
    """The array on the GPU with its elements in another order, or with gaps between them."""
    cupy = load_cupy()
    if how == "columns" and array.ndim > 1:
        return cupy.ascontiguousarray(cupy.asarray(array.swapaxes(-1, -2))).swapaxes(-1, -2)
    if how == "gaps":
        wide = cupy.zeros((*array.shape[:-1], 2 * array.shape[-1] + 3), array.dtype)
        wide[..., 1 : 1 + 2 * array.shape[-1] : 2] = cupy.asarray(array)
        return wide[..., 1 : 1 + 2 * array.shape[-1] : 2]
    if how == "part":
        wide = cupy.zeros((*array.shape[:-1], array.shape[-1] + 3), array.dtype)
        wide[..., 2 : 2 + array.shape[-1]] = cupy.asarray(array)
        return wide[..., 2 : 2 + array.shape[-1]]
    return cupy.asarray(array)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("first", ["rows", "columns", "gaps", "part"])
@pytest.mark.parametrize("second", ["rows", "columns", "gaps", "part"])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4), (4, 5)), ((1, 4), (4, 5)), ((3, 4), (4, 1)), ((3, 1), (1, 5)), ((1, 1), (1, 1)), ((4,), (4, 5)),
        ((3, 4), (4,)), ((4,), (4,)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 1, 3, 4), (6, 4, 5)),
    ],
)  # fmt: skip
def test_matrix_products(
    a: tuple, b: tuple, first: str, second: str, dtype: Any, handle: blas.CuBLAS, rng: Any
) -> None:
    x, y = rng.standard_normal(a).astype(dtype), rng.standard_normal(b).astype(dtype)
    found = handle.matmul(laid_out(x, first), laid_out(y, second))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.get(), x @ y, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_a_product_into_memory(handle: blas.CuBLAS, rng: Any) -> None:
    cupy = load_cupy()
    x, y = rng.standard_normal((3, 4)), rng.standard_normal((4, 5))
    out = cupy.zeros((3, 5))
    assert handle.matmul(cupy.asarray(x), cupy.asarray(y), out) is out
    np.testing.assert_allclose(out.get(), x @ y)
    turned = cupy.zeros((5, 3)).T
    assert handle.matmul(cupy.asarray(x), cupy.asarray(y), turned) is turned
    np.testing.assert_allclose(turned.get(), x @ y)
    with pytest.raises(ValueError, match=r"shapes \(3, 4\) and \(3, 4\) do not fit"):
        handle.matmul(cupy.asarray(x), cupy.asarray(x))


def test_cublas_says_no(handle: blas.CuBLAS, ledger: Any) -> None:
    handle.library.set = []
    one = load_cupy().ones((2, 2))
    with pytest.raises(RuntimeError, match="cublasGemmStridedBatchedEx: cuBLAS answered with status 1"):
        handle.matmul(one, one)


@pytest.fixture
def cudnn(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """cuDNN's stand-in in the place of the module; whether it supports an operation, `refused` says."""
    refused: set[str] = set()
    module = cudnn_module(lambda kind: kind not in refused)
    module.refused = refused
    monkeypatch.setattr(convolution, "cudnn", lambda: module)
    for cache in (convolution._plan, convolution._handle):
        cache.cache_clear()
    yield module
    for cache in (convolution._plan, convolution._handle):
        cache.cache_clear()


@pytest.mark.parametrize("supported", [True, False])
@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), GEOMETRIES)
def test_convolution_by_cudnn(
    x: tuple,
    w: tuple,
    stride: tuple,
    padding: tuple,
    dilation: tuple,
    groups: int,
    supported: bool,
    cudnn: Any,
    rng: Any,
) -> None:
    if not supported:
        cudnn.refused |= {"conv_fprop", "conv_dgrad", "conv_wgrad"}
    cupy = load_cupy()
    rest = (stride, padding, dilation, groups)
    image, weight, bias = (rng.standard_normal(shape).astype(np.float32) for shape in (x, w, w[:1]))
    wanted = reference.conv2d(image, weight, bias, *rest)
    grad = rng.standard_normal(wanted.shape).astype(np.float32)
    on_gpu = [cupy.asarray(array) for array in (image, weight, bias, grad)]
    pairs = [
        (convolution.conv2d(*on_gpu[:3], *rest), wanted),
        (
            convolution.conv2d_input_grad(on_gpu[3], on_gpu[1], x, *rest),
            reference.conv2d_input_grad(grad, weight, x, *rest),
        ),
        (
            convolution.conv2d_weight_grad(on_gpu[3], on_gpu[0], w, *rest),
            reference.conv2d_weight_grad(grad, image, w, *rest),
        ),
    ]
    for found, expected in pairs:
        np.testing.assert_allclose(found.get(), expected, rtol=1e-4, atol=1e-5)
    ran = [entry for entry in cudnn.log if isinstance(entry, str) and entry.startswith("conv")]
    assert ran == (["conv_fprop", "conv_dgrad", "conv_wgrad"] if supported else [])


def test_one_plan_for_a_shape_and_precision(cudnn: Any) -> None:
    cupy = load_cupy()
    x, w = cupy.ones((1, 1, 4, 4), dtype=np.float32), cupy.ones((1, 1, 3, 3), dtype=np.float32)
    geometry = ((1, 1), (0, 0), (1, 1), 1)

    def plans() -> int:
        return cudnn.log.count(("validate",))

    for _ in range(3):
        convolution.conv2d(x, w, None, *geometry)
    assert plans() == 1
    assert cudnn.log.count("conv_fprop") == cudnn.log.count("set_stream") == 3
    assert cudnn.log[3] == ("deselect_numeric_notes", ["TENSOR_CORE", "DOWN_CONVERT_INPUTS"])
    cudnn.log.clear()
    assert mydl.cuda.allow_tf32() is False
    try:
        convolution.conv2d(x, w, None, *geometry)
        assert plans() == 1
        assert "deselect_numeric_notes" not in {entry[0] for entry in cudnn.log if isinstance(entry, tuple)}
        convolution.conv2d(cupy.asarray(x, dtype=np.float64), cupy.asarray(w, dtype=np.float64), None, *geometry)
        convolution.conv2d(cupy.ones((2, 1, 4, 4), dtype=np.float32), w, None, *geometry)
        assert plans() == 2
    finally:
        assert mydl.cuda.allow_tf32(False) is True


@pytest.mark.parametrize("version", ["1.17.3", "1.29.0", "2.0"])
def test_a_wrong_version_of_cudnns_frontend(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    convolution.cudnn.cache_clear()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    with pytest.raises(RuntimeError, match=rf"nvidia-cudnn-frontend {version} found. Run: pip install .*>=1.18,<1.29"):
        convolution.cudnn()
    convolution.cudnn.cache_clear()


def test_no_cudnn_for_its_frontend(monkeypatch: pytest.MonkeyPatch) -> None:
    convolution.cudnn.cache_clear()
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.20.1")

    def missing(name: str) -> None:
        raise RuntimeError("Unable to find symbol cudnnGetVersion")

    monkeypatch.setattr(convolution.importlib, "import_module", missing)
    with pytest.raises(
        RuntimeError, match=r"finds no cuDNN \(Unable to find symbol cudnnGetVersion\). Run: pip install"
    ):
        convolution.cudnn()
    convolution.cudnn.cache_clear()
