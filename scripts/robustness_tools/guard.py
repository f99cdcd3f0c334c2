"""Strangers' files are read in a process of their own that has little memory, is watched, and may be killed."""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from scripts.robustness_tools.tally import Effort, Tally

__all__ = ["ORDINARY", "Read", "attempt", "guarded", "ordinary_error"]

Read = Callable[[Random, Path], "str | None"]  # of one turn's file in a folder; says what was wrong

ORDINARY = (ValueError, TypeError, RuntimeError, OSError)
MEMORY = 256 << 20  # bytes that reading one file may take
WARM_UP = 20  # turns before anybody looks
SILENCE = 60.0  # seconds without an answer after which a file counts as one that hangs

# What no reader has to do, whatever is in the file.
FORBIDDEN = {
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "socket.connect",
    "socket.bind", "pickle.find_class", "webbrowser.open", "os.kill",
}  # fmt: skip
WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate"}


def ordinary_error(error: BaseException, name: str) -> str | None:
    """What is wrong with an error that a damaged file gave; None if it is one as it should be.

    >>> ordinary_error(ValueError("photo.png: cut short"), "photo.png")
    >>> ordinary_error(KeyError("x"), "photo.png")
    "KeyError: 'x'"
    """
    text = f"{type(error).__name__}: {error}"
    if not isinstance(error, ORDINARY) or isinstance(error, UnicodeError | RecursionError):
        return text
    if ("MemoryError" in text or "no memory" in text) and not _from_parser(error):
        return f"more than {MEMORY >> 20} MB: {text}"
    if name not in f"{error} {getattr(error, 'filename', '')}":
        return f"the file is not named: {text}"
    return None


def _from_parser(error: BaseException) -> bool:
    """Whether Python's parser raised it: it calls too many brackets a MemoryError, and has taken no memory."""
    trace = (error.__cause__ or error).__traceback__
    return trace is not None and traceback.extract_tb(trace)[-1].filename.endswith("ast.py")


def attempt(path: Path, *reads: Callable[[Path], Any]) -> str | None:
    """Read the file in each way; what is wrong with the error that that gives, if anything is.

    >>> attempt(Path("photo.png"), str, lambda path: [][0])
    'IndexError: list index out of range'
    """
    for read in reads:
        try:
            read(path)
        except Exception as error:  # noqa: PERF203 - each is a reading of its own
            fault = ordinary_error(error, str(path))
            if fault is not None:
                return fault
    return None


def guarded(read: Read, effort: Effort, tally: Tally, folder: Path) -> None:
    """Call `read` for every turn of `effort`, in child processes; what goes wrong is lost in `tally`.

    `read` gets the turn's random numbers and a folder to put its files in. It returns None, or a few words on what
    was wrong. It is lost as well when it raises, dies, answers nothing for a minute, takes more than 256 MB, writes
    outside `folder`, runs code or opens a connection.
    """
    shared = mmap.mmap(-1, 8)
    first = effort.first
    while first < effort.count and time.monotonic() < effort.deadline:
        shared[:8] = struct.pack("<q", first)
        receive, send = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(receive)
            _work(read, effort, first, shared, send, folder)
        os.close(send)
        status, report = _watch(child, receive, shared)
        (number,) = struct.unpack("<q", shared[:8])
        for line in report.splitlines():
            tally.lose(json.loads(line))
        if status == 0:
            tally.tried += number - first
            return
        how = "no answer for a minute" if status < 0 else f"the process died of {_cause(status)}"
        tally.lose(f"{tally.what}, seed {effort.seed}, input {number}: {how}")
        tally.tried += number + 1 - first
        first = number + 1


def _watch(child: int, receive: int, shared: Any) -> tuple[int, str]:
    """Wait for the child; its status (-1 if it had to be killed) and what it reported."""
    os.set_blocking(receive, False)
    report, last, silence, status = b"", bytes(shared[:8]), 0.0, None
    while status is None:
        time.sleep(0.01)
        silence += 0.01  # the time that this process was awake: both may have been stopped, or the machine asleep
        ended, code = os.waitpid(child, os.WNOHANG)
        if ended:
            status = code
        elif shared[:8] != last:
            last, silence = bytes(shared[:8]), 0.0
        elif silence > SILENCE:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            status = -1
        try:
            while part := os.read(receive, 1 << 16):
                report += part
        except BlockingIOError:
            continue
    os.close(receive)
    return status, report.decode()


def _cause(status: int) -> str:
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"


def _work(read: Read, effort: Effort, first: int, shared: Any, send: int, folder: Path) -> None:
    """The child: turn after turn, to the last, or to the end of the time. It never returns."""
    status = 70
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        warnings.simplefilter("ignore")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff speaks there
        for number in range(WARM_UP):  # what is imported at first use is imported before anybody looks
            try:
                read(effort.turn(-1 - number), folder)
            except Exception:  # noqa: PERF203 - the turns to come are the ones that count
                continue
        gc.collect()
        highest = open("/proc/self/clear_refs", "wb", buffering=0)  # noqa: SIM115 - until the process ends
        seen = _eyes(folder)
        _give_back()
        start, limit = _memory("VmRSS"), _memory("VmData") + MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        for number in range(first, effort.count):
            if time.monotonic() > effort.deadline:
                break
            for _ in range(2):
                before = _memory("VmRSS")
                if before - start > MEMORY >> 5:
                    _give_back()
                    before = _memory("VmRSS")
                highest.write(b"5")  # the highest resident size is from here on
                try:
                    fault = read(effort.turn(number), folder)
                except BaseException as error:
                    fault = f"{type(error).__name__}: {error}"
                if fault is None and seen:
                    fault = seen[0]
                seen.clear()
                taken = _memory("VmHWM") - before
                if fault is not None or taken <= MEMORY:
                    break
                # Once more: pages of libraries count that the system had taken back and that were used again.
                fault = f"more than {MEMORY >> 20} MB were in use: {taken >> 20}"
            if fault is not None:
                _send(send, f"{effort.seed} {number}: {fault}"[:400])
            shared[:8] = struct.pack("<q", number + 1)
        status = 0
    finally:
        os._exit(status)


def _give_back() -> None:
    """Return what was freed to the system, or it would be taken again unseen. Not every C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _memory(name: str) -> int:
    """A size of this process in bytes, by its name in the system's own account."""
    with open("/proc/self/status", "rb") as file:
        text = file.read()
    place = text.index(name.encode()) + len(name) + 1
    return int(text[place : text.index(b"kB", place)]) * 1024


def _send(descriptor: int, text: str) -> None:
    os.write(descriptor, (json.dumps(text) + "\n").encode())


def _eyes(folder: Path) -> list[str]:
    """A list that from now on gets a line for everything this process does that no reader of files has to do."""
    seen: list[str] = []
    home = os.path.realpath(folder)

    def outside(path: Any) -> bool:
        if isinstance(path, int):
            return False
        path = os.path.abspath(os.fsdecode(path))
        return path not in (home, os.devnull) and not path.startswith(home + os.sep)

    def look(event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = (
                flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
                if isinstance(flags, int)
                else set(mode or "") & set("wax+")
            )
            if writes and outside(path):
                seen.append(f"opened {path} for writing")
        elif event in WRITES:
            # With the descriptor of a folder at the end a name is relative to it: that is rmtree, clearing up.
            paths = [a for a in arguments[event == "os.symlink" : 2] if isinstance(a, str | bytes | os.PathLike)]
            if arguments[-1] in (-1, None) and any(map(outside, paths)):
                seen.append(f"{event} {arguments[:2]}")
        elif event in FORBIDDEN:
            seen.append(f"{event} {arguments}"[:200])
        elif event == "exec" and getattr(arguments[0], "co_filename", "").startswith("<string"):
            seen.append(f"ran code: {arguments[0]}")

    sys.addaudithook(look)
    return seen
