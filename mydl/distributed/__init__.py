"""Training one model on many processes: data parallel over MPI, over NCCL between GPUs.

    mpirun -n 4 python train.py

    from mydl import distributed

    distributed.init()
    model = distributed.DistributedDataParallel(Net(), sync_batch_norm=True)
    sampler = data.DistributedSampler(dataset, seed=0)

Each rank computes the gradients of its part of a batch; `DistributedDataParallel` makes them those of the whole.
Without `init` everything here works as for one process.
"""

from mydl.distributed.batch_norm import SyncBatchNorm
from mydl.distributed.data_parallel import DistributedDataParallel
from mydl.distributed.group import (
    abort,
    all_reduce,
    barrier,
    broadcast,
    init,
    local_rank,
    rank,
    refuse_silent_copies,
    world_size,
)

__all__ = [
    "DistributedDataParallel", "SyncBatchNorm", "abort", "all_reduce", "barrier", "broadcast", "init", "local_rank",
    "rank", "refuse_silent_copies", "world_size",
]  # fmt: skip
