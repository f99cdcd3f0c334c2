"""Work on a batch in blocks, shared among threads.

NumPy goes over its arrays once for each operation. On a block of the batch that fits into a core's cache the next
operation finds there what the last one wrote, instead of fetching it from memory.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mydl.backend import get_num_threads

__all__ = ["for_blocks"]

_HOST_BLOCK, _DEVICE_BLOCK = 2**20, 2**28  # bytes: what a core's cache holds, and what a GPU's memory can spare


def for_blocks(work: Callable[[Any], Any], images: Any, scale: int = 1) -> list:
    """[work(images), …] for slices of a batch, each of about a megabyte.

    Args:
        work: a function of a slice of the first axis.
        images: the batch; on a GPU a block is as large as memory allows.
        scale: how many times as large as its images the memory is that the work of a block goes over.

    NumPy gives up the interpreter's lock while it computes, so the threads share the cores. BLAS keeps to one
    thread meanwhile: its own would wait for one another at each of many small products. `work` must not call
    `for_blocks` itself.

    >>> for_blocks(lambda images: images, np.zeros((3, 2**16)))
    [slice(0, 2, None), slice(2, 4, None)]
    """
    if images.ndim == 0:
        return [work(...)]  # the whole of it
    on_host = isinstance(images, np.ndarray)
    size = max(1, images.nbytes // max(1, len(images)) * scale)
    block = max(1, (_HOST_BLOCK if on_host else _DEVICE_BLOCK) // size)
    slices = [slice(i, i + block) for i in range(0, len(images), block)]
    threads = min(get_num_threads(), len(slices)) if on_host else 1
    if threads < 2:
        return [work(images) for images in slices]

    @np.errstate(all="ignore")  # a setting of each thread
    def quietly(images: slice) -> Any:
        return work(images)

    with _alone, _blas().limit(limits=1):
        return list(_pool(threads).map(quietly, slices))


# One call at a time: two would each put back the number of BLAS threads that the other had set.
_alone = threading.Lock()


@functools.cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
