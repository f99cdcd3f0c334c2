"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.op import describe
from mydl.errors import DtypeError, ShapeError
from mydl.functions.arguments import Tensor, require_floating, require_tensor
from mydl.nn.functional.dropout import dropout
from mydl.ops.elementwise import Where
from mydl.ops.linalg import MatMul
from mydl.ops.loss import Softmax
from mydl.ops.shape import Permute

__all__ = ["scaled_dot_product_attention"]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(Q Kᵀ scale + mask) V for Q (…, L, E), K (…, S, E), V (…, S, Ev); scale is 1 / sqrt(E) by default.

    `attn_mask` broadcasts to (…, L, S): True where a query may look at a key, or numbers to add. `is_causal` lets
    query i look at keys 0 to i. A query that may look nowhere gives 0.
    Vaswani et al., "Attention is all you need", 2017.

    >>> import mydl
    >>> scaled_dot_product_attention(mydl.zeros(1, 2), mydl.zeros(2, 2), mydl.tensor([[1.0], [3.0]]))
    tensor([[2.]])
    """
    name = "scaled_dot_product_attention"
    if enable_gqa:
        raise NotImplementedError(f"{name}: enable_gqa=True is not supported; repeat the keys and values instead")
    query, key, value = (require_floating(x, name) for x in (query, key, value))
    if (
        min(query.ndim, key.ndim, value.ndim) < 2
        or query.shape[-1] != key.shape[-1]
        or key.shape[-2] != value.shape[-2]
    ):
        raise ShapeError(
            f"{name}: wanted query (…, L, E), key (…, S, E) and value (…, S, Ev), got {describe(query)}, "
            f"{describe(key)} and {describe(value)}"
        )
    if is_causal:
        if attn_mask is not None:
            raise ValueError(f"{name}: give attn_mask or is_causal=True, not both")
        attn_mask = query.xp.tri(query.shape[-2], key.shape[-2], dtype=bool)
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    weights = attention_weights(query, key, attn_mask, scale)
    return MatMul.apply(dropout(weights, dropout_p), value)


def attention_weights(query: Tensor, key: Tensor, mask: Any, scale: float) -> Tensor:
    """softmax(Q Kᵀ scale + mask), (…, L, S); rows in which the mask lets nothing through are 0.

    >>> import mydl
    >>> attention_weights(mydl.zeros(1, 2), mydl.zeros(2, 2), None, 1.0)
    tensor([[0.5000, 0.5000]])
    """
    axes = (*range(key.ndim - 2), key.ndim - 1, key.ndim - 2)
    scores = MatMul.apply(query * scale, Permute.apply(key, axes=axes))
    if mask is None:
        return Softmax.apply(scores, axis=-1)
    mask = require_tensor(mask, "attention")
    if mask.dtype.kind not in "bf":
        raise DtypeError(f"attention: wanted a boolean or floating mask, got {describe(mask)}")
    xp = scores.xp
    if mask.dtype == np.bool_:
        allowed = xp.broadcast_to(mask.array, scores.shape)
        scores = Where.apply(allowed, scores, xp.asarray(-np.inf, dtype=scores.dtype))
    else:
        scores = scores + mask
    dead = (scores.array == -np.inf).all(axis=-1, keepdims=True)
    if not bool(dead.any()):
        return Softmax.apply(scores, axis=-1)
    # softmax of nothing but -inf is NaN, forward and backward: such rows take another way round
    dead = xp.broadcast_to(dead, scores.shape)
    zero = xp.asarray(0, dtype=scores.dtype)
    return Where.apply(dead, zero, Softmax.apply(Where.apply(dead, zero, scores), axis=-1))
