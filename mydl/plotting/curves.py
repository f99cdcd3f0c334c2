"""Figures of metrics over time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mydl.history import History
from mydl.plotting.style import INK, MUTED, SERIES, new_figure, tidy

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

    runs = {"": histories} if isinstance(histories, History) else dict(histories)
    if not runs:
        raise ValueError("training_curves: found no history; wanted at least one")
    for name, history in runs.items():
        if not len(history):
            raise ValueError(f"training_curves: the history {name!r} has no rows; wanted at least one epoch")
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
            Line2D([], [], color=SERIES[n % len(SERIES)], linewidth=4, label=f"{name}: {_reached(history)}")
            for n, (name, history) in enumerate(runs.items())
        ]
        figure.legend(handles=names, loc="outside upper center", ncols=min(len(names), 2), **look)
    figure.legend(handles=lines, loc="outside lower center", ncols=3, **look)
