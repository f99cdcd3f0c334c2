"""What every program does with its command line, and how it ends: errors as one line, with exit status 2."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from mydl import distributed

__all__ = [
    "CommandLine", "Stopped", "fraction", "non_negative", "positive_float", "positive_int", "run", "seed",
    "stop_requests",
]  # fmt: skip


class CommandLine(argparse.ArgumentParser):
    """An argument parser whose help tells the defaults and whose errors are one line.

    >>> parser = CommandLine("count", "Count to N.")
    >>> _ = parser.add_argument("--to", metavar="N", type=positive_int, default=3, help="the last number")
    >>> "--to N      the last number (3)" in parser.format_help(), parser.parse_args(["--to", "5"]).to
    (True, 5)
    """

    def __init__(self, name: str, description: str) -> None:
        self.flags: dict[str, argparse.Action] = {}
        self._section: Any = super()
        super().__init__(prog=name, description=description, allow_abbrev=False)

    def section(self, title: str) -> None:
        """List the arguments that follow under a title of their own in the help."""
        self._section = self.add_argument_group(title)

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:  # type: ignore[override]
        """As argparse has it; the help, which is asked for, goes on with the default where there is one.

        `flags` has the arguments by the names of their values.
        """
        if options.get("default") not in (None, "", argparse.SUPPRESS) and options.get("action") != "help":
            default = options["default"]
            options["help"] += f" ({' '.join(map(str, default)) if isinstance(default, list) else '%(default)s'})"
        action = self._section.add_argument(*names, **options)
        if action.dest != "help":
            self.flags[action.dest] = action
        return action

    def add_common(self, *names: str) -> None:
        """Add arguments of `COMMON`."""
        for name in names:
            self.add_argument(name, **COMMON[name])

    def error(self, message: str) -> NoReturn:
        """End the program: one line on stderr, exit status 2."""
        _end(self.prog, f"error: {message}; see --help", 2)


def _number(text: str, convert: type, wanted: str, test: Callable[[Any], bool]) -> Any:
    try:
        value = convert(text)
    except ValueError:
        value = None
    if value is None or not test(value):
        raise argparse.ArgumentTypeError(f"wanted {wanted}, got {text!r}")
    return value


def positive_int(text: str) -> int:
    """A whole number above 0 and below 2**31, for argparse.

    >>> positive_int("3")
    3
    """
    return _number(text, int, "a whole number above 0 (and below 2**31)", lambda n: 0 < n < 2**31)


def seed(text: str) -> int:
    """A whole number from 0 to 2**64 - 1, for argparse.

    >>> seed("0")
    0
    """
    return _number(text, int, "a whole number from 0 to 2**64 - 1", lambda n: 0 <= n < 2**64)


def positive_float(text: str) -> float:
    """A finite number above 0, for argparse.

    >>> positive_float("0.1")
    0.1
    """
    return _number(text, float, "a number above 0", lambda x: 0 < x < float("inf"))


def non_negative(text: str) -> float:
    """A finite number of at least 0, for argparse.

    >>> non_negative("0")
    0.0
    """
    return _number(text, float, "a number of at least 0", lambda x: 0 <= x < float("inf"))


def fraction(text: str) -> float:
    """A number of at least 0 and below 1, for argparse.

    >>> fraction("0.3")
    0.3
    """
    return _number(text, float, "a number of at least 0 and below 1", lambda x: 0 <= x < 1)


# Arguments that several programs have.
COMMON: dict[str, dict[str, Any]] = {
    "--data-dir": {
        "metavar": "DIR", "help": "folder of the data files (else MYDL_DATA, a cache folder, a download)",
    },
    "--weights": {"choices": ("best", "last"), "help": "which weights of the run (best)"},
    "--device": {"choices": ("cpu", "cuda"), "default": "cpu", "help": "where to compute"},
    "--threads": {"metavar": "N", "type": positive_int, "help": "CPU threads (all)"},
}  # fmt: skip


class Stopped(KeyboardInterrupt):
    """The program ends because of a signal, after it has put things in order; `run` gives the status for it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """While it lasts, Ctrl-C and SIGTERM are noted only; what it gives says which came, 0 for none.

    A second one ends the program at once, as does a first one in a thread that is not the main one.

    >>> with stop_requests() as stop_requested:
    ...     print(stop_requested())
    0
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    came: list[int] = []

    def note(number: int, frame: Any) -> None:
        if came:
            raise Stopped(number)
        came.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came[0] if came else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(main: Callable[[], None], name: str) -> None:
    """Run a program: what the user can cause ends in one line and exit status 2, Ctrl-C in status 130
    and SIGTERM, where the program ends by `Stopped`, in 143.

    With MYDL_TRACEBACK=1 in the environment the error keeps its traceback.

    >>> run(lambda: print("done"), "program")
    done
    """
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us; the progress bar would trip over it
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115 - open until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        # So that a pipe or a log gets each line when it is printed; and a file name is never unprintable.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    try:
        main()
        print(end="", flush=True)
    except KeyboardInterrupt as error:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # below the progress bar and the terminal's ^C
        _end(name, "interrupted", 128 + getattr(error, "number", signal.SIGINT))
    except BrokenPipeError:
        _end(name, "error: the reader of the output (head, less) has gone before the end", 2)
    except (ValueError, TypeError, IndexError, RuntimeError, OSError, OverflowError, MemoryError) as error:
        if os.environ.get("MYDL_TRACEBACK") == "1":
            raise
        _end(name, f"error: {_explained(error)}", 2)


def _explained(error: Exception) -> str:
    """What an exception says, the system's own with the file first, as in all other messages."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def _end(name: str, text: str, status: int) -> NoReturn:
    """Say in one line what ended the program, and end it; with an error the other ranks of a run too."""
    if status == 2 and distributed.world_size() > 1:
        distributed.abort(f"{name}: {text}")
    with contextlib.suppress(OSError):  # stderr may have gone the way of stdout
        if distributed.rank() == 0:
            print(f"{name}: {' '.join(text.split())}", file=sys.stderr)
    try:
        print(end="", flush=True)
    except OSError:
        # What stdout could not take would be tried again at exit, and fail with a second message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)
