"""How kernels use the processor's cores: beside each other, beside BLAS and beside other Python threads.

Every kernel is called through `launch`.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.ufunc import parallel as numba_threads

from mydl import backend
from mydl.kernels.cpu.compiler import Compiled, Kernel

__all__ = ["LINE", "PARALLEL_FROM", "claim", "launch"]

# Work (elements to visit, say) from which on waking the other threads pays: they cost as much as some 10,000
# additions.
PARALLEL_FROM = 16384

LINE = 16  # float32 of a cache line: the room of a counter that threads share

_MOST: int = numba.config.NUMBA_NUM_THREADS
_one_at_a_time = threading.Lock()


@intrinsic
def claim(typingctx, counter):
    """The integer at an address, which is one more for the next who asks, in whichever thread.

    Units of work that are claimed one by one take all threads the same time, also where a core is slower than another
    because other programs use it; of fixed shares the slowest core's would be waited for.
    """

    def generate(context, builder, signature, args):
        word = ir.IntType(64)
        return builder.atomic_rmw("add", builder.inttoptr(args[0], word.as_pointer()), word(1), "monotonic")

    return types.int64(types.int64), generate


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
    return min(backend.get_num_threads(), _MOST)


def launch(kernel: Kernel, work: int, *arguments: Any) -> Any:
    """Call a kernel, on all of mydl's threads if `work` is large enough and on the caller's alone if not.

    One kernel uses the threads at a time, whichever Python thread asks: not all of Numba's threading layers allow more,
    and each kernel has use for every core. Numba's own number of threads, a setting of the calling Python thread, is
    the same afterwards.
    """
    if work < PARALLEL_FROM:
        return kernel.alone(*arguments)
    threads = _num_threads()
    with _one_at_a_time:
        # Without numba.get_num_threads's look, under two locks, at whether the threads run: `_start_threads` started
        # them.
        before = numba_threads._get_num_threads()
        if threads != before:
            numba.set_num_threads(threads)
        try:
            return kernel.parallel(*arguments)
        except Compiled:
            return kernel.parallel(*arguments)
        finally:
            if threads != before:
                numba.set_num_threads(before)


_start_threads()
