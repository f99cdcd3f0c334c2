"""What beginners get wrong, and what they are told: the table in mistakes.txt, tried line by line."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

import mydl
from mydl import data, nn, optim
from mydl.data import transforms
from mydl.nn import functional as F
from scripts.robustness_tools.tally import Tally

__all__ = ["MISTAKES", "Mistake", "misuse"]


class Mistake(NamedTuple):
    """Code that is wrong, and the error (or warning) that says so: its class and what its message must have in it,
    in this order, with anything where there is an ellipsis."""

    code: str
    says: str

    def fault(self) -> str | None:
        """What is wrong with the message that the code gives; None if it is the one that is wanted."""
        names = {"m": mydl, "nn": nn, "F": F, "optim": optim, "data": data, "transforms": transforms, "np": np}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                exec(self.code, names)
        except Exception as error:
            kind, _, text = self.says.partition(": ")
            kinds = [each.__name__ for each in type(error).__mro__]
            found = " ".join(str(error).split())
            pattern = ".*".join(map(re.escape, text.split(" … ")))
            if kind in kinds and re.search(pattern, found):
                return None
            return f"{self.code!r}: wanted {self.says!r}, got {kinds[0]}: {found}"
        return f"{self.code!r}: wanted {self.says!r}, got no error"


def _read() -> list[Mistake]:
    """The table: code, then the message after an arrow, then an empty line; titles begin with a #."""
    text = Path(__file__).with_name("mistakes.txt").read_text(encoding="utf-8")
    text = re.sub(r"^# .*\n", "", text, flags=re.MULTILINE)
    return [
        Mistake(code.strip("\n"), says) for code, says in re.findall(r"(.+?)\n=> ([^\n]+)\n", text, flags=re.DOTALL)
    ]


MISTAKES = _read()


def misuse() -> Tally:
    """Make every mistake of the table."""
    tally = Tally("misuse", "beginners' mistakes with the message that each must give")
    for mistake in MISTAKES:
        tally.tried += 1
        fault = mistake.fault()
        if fault is not None:
            tally.lose(fault)
    return tally
