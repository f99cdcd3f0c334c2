"""Figures of what a classifier says: all its answers as a matrix, or one answer with its probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mydl.plotting.style import (
    BLUE,
    FAINT,
    INK,
    RIGHT,
    SKY,
    VERMILLION,
    WRONG,
    as_pictures,
    bare,
    host,
    names_of,
    new_figure,
    show_picture,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LEGIBLE = 20  # classes of a confusion matrix that have room for numbers in the cells and a name each


def confusion_matrix(matrix: Any, class_names: Sequence[str] | None = None) -> Figure:
    """How often each true class (row) was taken for each class (column), beside the recall of each class.

    Recall is the diagonal over the row's sum: the share of a class that was recognised. Right answers are
    shaded blue by recall, mistakes orange by their number, so that a few show beside thousands.

    Args:
        matrix: counts, shape (classes, classes); row i, column j holds how many of class i were called j.
        class_names: a name for each class; their numbers without.

    Raises:
        ValueError: the matrix is not square or has negative entries, or the names do not fit.
    """
    counts = host(matrix, "the confusion matrix", ndim=(2,))
    classes = counts.shape[0]
    if counts.shape != (classes, classes) or counts.min() < 0:
        raise ValueError(f"confusion_matrix: found shape {counts.shape}; wanted a square matrix of counts >= 0")
    names = names_of(classes, class_names)
    totals = counts.sum(axis=1)
    right = np.diagonal(counts)
    recall = np.divide(right, totals, out=np.full(classes, np.nan), where=totals > 0)

    figure = new_figure(height=min(2.4 + 0.36 * classes, 9.0))
    grid = figure.add_gridspec(1, 2, width_ratios=[5, 2])
    axes, bars = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    axes.imshow(_shades(counts, recall), aspect="auto")
    _write_counts(axes, counts, recall)
    tidy(axes, x="predicted class", y="true class", grid=None)
    named = range(0, classes, math.ceil(classes / LEGIBLE))
    labels = [names[number] for number in named]
    turned = max(len(name) for name in names) > 4
    axes.set_xticks(named, labels, rotation=45 if turned else 0, ha="right" if turned else "center")
    axes.set_yticks(named, labels)
    accuracy = right.sum() / max(totals.sum(), 1)
    axes.set_title(f"{accuracy:.2%} of {totals.sum():,.0f} right", fontsize=12, color=INK, loc="left")

    bars.barh(range(classes), np.nan_to_num(recall), color=BLUE, height=0.72)
    bars.set_ylim(classes - 0.5, -0.5)
    bars.set_xlim(0, 1)
    for row, value in enumerate(recall if classes <= LEGIBLE else ()):
        text, colour = ("no samples", INK) if np.isnan(value) else (f"{value:.1%}", "white")
        inside = value > 0.35
        bars.text(
            value - 0.03 if inside else np.nan_to_num(value) + 0.03, row, text,
            ha="right" if inside else "left", va="center", fontsize=_fit(classes, 10),
            color=colour if inside else INK,
        )  # fmt: skip
    tidy(bars, title="Recall", grid=None)
    bars.set_xticks([0, 0.5, 1], ["0", "50%", "100%"])
    bars.set_yticks([])
    return figure


def _fit(classes: int, size: float) -> float:
    """A font size that still fits the rows of a matrix of so many classes."""
    return min(size, size * 14 / classes)


def _shades(counts: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """The colour of each cell, shape (classes, classes, 3)."""
    from matplotlib.colors import to_rgb

    wrong = counts * ~np.eye(len(counts), dtype=bool)
    strength = (wrong / max(wrong.max(), 1)) ** 0.7 * 0.85
    colour = np.broadcast_to(np.array(to_rgb(VERMILLION)), (*counts.shape, 3)).copy()
    diagonal = np.arange(len(counts))
    colour[diagonal, diagonal] = to_rgb(BLUE)
    strength[diagonal, diagonal] = np.nan_to_num(recall) * 0.9
    return 1 - strength[..., None] * (1 - colour)


def _write_counts(axes: Axes, counts: np.ndarray, recall: np.ndarray) -> None:
    if len(counts) > LEGIBLE:
        return
    worst = max((counts * ~np.eye(len(counts), dtype=bool)).max(), 1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = recall[row] > 0.5 if row == column else counts[row, column] > 0.55 * worst
        axes.text(
            column, row, f"{counts[row, column]:.0f}", ha="center", va="center",
            fontsize=_fit(len(counts), 9), color="white" if dark else INK,
        )  # fmt: skip


def single_prediction(
    image: Any, probabilities: Any, class_names: Sequence[str] | None = None, target: int | None = None
) -> Figure:
    """One image beside the probability that the model gives each class, or each of the ten likeliest.

    Args:
        image: shape (H, W), (1, H, W) or (3, H, W).
        probabilities: shape (classes,), summing to 1.
        class_names: a name for each class; their numbers without.
        target: the true class, where it is known; its bar is outlined, the title says if the model found it.

    Raises:
        ValueError: a shape does not fit, or the target is none of the classes.
    """
    picture = as_pictures(host(image, "the image", ndim=(2, 3))[None], "the image")[0]
    share = host(probabilities, "probabilities", ndim=(1,)).astype(np.float64)
    names = names_of(len(share), class_names)
    if target is not None and not 0 <= target < len(share):
        raise ValueError(f"single_prediction: found the target {target}; wanted one of {len(share)} classes")
    best = int(share.argmax())
    shown = np.arange(len(share)) if len(share) <= 10 else np.argsort(-share, kind="stable")[:10]

    figure = new_figure(height=3.4)
    left, bars = figure.subplots(1, 2, width_ratios=[2, 3])
    show_picture(left, picture)
    title, frame = f"{names[best]}  ({share[best]:.1%})", None
    if target is not None and best == target:
        title, frame = f"✓ {title}", RIGHT
    elif target is not None:
        title, frame = f"✗ {title}, is {names[target]}", WRONG
    bare(left, frame)
    left.set_title(title, fontsize=12, color=INK, loc="left")

    colours = [BLUE if index == best else SKY for index in shown]
    drawn = bars.barh(range(len(shown)), share[shown], color=colours, height=0.72)
    for row, index in enumerate(shown):
        bars.text(share[index] + 0.015, row, f"{share[index]:.1%}", va="center", fontsize=10, color=INK)
        if index == target:
            drawn[row].set_edgecolor(INK)
            drawn[row].set_linewidth(1.6)
    bars.set_ylim(len(shown) - 0.5, -0.5)
    bars.set_xlim(0, 1.14)  # room for the number after a full bar
    tidy(bars, title="Probability", grid="x")
    bars.set_yticks(range(len(shown)), [names[index] for index in shown])
    bars.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
    bars.grid(axis="x", color=FAINT)
    return figure
