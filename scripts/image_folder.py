"""A folder of images a class, read in parallel into one array, which is kept on disk for the next time."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import mydl
from mydl import data
from mydl.data.mnist import cache_folder
from scripts.pictures import quiet, read_picture

__all__ = ["FolderImages", "has_own_test", "read_folder"]

# What a name of a class cannot have: it is printed in tables and drawn in figures.
UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
CHUNK = 64  # files a thread takes at a time


class FolderImages(NamedTuple):
    """What was read: the images that are whole, the others' names with what is wrong, and what tells contents apart."""

    images: np.ndarray
    labels: np.ndarray
    classes: list[str]
    damaged: list[str]
    content: str


def has_own_test(root: Path) -> bool:
    """Whether the classes are in two folders `train` and `test` within it.

    >>> has_own_test(Path("nowhere"))
    False
    """
    return all(
        (root / part).is_dir() and any(path.is_dir() for path in (root / part).iterdir()) for part in ("train", "test")
    )


def read_folder(root: Path, channels: int, size: tuple[int, int] | None = None, skip_bad: bool = False) -> FolderImages:
    """All images under `root`, a folder a class: uint8, (N, H, W) for 1 channel or (N, H, W, 3) for 3.

    They are scaled to `size`, height and width; without it they must be of one size. Pictures are read as
    `read_picture` does, transparent parts white, in as many threads as mydl computes with.

    The array is kept in mydl's cache folder, a file for each folder and form, with a digest of what it was made
    of: every file's name and bytes. All bytes are read anew each time, which is quick beside decoding them; an
    array made of anything else is not used.

    Raises:
        ValueError: fewer than two classes, one whose name cannot be printed, an image that is damaged (unless
            `skip_bad`), sizes that differ.
        OSError: there is no such folder, or a class without images.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder of images")
    files = data.ImageFolder(root)
    if len(files.classes) < 2:
        raise ValueError(
            f"{root}: wanted a folder of images for each of two classes or more, found {files.classes[0]!r}"
        )
    for name in files.classes:
        if UNFIT.search(name):
            raise ValueError(f"{root}: the class {name!r}: wanted a name without control characters, in UTF-8")
    paths = [path for path, _ in files.samples]
    content = _digest(root, paths, _in_threads(_file_digest, paths, None))
    form = json.dumps([_versions(), channels, size])
    kept = cache_folder() / "folders" / f"{root.resolve().name}-{_hash(str(root.resolve()) + form)}.safetensors"
    found = _load(kept, content, len(paths))
    if found is None:
        found = _decode(root, paths, channels, size, content)
        _keep(kept, *found, content)
    images, faults = found
    if faults and not skip_bad:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise ValueError(f"{next(iter(faults.values()))}{more}; leave such images out with --skip-bad")
    labels = np.array([label for number, (_, label) in enumerate(files.samples) if number not in faults], np.int64)
    empty = set(range(len(files.classes))) - set(labels.tolist())
    if empty:
        raise ValueError(f"{root / files.classes[min(empty)]}: no image in it is whole")
    return FolderImages(images, labels, files.classes, list(faults.values()), content)


def _decode(
    root: Path, paths: list[str], channels: int, size: tuple[int, int] | None, content: str
) -> tuple[np.ndarray, dict[int, str]]:
    """The whole images in one array, and what is wrong with the others, by their number."""
    faults: dict[int, str] = {}

    def read(number: int) -> np.ndarray | None:
        try:
            return read_picture(paths[number], channels, size)
        except (ValueError, OSError) as error:
            faults[number] = " ".join(str(error).split())
            return None

    with quiet():
        # Without a size the first whole image says what all must be like.
        like = next((image for image in map(read, range(len(paths))) if image is not None), np.empty(0, np.uint8))
        images = np.empty((len(paths), *like.shape), np.uint8)

        def place(number: int) -> None:
            image = read(number)
            if image is not None and image.shape != like.shape:
                sizes = " and ".join(f"{each.shape[1]}×{each.shape[0]}" for each in (like, image))
                raise ValueError(
                    f"{root}: images of different sizes, {sizes} ({paths[number]}); bring them to one with --image-size"
                )
            if image is not None:
                images[number] = image

        _in_threads(place, range(len(paths)), f"reading {root.name}")
    if _digest(root, paths, _in_threads(_file_digest, paths, None)) != content:
        raise OSError(f"{root}: its images changed while they were read")
    if faults:
        images = np.delete(images, list(faults), axis=0)
    return images, dict(sorted(faults.items()))


def _in_threads(work: Callable[[Any], Any], items: Iterable[Any], title: str | None) -> list[Any]:
    """`work` of each item, in their order; with a progress bar on a terminal if there is a title for it."""
    from tqdm import tqdm

    items = list(items)
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    pool = ThreadPoolExecutor(mydl.get_num_threads(), thread_name_prefix="mydl-images")
    results: list[Any] = []
    try:
        hidden = True if title is None else None  # None: shown on a terminal alone
        with tqdm(total=len(items), desc=title, unit="image", leave=False, disable=hidden) as bar:
            for chunk in pool.map(lambda chunk: [work(item) for item in chunk], chunks):
                results += chunk
                bar.update(len(chunk))
    finally:
        pool.shutdown(cancel_futures=True)
    return results


def _file_digest(path: str) -> str:
    """Of the file's bytes; of the reason where it cannot be read, which `read_picture` will find too."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        if not os.path.isfile(path):
            return "no file"
        with open(path, "rb", buffering=0) as file:
            while part := file.read(1 << 20):
                digest.update(part)
    except OSError as error:
        return f"error {error.errno}"
    return digest.hexdigest()


def _digest(root: Path, paths: list[str], digests: list[str]) -> str:
    """Of all names, relative to the root, and contents."""
    return _hash(
        json.dumps([(os.path.relpath(path, root), digest) for path, digest in zip(paths, digests, strict=True)])
    )


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _versions() -> list[str]:
    """What else decides about the pixels; the number changes when this file or pictures.py gives other ones."""
    import PIL

    return ["1", PIL.__version__]


def _load(path: Path, content: str, count: int) -> tuple[np.ndarray, dict[int, str]] | None:
    """What `_keep` wrote of these `count` files, or None."""
    try:
        about = mydl.load_metadata(path)
        if about.get("content") != content:
            return None
        images = mydl.load(path)["images"].numpy()
        faults = {int(number): str(fault) for number, fault in json.loads(about["faults"]).items()}
    except (OSError, ValueError, KeyError, AttributeError):
        return None  # missing or damaged: the images themselves are there
    return (images, faults) if images.dtype == np.uint8 and len(images) + len(faults) == count else None


def _keep(path: Path, images: np.ndarray, faults: dict[int, str], content: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mydl.save({"images": images}, path, {"content": content, "faults": json.dumps(faults)})
    except OSError as error:
        print(f"the images will have to be read anew the next time: {error}")
