"""What a trained model says of its test images: the raw material of plot, report and draw."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import mydl
from mydl import MyTensor, nn
from mydl.nn import functional as F
from scripts import datasets
from scripts.runs import Run

__all__ = ["Answers", "answer", "answers_of", "last_layer", "short_names"]

BATCH = 500


class Answers(NamedTuple):
    """The test images of a run, N of them, with the model's answers."""

    dataset: datasets.Images
    pictures: np.ndarray
    """uint8, (N, H, W) or (N, 3, H, W): for the eye, before their preparation."""
    labels: np.ndarray
    """The true classes, (N,)."""
    probabilities: np.ndarray
    """(N, classes), float32."""
    features: np.ndarray
    """What goes into the last linear layer, (N, D), float32."""

    @property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each image, (N,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def confusion(self) -> np.ndarray:
        """How many of class i were called j, (classes, classes)."""
        classes = self.probabilities.shape[1]
        return np.bincount(self.labels * classes + self.predicted, minlength=classes**2).reshape(classes, classes)


def short_names(classes: list[str]) -> list[str]:
    """Names that fit under a small picture: of "4 - four", as MNIST's classes are called, the digit.

    >>> short_names(["0 - zero", "1 - one"]), short_names(["cat", "dog"])
    (['0', '1'], ['cat', 'dog'])
    """
    digits = [str(number) for number in range(len(classes))]
    return digits if all(name.startswith(f"{digit} - ") for name, digit in zip(classes, digits)) else classes


def last_layer(model: nn.NeuralNetwork) -> nn.Linear:
    """The last linear layer of a model; ValueError if it has none.

    >>> last_layer(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    Linear(in_features=3, out_features=2, bias=True)
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError(f"{type(model).__name__}: wanted a linear layer at its end, found none")
    return layers[-1]


@mydl.no_grad()
def answer(model: nn.NeuralNetwork, inputs: MyTensor) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities (N, classes) of prepared images, and what goes into the last linear layer, (N, D)."""
    seen: list[np.ndarray] = []
    handle = last_layer(model).register_forward_pre_hook(lambda module, args: seen.append(args[0].numpy()))
    try:
        probabilities = F.softmax(model.eval()(inputs), 1).numpy()
    finally:
        handle.remove()
    return probabilities, seen[-1].reshape(len(probabilities), -1)


def answers_of(run: Run, data_dir: str | None = None) -> Answers:
    """What the run's model says of all its test images.

    Raises ValueError if its answers are not finite, or the data are none of the run's; OSError without the data.
    """
    dataset = datasets.load(run.data["name"], data_dir, train=False, preparation=run.data["preparation"])
    if list(dataset.classes) != run.data["classes"]:
        raise ValueError(f"{run.folder}: its classes are {run.data['classes']}; the test set's are {dataset.classes}")
    images = dataset.data.numpy()
    parts = [
        answer(run.model, dataset.prepare(images[start : start + BATCH])) for start in range(0, len(images), BATCH)
    ]
    probabilities, features = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if probabilities.shape[1] != len(dataset.classes):
        found = f"{probabilities.shape[1]} outputs for {len(dataset.classes)} classes"
        raise ValueError(f"{run.weights}: wanted a classifier of its data; found a model of {found}")
    if not np.isfinite(probabilities).all():
        raise ValueError(f"{run.weights}: its answers are not finite")
    pictures = np.moveaxis(images, -1, 1) if images.ndim == 4 else images
    return Answers(dataset, pictures, dataset.targets.numpy(), probabilities, features)
