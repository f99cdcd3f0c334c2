from __future__ import annotations

import numpy as np
import pytest

TOLERANCE = {np.float16: 2e-3, np.float32: 2e-6, np.float64: 1e-12}


def _wide(a):
    import torch

    return torch.from_numpy(a.astype(np.float64)).requires_grad_()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize(
    "shape, axis",
    [((1,), 0), ((7,), -1), ((5, 10), 1), ((5, 10), 0), ((3, 17, 4), 1), ((2, 3, 33), -1), ((64, 1001), 1)],
)
def test_softmax_is_pytorchs(kernels, rng, name, shape, axis, dtype):
    torch = pytest.importorskip("torch")
    x = (4 * rng.standard_normal(shape)).astype(dtype)
    grad = rng.standard_normal(shape).astype(dtype)
    before = x.copy()
    y = getattr(kernels, name)(x, axis)
    np.testing.assert_array_equal(x, before)
    tx = _wide(x)
    ty = getattr(torch, name)(tx, axis)
    assert y.dtype == dtype
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=tolerance, atol=tolerance)
    ty.backward(torch.from_numpy(grad.astype(np.float64)))
    dx = getattr(kernels, f"{name}_backward")(grad, y, axis)
    assert dx.dtype == dtype
    expected = tx.grad.numpy()
    tolerance = 5 * tolerance * max(1, np.abs(expected).max())
    np.testing.assert_allclose(dx, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_softmax_of_nothing(kernels, name, shape):
    x = np.empty(shape, np.float32)
    y = getattr(kernels, name)(x, 1)
    assert y.shape == shape
    assert getattr(kernels, f"{name}_backward")(x, y, 1).shape == shape


INF, NAN = np.inf, np.nan
EXTREMES = np.array(
    [
        [1e38, -1e38, 0, 1e38],
        [3e38, -3e38, 3e38, 0],
        [-3e38, -3e38, -3e38, -3.1e38],
        [-INF, 0, 1, -INF],
        [-INF, -INF, -INF, -INF],
        [INF, 0, 1, 2],
        [INF, -INF, INF, 0],
        [NAN, 0, 1, 2],
        [0, -NAN, -INF, 1],
        [1e-40, -1e-40, 0, -0.0],
        [88, -88, 0, 87],
        [10000, 10001, 9999, 9990],
    ],
    np.float32,
)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_over_the_whole_range(kernels, name):
    torch = pytest.importorskip("torch")
    expected = getattr(torch, name)(torch.from_numpy(EXTREMES), 1).numpy()
    np.testing.assert_allclose(getattr(kernels, name)(EXTREMES, 1), expected, rtol=1e-6, atol=1e-37)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("label", range(4))
def test_cross_entropy_over_the_whole_range(kernels, label, smoothing):
    torch = pytest.importorskip("torch")
    target = np.full(len(EXTREMES), label)
    tz = torch.from_numpy(EXTREMES).requires_grad_()
    expected = torch.nn.functional.cross_entropy(
        tz, torch.from_numpy(target), reduction="none", label_smoothing=smoothing
    )
    loss, log_sum_exp = kernels.cross_entropy(EXTREMES, target, None, -100, smoothing)
    np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=1e-5, atol=1e-37)
    expected.sum().backward()
    grad = np.ones(len(target), np.float32)
    dz = kernels.cross_entropy_backward(grad, EXTREMES, log_sum_exp, target, None, -100, smoothing)
    np.testing.assert_allclose(dz, tz.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_index", [-100, 0])
@pytest.mark.parametrize("n, classes", [(1, 1), (1, 10), (7, 3), (130, 257)])
def test_cross_entropy_is_pytorchs(kernels, rng, n, classes, ignore_index, weighted, smoothing, dtype):
    torch = pytest.importorskip("torch")
    z = (3 * rng.standard_normal((n, classes))).astype(dtype)
    target = rng.integers(0, classes, n)
    target[:: 3 if n > 1 else 2] = ignore_index
    weight = rng.random(classes).astype(dtype) if weighted else None
    grad = rng.standard_normal(n).astype(dtype)
    kept = z.copy(), target.copy()
    loss, log_sum_exp = kernels.cross_entropy(z, target, weight, ignore_index, smoothing)
    dz = kernels.cross_entropy_backward(grad, z, log_sum_exp, target, weight, ignore_index, smoothing)
    np.testing.assert_array_equal(z, kept[0])
    np.testing.assert_array_equal(target, kept[1])
    tz = _wide(z)
    expected = torch.nn.functional.cross_entropy(
        tz,
        torch.from_numpy(target),
        None if weight is None else torch.from_numpy(weight.astype(np.float64)),
        ignore_index=ignore_index,
        reduction="none",
        label_smoothing=smoothing,
    )
    expected.backward(torch.from_numpy(grad.astype(np.float64)))
    assert loss.dtype == dz.dtype == dtype and loss.shape == (n,)
    tolerance = TOLERANCE[dtype]
    np.testing.assert_allclose(loss, expected.detach().numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(dz, tz.grad.numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(log_sum_exp, torch.logsumexp(tz, 1).detach().numpy(), rtol=1e-6)
    assert not loss[target == ignore_index].any() and not dz[target == ignore_index].any()


def test_ignored_rows_may_hold_anything(kernels):
    target = np.full(len(EXTREMES), -100)
    loss, log_sum_exp = kernels.cross_entropy(EXTREMES, target, None, -100, 0.1)
    grad = np.full(len(target), np.nan, np.float32)
    dz = kernels.cross_entropy_backward(grad, EXTREMES, log_sum_exp, target, None, -100, 0.1)
    assert not loss.any() and not dz.any()


def test_cross_entropy_of_an_empty_batch(kernels):
    z, target = np.empty((0, 10), np.float32), np.empty(0, np.int64)
    loss, log_sum_exp = kernels.cross_entropy(z, target, None, -100, 0.0)
    assert loss.shape == log_sum_exp.shape == (0,)
    assert kernels.cross_entropy_backward(loss, z, log_sum_exp, target, None, -100, 0.0).shape == (0, 10)


def test_views(kernels, rng):
    z = rng.standard_normal((10, 12)).astype(np.float32).T
    target = np.arange(24)[::2] % 10
    grad = np.broadcast_to(np.float32(1 / 12), (12,))
    loss, log_sum_exp = kernels.cross_entropy(z, target, None, -100, 0.0)
    expected = kernels.cross_entropy(z.copy(), target.copy(), None, -100, 0.0)[0]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    dz = kernels.cross_entropy_backward(grad, z, log_sum_exp, target, None, -100, 0.0)
    p = np.exp(z.astype(np.float64))
    p /= p.sum(1, keepdims=True)
    p[np.arange(12), target] -= 1
    np.testing.assert_allclose(dz, p / 12, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(kernels.softmax(z, 1), kernels.softmax(z.copy(), 1), rtol=1e-6)
    back = kernels.softmax_backward(np.broadcast_to(np.float32(1), z.shape), kernels.softmax(z, 1), 1)
    np.testing.assert_allclose(back, 0, atol=1e-6)


def test_the_number_of_threads_leaves_the_bits_alone(rng, on_threads):
    cpu = pytest.importorskip("mydl.kernels.cpu")
    z, grad = rng.standard_normal((2, 401, 103)).astype(np.float32)
    target = rng.integers(0, 103, 401)

    def everything():
        loss, lse = cpu.cross_entropy(z, target, None, -100, 0.1)
        dz = cpu.cross_entropy_backward(loss, z, lse, target, None, -100, 0.1)
        p, log_p = cpu.softmax(z, 1), cpu.log_softmax(z, 1)
        back = cpu.softmax_backward(grad, p, 1), cpu.log_softmax_backward(grad, log_p, 1)
        return [a.tobytes() for a in (loss, lse, dz, p, log_p, *back)]

    one, all_threads = on_threads(everything)
    assert one == all_threads
