"""Try to break mydl: random programs, hostile files, failing disks, kills, threads, long runs, beginners' mistakes.

    python -m scripts.robustness                     # everything at full length: an hour on two cores
    python -m scripts.robustness --minutes 5         # as much as fits, spread over all kinds
    python -m scripts.robustness --only files crashes --seed 7

Prints what was tried, what of it survived and what was lost, as a table, and writes it to results/robustness.json.
A line of what was lost says with which seed and number it can be tried again. Ends with status 1 if anything was.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mydl
from mydl.files import atomic_write
from scripts.command_line import CommandLine, positive_float, run, seed
from scripts.robustness_tools import crashes, downloads, memory, numerics, properties, readers, supply, threads
from scripts.robustness_tools.misuse import misuse
from scripts.robustness_tools.tally import Effort, Tally

Check = Callable[[Effort, Path], Tally]


def _plain(check: Callable[[Effort], Tally]) -> Check:
    """A check that needs no folder."""
    return lambda effort, folder: check(effort)


def _fixed(check: Callable[[], Tally]) -> Check:
    """A check of one length."""
    return lambda effort, folder: check()


# For each kind its checks, and how many inputs or faults make it whole.
KINDS: dict[str, list[tuple[Check, int]]] = {
    "properties": [(_plain(properties.chains), 20_000), (_plain(properties.laws), 5_500)],
    "numerics": [(_plain(numerics.numerics), 50_000), (_fixed(functools.partial(numerics.half_precision, 500)), 1)],
    "files": [
        (lambda effort, folder, name=name: readers.fuzz(name, effort, folder), 100_000) for name in readers.READERS
    ],
    "downloads": [(downloads.downloads, 500)],
    "crashes": [(crashes.kills, 200), (crashes.power_cuts, 100), (crashes.failing_disks, 500)],
    "threads": [(_plain(threads.trainings), 50), (_plain(threads.loaders), 2_000)],
    "memory": [
        (_plain(functools.partial(memory.steady, "mlp")), 20_000),
        (_plain(functools.partial(memory.steady, "resnet")), 20_000),
        (_plain(memory.graphs), 50),
        (_plain(memory.failures), 1_000),
        (_fixed(memory.depths), 1),
    ],
    "misuse": [(_fixed(misuse), 1)],
    "supply": [(_fixed(supply.supply), 1)],
}


def measure(kinds: list[str], minutes: float, first: int) -> Iterator[tuple[Tally, float]]:
    """Each check's tally as it ends, and the seconds that it took."""
    checks = [check for kind in kinds for check in KINDS[kind]]
    ends = time.monotonic() + minutes * 60
    for number, (check, count) in enumerate(checks):
        seconds = max(1.0, (ends - time.monotonic()) / (len(checks) - number)) if math.isfinite(minutes) else math.inf
        # On the memory file system where there is one: a hundred thousand small files are written and read.
        home = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(dir=home) as folder:
            start = time.monotonic()
            yield check(Effort(count, seconds, first), Path(folder)), time.monotonic() - start


def table(tallies: list[Tally]) -> str:
    """The tallies in Markdown.

    >>> print(table([Tally("crashes", "kill -9", faults=200)]))
    | kind | what | inputs tried | faults injected | survived | lost |
    |---|---|---:|---:|---:|---:|
    | crashes | kill -9 | | 200 | 200 | 0 |
    """
    lines = ["| kind | what | inputs tried | faults injected | survived | lost |", "|---|---|---:|---:|---:|---:|"]
    for t in tallies:
        what = f"{t.what} ({t.found})" if t.found else t.what
        numbers = [f" {number:,}" if number else "" for number in (t.tried, t.faults)]
        lines.append(f"| {t.kind} | {what} |{numbers[0]} |{numbers[1]} | {t.survived:,} | {len(t.lost):,} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = CommandLine("robustness", "Try to break mydl, and say what held.")
    add = parser.add_argument
    add(
        "--minutes",
        metavar="N",
        type=positive_float,
        default=None,
        help="end after about so long (as long as it takes)",
    )
    add("--only", nargs="+", choices=tuple(KINDS), metavar="KIND", help=f"these alone: {', '.join(KINDS)}")
    add("--seed", metavar="N", type=seed, default=0, help="of all that is random")
    add("--out", metavar="FILE.json", default="results/robustness.json", help="the figures")
    settings = parser.parse_args(argv)
    kinds = [kind for kind in KINDS if kind in (settings.only or KINDS)]
    Path(settings.out).parent.mkdir(parents=True, exist_ok=True)

    about = {
        "mydl": mydl.__version__, "python": platform.python_version(), "system": platform.platform(),
        "seed": settings.seed, "minutes": settings.minutes,
    }  # fmt: skip
    tallies, rows = [], []
    for tally, seconds in measure(kinds, settings.minutes or math.inf, settings.seed):
        tallies.append(tally)
        rows.append({**dataclasses.asdict(tally), "survived": tally.survived, "seconds": round(seconds, 1)})
        with atomic_write(settings.out) as file:  # after each, so that a run that is stopped leaves what it knows
            file.write((json.dumps({**about, "rows": rows}, indent=2, ensure_ascii=False) + "\n").encode())
        print(f"{tally.kind}: {tally.what}: {len(tally.lost)} lost, {seconds:.0f} s", file=sys.stderr, flush=True)
    print(table(tallies))
    lost = [text for tally in tallies for text in tally.lost]
    for text in lost:
        print(f"lost: {text}")
    print(f"wrote {settings.out}")
    if lost:
        raise RuntimeError(f"{len(lost)} of {sum(t.tried + t.faults for t in tallies):,} inputs and faults were lost")


if __name__ == "__main__":
    run(main, "robustness")
