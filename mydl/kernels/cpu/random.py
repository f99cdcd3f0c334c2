"""Random words: Philox4x64-10, on all threads, each block of four words by itself."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from mydl.kernels.cpu.compiler import compile_parallel
from mydl.kernels.cpu.parallel import launch
from mydl.kernels.reference.random import KEY_STEPS, MULTIPLIERS

__all__ = ["dropout_draws", "philox_words"]

_FACTOR_0, _FACTOR_1 = (np.uint64(factor) for factor in MULTIPLIERS)
_STEP_0, _STEP_1 = (np.uint64(step) for step in KEY_STEPS)
_WORD = 2**64 - 1


# So many words count as one unit of work: on fewer than 65,536 two threads save little, and between two matrix products
# they lose more to BLAS's threads.
EACH = 4


def philox_words(like: np.ndarray, place: tuple[int, int, int], count: int) -> np.ndarray:
    """The first `count` random uint64 numbers of `philox(*place)`; see `reference.philox_words`."""
    words = np.empty((-(-count // 4), 4), np.uint64)
    launch(_philox, count // EACH, *[np.uint64(part & _WORD) for part in place], words)
    return words.reshape(-1)[:count]


@compile_parallel()
def _philox(seed, purpose, number, words):
    for i in prange(len(words)):
        k0, k1 = seed, purpose
        x0, x1, x2, x3 = np.uint64(i) + np.uint64(1), number, np.uint64(0), np.uint64(0)
        for _ in range(10):
            (high0, low0), (high1, low1) = _product(x0, _FACTOR_0), _product(x2, _FACTOR_1)
            x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
            k0, k1 = k0 + _STEP_0, k1 + _STEP_1
        words[i, 0], words[i, 1], words[i, 2], words[i, 3] = x0, x1, x2, x3


@intrinsic
def _product(typingctx, a, b):
    """The upper and the lower 64 of the 128 bits of a · b, which one instruction gives."""

    def generate(context, builder, signature, args):
        word, wide = ir.IntType(64), ir.IntType(128)
        product = builder.mul(*(builder.zext(factor, wide) for factor in args))
        high, low = builder.lshr(product, wide(64)), product
        return context.make_tuple(builder, signature.return_type, [builder.trunc(p, word) for p in (high, low)])

    return types.UniTuple(types.uint64, 2)(types.uint64, types.uint64), generate


def dropout_draws(like: np.ndarray, place: tuple[int, int, int], count: int) -> np.ndarray:
    """As many uint16 numbers, four to each word; see `reference.dropout_draws`."""
    return philox_words(like, place, -(-count // 4)).view(np.uint16)[:count]
