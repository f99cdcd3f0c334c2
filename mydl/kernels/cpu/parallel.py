"""How kernels use the processor's cores: beside each other, beside BLAS and beside other Python threads.

Every kernel is compiled with `compile_parallel` and called through `launch`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event

from mydl import backend

__all__ = ["PARALLEL_FROM", "compile_parallel", "compile_serial", "launch"]

# Sums may be regrouped (so that they vectorise) and a · b + c fused, but NaN, inf and -0.0 < x keep their
# meaning. NumPy's error model divides by zero as IEEE 754 does instead of testing for it. Kernels release the
# GIL.
compile_parallel = functools.partial(
    numba.njit,
    parallel=True,
    nogil=True,
    cache=True,
    error_model="numpy",
    fastmath={"reassoc", "contract", "nsz", "arcp"},
)

# For the serial pieces that parallel kernels are made of.
compile_serial = functools.partial(numba.njit, nogil=True, cache=True, error_model="numpy")

# Work (elements to visit, say) from which on waking the other threads pays: they cost as much as some 10,000
# additions.
PARALLEL_FROM = 16384

_one_at_a_time = threading.Lock()


def _start_threads() -> None:
    """Start Numba's threads so that they sleep soon after a kernel has ended.

    OpenMP's would otherwise spin for milliseconds and take the cores from the BLAS call that follows: a
    matrix product of 1 ms took 8 after a kernel. About 30 µs of spinning (2000 turns of GNU's) are left,
    because the next kernel of a chain then starts in 2 µs instead of 8. Settings of the user's go first; the
    environment is left as it was.
    """
    settings = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
    if settings.keys() & os.environ.keys():
        settings = {}
    os.environ.update(settings)
    try:
        numba.set_num_threads(_num_threads())
    finally:
        for name in settings:
            del os.environ[name]


def _num_threads() -> int:
    """The threads that mydl may use, as far as Numba has them."""
    return min(backend.get_num_threads(), numba.config.NUMBA_NUM_THREADS)


def launch(kernel: Callable[..., Any], work: int, *arguments: Any) -> Any:
    """Call a compiled kernel, on all of mydl's threads if `work` is large enough and on the caller's alone if
    not.

    One kernel runs at a time, whichever Python thread asks: not all of Numba's threading layers allow more,
    and each kernel has use for every core. Numba's own number of threads, a setting of the calling Python
    thread, is the same afterwards.
    """
    threads = _num_threads() if work >= PARALLEL_FROM else 1
    with _one_at_a_time:
        before = numba.get_num_threads()
        if threads == before:
            return kernel(*arguments)
        numba.set_num_threads(threads)
        try:
            return kernel(*arguments)
        finally:
            numba.set_num_threads(before)


@compile_serial()
def _in_the_folder():
    """Compiled code of this package is kept where that of this function would be."""


def _forget_stale() -> None:
    """Remove compiled kernels that are older than a source file of this package.

    Numba compiles a kernel anew when the file that it stands in has changed, but not when a function that it
    calls has changed in another file.
    """
    newest = max(source.stat().st_mtime for source in Path(__file__).parent.glob("*.py"))
    for index in Path(_in_the_folder.stats.cache_path).glob("*.nbi"):
        with contextlib.suppress(FileNotFoundError):  # another process may do the same
            if index.stat().st_mtime < newest:
                index.unlink()


class _SayOnce(event.Listener):
    """Says why a first run waits: Numba raises this event for a kernel that is not in its cache on disk."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: event.Event) -> None:
        if not self.said and event.data["dispatcher"].py_func.__module__.startswith("mydl."):
            self.said = True
            print("mydl: compiling kernels once, later runs find them on disk ...", file=sys.stderr)

    def on_end(self, event: event.Event) -> None:
        pass


event.register("numba:compile", _SayOnce())
_forget_stale()
_start_threads()
