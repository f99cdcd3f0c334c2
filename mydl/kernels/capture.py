"""What a captured step must still be told: the numbers that Python keeps and that change from step to step.

While `mydl.cuda.graphed` records a step, a number that Python hands to a kernel is frozen into the recording. Those
that must not be (learning rates, step counts, the place in the random sequence) are asked for here: outside of a
recording the answer is the number itself, inside of one a device array that is kept up to date.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Capture", "Draw", "Live", "Products", "count", "draws", "live", "refuse"]


class Live:
    """One number on the device, which replays use in the place of Python's.

    Args:
        array: its array of one element.
        first: what it is in the step that is recorded.
        read: what it is to be in the next step.
        increment: what each replay adds to it, at its end.
    """

    def __init__(self, array: Any, first: Any, read: Callable[[], Any], increment: int = 0) -> None:
        self.array = array
        self.wanted = first
        self.read = read
        self.increment = increment
        self.held: Any = None  # on the device; None for anything

    def write(self, first: bool) -> None:
        """Bring the device's number up to date before a launch, the first one or another, where it is not."""
        if not first:
            self.wanted = self.read()
        if self.held != self.wanted:
            self.array.fill(self.array.dtype.type(self.wanted))
        self.held = self.wanted + self.increment


class Capture:
    """The recording of one step: the numbers it reads from the device, and what it did on the host.

    Attributes:
        replays: functions to call with each replay; they do on the host what the step did there.
        undo: functions that take back what the step did on the host while it was recorded.
        rehearsal: the step is done and not recorded, though with numbers from the device.
        valid: functions that say whether what the step was recorded with is still so.
    """

    def __init__(self, xp: Any, seed: Callable[[], int], draws: Callable[[], int], rehearsal: bool) -> None:
        self.xp = xp
        self.rehearsal = rehearsal
        self.lives: list[Live] = []
        self.replays: list[Callable[[], None]] = []
        self.undo: list[Callable[[], None]] = []
        self.valid: list[Callable[[], bool]] = []
        self.next_draw = draws
        self.first_draw = draws()
        self.seed = self.add(seed, np.uint64)
        self.draws = self.add(draws, np.uint64)

    def add(self, read: Callable[[], Any], dtype: Any, increment: int = 0) -> Live:
        """A new number on the device; it is written before the first launch."""
        made = Live(self.xp.empty(1, dtype), read(), read, increment)
        self.lives.append(made)
        if self.rehearsal:
            made.write(first=True)
        return made

    def finish(self) -> None:
        """The step's last work on the device: what every replay counts."""
        self.draws.increment = self.next_draw() - self.first_draw
        for live in self.lives:
            if live.increment:
                live.array += live.array.dtype.type(live.increment)


class Products:
    """What multiplies matrices in CuPy's place, which refuses to while a stream is captured."""

    def matmul(self, a: Any, b: Any, out: Any) -> Any:
        """a @ b of device arrays."""
        raise NotImplementedError("Products is an interface")


class Draw(NamedTuple):
    """Where a draw stands: `number` counts from *draws, and the seed is *seed, where these are not None."""

    number: int
    seed: Any
    draws: Any


current: Capture | None = None  # the step that is being recorded
products: Products | None = None  # set while a step is recorded, and while it is warmed up


def live(read: Callable[[], float]) -> Any:
    """A rate: `read()`, or while a step is recorded an array of one float64 that follows it.

    >>> live(lambda: 0.5)
    0.5
    """
    return read() if current is None else current.add(read, np.float64).array


def count(steps: Any) -> Any:
    """The number of the step after `steps` ones; while a step is recorded an array that holds the number before it.

    `steps` is a number, or while a step is recorded the array of one element that is looked at before each replay.

    >>> count(np.float32(4))
    5
    """
    if current is None:
        return int(steps) + 1
    return current.add(lambda: int(steps), np.int64, increment=1).array


def draws(seed: int, number: int) -> Draw:
    """The place of draw `number` of the default generator; while a step is recorded it moves on with the replays.

    >>> draws(7, 3)
    Draw(number=3, seed=None, draws=None)
    """
    if current is None:
        return Draw(number, None, None)
    if seed != current.seed.wanted or number < current.first_draw:
        refuse("dropout by another generator than the default one")
        return Draw(number, None, None)
    return Draw(number - current.first_draw, current.seed.array, current.draws.array)


def refuse(what: str) -> None:
    """NotImplementedError that says what cannot be captured, while a step is recorded (and not rehearsed).

    >>> refuse("a hook")
    """
    if current is not None and not current.rehearsal:
        raise NotImplementedError(f"{what} cannot be captured")
