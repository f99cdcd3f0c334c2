"""Figures of representations: inputs laid out by their codes, and what is rebuilt from a code."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mydl.plotting.style import INK, SERIES, WIDTH, as_pictures, bare, host, names_of, new_figure, show_picture, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def principal_components(codes: Any) -> tuple[np.ndarray, np.ndarray]:
    """Codes (N, D) projected on the two directions along which they vary most, (N, 2), and the share of each.

    A share is the direction's part of the whole variance. The sign of a direction, which is arbitrary, is such
    that its largest coefficient is positive.

    Raises:
        ValueError: fewer than two codes, or fewer than two dimensions.

    Example:
        >>> points, shares = principal_components([[0, 0, 0], [2, 0, 0], [0, 0, 0], [2, 1, 0]])
        >>> points.shape, shares.sum().round(6).item()
        ((4, 2), 1.0)
    """
    array = host(codes, "the codes", ndim=(2,)).astype(np.float64)
    if min(array.shape) < 2:
        raise ValueError(f"principal_components: found codes of shape {array.shape}; wanted at least (2, 2)")
    array = array - array.mean(axis=0)
    # The eigenvectors of the (D, D) covariance; an SVD of the (N, D) codes would take N / D times as long.
    variance, directions = np.linalg.eigh(array.T @ array)
    variance, directions = variance[:-3:-1], directions[:, :-3:-1]
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), [0, 1]])
    total = np.square(array).sum()
    return array @ directions, np.maximum(variance, 0) / (total or 1.0)


def latent_space(codes: Any, labels: Any = None, class_names: Sequence[str] | None = None) -> Figure:
    """Codes as points in the plane, coloured by class, with the name of each class at its median.

    Codes of more than two dimensions are projected on their two principal components.

    Args:
        codes: shape (N, D): an autoencoder's codes, or what the last hidden layer of a classifier gives out.
        labels: class indices, shape (N,).
        class_names: a name for each class; their numbers without.

    Raises:
        ValueError: a shape does not fit.

    Example:
        >>> figure = latent_space([[0, 0], [1, 1], [5, 5]], labels=[0, 0, 1])
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0', '1']
    """
    from matplotlib.patheffects import withStroke

    points = host(codes, "the codes", ndim=(2,)).astype(np.float64)
    title, names_of_axes = "Latent space", ("first dimension", "second dimension")
    if points.shape[1] != 2:
        points, shares = principal_components(points)
        title = f"Latent space: two principal components of {np.shape(codes)[1]}"
        names_of_axes = (f"first: {shares[0]:.0%} of the variance", f"second: {shares[1]:.0%}")
    classes = np.zeros(len(points), np.int64) if labels is None else host(labels, "labels", ndim=(1,))
    if classes.shape != points.shape[:1] or classes.dtype.kind not in "iu" or classes.min() < 0:
        raise ValueError(
            f"latent_space: labels are {classes.dtype} of shape {classes.shape}; wanted {len(points)} class indices"
        )
    if class_names is not None and classes.max() >= len(class_names):
        raise ValueError(f"latent_space: found class {classes.max()}; the {len(class_names)} names end before it")
    names = names_of(int(classes.max()) + 1 if class_names is None else len(class_names), class_names)
    figure = new_figure(height=5.6)
    axes = figure.add_subplot()
    size = float(np.clip(12000 / len(points), 5, 30))
    for number in np.unique(classes):
        mine = points[classes == number]
        # Markers tell apart what seven colours cannot.
        colour, marker = SERIES[number % len(SERIES)], "o^sDvP"[number // len(SERIES) % 6]
        axes.scatter(mine[:, 0], mine[:, 1], s=size, color=colour, marker=marker, alpha=0.55, linewidths=0)
    shown = np.unique(classes) if labels is not None else np.empty(0, np.int64)
    medians = [np.median(points[classes == number], axis=0) for number in shown]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    inches = np.array([7.2 / (right - left), 4.8 / (high - low)])  # of one unit, about
    for number, place in zip(shown, _apart(np.reshape(medians, (-1, 2)), [names[n] for n in shown], inches)):
        outline = [withStroke(linewidth=3, foreground="white")]
        axes.text(
            place[0], place[1], names[number], fontsize=13, fontweight="bold", color=INK,
            ha="center", va="center", path_effects=outline,
        )  # fmt: skip
    tidy(axes, title=title, x=names_of_axes[0], y=names_of_axes[1], grid=None)
    return figure


def _apart(places: np.ndarray, names: list[str], inches: np.ndarray) -> np.ndarray:
    """The places of names of 13 points, moved up and down until none covers another."""
    places = places * inches
    for _ in range(100):
        for i, j in itertools.combinations(range(len(names)), 2):
            gap = places[j] - places[i]
            height = 0.22 - abs(gap[1])
            if abs(gap[0]) < 0.065 * (len(names[i]) + len(names[j])) and height > 0:
                places[[i, j], 1] += np.array([-1, 1]) * height / 2 * (1 if gap[1] >= 0 else -1)
    return places / inches


def reconstructions(images: Any, rebuilt: Any, count: int = 10) -> Figure:
    """Images above what a model rebuilt of them, with the mean squared error of each.

    Args:
        images: shape (N, H, W), (N, 1, H, W) or (N, 3, H, W).
        rebuilt: the same shape and scale.
        count: how many to show, at most.

    Raises:
        ValueError: the shapes differ or are another.

    Example:
        >>> figure = reconstructions(np.ones((3, 1, 8, 8)), np.zeros((3, 1, 8, 8)))
        >>> figure.axes[3].get_title()
        'error 1'
    """
    before, after = (
        host(values, name, ndim=(3, 4))[:count] for values, name in ((images, "images"), (rebuilt, "rebuilt"))
    )
    if before.shape != after.shape:
        raise ValueError(f"reconstructions: found {after.shape} rebuilt of {before.shape}; wanted the same shape")
    columns = len(before)
    errors = np.square(after.astype(np.float64) - before).reshape(columns, -1).mean(axis=1)
    pictures = as_pictures(np.concatenate([before, after]))  # together: one scale of grey for both rows
    width = min(WIDTH / columns, 2.0)
    height = width * pictures.shape[1] / pictures.shape[2]
    figure = new_figure(2 * height + 0.35, max(width * columns, 2.0))
    panels = figure.subplots(2, columns, squeeze=False).reshape(-1)
    for axes, picture in zip(panels, pictures):
        show_picture(axes, picture)
        bare(axes)
    for axes, error in zip(panels[columns:], errors):
        axes.set_title(f"error {error:.2g}", fontsize=min(10.0, 12 * width), color=INK, pad=3)
    return figure
