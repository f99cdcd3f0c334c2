"""An autoencoder of MNIST, and what a support vector machine makes of its codes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

import models
import mydl
from mydl import data, nn, optim
from mydl.nn import functional as F
from scripts import datasets
from scripts.evaluation import Evaluation
from scripts.experiments.definition import Job, Outcome
from scripts.test_model import per_class

__all__ = ["QUICK", "autoencoder", "codes", "svm"]

QUICK = {"epochs": 1, "limit": 600}
WEIGHTS = "autoencoder.safetensors"


def _load(job: Job, train: bool) -> datasets.Images:
    return datasets.load("mnist", job.data_dir, train, normalize="scale", seed=job.seed,
                         limit=job.settings.get("limit"))  # fmt: skip


def autoencoder(job: Job) -> Outcome:
    """Mean squared error over all pixels from 0 to 1, Adam. Settings: `code`, `lr`, `batch_size`, `epochs`.

    The model is in the job's folder afterwards.
    """
    settings = job.settings
    mydl.manual_seed(job.seed)
    train_set, val_set = datasets.split(_load(job, train=True))
    loader = data.DataLoader(train_set, settings["batch_size"], shuffle=True, num_workers=1, seed=job.seed)
    model = models.build("autoencoder", code=settings["code"]).to(job.device)
    optimizer = optim.Adam(model.parameters(), lr=settings["lr"])
    history: list[dict[str, float]] = []
    for epoch in range(1, settings["epochs"] + 1):
        loss_sum = 0.0
        loader.set_epoch(epoch - 1)
        for images, _ in loader:
            images = images.to(job.device)
            loss = F.mse_loss(model(images), images.flatten(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(images)
        losses = {"train_loss": loss_sum / len(train_set), "val_loss": _error(model, val_set, job.device)}
        history.append({"epoch": epoch, **losses})
        print("  ".join(f"{name} {value:.4g}" for name, value in history[-1].items()))
    models.save(model, job.folder / WEIGHTS)
    test_loss = _error(model, _load(job, train=False), job.device)
    return Outcome({**losses, "test_loss": test_loss}, history)


@mydl.no_grad()
def _error(model: nn.NeuralNetwork, images: data.Dataset, device: str) -> float:
    """The mean squared error over all pixels of the images."""
    total = 0.0
    for batch, _ in data.DataLoader(images, 1000):
        batch = batch.to(device)
        total += F.mse_loss(model(batch), batch.flatten(1), reduction="sum").item()
    return total / len(images) / math.prod(batch.shape[1:])


@mydl.no_grad()
def codes(model: nn.NeuralNetwork, images: data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The codes (N, code) of images, and their labels."""
    parts = [(model.encode(batch).numpy(), labels.numpy()) for batch, labels in data.DataLoader(images, 1000)]
    return np.concatenate([code for code, _ in parts]), np.concatenate([labels for _, labels in parts])


def svm(job: Job) -> Outcome:
    """scikit-learn's SVC on the standardised codes of the row `autoencoder`, which is trained first if need be.

    Settings: those of the autoencoder, and `c`, the SVC's penalty.
    """
    try:
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC
    except ImportError as error:
        raise RuntimeError("latent-svm: needs scikit-learn (pip install scikit-learn)") from error
    weights = _trained(job)
    model = models.load(weights)
    train_set, val_set = datasets.split(_load(job, train=True))
    features, labels = codes(model, train_set)
    scaler = StandardScaler().fit(features)
    machine = SVC(C=job.settings["c"], cache_size=1000).fit(scaler.transform(features), labels)
    final: dict[str, Any] = {}
    for part, images in (("train", train_set), ("val", val_set), ("test", _load(job, train=False))):
        features, labels = codes(model, images)
        predicted = machine.predict(scaler.transform(features))
        confusion = np.bincount(labels * 10 + predicted, minlength=100).reshape(10, 10)
        final[f"{part}_accuracy"] = float((predicted == labels).mean())
    final["confusion"] = confusion.tolist()
    final["per_class"] = per_class(Evaluation(0.0, final["test_accuracy"], confusion), [str(d) for d in range(10)])
    final["support_vectors"] = int(machine.n_support_.sum())
    return Outcome(final)


def _trained(job: Job) -> Path:
    """The file of the autoencoder's weights: of its own row with this seed, else of one trained here."""
    own = job.folder.parents[1] / "autoencoder" / job.folder.name / WEIGHTS
    if own.exists():
        return own
    if not (job.folder / WEIGHTS).exists():
        autoencoder(job)
    return job.folder / WEIGHTS
