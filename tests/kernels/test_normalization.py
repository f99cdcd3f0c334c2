from __future__ import annotations

import numpy as np
import pytest

# (N, C), (N, C, L), (N, C, H, W), volumes; one image, channel, pixel; planes longer than a chunk of sums
SHAPES = [
    (2, 1),
    (7, 5),
    (257, 100),
    (3, 17, 1),
    (1, 3, 2),
    (5, 4, 11),
    (4, 3, 1, 1),
    (2, 5, 7, 7),
    (9, 17, 28, 28),
    (1, 2, 67, 71),
    (2, 3, 100, 101),
    (2, 3, 3, 5, 2),
]


def _definition(x, weight, bias, eps):
    """The formula, in double precision."""
    x = x.astype(np.float64)
    axes = (0, *range(2, x.ndim))
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    spread = (1, -1, *(1,) * (x.ndim - 2))
    y = (x - mean) / np.sqrt(var + eps)
    if weight is not None:
        y = y * weight.reshape(spread)
    if bias is not None:
        y = y + bias.reshape(spread)
    return y, mean.ravel(), var.ravel(), 1 / np.sqrt(var.ravel() + eps)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [(np.float16, 4e-3), (np.float32, 5e-6), (np.float64, 1e-12)])
@pytest.mark.parametrize("shape", SHAPES)
def test_forward(kernels, rng, shape, dtype, tolerance, affine):
    x = (2 * rng.standard_normal(shape) + 3).astype(dtype)
    weight, bias = rng.standard_normal((2, shape[1])).astype(dtype) if affine else (None, None)
    before = x.copy()
    got = kernels.batch_norm(x, weight, bias, 1e-5)
    np.testing.assert_array_equal(x, before)
    assert got[0].dtype == dtype and got[0].shape == shape
    for g, expected in zip(got, _definition(x, weight, bias, 1e-5), strict=True):
        np.testing.assert_allclose(g, expected, rtol=tolerance, atol=tolerance)
    assert {s.dtype for s in got[1:]} == {np.result_type(dtype, np.float32)}
    assert {s.shape for s in got[1:]} == {(shape[1],)}


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [(np.float16, 3e-2), (np.float32, 2e-4), (np.float64, 1e-10)])
@pytest.mark.parametrize("shape", SHAPES)
def test_backward_is_pytorchs(kernels, rng, shape, dtype, tolerance, affine):
    torch = pytest.importorskip("torch")
    x = (2 * rng.standard_normal(shape) + 3).astype(dtype)
    grad = rng.standard_normal(shape).astype(dtype)
    weight, bias = rng.standard_normal((2, shape[1])).astype(dtype)
    leaves = [torch.from_numpy(a.astype(np.float64)).requires_grad_() for a in (x, weight, bias)]
    if not affine:
        weight, leaves[1:] = None, [None, None]
    y = torch.nn.functional.batch_norm(leaves[0], None, None, *leaves[1:], training=True)
    y.backward(torch.from_numpy(grad.astype(np.float64)))
    _, mean, _, inv_std = kernels.batch_norm(x, weight, bias, 1e-5)
    got = kernels.batch_norm_backward(grad, x, weight, mean, inv_std)
    assert {g.dtype for g in got} == {np.dtype(dtype)}
    for g, leaf in zip(got, leaves if affine else leaves[:1], strict=False):
        expected = leaf.grad.numpy()
        np.testing.assert_allclose(g, expected, rtol=tolerance, atol=tolerance * max(1, np.abs(expected).max()))


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("dtype, tolerance", [(np.float16, 4e-3), (np.float32, 2e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("shape", [*SHAPES, (0, 3, 4, 4), (2, 0, 4)])
def test_given_statistics(kernels, rng, shape, dtype, tolerance, affine):
    x, channels = rng.standard_normal(shape).astype(dtype), shape[1]
    mean, var = rng.standard_normal(channels).astype(np.float32), rng.random(channels, np.float32) + 0.1
    weight, bias = rng.standard_normal((2, channels)).astype(np.float32) if affine else (None, None)
    spread = (-1, *(1,) * (x.ndim - 2))
    expected = (x.astype(np.float64) - mean.reshape(spread)) / np.sqrt(var.astype(np.float64) + 1e-3).reshape(spread)
    if affine:
        expected = expected * weight.reshape(spread) + bias.reshape(spread)
    got = kernels.batch_norm_eval(x, weight, bias, mean, var, 1e-3)
    assert got.dtype == dtype and got.shape == shape
    np.testing.assert_allclose(got, expected, rtol=max(tolerance, 1e-6), atol=max(tolerance, 2e-6))


@pytest.mark.parametrize("shape", [(300, 6), (20, 6, 15, 15)])
def test_a_mean_far_from_zero_loses_nothing(kernels, rng, shape):
    x = (rng.standard_normal(shape) + 1e4).astype(np.float32)
    x[0, 0] = 0  # not even when the first element is no guide to the others
    weight, bias = rng.standard_normal((2, 6)).astype(np.float32)
    y, mean, var, _ = kernels.batch_norm(x, weight, bias, 1e-5)
    expected = _definition(x, weight, bias, 1e-5)
    np.testing.assert_allclose(y, expected[0], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(mean, expected[1], rtol=2e-7)
    np.testing.assert_allclose(var, expected[2], rtol=2e-5)


@pytest.mark.parametrize("shape", [(40, 5), (6, 5, 9, 9)])
def test_views(kernels, rng, shape):
    x, grad = (rng.standard_normal(shape[::-1]).astype(np.float32).T for _ in range(2))
    same = np.ascontiguousarray(x), np.ascontiguousarray(grad)
    got, expected = kernels.batch_norm(x, None, None, 0.1), kernels.batch_norm(same[0], None, None, 0.1)
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-5, atol=1e-6)
    statistics = expected[1], expected[3]
    got = kernels.batch_norm_backward(grad, x, None, *statistics)
    for g, e in zip(got, kernels.batch_norm_backward(same[1], same[0], None, *statistics), strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 4, 4), (2, 0, 4, 4)])
def test_empty(kernels, shape):
    x = np.empty(shape, np.float32)
    y, mean, var, inv_std = kernels.batch_norm(x, None, None, 0.25)
    assert y.shape == shape and not mean.any() and not var.any() and (inv_std == 2).all()
    dx, dweight, dbias = kernels.batch_norm_backward(x, x, None, mean, inv_std)
    assert dx.shape == shape and dweight.shape == dbias.shape == (shape[1],)
    assert not dweight.any() and not dbias.any()


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5, 5)])
def test_nan_and_infinity_stay_in_their_channel(kernels, rng, shape):
    x = rng.standard_normal(shape).astype(np.float32)
    x[1, 0], x[2, 1] = np.nan, np.inf
    y, mean, *_ = kernels.batch_norm(x, None, None, 1e-5)
    assert np.isnan(y[:, 0]).all() and np.isnan(mean[0])
    assert np.isnan(y[2, 1]).all()
    assert np.isfinite(y[:, 2]).all()


def test_the_number_of_threads_leaves_the_bits_alone(rng, on_threads):
    cpu = pytest.importorskip("mydl.kernels.cpu")
    for shape in ((301, 70), (7, 5, 61, 83)):
        x, grad = rng.standard_normal((2, *shape)).astype(np.float32)

        def both_ways(x=x, grad=grad):
            y, mean, var, inv_std = cpu.batch_norm(x, None, None, 1e-5)
            return [a.tobytes() for a in (y, var, *cpu.batch_norm_backward(grad, x, None, mean, inv_std))]

        one, all_threads = on_threads(both_ways)
        assert one == all_threads
