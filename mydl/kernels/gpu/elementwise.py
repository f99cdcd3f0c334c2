"""Element by element on a GPU: the gradient of ReLU, running statistics, dropout. Not yet run on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.kernels import capture, reference
from mydl.kernels.gpu.launch import THREADS, contiguous, launch, served, served_in_place

__all__ = ["Draws", "dropout", "dropout_draws", "move_statistics", "philox_words", "relu_backward"]

Array = Any

_WORD = 2**64 - 1


def relu_backward(grad: Array, y: Array) -> Array:
    """As `reference.relu_backward`."""
    if not served(grad, y) or not y.size:
        return reference.relu_backward(grad, y)
    grad, y = contiguous(grad, y)
    dx = array_module(y).empty_like(y)
    launch("relu_backward", y.dtype, -(-y.size // THREADS), grad, y, dx, y.size)
    return dx


def move_statistics(
    running_mean: Array, running_var: Array, mean: Array, var: Array, momentum: float, correction: float
) -> None:
    """As `reference.move_statistics`."""
    arrays = (running_mean, running_var, mean, var)
    if not served_in_place(*arrays) or not mean.size:
        return reference.move_statistics(*arrays, momentum, correction)
    size = mean.size
    launch("move_statistics", mean.dtype, -(-size // THREADS), *arrays, size, float(momentum), float(correction))
    return None


class Draws:
    """The numbers of `philox(seed, purpose, number)`: where they stand in its sequence, not the numbers."""

    def __init__(self, seed: int, purpose: int, number: int) -> None:
        live = capture.draws(seed, number)
        words = (seed, purpose, live.number, 0, 0)
        self.place = (*(np.uint64(word & _WORD) for word in words), live.seed, live.draws)


def philox_words(like: Array, place: tuple[int, int, int], count: int) -> Array:
    """As `reference.philox_words`."""
    words = array_module(like).empty(count, np.uint64)
    if count:
        blocks = -(-count // (4 * THREADS))
        launch("philox_words", np.dtype(np.float32), blocks, words, count, *Draws(*place).place)
    return words


def dropout_draws(like: Array, place: tuple[int, int, int], count: int) -> Draws:
    """As `reference.dropout_draws`, but `dropout` makes the numbers itself each time it needs them."""
    return Draws(*place)


def dropout(x: Array, keep_bits: Any, threshold: int, scale: float) -> Array:
    """As `reference.dropout`; `keep_bits` is what `dropout_draws` gave, or an array."""
    if not isinstance(keep_bits, Draws):
        return reference.dropout(x, keep_bits, threshold, scale)
    if not served(x):
        words = array_module(x).empty(-(-x.size // 4), np.uint64)
        launch("philox_words", np.dtype(np.float32), -(-words.size // THREADS), words, words.size, *keep_bits.place)
        return reference.dropout(x, words.view(np.uint16)[: x.size], threshold, scale)
    (x,) = contiguous(x)
    y = array_module(x).empty_like(x)
    if x.size:
        blocks = -(-x.size // (16 * THREADS))
        launch("dropout", x.dtype, blocks, x, y, x.size, np.int32(threshold), float(scale), *keep_bits.place)
    return y
