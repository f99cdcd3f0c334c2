"""A benchmark's worker: one library in a process of its own, asked over standard input and output.

It is run as `python scripts/benchmark_tools/worker '{"library": "pytorch", …}'`, by its folder and not as a
module of `scripts`, because that package imports mydl: mydl chooses NumPy's BLAS core and tells the allocator
to keep memory, which the other libraries must be measured without.

A request and its reply are a line of JSON each. Requests:

    {"do": "prepare", "name": …, "kind": …, "options": {…}, "warm": n}   build a workload, run it n times
    {"do": "run", "name": …, "steps": n, "turn": k}   run it n times, from the k-th core on -> {"seconds": [n times]}
    {"do": "settle"}                         wait until the library's threads are idle
    {"do": "forget"}                         let go of all workloads
    {"do": "memory"}                         -> {"bytes": the process's peak resident memory}
    {"do": "call", "function": …, "options": {…}}   another function of the library -> {"value": …}

Anything that goes wrong is the reply {"error": reason}.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

LIBRARIES = {"mydl": "mydl_library", "pytorch": "pytorch_library", "jax": "jax_library"}
REPEAT_BELOW = 0.1  # seconds: a shorter step runs once untimed in each turn, since its caches were another's
SETTLE_PAUSE, SETTLE_TRIES = 0.01, 100  # seconds between looks at whether the threads are idle, and how many


def peak_memory() -> int:
    """Bytes of the largest resident set that this process has had.

    Linux's VmHWM starts anew with each program, where its `ru_maxrss` goes on from the parent's.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def begin_on_core(turn: int) -> None:
    """Move this thread to one of its cores, another one each turn; it may leave again.

    A core that other programs slow down is then one for all libraries in the same turns.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[turn % len(cores)]})
        os.sched_setaffinity(0, cores)


class Worker:
    """The library, and the workloads that it has built so far."""

    def __init__(self, library: str, variant: str, threads: int, device: str) -> None:
        self.library = importlib.import_module(LIBRARIES[library]).Library(variant, threads, device)
        self.steps: dict[str, Callable[[], Any]] = {}

    def prepare(self, name: str, kind: str, options: dict[str, Any], warm: int) -> dict[str, Any]:
        step = self.steps[name] = getattr(self.library, kind)(**options)
        seconds = [self._time(step) for _ in range(warm)]
        return {"seconds": seconds}

    def run(self, name: str, steps: int, turn: int) -> dict[str, Any]:
        step = self.steps[name]
        begin_on_core(turn)
        first = self._time(step)
        if steps > 1 and first < REPEAT_BELOW:
            first = self._time(step)
        return {"seconds": [first, *(self._time(step) for _ in range(steps - 1))]}

    @staticmethod
    def _time(step: Callable[[], Any]) -> float:
        started = time.perf_counter()
        step()
        return time.perf_counter() - started

    def settle(self) -> dict[str, Any]:
        """Wait until this process's threads have stopped looking for work, at most a second.

        After a step they spin: OpenMP's for some milliseconds, OpenBLAS's for a tenth of a second. The other
        library's step would be measured on the cores that are left.
        """
        for _ in range(SETTLE_TRIES):
            before = time.process_time()
            time.sleep(SETTLE_PAUSE)
            if time.process_time() - before < 0.1 * SETTLE_PAUSE:
                break
        return {}

    def forget(self) -> dict[str, Any]:
        self.steps.clear()
        return {}

    def memory(self) -> dict[str, Any]:
        return {"bytes": peak_memory()}

    def call(self, function: str, options: dict[str, Any]) -> dict[str, Any]:
        return {"value": getattr(self.library, function)(**options)}


def main() -> None:
    # What a library prints must not get between the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's: it closes standard input
    worker: Worker | None = None
    for line in sys.stdin:
        try:
            if worker is None:
                worker = Worker(**json.loads(sys.argv[1]))
            request = json.loads(line)
            reply = getattr(worker, request.pop("do"))(**request)
        except Exception as error:  # whatever a library raises is a result of the benchmark
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
