"""The words that a GPU draws for itself, against NumPy's own Philox generator."""

from __future__ import annotations

import numpy as np
import pytest

from mydl.backend import philox
from mydl.kernels import reference
from mydl.kernels.reference.random import philox_rounds


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 1023])
@pytest.mark.parametrize("counters", [(0,), (5, 1, 2, 3), (2**64 - 1, 2**64 - 1, 2**63, 7)])
def test_words_are_numpys(count, counters):
    state = philox(2**64 - 3, *counters).bit_generator.state["state"]
    found = philox_rounds(np, state["key"], state["counter"], count)
    expected = philox(2**64 - 3, *counters).bit_generator.random_raw(count)
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, expected)


def test_a_gpu_draws_them_itself(ledger):
    import cupy

    source = philox(3, 1, 2).bit_generator
    found = reference.philox_words(cupy.zeros(1), source, 10)
    assert isinstance(found, cupy.ndarray)
    assert (ledger.uploads, ledger.synchronisations) == ([], [])
    np.testing.assert_array_equal(found.get(), philox(3, 1, 2).bit_generator.random_raw(10))
