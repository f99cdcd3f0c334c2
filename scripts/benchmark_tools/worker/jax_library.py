"""The benchmark's workloads in JAX: the models as functions of their parameters, compiled by jit.

Images are (N, H, W, C), the layout that JAX's own examples use on a CPU.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Step = Callable[[], Any]


def limit_threads(threads: int) -> None:
    """JAX has no setting for its threads: it makes one for each core it may run on when it first computes."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:threads])


class Library:
    """JAX with its models and its training step compiled."""

    def __init__(self, variant: str, threads: int, device: str) -> None:
        limit_threads(threads)
        jax.config.update("jax_platforms", device)
        self.rng = np.random.default_rng(0)

    def describe(self) -> dict[str, str]:
        return {"version": jax.__version__, "configuration": str(jax.devices())}

    def train(self, model: str, batch: int, repeat: int = 1, **options: Any) -> Step:
        parameters, statistics, forward = self._model(model, **options)
        x, target = self._batch(batch)
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        state = (parameters, statistics, zeros, zeros, 0, jax.random.key(0))

        def loss_of(parameters: Any, statistics: Any, key: Any) -> Any:
            logits, statistics = forward(parameters, statistics, x, key)
            return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), target[:, None], 1)), statistics

        @jax.jit
        def update(parameters: Any, statistics: Any, m: Any, v: Any, count: Any, key: Any) -> Any:
            key, draw = jax.random.split(key)
            gradients, statistics = jax.grad(loss_of, has_aux=True)(parameters, statistics, draw)
            count += 1
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
            rate, scale = 1e-3 / (1 - 0.9**count), 1 / (1 - 0.999**count)
            parameters = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v * scale) + 1e-8), parameters, m, v)
            return parameters, statistics, m, v, count, key

        def step() -> None:
            nonlocal state
            for _ in range(repeat):
                state = update(*state)
            jax.block_until_ready(state)

        return step

    def infer(self, model: str, batch: int, **options: Any) -> Step:
        parameters, statistics, forward = self._model(model, **options)
        x, _ = self._batch(batch)
        predict = jax.jit(lambda parameters, statistics, x: forward(parameters, statistics, x, None)[0])
        return lambda: np.asarray(predict(parameters, statistics, x))

    def tiny_ops(self, pairs: int) -> Step:
        """Not compiled: a compiled chain is one op."""
        y0, a, b = jnp.ones(8), jnp.ones(8), jnp.zeros(8)

        def chain(a: Any, b: Any) -> Any:
            y = y0
            for _ in range(pairs):
                y = y * a + b
            return y.sum()

        return lambda: jax.block_until_ready(jax.grad(chain, (0, 1))(a, b))

    def _model(self, name: str, **options: Any) -> tuple[Any, Any, Callable[..., Any]]:
        """(parameters, running statistics, forward: parameters, statistics, x, key -> logits, statistics).

        A key trains (dropout, batch statistics); without one the running statistics serve.
        """
        return {"mlp": self._mlp, "resnet": self._resnet}[name](**options)

    def _mlp(self, hidden: Sequence[int] = (600, 100), dropout: float = 0.3) -> tuple[Any, Any, Any]:
        sizes = (784, *hidden, 10)
        parameters = [self._linear(a, b) for a, b in itertools.pairwise(sizes)]

        def forward(parameters: Any, statistics: Any, x: Any, key: Any) -> Any:
            x = x.reshape(len(x), -1)
            for number, (w, b) in enumerate(parameters[:-1]):
                x = jax.nn.relu(x @ w + b)
                if key is not None:
                    kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - dropout, x.shape)
                    x = jnp.where(kept, x / (1 - dropout), 0)
            w, b = parameters[-1]
            return x @ w + b, statistics

        return parameters, [], forward

    def _resnet(self, channels: Sequence[int] = (16, 32, 64), blocks: int = 2) -> tuple[Any, Any, Any]:
        layers: list[tuple[Any, Any]] = []  # (weight, scale, shift) and (mean, variance) of each convolution
        shape: list[tuple[int, bool]] = []  # (stride, whether the shortcut is a convolution) of each block
        layers.append(self._conv(1, channels[0], 3))
        before = channels[0]
        for stage, size in enumerate(channels):
            for block in range(blocks):
                shape.append((2 if stage > 0 and block == 0 else 1, before != size))
                layers += [self._conv(before, size, 3), self._conv(size, size, 3)]
                if before != size:
                    layers.append(self._conv(before, size, 1))
                before = size
        parameters = [[layer for layer, _ in layers], self._linear(before, 10)]

        def forward(parameters: Any, statistics: Any, x: Any, key: Any) -> Any:
            new: list[Any] = []

            def conv(x: Any, stride: int) -> Any:
                number = len(new)
                y, running = _conv_bn(x, parameters[0][number], statistics[number], stride, key is not None)
                new.append(running)
                return y

            x = jax.nn.relu(conv(x, 1))
            for stride, projected in shape:
                y = conv(jax.nn.relu(conv(x, stride)), 1)
                x = jax.nn.relu(y + (conv(x, stride) if projected else x))
            w, b = parameters[1]
            return x.mean((1, 2)) @ w + b, new

        return parameters, [running for _, running in layers], forward

    def _linear(self, into: int, out: int) -> tuple[Any, Any]:
        bound = math.sqrt(6 / (into + out))
        return jnp.asarray(self.rng.uniform(-bound, bound, (into, out)), jnp.float32), jnp.zeros(out)

    def _conv(self, into: int, out: int, kernel: int) -> tuple[Any, Any]:
        bound = math.sqrt(6 / (into * kernel**2))
        weight = jnp.asarray(self.rng.uniform(-bound, bound, (kernel, kernel, into, out)), jnp.float32)
        return (weight, jnp.ones(out), jnp.zeros(out)), (jnp.zeros(out), jnp.ones(out))

    def _batch(self, batch: int) -> tuple[Any, Any]:
        x = self.rng.standard_normal((batch, 28, 28, 1), dtype=np.float32)
        return jnp.asarray(x), jnp.asarray(self.rng.integers(0, 10, batch))


def _conv_bn(x: Any, parameters: Any, running: Any, stride: int, train: bool) -> tuple[Any, Any]:
    """Convolution and batch normalisation; the running statistics move by a tenth, as in the others."""
    weight, scale, shift = parameters
    pad = weight.shape[0] // 2
    y = jax.lax.conv_general_dilated(
        x, weight, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    mean, variance = running
    if train:
        mean, variance = y.mean((0, 1, 2)), y.var((0, 1, 2))
        count = y.size // y.shape[-1]
        moved = (mean, variance * count / (count - 1))
        running = tuple(0.9 * old + 0.1 * new for old, new in zip(running, moved, strict=True))
    return (y - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + shift, running
