from __future__ import annotations

import math

import numpy as np
import pytest

# On either side of the size from which on threads share the work, and no multiple of any vector.
SHAPES = [(), (0, 3), (1,), (5, 17), (1, 3, 7, 7), (16411,), (3, 17, 28, 29)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_relu(kernels, rng, shape, dtype):
    x = np.asarray(rng.standard_normal(shape), dtype)
    before = x.copy()
    y = kernels.relu(x)
    assert y.dtype == dtype and y.shape == shape
    np.testing.assert_array_equal(y, np.where(x > 0, x, 0))
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("size", [5, 20000])
def test_relu_of_nan_and_infinity(kernels, size):
    x = np.zeros(size, np.float32)
    x[:4] = np.nan, np.inf, -np.inf, -1
    y = kernels.relu(x)
    assert np.isnan(y[0]) and y[1] == np.inf
    assert not y[2:].any()


@pytest.mark.parametrize("size", [6, 20001])
def test_relu_backward_is_pytorchs(kernels, rng, size):
    torch = pytest.importorskip("torch")
    x, grad = rng.standard_normal((2, size)).astype(np.float32)
    x[:3] = np.nan, 0, np.inf
    grad[3:6] = np.inf, -np.inf, np.nan
    tx = torch.from_numpy(x).requires_grad_()
    torch.relu(tx).backward(torch.from_numpy(grad))
    np.testing.assert_array_equal(kernels.relu_backward(grad, kernels.relu(x)), tx.grad.numpy())


def test_views_and_broadcast_gradients(kernels, rng):
    x = rng.standard_normal((200, 301)).astype(np.float32)
    np.testing.assert_array_equal(kernels.relu(x[::2, 1:]), np.maximum(x[::2, 1:], 0))
    np.testing.assert_array_equal(kernels.relu(x.T), np.maximum(x.T, 0))
    grad = np.broadcast_to(np.float32(3), x.shape)
    np.testing.assert_array_equal(kernels.relu_backward(grad, x), np.where(x > 0, 3, 0))
    bits = rng.integers(0, 65536, (301, 200), dtype=np.uint16)
    expected = np.where(bits.T >= 30000, x * np.float32(2), 0)
    np.testing.assert_array_equal(kernels.dropout(x, bits.T, 30000, 2.0), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, bool])
@pytest.mark.parametrize("shape", [*SHAPES, (3, 89, 991)])
def test_add(kernels, rng, shape, dtype):
    x, y = (np.asarray(10 * rng.standard_normal(shape), dtype) for _ in range(2))
    with np.errstate(invalid="ignore"):
        wanted = x + y
    z = kernels.add(x, y)
    assert z.dtype == dtype and z.shape == shape
    np.testing.assert_array_equal(z, wanted)
    for out in (np.empty_like(x), x.copy(), y.copy()):
        kernels.add(x, y, out)
        np.testing.assert_array_equal(out, wanted)


def test_add_of_nan_infinity_and_layouts(kernels, rng):
    x, y = rng.standard_normal((2, 600, 601)).astype(np.float32)
    x[0, :4], y[0, :4] = (np.nan, np.inf, -0.0, 1), (1, np.inf, -0.0, np.nan)
    wanted = x + y
    for a, b in ((x, np.asfortranarray(y)), (np.asfortranarray(x), y), (x[::-1, ::-1], y[::-1, ::-1])):
        np.testing.assert_array_equal(kernels.add(a, b), wanted if a.strides > (0, 0) else wanted[::-1, ::-1])
    np.testing.assert_array_equal(np.signbit(kernels.add(x, y)), np.signbit(wanted))
    np.testing.assert_array_equal(kernels.add(x, y[:1]), x + y[:1])


@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_add_into_memory_that_an_operand_overlaps(name):
    kernels = pytest.importorskip(f"mydl.kernels.{name}", reason="needs Numba", exc_type=ImportError)
    memory = np.arange(400_001, dtype=np.float32) % 1000
    wanted = memory[1:] + memory[:-1]
    assert kernels.add(memory[1:], memory[:-1], memory[1:]).base is memory
    np.testing.assert_array_equal(memory[1:], wanted)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_dropout(kernels, rng, shape, dtype):
    x = np.asarray(rng.standard_normal(shape), dtype)
    bits = rng.integers(0, 65536, x.size, dtype=np.uint16)
    threshold = 19661
    y = kernels.dropout(x, bits, threshold, 1 / 0.7)
    assert y.dtype == dtype and y.shape == shape
    dropped = (bits < threshold).reshape(shape)
    np.testing.assert_array_equal(y, np.where(dropped, 0, x * dtype(1 / 0.7)))


def test_dropout_at_the_ends_of_the_range(kernels):
    x = np.full(20000, np.inf, np.float32)
    bits = np.resize(np.array([0, 1, 65534, 65535], np.uint16), x.size)
    assert (kernels.dropout(x, bits, 0, 1.0) == np.inf).all()
    assert not kernels.dropout(x, bits, 65536, 1.0).any()
    np.testing.assert_array_equal(kernels.dropout(x, bits, 65535, 1.0)[:4], [0, 0, 0, np.inf])


def test_the_number_of_threads_leaves_the_bits_alone(rng, on_threads):
    cpu = pytest.importorskip("mydl.kernels.cpu")
    x = rng.standard_normal(100_003).astype(np.float32)
    bits = rng.integers(0, 65536, x.size, dtype=np.uint16)
    one, all_threads = on_threads(lambda: (cpu.relu(x), cpu.relu_backward(x, x), cpu.dropout(x, bits, 9, 3.3)))
    for a, b in zip(one, all_threads, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (3, 5, 17), (40, 1000)])
def test_erf_is_pythons(kernels, rng, shape, dtype):
    x = np.asarray(3 * rng.standard_normal(shape)).astype(dtype)
    before = x.copy()
    y = kernels.erf(x)
    expected = [math.erf(value) for value in x.ravel().tolist()]
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    np.testing.assert_allclose(y.ravel(), np.array(expected).astype(dtype), rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(x, before)


def test_erf_of_strange_layouts_and_ends(kernels):
    x = np.array([[-np.inf, 0.0, np.nan], [np.inf, -0.0, 9.0]])
    np.testing.assert_array_equal(kernels.erf(x.T), [[-1, 1], [0, 0], [np.nan, 1]])
