"""Figures of metrics over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mydl.history import History
from mydl.plotting.style import INK, MUTED, SERIES, new_figure, plain, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training_curves(histories: History | Mapping[str, History]) -> Figure:
    """Loss and accuracy over the epochs of one run, or of several laid over one another.

    Training is dashed, validation solid; a ring marks the best epoch, the one of highest validation accuracy
    (of lowest validation loss, where accuracy was not measured).

    Args:
        histories: one history, or names to histories. Columns that a history lacks are left out.

    Raises:
        ValueError: no history, one without rows, or none with a loss or an accuracy.

    Example:
        >>> history = History(rows=[{"epoch": 1, "val_loss": 0.9}, {"epoch": 2, "val_loss": 0.4}])
        >>> [axes.get_title(loc="left") for axes in training_curves(history).axes]
        ['Loss']
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    runs = _runs(histories, "training_curves")
    measured = {column for history in runs.values() for column in history.columns}
    kinds = [kind for kind in ("loss", "accuracy") if measured & {f"train_{kind}", f"val_{kind}"}]
    if not kinds:
        raise ValueError(f"training_curves: found the columns {sorted(measured)}; wanted a loss or an accuracy")
    figure = new_figure(height=3.8)
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0], kinds, strict=True):
        for number, history in enumerate(runs.values()):
            _draw(axes, history, kind, SERIES[number % len(SERIES)])
        tidy(axes, title=kind.capitalize(), x="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if max(len(history) for history in runs.values()) == 1:
            axes.set_xlim(axes.get_xlim()[0] - 1, axes.get_xlim()[1] + 1)
        if kind == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _legends(figure, runs)
    return figure


def learning_rates(histories: History | Mapping[str, History]) -> Figure:
    """The learning rate at the start of each epoch, of one run or of several, on a logarithmic scale.

    Args:
        histories: one history, or names to histories, with the column `lr`.

    Raises:
        ValueError: no history, one without rows, or one without learning rates above 0.

    Example:
        >>> history = History(rows=[{"epoch": 1, "lr": 0.1}, {"epoch": 2, "lr": 0.01}])
        >>> learning_rates(history).axes[0].lines[0].get_ydata().tolist()
        [0.1, 0.01]
    """
    from matplotlib.ticker import MaxNLocator

    runs = _runs(histories, "learning_rates")
    figure = new_figure(height=2.8)
    axes = figure.add_subplot()
    for number, (name, history) in enumerate(runs.items()):
        rates = np.array(history["lr"], np.float64)
        if not (rates > 0).any():
            raise ValueError(f"learning_rates: the history {name!r} has the rates {rates}; wanted some above 0")
        colour, dot = SERIES[number % len(SERIES)], "o" if len(history) <= 30 else None
        rates = np.where(rates > 0, rates, np.nan)  # a logarithm has no place for 0
        axes.plot(_epochs(history), rates, color=colour, linewidth=2, marker=dot, markersize=4, label=plain(name, 60))
    tidy(axes, title="Learning rate", x="epoch")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high / low < 10:  # a decade at least, so that the axis has numbers and a constant rate looks constant
        axes.set_ylim((low * high) ** 0.5 / 10**0.5, (low * high) ** 0.5 * 10**0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if list(runs) != [""]:
        figure.legend(loc="outside lower center", ncols=min(len(runs), 3), frameon=False, fontsize=10, labelcolor=INK)
    return figure


def _runs(histories: History | Mapping[str, History], where: str) -> dict[str, History]:
    runs = {"": histories} if isinstance(histories, History) else dict(histories)
    if not runs:
        raise ValueError(f"{where}: found no history; wanted at least one")
    for name, history in runs.items():
        if not len(history):
            raise ValueError(f"{where}: the history {name!r} has no rows; wanted at least one epoch")
    return runs


def _draw(axes: Axes, history: History, kind: str, colour: str) -> None:
    epochs = _epochs(history)
    dot = "." if len(history) == 1 else None  # a line through one point cannot be seen
    if f"train_{kind}" in history:
        axes.plot(epochs, history[f"train_{kind}"], color=colour, linestyle="--", linewidth=1.4, marker=dot)
    if f"val_{kind}" in history:
        values = history[f"val_{kind}"]
        axes.plot(epochs, values, color=colour, linewidth=2, marker=dot)
        best = _best(history)
        if best is not None:
            axes.plot(epochs[best], values[best], "o", color=colour, markerfacecolor="white", markersize=8)


def _epochs(history: History) -> list[float]:
    return history["epoch"] if "epoch" in history else list(range(1, len(history) + 1))


def _best(history: History) -> int | None:
    """The position of the best epoch, None where nothing was validated."""
    for metric, sign in (("val_accuracy", -1), ("val_loss", 1)):
        values = [sign * value for value in history[metric]] if metric in history else []
        measured = [value for value in values if not math.isnan(value)]
        if measured:
            return values.index(min(measured))
    return None


def _reached(history: History) -> str:
    """What a run's best epoch reached, for the legend."""
    best = _best(history)
    if best is None:
        return "not validated"
    row = history.rows[best]
    accuracy = row.get("val_accuracy", math.nan)
    reached = f"loss {row['val_loss']:.3g}" if math.isnan(accuracy) else f"{accuracy:.2%}"
    return f"{reached} (epoch {_epochs(history)[best]})"


def _legends(figure: Figure, runs: Mapping[str, History]) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=MUTED, linestyle="--", linewidth=1.4, label="training"),
        Line2D([], [], color=MUTED, linewidth=2, label="validation"),
        Line2D([], [], color=MUTED, linestyle="", marker="o", markerfacecolor="white", label="best epoch"),
    ]
    look = {"frameon": False, "fontsize": 10, "labelcolor": INK}
    if list(runs) == [""]:
        lines[-1].set_label(f"best epoch: {_reached(runs[''])}")
    else:
        names = [
            Line2D([], [], color=SERIES[n % len(SERIES)], linewidth=4, label=f"{plain(name, 60)}: {_reached(history)}")
            for n, (name, history) in enumerate(runs.items())
        ]
        figure.legend(handles=names, loc="outside upper center", ncols=min(len(names), 2), **look)
    figure.legend(handles=lines, loc="outside lower center", ncols=3, **look)
