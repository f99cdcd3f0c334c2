"""Compile every CPU kernel ahead, so that no later run waits for it: `python -m mydl.kernels.warm`.

Compiled code is kept on disk beside the package, or in the user's cache folder where that is read-only.
"""

from __future__ import annotations

import argparse
import time
from types import ModuleType

import numpy as np

from mydl import backend, kernels

__all__ = ["warm"]


def warm() -> float:
    """Call every CPU kernel on a small and on a larger array of float32, which they serve; return the seconds it took.

    Raises:
        ImportError: Numba is not installed.

    >>> warm() > 0
    True
    """
    started = time.perf_counter()
    from mydl.kernels import cpu

    threads = backend.get_num_threads()
    try:
        # For the caller's thread alone, which takes what is little work, and convolutions in one piece (of an epoch's
        # last few images, say); and for all threads.
        for images, count in ((4, threads), (256, 1), (256, threads)):
            backend.set_num_threads(count)
            _call_each(cpu, np.linspace(-1, 1, images * 1024, dtype=np.float32).reshape(images, 4, 16, 16))
    finally:
        backend.set_num_threads(threads)
    return time.perf_counter() - started


def _call_each(cpu: ModuleType, x: np.ndarray) -> None:
    """Call every kernel on as much as x holds."""
    once, none = (1, 1), (0, 0)

    for count in (4, 16):  # tap by tap, and by tiles
        images, w = x.reshape(-1, count, 16, 16), np.ones((count, count, 3, 3), np.float32)
        y = cpu.conv2d(images, w, None, once, once, once, 1)
        cpu.conv2d_input_grad(y, w, images.shape, once, once, once, 1)
        cpu.conv2d_weight_grad(y, images, w.shape, once, once, once, 1)

    cpu.matmul(np.ones((32, 1024), np.float32), np.ones((1024, len(x) * 8), np.float32))

    y, indices = cpu.max_pool2d(x, (2, 2), (2, 2), none, once, False)
    cpu.max_pool2d_backward(y, indices, x.shape)
    y = cpu.avg_pool2d(x, (2, 2), (2, 2), none, False, True, None)
    cpu.avg_pool2d_backward(y, x.shape, (2, 2), (2, 2), none, False, True, None)

    for batch in (x, x.reshape(-1, 64)):
        channels = np.ones(batch.shape[1], np.float32)
        _, mean, _, inv_std = cpu.batch_norm(batch, channels, channels, 1e-5)
        cpu.batch_norm_backward(batch, batch, channels, mean, inv_std)
        cpu.batch_norm_eval(batch, channels, channels, channels, channels, 1e-5)

    cpu.add(x, x)
    cpu.relu_backward(x, cpu.relu(x))
    cpu.erf(x)
    for part in (x, x[0]):  # few in double precision are much work already
        cpu.erf(part.astype(np.float64))
    cpu.dropout(x, cpu.dropout_draws(x, (0, 0, 0), x.size), 1, 1.0)

    logits, target = x.reshape(-1, 64), np.zeros(x.size // 64, np.int64)
    rows, log_sum_exp = cpu.cross_entropy(logits, target, None, -100, 0.0)
    cpu.cross_entropy_backward(rows, logits, log_sum_exp, target, None, -100, 0.0)
    cpu.softmax_backward(logits, cpu.softmax(logits, -1), -1)
    cpu.log_softmax_backward(logits, cpu.log_softmax(logits, -1), -1)

    p, g, m, v, vmax = np.zeros((5, x.size // 2), np.float32)  # Adam has much to do for each
    for buffer in (None, m):
        cpu.sgd_step(p, g, buffer, 0.1, 0.9, 0.0, 0.0, False, True, False)
    for largest in (None, vmax):
        cpu.adam_step(p, g, m, v, largest, 1, 0.1, 0.9, 0.999, 1e-8, 0.0, False, False)


def main(argv: list[str] | None = None) -> None:
    """The command line: no arguments but --help; wrong ones, or no Numba, end it in one line with status 2."""
    parser = argparse.ArgumentParser("warm", description="Compile every CPU kernel ahead, so that no later run waits.")
    _, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.exit(2, f"warm: error: unrecognized arguments: {' '.join(unknown)}; see --help\n")
    if reason := kernels.why_slow():
        parser.exit(2, f"warm: error: {reason}\n")
    print(f"CPU kernels ready after {warm():.1f} s")


if __name__ == "__main__":
    main()
