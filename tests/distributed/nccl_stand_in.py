"""NCCL for the stand-in for CuPy: what is on a stream happens when somebody waits for it, not before."""

from __future__ import annotations

import ctypes
import importlib
import types
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["install"]


class Event:
    """A point in a stream; waiting for it makes what was put on the stream before happen."""

    def __init__(self, pending: list[Callable[[], None]]) -> None:
        self._pending = pending

    @property
    def done(self) -> bool:
        """Whether all before it has happened."""
        return not self._pending

    def happen(self) -> None:
        """Do what waits."""
        while self._pending:
            self._pending.pop(0)()


class Stream:
    """A stream beside the one that computes, which here does everything at once."""

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self.ptr = 0 if null else id(self)
        self.waits = False  # for the computing stream, before it reads what that writes
        self._pending: list[Callable[[], None]] = []
        _STREAMS[self.ptr] = self

    def record(self, event: Event | None = None) -> Event:
        """An event after all that was put on the stream so far."""
        event, self._pending = Event(self._pending), []
        return event

    def wait_event(self, event: Event) -> None:
        """What is put on this stream from now on comes after the event."""
        self.waits = True
        event.happen()


_STREAMS: dict[int, Stream] = {}
_CURRENT = Stream(null=True)
_DTYPES = ["INT8", "UINT8", "INT32", "UINT32", "INT64", "UINT64", "FLOAT16", "FLOAT32", "FLOAT64"]  # in nccl.h's order
_OPS = ["SUM", "PROD", "MAX", "MIN"]


def current_stream() -> Stream:
    """The computing stream."""
    return _CURRENT


class NcclCommunicator:
    """NCCL's communicator of one process with one GPU; the numbers travel over MPI."""

    def __init__(self, ndev: int, commId: tuple, rank: int) -> None:
        from mpi4py import MPI

        self._comm = MPI.COMM_WORLD.Dup()
        if (ndev, rank, commId) != (self._comm.Get_size(), self._comm.Get_rank(), self._comm.bcast(commId)):
            raise RuntimeError("NCCL_ERROR_INVALID_ARGUMENT: the ranks do not fit together")

    def _put(self, address: int, count: int, datatype: int, stream: int, combine: Callable[[Any], Any]) -> None:
        on, dtype = _STREAMS[stream], np.dtype(_DTYPES[datatype].lower())
        if not on.waits:
            raise RuntimeError("a race: NCCL's stream has not waited for the stream that computes what it sends")
        on.waits = False
        array = np.frombuffer((ctypes.c_char * (count * dtype.itemsize)).from_address(address), dtype)
        result = combine(self._comm.allgather(array))
        on._pending.append(lambda: np.copyto(array, result))

    def allReduce(self, sendbuf: int, recvbuf: int, count: int, datatype: int, op: int, stream: int) -> None:
        """Reduce over the ranks."""
        ufunc = [np.add, np.multiply, np.maximum, np.minimum][op]
        self._put(recvbuf, count, datatype, stream, lambda arrays: ufunc.reduce(arrays, dtype=arrays[0].dtype))

    def broadcast(self, sendbuff: int, recvbuff: int, count: int, datatype: int, root: int, stream: int) -> None:
        """Copy from one rank to all."""
        self._put(recvbuff, count, datatype, stream, lambda arrays: arrays[root])


def install() -> None:
    """Give the stand-in for CuPy these streams and this NCCL, for the rest of the process."""
    cuda: Any = importlib.import_module("cupy").cuda
    cuda.Stream, cuda.Event, cuda.get_current_stream = Stream, Event, current_stream
    cuda.nccl = nccl = types.ModuleType("cupy.cuda.nccl")
    nccl.available = True
    nccl.get_unique_id = lambda: tuple(range(-64, 64))
    nccl.NcclCommunicator = NcclCommunicator
    for names in (_DTYPES, _OPS):
        for number, name in enumerate(names):
            setattr(nccl, f"NCCL_{name}", number)
