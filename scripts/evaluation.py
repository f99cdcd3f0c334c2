"""Loss, accuracy and the confusion matrix of a model over a data loader."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import mydl
from mydl import distributed
from mydl.nn import functional as F

__all__ = ["Evaluation", "evaluate"]


class Evaluation(NamedTuple):
    """`loss` is the mean cross-entropy, `accuracy` a fraction.

    `confusion[i, j]` says how many of class i were called j.
    """

    loss: float
    accuracy: float
    confusion: np.ndarray


@mydl.no_grad()
def evaluate(model: Any, loader: Any, classes: int, device: str = "cpu") -> Evaluation:
    """Run the model in evaluation mode over the loader's batches; its mode is put back afterwards.

    Raises ValueError if the loader has no images, or the model another number of outputs than `classes`.
    """
    was_training = model.training
    model.eval()
    loss = 0.0
    confusion = np.zeros((classes, classes), np.int64)
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        logits = model(images)
        if logits.shape[1:] != (classes,):
            raise ValueError(f"evaluate: wanted outputs (N, {classes}) for {classes} classes, got {logits.shape}")
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        predicted = logits.argmax(1).numpy()
        np.add.at(confusion, (labels.numpy(), predicted), 1)
    model.train(was_training)
    # each rank of a distributed run has had other images
    loss = distributed.all_reduce(np.array(loss)).item()
    distributed.all_reduce(confusion)
    count = int(confusion.sum())
    if count == 0:
        raise ValueError("evaluate: wanted at least one image, the data has none")
    return Evaluation(loss / count, float(np.trace(confusion)) / count, confusion)
