"""The stand-in's `cupy.cuda`: devices, versions, memory pools and streams, whose answers a test can set."""

from __future__ import annotations

import types
from typing import Any

from tests.strict_cupy.ledger import LEDGER

__all__ = ["CUDARuntimeError", "Device", "Machine", "cuda_module", "current_device", "machine"]


class CUDARuntimeError(RuntimeError):
    """What CuPy raises when the CUDA runtime refuses."""


class Pool:
    """A memory pool that says what a test has set."""

    used, total = 2**20, 3 * 2**20

    def used_bytes(self) -> int:
        """Bytes in use."""
        return self.used

    def total_bytes(self) -> int:
        """Bytes held."""
        return self.total

    def free_all_blocks(self) -> None:
        """Give back what is held and not in use."""
        self.total = self.used


class Machine:
    """What the CUDA runtime says of the machine: versions (0: no driver), the number of GPUs, what works."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """A machine where all is well, with two GPUs."""
        self.driver = 12090
        self.runtime = 12090
        self.devices = 2
        self.missing_library: str | None = None  # the text of the ImportError at the first matmul
        self.current = 0
        self.pool = Pool()

    def require(self) -> None:
        """Raise as the runtime does where there is no driver that is new enough, or no GPU."""
        if self.driver < self.runtime:
            raise CUDARuntimeError(
                "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
            )
        if not self.devices:
            raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")


machine = Machine()


def current_device() -> int:
    """The index of the device that new arrays go to."""
    return machine.current


class Device:
    """A GPU by its index; as a context manager the one that new arrays go to."""

    __slots__ = ("_before", "id")

    def __init__(self, device: int | None = None) -> None:
        self.id = machine.current if device is None else int(device)

    def use(self) -> None:
        """New arrays go to this device from now on."""
        machine.require()
        if not 0 <= self.id < machine.devices:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        machine.current = self.id

    def __enter__(self) -> Device:
        self._before = machine.current
        self.use()
        return self

    def __exit__(self, *exception: object) -> None:
        machine.current = self._before

    def synchronize(self) -> None:
        """Wait for the device."""
        LEDGER.synchronise("synchronize()")

    @property
    def mem_info(self) -> tuple[int, int]:
        """(free, total) bytes."""
        return 3 * 2**30, 4 * 2**30

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def _is_available() -> bool:
    return machine.driver >= machine.runtime and machine.devices > 0


def _device_count() -> int:
    machine.require()
    return machine.devices


def _properties(index: int) -> dict[str, Any]:
    machine.require()
    return {"name": f"stand-in {index}".encode(), "totalGlobalMem": 4 * 2**30}


def cuda_module() -> types.ModuleType:
    """`cupy.cuda`."""
    cuda = types.ModuleType("cupy.cuda")
    runtime = types.ModuleType("cupy.cuda.runtime")
    runtime.CUDARuntimeError = CUDARuntimeError
    runtime.driverGetVersion = lambda: machine.driver
    runtime.runtimeGetVersion = lambda: machine.runtime
    runtime.getDeviceCount = _device_count
    runtime.getDevice = current_device
    runtime.getDeviceProperties = _properties
    cuda.runtime = runtime
    cuda.is_available = _is_available
    cuda.Device = Device
    return cuda
