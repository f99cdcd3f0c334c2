"""Each kernel is compiled once and loaded from disk by all that use it: for all threads, and for the caller's alone.

What is for all threads is compiled in a process of its own. A process that compiles a parallel loop itself runs code
that is optimised otherwise than what it keeps on disk: the loop's body has been compiled before, alone, and that
version is the one that it calls. Sums would then have other last bits than in every later run.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import os
import pickle
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite.binding
import numba
from numba.core import event
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys

__all__ = ["Compiled", "Kernel", "compile_parallel", "compile_serial"]

if numba.config.DISABLE_JIT:
    raise RuntimeError("NUMBA_DISABLE_JIT is set")

IDLE = 30.0  # seconds without a request after which the process that compiles gives its memory back


class _Cache(FunctionCache):
    """Compiled code on disk, loaded without all that Numba knows of NumPy and Python, which only compiling takes.

    Numba would import it before it looks, and SciPy's linear algebra with it: a fifth of the time to a process's first
    step.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)  # what compiled code itself calls
        try:
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except Exception:  # a damaged file can raise anything; what is on disk is compiled anew
            with contextlib.suppress(OSError):
                self.flush()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with contextlib.suppress(OSError):  # on a full disk, say: the code serves this process alone
            super().save_overload(sig, data)


class _KernelCache(_Cache):
    """The same for code that no other compiled code calls: the bitcode that would be linked into that stays unread.

    To read it takes longer than to load the machine code.
    """

    def _load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        held = self._cache_file.load(self._index_key(sig, target_context.codegen()))
        if held is None:
            return None
        (name, kind, code), function, *rest = held
        if kind == "object":
            machine_code, _ = code
            # Numba looks up only what some bitcode says that there is: the function that Python calls.
            named = f'define void @"{function.llvm_cpython_wrapper_name}"() {{ ret void }}'
            code = machine_code, llvmlite.binding.parse_assembly(named).as_bitcode()
        return self._impl.rebuild(target_context, ((name, kind, code), function, *rest))


def _compile(cache_class: type[_Cache] = _Cache, **options: Any) -> Callable[[FunctionType], Any]:
    """The decorator that Numba gives for the options, for code that is kept on disk."""

    def compiled(function: FunctionType) -> Any:
        # The error model divides by zero as IEEE 754 does instead of testing for it. Compiled code releases the GIL.
        dispatcher = numba.njit(**{"nogil": True, "cache": True, "error_model": "numpy", **options})(function)
        if isinstance(dispatcher._cache, FunctionCache):
            dispatcher._cache.__class__ = cache_class
        return dispatcher

    return compiled


compile_serial = _compile  # for the serial pieces that kernels are made of


class Kernel:
    """A function whose loops over `prange` are shared among threads in `parallel`, and are plain ones in `alone`.

    Both are compiled when they are first called. `parallel.launch` chooses: a parallel loop costs some 5 µs also on one
    thread. An iteration computes the same in both, but a sum may have other last bits.
    """

    def __init__(self, function: FunctionType, **options: Any) -> None:
        self.parallel = _compile(_KernelCache, parallel=True, **options)(function)
        twin = FunctionType(function.__code__, function.__globals__, function.__name__)
        twin.__qualname__ = f"{function.__qualname__}_alone"  # after which the compiled code's file is named
        self.alone = _compile(_KernelCache, **options)(twin)


def compile_parallel(**options: Any) -> Callable[[FunctionType], Kernel]:
    """The decorator that makes a `Kernel`, with options of `numba.njit`.

    Sums may be regrouped (so that they vectorise) and a · b + c fused, but NaN, inf and -0.0 < x keep their meaning.
    """
    return functools.partial(Kernel, **{"fastmath": {"reassoc", "contract", "nsz", "arcp"}, **options})


class Compiled(Exception):
    """Raised by the first call of parallel code that was not on disk, before it has done anything."""


class _Compiler(event.Listener):
    """Numba raises this event for a kernel that is not in its cache on disk: another process then compiles it."""

    def __init__(self) -> None:
        self.here = False  # whether this process is the one that compiles
        self.said = False
        self.asked: set[Any] = set()
        self.process: Any = None
        self.owner = 0

    def on_start(self, event: event.Event) -> None:
        kernel, types = event.data["dispatcher"], event.data["args"]
        module, name = kernel.py_func.__module__ or "", kernel.py_func.__name__  # other people's may have no module
        if self.here or not module.startswith("mydl."):
            return
        if not self.said:
            self.said = True
            print("mydl: compiling kernels once, later runs find them on disk ...", file=sys.stderr)
        # Asked for a second time it could not be kept on disk; then this process has to compile it.
        if kernel.targetoptions.get("parallel") and (module, name, types) not in self.asked:
            self.asked.add((module, name, types))
            if self._ask(module, name, types):
                raise Compiled

    def on_end(self, event: event.Event) -> None:
        pass

    def _ask(self, *request: Any) -> bool:
        """Whether the other process, which is started for the first request, has compiled the kernel."""
        for _ in range(2):  # of a new process, if the old one has gone
            with contextlib.suppress(OSError):
                if self.process is None or self.owner != os.getpid():
                    self._start()
                pickle.dump(request, self.process.stdin)
                self.process.stdin.flush()
                if self.process.stdout.readline() == b"compiled\n":
                    return True
            self.close()
        return False

    def _start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
        # In a session of its own: Ctrl-C is not for it. What it cannot compile this process will complain of.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip
        self.owner = os.getpid()
        atexit.register(self.close)

    def close(self) -> None:
        """Let the other process end; it does when nothing more can come."""
        if self.process is not None and self.owner == os.getpid():  # a fork has no children
            self.process.communicate()
        self.process = None


def serve() -> None:
    """Compile what the parent asks for, until it has ended or has asked for nothing for a while."""
    _compiler.here = True
    # What else is printed must not come between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    with contextlib.suppress(EOFError):
        while select.select([sys.stdin], [], [], IDLE)[0]:
            module, name, types = pickle.load(sys.stdin.buffer)  # the parent's, from no file
            getattr(importlib.import_module(module), name).parallel.compile(types)
            print("compiled", file=answers, flush=True)


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


_compiler = _Compiler()
event.register("numba:compile", _compiler)
_forget_stale()
_in_the_folder()  # the first call of compiled code has Numba prepare itself: here, not in a model's first step
