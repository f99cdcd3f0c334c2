"""Models written with mydl as one would write them for PyTorch: made by name, saved and rebuilt from one file."""

from __future__ import annotations

import json
import math
import os
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any

import mydl
from models.autoencoder import Autoencoder
from models.logistic import LogisticRegression
from models.mlp import MLP
from models.resnet import ResNet
from mydl import nn

__all__ = ["MLP", "Autoencoder", "LogisticRegression", "ResNet", "build", "load", "save"]

MODELS: dict[str, type[nn.NeuralNetwork]] = {
    "logistic": LogisticRegression,
    "mlp": MLP,
    "resnet": ResNet,
    "autoencoder": Autoencoder,
}
CLASSIFIERS = ("logistic", "mlp", "resnet")


def build(name: str, **options: Any) -> nn.NeuralNetwork:
    """The model of that name ("logistic", "mlp", "resnet", "autoencoder") with its constructor's options.

    Name and options are remembered as `model.architecture`, for `save`.

    >>> build("mlp", hidden=(32,))
    MLP(
      (layers): Sequential(
        (0): Flatten(start_dim=1, end_dim=-1)
        (1): Linear(in_features=784, out_features=32, bias=True)
        (2): ReLU()
        (3): Linear(in_features=32, out_features=10, bias=True)
      )
    )
    """
    if name not in MODELS:
        raise ValueError(f"build: no model {name!r}; wanted one of {', '.join(MODELS)}")
    model = MODELS[name](**options)
    model.architecture = {"name": name, "options": options}
    return model


def save(model: nn.NeuralNetwork, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write the state dict of a model that `build` made, its name and options in the file's metadata.

    Raises ValueError if `build` did not make the model, TypeError if an option is nothing that JSON holds.
    """
    architecture = getattr(model, "architecture", None)
    if architecture is None:
        raise ValueError(f"save: {type(model).__name__} was not made by models.build, so a file could not rebuild it")
    mydl.save(model.state_dict(), path, {**(metadata or {}), "model": json.dumps(architecture)})


def load(path: str | os.PathLike[str]) -> nn.NeuralNetwork:
    """The model in a file that `save` wrote: rebuilt from its metadata, with its weights.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "model.safetensors")
    >>> save(build("mlp", hidden=(32,)), path)
    >>> load(path).layers[1]
    Linear(in_features=784, out_features=32, bias=True)

    Raises:
        ValueError: the file is damaged or names no model, or its weights are not that model's.
        OSError: it is missing or cannot be read.
    """
    text = mydl.load_metadata(path).get("model")
    if text is None:
        raise ValueError(f"{path}: no model is named in it; wanted a file that models.save wrote")
    try:
        architecture = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: wanted the model's name and options in JSON; {error}") from error
    match architecture:
        case {"name": str(name), "options": dict(options)}:
            pass
        case _:
            raise ValueError(f"{path}: wanted the model's name and options, found {reprlib.repr(architecture)}")
    state = mydl.load(path)
    try:
        _check_size(options, state)
        model = build(name, **options)
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise ValueError(f"{path}: cannot build {name} with {reprlib.repr(options)}: {error}") from error
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error
    return model


def _check_size(options: dict[str, Any], state: Mapping[str, mydl.MyTensor]) -> None:
    """Refuse options that ask for far more memory than the file's weights need, before it is asked for.

    A layer has at most as many weights as its two sizes multiplied (and a few more for kernels and biases), so
    the product of the two largest numbers, once for each number, is more than an honest model comes near to. And
    it has one tensor at least: `blocks` and the lists of sizes ask for no more layers than there are tensors.
    """
    depths = [options["blocks"]] if isinstance(options.get("blocks"), int) else []
    depths += [len(value) for value in options.values() if isinstance(value, list)]
    if sum(depths) > len(state):
        raise ValueError(f"{sum(depths):,} layers are too many for the {len(state):,} tensors of the file")
    weights = sum(tensor.numel() for tensor in state.values())
    sizes = sorted(_numbers(options), reverse=True)
    limit = max(1 << 22, 64 * weights)
    if sizes and (sizes[0] > limit or len(sizes) * math.prod(sizes[:2]) > limit):
        raise ValueError(
            f"sizes such as {reprlib.repr(sizes[:2])} are too large for the {weights:,} weights of the file"
        )


def _numbers(value: Any) -> Iterator[int]:
    """The whole numbers in nested options."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
    elif isinstance(value, int):
        yield value
