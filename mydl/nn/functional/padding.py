"""Borders around a tensor: constant, reflected, repeated, circular."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mydl.autograd.op import describe
from mydl.errors import ShapeError
from mydl.functions.arguments import Tensor, require_tensor
from mydl.ops.indexing import Take
from mydl.ops.shape import Pad

__all__ = ["pad"]


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """A border: `pad` is (left, right, top, bottom, …), the last dimension first; a negative width cuts off.

    `mode` is "constant" (`value`, 0 by default; any number of dimensions), "reflect" (mirrored at the edge, which is
    not repeated), "replicate" (the edge repeated) or "circular" (from the other end); these three take the last 1, 2
    or 3 dimensions of a tensor with 1 or 2 more.

    >>> import mydl
    >>> pad(mydl.tensor([[1.0, 2.0, 3.0]]), (2, 1), "reflect")
    tensor([[3., 2., 1., 2., 3., 2.]])
    """
    input = require_tensor(input, "pad")
    if any(not isinstance(width, (int, np.integer)) for width in pad):
        raise TypeError(f"pad: wanted ints as widths, got {tuple(pad)}")
    widths = tuple(int(width) for width in pad)
    if len(widths) % 2 or len(widths) > 2 * input.ndim:
        raise ShapeError(f"pad: wanted two widths for each of up to {input.ndim} dimensions, got {tuple(pad)}")
    count = len(widths) // 2
    pairs = [widths[2 * i : 2 * i + 2] for i in reversed(range(count))]
    for (before, after), size in zip(pairs, input.shape[input.ndim - count :]):
        left = size + before + after if mode in ("reflect", "replicate") else size + min(before, 0) + min(after, 0)
        if left < 0:
            raise ShapeError(f"pad: widths {widths} cut off more than there is of {describe(input)}")
    if mode == "constant":
        full = ((0, 0),) * (input.ndim - count) + tuple(tuple(p) for p in pairs)
        return Pad.apply(input, widths=full, value=0.0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f'pad: wanted mode "constant", "reflect", "replicate" or "circular", got {mode!r}')
    if value is not None and value != 0:
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value!r}")
    if count not in (1, 2, 3) or input.ndim - count not in (1, 2):
        raise NotImplementedError(
            f"pad: mode {mode!r} takes the last 1, 2 or 3 dimensions of a tensor with 1 or 2 more, "
            f"got {len(widths)} widths for {describe(input)}"
        )
    if mode == "circular" and min(widths) < 0:  # what is cut off does not come in again at the other end
        cuts = [(min(before, 0), min(after, 0)) for before, after in pairs]
        input = Pad.apply(input, widths=(*((0, 0),) * (input.ndim - count), *cuts))
        pairs = [(max(before, 0), max(after, 0)) for before, after in pairs]
    for axis, (before, after) in enumerate(pairs, input.ndim - count):
        if before or after:
            index = _border(input, axis, before, after, mode)
            input = Take.apply(input, key=(slice(None),) * axis + (index,))
    return input


def _border(input: Any, axis: int, before: int, after: int, mode: str) -> Any:
    """For each place along the padded axis the place that it is taken from."""
    size = input.shape[axis]
    limit = {"reflect": size - 1, "circular": size}.get(mode)
    if size == 0 or (limit is not None and max(before, after) > limit):
        raise ShapeError(f"pad: mode {mode!r} takes widths up to {limit}, got {before}, {after} for {describe(input)}")
    places = input.xp.arange(-before, size + after)
    if mode == "circular":
        return places % size
    if mode == "replicate":
        return places.clip(0, size - 1)
    places = abs(places)
    return size - 1 - abs(size - 1 - places)
