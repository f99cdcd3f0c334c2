"""Sequences of different lengths as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

from mydl.functions.joining import stack
from mydl.nn import functional as F
from mydl.tensor import MyTensor

__all__ = ["pad_sequence"]


def pad_sequence(
    sequences: Sequence[MyTensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> MyTensor:
    """Tensors of shapes (L_i, *) as one of shape (L, N, *), L the longest L_i; (N, L, *) with `batch_first`.

    >>> import mydl
    >>> pad_sequence([mydl.tensor([1, 2, 3]), mydl.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f'pad_sequence: wanted "left" or "right" as padding_side, got {padding_side!r}')
    longest = max(len(sequence) for sequence in sequences)
    padded = []
    for sequence in sequences:
        missing = longest - len(sequence)
        last = (missing, 0) if padding_side == "left" else (0, missing)
        padded.append(F.pad(sequence, (0, 0) * (sequence.ndim - 1) + last, value=padding_value))
    return stack(padded, 0 if batch_first else 1)
