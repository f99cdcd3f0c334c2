"""Figures of many images at once: samples of a data set, and what a classifier made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mydl.plotting.style import INK, RIGHT, WIDTH, WRONG, as_pictures, bare, host, names_of, new_figure, show_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sample_grid(images: Any, labels: Any = None, class_names: Sequence[str] | None = None, columns: int = 10) -> Figure:
    """Images side by side, each under its label.

    Args:
        images: shape (N, H, W), (N, 1, H, W) or (N, 3, H, W), in any range.
        labels: class indices, shape (N,).
        class_names: what to write for each class; the index without.
        columns: how many images a row, at most: fewer where the names want more room.

    Raises:
        ValueError: a shape does not fit, or a label has no name.

    Example:
        >>> len(sample_grid(np.zeros((3, 28, 28)), labels=[7, 2, 1]).axes)
        3
    """
    pictures = as_pictures(images)
    titles = [""] * len(pictures)
    if labels is not None:
        titles = _names(_indices(labels, "labels", len(pictures)), class_names)
    return _grid(pictures, titles, [None] * len(pictures), columns)


def predictions(
    images: Any,
    predicted: Any,
    target: Any,
    probabilities: Any = None,
    class_names: Sequence[str] | None = None,
    columns: int = 8,
) -> Figure:
    """Images with the model's answers: a blue frame and ✓ where right, an orange one and ✗ where wrong.

    Args:
        images: shape (N, H, W), (N, 1, H, W) or (N, 3, H, W), in any range.
        predicted: the classes that the model chose, shape (N,).
        target: the true classes, shape (N,).
        probabilities: shape (N, classes); that of the chosen class is written beside it.
        class_names: what to write for each class; the index without.
        columns: how many images a row, at most: fewer where the names want more room.

    Raises:
        ValueError: a shape does not fit, or a class has no name or no probability.

    Example:
        >>> figure = predictions(np.zeros((2, 28, 28)), predicted=[7, 3], target=[7, 5])
        >>> [axes.get_title() for axes in figure.axes]
        ['✓ 7', '✗ 3, is 5']
    """
    pictures = as_pictures(images)
    chosen = _indices(predicted, "predicted", len(pictures))
    truth = _indices(target, "target", len(pictures))
    shares = [""] * len(pictures)
    if probabilities is not None:
        share = _probabilities(probabilities, chosen)
        shares = [f" {value:.0%}" for value in share[np.arange(len(chosen)), chosen]]
    said, meant = _names(chosen, class_names), _names(truth, class_names)
    right = chosen == truth
    titles = [
        f"✓ {name}{share}" if is_right else f"✗ {name}{share}, is {true_name}"
        for is_right, name, share, true_name in zip(right, said, shares, meant, strict=True)
    ]
    if max(map(len, titles)) > 14:  # names, not digits: the correction gets a line of its own
        titles = [title.replace(", is ", "\nis ") for title in titles]
    return _grid(pictures, titles, [RIGHT if is_right else WRONG for is_right in right], columns)


def worst_mistakes(
    images: Any,
    probabilities: Any,
    target: Any,
    count: int = 16,
    class_names: Sequence[str] | None = None,
    columns: int = 8,
) -> Figure:
    """The `count` worst of the wrongly classified images: those whose true class has the lowest probability.

    Args:
        images: shape (N, H, W), (N, 1, H, W) or (N, 3, H, W), in any range.
        probabilities: shape (N, classes).
        target: the true classes, shape (N,).
        count: how many to show, at most.
        class_names: what to write for each class; the index without.
        columns: how many images a row, at most: fewer where the names want more room.

    Raises:
        ValueError: a shape does not fit, or a class has no name or no probability.
    """
    array = host(images, "images", ndim=(3, 4))
    truth = _indices(target, "target", len(array))
    share = _probabilities(probabilities, truth)
    chosen = share.argmax(axis=1)
    mistakes = np.flatnonzero(chosen != truth)
    if not mistakes.size:
        figure = new_figure(height=1.0)
        figure.text(0.5, 0.5, f"no mistakes among {len(array):,} images", ha="center", va="center", color=INK)
        return figure
    worst = mistakes[np.argsort(share[mistakes, truth[mistakes]], kind="stable")][:count]
    return predictions(array[worst], chosen[worst], truth[worst], share[worst], class_names, columns)


def _indices(values: Any, name: str, count: int) -> np.ndarray:
    indices = host(values, name, ndim=(1,))
    if len(indices) != count or indices.dtype.kind not in "iu" or indices.min() < 0:
        raise ValueError(
            f"plotting: {name} is {indices.dtype} of shape {indices.shape}; "
            f"wanted {count} class indices, one for each image"
        )
    return indices


def _probabilities(values: Any, classes: np.ndarray) -> np.ndarray:
    share = host(values, "probabilities", ndim=(2,))
    if len(share) != len(classes) or classes.max() >= share.shape[1]:
        raise ValueError(
            f"plotting: probabilities have shape {share.shape}; "
            f"wanted {len(classes)} rows and more than {classes.max()} columns"
        )
    return share


def _names(indices: np.ndarray, class_names: Sequence[str] | None) -> list[str]:
    if class_names is not None and indices.max() >= len(class_names):
        raise ValueError(f"plotting: found class {indices.max()}; the {len(class_names)} names end before it")
    names = names_of(int(indices.max()) + 1 if class_names is None else len(class_names), class_names)
    return [names[index] for index in indices]


def _grid(pictures: np.ndarray, titles: list[str], frames: list[str | None], columns: int) -> Figure:
    if columns < 1:
        raise ValueError(f"plotting: found columns={columns}; wanted at least 1")
    longest = max(len(line) for title in titles for line in title.split("\n"))
    legible = max(4, int(WIDTH * 110 / 6.4 / max(longest, 1)))  # an inch takes about ten characters of 11 points
    columns = min(columns, legible, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    width = min(WIDTH / columns, 2.0)
    height = width * pictures.shape[1] / pictures.shape[2]
    lines = max(title.count("\n") + 1 for title in titles) if any(titles) else 0
    size = min(11.0, 110 * width / max(longest, 1))
    figure = new_figure(rows * (height + lines * size / 55), max(width * columns, 2.0))
    for place, (picture, title, frame) in enumerate(zip(pictures, titles, frames, strict=True), 1):
        axes = figure.add_subplot(rows, columns, place)
        show_picture(axes, picture)
        bare(axes, frame)
        axes.set_title(title, fontsize=size, color=frame or INK, pad=3)
    return figure
