"""Settings that should be in the environment before NumPy loads its BLAS; imported first by `mydl/__init__.py`.

NumPy's bundled OpenBLAS picks its kernels from a table of CPU models. A CPU newer than the table gets a
conservative core: on a Zen 5 the Haswell one, about half as fast as the AVX-512 core that the CPU can run. Where
the CPU has AVX-512 and the user has set nothing, `OPENBLAS_CORETYPE=SkylakeX` names that core.

After a matrix product OpenBLAS's threads go on spinning for 2**26 clock cycles, in which they take the cores from the
kernels that come next. `OPENBLAS_THREAD_TIMEOUT=20` lets them sleep after 2**20 cycles, a fraction of a millisecond.
Where NumPy has been imported before mydl, OpenBLAS is asked to look at its environment again.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from pathlib import Path

__all__ = ["choose_blas_core", "let_idle_threads_sleep"]


SET_HERE: list[str] = []  # the environment variables that this module has set


def _set(name: str, value: str) -> None:
    os.environ[name] = value
    SET_HERE.append(name)


def _cpu_flags() -> set[str]:
    """The CPU's feature flags as Linux lists them; empty where there is no such list."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("flags"):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def choose_blas_core() -> str:
    """Name OpenBLAS's AVX-512 core where it helps; say in one line what was done.

    The variable is set only when NumPy is not yet loaded, nobody has set it, and the CPU has the AVX-512 parts
    that the core uses.

    >>> isinstance(choose_blas_core(), str)
    True
    """
    chosen = os.environ.get("OPENBLAS_CORETYPE")
    if chosen:
        return f"OPENBLAS_CORETYPE={chosen}"
    if not {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"} <= _cpu_flags():
        return "OpenBLAS's own choice (no AVX-512 on this CPU)"
    if "numpy" in sys.modules:
        return (
            "OpenBLAS's own choice: NumPy was imported before mydl; import mydl first, "
            "or set OPENBLAS_CORETYPE=SkylakeX in the environment"
        )
    _set("OPENBLAS_CORETYPE", "SkylakeX")
    return "OPENBLAS_CORETYPE=SkylakeX, set by mydl"


def let_idle_threads_sleep() -> None:
    """Shorten the time for which OpenBLAS's idle threads spin, unless the user has set it.

    >>> let_idle_threads_sleep()
    """
    if "OPENBLAS_THREAD_TIMEOUT" in os.environ:
        return
    _set("OPENBLAS_THREAD_TIMEOUT", "20")
    if "numpy" in sys.modules and threading.active_count() == 1:  # nobody else can be in the middle of a product
        _start_threads_anew()


def _start_threads_anew() -> None:
    """End the threads of the OpenBLAS that is loaded; the next product starts others, with the time set by now."""
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["internal_api"] == "openblas":
            blas = ctypes.CDLL(library["filepath"])
            if hasattr(blas, "openblas_read_env") and hasattr(blas, "blas_thread_shutdown_"):
                blas.openblas_read_env()
                blas.blas_thread_shutdown_()


STATUS = choose_blas_core()
let_idle_threads_sleep()
