"""Multiplications and additions of the reference models' matrix products and convolutions, from their shapes.

What else a step does (normalisation, activations, the optimizer) is few operations beside these, if many
bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

__all__ = ["mlp_flops", "resnet_flops", "training_flops"]

PIXELS, SIDE, CLASSES = 784, 28, 10


def mlp_flops(batch: int, hidden: Sequence[int] = (600, 100)) -> list[int]:
    """FLOPs of each linear layer's forward pass: 2 · batch · in · out.

    >>> mlp_flops(1, hidden=(2,))
    [3136, 40]
    """
    sizes = (PIXELS, *hidden, CLASSES)
    return [2 * batch * before * after for before, after in itertools.pairwise(sizes)]


def resnet_flops(batch: int, channels: Sequence[int] = (16, 32, 64), blocks: int = 2) -> list[int]:
    """FLOPs of each layer forward: convolutions, 2 · batch · out · side² · in · kernel², and the linear one.

    >>> round(sum(resnet_flops(256)) / 1e9, 1)
    10.3
    """
    layers = [
        2 * batch * out * side**2 * into * kernel**2 for into, out, kernel, side in _convolutions(channels, blocks)
    ]
    return [*layers, 2 * batch * channels[-1] * CLASSES]


def _convolutions(channels: Sequence[int], blocks: int) -> Iterator[tuple[int, int, int, int]]:
    """(in channels, out channels, kernel size, output side) of each convolution, the first layer first."""
    yield 1, channels[0], 3, SIDE
    before, side = channels[0], SIDE
    for stage, size in enumerate(channels):
        for block in range(blocks):
            if stage > 0 and block == 0:
                side = -(-side // 2)
            yield before, size, 3, side
            yield size, size, 3, side
            if before != size:
                yield before, size, 1, side
            before = size


def training_flops(forward: Sequence[int]) -> int:
    """FLOPs of a training step: each layer forward, for its weights' gradient and for its input's gradient.

    The first layer's input is data and gets no gradient.

    >>> training_flops([10, 100])
    320
    """
    return 3 * sum(forward) - forward[0]
