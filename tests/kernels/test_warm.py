"""The command line of `python -m mydl.kernels.warm`: it compiles only when it is asked to, and can."""

from __future__ import annotations

import pytest

from mydl import kernels
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


@pytest.mark.parametrize("arguments", [["now"], ["--now", "x"]])
def test_wrong_arguments(ended, arguments):
    assert ended(*arguments) == (2, "", f"warm: error: unrecognized arguments: {' '.join(arguments)}; see --help\n")


def test_without_the_compiled_kernels(ended):
    with kernels.use("reference"):
        assert ended() == (2, "", f"warm: error: {kernels.why_slow()}\n")
