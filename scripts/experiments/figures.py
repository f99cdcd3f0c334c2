"""The README's figures of the experiments, from their result files and the weights that were kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import models
import mydl
from mydl import nn, plotting
from mydl.history import History
from mydl.plotting.style import SERIES, new_figure, tidy
from scripts import datasets
from scripts.answers import answers_of
from scripts.experiments import boxes, latent, weights
from scripts.runs import open_run

__all__ = ["draw"]

DIGITS = [str(digit) for digit in range(10)]
CURVES = {
    "mlp": ("mlp-1", "mlp-2", "mlp-4", "mlp-5", "mlp-7", "mlp-10"),
    "resnet": ("resnet-1", "resnet-2", "resnet-3"),
    "ffnn": ("ffnn-set", "ffnn-a1", "ffnn-a2", "ffnn-b1", "ffnn-b2"),
    "fashion": ("fashion-logistic", "fashion-dense", "fashion-ffnn", "beyond-fashion"),
    "beyond": ("beyond-mlp", "beyond-cnn"),
}


def draw(results: Sequence[dict[str, Any]], runs: Path, folder: Path, data_dir: str | None) -> Iterator[str]:
    """Write every figure that can be drawn into `folder`; a line for each, also for those that cannot be."""
    by_name = {result["name"]: result for result in results}
    jobs: list[tuple[str, Callable[[], Figure]]] = []
    for family, rows in CURVES.items():
        there = [name for name in rows if name in by_name]
        if there:
            jobs.append((f"training-{family}s" if family == "mlp" else f"training-{family}", _curves(by_name, there)))
    jobs += [(f"confusion-{name}", _confusion(by_name[name])) for name in ("latent-svm",) if name in by_name]
    jobs += [(name, _variance(by_name[name])) for name in ("init-variance",) if name in by_name]
    jobs += [("approximation", _approximation(by_name[name])) for name in ("approximate",) if name in by_name]
    for kind in ("mlp", "resnet"):
        path = weights.FOLDER / f"{kind}-mnist.safetensors"
        if path.exists():
            jobs += _of_weights(kind, path, data_dir)
        else:
            yield f"figures of the {kind}'s weights: left out, {path} is missing"
    # What 600 images teach from weights near 0 is still whole digits; more of them teach strokes.
    path = runs / "ffnn-sample" / "seed-42" / "best.safetensors"
    if path.exists():
        jobs.append(("weights-digits", _first_layer(models.load(path))))
    if "autoencoder" in by_name:
        path = weights.run_folder(by_name["autoencoder"], runs) / latent.WEIGHTS
        if path.exists():
            jobs += _of_codes(path, data_dir)
        else:
            yield f"figures of the autoencoder: left out, {path} is missing; python -m scripts.reproduce autoencoder"
    folder.mkdir(parents=True, exist_ok=True)
    for name, job in jobs:
        plotting.save_figure(job(), folder / f"{name}.png")
        yield f"{folder / name}.png"


def _curves(by_name: dict[str, Any], names: Sequence[str]) -> Callable[[], Figure]:
    histories = {name: History(rows=by_name[name]["history"]) for name in names}
    return lambda: plotting.training_curves(histories)


def _confusion(result: dict[str, Any]) -> Callable[[], Figure]:
    return lambda: plotting.confusion_matrix(np.array(result["final"]["confusion"]), DIGITS)


def _of_weights(kind: str, path: Path, data_dir: str | None) -> list[tuple[str, Callable[[], Figure]]]:
    """The first layer, and the test image that the model is least sure of; of a ResNet what its layers make of one."""
    run = open_run(path)
    seen = answers_of(run, data_dir)
    unsure = int(seen.probabilities.max(axis=1).argmin())
    probabilities, target = seen.probabilities[unsure], int(seen.labels[unsure])
    jobs: list[tuple[str, Callable[[], Figure]]] = [
        (f"single-{kind}", lambda: plotting.single_prediction(seen.pictures[unsure], probabilities, DIGITS, target)),
        (f"confusion-{kind}", lambda: plotting.confusion_matrix(seen.confusion, DIGITS)),
    ]
    if kind == "mlp":
        return [*jobs, ("weights-mlp", _first_layer(run.model))]
    first = next(layer for layer in run.model.modules() if isinstance(layer, nn.Conv2D))
    outputs = plotting.layer_outputs(run.model, seen.dataset.prepare(seen.dataset.data.numpy()[:1]))
    maps = {name: values[0] for name, values in outputs.items() if values.ndim == 4}
    return [
        *jobs,
        (f"kernels-{kind}", lambda: plotting.kernels(first.weight.detach())),
        (f"feature-maps-{kind}", lambda: plotting.feature_maps(maps, seen.pictures[0])),
    ]


def _first_layer(model: nn.NeuralNetwork) -> Callable[[], Figure]:
    first = next(layer for layer in model.modules() if isinstance(layer, nn.Linear))
    return lambda: plotting.weight_images(first.weight.detach(), count=36)


def _of_codes(path: Path, data_dir: str | None) -> list[tuple[str, Callable[[], Figure]]]:
    """Test images as the autoencoder rebuilds them, and their codes."""
    model = models.load(path)
    images = datasets.load("mnist", data_dir, train=False, normalize="scale")
    with mydl.no_grad():
        inputs = images.prepare(images.data.numpy()[:7])
        rebuilt = model(inputs).reshape(inputs.shape)
    codes, labels = latent.codes(model, images)
    scaled = (codes - codes.mean(axis=0)) / (codes.std(axis=0) + 1e-6)  # as the support vector machine sees them
    return [
        ("reconstructions", lambda: plotting.reconstructions(inputs, rebuilt)),
        ("latent-space", lambda: plotting.latent_space(scaled[:3000], labels[:3000], DIGITS)),
    ]


def _variance(result: dict[str, Any]) -> Callable[[], Figure]:
    """Mean squares through the layers, a panel for each kind of unit and direction, a line for each start."""

    def figure() -> Figure:
        drawn = new_figure(height=6.4)
        panels = drawn.subplots(2, 2, sharex=True)
        for row, kind in zip(panels, ("linear", "relu")):
            for axes, what in zip(row, ("activations", "gradients")):
                for number, (name, values) in enumerate(result["final"][what][kind].items()):
                    axes.plot(values, color=SERIES[number % len(SERIES)], label=f"σ² = {name}" if "/" in name else name)
                axes.set_yscale("log")
                axes.set_ylim(1e-6, 1e6)
                unit = "ReLU" if kind == "relu" else kind
                tidy(axes, title=f"{what.capitalize()}, {unit}", x="layer" if kind == "relu" else "")
        panels[0, 0].set_ylabel("mean square, of the input's")
        panels[1, 0].set_ylabel("mean square, of the input's")
        for axes in panels[:, 1]:
            axes.set_ylabel("of the output's")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=10)
        return drawn

    return figure


def _approximation(result: dict[str, Any]) -> Callable[[], Figure]:
    """The function with its boxes, and the error over their number, in one and two dimensions."""

    def figure() -> Figure:
        drawn = new_figure(height=3.6)
        left, right = drawn.subplots(1, 2)
        places = np.linspace(-boxes.B, boxes.B, 2001)[:-1]
        count = 16
        middles = (np.arange(count) + 0.5) / count * 2 * boxes.B - boxes.B
        borders = mydl.linspace(-boxes.B, boxes.B, count + 1, dtype=mydl.float64)
        with mydl.no_grad():
            network = boxes.Boxes(mydl.tensor(boxes.smooth(middles)), borders)
            found = network(mydl.tensor(places).reshape(-1, 1)).flatten().numpy()
        left.plot(places, boxes.smooth(places), color=SERIES[0], label="the function")
        left.plot(places, found, color=SERIES[1], label=f"{count} boxes")
        left.legend(frameon=False, fontsize=10)
        tidy(left, title="Boxes of step neurons", x="x")
        counts = [row["boxes"] for row in result["history"]]
        for number, (column, label) in enumerate((("error", "N boxes on a line"), ("error_2d", "N² on a square"))):
            errors = [row[column] for row in result["history"]]
            right.loglog(counts, errors, "o-", color=SERIES[number], label=label)
        right.loglog(counts, [1 / n for n in counts], "--", color=SERIES[-1], label="1/N", linewidth=1)
        right.set_xticks(counts, [str(n) for n in counts])
        right.minorticks_off()
        right.legend(frameon=False, fontsize=10)
        tidy(right, title="Largest error", x="N")
        return drawn

    return figure
