"""`pytest --device strict tests/ops tests/nn`: the same tests with their tensors on a device.

The device "strict" is the stand-in for a GPU, "cuda" a real one. There the tests that take a `gpu` run on it too.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from mydl.backend import on_device
from tests import strict_cupy

ON_DEVICE = ("autograd", "compat", "nn", "ops", "optim")  # folders whose tests run as well with tensors on a device


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        choices=("cpu", "strict", "cuda"),
        default="cpu",
        help="where the tests' tensors are made: on the host, on the stand-in for a GPU, or on a GPU",
    )


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """No test asks for a name or a connection beyond this machine."""

    connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo

    def check(host: Any) -> None:
        if host not in (None, "", "127.0.0.1", "::1", "localhost"):
            raise RuntimeError(f"a test reaches for the network: {host!r}")

    def connect_here(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple):  # others are the names of files
            check(address[0])
        connect(self, address)

    def look_up_here(host: Any, *arguments: Any, **options: Any) -> Any:
        check(host)
        return getaddrinfo(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        patch.setattr(socket, "getaddrinfo", look_up_here)
        yield


@pytest.fixture
def ledger() -> Iterator[strict_cupy.Ledger]:
    """The stand-in in CuPy's place for one test; its ledger of waits and copies."""
    with strict_cupy.installed() as ledger:
        yield ledger


@pytest.fixture
def gpu(request: pytest.FixtureRequest) -> Any:
    """A GPU for one test: the real one with `--device cuda`, else the stand-in, with its ledger."""
    return None if request.config.getoption("--device") == "cuda" else request.getfixturevalue("ledger")


@pytest.fixture
def tensors_on_device(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function after whose call what a test makes without a `device=` is on the GPU."""

    def switch() -> None:
        tensors, draws = (importlib.import_module(name) for name in ("mydl.tensor", "mydl.functions.random"))
        as_array, tensor_of = tensors.as_array, draws.tensor_of
        monkeypatch.setattr(tensors, "as_array", lambda data, dtype=None: on_device(as_array(data, dtype), "cuda"))
        monkeypatch.setattr(draws, "tensor_of", lambda value: tensor_of(on_device(value, "cuda")))

    return switch


@pytest.fixture(autouse=True)
def _device(request: pytest.FixtureRequest) -> None:
    """Make what the tests of tensors make without a `device=` on the device that was asked for.

    Tests of files, figures and the like are about the host, and those that take a GPU say what is to be on it.
    """
    where = request.config.getoption("--device")
    if request.node.path.parent.name not in ON_DEVICE or {"gpu", "ledger"} & set(request.node.fixturenames):
        return
    if where == "strict":
        request.getfixturevalue("ledger")
    if where != "cpu":
        request.getfixturevalue("tensors_on_device")()
