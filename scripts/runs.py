"""A run's folder, as train_model makes it: its settings, its weights, and what they were trained on."""

from __future__ import annotations

import contextlib
import json
import os
import reprlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import models
import mydl
from mydl import nn
from mydl.files import atomic_write
from mydl.history import History

__all__ = [
    "FORMAT", "Run", "claimed", "make_run_folder", "open_run", "open_runs", "read_config", "read_history", "write_json",
]  # fmt: skip

COLUMNS = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds")  # of history.csv
FORMAT = 2  # of config.json and checkpoint.safetensors; raised when an older program could misread them


class Run(NamedTuple):
    """A trained model and where it came from."""

    folder: Path
    weights: Path
    model: nn.NeuralNetwork
    name: str
    options: dict[str, Any]
    data: dict[str, Any]
    """`name` of the dataset, `preparation` of its images (see scripts/datasets.py), names of the `classes`."""


def open_run(path: str | Path, weights: str | None = None, device: str = "cpu") -> Run:
    """The run in a folder, with its "best" (unless said) or "last" weights; or the one that a .safetensors file holds.

    Raises:
        ValueError: the file is damaged or foreign, or `weights` are wanted of one that holds one model's.
        OSError: there is no such folder or file.
    """
    path = Path(path)
    if path.is_dir():
        folder, path = path, path / f"{weights or 'best'}.safetensors"
        if not path.exists():
            raise FileNotFoundError(f"{folder}: wanted a run's folder, as train_model makes it; no {path.name} in it")
    elif not path.exists():
        raise FileNotFoundError(f"{path}: wanted a run's folder or a file of weights; found no such folder or file")
    elif weights is not None:
        raise ValueError(f"--weights {weights}: wanted a run's folder to choose in; {path} is one file of weights")
    else:
        folder = path.parent
    model = models.load(path)
    text = mydl.load_metadata(path).get("data", "null")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: wanted a description of the data in JSON; {error}") from error
    match data:
        case {"name": str(), "preparation": dict(), "classes": [*classes]} if all(
            isinstance(c, str) for c in classes
        ) and len(set(classes)) == len(classes):
            architecture = model.architecture
            return Run(folder, path, model.to(device), architecture["name"], architecture["options"], data)
    raise ValueError(
        f"{path}: wanted in its metadata the data's name, preparation and classes, as train_model writes them; "
        f"found {reprlib.repr(data)}"
    )


def open_runs(paths: Iterable[str], weights: str | None = None) -> dict[str, Run]:
    """The runs by the paths that name them; one that is named twice is there once, by its first name."""
    runs: dict[Path, tuple[str, Run]] = {}
    for path in paths:
        run = open_run(path, weights)
        runs.setdefault(run.weights.resolve(), (path, run))
    return dict(runs.values())


def read_history(folder: Path) -> History:
    """A run's history.csv, which has an epoch at least.

    Raises:
        ValueError: it is damaged or foreign.
        OSError: it is missing or cannot be read.
    """
    path = folder / "history.csv"
    history = History.read(path)
    if not set(COLUMNS) <= set(history.columns):
        found = f"the columns {reprlib.repr(history.columns)}" if len(history) else "no epochs"
        raise ValueError(f"{path}: wanted a run's history, as train_model writes it; found {found}")
    try:
        history.best("val_accuracy", "max")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return history


def read_config(folder: str | Path) -> dict[str, Any]:
    """What a run's config.json says: `mydl` (its version), `format`, `model`, `data`, `settings`.

    Raises:
        ValueError: it is damaged, or of another version of this format.
        OSError: it is missing or cannot be read.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        found = "no config.json in it" if path.parent.is_dir() else "no such folder"
        raise FileNotFoundError(f"{folder}: wanted a run's folder, as train_model makes it; found {found}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: wanted a run's settings in JSON; {error}") from error
    match content:
        case {"format": int(found)} if found == FORMAT:
            pass
        case {"mydl": str(version)}:
            raise ValueError(
                f"{path}: written by mydl {version} in format {content.get('format', 1)}; wanted format {FORMAT}"
            )
        case _:
            raise ValueError(f"{path}: wanted a run's settings, as train_model writes them; found something else")
    match content:
        case {
            "model": {"name": str(), "options": dict()},
            "data": {"name": str(), "preparation": dict(), "classes": list()},
            "settings": dict(),
        }:
            return content
    raise ValueError(f"{path}: wanted model, data and settings, as train_model writes them; found something else")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write one of the run's .json files, whole or not at all."""
    with atomic_write(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def make_run_folder(out: str) -> Path:
    """A folder for a new run; an older run at its place is moved aside, not lost."""
    folder, older = Path(out), None
    try:
        if (folder / "config.json").exists():
            number = 1
            while (older := folder.parent / f"{folder.name}.{number}").exists():
                number += 1
            with claimed(folder):
                folder.rename(older)
        folder.mkdir(parents=True, exist_ok=True)
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(f"--out {out}: cannot make the run's folder: {error.strerror}") from error
    if older is not None:
        print(f"the run that was in {folder} is now in {older}")
    return folder


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """While it lasts no other program can claim the run's folder: two would write over each other's files.

    The system gives the claim up when the program ends, however it does. Raises BlockingIOError if it is claimed.
    """
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(f"{folder}: another program is training in this folder; wanted one alone") from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(descriptor)


def _refuse(constant: str) -> float:
    raise ValueError(f"found {constant}; wanted a finite number")
