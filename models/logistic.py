"""Multinomial logistic regression: one linear layer on the pixels."""

from __future__ import annotations

from mydl import MyTensor, nn


class LogisticRegression(nn.NeuralNetwork):
    """logits = W x + b for images x of any shape with `in_features` pixels in all.

    >>> import mydl
    >>> LogisticRegression()(mydl.zeros(5, 1, 28, 28)).shape
    (5, 10)
    """

    def __init__(self, in_features: int = 784, classes: int = 10) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(in_features, classes)

    def forward(self, x: MyTensor) -> MyTensor:
        """Images (N, …) -> logits (N, classes)."""
        return self.linear(self.flatten(x))
