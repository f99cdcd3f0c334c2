"""Damaged and hostile files of tensors: .safetensors, .npz, what lies around the tensors, checkpoints, models."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import models
import mydl
from mydl import optim
from scripts import checkpoint, preparation, runs
from scripts.robustness_tools.guard import Read, attempt
from scripts.robustness_tools.mutations import mutated, mutated_json, mutated_text

__all__ = ["checkpoints", "model_files", "npz", "safetensors", "structures"]

STATE = {"layer.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "layer.bias": np.zeros(3, np.float16),
         "steps": np.array(7), "mask": np.ones((2, 0), bool)}  # fmt: skip
NESTED = {
    "epoch": 3,
    "model": STATE,
    "optimizer": {"state": {0: {"m": np.ones(2)}}, "groups": [{"lr": 0.1, "b": (1, 2)}]},
}


def _saved(content: Any, name: str, metadata: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    buffer.name = name
    mydl.save(content, buffer, metadata)
    return buffer.getvalue()


def _safetensors(header: Any, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode(errors="surrogatepass")
    return struct.pack("<Q", len(text)) + text + data


def _split(content: bytes) -> tuple[Any, bytes]:
    """The header and the data of a .safetensors file."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def safetensors() -> Read:
    contents = [_saved(STATE, "a"), _saved(NESTED, "a", {"model": "mlp"}), _saved({}, "a")]

    def read(random: Random, folder: Path) -> str | None:
        path = folder / random.choice(("state.safetensors", "state.pt"))
        content = random.choice(contents)
        header, data = _split(content)
        match random.randrange(3):
            case 0:
                content = mutated(random, content, contents)
            case 1:
                content = _safetensors(mutated_json(random, header), data)
            case 2:
                text = mutated_text(
                    random, json.dumps(header), ['"w":', "{", "}", "[", "]", ",", '"dtype":"F32"', "[0,4]"]
                )
                content = _safetensors(text.encode(errors="surrogatepass"), data)
        path.write_bytes(content)
        return attempt(path, mydl.load, mydl.load_metadata)

    return read


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return buffer.getvalue()


def _npy(array: np.ndarray, header: str | None = None) -> bytes:
    if header is None:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        return buffer.getvalue()
    text = header.encode(errors="surrogatepass")
    return b"\x93NUMPY\2\0" + struct.pack("<I", len(text)) + text + array.tobytes()


def npz() -> Read:
    members = {f"{name}.npy": _npy(array) for name, array in STATE.items()}
    contents = [_zip(members), _zip(members, zipfile.ZIP_DEFLATED)]
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n"
    words = [
        "(",
        ")",
        "[",
        "'",
        "'|O'",
        "'<f8'",
        "-1",
        "True",
        "lambda: 0",
        "__import__('os')",
        "{",
        "}",
        ",",
        "1e9",
        "L",
    ]
    bomb = _zip({"w.npy": _npy(np.zeros(100 << 20, np.uint8))}, zipfile.ZIP_DEFLATED)

    def read(random: Random, folder: Path) -> str | None:
        path = folder / "state.npz"
        match random.randrange(100):
            case 0:
                content = bomb
            case number if number < 40:
                content = mutated(random, random.choice(contents), contents)
            case number if number < 70:  # whole archives of arrays that are not
                name = random.choice(list(members))
                other = random.choice(
                    ("..", "../w.npy", "/w.npy", "w", "data.pkl", name, "__metadata__.npy", "a\\..\\b.npy")
                )
                changed = {**members, other: mutated(random, members[name])}
                content = _zip(changed, random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
            case _:
                content = _zip({"w.npy": _npy(STATE["layer.weight"], mutated_text(random, header, words))})
        path.write_bytes(content)
        return attempt(path, mydl.load, mydl.load_metadata)

    return read


def structures() -> Read:
    """What lies around the tensors, in files that are whole otherwise."""
    header, data = _split(_saved(NESTED, "a"))
    structure = header["__metadata__"]["mydl.structure"]
    words = [
        "[",
        "]",
        '["tensor", "steps"]',
        '["dict", [',
        '["list"',
        '["tuple"',
        ",",
        "null",
        "{",
        "}",
        '"model.steps"',
    ]

    def read(random: Random, folder: Path) -> str | None:
        if random.random() < 0.5:
            text = json.dumps(mutated_json(random, json.loads(structure)))
        else:
            text = mutated_text(random, structure, words)
        path = folder / "checkpoint.safetensors"
        path.write_bytes(_safetensors({**header, "__metadata__": {"mydl.structure": text}}, data))
        return attempt(path, mydl.load, mydl.load_metadata)

    return read


def checkpoints() -> Read:
    """Checkpoints of a run, taken up by a model, an optimizer and a scheduler."""
    model = models.build("logistic", in_features=3, classes=2)
    optimizer = optim.Adam(model.parameters())
    model(mydl.ones(2, 1, 1, 3)).sum().backward()
    optimizer.step()
    scheduler = optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    content = {
        "format": checkpoint.FORMAT, "mydl": mydl.__version__, "generator": [1, 2],
        "progress": vars(checkpoint.Progress(history=[{"epoch": 1, "train_loss": 0.5}])),
        "parts": {name: part.state_dict() for name, part in parts.items()},
    }  # fmt: skip
    header, data = _split(_saved(content, "a"))
    structure = json.loads(header["__metadata__"]["mydl.structure"])

    def read(random: Random, folder: Path) -> str | None:
        path = folder / checkpoint.NAME
        text = json.dumps(mutated_json(random, structure))
        path.write_bytes(_safetensors({**header, "__metadata__": {"mydl.structure": text}}, data))
        return attempt(path, lambda path: checkpoint.restore(path.parent, parts, "cpu"))

    return read


def model_files() -> Read:
    """Files that say how to build a model, and what its data were."""
    about = {"name": "digits", "preparation": {"size": [2, 2], "channels": 1, "normalize": "channel", "mean": [0.5],
             "deviation": [0.25]}, "classes": ["0", "1"]}  # fmt: skip
    made = []
    for name, options in (
        ("mlp", {"in_features": 4, "hidden": [3], "classes": 2, "dropout": 0.5, "activation": "relu", "init": "he"}),
        ("logistic", {"in_features": 4, "classes": 2}),
        ("resnet", {"in_channels": 1, "channels": [2], "blocks": 1, "classes": 2}),
        ("autoencoder", {"in_features": 4, "code": 2}),
    ):
        state = models.build(name, **options).state_dict()
        made.append((state, {"name": name, "options": options}))

    def opened(path: Path) -> None:
        run = runs.open_run(path)
        try:
            preparation.Preparation.from_json(run.data["preparation"])
        except ValueError as error:  # whoever asks for the images says which run they belong to
            raise ValueError(f"{path}: {error}") from error

    def read(random: Random, folder: Path) -> str | None:
        state, architecture = random.choice(made)
        data: Any = about
        if random.random() < 0.6:
            architecture = mutated_json(random, architecture)
        else:
            data = mutated_json(random, about)
        texts = {"model": json.dumps(architecture), "data": json.dumps(data)}
        if random.random() < 0.2:
            name = random.choice(list(texts))
            texts[name] = mutated_text(random, texts[name], ["{", "}", "[", "]", '"', ":", ",", "null"])
        try:
            content = _saved(state, "a", texts)
        except ValueError:  # text that cannot be written: lone surrogates
            return None
        path = folder / "best.safetensors"
        path.write_bytes(content)
        return attempt(path, models.load, opened)

    return read
