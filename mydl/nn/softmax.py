"""Layers along one dimension: softmax and its kin, and the gated linear unit."""

from __future__ import annotations

import functools
from typing import Any

from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn.module import NeuralNetwork
from mydl.nn.options import Optioned
from mydl.tensor import MyTensor

__all__ = ["GLU", "LogSoftmax", "Softmax", "Softmax2d", "Softmin"]


class _AlongDim(Optioned):
    """The constructor that they share."""

    _options = ("dim",)
    dim: Any  # an int; None lets the function choose

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim


class GLU(_AlongDim):
    """a sigmoid(b), a and b the two halves of the input along `dim` (Dauphin et al., 2017).

    >>> import mydl
    >>> GLU()(mydl.tensor([2.0, 0.0]))
    tensor([1.])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim)

    def forward(self, input: MyTensor) -> MyTensor:
        """a sigmoid(b)."""
        return F.glu(input, self.dim)


class _OnClassToo:
    """A method that can also be called on the class, `nn.Softmax.forward(x)`: it then gets None as its module."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, module: Any, owner: type) -> Any:
        return functools.partial(self._function, module)


class Softmax(_AlongDim):
    """exp(x) / Σ exp(x) along `dim`; `Softmax.forward(x)` on the class takes the last dimension.

    >>> import mydl
    >>> Softmax(dim=1)(mydl.zeros(1, 2)), Softmax.forward(mydl.zeros(1, 2))
    (tensor([[0.5000, 0.5000]]), tensor([[0.5000, 0.5000]]))
    """

    @_OnClassToo
    def forward(self, input: MyTensor) -> MyTensor:
        """exp(x) / Σ exp(x)."""
        return F.softmax(input, -1 if self is None else self.dim)


class Softmin(_AlongDim):
    """`Softmax` of -x.

    >>> import mydl
    >>> Softmin(dim=0)(mydl.zeros(2))
    tensor([0.5000, 0.5000])
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """exp(-x) / Σ exp(-x)."""
        return F.softmin(input, self.dim)


class Softmax2d(NeuralNetwork):
    """`Softmax` over the channels of (N, C, H, W) or (C, H, W).

    >>> import mydl
    >>> Softmax2d()(mydl.zeros(2, 1, 1)).reshape(-1)
    tensor([0.5000, 0.5000])
    """

    @staticmethod
    def forward(input: MyTensor) -> MyTensor:
        """exp(x) / Σ exp(x)."""
        if input.ndim not in (3, 4):
            raise ShapeError(f"Softmax2d: wanted an input (N, C, H, W) or (C, H, W), got shape {input.shape}")
        return F.softmax(input, -3)


class LogSoftmax(_AlongDim):
    """x - ln Σ exp(x) along `dim`.

    >>> import mydl
    >>> LogSoftmax(dim=0)(mydl.zeros(2))
    tensor([-0.6931, -0.6931])
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """x - ln Σ exp(x)."""
        return F.log_softmax(input, self.dim)
