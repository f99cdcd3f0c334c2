"""Random words: Philox4x64-10, on all threads, each block of four words by itself."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from mydl.kernels import reference
from mydl.kernels.cpu.compiler import compile_parallel
from mydl.kernels.cpu.parallel import PARALLEL_FROM, launch
from mydl.kernels.reference.random import KEY_STEPS, MULTIPLIERS

__all__ = ["dropout_draws", "philox_words"]

_FACTOR_0, _FACTOR_1 = (np.uint64(factor) for factor in MULTIPLIERS)
_STEP_0, _STEP_1 = (np.uint64(step) for step in KEY_STEPS)


def philox_words(like: np.ndarray, source: np.random.Philox, count: int) -> np.ndarray:
    """The first `count` random uint64 numbers of a fresh generator; see `reference.philox_words`."""
    state = source.state["state"]
    if count < PARALLEL_FROM or state["counter"][0]:  # a count that goes on might run over into the next word
        return reference.philox_words(like, source, count)
    words = np.empty((-(-count // 4), 4), np.uint64)
    launch(_philox, count, state["key"], state["counter"], words)
    return words.reshape(-1)[:count]


@compile_parallel()
def _philox(key, counter, words):
    for i in prange(len(words)):
        k0, k1 = key[0], key[1]
        x0, x1, x2, x3 = np.uint64(i) + np.uint64(1), counter[1], counter[2], counter[3]
        for _ in range(10):
            high0, high1 = _high_word(x0, _FACTOR_0), _high_word(x2, _FACTOR_1)
            x0, x1, x2, x3 = high1 ^ x1 ^ k0, x2 * _FACTOR_1, high0 ^ x3 ^ k1, x0 * _FACTOR_0
            k0, k1 = k0 + _STEP_0, k1 + _STEP_1
        words[i, 0], words[i, 1], words[i, 2], words[i, 3] = x0, x1, x2, x3


@intrinsic
def _high_word(typingctx, a, b):
    """The upper 64 of the 128 bits of a · b."""

    def generate(context, builder, signature, args):
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(factor, wide) for factor in args))
        return builder.trunc(builder.lshr(product, wide(64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


def dropout_draws(like: np.ndarray, source: np.random.Philox, count: int) -> np.ndarray:
    """As many uint16 numbers, four to each word; see `reference.dropout_draws`."""
    return philox_words(like, source, -(-count // 4)).view(np.uint16)[:count]
