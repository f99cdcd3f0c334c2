"""What an experiment is: its TOML file, what it is given when it runs, what comes out of it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Experiment", "Job", "Outcome", "falls_short", "load", "names"]

FOLDER = Path(__file__).parent

# The order of the table and of `reproduce all`, by how the names begin; what needs another row comes after it.
ORDER = (
    "mlp", "resnet", "ffnn-sample", "ffnn-set", "ffnn-norm", "ffnn-a", "ffnn-b", "fashion-logistic", "fashion-dense",
    "fashion-ffnn", "sigmoid", "xor", "gradcheck", "autoencoder", "latent", "box", "approximate", "init", "beyond-mlp",
    "beyond-cnn", "beyond-fashion", "mnist",
)  # fmt: skip


class Experiment(NamedTuple):
    """One row of the table, as its TOML file has it."""

    name: str
    kind: str
    title: str
    settings: dict[str, Any]
    seed: int
    reported: dict[str, Any]
    """Figures that the course reported: a number, or the lowest and highest of several."""
    wanted: dict[str, Any]
    """Figures that are aimed at where there is no report."""
    better: dict[str, Any]
    """Settings to replace some of `settings` with where those fall short; chosen on validation data."""
    reason: str
    """Why, or why the row stays short."""


class Job(NamedTuple):
    """What an experiment's function is given; it may keep files in `folder`, which is there, to go on from."""

    settings: dict[str, Any]
    seed: int
    folder: Path
    data_dir: str | None = None
    device: str = "cpu"
    threads: int | None = None


class Outcome(NamedTuple):
    """What came out: the figures, by the names that `reported` has, and a row an epoch."""

    final: dict[str, Any]
    history: Sequence[dict[str, Any]] = ()


def names() -> list[str]:
    """All experiments, in the table's order.

    >>> names()[:3]
    ['mlp-1', 'mlp-2', 'mlp-3']
    """

    def place(name: str) -> tuple[int, int, str]:
        number = name.rpartition("-")[2]
        begins = next(number for number, begin in enumerate(ORDER) if name.startswith(begin))
        return begins, int(number) if number.isdecimal() else 0, name

    return sorted((path.stem for path in FOLDER.glob("*.toml")), key=place)


def load(name: str) -> Experiment:
    """The experiment of that name.

    Raises ValueError for an unknown name, with the list and the nearest.

    >>> load("mlp-1").reported["val_accuracy"]
    0.96
    """
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        nearest = f", the nearest is {near[0]!r}" if near else ""
        raise ValueError(f"no experiment {name!r}{nearest}; there are {', '.join(known)}, and all, list, table")
    content = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return Experiment(
        name,
        content["kind"],
        content["title"],
        content["settings"],
        content.get("seed", 0),
        content.get("reported", {}),
        content.get("wanted", {}),
        content.get("better", {}),
        content.get("reason", ""),
    )


def falls_short(final: dict[str, Any], aims: dict[str, Any]) -> list[str]:
    """The names of the figures that are worse than the reported (or wanted) ones: accuracies below, others above.

    Of a range the worse end counts; what is no number, or was not measured, is not compared.

    >>> falls_short({"val_accuracy": 0.86, "loss": 0.3}, {"val_accuracy": [0.86, 0.87], "loss": 0.2})
    ['loss']
    """
    short = []
    for name, aim in aims.items():
        found = final.get(name)
        if name == "outputs" or not isinstance(found, int | float):
            continue
        ends = aim if isinstance(aim, list) else [aim]
        if found < min(ends) if "accuracy" in name else found > max(ends):
            short.append(name)
    return short
