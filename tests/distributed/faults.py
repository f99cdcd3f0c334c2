"""A training run in which rank 1 goes wrong: `mpiexec -n 2 python -m tests.distributed.faults FOLDER CASE`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

import mydl
from mydl import distributed, kernels, nn, optim
from mydl.distributed import watch
from mydl.nn import functional as F


def go_wrong(case: str) -> None:
    if case == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif case == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif case == "asleep":
        time.sleep(1000)
    elif case == "error":
        raise ValueError("no more data")
    elif case == "left":
        sys.exit(3)


def main(folder: Path, case: str) -> None:
    kernels.use("reference")  # the others would be compiled on the first machine, by all processes at once
    # shorter than in earnest, so that the tests do not take long, but not for a busy machine
    watch.SILENCE, watch.ANSWER = 8.0, 5.0
    wrong = (os.environ.get("PMI_RANK") or os.environ["OMPI_COMM_WORLD_RANK"]) == "1"
    if case == "copies":
        distributed.refuse_silent_copies()
    if case == "version" and wrong:
        mydl.__version__ = "0.0.1"
    distributed.init(timeout=8.0)
    (folder / f"{distributed.rank()}.pid").write_text(str(os.getpid()))
    model = distributed.DistributedDataParallel(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 4)))
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    x, y = mydl.randn(16, 8), mydl.tensor(np.arange(16) % 4)
    for step in range(10**6):
        if step == 50 and wrong:
            go_wrong(case)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
        if distributed.rank() == 0:
            mydl.save(model.module.state_dict(), folder / "last.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
