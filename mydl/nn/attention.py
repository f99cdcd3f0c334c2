"""Multi-head attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.op import describe, tensor_of
from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn import init
from mydl.nn.functional.attention import attention_weights
from mydl.nn.linear import Linear, new_parameter
from mydl.nn.module import NeuralNetwork
from mydl.ops.shape import Concatenate, Expand, Pad, Split
from mydl.tensor import MyTensor

__all__ = ["MultiheadAttention"]


class MultiheadAttention(NeuralNetwork):
    """num_heads attentions side by side, each over embed_dim / num_heads of the features, joined by `out_proj`.

    forward(query, key, value) takes (L, N, embed_dim), (S, N, kdim) and (S, N, vdim), (N, L, …) with `batch_first`,
    or without N, and returns (output, weights): the output of the query's shape, and the attention weights (N, L, S)
    averaged over the heads, (N, heads, L, S) where `average_attn_weights` is False, None where `need_weights` is.
    Masks: `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N · heads, L, S), True where a key is NOT to be looked
    at, or numbers to add. Vaswani et al., "Attention is all you need", 2017.

    >>> import mydl
    >>> x = mydl.ones(5, 2, 8)
    >>> y, weights = MultiheadAttention(8, 2)(x, x, x)
    >>> y.shape, weights.shape
    ((5, 2, 8), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ShapeError(f"MultiheadAttention: {num_heads} heads do not divide embed_dim {embed_dim}")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.dropout, self.batch_first, self.add_zero_attn = dropout, batch_first, add_zero_attn
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        if self.kdim == embed_dim and self.vdim == embed_dim:
            self.in_proj_weight = new_parameter((3 * embed_dim, embed_dim), device, dtype)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = new_parameter((embed_dim, embed_dim), device, dtype)
            self.k_proj_weight = new_parameter((embed_dim, self.kdim), device, dtype)
            self.v_proj_weight = new_parameter((embed_dim, self.vdim), device, dtype)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", new_parameter((3 * embed_dim,), device, dtype) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, new_parameter((1, 1, embed_dim), device, dtype) if add_bias_kv else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Projections Xavier-uniform, their biases 0, bias_k and bias_v Xavier-normal; out_proj as PyTorch has it."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        init.kaiming_uniform_(self.out_proj.weight, a=math.sqrt(5))
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: MyTensor,
        key: MyTensor,
        value: MyTensor,
        key_padding_mask: MyTensor | None = None,
        need_weights: bool = True,
        attn_mask: MyTensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[MyTensor, MyTensor | None]:
        """(output, attention weights or None)."""
        self._check(query, key, value)
        if is_causal and attn_mask is None:
            raise ValueError("MultiheadAttention: is_causal=True is a hint about attn_mask; give the mask too")
        batched, same = query.ndim == 3, query is key and key is value
        # from here on (N, L, features)
        if not batched:
            query, key, value = query.unsqueeze(0), key.unsqueeze(0), value.unsqueeze(0)
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = self._project(query, key, value, same)
        n, length = q.shape[:2]
        added = 0  # keys put behind the given ones, which no mask hides
        if self.bias_k is not None:
            shape = (n, 1, self.embed_dim)
            more = [Expand.apply(bias, shape=shape) for bias in (self.bias_k, self.bias_v)]
            k, v = (Concatenate.apply(x, one, axis=1) for x, one in zip((k, v), more))
            added += 1
        q, k, v = (self._heads(x) for x in (q, k, v))
        if self.add_zero_attn:
            k, v = (Pad.apply(x, widths=((0, 0), (0, 0), (0, 1), (0, 0))) for x in (k, v))
            added += 1
        mask = self._mask(key_padding_mask, attn_mask, q, k.shape[2] - added, added)
        weights = attention_weights(q, k, mask, 1 / math.sqrt(self.head_dim))
        weights = F.dropout(weights, self.dropout, self.training)
        y = (weights @ v).transpose(1, 2).reshape(n, length, self.embed_dim)
        y = self.out_proj(y)
        if not batched:
            y = y.squeeze(0)
        elif not self.batch_first:
            y = y.transpose(0, 1)
        if not need_weights:
            return y, None
        weights = weights.mean(1) if average_attn_weights else weights
        return y, (weights if batched else weights.squeeze(0))

    def _check(self, query: MyTensor, key: MyTensor, value: MyTensor) -> None:
        dims = {x.ndim for x in (query, key, value)}
        wanted = (self.embed_dim, self.kdim, self.vdim)
        if dims not in ({2}, {3}) or tuple(x.shape[-1] for x in (query, key, value)) != wanted:
            raise ShapeError(
                f"MultiheadAttention: wanted query, key and value of 2 or 3 dimensions with {wanted} features, got "
                f"{describe(query)}, {describe(key)} and {describe(value)}"
            )
        if key.shape[:-1] != value.shape[:-1]:
            raise ShapeError(f"MultiheadAttention: {describe(key)} keys do not fit {describe(value)} values")

    def _project(self, query: MyTensor, key: MyTensor, value: MyTensor, same: bool) -> tuple[MyTensor, ...]:
        """Queries, keys and values, each (N, L or S, embed_dim); in one product where they are of the `same` tensor."""
        thirds = {"lengths": (self.embed_dim,) * 3, "axis": 0}
        biases = (None,) * 3 if self.in_proj_bias is None else Split.apply(self.in_proj_bias, **thirds)
        if self.in_proj_weight is None:
            weights = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        elif same:
            joined = F.linear(query, self.in_proj_weight, self.in_proj_bias)
            return Split.apply(joined, lengths=thirds["lengths"], axis=2)
        else:
            weights = Split.apply(self.in_proj_weight, **thirds)
        return tuple(F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases))

    def _heads(self, x: MyTensor) -> MyTensor:
        """(N, L, embed_dim) as (N, heads, L, head_dim)."""
        return x.reshape(x.shape[0], x.shape[1], self.num_heads, self.head_dim).transpose(1, 2)

    def _mask(self, padding: Any, mask: Any, q: MyTensor, keys: int, added: int) -> MyTensor | None:
        """Both masks as one to add, (N, heads, L, S) or what broadcasts to it; None for none."""
        n, heads, length = q.shape[:3]
        total = None
        if padding is not None:
            if padding.shape != (n, keys):
                raise ShapeError(f"MultiheadAttention: wanted a key_padding_mask {(n, keys)}, got {describe(padding)}")
            total = _additive(padding, q).reshape(n, 1, 1, keys)
        if mask is not None:
            if mask.shape == (n * heads, length, keys):
                mask = mask.reshape(n, heads, length, keys)
            elif mask.shape != (length, keys):
                raise ShapeError(
                    f"MultiheadAttention: wanted an attn_mask {(length, keys)} or {(n * heads, length, keys)}, "
                    f"got {describe(mask)}"
                )
            mask = _additive(mask, q)
            total = mask if total is None else total + mask
        if total is None or not added:
            return total
        return Pad.apply(total, widths=((0, 0),) * (total.ndim - 1) + ((0, added),))


def _additive(mask: MyTensor, like: MyTensor) -> MyTensor:
    """A mask whose True hides as one to add, with -inf where it hides."""
    if mask.dtype != np.bool_:
        return mask
    xp = like.xp
    zero, hidden = (xp.asarray(value, dtype=like.dtype) for value in (0, -np.inf))
    return tensor_of(xp.where(mask.array, hidden, zero))
