"""NCCL through CuPy, for arrays on GPUs; the processes find one another over MPI.

No two GPUs have run this yet: it is tested on the stand-in for CuPy.
"""

from __future__ import annotations

from typing import Any

from mydl.cupy_loader import load_cupy

__all__ = ["Nccl", "Transfer"]

_TYPES = {
    "b": "INT8", "B": "UINT8", "i": "INT32", "I": "UINT32", "l": "INT64", "L": "UINT64", "q": "INT64", "Q": "UINT64",
    "e": "FLOAT16", "f": "FLOAT32", "d": "FLOAT64",
}  # fmt: skip


class Transfer:
    """What is under way on NCCL's stream, up to an event."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def Test(self) -> bool:
        """Whether it has arrived."""
        return bool(self.event.done)

    def finish(self) -> None:
        """Let what the GPU is given from now on wait for it; the host goes on."""
        load_cupy().cuda.get_current_stream().wait_event(self.event)


class Nccl:
    """A communicator of all ranks, each with its current GPU, and a stream of its own beside the computing one."""

    def __init__(self, group: Any) -> None:
        cupy = load_cupy()
        from cupy.cuda import nccl

        if not getattr(nccl, "available", False):
            raise RuntimeError("CuPy has no NCCL. Run: pip install nvidia-nccl-cu12 (CUDA 12) or nvidia-nccl-cu13")
        self.nccl = nccl
        self.cupy = cupy
        key = group.comm.bcast(nccl.get_unique_id() if group.rank == 0 else None)
        self.communicator = nccl.NcclCommunicator(group.size, key, group.rank)
        self.stream = cupy.cuda.Stream(non_blocking=True)

    def _begin(self, array: Any) -> tuple[int, int, int]:
        """(address, elements, NCCL's dtype), once NCCL's stream waits for what the GPU has been given so far."""
        if array.dtype.char not in _TYPES:
            raise TypeError(f"NCCL: wanted floats or integers, got {array.dtype}")
        self.stream.wait_event(self.cupy.cuda.get_current_stream().record())
        return array.data.ptr, array.size, getattr(self.nccl, f"NCCL_{_TYPES[array.dtype.char]}")

    def start(self, array: Any, op: str) -> Transfer:
        """Begin the "sum", "max" or "min" over the ranks of a contiguous array, in place."""
        address, size, dtype = self._begin(array)
        kind = getattr(self.nccl, f"NCCL_{op.upper()}")
        self.communicator.allReduce(address, address, size, dtype, kind, self.stream.ptr)
        return Transfer(self.stream.record())

    def broadcast(self, array: Any, src: int) -> Transfer:
        """Begin to copy rank `src`'s contiguous array into the others'."""
        address, size, dtype = self._begin(array)
        self.communicator.broadcast(address, address, size, dtype, src, self.stream.ptr)
        return Transfer(self.stream.record())
