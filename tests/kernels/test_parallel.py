from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from numba import prange  # noqa: E402

from mydl.backend import get_num_threads  # noqa: E402
from mydl.kernels.cpu import cross_entropy, relu  # noqa: E402 - needs Numba
from mydl.kernels.cpu.compiler import compile_parallel  # noqa: E402
from mydl.kernels.cpu.parallel import PARALLEL_FROM, launch  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@compile_parallel(cache=False)
def _note_threads(seen):
    for i in prange(seen.size):
        seen[i] = numba.get_thread_id()


def test_kernels_may_be_called_from_several_python_threads(rng):
    x = rng.standard_normal((8, 3 * PARALLEL_FROM)).astype(np.float32)
    z, target = rng.standard_normal((500, 40)).astype(np.float32), np.zeros(500, np.int64)
    loss = cross_entropy(z, target, None, -100, 0.0)[0]

    def work(k):
        for _ in range(20):
            np.testing.assert_array_equal(relu(x[k]), np.maximum(x[k], 0))
            np.testing.assert_array_equal(cross_entropy(z, target, None, -100, 0.0)[0], loss)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))


def test_small_work_stays_on_the_callers_thread_and_numbas_setting_is_left_alone():
    before = numba.get_num_threads()
    seen = np.full(1000, -1)
    launch(_note_threads, PARALLEL_FROM - 1, seen)
    assert set(seen) == {0}
    launch(_note_threads, PARALLEL_FROM, seen)
    assert set(seen) == set(range(min(get_num_threads(), numba.config.NUMBA_NUM_THREADS)))
    assert numba.get_num_threads() == before


PLAIN = """
import mydl
from mydl import kernels

assert mydl.relu(mydl.tensor([-1.0, 2.0])).tolist() == [0, 2]
print(kernels.why_slow())
"""
WITHOUT_A_FOLDER = """
from numba.core import caching

for name in ("CacheImpl", "_CacheImpl"):  # as where neither the package nor the home folder can be written to
    if hasattr(caching, name):
        getattr(caching, name)._locator_classes = []
"""


def why_slow(program: str, **environment: str) -> str:
    """What a program prints that goes on with `PLAIN`."""
    done = subprocess.run(
        [sys.executable, "-c", program + PLAIN], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_folder_for_compiled_kernels_the_plain_ones_run():
    assert "name one in NUMBA_CACHE_DIR" in why_slow(WITHOUT_A_FOLDER)


def test_where_numba_may_not_compile_the_plain_ones_run():
    assert why_slow("", NUMBA_DISABLE_JIT="1") == "NUMBA_DISABLE_JIT is set: the plain NumPy kernels run now\n"
