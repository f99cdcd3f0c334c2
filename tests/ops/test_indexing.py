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
    rng = np.random.default_rng(0)
    index = rng.integers(-shape[0], shape[0], places)
    grad = rng.standard_normal((*places, *shape[1:])).astype(dtype)
    expected = np.zeros(shape, dtype)
    np.add.at(expected, index, grad)
    x = mydl.zeros(*shape, dtype=dtype, requires_grad=True)
    x[mydl.tensor(index)].backward(mydl.tensor(grad))
    np.testing.assert_array_equal(x.grad.numpy(), expected)
    if len(shape) == 2:
        x.grad = None
        F.embedding(mydl.tensor(index % shape[0]), x).backward(mydl.tensor(grad))
        np.testing.assert_array_equal(x.grad.numpy(), expected)
