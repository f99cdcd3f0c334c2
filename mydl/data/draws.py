"""Where data loading takes its random numbers from: (seed, purpose, epoch, sample), nothing else.

The loader says which epoch and which samples it is reading (`reading`), and a random transform asks for its
numbers (`uniforms`). A sample is then augmented in the same way whatever the batch size, the number of
threads or of ranks, and whether it is read alone or in a batch; and there is no state to save for a resumed
run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mydl.backend import Generator, default_generator

# Purposes, the first counter of `philox`: draws for different purposes never meet.
SHUFFLE, SPLIT, SEED, AUGMENT, DIGITS = (0xDA7A00 + number for number in range(5))


def generator_for(generator: Any, purpose: int) -> np.random.Generator:
    """A NumPy generator for the next draw from `generator`: mydl's, NumPy's own, or None for the default one.

    >>> generator_for(Generator(0), SPLIT).integers(10) == generator_for(Generator(0), SPLIT).integers(10)
    np.True_
    """
    if isinstance(generator, np.random.Generator):
        return generator
    if generator is None:
        generator = default_generator
    if not isinstance(generator, Generator):
        raise TypeError(f"generator: wanted a mydl.Generator, got {type(generator).__name__}")
    return generator.next(purpose)


def new_seed(generator: Any) -> int:
    """A seed drawn from `generator`, or from the default one if None."""
    return int(generator_for(generator, SEED).integers(2**63))


class _Reading(threading.local):
    """What this thread is reading: seed, epoch, sample numbers, and how many draws they have had so far."""

    seed: int | None = None
    epoch = 0
    samples: np.ndarray = np.empty(0, np.uint64)
    draws = 0


_now = _Reading()


@contextlib.contextmanager
def reading(seed: int, epoch: int, samples: Any) -> Iterator[None]:
    """While it lasts, `uniforms` in this thread are those of these samples in this epoch."""
    before = vars(_now).copy()
    _now.seed, _now.epoch, _now.samples, _now.draws = seed, epoch, np.asarray(samples, np.uint64), 0
    try:
        yield
    finally:
        vars(_now).clear()
        vars(_now).update(before)


@contextlib.contextmanager
def one_by_one() -> Iterator[Callable[[int], None]]:
    """Gives a function: once it is called with a position, that sample of the batch alone is being read."""
    before, batch = vars(_now).copy(), _now.samples

    def turn_to(position: int) -> None:
        _now.samples, _now.draws = batch[position : position + 1], 0

    try:
        yield turn_to
    finally:
        vars(_now).clear()
        vars(_now).update(before)


def uniforms(count: int, columns: int) -> np.ndarray:
    """`columns` float64 numbers in [0, 1) for each of `count` images: their next draws, (count, columns).

    Inside `reading` they are the samples' own: the k-th call gives a sample the same numbers, read alone or
    in any batch. Elsewhere they come from mydl's default generator (`mydl.manual_seed`).

    >>> with reading(seed=0, epoch=3, samples=[8, 9]):
    ...     both = uniforms(2, 1)
    >>> with reading(seed=0, epoch=3, samples=[9]):
    ...     bool(uniforms(1, 1) == both[1])
    True
    """
    if _now.seed is None:
        return default_generator.next(AUGMENT).random((count, columns))
    samples = _now.samples
    if samples.size == 0 or count % samples.size:
        raise RuntimeError(f"a transform wants draws for {count} images while {samples.size} samples are being read")
    wanted = columns * (count // samples.size)  # a sample may be made of several images
    call, _now.draws = _now.draws, _now.draws + 1
    blocks = -(-wanted // 2)  # a block of Philox gives four 32-bit words, two float64
    sample = np.repeat(samples, blocks)
    block = np.tile(np.arange(blocks, dtype=np.uint64), samples.size)
    counter = (sample, block ^ (sample >> _HALF << np.uint64(8)), call, _now.epoch)
    words = philox4x32(counter, (_now.seed, (_now.seed >> 32) ^ AUGMENT))
    high, low = words[0::2], words[1::2]
    numbers = ((high >> np.uint64(5)) * 2.0**26 + (low >> np.uint64(6))) / 2.0**53
    return numbers.T.reshape(samples.size, 2 * blocks)[:, :wanted].reshape(count, columns)


_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox4x32(counter: tuple[Any, Any, Any, Any], key: tuple[Any, Any]) -> np.ndarray:
    """Philox4x32-10 of many counters at once: (4, n) words of 32 bits, in uint64.

    NumPy's Philox runs through one counter after another; here each sample of a batch has its own. (Salmon et
    al., "Parallel random numbers: as easy as 1, 2, 3", 2011.)

    >>> [hex(word) for word in philox4x32((0, 0, 0, 0), (0, 0))[:, 0]]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = np.broadcast_arrays(*(np.atleast_1d(np.asarray(word, np.uint64) & _LOW) for word in counter))
    k0, k1 = (int(word) & 0xFFFFFFFF for word in key)
    for _ in range(10):
        first, second = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1 = (second >> _HALF) ^ c1 ^ np.uint64(k0), second & _LOW
        c2, c3 = (first >> _HALF) ^ c3 ^ np.uint64(k1), first & _LOW
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3])
