"""A run's folder, as train_model makes it: its settings, its weights, and what they were trained on."""

from __future__ import annotations

import contextlib
import json
import os
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import models
import mydl
from mydl import nn
from mydl.files import atomic_write

__all__ = ["FORMAT", "Run", "claimed", "open_run", "read_config", "write_json"]

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


def open_run(path: str | Path, weights: str = "best", device: str = "cpu") -> Run:
    """The run in a folder, with its "best" or "last" weights; or the one that a .safetensors file holds.

    Raises:
        ValueError: the file is damaged or foreign.
        OSError: there is no such folder or file.
    """
    path = Path(path)
    if path.is_dir():
        folder, path = path, path / f"{weights}.safetensors"
        if not path.exists():
            raise FileNotFoundError(f"{folder}: wanted a run's folder, as train_model makes it; no {path.name} in it")
    elif not path.exists():
        raise FileNotFoundError(f"{path}: wanted a run's folder or a file of weights; found no such folder or file")
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
