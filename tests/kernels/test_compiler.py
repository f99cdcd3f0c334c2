"""Kernels are compiled once, by another process, and are the same code in every process that runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from mydl.kernels import cpu
from mydl.kernels.cpu import compiler, elementwise
from mydl.kernels.warm import warm

ROOT = Path(__file__).resolve().parents[2]


def run(program: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment}
    )


def test_kernels_older_than_the_sources_are_forgotten(tmp_path):
    """Numba itself would not see that a function called from another file has changed."""
    keep = """
import os, pathlib
from mydl.kernels.cpu import relu
import numpy as np
relu(np.zeros(20000, np.float32))
"""
    age = """
for index in pathlib.Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nbi"):
    os.utime(index, (0, 0))
"""
    done = [run(program, NUMBA_CACHE_DIR=str(tmp_path)) for program in (keep + age, keep, keep)]
    assert [process.returncode for process in done] == [0, 0, 0], done[0].stderr
    assert ["compiling" in process.stderr for process in done] == [True, True, False]


MOMENTS = """
import numpy as np
from mydl.kernels import cpu

x = np.random.default_rng(0).standard_normal((64, 16, 28, 28)).astype(np.float32) * 3 + 1
y, mean, var, inv_std = cpu.batch_norm(x, None, None, 1e-5)
print(mean.tobytes().hex(), var.tobytes().hex())
"""


@pytest.mark.slow
def test_the_run_that_compiles_has_the_bits_of_later_ones(tmp_path):
    first, second = (run(MOMENTS, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stderr.count("mydl: compiling kernels once") == 1
    assert second.stderr == ""
    assert first.stdout == second.stdout


@pytest.mark.parametrize("fault", ["no answer", "no process"])
def test_what_the_other_process_cannot_do_this_one_does(fault, tmp_path):
    program = f"""
import subprocess, sys
import numpy as np
from mydl.kernels import cpu
from mydl.kernels import cpu
from mydl.kernels.cpu import compiler, elementwise

if {fault!r} == "no answer":
    sys.executable = "/bin/true"
else:
    sys.executable = "/no/such/program"
assert cpu.relu(np.array([-1, 2] * 20000, np.float32)).sum() == 40000
"""
    done = run(program, NUMBA_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_the_other_process_ends_with_its_parent_and_is_replaced_where_it_has_gone():
    cpu.relu(np.zeros(2**18, np.float32))
    (types, *_) = elementwise._relu.parallel.signatures
    asked = compiler._Compiler()
    assert asked._ask("mydl.kernels.cpu.elementwise", "_relu", types)
    first = asked.process
    first.kill()
    assert asked._ask("mydl.kernels.cpu.elementwise", "_relu", types)
    second = asked.process
    asked.close()
    assert first.poll() is not None and second.poll() == 0


def test_the_other_process_does_not_stay():
    program = "from mydl.kernels.cpu import compiler; compiler.IDLE = 0.1; compiler.serve()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.read() == "" and process.wait() == 0
    process.stdin.close()
    process.stdout.close()


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize("freezes", [True, False])
def test_the_collector_is_as_it_was_once_the_kernels_are_imported(collects, freezes):
    """It pauses meanwhile; a cycle from before is found later, but not what the program had frozen."""
    program = f"""
import gc, weakref
import numpy as np
from mydl import kernels

class Node:
    pass

node = Node()
node.itself, gone = node, weakref.ref(node)
del node
{"" if collects else "gc.disable()"}
{"gc.freeze()" if freezes else ""}
kernels.of(np.zeros(1))
enabled = gc.isenabled()
gc.collect()
print(enabled, gc.get_freeze_count() > 0, gone() is None)
"""
    done = run(program)
    assert done.stdout.split() == [str(collects), str(freezes), str(not freezes)], done.stderr


def test_compiled_code_is_loaded_without_what_compiling_takes():
    """Other people's functions are compiled as ever."""
    pytest.importorskip("scipy")  # for Numba's matrix product
    program = """
import sys
import llvmlite.binding
import numba
import numpy as np
from mydl.kernels.warm import warm

read = []
parse = llvmlite.binding.parse_bitcode
llvmlite.binding.parse_bitcode = lambda bitcode: read.append(len(bitcode)) or parse(bitcode)
warm()
assert read and max(read) < 4096, read  # a kernel's own is some 100 KB
print("numba.np.arraymath" in sys.modules)

@numba.njit
def product(a, b):
    return a @ b, np.linalg.inv(a), np.kron(a, b)

a, b = np.array([[1.0, 2.0], [3.0, 5.0]]), np.eye(2)
for found, wanted in zip(product(a, b), (a @ b, np.linalg.inv(a), np.kron(a, b))):
    np.testing.assert_allclose(found, wanted)
print("numba.np.arraymath" in sys.modules)
"""
    warm()  # all kernels are on disk now
    done = run(program)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_a_networks_step_imports_no_more_of_numba_than_it_needs():
    """Arrays are neither made nor given other shapes in the kernels that most networks use: Numba's code for that takes
    as long to import as all of those kernels to load."""
    program = """
import sys
import mydl
from mydl import nn, optim
from mydl.nn import functional as F

model = nn.Sequential(nn.Conv2D(1, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(676, 10))
optimizer = optim.Adam(model.parameters())
x, target = mydl.randn(64, 1, 28, 28), mydl.zeros(64, dtype=mydl.int64)
F.cross_entropy(model(x), target).backward()
optimizer.step()
model.eval()(x)
print("mydl.kernels.cpu" in sys.modules, "numba.np.arrayobj" in sys.modules)
"""
    warm()
    done = run(program)
    assert done.stdout.split() == ["True", "False"], done.stderr


USE = """
import numba
import numpy as np
from mydl import kernels

kernel = kernels.of(np.zeros(1))
assert (kernel.relu(np.float32([-1, 2])) == [0, 2]).all()
assert (kernel.matmul(np.ones((40, 300), np.float32), np.ones((300, 100), np.float32)) == 300).all()
namespace = {}
exec("def plus_one(x): return x + 1", namespace)
assert numba.njit(namespace["plus_one"])(1) == 2
"""


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_damaged_files_are_compiled_anew(suffix, content, tmp_path):
    def used():
        done = run(USE, NUMBA_CACHE_DIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "compiling" in used()
    for path in tmp_path.rglob(f"*.{suffix}"):
        path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    assert "compiling" in used()
    assert used() == ""


def test_a_disk_that_is_full_keeps_nothing_and_stops_nobody(tmp_path):
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n" + USE
    done = run(limited, NUMBA_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert run(USE, NUMBA_CACHE_DIR=str(tmp_path)).returncode == 0
