from __future__ import annotations

import numpy as np
import pytest

# input shape, kernel, stride, padding, dilation
MAX_CASES = [
    ((2, 3, 28, 28), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((1, 5, 7, 7), (3, 3), (2, 2), (1, 1), (1, 1)),
    ((3, 1, 9, 8), (3, 2), (1, 3), (1, 0), (1, 1)),
    ((2, 17, 7, 5), (2, 3), (3, 1), (1, 1), (1, 1)),
    ((1, 2, 11, 13), (3, 2), (2, 3), (1, 1), (2, 3)),
    ((2, 2, 5, 6), (2, 2), (3, 4), (0, 0), (1, 1)),
    ((2, 3, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1)),
    ((2, 3, 2, 3), (2, 3), (2, 3), (0, 0), (1, 1)),
    ((1, 1, 6, 40), (5, 4), (1, 1), (2, 2), (1, 1)),
    ((0, 3, 4, 4), (2, 2), (2, 2), (0, 0), (1, 1)),
    ((2, 0, 4, 4), (2, 2), (2, 2), (0, 0), (1, 1)),
]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("shape, kernel, stride, padding, dilation", MAX_CASES)
def test_max_pool_is_pytorchs(kernels, rng, shape, kernel, stride, padding, dilation, ceil_mode, dtype):
    torch = pytest.importorskip("torch")
    x = rng.integers(-4, 5, shape).astype(dtype)  # small integers: many ties
    before = x.copy()
    y, indices = kernels.max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)
    np.testing.assert_array_equal(x, before)
    assert y.dtype == dtype and indices.dtype == np.int64
    tx = torch.from_numpy(x.astype(np.float64)).requires_grad_()
    if 0 in shape:  # PyTorch refuses to pool no channels
        size = kernels.max_pool2d(np.zeros((1, 1, *shape[2:])), kernel, stride, padding, dilation, ceil_mode)[0].shape
        assert y.shape == indices.shape == (*shape[:2], *size[2:])
        assert kernels.max_pool2d_backward(y, indices, shape).shape == shape
        return
    ty, tindices = torch.nn.functional.max_pool2d(tx, kernel, stride, padding, dilation, ceil_mode, return_indices=True)
    np.testing.assert_array_equal(y, ty.detach().numpy())
    np.testing.assert_array_equal(indices, tindices.numpy())
    grad = rng.integers(-9, 10, y.shape).astype(dtype)
    ty.backward(torch.from_numpy(grad.astype(np.float64)))
    dx = kernels.max_pool2d_backward(grad, indices, shape)
    assert dx.dtype == dtype
    np.testing.assert_array_equal(dx, tx.grad.numpy())


@pytest.mark.parametrize("stride", [1, 2])
def test_max_pool_of_nan_and_infinity_is_pytorchs(kernels, rng, stride):
    torch = pytest.importorskip("torch")
    x = rng.choice(np.array([np.nan, np.inf, -np.inf, -np.inf, -np.inf, 1], np.float32), (3, 4, 9, 19))
    x[0] = -np.inf
    y, indices = kernels.max_pool2d(x, (3, 3), (stride, stride), (1, 1), (1, 1), False)
    ty, tindices = torch.nn.functional.max_pool2d(torch.from_numpy(x), 3, stride, 1, return_indices=True)
    np.testing.assert_array_equal(y, ty.numpy())
    np.testing.assert_array_equal(indices, tindices.numpy())


def test_a_dilated_window_that_steps_over_the_plane(kernels):
    x = np.ones((1, 1, 2, 5), np.float32)  # rows -1 and 2 of 0..1
    y, indices = kernels.max_pool2d(x, (2, 2), (1, 1), (1, 1), (3, 1), False)
    assert (y == -np.inf).all() and (indices == -1).all()
    assert not kernels.max_pool2d_backward(np.ones_like(y), indices, x.shape).any()


AVG_CASES = [(shape, k, s, p) for shape, k, s, p, d in MAX_CASES if d == (1, 1)] + [
    ((5, 6, 7, 7), (7, 7), (1, 1), (0, 0)),
    ((2, 3, 5, 5), (4, 4), (3, 3), (2, 2)),
]


@pytest.mark.parametrize("dtype, tolerance", [(np.float16, 2e-3), (np.float32, 2e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count_include_pad, divisor", [(True, None), (False, None), (True, 5)])
@pytest.mark.parametrize("shape, kernel, stride, padding", AVG_CASES)
def test_avg_pool_is_pytorchs(
    kernels, rng, shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor, dtype, tolerance
):
    torch = pytest.importorskip("torch")
    settings = kernel, stride, padding, ceil_mode, count_include_pad, divisor
    x = rng.standard_normal(shape).astype(dtype)
    before = x.copy()
    y = kernels.avg_pool2d(x, *settings)
    np.testing.assert_array_equal(x, before)
    assert y.dtype == dtype
    if 0 in shape:
        size = kernels.avg_pool2d(np.zeros((1, 1, *shape[2:])), *settings).shape
        assert y.shape == (*shape[:2], *size[2:])
        assert kernels.avg_pool2d_backward(y, shape, *settings).shape == shape
        return
    tx = torch.from_numpy(x.astype(np.float64)).requires_grad_()
    ty = torch.nn.functional.avg_pool2d(tx, *settings)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=tolerance, atol=tolerance)
    grad = rng.standard_normal(y.shape).astype(dtype)
    ty.backward(torch.from_numpy(grad.astype(np.float64)))
    dx = kernels.avg_pool2d_backward(grad, shape, *settings)
    assert dx.dtype == dtype and dx.shape == shape
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=tolerance, atol=tolerance)


def test_views(kernels, rng):
    x = rng.standard_normal((9, 8, 3, 2)).astype(np.float32).T
    same = np.ascontiguousarray(x)
    grad = np.broadcast_to(np.float32(0.5), (2, 3, 4, 4))
    args = (2, 2), (2, 2), (0, 0)
    y, indices = kernels.max_pool2d(x, *args, (1, 1), False)
    np.testing.assert_array_equal(y, kernels.max_pool2d(same, *args, (1, 1), False)[0])
    dx = kernels.max_pool2d_backward(grad, indices, x.shape)
    np.testing.assert_array_equal(dx, kernels.max_pool2d_backward(grad.copy(), indices, x.shape))
    settings = *args, False, True, None
    np.testing.assert_array_equal(kernels.avg_pool2d(x, *settings), kernels.avg_pool2d(same, *settings))
    np.testing.assert_array_equal(
        kernels.avg_pool2d_backward(grad, x.shape, *settings),
        kernels.avg_pool2d_backward(grad.copy(), x.shape, *settings),
    )


def test_the_number_of_threads_leaves_the_bits_alone(rng, on_threads):
    cpu = pytest.importorskip("mydl.kernels.cpu")
    x = rng.standard_normal((5, 3, 61, 43)).astype(np.float32)

    def everything():
        y, indices = cpu.max_pool2d(x, (3, 3), (2, 2), (1, 1), (1, 1), True)
        settings = (3, 2), (1, 2), (1, 1), True, False, None
        mean = cpu.avg_pool2d(x, *settings)
        back = cpu.max_pool2d_backward(y, indices, x.shape), cpu.avg_pool2d_backward(mean, x.shape, *settings)
        return [a.tobytes() for a in (y, indices, mean, *back)]

    one, all_threads = on_threads(everything)
    assert one == all_threads
