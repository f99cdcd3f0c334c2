"""Draw what a run learned: every figure that applies to it goes into RUN/figs.

    python -m scripts.plot results/mlp-mnist
    python -m scripts.plot results/mlp-mnist results/resnet-mnist    each, and in the first one's figs all curves in one

The figures are made of the run's history, its best weights and its test set; `mydl.plotting` draws them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

import mydl
from mydl import nn, plotting
from mydl.files import atomic_write
from mydl.history import History
from mydl.nn import functional as F
from scripts.answers import Answers, answers_of, short_names
from scripts.command_line import CommandLine, run
from scripts.runs import Run, open_runs, read_history

SAMPLES = 30  # images in a grid
BATCH = 256  # images whose activations and gradients are counted
POINTS = 3000  # images in the latent space


def read_settings(argv: list[str] | None = None) -> argparse.Namespace:
    parser = CommandLine("plot", "Draw all figures of a run into its folder figs; of several runs also one of all.")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run's folder, as train_model made it")
    parser.add_common("--data-dir", "--weights", "--threads")
    return parser.parse_args(argv)


class Drawn(NamedTuple):
    """A figure with its file's name, without suffix, and what it shows."""

    name: str
    caption: str
    figure: Figure


def figures(run: Run, history: History, seen: Answers) -> Iterator[Drawn]:
    """Every figure that applies to the run, one at a time: drawn figures take memory."""
    classes = short_names(run.data["classes"])
    yield Drawn("training", "Loss and accuracy over the epochs.", plotting.training_curves(history))
    yield Drawn("learning-rate", "The learning rate over the epochs.", plotting.learning_rates(history))
    caption = "How often each class of the test set was taken for each class."
    yield Drawn("confusion", caption, plotting.confusion_matrix(seen.confusion, classes))
    yield from _of_images(seen, classes)
    yield from _of_weights(run.model, seen)
    yield from _of_layers(run.model, seen, classes)


def _of_images(seen: Answers, classes: list[str]) -> Iterator[Drawn]:
    some = np.arange(min(SAMPLES, len(seen.labels)))
    pictures, labels, predicted = seen.pictures[some], seen.labels[some], seen.predicted[some]
    yield Drawn("samples", "Images of the test set.", plotting.sample_grid(pictures, labels, classes))
    figure = plotting.predictions(pictures[:24], predicted[:24], labels[:24], seen.probabilities[:24], classes)
    yield Drawn("predictions", "What the model says of them.", figure)
    figure = plotting.worst_mistakes(seen.pictures, seen.probabilities, seen.labels, class_names=classes)
    yield Drawn("mistakes", "The mistakes that it was surest of.", figure)
    unsure = int(seen.probabilities.max(axis=1).argmin())
    figure = plotting.single_prediction(
        seen.pictures[unsure], seen.probabilities[unsure], classes, int(seen.labels[unsure])
    )
    yield Drawn("single", "The test image that it was least sure of.", figure)


def _of_weights(model: nn.NeuralNetwork, seen: Answers) -> Iterator[Drawn]:
    channels, height, width = seen.dataset.input_shape
    first = next(module for module in model.modules() if isinstance(module, (nn.Linear, nn.Conv2D)))
    if isinstance(first, nn.Linear) and first.in_features == channels * height * width and channels == 1:
        figure = plotting.weight_images(first.weight.detach(), (height, width))
        yield Drawn("weights", "The first layer's weights: what each unit looks for. Blue is negative.", figure)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2D)]
    for number, layer in enumerate(convolutions[:2], 1):
        caption = f"The kernels of convolution {number}. Blue is negative."
        yield Drawn(f"kernels-{number}", caption, plotting.kernels(layer.weight.detach()))


def _of_layers(model: nn.NeuralNetwork, seen: Answers, classes: list[str]) -> Iterator[Drawn]:
    inputs = seen.dataset.prepare(seen.dataset.data.numpy()[:BATCH])
    labels = mydl.tensor(seen.labels[:BATCH])
    outputs = plotting.layer_outputs(model, inputs)
    maps = {name: values[0] for name, values in outputs.items() if values.ndim == 4}
    if maps:
        figure = plotting.feature_maps(maps, seen.pictures[0])
        yield Drawn("feature-maps", "One test image and what the layers make of it.", figure)
    caption = f"What the layers give out for {len(labels)} test images."
    yield Drawn("activations", caption, plotting.activation_histograms(outputs))
    yield Drawn(
        "gradients",
        "The gradients of the weights there.",
        plotting.gradient_histograms(_gradients(model, inputs, labels)),
    )
    yield Drawn(
        "network", "The layers, each with the shape that it gives out.", plotting.network_diagram(model, inputs[:1])
    )
    loss = F.cross_entropy(model.eval()(inputs[:1]), labels[:1])
    figure = plotting.autograd_graph(loss, dict(model.named_parameters()))
    yield Drawn("graph", "The graph that backward walks from the loss of one image, as autograd recorded it.", figure)
    few = slice(None, POINTS)
    figure = plotting.latent_space(seen.features[few], seen.labels[few], classes)
    yield Drawn("latent", "What goes into the last layer, in the plane where it varies most.", figure)


def _gradients(model: nn.NeuralNetwork, inputs: mydl.Tensor, labels: mydl.Tensor) -> dict[str, mydl.Tensor]:
    """The gradients of the loss on these images, in evaluation mode, by weight; biases and scales are left out."""
    weights = {name: parameter for name, parameter in model.named_parameters() if parameter.ndim > 1}
    loss = F.cross_entropy(model.eval()(inputs), labels)
    return dict(zip(weights, mydl.autograd.grad(loss, list(weights.values())), strict=True))


def write_dot(run: Run, seen: Answers, path: Path) -> None:
    """The autograd graph of one image's loss in the DOT language."""
    inputs = seen.dataset.prepare(seen.dataset.data.numpy()[:1])
    loss = F.cross_entropy(run.model.eval()(inputs), mydl.tensor(seen.labels[:1]))
    with atomic_write(path) as file:
        file.write((plotting.autograd_dot(loss, dict(run.model.named_parameters())) + "\n").encode())


def main(argv: list[str] | None = None) -> None:
    settings = read_settings(argv)
    if settings.threads:
        mydl.set_num_threads(settings.threads)
    histories, folders = {}, []
    for path, trained in open_runs(settings.runs, settings.weights).items():
        histories[path] = read_history(trained.folder)
        seen = answers_of(trained, settings.data_dir)
        folder = trained.folder / "figs"
        folder.mkdir(exist_ok=True)
        folders.append(folder)
        names = []
        for name, _, figure in figures(trained, histories[path], seen):
            plotting.save_figure(figure, folder / f"{name}.png")
            names.append(f"{name}.png")
        write_dot(trained, seen, folder / "graph.dot")
        print(f"{folder}: {', '.join(names)}, graph.dot")
    if len(histories) > 1:
        together = folders[0] / "runs.png"
        plotting.save_figure(plotting.training_curves(histories), together)
        print(f"{together}: the curves of {len(histories)} runs")


if __name__ == "__main__":
    run(main, "plot")
