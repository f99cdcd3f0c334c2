"""Damaged and hostile files for everything that reads one: each loads, or gives one ordinary error that names it."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import mydl
from mydl.data.folder import ImageFolder, read_image
from mydl.data.idx import read_idx
from mydl.history import History
from scripts import runs, settings
from scripts.image_folder import read_folder
from scripts.pictures import quiet, read_picture
from scripts.robustness_tools import state_files
from scripts.robustness_tools.guard import Read, attempt, guarded
from scripts.robustness_tools.mutations import mutated, mutated_json, mutated_text
from scripts.robustness_tools.tally import Effort, Tally

__all__ = ["READERS", "fuzz"]


def fuzz(name: str, effort: Effort, folder: Path) -> Tally:
    """Give the reader of that name as many damaged files as `effort` says; the files lie in `folder`."""
    tally = Tally("files", name)
    guarded(READERS[name](), effort, tally, folder)
    return tally


# IDX and gzip -------------------------------------------------------------------------------------------------


def _idx_contents() -> list[bytes]:
    images = np.arange(3 * 5 * 4, dtype=np.uint8)
    contents = [bytes([0, 0, 8, 3]) + struct.pack(">3I", 3, 5, 4) + images.tobytes()]
    contents.append(bytes([0, 0, 8, 1]) + struct.pack(">I", 7) + bytes(7))
    contents.append(bytes([0, 0, 14, 2]) + struct.pack(">2I", 2, 3) + np.arange(6, dtype=">f8").tobytes())
    contents.append(bytes([0, 0, 11, 4]) + struct.pack(">4I", 1, 2, 1, 3) + bytes(12))
    return contents


def _idx() -> Read:
    contents = _idx_contents()

    def read(random: Random, folder: Path) -> str | None:
        path = folder / "images-idx3-ubyte"
        path.write_bytes(mutated(random, random.choice(contents), contents))
        return attempt(path, read_idx)

    return read


def _gzip() -> Read:
    contents = _idx_contents()
    packed = [gzip.compress(content, mtime=0) for content in contents]
    packed.append(gzip.compress(contents[0][:40], mtime=0) + gzip.compress(contents[0][40:], mtime=0))
    bombs = [gzip.compress(contents[0] + bytes(80 << 20), 1, mtime=0)]
    bombs.append(gzip.compress(bytes([0, 0, 8, 1]) + struct.pack(">I", 80 << 20) + bytes(80 << 20), 1, mtime=0))

    def read(random: Random, folder: Path) -> str | None:
        path = folder / "images-idx3-ubyte.gz"
        match random.randrange(100):
            case 0:
                path.write_bytes(random.choice(bombs))
            case number if number < 50:  # the checksum is right, what was compressed is not
                path.write_bytes(gzip.compress(mutated(random, random.choice(contents), contents), 1, mtime=0))
            case _:
                path.write_bytes(mutated(random, random.choice(packed), packed))
        return attempt(path, read_idx)

    return read


# Text ---------------------------------------------------------------------------------------------------------

FLAGS = ["--model", "mlp", "--hidden", "8", "4", "--milestones", "3", "7", "--scheduler", "step", "--augment", "0.5"]


def _written(random: Random, path: Path, text: str) -> None:
    """Text, a few times with faults in its bytes."""
    content = text.encode(errors="surrogatepass")
    path.write_bytes(mutated(random, content) if random.random() < 0.1 else content)


def _configs() -> Read:
    """config.json, as `--resume` takes it up."""
    found = settings.read_settings(FLAGS)
    values = {name: value for name, value in vars(found).items() if name not in settings.COMMANDS}
    content = {
        "mydl": mydl.__version__, "format": runs.FORMAT, "settings": values, "model": {"name": "mlp", "options": {}},
        "data": {"name": "digits", "preparation": {}, "classes": ["a", "b"]},
    }  # fmt: skip
    words = ["{", "}", "[", "]", '"lr":', ",", "null", "true", "NaN", "Infinity", '"format": 2']

    def read(random: Random, folder: Path) -> str | None:
        path = folder / "config.json"
        if random.random() < 0.7:
            _written(random, path, json.dumps(mutated_json(random, content)))
        else:
            _written(random, path, mutated_text(random, json.dumps(content), words))
        return attempt(path, lambda path: settings.read_settings(["--resume", "--out", str(path.parent)]))

    return read


def _tomls() -> Read:
    parser = settings.make_parser()
    text = settings.as_toml(settings.read_settings(FLAGS))
    words = [
        "[",
        "]",
        "[[",
        "]]",
        "=",
        '"',
        "'''",
        "true",
        "1979-05-27",
        "0x",
        "inf",
        "{",
        "}",
        "a.b = 1\n",
        "lr = 1\n",
        ",",
    ]

    def read(random: Random, folder: Path) -> str | None:
        path = folder / "settings.toml"
        _written(random, path, mutated_text(random, text, words))
        return attempt(path, lambda path: settings.read_toml(str(path), parser))

    return read


def _histories() -> Read:
    columns = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds"]
    rows = [",".join(columns), "1,0.5,0.9,0.4,0.91,0.001,3.25", "2,nan,0.91,inf,0.92,0.001,3.5"]
    text = "\n".join(rows) + "\n"
    words = [",", '"', "\r", "epoch", "1", "--1", "١", "²", "1_0", "0x1", "infinity", "=", "#", ",,,"]

    def use(path: Path) -> None:
        history = History.read(path)
        repr(history)
        for name in history.columns:
            if not any(value == value for value in history[name]):
                continue  # `best` refuses a column without a number
            history.best(name, "max")

    def read(random: Random, folder: Path) -> str | None:
        path = folder / "history.csv"
        _written(random, path, mutated_text(random, text, words))
        return attempt(path, use)

    return read


# Images -------------------------------------------------------------------------------------------------------


def _pictures() -> list[tuple[str, bytes]]:
    """Small images in every format and mode that Pillow writes."""
    from PIL import Image

    gradient = np.arange(12 * 9 * 4, dtype=np.uint8).reshape(12, 9, 4)
    wide = Image.fromarray((np.arange(108).reshape(12, 9) * 600).astype(np.uint16))
    color, alpha = Image.fromarray(gradient[..., :3].copy()), Image.fromarray(gradient)
    exif = Image.Exif()
    exif[0x0112] = 6
    cases: list[tuple[str, Any, dict]] = [
        ("png", color, {}), ("png", alpha, {}), ("png", color.convert("P"), {}), ("png", color.convert("1"), {}),
        ("png", wide, {}), ("jpeg", color, {"exif": exif}), ("jpeg", color.convert("L"), {}),
        ("jpeg", color.convert("CMYK"), {"progressive": True}), ("bmp", color, {}), ("bmp", color.convert("P"), {}),
        ("ppm", color, {}), ("tiff", color, {}), ("tiff", color, {"compression": "tiff_lzw"}),
        ("tiff", wide, {"compression": "tiff_deflate"}), ("tiff", color.convert("L").convert("F"), {}),
        ("webp", color, {}), ("webp", alpha, {"lossless": True}),
        ("webp", color, {"save_all": True, "append_images": [color.rotate(90)]}),
    ]  # fmt: skip
    contents = []
    for name, image, options in cases:
        buffer = io.BytesIO()
        image.save(buffer, name, **options)
        contents.append((name, buffer.getvalue()))
    return contents


def _with_sums(content: bytes) -> bytes:
    """A PNG file with the right checksum for each of its chunks, so that what is in them is looked at."""
    data, place = bytearray(content), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        end = place + 8 + length
        if end + 4 > len(data):
            break
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(data)


def _images() -> Read:
    contents = _pictures()

    def read(random: Random, folder: Path) -> str | None:
        name, content = random.choice(contents)
        others = [other for kind, other in contents if kind == name]
        content = mutated(random, content, others)
        path = folder / f"image.{name}"
        path.write_bytes(_with_sums(content) if name == "png" and random.random() < 0.7 else content)
        channels = random.choice((1, 3))
        return attempt(path, read_image, lambda path: read_picture(path, channels, random.choice((None, (8, 8)))))

    return read


def _folders() -> Read:
    """Folders of images with damaged images, links, devices, odd names and nothing in them."""
    contents = _pictures()

    def read(random: Random, folder: Path) -> str | None:
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        home = folder / "here"
        shutil.rmtree(home, ignore_errors=True)
        root = home / "images"
        for number in range(random.choice((0, 1, 2, 2, 2, 3))):
            made = root / random.choice(
                (f"class {number}", f"{number}.png", "Ä\n", "x" * 200, os.fsdecode(b"\xff"), "-rf")
            )
            made.mkdir(parents=True, exist_ok=True)
            for image in range(random.choice((0, 1, 1, 2))):
                _put(
                    random,
                    made / random.choice((f"{image}.png", f"{image}.JPG", "a\nb.png", ".png", "é\udcff.png")),
                    contents,
                )
        with quiet():
            return attempt(
                root,
                lambda root: list(ImageFolder(root)),
                lambda root: read_folder(root, 1, (4, 4), skip_bad=random.random() < 0.7),
            )

    return read


def _put(random: Random, path: Path, contents: list[tuple[str, bytes]]) -> None:
    """Something under the name of an image, unless there is something already."""
    if os.path.lexists(path):
        return
    match random.randrange(12):
        case 0:
            path.symlink_to(
                random.choice((path.parent, path.parent.parent, path, "/nowhere", os.devnull, "/proc/self/mem"))
            )
        case 1:
            os.mkfifo(path)
        case 2:
            path.mkdir()
        case 3:
            path.touch(0o000)
        case 4 | 5:
            path.write_bytes(mutated(random, random.choice(contents)[1]))
        case _:
            path.write_bytes(random.choice(contents)[1])


READERS: dict[str, Callable[[], Read]] = {
    "IDX files": _idx,
    "gzip files": _gzip,
    ".safetensors files": state_files.safetensors,
    ".npz files": state_files.npz,
    "structures around tensors": state_files.structures,
    "checkpoints": state_files.checkpoints,
    "files of models": state_files.model_files,
    "config.json": _configs,
    "TOML settings": _tomls,
    "history.csv": _histories,
    "images": _images,
    "folders of images": _folders,
}
