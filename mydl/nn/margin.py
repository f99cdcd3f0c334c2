"""Losses that ask for a margin or take pairs and triplets; see the functions of the same names in `nn.functional`."""

from __future__ import annotations

from mydl.nn import functional as F
from mydl.nn.functional.arguments import Flag
from mydl.nn.loss import _Loss, _WeightedLoss
from mydl.tensor import MyTensor

__all__ = [
    "CosineEmbeddingLoss", "HingeEmbeddingLoss", "MarginRankingLoss", "MultiLabelSoftMarginLoss", "MultiMarginLoss",
    "SoftMarginLoss", "TripletMarginLoss",
]  # fmt: skip


class MarginRankingLoss(_Loss):
    """max(0, -t (x1 - x2) + margin).

    >>> import mydl
    >>> MarginRankingLoss()(mydl.tensor([1.0]), mydl.tensor([3.0]), mydl.tensor([1.0]))
    tensor(2.)
    """

    def __init__(
        self, margin: float = 0.0, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: MyTensor, input2: MyTensor, target: MyTensor) -> MyTensor:
        """The loss of the pairs."""
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(MarginRankingLoss):
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1.

    >>> import mydl
    >>> CosineEmbeddingLoss()(mydl.tensor([[1.0, 0.0]]), mydl.tensor([[0.0, 1.0]]), mydl.tensor([1]))
    tensor(1.)
    """

    def forward(self, input1: MyTensor, input2: MyTensor, target: MyTensor) -> MyTensor:
        """The loss of the pairs."""
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """x where t = 1, max(0, margin - x) where t = -1.

    >>> import mydl
    >>> HingeEmbeddingLoss()(mydl.tensor([0.5, 0.5]), mydl.tensor([1, -1]))
    tensor(0.5000)
    """

    def __init__(
        self, margin: float = 1.0, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The loss of the distances."""
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """ln(1 + exp(-t x)) for t of 1 and -1.

    >>> import mydl
    >>> SoftMarginLoss()(mydl.tensor([0.0]), mydl.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The loss."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The binary cross entropy of sigmoid(x), as the mean over the classes, the last dimension.

    >>> import mydl
    >>> MultiLabelSoftMarginLoss()(mydl.zeros(1, 2), mydl.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The loss."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """Σ over the wrong classes c of w[t] max(0, margin - x[t] + x[c])^p / C.

    >>> import mydl
    >>> MultiMarginLoss()(mydl.tensor([[0.1, 0.5]]), mydl.tensor([0]))
    tensor(0.7000)
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: MyTensor | None = None,
        size_average: Flag = None,
        reduce: Flag = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: wanted p of 1 or 2, got {p!r}")
        self.p, self.margin = p, margin

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The loss."""
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """max(0, d(a, p) - d(a, n) + margin) for anchors, positives and negatives.

    >>> import mydl
    >>> TripletMarginLoss()(mydl.zeros(1, 2), mydl.ones(1, 2), mydl.ones(1, 2))
    tensor(1.)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: Flag = None,
        reduce: Flag = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: wanted a margin above 0, got {margin}")
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: MyTensor, positive: MyTensor, negative: MyTensor) -> MyTensor:
        """The loss of the triplets."""
        options = (self.margin, self.p, self.eps, self.swap)
        return F.triplet_margin_loss(anchor, positive, negative, *options, reduction=self.reduction)
