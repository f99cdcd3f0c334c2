"""`pytest --device strict` (or cuda) tests/ops tests/nn tests/optim: the same tests with their tensors on a device."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from mydl.backend import on_device
from tests import strict_cupy


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        choices=("cpu", "strict", "cuda"),
        default="cpu",
        help="where the tests' tensors are made: on the host, on the stand-in for a GPU, or on a GPU",
    )


@pytest.fixture
def ledger():
    """The stand-in in CuPy's place for one test; its ledger of waits and copies."""
    with strict_cupy.installed() as ledger:
        yield ledger


@pytest.fixture(autouse=True)
def _device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what the tests make without a `device=` on the device that was asked for."""
    where = request.config.getoption("--device")
    if where == "cpu":
        return
    if where == "strict":
        request.getfixturevalue("ledger")
    tensors, draws = (importlib.import_module(name) for name in ("mydl.tensor", "mydl.functions.random"))
    as_array, tensor_of = tensors.as_array, draws.tensor_of

    def as_device_array(data: Any, dtype: Any = None) -> Any:
        return on_device(as_array(data, dtype), "cuda")

    def device_tensor_of(value: Any) -> Any:
        return tensor_of(on_device(value, "cuda"))

    monkeypatch.setattr(tensors, "as_array", as_device_array)
    monkeypatch.setattr(draws, "tensor_of", device_tensor_of)
