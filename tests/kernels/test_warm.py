"""The command line of `python -m mydl.kernels.warm`: it compiles only when it is asked to, and can."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from mydl import kernels
from mydl.backend import get_num_threads
from mydl.kernels import warm


@pytest.fixture
def ended(monkeypatch, capsys):
    """How the program ends without having compiled anything: its status, and what it says on stdout and stderr."""

    def call(*arguments: str) -> tuple:
        monkeypatch.setattr(warm, "warm", lambda: pytest.fail("it compiles"))
        with pytest.raises(SystemExit) as end:
            warm.main(list(arguments))
        return end.value.code, *capsys.readouterr()

    return call


def test_help(ended):
    status, out, err = ended("--help")
    assert (status, err) == (0, "") and "Compile every CPU kernel ahead" in out


def test_every_kernel_is_ready_for_one_thread_and_for_all():
    pytest.importorskip("numba")
    from mydl.kernels import cpu
    from mydl.kernels.cpu.compiler import Kernel

    warm.warm()
    modules = [
        importlib.import_module(f"{cpu.__name__}.{module.name}") for module in pkgutil.iter_modules(cpu.__path__)
    ]
    found = {f"{m.__name__}.{name}": value for m in modules for name, value in vars(m).items() if type(value) is Kernel}
    assert len(found) > 30
    assert [name for name, kernel in found.items() if not kernel.alone.signatures] == []
    if get_num_threads() > 1:
        assert [name for name, kernel in found.items() if not kernel.parallel.signatures] == []


@pytest.mark.parametrize("arguments", [["now"], ["--now", "x"]])
def test_wrong_arguments(ended, arguments):
    assert ended(*arguments) == (2, "", f"warm: error: unrecognized arguments: {' '.join(arguments)}; see --help\n")


def test_without_the_compiled_kernels(ended):
    with kernels.use("reference"):
        assert ended() == (2, "", f"warm: error: {kernels.why_slow()}\n")
