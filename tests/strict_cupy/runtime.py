"""The stand-in's `cupy.cuda`: devices, versions, memory pools and streams, whose answers a test can set."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any

from tests.strict_cupy import recording
from tests.strict_cupy.ledger import LEDGER

__all__ = ["CUDARuntimeError", "Device", "Machine", "Stream", "cuda_module", "current_device", "machine"]


class CUDARuntimeError(RuntimeError):
    """What CuPy raises when the CUDA runtime refuses."""


class Pool:
    """A memory pool that says what a test has set."""

    used, total = 2**20, 3 * 2**20

    def malloc(self, size: int) -> Any:
        """What `using_allocator` is given; the stand-in's memory is NumPy's all the same."""
        raise AssertionError("the stand-in's arrays are made by NumPy")

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


class Event:
    """A place in a stream's work."""


class Stream:
    """A queue of work, done at once here; one that captures notes it down too."""

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        machine.require()
        self.non_blocking = non_blocking
        self.ptr = 0 if null else id(self)

    def __enter__(self) -> Stream:
        _streams.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _streams.pop()

    def record(self, event: Event | None = None) -> Event:
        """A place after what was given to the stream so far."""
        return event or Event()

    def wait_event(self, event: Event) -> None:
        """Do nothing more until that place is reached."""
        if not isinstance(event, Event):
            raise TypeError(f"wait_event: wanted an Event, got {event!r}")

    def begin_capture(self, mode: int | None = None) -> None:
        """Note the work down from now on."""
        if self.ptr == 0:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if not self.non_blocking:  # another thread's work on the default stream would end the capture
            raise CUDARuntimeError("cudaErrorStreamCaptureImplicit: the legacy stream would depend on a capturing one")
        if get_current_stream() is not self or _allocators[-1] is None:
            raise AssertionError(
                "to be captured, work must be given to this stream, with memory from a pool of its own"
            )
        recording.start()

    def end_capture(self) -> recording.Graph:
        """What was noted down, as a graph."""
        return recording.stop().finished()

    def synchronize(self) -> None:
        """Wait for all work."""
        LEDGER.synchronise("synchronize()")


_streams: list[Stream] = []
_allocators: list[Any] = [None]


def get_current_stream(device_id: int = -1) -> Stream:
    """The stream that work is given to."""
    return _streams[-1] if _streams else Stream(null=True)


@contextlib.contextmanager
def using_allocator(allocator: Any = None) -> Iterator[None]:
    """New arrays are made by this function."""
    _allocators.append(allocator)
    try:
        yield
    finally:
        _allocators.pop()


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
    cuda.Stream, cuda.Event, cuda.MemoryPool = Stream, Event, Pool
    cuda.get_current_stream, cuda.using_allocator = get_current_stream, using_allocator
    cuda.get_cublas_handle = lambda: LEDGER.library("cuBLAS")
    return cuda
