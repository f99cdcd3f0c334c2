"""The words that a GPU draws for itself, against NumPy's own Philox generator."""

from __future__ import annotations

import importlib

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


@pytest.fixture(params=["reference", "cpu"])
def on_host(request):
    if request.param == "cpu":
        pytest.importorskip("numba")
    return importlib.import_module(f"mydl.kernels.{request.param}")


@pytest.mark.parametrize("count", [1, 5, 40_000, 65_539])
@pytest.mark.parametrize(
    "place", [(0, 0, 0), (7, 0xD0D0, 5), (2**64 - 3, 2**64 - 1, 2**63), (-1, -2, -3), (2**70 + 1, 1, 1)]
)
def test_kernels_draw_numpys_words(on_host, count, place):
    found = on_host.philox_words(np.zeros(1), place, count)
    expected = philox(*place).bit_generator.random_raw(count)
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, expected)
    draws = on_host.dropout_draws(np.zeros(1), place, 4 * count - 3)
    np.testing.assert_array_equal(draws, expected.view(np.uint16)[: 4 * count - 3])


@pytest.mark.parametrize("place", [(3, 1, 2), (-3, 1, 2**64 - 1)])
def test_a_gpu_draws_them_itself(ledger, place):
    import cupy

    found = reference.philox_words(cupy.zeros(1), place, 10)
    assert isinstance(found, cupy.ndarray)
    assert (ledger.uploads, ledger.synchronisations) == ([], [])
    np.testing.assert_array_equal(found.get(), philox(*place).bit_generator.random_raw(10))
