"""A multilayer perceptron: linear layers with a nonlinearity between them, and what else is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from mydl import MyTensor, nn

ACTIVATIONS: dict[str, type[nn.NeuralNetwork]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


class MLP(nn.NeuralNetwork):
    """Linear, batch norm, activation and dropout for each size in `hidden`, then a linear layer to the classes.

    Args:
        in_features: pixels of an image, in all its channels.
        hidden: sizes of the hidden layers.
        classes: number of outputs.
        dropout: share of the activations dropped in training; 0 leaves dropout out.
        activation: "relu", "leaky_relu" (0.01), "sigmoid" or "tanh".
        batch_norm: normalise each hidden layer's sums, without scale and shift of its own.
        init: "xavier" (uniform, Glorot & Bengio 2010), "he" (normal, He et al. 2015), or a number: the deviation
            of normally distributed weights. Biases start at 0.

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
        activation: str = "relu",
        batch_norm: bool = False,
        init: str | float = "xavier",
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"MLP: no activation {activation!r}; wanted one of {', '.join(ACTIVATIONS)}")
        layers: list[nn.NeuralNetwork] = [nn.Flatten()]
        for size in hidden:
            layers.append(nn.Linear(in_features, size))
            if batch_norm:
                layers.append(nn.BatchNorm1d(size, affine=False))
            layers.append(ACTIVATIONS[activation]())
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            in_features = size
        layers.append(nn.Linear(in_features, classes))
        self.layers = nn.Sequential(*layers)
        if init != "xavier":
            for layer in layers:
                if isinstance(layer, nn.Linear):
                    self._start(layer, init)

    def _start(self, layer: nn.Linear, init: str | float) -> None:
        if init == "he":
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(init, int | float) and not isinstance(init, bool) and init >= 0:
            nn.init.normal_(layer.weight, 0.0, init)
        else:
            raise ValueError(f'MLP: wanted init "xavier", "he" or a deviation of at least 0, got {init!r}')

    def forward(self, x: MyTensor) -> MyTensor:
        """Images (N, …) -> logits (N, classes)."""
        return self.layers(x)
