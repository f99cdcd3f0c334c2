"""Random words: Philox4x64-10, a function of a key and a counter (Salmon et al., "Parallel random numbers", 2011)."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.backend import array_module, philox

__all__ = ["dropout_draws", "philox_rounds", "philox_words"]

Array = Any  # numpy.ndarray or cupy.ndarray

MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
KEY_STEPS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
_WORD = 2**64 - 1
_HALF = 2**32 - 1


def philox_words(like: Array, place: tuple[int, int, int], count: int) -> Array:
    """The first `count` random uint64 numbers of `philox(*place)` (seed, purpose, number), where `like` is.

    A GPU computes them itself, so that nothing is copied to it and both devices draw the same.

    >>> import numpy as np
    >>> philox_words(np.zeros(1), (7, 0, 0), 5).shape
    (5,)
    """
    if isinstance(like, np.ndarray):
        return philox(*place).bit_generator.random_raw(count)
    return philox_rounds(array_module(like), place[:2], (0, place[2], 0, 0), count)


def dropout_draws(like: Array, place: tuple[int, int, int], count: int) -> Any:
    """What `dropout` takes for `count` elements: so many uint16 numbers, four to each of `philox_words`.

    >>> import numpy as np
    >>> dropout_draws(np.zeros(1), (7, 0, 0), 5).dtype
    dtype('uint16')
    """
    return philox_words(like, place, -(-count // 4)).view(np.uint16)[:count]


def philox_rounds(xp: Any, key: Any, counter: Any, count: int) -> Array:
    """The words that follow a counter, in array operations: one element for each block of four.

    >>> import numpy as np
    >>> words = philox_rounds(np, [7, 0], [0, 0, 0, 0], 6)
    >>> bool((words == np.random.Philox(key=7).random_raw(6)).all())
    True
    """
    keys = [int(k) & _WORD for k in key]
    first, *rest = (int(c) & _WORD for c in counter)
    blocks = -(-count // 4)
    x0 = xp.arange(first + 1, first + 1 + blocks, dtype=np.uint64)
    x1, x2, x3 = (xp.full(blocks, c, dtype=np.uint64) for c in rest)
    for _ in range(10):
        (high0, low0), (high1, low1) = _product(x0, MULTIPLIERS[0]), _product(x2, MULTIPLIERS[1])
        x0, x1, x2, x3 = high1 ^ x1 ^ np.uint64(keys[0]), low1, high0 ^ x3 ^ np.uint64(keys[1]), low0
        keys = [(k + step) & _WORD for k, step in zip(keys, KEY_STEPS)]
    return xp.stack((x0, x1, x2, x3), axis=1).reshape(-1)[:count]


def _product(x: Array, factor: int) -> tuple[Array, Array]:
    """The high and the low word of x · factor, from products of their halves."""
    a, b = x >> np.uint64(32), x & np.uint64(_HALF)
    c, d = np.uint64(factor >> 32), np.uint64(factor & _HALF)
    bd = b * d
    middle = a * d + (bd >> np.uint64(32))
    cross = b * c + (middle & np.uint64(_HALF))
    return a * c + (middle >> np.uint64(32)) + (cross >> np.uint64(32)), x * np.uint64(factor)
