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
@pytest.mark.parametrize("counters", [(0,), (2**64 - 1, 2**64 - 1, 2**63, 7)])
def test_kernels_draw_numpys_words(on_host, count, counters):
    found = on_host.philox_words(np.zeros(1), philox(2**64 - 3, *counters).bit_generator, count)
    expected = philox(2**64 - 3, *counters).bit_generator.random_raw(count)
    assert found.dtype == np.uint64
    np.testing.assert_array_equal(found, expected)
    draws = on_host.dropout_draws(np.zeros(1), philox(2**64 - 3, *counters).bit_generator, 4 * count - 3)
    np.testing.assert_array_equal(draws, expected.view(np.uint16)[: 4 * count - 3])


def test_a_generator_that_has_begun_goes_on(on_host):
    begun, same = (np.random.Philox(key=3, counter=2**64 - 9) for _ in range(2))
    np.testing.assert_array_equal(on_host.philox_words(np.zeros(1), begun, 20_000), same.random_raw(20_000))


def test_a_gpu_draws_them_itself(ledger):
    import cupy

    source = philox(3, 1, 2).bit_generator
    found = reference.philox_words(cupy.zeros(1), source, 10)
    assert isinstance(found, cupy.ndarray)
    assert (ledger.uploads, ledger.synchronisations) == ([], [])
    np.testing.assert_array_equal(found.get(), philox(3, 1, 2).bit_generator.random_raw(10))
