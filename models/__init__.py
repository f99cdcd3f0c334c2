"""Models written with mydl as one would write them for PyTorch; `build` makes one from name and options."""

from __future__ import annotations

from typing import Any

from models.logistic import LogisticRegression
from models.mlp import MLP
from models.resnet import ResNet
from mydl import nn

__all__ = ["MLP", "LogisticRegression", "ResNet", "build"]

MODELS: dict[str, type[nn.NeuralNetwork]] = {"logistic": LogisticRegression, "mlp": MLP, "resnet": ResNet}


def build(name: str, **options: Any) -> nn.NeuralNetwork:
    """The model of that name ("logistic", "mlp" or "resnet") with its constructor's options.

    >>> build("mlp", hidden=(32,))
    MLP(
      (layers): Sequential(
        (0): Flatten(start_dim=1, end_dim=-1)
        (1): Linear(in_features=784, out_features=32, bias=True)
        (2): ReLU()
        (3): Linear(in_features=32, out_features=10, bias=True)
      )
    )
    """
    if name not in MODELS:
        raise ValueError(f"build: no model {name!r}; wanted one of {', '.join(MODELS)}")
    return MODELS[name](**options)
