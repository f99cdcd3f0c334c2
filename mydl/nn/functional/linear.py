"""Affine and bilinear maps."""

from __future__ import annotations

from mydl.errors import ShapeError
from mydl.functions.arguments import Tensor
from mydl.functions.einsum import einsum
from mydl.ops.linalg import Linear

__all__ = ["bilinear", "linear"]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input weightᵀ + bias for input (…, in), weight (out, in) or (in,), bias (out,) or None.

    >>> import mydl
    >>> linear(mydl.ones(1, 2), mydl.tensor([[1.0, 2.0]]), mydl.tensor([0.5]))
    tensor([[3.5000]])
    """
    return Linear.apply(input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y_o = Σ_ij input1_i weight_oij input2_j + bias_o, for input1 (…, in1), input2 (…, in2), weight (out, in1, in2).

    >>> import mydl
    >>> bilinear(mydl.ones(2), mydl.ones(3), mydl.ones(1, 2, 3))
    tensor([6.])
    """
    if input1.shape[:-1] != input2.shape[:-1] or weight.ndim != 3:
        raise ShapeError(
            f"bilinear: wanted inputs with the same leading sizes and a weight (out, in1, in2), got {input1.shape}, "
            f"{input2.shape} and {weight.shape}"
        )
    lead = "abcdefgh"[: input1.ndim - 1]
    equation = f"{lead}i,oij,{lead}j->{lead}o"
    y = einsum(equation, input1, weight, input2)
    return y if bias is None else y + bias
