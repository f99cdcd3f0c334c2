"""MNIST and Fashion-MNIST: finding the files, telling the two apart, fetching them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mydl.data.dataset import ImageArrayDataset
from mydl.data.idx import idx_sha256, read_idx
from mydl.tensor import MyTensor


@dataclasses.dataclass(frozen=True)
class _Published:
    """A dataset as it was published: where, and the SHA-256 of its decompressed files."""

    title: str
    folders: tuple[str, ...]  # where the files may lie, under a root; the last is where a download puts them
    mirrors: tuple[str, ...]
    sums: dict[str, str]


_SIZES = {
    "train-images-idx3-ubyte": 47_040_016,
    "train-labels-idx1-ubyte": 60_008,
    "t10k-images-idx3-ubyte": 7_840_016,
    "t10k-labels-idx1-ubyte": 10_008,
}

_PUBLISHED = {
    "mnist": _Published(
        "MNIST",
        ("mnist", "MNIST/raw"),
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion-mnist": _Published(
        "FashionMNIST",
        ("fashion-mnist", "FashionMNIST/raw"),
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        {
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
}


class MNIST(ImageArrayDataset):
    """Handwritten digits: 60,000 images to train on, 10,000 to test on, 28×28 (LeCun et al., 1998).

    Args:
        root: the folder that holds the four IDX files, gzip-compressed or plain, in itself, in `mnist/` or in
            `MNIST/raw/`.
        train: the training images, or the test images.
        transform, target_transform: applied to each PIL image and each label (an int); see
            `mydl.data.transforms`.
        download: fetch the files that are missing into `root/MNIST/raw`.

    `data` is the uint8 tensor of the images, (N, 28, 28), `targets` the int64 tensor of the labels, `classes`
    their names.

    MNIST and FashionMNIST publish files of the same names. Each refuses the other's, wherever they lie. Files
    that are neither's as published (a subset, say) are taken where the folder's name says what they are; in
    `root` itself MNIST, whose names they bear, takes them and FashionMNIST does not.

    Raises FileNotFoundError if the files are missing, saying what was found, ValueError if they are damaged.

    >>> MNIST("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: MNIST: no train files in nowhere: no such folder; give another folder, or download=True
    """

    _name = "mnist"
    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root = Path(root)
        self.train = train
        folder, notes = _find_folder(self._name, self.root, train)
        if folder is None:
            if not download:
                title = _PUBLISHED[self._name].title
                raise FileNotFoundError(
                    f"{title}: no {_split(train)} files in {root}: {'; '.join(notes)}; "
                    "give another folder, or download=True"
                )
            folder = _fetch(self._name, self.root, train)
        images, labels = _read_pair(self._name, folder, train)
        super().__init__(images, MyTensor(labels.astype(np.int64)), transform, target_transform)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class name."""
        return {name: label for label, name in enumerate(self.classes)}


class FashionMNIST(MNIST):
    """Pictures of clothes in the layout of MNIST (Xiao, Rasul and Vollgraf, 2017).

    As `MNIST`, with the files in `root`, `root/fashion-mnist` or `root/FashionMNIST/raw`.

    >>> FashionMNIST.classes[9]
    'Ankle boot'
    """

    _name = "fashion-mnist"
    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ]  # fmt: skip


def cache_folder() -> Path:
    """Where mydl keeps what it fetched or made: `$XDG_CACHE_HOME/mydl`, by default `~/.cache/mydl`.

    >>> cache_folder().name
    'mydl'
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mydl"


def find_data_root(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path:
    """A `root` for `MNIST` (name "mnist") or `FashionMNIST` ("fashion-mnist") that has all four files.

    Looks in `data_dir`, then in the folder that the environment variable MYDL_DATA names, then in mydl's
    `cache_folder()`, and downloads into the last if none has them.

    Raises FileNotFoundError for a `data_dir` that does not exist, OSError if the download fails.

    >>> find_data_root("mnist", "nowhere")
    Traceback (most recent call last):
    FileNotFoundError: nowhere: no such folder to look for MNIST in
    """
    if name not in _PUBLISHED:
        raise ValueError(f"find_data_root: wanted {' or '.join(map(repr, _PUBLISHED))}, got {name!r}")
    title = _PUBLISHED[name].title
    if data_dir is not None and not Path(data_dir).is_dir():
        raise FileNotFoundError(f"{data_dir}: no such folder to look for {title} in")
    cache = cache_folder()
    looked = []
    for root in (data_dir, os.environ.get("MYDL_DATA") or None, cache):
        if root is None:
            continue
        found = [_find_folder(name, Path(root), train) for train in (True, False)]
        if all(folder for folder, _ in found):
            return Path(root)
        looked.append(f"{root} ({'; '.join(dict.fromkeys(note for _, notes in found for note in notes))})")
    try:
        for train in (True, False):
            if _find_folder(name, cache, train)[0] is None:
                _fetch(name, cache, train)
    except OSError as error:
        files = ", ".join(f"{file}.gz" for train in (True, False) for file in _file_names(train))
        raise OSError(f"{title}: not in {', nor in '.join(looked)}; {error}; put {files} into one of these") from None
    return cache


def _split(train: bool) -> str:
    return "train" if train else "t10k"


def _file_names(train: bool) -> list[str]:
    return [name for name in _SIZES if name.startswith(_split(train))]


def _find_file(folder: Path, name: str) -> Path | None:
    """The plain file, which is read faster, or the compressed one."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _find_folder(name: str, root: Path, train: bool) -> tuple[Path | None, list[str]]:
    """The folder under `root` that has this dataset's files, or None and notes on what is there instead."""
    if not root.is_dir():
        return None, ["no such folder"]
    published = _PUBLISHED[name]
    notes = []
    for folder in (*(root / sub for sub in published.folders), root):
        names = _file_names(train)
        missing = [file for file in names if _find_file(folder, file) is None]
        if missing:
            if len(missing) < len(names) or any(_find_file(folder, file) for file in _file_names(not train)):
                notes.append(f"{folder} lacks {', '.join(missing)}")
            continue
        # The labels are small, and their sum tells the datasets apart; _read_pair checks the images when it
        # reads them.
        owner = _owner(names[1], read_idx(_find_file(folder, names[1]) or folder / names[1]))
        if owner == name or (owner is None and _is_named(name, folder)):
            return folder, notes
        notes.append(f"{folder} holds {_PUBLISHED[owner].title if owner else 'unknown files'}")
    return None, notes or ["no such files"]


def _is_named(name: str, folder: Path) -> bool:
    """Whether the last words of a folder's path say that files with unknown sums are this dataset's."""
    path = folder.resolve().as_posix()
    named = next((key for key, it in _PUBLISHED.items() for sub in it.folders if path.endswith("/" + sub)), "mnist")
    return named == name


def _owner(file: str, array: np.ndarray) -> str | None:
    """The name of the dataset that published this content under this file name."""
    digest = idx_sha256(array)
    return next((name for name, published in _PUBLISHED.items() if published.sums[file] == digest), None)


def _read_pair(name: str, folder: Path, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels; checks shapes, the labels' range, and that they are not another dataset's."""
    arrays = []
    for file in _file_names(train):
        path = _find_file(folder, file) or folder / file
        array = read_idx(path)
        wanted = "uint8 images N×28×28" if "images" in file else "uint8 labels from 0 to 9"
        shape = array.shape[1:]
        good = array.dtype == np.uint8 and array.ndim and shape == ((28, 28) if "images" in file else ())
        if not good or ("labels" in file and array.size and array.max() > 9):
            top = f" up to {array.max()}" if array.size and array.ndim < 2 else ""
            raise ValueError(f"{path}: wanted {wanted}, got {array.dtype} {array.shape}{top}")
        owner = _owner(file, array)
        if owner not in (name, None):
            raise ValueError(
                f"{path}: wanted {_PUBLISHED[name].title}, found the file that {_PUBLISHED[owner].title} has"
            )
        arrays.append(array)
    images, labels = arrays
    if len(images) != len(labels):
        raise ValueError(f"{folder}: {len(images):,} {_split(train)} images but {len(labels):,} labels")
    return images, labels


def _fetch(name: str, root: Path, train: bool) -> Path:
    """Download the files of a split into `root`; the folder they are in."""
    from mydl.data.download import download  # the network's modules take longer to import than all others of mydl.data

    published = _PUBLISHED[name]
    folder = root / published.folders[-1]
    for file in _file_names(train):
        path = folder / f"{file}.gz"
        if _find_file(folder, file) is None:
            urls = [mirror + path.name for mirror in published.mirrors]
            download(urls, path, sha256=published.sums[file], content_bytes=_SIZES[file])
    return folder
