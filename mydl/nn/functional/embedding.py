"""Rows of a table picked by index, and indices as rows of zeros and a one."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.op import describe, tensor_of
from mydl.backend import to_host
from mydl.errors import DtypeError, RangeError, ShapeError
from mydl.functions.arguments import Tensor, integer_range, require_floating, require_tensor
from mydl.functions.joining import stack
from mydl.ops.indexing import Embedding, PlaceAt

__all__ = ["embedding", "embedding_bag", "one_hot"]


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
    input, weight = require_tensor(input, "embedding"), require_floating(weight, "embedding")
    if weight.ndim != 2:
        raise ShapeError(f"embedding: wanted a weight (num_embeddings, embedding_dim), got {describe(weight)}")
    if input.dtype not in (np.int64, np.int32):
        raise DtypeError(f"embedding: wanted indices in int64, got {describe(input)}; cast them with .long()")
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


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The mean, sum or maximum (`mode`) of the rows of each bag of indices: (bags, embedding_dim).

    Bags are the rows of an input (bags, n), or the parts of an input (n,) that begin at `offsets` (bags,). Indices
    `padding_idx` do not count; empty bags give 0. `per_sample_weights`, of the input's shape, goes with "sum".

    >>> import mydl
    >>> embedding_bag(mydl.tensor([0, 1, 1]), mydl.tensor([[1.0], [4.0]]), mydl.tensor([0, 2]), mode="sum")
    tensor([[5.],
            [4.]])
    """
    name = "embedding_bag"
    if mode not in ("mean", "sum", "max"):
        raise ShapeError(f'{name}: wanted "mean", "sum" or "max" as mode, got {mode!r}')
    if per_sample_weights is not None and (mode != "sum" or per_sample_weights.shape != input.shape):
        raise ShapeError(f'{name}: per_sample_weights have the input\'s shape {input.shape} and go with mode="sum"')
    if input.ndim == 2:
        if offsets is not None:
            raise ShapeError(f"{name}: offsets go with an input (n,), got {describe(input)}")
        bags, starts = input.shape[0], np.arange(input.shape[0]) * input.shape[1]
    elif input.ndim == 1 and offsets is not None and offsets.ndim == 1:
        starts = to_host(offsets.array)
        starts = starts[:-1] if include_last_offset else starts
        bags = len(starts)
        if bags and (starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > len(input)):
            raise ValueError(f"{name}: wanted offsets from 0 to at most {len(input)}, rising, got {starts.tolist()}")
    else:
        raise ShapeError(f"{name}: wanted an input (bags, n), or (n,) with offsets (bags,), got {describe(input)}")
    flat = input.reshape(-1)
    rows = embedding(flat, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    xp = weight.xp
    bag_of = np.searchsorted(starts, np.arange(len(flat)), side="right") - 1
    kept = xp.ones(len(flat), bool) if padding_idx is None else flat.array != padding_idx % weight.shape[0]
    index = xp.asarray(bag_of)[kept]
    counts = xp.bincount(index, minlength=bags)[:, None].astype(weight.dtype)
    rows = rows[tensor_of(kept)]
    if mode == "max":
        parts = [rows[tensor_of(index == bag)] for bag in range(bags)]
        return stack([part.max(0).values if len(part) else part.sum(0) for part in parts])
    total = PlaceAt.apply(rows, key=index, shape=(bags, weight.shape[1]))
    return total / xp.maximum(counts, 1) if mode == "mean" else total


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
        raise DtypeError(f"one_hot: wanted indices in int64, got {describe(tensor)}; cast them with .long()")
    size = tensor.array.size
    if size == 0 and num_classes <= 0:
        raise ValueError("one_hot: an empty tensor does not say how many classes there are; give num_classes")
    low, high = integer_range(tensor) if size else (0, num_classes - 1)
    if num_classes == -1:
        num_classes = high + 1
    elif num_classes < 1:
        raise ValueError(f"one_hot: wanted num_classes of at least 1, or -1, got {num_classes}")
    if low < 0 or high >= num_classes:
        raise RangeError(f"one_hot: wanted indices from 0 to {num_classes - 1}, got values from {low} to {high}")
    xp = tensor.xp
    return tensor_of((tensor.array[..., None] == xp.arange(num_classes)).astype(np.int64))
