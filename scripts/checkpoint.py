"""A training run's checkpoint: all that going on needs in one file, and checked before it is believed."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mydl
from mydl.backend import default_generator
from mydl.files import atomic_write
from scripts.runs import FORMAT

__all__ = ["NAME", "Progress", "restore", "save"]

NAME = "checkpoint.safetensors"


@dataclasses.dataclass
class Progress:
    """How far a run is between two steps: what its checkpoint holds beside model, optimizer and loader."""

    epoch: int = 1  # the epoch under way …
    batch: int = 0  # … and how many of its batches are done,
    steps: int = 0  # after how many steps of the optimizer in all
    loss_sum: Any = None  # over the images of this epoch so far, on the device
    right: Any = None
    seen: int = 0
    lr: float = 0.0  # with which the epoch began
    seconds: float = 0.0
    best_accuracy: float = -1.0
    best_epoch: int = 0
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)


def save(folder: Path, progress: Progress, parts: Mapping[str, Any], keep: int = 1) -> None:
    """Write the checkpoint; with `keep` above 1 the ones before it stay as checkpoint.1.safetensors and so on.

    `parts` are the things with a `state_dict`, or None. At every moment there is a whole file of that name.
    """
    content = {
        "format": FORMAT,
        "mydl": mydl.__version__,
        "generator": list(default_generator.get_state()),
        "progress": vars(progress),
        "parts": {name: part.state_dict() for name, part in parts.items() if part is not None},
    }
    path = folder / NAME
    if keep > 1 and path.exists():
        numbered = (folder / f"checkpoint.{number}.safetensors" for number in range(1, keep))
        # Up to the first number that is free: `keep` may be far above what there is.
        present = [path, *itertools.takewhile(Path.exists, numbered)]
        following = [*present[1:], folder / f"checkpoint.{len(present)}.safetensors"]
        for newer, older in reversed(list(zip(present, following, strict=True))[: keep - 1]):
            with atomic_write(older) as file:
                file.write(newer.read_bytes())
    mydl.save(content, path)


def restore(folder: Path, parts: Mapping[str, Any], device: str) -> Progress:
    """Put the parts and the random generator where the folder's checkpoint has them, and say how far that is.

    Raises:
        ValueError: the file is damaged, of another version, or not of such parts. They may be changed by then.
        OSError: it is missing or cannot be read.
    """
    path = folder / NAME
    if folder.is_dir() and not path.exists():
        raise FileNotFoundError(f"{folder}: no {NAME} in it, so there is nothing to resume")
    content = mydl.load(path)
    try:
        match content:
            case {"format": int(found), "mydl": str(version)} if found != FORMAT:
                raise ValueError(f"written by mydl {version} in format {found}; wanted format {FORMAT}")
            case {
                "format": int(),
                "generator": [int(seed), int(draws)],
                "progress": dict(progress),
                "parts": dict(states),
            }:
                pass
            case _:
                raise ValueError("wanted a checkpoint of train_model; found something else")
        kept = {name: part for name, part in parts.items() if part is not None}
        _like(dict.fromkeys(states, 0), dict.fromkeys(kept, 0), "parts")
        for name, part in kept.items():
            wanted = part.state_dict()
            if name == "optimizer":
                groups = _like(states[name].get("param_groups"), wanted["param_groups"], "optimizer.param_groups")
                states[name]["param_groups"] = groups
                _check_state(states[name].get("state"), part)
            else:
                states[name] = _like(states[name], wanted, name)
            part.load_state_dict(states[name])
        default_generator.set_state((seed, draws))
        progress = _like(progress, vars(Progress()), "progress")
        _check_progress(progress)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path}: {error}") from error
    for name in ("loss_sum", "right"):
        if progress[name] is not None:
            progress[name] = progress[name].to(device)
    return Progress(**progress)


def _like(found: Any, wanted: Any, place: str) -> Any:
    """`found`, if it is built as `wanted` is: the same keys, lengths, shapes, dtypes and types; else ValueError."""
    if wanted is None:
        return found
    if isinstance(wanted, mydl.MyTensor):
        if not isinstance(found, mydl.MyTensor) or (found.shape, found.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(f"{place}: wanted {_description(wanted)}, found {_description(found)}")
        return found
    if isinstance(wanted, Counter):  # its keys are data, such as the epochs of milestones
        if not isinstance(found, dict) or not all(isinstance(n, int) for pair in found.items() for n in pair):
            raise ValueError(f"{place}: wanted whole numbers, found {_description(found)}")
        return Counter(found)
    if isinstance(wanted, dict):
        if not isinstance(found, dict) or found.keys() != wanted.keys():
            raise ValueError(f"{place}: wanted {_description(wanted)}, found {_description(found)}")
        return type(wanted)((key, _like(found[key], wanted[key], f"{place}.{key}")) for key in wanted)
    if isinstance(wanted, list | tuple):
        if not isinstance(found, list | tuple) or (wanted and len(found) != len(wanted)):
            raise ValueError(f"{place}: wanted {_description(wanted)}, found {_description(found)}")
        return (
            type(wanted)(_like(a, b, f"{place}.{i}") for i, (a, b) in enumerate(zip(found, wanted)))
            if wanted
            else found
        )
    numbers = (int, float)
    both = isinstance(found, numbers) and isinstance(wanted, numbers)
    if not (both or found is None or type(found) is type(wanted)):
        raise ValueError(f"{place}: wanted {_description(wanted)}, found {_description(found)}")
    return found


def _description(value: Any) -> str:
    if isinstance(value, mydl.MyTensor):
        return f"a tensor {value.shape} in {value.dtype}"
    if isinstance(value, dict):
        return f"a dict of {', '.join(map(str, value)) or 'nothing'}"[:200]
    if isinstance(value, list | tuple):
        return f"{len(value)} items"
    return f"{value!r}"[:60]


def _check_state(state: Any, optimizer: Any) -> None:
    """An optimizer's memory has, for some of its parameters by number, tensors of their shape and scalars."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for number, values in state.items():
        if type(number) is not int or not 0 <= number < len(params):
            raise ValueError(f"optimizer.state: wanted parameters 0 to {len(params) - 1}, found {number!r}")
        for name, value in values.items():
            if value is not None and (
                not isinstance(value, mydl.MyTensor) or value.shape not in ((), params[number].shape)
            ):
                wanted = f"a number or {params[number].shape}"
                raise ValueError(f"optimizer.state.{number}.{name}: wanted {wanted}, found {_description(value)}")


def _check_progress(progress: dict[str, Any]) -> None:
    counts = [progress[name] for name in ("epoch", "batch", "steps", "seen", "best_epoch")]
    if not all(type(count) is int and count >= 0 for count in counts) or progress["epoch"] < 1:
        raise ValueError(f"progress: wanted counts from 0 on, found {counts}")
    for row in progress["history"]:
        if not isinstance(row, dict) or not all(isinstance(value, int | float) for value in row.values()):
            raise ValueError(f"progress.history: wanted rows of numbers, found {json.dumps(row, default=str)[:60]}")
    for name in ("loss_sum", "right"):
        if progress[name] is not None and getattr(progress[name], "shape", None) != (1,):
            raise ValueError(f"progress.{name}: wanted a tensor (1,), found {_description(progress[name])}")
