"""The datasets of the programs, by name: what is in them, how it is split, how it becomes a model's inputs."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mydl import data
from mydl.data import transforms
from scripts.augmentation import Augmentation
from scripts.image_folder import FolderImages, has_own_test, read_folder
from scripts.preparation import LARGEST_SIDE, Preparation

__all__ = ["NAMES", "Images", "label", "load", "name", "split"]

NAMES = ("digits", "mnist", "fashion")
FOLDER = "folder:"


def name(text: str) -> str:
    """A dataset's name, "folder:" and a path included, for argparse.

    >>> name("mnist"), name("folder:photos")
    ('mnist', 'folder:photos')
    """
    if text in NAMES or (text.startswith(FOLDER) and text != FOLDER):
        return text
    near = difflib.get_close_matches(text, (*NAMES, FOLDER), n=1)
    raise argparse.ArgumentTypeError(
        f"no dataset {text!r}; wanted one of {', '.join(NAMES)} or folder:PATH{f': {near[0]}?' if near else ''}"
    )


def label(name: str) -> str:
    """A short name for the folder of a run on it.

    >>> label("folder:photos/cats/")
    'cats'
    """
    return _path(name).resolve().name or "folder" if name.startswith(FOLDER) else name


class Images(data.ImageArrayDataset):
    """A program's dataset: uint8 images in memory, which its transform, a `Preparation`, makes float32 inputs of.

    `classes` are the names, `preparation` a JSON-able dict that makes `load` prepare other images in the same way,
    `input_shape` is (C, H, W), `note` what a user should know about the images, or "".
    """

    def __init__(self, images: np.ndarray, targets: Any, classes: Sequence[str], prepare: Preparation) -> None:
        super().__init__(images, targets, prepare)
        self.classes = list(classes)
        self.prepare = prepare
        self.preparation = prepare.to_json()
        self.input_shape = (prepare.channels, *prepare.size)
        self.note = ""
        self.parts: tuple[Sequence[int], Sequence[int]] = (range(len(images)), ())


def load(
    name: str,
    data_dir: str | None,
    train: bool,
    preparation: dict[str, Any] | None = None,
    *,
    normalize: str = "channel",
    image_size: int | Sequence[int] | None = None,
    grayscale: bool = False,
    skip_bad: bool = False,
    seed: int = 0,
    val_size: int | None = None,
    limit: int | None = None,
) -> Images:
    """The training or the test images of that name.

    With the `preparation` of a run they are prepared as the run's were. Without, as the keywords say: scaled to
    `image_size` (a side, or height and width; None: as they are), normalised with the statistics of the whole
    training set, or, for a folder, of the part that is trained on (see `split`).

    MNIST and Fashion-MNIST come from `data_dir`, from the folder in MYDL_DATA or from the cache, or are
    downloaded. "folder:PATH" has a folder of images a class; the pictures become RGB, or grey with `grayscale`.
    Where PATH has folders `train` and `test` of such folders, these are what they say; else the test images are
    those that the split held out, and `note` says so.

    Raises ValueError for an unknown name, or images that cannot be used; OSError where they cannot be read.

    >>> digits = load("digits", None, train=False)
    >>> len(digits), digits[0][0].shape
    (2000, (1, 28, 28))
    """
    if name.startswith(FOLDER):
        return _load_folder(_path(name), train, preparation, normalize, _size(image_size), 1 if grayscale else 3,
                            skip_bad, (seed, val_size, limit))  # fmt: skip
    if name == "digits":
        source: Any = data.SyntheticDigits(train=train)
    elif name == "mnist":
        source = data.MNIST(data.find_data_root("mnist", data_dir), train=train)
    elif name == "fashion":
        source = data.FashionMNIST(data.find_data_root("fashion-mnist", data_dir), train=train)
    else:
        raise ValueError(f"no dataset {name!r}; wanted one of {', '.join(NAMES)} or folder:PATH")
    images = source.data.numpy()
    size = _size(image_size)
    if preparation is not None:
        prepare = Preparation.from_json(preparation)
        if prepare.channels != 1:
            raise ValueError(f"{name}: has grey images; the run wants {prepare.channels} channels")
        images = _resized(images, prepare.size)
    else:
        images = _resized(images, size or images.shape[1:])
        prepare = Preparation.of(images, normalize)
    dataset = Images(images, source.targets, source.classes, prepare)
    if train:
        dataset.parts = _parts(range(len(images)), seed, val_size or min(limit or len(images), len(images)) // 6, limit)
    return dataset


def split(dataset: Images, augmentation: Augmentation | None = None) -> tuple[data.Subset, data.Subset]:
    """The images to train on, which are augmented, and those to validate on.

    The seed, `val_size` and `limit` that `load` got decide: of the first `limit` images, or of a folder's as many
    at random, `val_size` are for validation (by default a sixth, a fifth of a folder).

    >>> [len(part) for part in split(load("digits", None, train=True, limit=600))]
    [500, 100]
    """
    train, val = dataset.parts
    augmented = copy.copy(dataset)
    augmented.transform = dataclasses.replace(dataset.prepare, augmentation=augmentation)
    return data.Subset(augmented, train), data.Subset(dataset, val)


def _parts(candidates: Sequence[int], seed: int, val_size: int, limit: int | None) -> tuple[list[int], list[int]]:
    """The numbers of the images to train on and of those to validate on."""
    size = min(limit or len(candidates), len(candidates))
    if not 0 < val_size < size:
        raise ValueError(f"{size} images, {val_size} of them to validate on: wanted at least one for each purpose")
    train, val = data.random_split(range(size), [size - val_size, val_size], seed=seed)
    return [candidates[i] for i in train.indices], [candidates[i] for i in val.indices]


def _load_folder(
    path: Path, train: bool, preparation: dict[str, Any] | None, normalize: str, size: tuple[int, int] | None,
    channels: int, skip_bad: bool, how: tuple[int, int | None, int | None],
) -> Images:  # fmt: skip
    """As `load`, for a folder; the preparation also says how it was split, its classes and its background."""
    prepare = None if preparation is None else Preparation.from_json(preparation)
    if prepare is not None:
        size, channels = prepare.size, prepare.channels
    own_test = path.is_dir() and has_own_test(path)
    root = path / ("train" if train else "test") if own_test else path
    found = read_folder(root, channels, size, skip_bad)
    if preparation is None:
        seed, val_size, limit = how
        split = {"seed": seed, "val_size": val_size, "limit": limit, "content": found.content}
        preparation = {"split": split, "classes": found.classes}
    split, classes = _described(preparation)
    unknown = set(found.classes) - set(classes)
    if unknown:
        raise ValueError(f"{root}: has the class {min(unknown)!r}; the run knows {', '.join(classes)}")
    numbers = np.array([classes.index(each) for each in found.classes])
    labels = numbers[found.labels]
    note = [f"damaged images left out: {len(found.damaged)}", *found.damaged] if found.damaged else []
    parts = None if own_test and not train else _split_folder(root, found, split)
    if prepare is None:
        trained_on = found.images if parts is None else found.images[parts[0]]
        prepare = Preparation.of(trained_on, normalize)
        preparation["background"] = _background(trained_on)
    if parts is None:
        dataset = Images(found.images, labels, classes, prepare)
    elif train:
        dataset = Images(found.images, labels, classes, prepare)
        dataset.parts = parts
    else:
        dataset = Images(found.images[parts[1]], labels[parts[1]], classes, prepare)
        note.append(f"{path} has no folders train and test: these are the images held out for validation")
    dataset.preparation = {**preparation, **dataset.preparation}
    dataset.note = "\n".join(note)
    return dataset


def _split_folder(root: Path, found: FolderImages, how: dict[str, Any]) -> tuple[list[int], list[int]]:
    if found.content != how["content"]:
        raise ValueError(f"{root}: its images have changed since the run: which of them it has not seen is unknown")
    size = len(found.images)
    limit = min(how["limit"] or size, size)
    # Its images come class by class, so the first ones would be of one class.
    candidates, _ = data.random_split(range(size), [limit, size - limit], seed=how["seed"])
    return _parts(candidates.indices, how["seed"], how["val_size"] or limit // 5, None)


def _background(images: np.ndarray) -> str | None:
    """What the images' border is in nineteen of twenty at least: "dark", "light", or neither."""
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    grey = np.median(border.reshape(len(images), -1), axis=1)
    return "dark" if (grey < 64).mean() >= 0.95 else "light" if (grey > 191).mean() >= 0.95 else None


def _described(preparation: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The entries of a folder's preparation that say how it was split, and the names of its classes."""
    match preparation:
        case {
            "split": {"seed": int(seed), "val_size": int() | None, "limit": int() | None, "content": str()} as split,
            "classes": [*classes],
        } if 0 <= seed < 2**64 and all(isinstance(each, str) for each in classes):
            return split, classes
    raise ValueError("preparation: wanted a folder's split and classes, as train_model writes them")


def _path(name: str) -> Path:
    return Path(name.removeprefix(FOLDER)).expanduser()


def _size(image_size: int | Sequence[int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    sides = [image_size] * 2 if isinstance(image_size, int) else list(image_size)
    if len(sides) == 1:
        sides *= 2
    if len(sides) != 2 or not 0 < min(sides) <= max(sides) <= LARGEST_SIDE:
        raise ValueError(f"image size: wanted a side, or height and width, from 1 to {LARGEST_SIDE}, got {image_size}")
    return sides[0], sides[1]


def _resized(images: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Grey images (N, H, W) in another size, a thousand at a time so that memory stays small."""
    if images.shape[1:] == size:
        return images
    resize = transforms.Resize(size)
    return np.concatenate([resize(images[start : start + 1000]) for start in range(0, len(images), 1000)])
