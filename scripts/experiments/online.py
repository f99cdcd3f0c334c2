"""A small sigmoid network that learns from one sample at a time, in the order of the file."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from tqdm import tqdm

import mydl
from mydl import data, nn, optim
from mydl.nn import functional as F
from scripts.experiments.definition import Job, Outcome

__all__ = ["QUICK", "online"]

QUICK = {"limit": 200, "epochs": 1, "val_size": 50}


def online(job: Job) -> Outcome:
    """MNIST, a step for each sample; weights start from N(0, 1 / max(in, out)), biases at 0.

    Settings: `hidden` sizes, `lr`, `epochs`, `pixels` ("0 to 255" or "0 to 1"), `val_size`: so many images at the
    end of the file are held out. The loss and accuracy of training are those that each sample had in its turn.
    """
    settings = job.settings
    mydl.manual_seed(job.seed)
    root = data.find_data_root("mnist", job.data_dir)
    images, labels = (array[: settings.get("limit")] for array in _inputs(data.MNIST(root, train=True), settings))
    end = len(images) - settings["val_size"]

    sizes = [images.shape[1], *settings["hidden"], 10]
    layers: list[nn.NeuralNetwork] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layer = nn.Linear(inputs, outputs)
        nn.init.normal_(layer.weight, 0.0, max(inputs, outputs) ** -0.5)
        layers += [layer, nn.Sigmoid()]
    model = nn.Sequential(*layers[:-1])  # softmax instead of the last sigmoid, within the cross-entropy
    optimizer = optim.SGD(model.parameters(), lr=settings["lr"])

    history: list[dict[str, Any]] = []
    for epoch in range(1, settings["epochs"] + 1):
        loss_sum, right = 0.0, 0
        for i in tqdm(range(end), desc=f"epoch {epoch}", leave=False, disable=None):
            logits = model(mydl.tensor(images[i : i + 1]))
            loss = F.cross_entropy(logits, mydl.tensor(labels[i : i + 1]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
            right += int(logits.numpy(force=True).argmax() == labels[i])
        row = {"epoch": epoch, "train_loss": loss_sum / end, "train_accuracy": right / end}
        history.append({**row, **_figures("val", model, images[end:], labels[end:])})
        print("  ".join(f"{name} {value:.4g}" for name, value in history[-1].items()))
    final = {name: value for name, value in history[-1].items() if name != "epoch"}
    test = _figures("test", model, *_inputs(data.MNIST(root, train=False), settings))
    return Outcome({**final, **test}, history)


def _inputs(source: data.MNIST, settings: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    pixels = source.data.numpy().reshape(len(source), -1).astype(np.float32)
    return pixels / 255 if settings["pixels"] == "0 to 1" else pixels, source.targets.numpy()


@mydl.no_grad()
def _figures(part: str, model: nn.NeuralNetwork, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if not len(labels):
        return {}
    logits = model(mydl.tensor(images))
    loss = F.cross_entropy(logits, mydl.tensor(labels)).item()
    return {f"{part}_loss": loss, f"{part}_accuracy": float((logits.numpy().argmax(1) == labels).mean())}
