from __future__ import annotations

import numpy as np
import pytest

AXES = [None, 0, -1, (1,), (2, 3), (-1, -2), (0, 2, 3), (0, 3), (1, 2), (0, 1, 2, 3), ()]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize(
    "shape", [(5, 3, 2, 3), (37, 16, 7, 7), (3, 2, 61, 83), (3, 2, 31, 43), (19, 33, 31, 1), (0, 3, 4, 5)]
)
def test_sums(kernels, rng, shape, axis, keepdims, dtype):
    x = rng.standard_normal(shape).astype(dtype)
    expected = x.astype(np.float64).sum(axis=axis, keepdims=keepdims)
    result = kernels.sum_axes(x, axis, keepdims)
    assert result.shape == expected.shape and result.dtype == dtype
    scale = np.abs(x.astype(np.float64)).sum(axis=axis, keepdims=keepdims)
    assert (np.abs(result - expected) <= 12 * np.finfo(dtype).eps * scale).all()


def test_of_long_rows_as_exact_as_of_short_ones(kernels):
    x = np.full((2, 3_000_000), 0.1, np.float32)
    np.testing.assert_allclose(kernels.sum_axes(x, 1, False), 3_000_000 * np.float64(np.float32(0.1)), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:invalid value")  # ops call kernels where NumPy is silent
def test_of_nan_and_infinity(kernels):
    x = np.ones((64, 500), np.float32)
    x[0, 3], x[1, 4], x[2, 5:7] = np.nan, np.inf, (np.inf, -np.inf)
    sums = kernels.sum_axes(x, -1, False)
    assert np.isnan(sums[[0, 2]]).all() and sums[1] == np.inf and (sums[3:] == 500).all()


@pytest.mark.parametrize("axis", [4, -5, (0, 0), (1, -3), 1.5])
def test_axes_that_there_are_not(kernels, axis):
    with pytest.raises((np.exceptions.AxisError, ValueError, TypeError)):
        kernels.sum_axes(np.zeros((30, 20, 10, 5), np.float32), axis, False)


def test_of_views(kernels, rng):
    x = rng.standard_normal((300, 200)).astype(np.float32)
    np.testing.assert_allclose(kernels.sum_axes(x[:, ::2], 1, False), x[:, ::2].sum(1, dtype=np.float64), atol=1e-4)
    np.testing.assert_allclose(kernels.sum_axes(x.T, 1, False), x.sum(0, dtype=np.float64), atol=1e-4)
