"""Measure data parallel training on this machine, and model what more ranks would do.

    python -m scripts.scaling                     the reference models on 1 and 2 processes of one thread each
    python -m scripts.scaling --ranks 1 2 4       on as many as are named; more than there are cores share them

It starts its processes itself, with the mpiexec that `pip install mpi4py mpich` puts beside this Python.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import models
import mydl
from mydl import distributed, optim
from mydl.nn import functional as F
from scripts.command_line import CommandLine, positive_int, run

BUCKETS = {"mlp": 0.5, "resnet": 0.2}  # MiB: some buckets for each of these small models
KIB = 2**10

ASSUMPTIONS = """The model is a ring all-reduce, 2 (R - 1) (latency + bytes / R / bandwidth). It assumes that every link
is like the one measured, the shared memory of one machine, that all links work at once, and that adding up costs
nothing. Between machines the network's latency and bandwidth take their place: the last three columns assume 10 µs
and 12.5 GB/s (100 Gbit/s) instead of measuring them.
"""


class Trainer:
    """A model on all ranks, random images and an optimizer; `step` trains once and says how long that took."""

    def __init__(self, name: str, batch: int, bucket_cap_mb: float) -> None:
        mydl.manual_seed(0)
        self.model = distributed.DistributedDataParallel(models.build(name), bucket_cap_mb=bucket_cap_mb)
        self.optimizer = optim.Adam(self.model.parameters(), lr=1e-4)
        self.images = mydl.randn(batch, 1, 28, 28)
        self.labels = mydl.randint(0, 10, (batch,))

    def step(self, reduce: bool = True) -> float:
        """Train on the images, with the gradients of all ranks or with this one's alone; seconds."""
        start = time.perf_counter()
        self.optimizer.zero_grad()
        with contextlib.nullcontext() if reduce else self.model.no_sync():
            F.cross_entropy(self.model(self.images), self.labels).backward()
        self.optimizer.step()
        return time.perf_counter() - start


def step_times(name: str, batch: int, rounds: int) -> dict[str, float]:
    """Median seconds of a step with all-reduces during backward, after it and without any; of the slowest rank."""
    during = Trainer(name, batch, BUCKETS[name])
    after = Trainer(name, batch, 1e6)  # one bucket, complete when backward ends
    ways = {"during": during.step, "after": after.step, "without": lambda: during.step(reduce=False)}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 2):
        for way, step in ways.items():  # in turn, so that a noisy moment meets all three
            distributed.barrier()
            own = [step() for _ in range(5)]
            if number > 1:
                times[way] += own
    return {way: distributed.all_reduce(np.array(median(values)), "max").item() for way, values in times.items()}


def message_times(comm: Any, sizes: list[int]) -> list[float]:
    """Seconds for messages of so many bytes from rank 0 to rank 1: half of there and back, medians."""
    medians = []
    for size in sizes:
        message, times = np.zeros(size, np.uint8), []
        for _ in range(100):
            comm.Barrier()
            start = time.perf_counter()
            for sender, receiver in ((0, 1), (1, 0)):
                if comm.Get_rank() == sender:
                    comm.Send(message, receiver)
                elif comm.Get_rank() == receiver:
                    comm.Recv(message, sender)
            times.append((time.perf_counter() - start) / 2)
        medians.append(median(times))
    return medians


def all_reduce_time(comm: Any, mpi: Any, size: int) -> float:
    """Seconds of one all-reduce of so many bytes on all ranks, the median."""
    array, times = np.zeros(size // 4, np.float32), []
    for _ in range(50):
        comm.Barrier()
        start = time.perf_counter()
        comm.Allreduce(mpi.IN_PLACE, array)
        times.append(time.perf_counter() - start)
    return median(times)


def ring_time(ranks: int, size: float, alpha: float, beta: float) -> float:
    """Seconds of a ring all-reduce: 2 (R - 1) messages of size / R bytes, each alpha + bytes · beta.

    >>> ring_time(2, 1e6, 1e-6, 1e-9)
    0.001002
    """
    return 2 * (ranks - 1) * (alpha + size / ranks * beta)


def work(batch: int, rounds: int) -> None:
    """What each process measures; rank 0 prints it as JSON."""
    distributed.init(timeout=120)
    mydl.set_num_threads(1)
    ranks = distributed.world_size()
    found: dict[str, Any] = {"ranks": ranks}
    for name in BUCKETS:
        found[name] = {"strong": step_times(name, batch // ranks, rounds), "weak": step_times(name, batch, rounds)}
    if ranks == 2:
        from mpi4py import MPI

        found["sizes"] = [8, *(4**n * KIB for n in range(8))]
        found["messages"] = message_times(MPI.COMM_WORLD, found["sizes"])
        found["all_reduces"] = [all_reduce_time(MPI.COMM_WORLD, MPI, size) for size in found["sizes"]]
    if distributed.rank() == 0:
        print(json.dumps(found))


def measured(ranks: int, batch: int, rounds: int) -> dict[str, Any]:
    """Start `ranks` processes of this program, and read what they measured."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    mpiexec = shutil.which("mpiexec", path=path)
    if mpiexec is None:
        raise RuntimeError("no mpiexec here. Run: pip install mpi4py mpich")
    command = [mpiexec, "-n", str(ranks), sys.executable, "-m", "scripts.scaling", "--worker"]
    result = subprocess.run(
        [*command, "--batch-size", str(batch), "--rounds", str(rounds)], stdout=subprocess.PIPE, text=True
    )
    if result.returncode:
        raise RuntimeError(f"the measurement on {ranks} processes ended with status {result.returncode}")
    return json.loads(result.stdout.splitlines()[-1])


def print_steps(results: list[dict[str, Any]], batch: int) -> None:
    print("| model, one thread a process | batch | processes | ms a step | speed | reduced after backward | hidden |")
    print("|---|---|---|---|---|---|---|")
    for name in BUCKETS:
        for kind in ("strong", "weak"):
            one = results[0][name][kind]["during"]
            for found in results:
                ranks, times = found["ranks"], found[name][kind]
                whole = batch if kind == "strong" else batch * ranks
                speed = one / times["during"] * (1 if kind == "strong" else ranks / results[0]["ranks"])
                exposed, cost = times["during"] - times["without"], times["after"] - times["without"]
                share = f"{1 - exposed / cost:.0%}" if 0 < exposed < cost else "none" if exposed >= cost else "all"
                hidden = f"{share} of {1e3 * cost:.2f} ms" if ranks > 1 and cost > 0 else "–"
                row = f"{name}, {kind} | {whole} | {ranks} | {1e3 * times['during']:.2f} | {speed:.2f}"
                print(f"| {row} | {1e3 * times['after']:.2f} | {hidden} |")


def print_model(found: dict[str, Any]) -> None:
    """The ring model with what two processes measured, beside their own all-reduces."""
    alpha = found["messages"][0]
    beta = (found["messages"][-1] - alpha) / found["sizes"][-1]
    print(f"\nMeasured between two processes: latency {1e6 * alpha:.1f} µs, bandwidth {1e-9 / beta:.1f} GB/s.")
    print(ASSUMPTIONS)
    print("| bucket | 2 ranks, measured | 2 | 8 | 64 | 1,024 ranks | 8 | 64 | 1,024 on the assumed network |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size, seconds in zip(found["sizes"], found["all_reduces"], strict=True):
        if size >= 64 * KIB:
            here = [ring_time(ranks, size, alpha, beta) for ranks in (2, 8, 64, 1024)]
            there = [ring_time(ranks, size, 1e-5, 1 / 12.5e9) for ranks in (8, 64, 1024)]
            row = " | ".join(f"{1e3 * time:.2f} ms" for time in (seconds, *here, *there))
            print(f"| {size // KIB:,} KiB | {row} |")


def main(argv: list[str] | None = None) -> None:
    parser = CommandLine("scaling", "Measure data parallel training here, and model what more ranks would do.")
    parser.add_argument("--ranks", metavar="N", type=positive_int, nargs="+", default=[1, 2], help="processes")
    parser.add_argument("--batch-size", metavar="N", type=positive_int, default=256, help="images a step in all")
    parser.add_argument("--rounds", metavar="N", type=positive_int, default=10, help="of five steps each way")
    parser.add_argument("--worker", action="store_true", help="be one of the processes that are measured")
    settings = parser.parse_args(argv)
    if settings.worker:
        work(settings.batch_size, settings.rounds)
        return
    results = [measured(ranks, settings.batch_size, settings.rounds) for ranks in settings.ranks]
    print_steps(results, settings.batch_size)
    for found in results:
        if "messages" in found:
            print_model(found)


if __name__ == "__main__":
    run(main, "scaling")
