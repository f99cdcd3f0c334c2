"""How much a check is to try, and what became of what it tried."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Iterator

__all__ = ["Effort", "Tally"]


@dataclasses.dataclass
class Effort:
    """So many inputs or faults, or as many as there is time for, each with random numbers of its own.

    The number of an input alone decides what is tried, so one that is lost can be tried again by itself.

    >>> [turn.random() == random.Random(f"0 {number}").random() for number, turn in Effort(2)]
    [True, True]
    """

    count: int
    seconds: float = math.inf
    seed: int = 0
    first: int = 0

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.seconds

    def __iter__(self) -> Iterator[tuple[int, random.Random]]:
        for number in range(self.first, self.count):
            if time.monotonic() > self.deadline:
                return
            yield number, self.turn(number)

    def turn(self, number: int) -> random.Random:
        """The random numbers of one input."""
        return random.Random(f"{self.seed} {number}")


@dataclasses.dataclass
class Tally:
    """A row of the table: how many inputs were tried, how many faults injected, and which of them were lost.

    >>> tally = Tally("crashes", "kill -9 while a checkpoint is written", faults=200)
    >>> tally.survived
    200
    """

    kind: str
    what: str
    tried: int = 0
    faults: int = 0
    lost: list[str] = dataclasses.field(default_factory=list)
    found: str = ""  # what else was seen, in a few words

    @property
    def survived(self) -> int:
        """Inputs and faults that were not lost."""
        return self.tried + self.faults - len(self.lost)

    def lose(self, text: str) -> None:
        """Note what went wrong, in one line."""
        self.lost.append(" ".join(text.split())[:400])
