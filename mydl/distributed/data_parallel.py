"""DistributedDataParallel: one model on every rank, its gradients averaged while backward still runs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable, queue_callback, tensor_of
from mydl.autograd.modes import mode
from mydl.autograd.op import describe
from mydl.backend import array_module
from mydl.distributed.batch_norm import SyncBatchNorm
from mydl.distributed.group import group, rank, world_size
from mydl.nn import NeuralNetwork
from mydl.tensor import MyTensor, Parameter

__all__ = ["DistributedDataParallel"]


class Bucket:
    """Gradients that are reduced together, neighbours in the model: in place where an optimizer keeps them flat."""

    def __init__(self, members: list[tuple[str, Parameter]]) -> None:
        self.names = [name for name, _ in members]
        self.parameters = parameters = [p for _, p in members]
        self.size = sum(p.array.size for p in parameters)
        self.waiting = set(parameters)  # those whose gradient has not come in this pass
        self.request: Any = None
        self.flat: Any = None  # what is reduced
        self._buffer: Any = None

    def gather(self) -> Any:
        """The gradients in one array: the optimizer's own memory, or a copy."""
        self.flat = self._in_place()
        if self.flat is None:
            like = self.parameters[0].array
            # MPI knows no float16; its sum would overflow soon, too
            dtype = np.dtype(np.float32) if like.dtype == np.float16 else like.dtype
            if self._buffer is None or self._buffer.dtype != dtype or type(self._buffer) is not type(like):
                self._buffer = array_module(like).empty(self.size, dtype)
            for p, part in self._parts(self._buffer):
                part[...] = 0 if p.grad is None else p.grad.array
            self.flat = self._buffer
        return self.flat

    def _in_place(self) -> Any:
        slots = [p._slot for p in self.parameters]
        buffer: Any = slots[0].buffer if slots[0] is not None else None
        for p, slot in zip(self.parameters, slots):
            if slot is None or slot.buffer is not buffer or p.grad is None or p.grad.array is not slot.gradient:
                return None
        start, stop = min(slot.start for slot in slots), max(slot.stop for slot in slots)
        flat = buffer.gradients[start:stop]
        return flat if flat.size == self.size and flat.dtype != np.float16 else None

    def _parts(self, flat: Any) -> Iterator[tuple[Parameter, Any]]:
        start = 0
        for p in self.parameters:
            yield p, flat[start : start + p.array.size].reshape(p.array.shape)
            start += p.array.size

    def scatter(self, ranks: int, used: Mapping[Parameter, bool] | None) -> None:
        """Make the sums means and, if they were copied, give each parameter its part."""
        self.flat /= ranks
        if self.flat is self._buffer:
            for p, part in self._parts(self.flat):
                if p.grad is not None:
                    p.grad.array[...] = part
                elif used is not None and used[p]:
                    p.grad = tensor_of(part.astype(p.dtype))
        self.flat = self.request = None
        self.waiting = set(self.parameters)


class DistributedDataParallel(NeuralNetwork):
    """Trains `module` on all ranks: each has a part of the batch, all have the gradients of the whole of it.

    The parameters and buffers of rank 0 are copied to the others. Backward leaves in every `.grad` the mean over the
    ranks, each rank weighted by its number of samples: with a loss that is a mean over samples, the gradients are those
    of one process on the whole batch, up to rounding. They are reduced in flat buckets, each as soon as its last
    gradient is there, while backward goes on. (Li et al., "PyTorch Distributed", VLDB 2020.)

    Args:
        module: the model, the same on every rank (checked).
        dim: the dimension of the first tensor given to forward that counts samples; None takes ranks for equal.
        broadcast_buffers: copy rank 0's buffers (running statistics) to the others before each training step.
        bucket_cap_mb: the size in MiB that a bucket does not exceed, unless by one layer; by default 1 for the first,
            whose all-reduce so begins soon, and 25 for the others.
        find_unused_parameters: let parameters go without a gradient, on some ranks or on all. Otherwise that is a
            RuntimeError that names them.
        sync_batch_norm: make the module's batch normalisations `SyncBatchNorm`.

    >>> from mydl import nn
    >>> model = DistributedDataParallel(nn.Linear(2, 1))
    >>> [name for name, _ in model.named_parameters()]
    ['module.weight', 'module.bias']
    """

    def __init__(
        self,
        module: NeuralNetwork,
        *,
        dim: int | None = 0,
        broadcast_buffers: bool = True,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        sync_batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.module = SyncBatchNorm.convert_sync_batchnorm(module) if sync_batch_norm else module
        self.dim = dim
        self.find_unused_parameters = find_unused_parameters
        self._syncing = True  # what no_sync switches
        self._armed = False  # whether the last forward was to be followed by an all-reduce
        self._queued = False  # whether this backward will call _finish
        self._steps = 0
        self._samples: _Samples | None = None
        self._passes = 0
        self._buckets: list[Bucket] = []
        self._started = 0  # buckets under way: always the first ones, so that all ranks have the same order
        synced = {b for m in module.modules() if isinstance(m, SyncBatchNorm) for b in m.buffers()}
        self._broadcast = [b for b in module.buffers() if broadcast_buffers and b not in synced]
        if world_size() == 1:
            return
        tensors = [*module.named_parameters(), *module.named_buffers()]
        texts = [f"{name} {describe(t)}{' trained' if t.requires_grad else ''}" for name, t in tensors]
        group().agree("DistributedDataParallel", *texts)
        _broadcast_flat([t for _, t in tensors], "the model's parameters")
        self._fill_buckets(bucket_cap_mb)

    def _fill_buckets(self, cap_mb: float | None) -> None:
        """Put the parameters into buckets from the last layer to the first, the order in which gradients come.

        A layer's parameters stay together: their gradients come at the same time.
        """
        cap, later = (1.0, 25.0) if cap_mb is None else (cap_mb, cap_mb)
        held, kind = 0, None
        members: list[tuple[str, Parameter]] = []
        names = {p: name for name, p in self.module.named_parameters() if p.requires_grad}
        for layer in reversed(list(self.module.modules())):
            kinds: dict[Any, list[tuple[str, Parameter]]] = {}
            for p in layer.parameters(recurse=False):
                if p in names:  # a shared one counts where it comes first
                    kinds.setdefault((p.dtype, p.device), []).append((names.pop(p), p))
            for its, own in kinds.items():
                size = sum(p.nbytes for _, p in own)
                if members and (its != kind or held + size > cap * 2**20):
                    self._buckets.append(Bucket(members))
                    members, held, cap = [], 0, later
                members = members + own
                held, kind = held + size, its
        if members:
            self._buckets.append(Bucket(members))
        for bucket in self._buckets:
            for p in bucket.parameters:
                p.register_post_accumulate_grad_hook(functools.partial(self._arrived, bucket))

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Within it gradients are accumulated on each rank alone; the first step after it reduces their sum.

        Forward and backward both belong into it.
        """
        before, self._syncing = self._syncing, False
        try:
            yield
        finally:
            self._syncing = before

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module returns; its gradients are weighted by this rank's share of the samples."""
        if world_size() == 1 or not mode.grad:
            return self.module(*args, **kwargs)
        if self._queued:
            raise RuntimeError(
                "DistributedDataParallel: the last backward broke off while its gradients were being reduced; "
                "the ranks no longer agree"
            )
        self._armed = self._syncing
        group().give_time(self._steps == 0)
        if self._armed and self.training:
            _broadcast_flat(self._broadcast, "the model's buffers")
        samples = self._count_samples((args, kwargs))
        output = self.module(*args, **kwargs)
        if samples is not None:
            for tensor in _tensors(output):
                if tensor.requires_grad:
                    tensor.register_hook(samples.weigh)
        return output

    def _count_samples(self, inputs: Any) -> _Samples | None:
        if self.dim is None:
            return None
        first = next(_tensors(inputs), None)
        if first is None:
            raise TypeError("DistributedDataParallel: wanted a tensor among forward's arguments, or dim=None")
        if first.shape[self.dim] == 0:
            raise ValueError(f"DistributedDataParallel: wanted at least one sample on rank {rank()}, got {first.shape}")
        if self._samples is not None:
            self._samples.wait()  # a forward without a backward leaves it under way
        self._passes += 1
        self._samples = _Samples(first.shape[self.dim], self._passes)
        return self._samples

    # While backward runs -------------------------------------------------------------------------------------

    def _arrived(self, bucket: Bucket, p: Parameter) -> None:
        """A gradient is there: begin to reduce its bucket if it was the last one, and keep the others moving."""
        if not self._armed:
            return
        if not self._queued:
            self._queued = True
            queue_callback(self._finish)
        bucket.waiting.discard(p)
        if self._started:
            self._buckets[self._started - 1].request.Test()  # MPI moves data only while it is called
        while self._started < len(self._buckets) and not self._buckets[self._started].waiting:
            self._start()

    def _start(self) -> None:
        bucket = self._buckets[self._started]
        bucket.request = group().start_sum(bucket.gather())
        self._started += 1

    def _finish(self) -> None:
        """Backward has ended: wait for all buckets."""
        used = None
        missing = [n for b in self._buckets for n, p in zip(b.names, b.parameters) if p in b.waiting]
        if missing and not self.find_unused_parameters:
            raise RuntimeError(
                f"DistributedDataParallel: rank {rank()}: backward gave no gradient to {', '.join(missing)}; "
                "leave them out of the model, or say find_unused_parameters=True"
            )
        if self.find_unused_parameters:
            parameters = [p for b in self._buckets for p in b.parameters]
            flags = np.array([p.grad is not None for p in parameters], np.uint8)
            group().reduce(flags, "max", "the search for unused parameters")
            used = dict(zip(parameters, flags.astype(bool).tolist()))
        while self._started < len(self._buckets):
            self._start()
        self._steps += 1
        for number, bucket in enumerate(self._buckets):
            text = f"the all-reduce of gradient bucket {number} of step {self._steps}"
            group().finish(bucket.request, text)
            bucket.scatter(world_size(), used)
        group().give_time(False)
        self._started, self._queued = 0, False


class _Samples:
    """The number of samples of one forward pass, here and on all ranks."""

    def __init__(self, count: int, number: int) -> None:
        self.count = count
        self.number = number
        self.sums = np.array([count, number], np.float64)
        self.request = group().passes.Iallreduce(group().mpi.IN_PLACE, self.sums)

    def wait(self) -> None:
        """Wait for the sums; RuntimeError if the ranks do not call the model equally often."""
        group().wait(self.request, f"forward pass {self.number}")
        if self.sums[1] != self.number * world_size():
            raise RuntimeError(
                f"DistributedDataParallel: rank {rank()} is in its forward pass {self.number} and others are not; "
                "every rank has to call the model as often as the others (a rank's own use goes to model.module)"
            )

    def weigh(self, grad: MyTensor) -> MyTensor | None:
        """The gradient times this rank's samples over a rank's mean; as it is where all ranks have as many."""
        self.wait()
        weight = self.count * world_size() / float(self.sums[0])
        return None if weight == 1 else grad * weight


def _tensors(value: Any) -> Iterator[MyTensor]:
    """The tensors in nested lists, tuples and dicts."""
    if isinstance(value, Variable):
        yield value  # type: ignore[misc]
    elif isinstance(value, (list, tuple, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(item)


def _broadcast_flat(tensors: list[Any], name: str) -> None:
    """Copy rank 0's tensors to the others, those of one dtype and device in one message."""
    kinds: dict[Any, list[Any]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    for members in kinds.values():
        flat = array_module(members[0].array).concatenate([t.array.reshape(-1) for t in members])
        group().send(flat, 0, name)
        start = 0
        for t in members:
            t.array[...] = flat[start : start + t.array.size].reshape(t.array.shape)
            t._version[0] += 1
            start += t.array.size
