"""The GPUs that CuPy sees: which there are, waiting for them, and their memory.

Nothing here has been run on a GPU yet: it is tested on a stand-in for CuPy that keeps CuPy's rules.

>>> import mydl
>>> mydl.cuda.is_available() == (mydl.cuda.device_count() > 0)
True
"""

from __future__ import annotations

from typing import Any

from mydl.backend import device, load_cupy

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "is_available",
    "memory_summary",
    "set_device",
    "synchronize",
    "why_unavailable",
]


def is_available() -> bool:
    """Whether tensors can be put on a GPU: `why_unavailable` says what is missing where they cannot."""
    return why_unavailable() is None


def why_unavailable() -> str | None:
    """The one line that says what is missing (CuPy, driver, GPU, CUDA libraries) and what to do; None if nothing is."""
    try:
        load_cupy()
    except RuntimeError as error:
        return str(error)
    return None


def device_count() -> int:
    """The number of GPUs that can be used; 0 where `is_available` is False."""
    return int(load_cupy().cuda.runtime.getDeviceCount()) if is_available() else 0


def current_device() -> int:
    """The index of the GPU that "cuda" means. RuntimeError where there is none."""
    return int(load_cupy().cuda.runtime.getDevice())


def set_device(where: Any) -> None:
    """Let "cuda" mean this GPU from now on, an index or a device with one; operations run on this GPU alone.

    RuntimeError where there is no such GPU.
    """
    wanted = where if isinstance(where, device) else device("cuda", where) if isinstance(where, int) else device(where)
    if wanted.type != "cuda" or wanted.index is None:
        raise ValueError(f"set_device: wanted an index or 'cuda:N', got {where!r}")
    cupy, devices = load_cupy(), device_count()
    if wanted.index >= devices:
        raise RuntimeError(f"set_device: wanted one of the {devices} visible GPUs, got {wanted}")
    cupy.cuda.Device(wanted.index).use()


def synchronize(where: Any = None) -> None:
    """Wait until a GPU (the current one by default) has done all that it was given."""
    load_cupy().cuda.Device(_index(where)).synchronize()


def empty_cache() -> None:
    """Give memory that CuPy holds but no array uses back to the driver; without a GPU there is none."""
    if is_available():
        cupy = load_cupy()
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()


def memory_summary(where: Any = None) -> str:
    """A few lines: the memory in use by arrays, held by CuPy, and free on a GPU (the current one by default)."""
    cupy = load_cupy()
    gpu = cupy.cuda.Device(_index(where))
    with gpu:
        free, total = gpu.mem_info
        pool = cupy.get_default_memory_pool()
        used, held = pool.used_bytes(), pool.total_bytes()
    rows = [("in use by arrays", used), ("held by CuPy", held), ("free on the device", free), ("on the device", total)]
    return "\n".join([f"cuda:{gpu.id}", *(f"{name:<20}{size / 2**20:12,.1f} MiB" for name, size in rows)])


def _index(where: Any) -> int:
    """The index in a device, or in what names one; the current GPU for None."""
    if where is None or isinstance(where, int):
        return current_device() if where is None else where
    index = device(where).index
    return current_device() if index is None else index
