"""Lengths and angles: normalize, cosine_similarity, pairwise_distance."""

from __future__ import annotations

from typing import Any

from mydl.functions.arguments import Tensor, require_floating
from mydl.functions.elementwise import clamp
from mydl.functions.reduction import norm
from mydl.functions.shape import broadcast_tensors

__all__ = ["cosine_similarity", "normalize", "pairwise_distance"]


def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: None = None) -> Tensor:
    """x / max(‖x‖_p, eps), the norm taken along `dim`.

    >>> import mydl
    >>> normalize(mydl.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    if out is not None:
        raise NotImplementedError("normalize: out= is not supported")
    input = require_floating(input, "normalize")
    return input / clamp(norm(input, p, dim, keepdim=True), min=eps)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 · x2 / (max(‖x1‖, eps) max(‖x2‖, eps)) along `dim`; the two broadcast.

    >>> import mydl
    >>> cosine_similarity(mydl.tensor([[1.0, 0.0]]), mydl.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    x1, x2 = require_floating(x1, "cosine_similarity"), require_floating(x2, "cosine_similarity")
    first, second = (x / clamp(norm(x, 2, dim, keepdim=True), min=eps) for x in _broadcast(x1, x2))
    return (first * second).sum(dim)


def _broadcast(x1: Any, x2: Any) -> tuple[Any, Any]:
    return (x1, x2) if x1.shape == x2.shape else broadcast_tensors(x1, x2)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """‖x1 - x2 + eps‖_p along the last dimension.

    >>> import mydl
    >>> pairwise_distance(mydl.tensor([[3.0, 4.0]]), mydl.zeros(1, 2))
    tensor([5.0000])
    """
    x1, x2 = require_floating(x1, "pairwise_distance"), require_floating(x2, "pairwise_distance")
    return norm(x1 - x2 + eps, p, -1, keepdim)
