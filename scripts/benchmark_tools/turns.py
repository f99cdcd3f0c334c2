"""Measuring several libraries in turn: A B A B …, each in a process of its own.

A machine's speed drifts (clock, temperature, what else runs). What is measured in turn drifts together, so
the ratios hold where the times do not.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from mydl import blas_core

__all__ = [
    "LIBRARIES", "Failed", "Library", "Measured", "Team", "Worker", "fresh", "fresh_environment", "in_turn", "outcome",
    "summarise", "workload",
]  # fmt: skip

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).resolve().parent / "worker"


class Failed(RuntimeError):
    """A library could not do what it was asked for."""


Measured: TypeAlias = "dict[str, Any]"  # for each name the values round by round, or how it Failed


@dataclass(frozen=True)
class Library:
    """One column of the table: how it is called, what must be installed, and what its worker is told."""

    title: str
    package: str
    library: str
    variant: str = ""
    devices: tuple[str, ...] = ("cpu", "cuda")


LIBRARIES = {
    "mydl": Library("mydl", "mydl", "mydl"),
    "mydl-numpy": Library("mydl, NumPy only", "mydl", "mydl", "numpy", ("cpu",)),
    "mydl-eager": Library("mydl, not replayed", "mydl", "mydl", "eager", ("cuda",)),
    "pytorch": Library("PyTorch", "torch", "pytorch"),
    "pytorch-graphs": Library("PyTorch, CUDA graphs", "torch", "pytorch", "graphs", ("cuda",)),
    "pytorch-channels-last": Library("PyTorch, channels last", "torch", "pytorch", "channels_last"),
    "pytorch-compile": Library("torch.compile", "torch", "pytorch", "compile"),
    "jax": Library("JAX, jit", "jax", "jax"),
}


def fresh_environment() -> dict[str, str]:
    """The environment as the user gave it, without mydl's settings of the BLAS, and with mydl importable."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *_python_path()])}
    return {name: value for name, value in environment.items() if name not in blas_core.SET_HERE}


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


class Worker:
    """A process with one library in it (see `worker/__main__.py`).

    It starts with the object, and ends with `close` or with the process that made it. `ask` raises `Failed`.
    """

    def __init__(self, name: str, threads: int, device: str = "cpu") -> None:
        library = LIBRARIES[name]
        options = {
            "library": library.library,
            "variant": library.variant,
            "threads": threads,
            "device": device,
        }
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=fresh_environment(),
        )  # fmt: skip
        assert self.process.stdin and self.process.stdout  # both are pipes
        self.requests, self.replies = self.process.stdin, self.process.stdout

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """The worker's reply to one request."""
        try:
            self.requests.write(json.dumps({"do": do, **request}) + "\n")
            self.requests.flush()
            line = self.replies.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self.process.wait()
            raise Failed(f"its process ended with status {status}, a signal's number if negative")
        reply = json.loads(line)
        if "error" in reply:
            raise Failed(reply["error"])
        return reply

    def close(self) -> None:
        """End the process and wait for it."""
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.replies.close()


class Team:
    """The workers of several libraries, each started when it is first needed, and again if it has died."""

    def __init__(self, threads: int, device: str = "cpu") -> None:
        self.threads = threads
        self.device = device
        self.workers: dict[str, Worker] = {}

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.close()

    def __getitem__(self, name: str) -> Worker:
        worker = self.workers.get(name)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.close()
            worker = self.workers[name] = Worker(name, self.threads, self.device)
        return worker


@contextlib.contextmanager
def fresh(name: str, threads: int, device: str) -> Iterator[Worker]:
    """A worker of its own for a block."""
    worker = Worker(name, threads, device)
    try:
        yield worker
    finally:
        worker.close()


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the `Failed` that it raised."""
    try:
        return call()
    except Failed as failure:
        return failure


def in_turn(turns: Mapping[str, Callable[[], Sequence[float]]], rounds: int) -> Measured:
    """Call the functions in turn, `rounds` times: for each its values round by round, or how it failed.

    >>> in_turn({"a": lambda: [1.0], "b": lambda: [2.0, 3.0]}, rounds=2)
    {'a': [[1.0], [1.0]], 'b': [[2.0, 3.0], [2.0, 3.0]]}
    """
    results: Measured = {name: [] for name in turns}
    for _ in range(rounds):
        for name, turn in turns.items():
            if isinstance(results[name], Failed):
                continue
            values = outcome(turn)
            if isinstance(values, Failed):
                results[name] = values
            else:
                results[name].append(values)
    return results


def workload(
    team: Team, requests: Mapping[str, tuple[str, dict[str, Any]]], rounds: int, seconds: float, warm: int = 2
) -> Measured:
    """Seconds of the steps of workloads in turn; each turn has as many steps as fit into about `seconds`.

    Args:
        requests: for each name of the result, the library and the request ("kind", "options") to its worker.
        warm: untimed steps at the start; with 0 a turn is one step.
    """

    def prepare(name: str) -> int:
        library, request = requests[name]
        times = team[library].ask("prepare", name=name, warm=warm, **request)["seconds"]
        team[library].ask("settle")
        return max(1, min(1000, int(seconds / times[-1]))) if times else 1

    def turn(name: str) -> list[float]:
        if isinstance(counts[name], Failed):
            raise counts[name]
        worker = team[requests[name][0]]
        times = worker.ask("run", name=name, steps=counts[name], turn=next(numbers[name]))["seconds"]
        worker.ask("settle")
        return times

    counts = {name: outcome(partial(prepare, name)) for name in requests}
    numbers = {name: itertools.count() for name in requests}
    results = in_turn({name: partial(turn, name) for name in requests}, rounds)
    for library in {library for library, _ in requests.values()}:
        outcome(partial(team[library].ask, "forget"))
    return results


def summarise(measured: Measured, baseline: str = "", divisor: int = 1) -> dict[str, dict[str, Any]]:
    """Medians, and ratios to the baseline where it was measured.

    `ratio` is the median of the rounds' ratios, each of the medians of two turns that followed one another: a machine
    that is now fast, now slow, has mostly been the same in both. `ratio_low` and `ratio_high` are the quartiles. Values
    are divided by `divisor` first. What failed is {"failed": reason}.

    >>> summarise({"a": [[1.0, 3.0], [4.0]], "b": [[4.0], [8.0]]}, "b")["a"]["ratio"]
    0.5
    """
    summary: dict[str, dict[str, Any]] = {}
    for name, rounds in measured.items():
        if isinstance(rounds, Failed):
            summary[name] = {"failed": str(rounds)}
            continue
        values = [value / divisor for values in rounds for value in values]
        summary[name] = {
            "median": statistics.median(values),
            "min": min(values),
            "count": len(values),
            "rounds": [statistics.median(turn) / divisor for turn in rounds],
        }
    reference = summary.get(baseline, {})
    if "median" in reference:
        for name, entry in summary.items():
            if "median" in entry and name != baseline:
                ratios = [own / other for own, other in zip(entry["rounds"], reference["rounds"], strict=True)]
                quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else 3 * ratios
                entry["ratio_low"], entry["ratio"], entry["ratio_high"] = quartiles
    return summary
