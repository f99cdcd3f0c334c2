"""The plain NumPy kernels on a batch in many blocks, against the same in one."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import mydl
from mydl.kernels import reference
from mydl.kernels.reference import blocks

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ((2, 1), (1, 2), (1, 1), 2)  # stride, padding, dilation, groups


@pytest.fixture
def threads():
    before = mydl.get_num_threads()
    mydl.set_num_threads(3)
    yield
    mydl.set_num_threads(before)


def all_kernels(x, w, b, grad, scale):
    dy = reference.conv2d(x, w, b, *SETTINGS)
    yield dy
    yield reference.conv2d_input_grad(dy, w, x.shape, *SETTINGS)
    yield reference.conv2d_input_grad(grad, w, x.shape, (1, 1), (1, 1), (1, 1), 2)
    yield reference.conv2d_weight_grad(dy, x, w.shape, *SETTINGS)
    y, mean, var, inv_std = reference.batch_norm(x, scale, scale, 1e-5)
    yield from (y, mean, var, inv_std)
    yield from reference.batch_norm_backward(y, x, scale, mean, inv_std)
    yield reference.relu(x)
    yield reference.relu_backward(x, y)


def test_in_blocks_as_at_once(rng, monkeypatch, threads):
    shapes = (7, 4, 6, 5), (6, 2, 3, 3), (6,), (7, 6, 6, 5), (4,)
    inputs = [rng.standard_normal(shape) for shape in shapes]
    whole = list(all_kernels(*inputs))
    for size in (1, 2 * inputs[0][0].nbytes):  # one image to a block, and blocks that do not come out even
        monkeypatch.setattr(blocks, "_HOST_BLOCK", size)
        for part, at_once in zip(all_kernels(*inputs), whole, strict=True):
            np.testing.assert_allclose(part, at_once, rtol=1e-12, atol=1e-12)


PROGRAM = """
import mydl, numpy as np
from threadpoolctl import threadpool_info
from mydl.kernels.reference.blocks import for_blocks

def blas_threads(_=None):
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

mydl.set_num_threads(2)
before = blas_threads()
print(for_blocks(blas_threads, np.zeros((2, 2**17))) == [{1}, {1}], blas_threads() == before)
"""


def test_blas_has_one_thread_meanwhile_and_its_own_number_again_after():
    # In a process of its own: threadpoolctl leaves a BLAS alone that another thread, still alive, has set.
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["True", "True"]


def test_from_several_python_threads_at_once(monkeypatch, threads):
    monkeypatch.setattr(blocks, "_HOST_BLOCK", 1)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda k: blocks.for_blocks(lambda images: images.start + k, np.zeros(3)), range(8)))
    assert done == [[k, k + 1, k + 2] for k in range(8)]
    with pytest.raises(ZeroDivisionError):
        blocks.for_blocks(lambda images: 1 // images.start, np.zeros(3))
    assert blocks.for_blocks(lambda images: images.start, np.zeros(3)) == [0, 1, 2]  # the lock is free again


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12: a process with threads forks here
def test_after_a_fork(monkeypatch, threads):
    monkeypatch.setattr(blocks, "_HOST_BLOCK", 1)
    blocks.for_blocks(lambda images: images.start, np.zeros(3))
    child = os.fork()
    if child == 0:  # its own threads, not the parent's
        os._exit(blocks.for_blocks(lambda images: images.start, np.zeros(3)) != [0, 1, 2])
    assert os.waitpid(child, 0)[1] == 0
