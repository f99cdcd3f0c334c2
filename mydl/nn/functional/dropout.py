"""Dropout: elements or whole channels set to zero at random in training."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from mydl import kernels
from mydl.autograd.op import describe
from mydl.backend import default_generator
from mydl.errors import ShapeError
from mydl.functions.arguments import Tensor, require_floating
from mydl.nn.functional.arguments import in_place
from mydl.ops.arithmetic import Mul
from mydl.ops.elementwise import Where
from mydl.ops.random import Dropout

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d"]

DROPOUT = 0xD0D0  # the purpose under which masks are drawn: no other draw meets theirs


def _draws(x: Any, size: int) -> Any:
    """`size` random uint16 numbers where x is, four to each 64-bit number of the generator."""
    words = kernels.of(x.array).philox_words(x.array, default_generator.place(DROPOUT), -(-size // 4))
    return words.view(np.uint16)[:size]


def _dropped(x: Any, p: float) -> Any:
    draws = kernels.of(x.array).dropout_draws(x.array, default_generator.place(DROPOUT), x.array.size)
    return Dropout.apply(x, draws=draws, threshold=min(round(p * 65536), 65535), scale=1 / (1 - p))


def _check(p: float, name: str) -> None:
    if p.__class__ is not float and not isinstance(p, numbers.Real):
        raise TypeError(f"{name}: wanted a probability between 0 and 1, got {p!r}")
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: wanted a probability between 0 and 1, got {p!r}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Each element 0 with probability p, otherwise input / (1 - p); the input itself where `training` is False.

    The mask is drawn from the default generator: the same seed gives the same masks. It drops with the multiple of
    1/65536 that is next to p, 65535/65536 at most.
    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    >>> import mydl
    >>> dropout(mydl.ones(2), 0.5, training=False)
    tensor([1., 1.])
    """
    _check(p, "dropout")
    if not training or p == 0:
        return input
    input = require_floating(input, "dropout")
    return in_place(input, _dropped(input, p) if p < 1 else Mul.apply(input, 0.0), inplace)


def _drop_channels(input: Any, p: float, training: bool, inplace: bool, spatial: int, name: str) -> Any:
    _check(p, name)
    input = require_floating(input, name)
    if input.ndim not in (spatial + 1, spatial + 2):
        raise ShapeError(f"{name}: wanted an input of {spatial + 1} or {spatial + 2} dimensions, got {describe(input)}")
    if not training or p == 0:
        return input
    if p == 1:
        return in_place(input, Mul.apply(input, 0.0), inplace)
    shape = (*input.shape[:-spatial], *(1,) * spatial)
    kept = _draws(input, math.prod(shape)).reshape(shape) >= round(p * 65536)
    mask = (kept / (1 - p)).astype(input.dtype)
    return in_place(input, Mul.apply(input, mask), inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, L) or (C, L).

    >>> import mydl
    >>> dropout1d(mydl.ones(2, 3, 4), 1.0).sum()
    tensor(0.)
    """
    return _drop_channels(input, p, training, inplace, 1, "dropout1d")


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, H, W) or (C, H, W) (Tompson et al., 2015).

    >>> import mydl
    >>> dropout2d(mydl.ones(2, 3, 4, 4), 1.0).sum()
    tensor(0.)
    """
    return _drop_channels(input, p, training, inplace, 2, "dropout2d")


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`dropout` of whole channels of (N, C, D, H, W) or (C, D, H, W).

    >>> import mydl
    >>> dropout3d(mydl.ones(2, 3, 4, 4, 4), 1.0).sum()
    tensor(0.)
    """
    return _drop_channels(input, p, training, inplace, 3, "dropout3d")


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Each element SELU's lowest value with probability p, then all scaled to mean 0 and variance 1 if they had them.

    Klambauer et al., "Self-normalizing neural networks", 2017.

    >>> import mydl
    >>> alpha_dropout(mydl.ones(2), 0.5, training=False)
    tensor([1., 1.])
    """
    _check(p, "alpha_dropout")
    if not training or p == 0:
        return input
    input = require_floating(input, "alpha_dropout")
    if p == 1:
        return in_place(input, Mul.apply(input, 0.0), inplace)
    lowest = -1.0507009873554805 * 1.6732632423543772
    scale = 1 / math.sqrt((1 - p) * (1 + p * lowest**2))
    kept = _draws(input, input.array.size).reshape(input.shape) >= round(p * 65536)
    dropped = Where.apply(kept, input, input.new_full((), lowest))
    return in_place(input, dropped * scale - scale * p * lowest, inplace)
