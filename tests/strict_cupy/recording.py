"""What a capturing stream of the stand-in records, and the graph that replays it in the same memory.

While a stream captures, work is done so that shapes are known, and noted. When the capture ends, all that it changed is
put back and all that it made is spoilt: a captured step has not happened until its graph is launched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tests.strict_cupy.ledger import LEDGER

__all__ = ["Graph", "Recording", "allocated", "computed", "launched", "start", "stop"]


class Recording:
    """What was done since the capture began."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []
        self.before: list[tuple[np.ndarray, np.ndarray]] = []  # memory that was changed, and what was in it
        self.made: list[np.ndarray] = []

    def finished(self) -> Graph:
        """The graph, and everything as if nothing had been done."""
        for memory, content in reversed(self.before):
            memory[...] = content
        for memory in self.made:
            if memory.flags.writeable:
                memory[...] = np.nan if memory.dtype.kind == "f" else memory.dtype.type(1)
        return Graph(self.work)


class Graph:
    """Recorded work; each launch does it again."""

    def __init__(self, work: list[Callable[[], None]]) -> None:
        self.work = work
        self.launches = 0

    def launch(self, stream: Any = None) -> None:
        """Do the recorded work once more."""
        self.launches += 1
        for step in self.work:
            step()


_recording: Recording | None = None


def start() -> None:
    """A stream begins to capture."""
    global _recording
    _recording, LEDGER.capturing = Recording(), True


def stop() -> Recording:
    """It ends."""
    global _recording
    found, _recording, LEDGER.capturing = _recording, None, False
    assert found is not None
    return found


def _memories(values: Any) -> Iterable[np.ndarray]:
    """The NumPy arrays in nested lists, tuples and dicts."""
    if isinstance(values, np.ndarray):
        yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _memories(value)
    elif isinstance(values, dict):
        yield from _memories(list(values.values()))


def launched(run: Callable[[], Any], written: Iterable[np.ndarray]) -> None:
    """Device work without a result, which changes `written`."""
    if _recording is not None:
        _recording.before += [(memory, memory.copy()) for memory in written]
        _recording.work.append(run)
    run()


def allocated(memory: np.ndarray) -> np.ndarray:
    """New memory, which nothing has been written to."""
    if _recording is not None:
        _recording.made.append(memory)
    return memory


def computed(function: Callable[[], Any], *involved: Any) -> Any:
    """The result of a NumPy function on device memory: new arrays, or views or changes of the arrays `involved`."""
    if _recording is None:
        return function()
    sources = [memory for memory in _memories(involved) if memory.flags.writeable]
    before = [memory.copy() for memory in sources]
    result = function()
    if result is None or result is NotImplemented:
        parts: list[np.ndarray] = []
    else:
        parts = [np.asarray(part) for part in (result if isinstance(result, (tuple, list)) else (result,))]
    _recording.before += [
        (memory, content)
        for memory, content in zip(sources, before, strict=True)
        if memory.tobytes() != content.tobytes()
    ]
    new = [
        part if not any(np.may_share_memory(part, memory) for memory in _memories(involved)) else None for part in parts
    ]
    _recording.made += [part for part in new if part is not None]

    def again() -> None:
        repeated = function()
        repeated = repeated if isinstance(repeated, (tuple, list)) else (repeated,)
        for part, value in zip(new, repeated, strict=False):
            if part is not None:
                part[...] = value

    _recording.work.append(again)
    if result is None or result is NotImplemented:
        return result
    return parts if isinstance(result, list) else tuple(parts) if isinstance(result, tuple) else parts[0]
