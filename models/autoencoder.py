"""An autoencoder of two linear layers: the image squeezed through a short code, and drawn again from it."""

from __future__ import annotations

from mydl import MyTensor, nn


class Autoencoder(nn.NeuralNetwork):
    """code = relu(W x + b), picture = sigmoid(V code + c), for pixels from 0 to 1.

    >>> import mydl
    >>> model = Autoencoder(code=64)
    >>> model(mydl.zeros(5, 1, 28, 28)).shape, model.encode(mydl.zeros(5, 1, 28, 28)).shape
    ((5, 784), (5, 64))
    """

    def __init__(self, in_features: int = 784, code: int = 64) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(in_features, code), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(code, in_features), nn.Sigmoid())

    def encode(self, x: MyTensor) -> MyTensor:
        """Images (N, …) -> codes (N, code)."""
        return self.encoder(x)

    def forward(self, x: MyTensor) -> MyTensor:
        """Images (N, …) -> the same, as drawn from their codes, (N, in_features)."""
        return self.decoder(self.encode(x))
