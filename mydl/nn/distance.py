"""Distances of pairs as modules; see the functions of the same names in `nn.functional`."""

from __future__ import annotations

from mydl.nn import functional as F
from mydl.nn.module import NeuralNetwork
from mydl.tensor import MyTensor

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class CosineSimilarity(NeuralNetwork):
    """x1 · x2 / (max(‖x1‖, eps) max(‖x2‖, eps)) along `dim`.

    >>> import mydl
    >>> CosineSimilarity()(mydl.tensor([[1.0, 0.0]]), mydl.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: MyTensor, x2: MyTensor) -> MyTensor:
        """The cosines."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(NeuralNetwork):
    """‖x1 - x2 + eps‖_p along the last dimension.

    >>> import mydl
    >>> PairwiseDistance()(mydl.tensor([[3.0, 4.0]]), mydl.zeros(1, 2))
    tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: MyTensor, x2: MyTensor) -> MyTensor:
        """The distances."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
