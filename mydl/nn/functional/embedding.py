"""Rows of a table picked by index, and indices as rows of zeros and a one."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.op import describe, tensor_of
from mydl.backend import to_host
from mydl.functions.arguments import Tensor, integer_range, require_tensor
from mydl.nn.functional.arguments import floating
from mydl.ops.indexing import Embedding

__all__ = ["embedding", "one_hot"]


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: for each index of any shape its row of weight (num_embeddings, embedding_dim).

    The row `padding_idx` gets no gradient. With `max_norm` the rows that are picked are first scaled down, in place,
    to a `norm_type`-norm of at most that. `scale_grad_by_freq` divides a row's gradient by how often it was picked.

    >>> import mydl
    >>> embedding(mydl.tensor([1, 0]), mydl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    if sparse:
        raise NotImplementedError("embedding: sparse=True is not supported; gradients are dense")
    input, weight = require_tensor(input, "embedding"), floating(weight, "embedding")
    if weight.ndim != 2:
        raise ValueError(f"embedding: wanted a weight (num_embeddings, embedding_dim), got {describe(weight)}")
    if input.dtype not in (np.int64, np.int32):
        raise TypeError(f"embedding: wanted indices in int64, got {describe(input)}; cast them with .long()")
    rows = weight.shape[0]
    index = input.array
    low, high = integer_range(input) if index.size else (0, 0)
    if low < 0 or (index.size and high >= rows):
        bad = low if low < 0 else high
        raise IndexError(f"embedding: index {bad} is out of range for {rows} rows; wanted 0 to {rows - 1}")
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise ValueError(f"embedding: padding_idx {padding_idx} is out of range for {rows} rows")
        padding_idx %= rows
    if max_norm is not None:
        _renormalise(weight, np.unique(to_host(index)), max_norm, norm_type)
    return Embedding.apply(weight, index=index, padding=padding_idx, by_frequency=bool(scale_grad_by_freq))


def _renormalise(weight: Any, rows: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale the given rows down, in place, to a norm of at most max_norm."""
    xp = weight.xp
    rows = xp.asarray(rows)
    values = weight.array[rows]
    norms = xp.linalg.norm(values, ord=norm_type, axis=1, keepdims=True)
    weight.array[rows] = values * xp.where(norms > max_norm, max_norm / (norms + 1e-7), 1).astype(values.dtype)
    weight._version[0] += 1


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """For each index a row of num_classes zeros with a 1 at the index, int64; by default the largest index decides.

    >>> import mydl
    >>> one_hot(mydl.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    tensor = require_tensor(tensor, "one_hot")
    if tensor.dtype != np.int64:
        raise TypeError(f"one_hot: wanted indices in int64, got {describe(tensor)}; cast them with .long()")
    size = tensor.array.size
    if size == 0 and num_classes <= 0:
        raise ValueError("one_hot: an empty tensor does not say how many classes there are; give num_classes")
    low, high = integer_range(tensor) if size else (0, num_classes - 1)
    if num_classes == -1:
        num_classes = high + 1
    elif num_classes < 1:
        raise ValueError(f"one_hot: wanted num_classes of at least 1, or -1, got {num_classes}")
    if low < 0 or high >= num_classes:
        raise IndexError(f"one_hot: wanted indices from 0 to {num_classes - 1}, got values from {low} to {high}")
    xp = tensor.xp
    return tensor_of((tensor.array[..., None] == xp.arange(num_classes)).astype(np.int64))
