"""Reading the arguments of layers: sizes in pairs, unbatched inputs, reductions; one place for each error message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from mydl.errors import ShapeError
from mydl.ops.reduction import Mean, Sum
from mydl.ops.shape import Reshape

__all__ = [
    "Flag", "Sizes", "as_image", "as_line", "in_place", "pair", "reduced", "reduction_of", "sizes_of",
]  # fmt: skip


# One int for all spatial dimensions, or one for each.
Sizes: TypeAlias = int | Sequence[int]

# PyTorch's older arguments of losses, `size_average` and `reduce`; see `reduction_of`.
Flag: TypeAlias = bool | None


def sizes_of(value: Any, count: int, name: str, what: str, least: int = 0) -> tuple[int, ...]:
    """`count` ints from an int or a sequence of them, each at least `least`.

    >>> sizes_of(3, 2, "conv2d", "stride"), sizes_of((1, 2), 2, "conv2d", "stride")
    ((3, 3), (1, 2))
    """
    if value.__class__ is int:
        sizes: tuple = (value,) * count
    elif isinstance(value, Sequence) and not isinstance(value, str) and len(value) in (1, count):
        sizes = tuple(value) if len(value) == count else (value[0],) * count
    else:
        sizes = (value,) * count
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{name}: wanted an int or {count} ints as {what}, got {value!r}")
        if size < least:
            raise ShapeError(f"{name}: wanted {what} of at least {least}, got {value!r}")
    return tuple(int(size) for size in sizes)


def pair(value: Any, name: str, what: str, least: int = 0) -> tuple[int, int]:
    """(vertical, horizontal) from an int or two ints.

    >>> pair(3, "conv2d", "stride", 1)
    (3, 3)
    """
    if value.__class__ is tuple and len(value) == 2:
        a, b = value
        if a.__class__ is int and b.__class__ is int and a >= least and b >= least:
            return value
    return sizes_of(value, 2, name, what, least)  # type: ignore[return-value]


def reduction_of(size_average: Flag, reduce: Flag, reduction: str, name: str) -> str:
    """The reduction, "none", "mean" or "sum", with PyTorch's older arguments `size_average` and `reduce` understood.

    >>> reduction_of(None, None, "mean", "mse_loss"), reduction_of(False, None, "mean", "mse_loss")
    ('mean', 'sum')
    """
    if size_average is not None or reduce is not None:
        return "none" if reduce is False else "sum" if size_average is False else "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'{name}: wanted "none", "mean" or "sum" as reduction, got {reduction!r}')
    return reduction


def reduced(loss: Any, reduction: str) -> Any:
    """The mean or the sum of a loss's elements, or the elements.

    >>> import mydl
    >>> reduced(mydl.tensor([1.0, 3.0]), "mean")
    tensor(2.)
    """
    if reduction == "mean":
        return Mean.apply(loss)
    return Sum.apply(loss) if reduction == "sum" else loss


def as_image(line: Any) -> Any:
    """(…, L) as (…, 1, L), an image of one row."""
    return Reshape.apply(line, shape=(*line.shape[:-1], 1, line.shape[-1]))


def as_line(image: Any) -> Any:
    """(…, 1, L) as (…, L)."""
    return Reshape.apply(image, shape=(*image.shape[:-2], image.shape[-1]))


def in_place(input: Any, result: Any, inplace: bool) -> Any:
    """The result, with `inplace` as what `input` is from now on."""
    return input._become(result) if inplace else result
