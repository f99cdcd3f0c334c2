"""Affine maps, and the layer that does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mydl.backend import get_default_dtype
from mydl.nn import functional as F
from mydl.nn import init as initialisers
from mydl.nn.module import NeuralNetwork
from mydl.nn.options import Optioned
from mydl.tensor import MyTensor, Parameter

__all__ = ["Bilinear", "Flatten", "Identity", "Linear", "Unflatten"]

Initialiser = Callable[[MyTensor], Any]


def new_parameter(shape: tuple[int, ...], device: Any = None, dtype: Any = None, fill: float = 0.0) -> Parameter:
    """A parameter of the given shape, filled with one number, in the default dtype unless another is given.

    >>> new_parameter((2,), fill=1.0).shape
    (2,)
    """
    if not all(isinstance(size, (int, np.integer)) and size >= 0 for size in shape):
        raise ValueError(f"a layer's sizes: wanted whole numbers of at least 0, got a parameter of shape {shape}")
    array = np.full(shape, fill, get_default_dtype() if dtype is None else dtype)
    return Parameter(MyTensor(array, device=device))


class Identity(NeuralNetwork):
    """The input as it is; any arguments are accepted and ignored, so that it can stand in for another layer.

    >>> Identity(54)(3)
    3
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    @staticmethod
    def forward(input: Any) -> Any:
        """The input."""
        return input


class WithInit(NeuralNetwork):
    """What the layers share whose weight starts as the function `init` makes it, and whose bias starts at 0."""

    init: Initialiser

    def reset_parameters(self) -> None:
        """Draw the weights anew."""
        if self.weight.numel():
            self.init(self.weight)
        if self.bias is not None:
            initialisers.zeros_(self.bias)


class Linear(WithInit):
    """y = x Wᵀ + b for x (…, in_features) -> (…, out_features).

    `weight` (out_features, in_features) starts with `init`, Xavier-uniform by default; `bias` (out_features,) with 0.

    >>> import mydl
    >>> Linear(3, 4)(mydl.ones(2, 3)).shape
    (2, 4)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        init: Initialiser = initialisers.xavier_uniform_,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features, self.init = in_features, out_features, init
        self.weight = new_parameter((out_features, in_features), device, dtype)
        self.register_parameter("bias", new_parameter((out_features,), device, dtype) if bias else None)
        self.reset_parameters()

    def forward(self, input: MyTensor) -> MyTensor:
        """x Wᵀ + b."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(NeuralNetwork):
    """y_o = x1ᵀ W_o x2 + b_o for x1 (…, in1_features) and x2 (…, in2_features) -> (…, out_features).

    >>> import mydl
    >>> Bilinear(2, 3, 4)(mydl.ones(5, 2), mydl.ones(5, 3)).shape
    (5, 4)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"Bilinear: wanted in1_features above 0, got {in1_features}")
        self.in1_features, self.in2_features, self.out_features = in1_features, in2_features, out_features
        self.weight = new_parameter((out_features, in1_features, in2_features), device, dtype)
        self.register_parameter("bias", new_parameter((out_features,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and bias uniformly within 1 / sqrt(in1_features), as PyTorch does."""
        bound = self.in1_features**-0.5
        for parameter in self.parameters(recurse=False):
            initialisers.uniform_(parameter, -bound, bound)

    def forward(self, input1: MyTensor, input2: MyTensor) -> MyTensor:
        """x1ᵀ W x2 + b."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Flatten(Optioned):
    """The dimensions from start_dim to end_dim made one; by default all but the first, the batch.

    >>> import mydl
    >>> Flatten()(mydl.ones(2, 3, 4)).shape
    (2, 12)
    """

    _options = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: MyTensor) -> MyTensor:
        """The input flattened."""
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Optioned):
    """Dimension `dim` taken apart into `unflattened_size`; one size may be -1.

    >>> import mydl
    >>> Unflatten(1, (3, 4))(mydl.ones(2, 12)).shape
    (2, 3, 4)
    """

    _options = ("dim", "unflattened_size")

    def __init__(self, dim: int, unflattened_size: tuple[int, ...]) -> None:
        super().__init__()
        if not isinstance(dim, int):
            raise NotImplementedError("Unflatten: named dimensions are not supported; give dim as an int")
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: MyTensor) -> MyTensor:
        """The input unflattened."""
        return input.unflatten(self.dim, self.unflattened_size)
