"""Dropout layers: they drop in training and pass the input on in evaluation."""

from __future__ import annotations

from mydl.nn import functional as F
from mydl.nn.module import NeuralNetwork
from mydl.tensor import MyTensor

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d"]


class _Dropping(NeuralNetwork):
    """The constructor that the dropout layers share."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: wanted a probability between 0 and 1, got {p!r}")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        """The options."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropping):
    """In training each element is 0 with probability p, otherwise x / (1 - p) (Srivastava et al., 2014).

    >>> import mydl
    >>> Dropout(0.5).eval()(mydl.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """The input with elements dropped."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropping):
    """`Dropout` of whole channels of (N, C, L) or (C, L).

    >>> import mydl
    >>> Dropout1d(1.0)(mydl.ones(1, 2, 3)).sum()
    tensor(0.)
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """The input with channels dropped."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropping):
    """`Dropout` of whole channels of (N, C, H, W) or (C, H, W) (Tompson et al., 2015).

    >>> import mydl
    >>> Dropout2d(1.0)(mydl.ones(1, 2, 3, 3)).sum()
    tensor(0.)
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """The input with channels dropped."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropping):
    """`Dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> import mydl
    >>> Dropout3d(1.0)(mydl.ones(1, 2, 3, 3, 3)).sum()
    tensor(0.)
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """The input with channels dropped."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropping):
    """Dropout that keeps the mean 0 and the variance 1 of a network of SELU layers (Klambauer et al., 2017).

    >>> import mydl
    >>> AlphaDropout(0.5).eval()(mydl.ones(2))
    tensor([1., 1.])
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """The input with elements at their lowest."""
        return F.alpha_dropout(input, self.p, self.training, self.inplace)
