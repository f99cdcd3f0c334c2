"""The NumPy/CuPy switch: an array's module, devices, transfers; the default dtype, random generators, threads."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np

from mydl.cupy_loader import load_cupy
from mydl.errors import ShapeError

__all__ = [
    "Generator", "array_module", "default_generator", "device", "device_of", "get_default_dtype", "get_num_threads",
    "is_array", "manual_seed", "on_device", "philox", "set_default_dtype", "set_num_threads", "to_host",
]  # fmt: skip


def _keep_freed_memory() -> None:
    """Ask glibc to keep freed blocks for the next step instead of returning them to the kernel.

    A training step frees and asks for the same large arrays over and over; by default glibc maps each one anew and
    the kernel clears every page again. `MYDL_KEEP_MEMORY=0` leaves the allocator as it is.
    """
    if os.environ.get("MYDL_KEEP_MEMORY") == "0" or not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # another C library (musl) has none
        trim_threshold, mmap_max = -1, -4
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


_keep_freed_memory()


def array_module(array: Any) -> ModuleType:
    """The module that `array` belongs to: `numpy`, or `cupy` for an array on a GPU.

    >>> array_module(np.zeros(3)).__name__
    'numpy'
    """
    kind = type(array)
    if kind is np.ndarray or kind.__module__.partition(".")[0] == "numpy":
        return np
    if hasattr(array, "__cuda_array_interface__"):
        return sys.modules[kind.__module__.partition(".")[0]]
    if isinstance(array, np.ndarray):
        return np
    raise TypeError(f"wanted a NumPy or CuPy array, got {kind.__name__}")


def is_array(value: Any) -> bool:
    """Whether `value` is a NumPy or CuPy array (a NumPy scalar is not).

    >>> is_array(np.ones(2)), is_array(2.0)
    (True, False)
    """
    return isinstance(value, np.ndarray) or hasattr(value, "__cuda_array_interface__")


class device:
    """Where an array lives: `device("cpu")`, `device("cuda")`, `device("cuda:1")` or `device("cuda", 1)`.

    >>> device("cuda:1").index, device("cpu") == "cpu"
    (1, True)
    """

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __init__(self, type: str | device = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            index = type.index if index is None else index
            type = type.type
        if not isinstance(type, str):
            raise TypeError(f"device: wanted a name such as 'cpu' or 'cuda:0', got {type!r}")
        name, colon, number = type.partition(":")
        if colon:
            if index is not None or not number.isdigit():
                raise ShapeError(f"device: wanted 'cpu', 'cuda' or 'cuda:N', got {type!r}")
            index = int(number)
        if name not in ("cpu", "cuda"):
            raise ShapeError(f"device: wanted 'cpu', 'cuda' or 'cuda:N', got {type!r}")
        self.type = name
        self.index = index

    def __eq__(self, other: object) -> bool:
        return str(self) == (str(other) if isinstance(other, device) else other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"


_CPU = device("cpu")


def device_of(array: Any) -> device:
    """The device of an array.

    >>> device_of(np.zeros(1))
    device(type='cpu')
    """
    if isinstance(array, np.ndarray):
        return _CPU
    return device("cuda", int(array.device.id))


def on_device(array: Any, where: device | str) -> Any:
    """`array` on device `where`; the same array if it is there already.

    Raises RuntimeError, in one line, when a GPU is asked for and CuPy or the GPU is missing.

    >>> a = np.zeros(2)
    >>> on_device(a, "cpu") is a
    True
    """
    where = device(where)
    if where.type == "cpu":
        return array if isinstance(array, np.ndarray) else array_module(array).asnumpy(array)
    cupy = load_cupy()
    if where.index is None:
        return cupy.asarray(array) if isinstance(array, np.ndarray) else array
    devices = cupy.cuda.runtime.getDeviceCount()
    if where.index >= devices:
        raise RuntimeError(f"device {where}: wanted one of the {devices} visible GPUs, cuda:0 to cuda:{devices - 1}")
    with cupy.cuda.Device(where.index):
        return cupy.asarray(array)


def to_host(array: Any) -> np.ndarray:
    """The array as a NumPy array: itself on the CPU, a copy from the GPU.

    >>> to_host(np.ones(1))
    array([1.])
    """
    return on_device(array, _CPU)


_default_dtype = np.dtype(np.float32)


def get_default_dtype() -> np.dtype:
    """The dtype that Python floats become; float32 unless `set_default_dtype` changed it.

    >>> get_default_dtype()
    dtype('float32')
    """
    return _default_dtype


def set_default_dtype(dtype: Any) -> None:
    """Make `dtype` (a floating one) the dtype that Python floats become.

    >>> set_default_dtype(np.float32)
    """
    global _default_dtype
    wanted = np.dtype(dtype)
    if wanted.kind != "f":
        raise TypeError(f"set_default_dtype: wanted a floating dtype, got {wanted}")
    _default_dtype = wanted


# Random numbers ----------------------------------------------------------------------------------------------

_WORD = 2**64 - 1


def philox(seed: int, *counters: int) -> np.random.Generator:
    """A NumPy generator whose draws are a function of `seed` and up to four counters, and of nothing else.

    The first counter is the purpose (it goes into Philox's key beside the seed), the others become the high words
    of Philox's counter; each combination has 2**64 blocks of its own. (Salmon et al., "Parallel random numbers: as
    easy as 1, 2, 3", 2011.)

    >>> bool(philox(0, 1, 2).random() == philox(0, 1, 2).random())
    True
    """
    if len(counters) > 4:
        raise ValueError(f"philox: at most 4 counters, got {len(counters)}")
    purpose, *rest = (*counters, 0, 0, 0, 0)[:4]
    key = np.array([seed & _WORD, purpose & _WORD], dtype=np.uint64)
    counter = np.array([0, *(c & _WORD for c in rest)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Generator:
    """A source of random draws whose whole state is two integers: a seed and the number of draws made so far.

    Draw number k is `philox(seed, purpose, k)`, so restoring the two integers restores every later draw.

    >>> a, b = Generator(1), Generator(1)
    >>> bool(a.next().random() == b.next().random())
    True
    """

    def __init__(self, seed: int = 0, *, device: Any = None) -> None:  # its numbers are the same on every device
        self._lock = threading.Lock()
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`, at draw 0; returns the generator itself."""
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise TypeError(f"manual_seed: wanted an integer, got {type(seed).__name__}")
        self.seed = int(seed)
        self.draws = 0
        return self

    def __getstate__(self) -> dict[str, int]:  # a lock can be neither copied nor pickled
        return {"seed": self.seed, "draws": self.draws}

    def __setstate__(self, state: dict[str, int]) -> None:
        self._lock = threading.Lock()
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return "<Generator>"

    def initial_seed(self) -> int:
        """The seed last set."""
        return self.seed

    def place(self, purpose: int = 0) -> tuple[int, int, int]:
        """What `philox` takes for the next draw: seed, purpose and number."""
        with self._lock:
            number = self.draws
            self.draws += 1
        return self.seed, purpose, number

    def next(self, purpose: int = 0) -> np.random.Generator:
        """The NumPy generator of the next draw."""
        return philox(*self.place(purpose))

    def get_state(self) -> tuple[int, int]:
        """(seed, number of draws made)."""
        return self.seed, self.draws

    def set_state(self, state: tuple[int, int]) -> None:
        """Go back to a state that `get_state` gave."""
        self.seed, self.draws = int(state[0]), int(state[1])


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, from which weights, dropout masks and `rand` draw; returns it.

    >>> manual_seed(0).initial_seed()
    0
    """
    return default_generator.manual_seed(seed)


# Threads -----------------------------------------------------------------------------------------------------


def get_num_threads() -> int:
    """The number of threads that matrix products and kernels use.

    >>> get_num_threads() >= 1
    True
    """
    return _num_threads


def set_num_threads(threads: int) -> None:
    """Let matrix products (BLAS) and mydl's kernels (Numba, where installed) use `threads` threads.

    >>> set_num_threads(get_num_threads())
    """
    from threadpoolctl import threadpool_limits

    global _num_threads
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"set_num_threads: wanted a positive integer, got {threads!r}")
    threadpool_limits(threads, user_api="blas")
    if "numba" in sys.modules:
        numba = sys.modules["numba"]
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    _num_threads = threads


def _available_cpus() -> int:
    with contextlib.suppress(AttributeError):  # no affinity on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_num_threads = _available_cpus()
