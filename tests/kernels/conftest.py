"""Every test that takes `kernels` runs on the definition, on the fast CPU kernels and on the GPU's.

The GPU's run on the stand-in for CuPy, its CUDA kernels compiled for the host, or with `--device cuda` on a GPU.
"""

from __future__ import annotations

import importlib
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from mydl.cupy_loader import load_cupy
from tests.strict_cupy.host_cuda import COMPILER


class OnDevice:
    """The GPU's kernels, called with NumPy arrays: they are moved to the device, and everything is moved back."""

    def __getattr__(self, name):
        kernel, cupy = getattr(importlib.import_module("mydl.kernels.gpu"), name), load_cupy()

        def there(array):
            if not isinstance(array, np.ndarray):
                return array
            moved = cupy.lib.stride_tricks.as_strided(cupy.zeros(1, array.dtype), array.shape, (0,) * array.ndim)
            if array.size and min(array.strides, default=0) >= 0:  # with the same gaps between its elements
                span = sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)) // array.itemsize + 1
                memory = np.lib.stride_tricks.as_strided(array, (span,), (array.itemsize,))
                moved = cupy.lib.stride_tricks.as_strided(cupy.asarray(memory), array.shape, array.strides)
            elif array.size:
                moved = cupy.asarray(array)
            return moved

        def back(value):
            return tuple(map(back, value)) if isinstance(value, tuple) else value if value is None else value.get()

        def called(*arguments):
            moved = [there(argument) for argument in arguments]
            result = back(kernel(*moved))
            for argument, device in zip(arguments, moved, strict=True):
                if isinstance(argument, np.ndarray) and argument.flags.writeable:
                    argument[...] = device.get()  # what was changed in place
            return result

        return called


@pytest.fixture(params=["reference", "cpu", "gpu"])
def kernels(request):
    if request.param == "gpu":
        if request.getfixturevalue("gpu") is not None and COMPILER is None:
            pytest.skip("needs g++ or clang++ to run the CUDA kernels on the host")
        return OnDevice()
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


@pytest.fixture
def on_other_cpu(tmp_path):
    """Run pytest in a process whose kernels are compiled for other features of an x86 CPU, "" being the oldest's."""

    def run(features, *arguments):
        if platform.machine() != "x86_64":
            pytest.skip("names features of x86 CPUs")
        name = "haswell" if features else "x86-64"
        settings = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
        command = [sys.executable, "-m", "pytest", "-q", *arguments]
        done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout

    return run
