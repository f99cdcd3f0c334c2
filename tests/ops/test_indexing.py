"""Rows added at repeated places, the gradient of an embedding and of x[index]."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl.nn import functional as F


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("shape", "places"), [((5, 3), (7,)), ((4, 2, 3), (2, 3)), ((3, 2), (0,)), ((2, 3), (90_000,))]
)
def test_rows_add_up_as_numpys_add_at(shape, places, dtype):
    """On the host bit by bit; a GPU adds float16 in float32, nearer to the true sums than to NumPy's."""
    rng = np.random.default_rng(0)
    index = rng.integers(-shape[0], shape[0], places)
    grad = rng.standard_normal((*places, *shape[1:])).astype(dtype)
    expected = np.zeros(shape, dtype)
    np.add.at(expected, index, grad)
    x = mydl.zeros(*shape, dtype=dtype, requires_grad=True)
    tolerance = {}
    if dtype == "float16" and not isinstance(x.array, np.ndarray):
        expected, tolerance = np.zeros(shape), {"rtol": 2e-3, "atol": 2e-2}
        np.add.at(expected, index, grad)
    x[mydl.tensor(index)].backward(mydl.tensor(grad))
    np.testing.assert_allclose(x.grad.numpy(), expected, **{"rtol": 0, **tolerance})
    if len(shape) == 2:
        x.grad = None
        F.embedding(mydl.tensor(index % shape[0]), x).backward(mydl.tensor(grad))
        np.testing.assert_allclose(x.grad.numpy(), expected, **{"rtol": 0, **tolerance})
