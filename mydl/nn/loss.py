"""Losses as modules: `loss(input, target)`, see the functions of the same names in `nn.functional`."""

from __future__ import annotations

from typing import Any

from mydl.autograd.op import describe
from mydl.nn import functional as F
from mydl.nn.functional.arguments import Flag, reduction_of
from mydl.nn.module import NeuralNetwork
from mydl.tensor import MyTensor

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "GaussianNLLLoss", "HuberLoss", "KLDivLoss", "L1Loss",
    "MSELoss", "NLLLoss", "PoissonNLLLoss", "SmoothL1Loss",
]  # fmt: skip


class _Loss(NeuralNetwork):
    """What the losses share: the reduction, and the weight where there is one, a buffer."""

    def __init__(self, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction_of(size_average, reduce, reduction, type(self).__name__)


class _WeightedLoss(_Loss):
    def __init__(
        self, weight: MyTensor | None = None, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean"
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if weight is not None and getattr(weight, "ndim", None) != 1 and not isinstance(self, BCELoss):
            name = type(self).__name__
            raise ValueError(
                f"{name}: wanted a weight for each class, a tensor (C,), got {describe(weight)}; "
                f"the loss of an input and a target is nn.{name}()(input, target)"
            )
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """-ln softmax(x)[t] for logits (N, C, …) and class indices (N, …) or probabilities (N, C, …).

    With class weights, a class index that is ignored, and label smoothing; see `functional.cross_entropy`.

    >>> import mydl
    >>> CrossEntropyLoss()(mydl.zeros(1, 2), mydl.tensor([1]))
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: MyTensor | None = None,
        size_average: Flag = None,
        ignore_index: int = -100,
        reduce: Flag = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The cross entropy."""
        options: dict[str, Any] = {"ignore_index": self.ignore_index, "label_smoothing": self.label_smoothing}
        return F.cross_entropy(input, target, self.weight, reduction=self.reduction, **options)


class NLLLoss(_WeightedLoss):
    """-x[t] for log-probabilities (N, C, …) and class indices (N, …).

    >>> import mydl
    >>> NLLLoss()(mydl.tensor([[-0.5, -2.0]]), mydl.tensor([1]))
    tensor(2.)
    """

    def __init__(
        self,
        weight: MyTensor | None = None,
        size_average: Flag = None,
        ignore_index: int = -100,
        reduce: Flag = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The negative log-likelihood."""
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MSELoss(_Loss):
    """(x - t)².

    >>> import mydl
    >>> MSELoss()(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The squared error."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """|x - t|.

    >>> import mydl
    >>> L1Loss()(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The absolute error."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """(x - t)² / (2 beta) where |x - t| < beta, else |x - t| - beta / 2.

    >>> import mydl
    >>> SmoothL1Loss()(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 4.0]))
    tensor(0.7500)
    """

    def __init__(
        self, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean", beta: float = 1.0
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The smooth absolute error."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """(x - t)² / 2 where |x - t| <= delta, else delta (|x - t| - delta / 2).

    >>> import mydl
    >>> HuberLoss()(mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 4.0]))
    tensor(0.7500)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """Huber's loss."""
        return F.huber_loss(input, target, self.reduction, self.delta)


class BCELoss(_WeightedLoss):
    """-(t ln p + (1 - t) ln(1 - p)) for probabilities p.

    >>> import mydl
    >>> BCELoss()(mydl.tensor([0.5]), mydl.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The binary cross entropy."""
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """`BCELoss` of sigmoid(x), computed from x so that nothing overflows.

    >>> import mydl
    >>> BCEWithLogitsLoss()(mydl.tensor([0.0]), mydl.tensor([1.0]))
    tensor(0.6931)
    """

    def __init__(
        self,
        weight: MyTensor | None = None,
        size_average: Flag = None,
        reduce: Flag = None,
        reduction: str = "mean",
        pos_weight: MyTensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The binary cross entropy of sigmoid(x)."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class KLDivLoss(_Loss):
    """t (ln t - x) for log-probabilities x; reduction="batchmean" gives the Kullback-Leibler divergence.

    >>> import mydl
    >>> KLDivLoss(reduction="batchmean")(mydl.tensor([[0.5, 0.5]]).log(), mydl.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    def __init__(
        self, size_average: Flag = None, reduce: Flag = None, reduction: str = "mean", log_target: bool = False
    ) -> None:
        by_batch = reduction == "batchmean" and size_average is None and reduce is None
        super().__init__(size_average, reduce, "sum" if by_batch else reduction)
        if by_batch:
            self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: MyTensor, target: MyTensor) -> MyTensor:
        """The pointwise divergence, reduced."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """exp(x) - t x for the logarithm of a rate, x - t ln(x + eps) for a rate; with `full` Stirling's term too.

    >>> import mydl
    >>> PoissonNLLLoss()(mydl.tensor([0.0]), mydl.tensor([2.0]))
    tensor(1.)
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: Flag = None,
        eps: float = 1e-8,
        reduce: Flag = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: MyTensor, target: MyTensor) -> MyTensor:
        """The negative log-likelihood of the counts."""
        options: dict[str, Any] = {"log_input": self.log_input, "full": self.full, "eps": self.eps}
        return F.poisson_nll_loss(log_input, target, reduction=self.reduction, **options)


class GaussianNLLLoss(_Loss):
    """(ln max(var, eps) + (x - t)² / max(var, eps)) / 2, and ln(2 pi) / 2 more with `full`.

    >>> import mydl
    >>> GaussianNLLLoss()(mydl.tensor([1.0]), mydl.tensor([3.0]), mydl.tensor([1.0]))
    tensor(2.)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, input: MyTensor, target: MyTensor, var: MyTensor | float) -> MyTensor:
        """The negative log-likelihood."""
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)
