"""The processes of a job, and the collectives between them: MPI through mpi4py, NCCL for arrays on a GPU."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from mydl import backend
from mydl.autograd.engine import Variable
from mydl.autograd.op import describe
from mydl.data import DistributedSampler

if TYPE_CHECKING:
    from mydl.distributed.watch import Watch

__all__ = [
    "Group", "abort", "all_reduce", "barrier", "broadcast", "group", "init", "local_rank", "rank",
    "refuse_silent_copies", "world_size",
]  # fmt: skip

# Where the launchers say how many processes they have started: MPICH and Intel MPI, Open MPI, Slurm's srun.
_LAUNCHED = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
COMPILING = 300.0  # seconds that a collective may take in the first step
_OPS = ("sum", "mean", "max", "min")
_group: Group | None = None


class Group:
    """All processes of the job, made by `init`. What is in flight on one communicator does not meet the others."""

    def __init__(self, timeout: float) -> None:
        self.mpi = mpi = _load_mpi()
        world = mpi.COMM_WORLD
        self.rank, self.size = world.Get_rank(), world.Get_size()
        started = launched()
        if self.size == 1 and started > 1:
            raise RuntimeError(
                f"init: the launcher has started {started} processes, but each is alone in its MPI: mpirun and the "
                f"MPI that mpi4py has loaded ({mpi.Get_library_version().split()[0]}) are not the same one"
            )
        self.local_rank = 0
        self.timeout = timeout
        self.watch: Watch | None = None
        self._nccl: Any = None
        self._calls = 0
        if self.size > 1:
            if mpi.Query_thread() < mpi.THREAD_MULTIPLE:
                raise RuntimeError("init: wanted an MPI with MPI_THREAD_MULTIPLE, on which the watch works")
            from mydl.distributed.watch import Watch  # sockets and processes, a tenth of the time to import mydl

            self.watch = Watch(world.Dup(), mpi, timeout)
            atexit.register(self._leave)
            self._show_error, sys.excepthook = sys.excepthook, self._on_error
        self.comm = world.Dup()
        self.buckets = world.Dup()  # for what is under way while others are called
        self.passes = world.Dup()

    def _leave(self) -> None:
        assert self.watch is not None
        self.watch.leave()
        self.mpi.Finalize()

    def _on_error(self, kind: Any, error: Any, trace: Any) -> None:
        assert self.watch is not None
        time.sleep(0.5 if self.rank else 0)  # an error that all ranks have is shown once
        self._show_error(kind, error, trace)
        self.watch.abort(f"rank {self.rank} of {self.size} ended by {kind.__name__}: {error}")

    # Waiting -------------------------------------------------------------------------------------------------

    def wait(self, request: Any, text: str, timeout: float | None = None) -> None:
        """Wait for an MPI request, politely: after 1 ms the processor is left to others."""
        if request.Test():
            return
        assert self.watch is not None
        with self.watch.waiting(text, timeout):
            start = time.perf_counter()
            while not request.Test():
                spent = time.perf_counter() - start
                if spent < 1e-3:
                    os.sched_yield()  # time.sleep(0) would take 50 µs, as long as a small all-reduce
                else:
                    time.sleep(min(spent / 20, 1e-3))

    def give_time(self, more: bool) -> None:
        """In a first step kernels may have to be compiled, and some ranks find compiled what others compile."""
        if self.watch is not None:
            self.watch.timeout = max(self.timeout, COMPILING) if more else self.timeout

    def _count(self, name: str) -> str:
        self._calls += 1
        return f"{name}, call {self._calls}"

    def agree(self, name: str, *texts: str) -> None:
        """RuntimeError on every rank, naming the first that differs and in what, unless all say the same."""
        if self.size == 1:
            return
        self.barrier(name=name)  # waits politely; the exchange that follows is then a quick one
        said = self.comm.allgather(texts)
        for number, other in enumerate(said):
            for there, here in itertools.zip_longest(other, said[0], fillvalue="nothing"):
                if there != here:
                    raise RuntimeError(
                        f"{name}: rank {number} of {self.size} differs from rank 0: {there} there, {here} on rank 0"
                    )

    def barrier(self, timeout: float | None = None, name: str = "barrier") -> None:
        """Wait until every rank has come here."""
        self.wait(self.comm.Ibarrier(), self._count(name), timeout)

    # Arrays --------------------------------------------------------------------------------------------------

    def start_sum(self, array: Any) -> Any:
        """Begin to sum a bucket of gradients over the ranks, in place; `finish` waits for it."""
        if isinstance(array, np.ndarray):
            return self.buckets.Iallreduce(self.mpi.IN_PLACE, array)
        return self.nccl.start(array, "sum")

    def finish(self, request: Any, text: str) -> None:
        """Wait for what `start_sum` began; on a GPU let its stream wait."""
        if isinstance(request, self.mpi.Request):
            self.wait(request, text)
        else:
            request.finish()

    @property
    def nccl(self) -> Any:
        """NCCL's communicator, made when the first array on a GPU comes."""
        if self._nccl is None:
            from mydl.distributed.nccl import Nccl

            self._nccl = Nccl(self)
        return self._nccl

    def reduce(self, array: Any, op: str, name: str) -> None:
        """Reduce an array over the ranks, in place, without asking whether they agree."""
        kind = "sum" if op == "mean" else op
        if isinstance(array, np.ndarray):
            # MPI has no float16; float32 also keeps the sum from overflowing
            wide = np.float32 if array.dtype == np.float16 else array.dtype
            flat = np.ascontiguousarray(array, wide)
            self.wait(self.comm.Iallreduce(self.mpi.IN_PLACE, flat, getattr(self.mpi, kind.upper())), self._count(name))
        else:
            flat = backend.array_module(array).ascontiguousarray(array)
            self.nccl.start(flat, kind).finish()
        if op == "mean":
            flat /= self.size
        if flat is not array:
            array[...] = flat.reshape(array.shape)

    def send(self, array: Any, src: int, name: str) -> None:
        """Copy rank `src`'s array into the others', without asking whether they agree."""
        if isinstance(array, np.ndarray):
            flat = np.ascontiguousarray(array)
            self.wait(self.comm.Ibcast(flat.reshape(-1).view(np.uint8), src), self._count(name))
        else:
            flat = backend.array_module(array).ascontiguousarray(array)
            self.nccl.broadcast(flat, src).finish()
        if flat is not array:
            array[...] = flat.reshape(array.shape)


def _load_mpi() -> Any:
    """mpi4py's MPI, or a RuntimeError with the line that installs what is missing."""
    os.environ.setdefault("MPIR_CVAR_SUPPRESS_ABORT_MESSAGE", "1")  # MPICH's; the watch says more
    try:
        from mpi4py import MPI
    except ModuleNotFoundError as error:
        raise RuntimeError("mpi4py is not installed. Run: pip install mpi4py mpich") from error
    except (ImportError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RuntimeError(f"mpi4py finds no MPI library ({reason}). Run: pip install mpich") from error
    return MPI


def launched() -> int:
    """How many processes a launcher (mpirun, mpiexec, srun) has started of this program; 1 without one."""
    return max(int(os.environ.get(name, "") or 1) for name in _LAUNCHED)


def refuse_silent_copies() -> None:
    """RuntimeError if a launcher has started several processes and `init` was not called: they would all do the same.

    >>> refuse_silent_copies()
    """
    if _group is None and launched() > 1:
        raise RuntimeError(
            f"started as {launched()} processes, which would all do the same: add --distributed, or start one process"
        )


def init(timeout: float = 20.0) -> None:
    """Join the processes that mpirun has started into one job.

    The threads of a rank become its share of its machine's cores. From now on a rank that is killed, stopped, or
    `timeout` seconds late in a collective (300 in a model's first step, when kernels may be compiled) ends the whole
    job, with one line that names it; an exception that nobody catches does so too.

    RuntimeError where mpi4py or an MPI is missing, or where the ranks run different versions.
    """
    global _group
    if _group is not None:
        raise RuntimeError("init: called a second time")
    _group = made = Group(timeout)
    made.agree("init", f"mydl {sys.modules['mydl'].__version__}")
    DistributedSampler.processes = (made.rank, made.size)
    node = made.comm.Split_type(made.mpi.COMM_TYPE_SHARED)
    made.local_rank = node.Get_rank()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    sharing = node.allgather(cores).count(cores)  # a launcher that binds gives every rank cores of its own
    backend.set_num_threads(max(1, len(cores) // sharing))


def group() -> Group:
    """The group that `init` has made; RuntimeError before that."""
    if _group is None:
        raise RuntimeError("wanted mydl.distributed.init() to be called first")
    return _group


def rank() -> int:
    """The number of this process, from 0; 0 without `init`.

    >>> rank()
    0
    """
    return 0 if _group is None else _group.rank


def local_rank() -> int:
    """The number of this process among those on its machine, which chooses its GPU; 0 without `init`.

    >>> local_rank()
    0
    """
    return 0 if _group is None else _group.local_rank


def world_size() -> int:
    """The number of processes; 1 without `init`.

    >>> world_size()
    1
    """
    return 1 if _group is None else _group.size


def barrier(timeout: float | None = None) -> None:
    """Wait until every rank has come here; `timeout` seconds (init's by default) for what one rank does alone.

    >>> barrier()
    """
    if world_size() > 1:
        group().barrier(timeout)


def abort(message: str) -> NoReturn:
    """End the job on every rank with one line on stderr, `message` with the rank before it, and exit status 2."""
    if _group is None or _group.watch is None:
        raise SystemExit(f"mydl.distributed: {message}")
    _group.watch.abort(f"rank {_group.rank} of {_group.size}: {message}")


def _array_of(value: Any, name: str) -> Any:
    array = value.array if isinstance(value, Variable) else value
    if not backend.is_array(array) or array.dtype.kind not in "fiu":
        raise TypeError(f"{name}: wanted a tensor or an array of floats or integers, got {describe(value)}")
    return array


def all_reduce(value: Any, op: str = "sum") -> Any:
    """Put the "sum", "mean", "max" or "min" over the ranks into a tensor or an array, in place; returns it.

    Shape, dtype and op have to be the same on every rank: RuntimeError, naming the rank that differs, otherwise.

    >>> all_reduce(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    array = _array_of(value, "all_reduce")
    if op not in _OPS:
        raise ValueError(f"all_reduce: wanted op to be one of {', '.join(_OPS)}, got {op!r}")
    if op == "mean" and array.dtype.kind != "f":
        raise TypeError(f"all_reduce: wanted floats for the mean, got {describe(array)}")
    if world_size() > 1:
        group().agree("all_reduce", f"{op} of {describe(array)}")
        group().reduce(array, op, "all_reduce")
        _changed(value)
    return value


def broadcast(value: Any, src: int = 0) -> Any:
    """Copy rank `src`'s numbers into a tensor or an array of every rank, in place; returns it.

    >>> broadcast(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    array = _array_of(value, "broadcast")
    if not 0 <= src < world_size():
        raise ValueError(f"broadcast: wanted src to be one of {world_size()} ranks, got {src}")
    if world_size() > 1:
        group().agree("broadcast", f"{describe(array)} from rank {src}")
        group().send(array, src, "broadcast")
        _changed(value)
    return value


def _changed(value: Any) -> None:
    if isinstance(value, Variable):
        value._version[0] += 1
