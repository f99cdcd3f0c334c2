"""The datasets of the programs, by name, and how their images (N, 28, 28) become batches (N, 1, 28, 28)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl import data
from mydl.data import transforms

__all__ = ["NAMES", "load", "pixel_statistics"]

NAMES = ("digits", "mnist", "fashion")


def load(name: str, data_dir: str | None, train: bool, statistics: Sequence[float] | None = None) -> Any:
    """The training or the test set of that name; its images are float32, (1, 28, 28) and normalised.

    A pixel becomes (pixel / 255 - mean) / deviation. `statistics` are the mean and the deviation, the set's
    own if None; the dataset has them under that name. MNIST and Fashion-MNIST come from `data_dir`, from the
    folder in MYDL_DATA or from the cache, or are downloaded.

    >>> digits = load("digits", None, train=False)
    >>> len(digits), digits[0][0].shape
    (2000, (1, 28, 28))
    """
    if name == "digits":
        dataset: Any = data.SyntheticDigits(train=train)
    elif name == "mnist":
        dataset = data.MNIST(data.find_data_root("mnist", data_dir), train=train)
    elif name == "fashion":
        dataset = data.FashionMNIST(data.find_data_root("fashion-mnist", data_dir), train=train)
    else:
        raise ValueError(f"no dataset {name!r}; wanted one of {', '.join(NAMES)}")
    mean, deviation = statistics or pixel_statistics(dataset)
    dataset.statistics = (mean, deviation)
    dataset.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((mean,), (deviation,))])
    return dataset


def pixel_statistics(dataset: Any) -> tuple[float, float]:
    """(mean, standard deviation) of the pixels in [0, 1], exactly, from the counts of the 256 grey values.

    >>> mean, deviation = pixel_statistics(data.SyntheticDigits(train=False))
    >>> 0.1 < mean < 0.2 < deviation < 0.3
    True
    """
    pixels = dataset.data.numpy().reshape(-1)
    # In parts, because bincount makes eight-byte integers of all that it is given.
    counts = sum(np.bincount(part, minlength=256) for part in np.array_split(pixels, pixels.size // 2**20 + 1))
    values = np.arange(256) / 255
    mean = float(counts @ values) / pixels.size
    return mean, float(np.sqrt(counts @ (values - mean) ** 2 / pixels.size))
