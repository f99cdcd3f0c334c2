from __future__ import annotations

import importlib.util
import re

import numpy as np
import pytest

import mydl
from mydl import blas_core, kernels


def test_one_fact_a_line():
    lines = mydl.show_config().splitlines()
    assert lines[0] == f"NumPy {np.__version__}"
    assert f"BLAS core: {blas_core.STATUS}" in lines
    assert f"threads: {mydl.get_num_threads()}" in lines
    assert sum(line.startswith("kernels: ") for line in lines) == 1
    assert sum(line.startswith("GPU: ") for line in lines) == 1


def test_the_blas_that_runs():
    from threadpoolctl import threadpool_info

    (numpy_blas,) = {
        f"BLAS: {library['internal_api']} {library['version']}, core {library['architecture']}"
        for library in threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    } or {""}
    assert numpy_blas in mydl.show_config()


def test_threads_are_those_of_now():
    before = mydl.get_num_threads()
    try:
        mydl.set_num_threads(1)
        assert "threads: 1" in mydl.show_config().splitlines()
        assert re.search(r"^BLAS: .*, 1 threads$", mydl.show_config(), re.MULTILINE)
    finally:
        mydl.set_num_threads(before)


def test_kernels_and_why_they_are_slow():
    with kernels.use("reference"):
        assert f"kernels: NumPy ({kernels.why_slow()})" in mydl.show_config()


def test_numba_kernels():
    pytest.importorskip("numba")
    with kernels.use("cpu"):
        assert "kernels: Numba" in mydl.show_config().splitlines()


def test_the_gpu():
    (line,) = (line for line in mydl.show_config().splitlines() if line.startswith("GPU: "))
    if importlib.util.find_spec("cupy") is None:
        assert line == "GPU: CuPy is not installed (pip install cupy-cuda12x, or cupy-cuda13x for CUDA 13)"
    else:
        assert re.fullmatch(r"GPU: CuPy [\d.]+\w*, (ready|no usable GPU or driver)", line)
