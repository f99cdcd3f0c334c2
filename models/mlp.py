"""A multilayer perceptron: linear layers with ReLU between them, and dropout where asked for."""

from __future__ import annotations

from collections.abc import Sequence

from mydl import MyTensor, nn


class MLP(nn.NeuralNetwork):
    """Linear, ReLU and dropout for each size in `hidden`, then a linear layer to the classes.

    >>> import mydl
    >>> MLP(hidden=(64, 32), dropout=0.3)(mydl.zeros(5, 1, 28, 28)).shape
    (5, 10)
    """

    def __init__(
        self,
        in_features: int = 784,
        hidden: Sequence[int] = (600, 100),
        classes: int = 10,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.NeuralNetwork] = [nn.Flatten()]
        for size in hidden:
            layers += [nn.Linear(in_features, size), nn.ReLU()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            in_features = size
        layers.append(nn.Linear(in_features, classes))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: MyTensor) -> MyTensor:
        """Images (N, …) -> logits (N, classes)."""
        return self.layers(x)
