"""Several processes under mpiexec: their gradients are those of one, and a rank that goes wrong ends all of them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mydl
from mydl import data, distributed, nn
from mydl.distributed.group import launched
from tests.distributed.launch import finished, mpiexec

CHECKS = [
    "collectives", "refusals", "mlp", "mlp_uneven", "resnet", "resnet_uneven", "batch_norm_dtypes", "plain_batch_norm",
    "accumulation", "unused", "buckets", "half_precision", "training", "nccl", "passes", "threads", "alone",
]  # fmt: skip
ON_FOUR = ["mlp_uneven", "resnet_uneven", "training"]

# What the one line says when rank 1 goes wrong.
LINES = {
    "killed": r"rank 1 of 2 died: process \d+ on \S+ was killed, crashed or ran out of memory",
    "stopped": r"rank 1 of 2 has given no sign of life for 8 s: its process is stopped, or its machine is gone",
    "asleep": r"rank 1 of 2 has not come to forward pass 51 within 8 s, where rank 0 .*: it is at faults.py:\d+ .*",
    "error": r"rank 1 of 2 ended by ValueError: no more data",
    "left": r"rank 1 of 2 has ended while rank 0 waits for it in forward pass 51",
    "version": r"rank 0 of 2 ended by RuntimeError: init: rank 1 of 2 differs from rank 0: mydl 0.0.1 there, mydl .*",
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, int, str, str]]:
    """(folder, exit status, stdout, stderr) of the job of a name: the slow ones run at once, since they mostly wait."""
    commands = {case: (2, "tests.distributed.faults", case) for case in (*LINES, "copies")}
    commands["4"] = (4, "tests.distributed.checks", *ON_FOUR)  # which share fewer cores
    folders: dict[str, Path] = {}
    started: dict[str, subprocess.Popen] = {}
    results: dict[str, tuple[int, str, str]] = {}

    def result(name: str) -> tuple[Path, int, str, str]:
        wanted = commands if name in commands else {name: (2, "tests.distributed.checks", *CHECKS)}
        if name not in started:
            for job, (ranks, module, *arguments) in wanted.items():
                folders[job] = tmp_path_factory.mktemp(job)
                started[job] = mpiexec(ranks, module, folders[job], *arguments)
        if name not in results:
            results[name] = finished(started[name])
        return (folders[name], *results[name])

    return result


@pytest.mark.parametrize("check", CHECKS)
def test_on_two_ranks(jobs, check: str) -> None:
    _, _, stdout, stderr = jobs("2")
    assert f"done: {check}\n" in stdout, stderr


@pytest.mark.slow
@pytest.mark.parametrize("check", ON_FOUR)
def test_on_four_ranks(jobs, check: str) -> None:
    _, _, stdout, stderr = jobs("4")
    assert f"done: {check}\n" in stdout, stderr


@pytest.mark.parametrize("ranks", ["2", pytest.param("4", marks=pytest.mark.slow)])
def test_a_job_without_a_fault_ends_well(jobs, ranks: str) -> None:
    _, status, _, stderr = jobs(ranks)
    assert status == 0
    lines = [line for line in stderr.splitlines() if line and not line.startswith("mydl: compiling kernels")]
    assert lines == []


def alive(pid: int) -> bool:
    """Whether a process of such a job still runs; a number may have gone to somebody else."""
    try:
        return b"tests.distributed.faults" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("case", LINES)
def test_a_rank_that_goes_wrong_ends_the_job_in_one_line(jobs, case: str) -> None:
    folder, status, _, stderr = jobs(case)
    lines = [line for line in stderr.splitlines() if line.startswith("mydl.distributed: ")]
    assert len(lines) == 1, stderr
    assert re.fullmatch(f"mydl.distributed: {LINES[case]}", lines[0]), stderr
    assert status != 0
    processes = [int(path.read_text()) for path in folder.glob("*.pid")]
    for _ in range(100):  # the launcher returns when it has given the order
        if not any(map(alive, processes)):
            break
        time.sleep(0.1)
    assert not any(map(alive, processes))
    if case != "version":
        assert len(processes) == 2
        state = mydl.load(folder / "last.safetensors")
        assert all(np.isfinite(tensor.array).all() for tensor in state.values())


@pytest.mark.slow
def test_started_without_init(jobs) -> None:
    _, status, _, stderr = jobs("copies")
    assert status != 0
    assert "RuntimeError: started as 2 processes, which would all do the same: add --distributed" in stderr


# One process -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_what_launchers_say(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert launched() == 1
    monkeypatch.setenv(name, "1")
    distributed.refuse_silent_copies()
    monkeypatch.setenv(name, "3")
    with pytest.raises(RuntimeError, match="started as 3 processes, which would all do the same"):
        distributed.refuse_silent_copies()


class OtherMpi(types.ModuleType):
    """Enough of mpi4py's MPI to be refused."""

    THREAD_MULTIPLE = 3
    ranks, threads = 1, 3

    def __init__(self) -> None:
        self.COMM_WORLD = types.SimpleNamespace(Get_rank=lambda: 0, Get_size=lambda: self.ranks)
        self.Get_library_version = lambda: "Other MPI 1.0"
        self.Query_thread = lambda: self.threads


def test_what_init_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(RuntimeError, match=r"mpi4py is not installed. Run: pip install mpi4py mpich$"):
        distributed.init()
    package = types.ModuleType("mpi4py")
    package.MPI = other = OtherMpi()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mpi4py", package)
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(RuntimeError, match=r"has started 2 processes, but each is alone in its MPI: .*\(Other\)"):
        distributed.init()
    other.ranks, other.threads = 2, 1
    with pytest.raises(RuntimeError, match="wanted an MPI with MPI_THREAD_MULTIPLE"):
        distributed.init()
    assert distributed.world_size() == 1


def test_one_process_needs_no_mpi() -> None:
    model = distributed.DistributedDataParallel(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), sync_batch_norm=True)
    with model.no_sync():
        model(mydl.randn(4, 3)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert distributed.all_reduce(np.ones(2), "mean").tolist() == [1, 1]
    assert distributed.broadcast(mydl.ones(2)).tolist() == [1, 1]
    distributed.barrier()
    with pytest.raises(ValueError, match="wanted src to be one of 1 ranks, got 1"):
        distributed.broadcast(np.ones(2), 1)
    with pytest.raises(SystemExit, match="no room"):
        distributed.abort("no room")
    assert list(data.DistributedSampler(range(4), shuffle=False)) == [0, 1, 2, 3]
