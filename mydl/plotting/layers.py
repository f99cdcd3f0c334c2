"""What the layers of a model give out for an input, and figures of how their values and gradients are distributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mydl import nn
from mydl.autograd.modes import no_grad
from mydl.backend import array_module
from mydl.nn.hooks import under_observation
from mydl.plotting.style import BLUE, FAINT, GREEN, INK, MUTED, host, new_figure, tidy
from mydl.tensor import MyTensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 80


def chosen_modules(model: nn.NeuralNetwork, most: int) -> dict[str, nn.NeuralNetwork]:
    """The sub-modules to show: all of the deepest level that has at most `most` of them, by name.

    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1)))
    >>> list(chosen_modules(net, 3)), list(chosen_modules(net, 2))
    (['0', '1.0', '1.1'], ['0', '1'])
    """
    shown = {"": model}
    while True:
        deeper: dict[str, nn.NeuralNetwork] = {}
        for name, module in shown.items():
            inside = {f"{name}.{child}".lstrip("."): below for child, below in module.named_children()}
            deeper |= inside or {name: module}
        if deeper.keys() == shown.keys() or (len(deeper) > most and "" not in shown):
            return shown
        shown = deeper


@contextmanager
def watched(
    model: nn.NeuralNetwork,
    modules: Mapping[str, nn.NeuralNetwork],
    see: Callable[[str, nn.NeuralNetwork, tuple, Any], Any],
) -> Iterator[None]:
    """Within, the model is in evaluation mode and `see(name, module, args, output)` hears of each call of a module.

    What `see` returns takes the output's place. Afterwards the model is as it was.

    >>> net = nn.Sequential(nn.ReLU())
    >>> with watched(net, {"0": net[0]}, lambda name, module, args, output: print(name, module)):
    ...     _ = net(MyTensor([1.0]))
    0 ReLU()
    """
    with under_observation(model):
        for name, module in modules.items():
            module.register_forward_hook(lambda module, args, output, name=name: see(name, module, args, output))
        yield


def layer_outputs(model: nn.NeuralNetwork, *inputs: Any, most: int = 12) -> dict[str, MyTensor]:
    """What each layer gives out for `inputs`, in evaluation mode and without gradients, in the order of the calls.

    A layer that only hands on its input (Flatten, and Dropout in evaluation) is left out, as is one whose output is
    no tensor. One that is called several times counts with its last call.

    Args:
        model: any module.
        inputs: what it is called with.
        most: how many layers to show: the deepest level of sub-modules that has no more is taken.

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU())
        >>> {name: values.shape for name, values in layer_outputs(net, MyTensor(np.zeros((2, 2, 2), "f4"))).items()}
        {'1': (2, 3), '2': (2, 3)}
    """
    found: dict[str, MyTensor] = {}

    def keep(name: str, module: nn.NeuralNetwork, args: tuple, output: Any) -> None:
        if isinstance(output, MyTensor):
            shares = array_module(output.array).may_share_memory
            handed_on = any(isinstance(x, MyTensor) and shares(x.array, output.array) for x in args)
            if not handed_on or getattr(module, "inplace", False):
                found[name] = output.clone()  # a later layer may write over it

    with no_grad(), watched(model, chosen_modules(model, most), keep):
        model(*inputs)
    return found


def activation_histograms(outputs: Mapping[str, Any]) -> Figure:
    """How the values that each layer gives out are distributed: a row for each layer, all on one scale.

    Beside each row stand mean ± standard deviation and the share of exact zeros, which tells of dead units behind a
    ReLU. Each row's highest bar has the same height; the outermost 0.1% on either side may lie off the scale.

    Args:
        outputs: names of layers to their outputs, of any shape: what `layer_outputs` returns.

    Raises:
        ValueError: no layers, or one without finite values.

    Example:
        >>> figure = activation_histograms({"relu": np.maximum(np.linspace(-1, 1, 101), 0)})
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['0.25 ± 0.33, 50% zeros']
    """
    rows = _finite(outputs, "activation_histograms")
    limits = [np.quantile(values, (0.001, 0.999)) for values in rows.values()]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    notes = []
    for values in rows.values():
        zeros = (values == 0).mean()
        notes.append(f"{values.mean():.2g} ± {values.std():.2g}" + (f", {zeros:.0%} zeros" if zeros > 0.005 else ""))
    return _ridges(rows, (low, high), notes, BLUE, "Activations", "value")


def gradient_histograms(gradients: Mapping[str, Any]) -> Figure:
    """How large the gradients of each parameter are: a row for each, log10 of their magnitudes.

    Rows that move left from the last layer to the first say that gradients vanish on their way, to the right that
    they explode. Beside each row stand the root of the mean square and the share of exact zeros.

    Args:
        gradients: names to gradients of any shape, as in
            `{name: p.grad for name, p in model.named_parameters()}`.

    Raises:
        ValueError: no gradients, or one without finite values.

    Example:
        >>> figure = gradient_histograms({"weight": np.array([0.1, -0.01, 0.001, 0.0])})
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['rms 0.05, 25% zeros']
    """
    rows, notes = {}, []
    for name, values in _finite(gradients, "gradient_histograms").items():
        size = np.abs(values)
        rows[name] = np.log10(size[size > 0])
        zeros = (size == 0).mean()
        notes.append(f"rms {np.sqrt((size**2).mean()):.2g}" + (f", {zeros:.0%} zeros" if zeros > 0.005 else ""))
    some = [values for values in rows.values() if values.size]
    low = min((np.quantile(values, 0.005) for values in some), default=-1.0)
    high = max((values.max() for values in some), default=0.0)
    return _ridges(rows, (low, high), notes, GREEN, "Gradients", "log10 of the magnitude")


def _finite(values: Mapping[str, Any], where: str) -> dict[str, np.ndarray]:
    if not values:
        raise ValueError(f"{where}: found nothing to draw; wanted at least one layer")
    rows = {}
    for name, array in values.items():
        flat = host(array, f"the values of {name!r}", ndim=tuple(range(9))).reshape(-1).astype(np.float64)
        rows[name] = flat[np.isfinite(flat)]
        if not rows[name].size:
            raise ValueError(f"{where}: none of the {flat.size} values of {name!r} is finite")
    return rows


def _ridges(
    rows: Mapping[str, np.ndarray], limits: tuple[float, float], notes: list[str], colour: str, title: str, x: str
) -> Figure:
    """A histogram over the other, from the first layer at the top to the last."""
    low, high = limits
    margin = (high - low or 1.0) * 0.02
    edges = np.linspace(low - margin, high + margin, BINS + 1)
    figure = new_figure(height=0.9 + 0.36 * len(rows))
    axes = figure.add_subplot()
    for row, (values, note) in enumerate(zip(rows.values(), notes)):
        counts = np.histogram(values, edges)[0]
        heights = counts / max(counts.max(), 1) * 0.86
        axes.stairs(row - heights, edges, baseline=row, fill=True, color=colour, linewidth=0)
        axes.axhline(row, color=FAINT, linewidth=0.8, zorder=0)
        axes.text(1.01, row - 0.3, note, transform=axes.get_yaxis_transform(), fontsize=9, color=MUTED, va="center")
    tidy(axes, title=title, x=x, grid="x")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(len(rows) - 0.9, -1.0)
    axes.set_yticks([row - 0.3 for row in range(len(rows))], list(rows), fontsize=10, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure
