"""Embedding: a learnt vector for each index, and EmbeddingBag: one for each bag of indices."""

from __future__ import annotations

from typing import Any

from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn import init
from mydl.nn.linear import new_parameter
from mydl.nn.module import NeuralNetwork
from mydl.nn.options import differing
from mydl.tensor import MyTensor, Parameter

__all__ = ["Embedding", "EmbeddingBag"]


class Embedding(NeuralNetwork):
    """For each index of any shape its row of `weight` (num_embeddings, embedding_dim), which starts normal, N(0, 1).

    The row `padding_idx` starts at 0 and gets no gradient; the other options are those of `functional.embedding`.

    >>> import mydl
    >>> Embedding(10, 3)(mydl.tensor([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: MyTensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if sparse:
            raise NotImplementedError("Embedding: sparse=True is not supported; gradients are dense")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"Embedding: padding_idx {padding_idx} is out of range for {num_embeddings} rows")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        if _weight is None:
            self.weight = new_parameter((num_embeddings, embedding_dim), device, dtype)
            self.reset_parameters()
        else:
            if _weight.shape != (num_embeddings, embedding_dim):
                raise ShapeError(f"Embedding: wanted a weight {(num_embeddings, embedding_dim)}, got {_weight.shape}")
            self.weight = Parameter(_weight)
        if _freeze:
            self.weight.requires_grad = False

    @classmethod
    def from_pretrained(
        cls,
        embeddings: MyTensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """An Embedding with the given rows, which are not trained unless `freeze` is False."""
        if embeddings.ndim != 2:
            raise ShapeError(f"Embedding: wanted rows in 2 dimensions, got {embeddings.shape}")
        rows, columns = embeddings.shape
        return cls(
            rows, columns, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, _freeze=freeze
        )

    def reset_parameters(self) -> None:
        """Draw the rows anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, input: MyTensor) -> MyTensor:
        """The rows of the indices."""
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq)

    def extra_repr(self) -> str:
        """Sizes, and the options that are not the default."""
        options = differing(self, padding_idx=None, max_norm=None, norm_type=2, scale_grad_by_freq=False)
        return f"{self.num_embeddings}, {self.embedding_dim}{options}"


class EmbeddingBag(Embedding):
    """The mean, sum or maximum of an Embedding's rows for each bag of indices, see `functional.embedding_bag`.

    >>> import mydl
    >>> EmbeddingBag(10, 3)(mydl.tensor([[1, 2], [4, 5]])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: MyTensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        rows = (num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq)
        super().__init__(*rows, sparse, _weight, device=device, dtype=dtype)
        self.mode, self.include_last_offset = mode, include_last_offset

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        embeddings: MyTensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """An EmbeddingBag with the given rows, which are not trained unless `freeze` is False."""
        options = (max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx)
        rows, columns = embeddings.shape
        bag = cls(rows, columns, *options)
        bag.weight.requires_grad = not freeze
        return bag

    def forward(  # type: ignore[override]
        self, input: MyTensor, offsets: MyTensor | None = None, per_sample_weights: MyTensor | None = None
    ) -> MyTensor:
        """A vector for each bag."""
        options = (self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, False, per_sample_weights)
        return F.embedding_bag(input, self.weight, offsets, *options, self.include_last_offset, self.padding_idx)

    def extra_repr(self) -> str:
        """Sizes, and the options that are not the default."""
        options = differing(self, max_norm=None, norm_type=2, scale_grad_by_freq=False)
        options += f", mode={self.mode!r}" + differing(self, padding_idx=None)
        return f"{self.num_embeddings}, {self.embedding_dim}{options}"
