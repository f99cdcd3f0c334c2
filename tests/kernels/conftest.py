"""Every test that takes `kernels` runs on the definition and on the fast CPU kernels."""

from __future__ import annotations

import importlib

import numpy as np
import pytest


@pytest.fixture(params=["reference", "cpu"])
def kernels(request):
    if request.param == "cpu":
        pytest.importorskip("numba")
    return importlib.import_module(f"mydl.kernels.{request.param}")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def on_threads():
    """Call a function on 1 thread and on all that there are; its results, to be compared bit by bit."""
    numba = pytest.importorskip("numba")
    from mydl import backend

    before = backend.get_num_threads()

    def both(function):
        results = []
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            backend.set_num_threads(threads)
            results.append(function())
        return results

    yield both
    backend.set_num_threads(before)
