"""Flat buffers: an optimizer's parameters in one array, their gradients in another.

A parameter keeps its own `.array`, which becomes a view of the flat one; backward writes the gradients where the step
will read them.

Nothing is overwritten that somebody else holds. An array that has more references than its parameter and the
buffers account for (a user's `g = p.grad`, a detached tensor, a NumPy view) stays as it is: such a parameter
keeps its memory and is updated there, such a gradient is left alone and the next one gets memory of its own.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mydl.autograd.op import alike, tensor_of
from mydl.backend import array_module, device_of, on_device
from mydl.tensor import MyTensor

__all__ = ["FlatBuffer", "Slot", "settle"]


def _references(owner: Any, name: str) -> int:
    """How many references there are to the object that `owner` holds under `name`."""
    return sys.getrefcount(getattr(owner, name))


_ALONE = _references(tensor_of(np.zeros(1)), "array")  # nobody but its owner holds it


def _is_shared(tensor: MyTensor) -> bool:
    """Whether anything but the tensor may hold its memory: its array, or the array that it is a view of."""
    if _references(tensor, "array") > _ALONE:
        return True
    array = tensor.array
    while array.base is not None:
        if array.base.__class__ is not array.__class__ or _references(array, "base") > _ALONE:
            return True
        array = array.base
    return False


def _flat_array(like: Any, size: int) -> tuple[Any, Callable[[int, tuple[int, ...]], Any]]:
    """A new 1-D array of zeros, of `like`'s dtype and on its device, and a function (start, shape) -> slice.

    Views of a slice refer to that slice and not to the whole array, as NumPy's views of a view would:
    counting the references to a slice then tells whether anybody holds a part of it.
    """
    dtype = like.dtype
    if isinstance(like, np.ndarray):
        memory = bytearray(size * dtype.itemsize)
        flat = np.frombuffer(memory, dtype)
        return flat, lambda start, shape: np.ndarray(shape, dtype, memory, start * dtype.itemsize)
    xp = array_module(like)
    flat = on_device(np.zeros(size, dtype), device_of(like))
    return flat, lambda start, shape: xp.ndarray(shape, dtype, memptr=flat.data + start * dtype.itemsize)


@dataclass(slots=True, eq=False)
class Slot:
    """The place of one parameter in a FlatBuffer: elements `start` to `stop`, and the slices in its shape."""

    buffer: FlatBuffer
    start: int
    stop: int
    array: Any
    gradient: Any


class FlatBuffer:
    """Parameters of one dtype and device, one after another in `values`, and their gradients in `gradients`.

    The buffer belongs to the parameters: several optimizers over them share it.

    >>> p, q = MyTensor([1.0, 2.0]), MyTensor([[3.0]])
    >>> buffer = FlatBuffer([p, q])
    >>> buffer.gradients.shape, p._slot.stop, q._slot.start
    ((3,), 2, 2)
    """

    def __init__(self, parameters: Sequence[MyTensor]) -> None:
        like = parameters[0].array
        size = sum(p.array.size for p in parameters)
        self.values, value_slice = _flat_array(like, size)
        self.gradients, gradient_slice = _flat_array(like, size)
        start = 0
        for p in parameters:
            shape, stop = p.array.shape, start + p.array.size
            p._slot = Slot(self, start, stop, value_slice(start, shape), gradient_slice(start, shape))
            p._grad_buffer = buffer = p._slot.gradient
            p._buffer_references = sys.getrefcount(buffer)  # counted as Op.grad_buffer and Differentiable._own count it
            start = stop


def settle(parameters: Iterable[MyTensor]) -> None:
    """Move parameters into flat buffers, those without a place together; their arrays become views of it.

    A parameter whose memory somebody else holds gets a place but stays where it is.

    >>> p = MyTensor([1.0, 2.0], requires_grad=True)
    >>> settle([p])
    >>> p._slot.buffer.values
    array([1., 2.], dtype=float32)
    """
    without: defaultdict[Any, list[MyTensor]] = defaultdict(list)
    parameters = [p for p in parameters if p._slot is None or p.array is not p._slot.array]
    for p in parameters:
        slot = p._slot
        # A place that fits is used again, unless somebody holds the array that the parameter had there.
        if slot is None or not alike(slot.array, p.array) or _references(slot, "array") > _ALONE:
            without[p.dtype, p.device].append(p)
    for members in without.values():
        FlatBuffer(members)
    for p in parameters:
        if not _is_shared(p):
            p._slot.array[...] = p.array
            p.array = p._slot.array
            p._grad_buffer = p._slot.gradient  # also where it was taken away, while p was of another dtype
