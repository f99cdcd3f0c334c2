"""What the benchmark measures: one method of `Benchmark` for each group of results."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from scripts.benchmark_tools.flops import mlp_flops, resnet_flops, training_flops
from scripts.benchmark_tools.turns import (
    LIBRARIES,
    Failed,
    Measured,
    Team,
    fresh,
    fresh_environment,
    in_turn,
    outcome,
    summarise,
    workload,
)

__all__ = ["BASELINE", "GROUPS", "QUICK", "USUAL", "Benchmark", "Sizes"]

BASELINE = "pytorch"
GOAL = 0.99
MODELS = {"mlp": "MLP", "resnet": "ResNet"}

Result = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """How much is measured: the defaults are what the README quotes."""

    batch: int = 256
    rounds: int = 21
    turn: float = 0.15  # seconds that a turn aims at
    gpu_steps: int = 20  # that a GPU is given before it is waited for
    op_pairs: int = 1000
    imports: int = 7
    starts: int = 5
    memories: int = 1
    goals: int = 3
    memory_steps: int = 5
    images: int = 10_000
    epochs: int = 5
    batches: Sequence[int] = (16, 32, 64, 128, 256, 512, 1024, 2048)
    depths: Sequence[int] = (1, 2, 4, 8, 16, 32, 64)
    depth_batch: int = 32
    threads: Sequence[int] = (1, 2)
    sweep_rounds: int = 5
    sweep_turn: float = 0.12


QUICK = Sizes(
    batch=64, rounds=3, turn=0.1, gpu_steps=2, op_pairs=200, imports=1, starts=1, memory_steps=2, goals=1,
    images=512, epochs=1, batches=(16, 64), depths=(1, 4), depth_batch=8, sweep_rounds=2, sweep_turn=0.05,
)  # fmt: skip


class Benchmark:
    """The libraries to compare, and a generator of results for each group.

    A result is a dict: its `group`, a `title`, the `unit` ("s" or "bytes"), `measured` (for each library, or
    each of the things compared, what `summarise` gives), the `baseline` of its ratios; and where there are
    such, `flops` of a step and `x`, the place in a sweep.
    """

    def __init__(self, libraries: Sequence[str], sizes: Sizes, threads: int, device: str = "cpu") -> None:
        self.libraries = list(libraries)
        # The variants are too slow for a sweep, or compile anew at every size.
        self.swept = [name for name in libraries if not LIBRARIES[name].variant]
        self.sizes = sizes
        self.threads = threads
        self.device = device
        # A GPU works while Python goes on: it is given several steps, and their time is divided.
        self.repeat = sizes.gpu_steps if device == "cuda" else 1

    def mlp(self, team: Team) -> Iterator[Result]:
        yield self._training(team, "mlp")

    def resnet(self, team: Team) -> Iterator[Result]:
        yield self._training(team, "resnet")

    def _training(self, team: Team, model: str) -> Result:
        batch = self.sizes.batch
        measured = self._steps(team, "train", {"model": model, "batch": batch, "repeat": self.repeat})
        title = f"{MODELS[model]}: training step, batch {batch}"
        return self._result(model, title, measured, divisor=self.repeat, flops=train_flops(model, batch))

    def inference(self, team: Team) -> Iterator[Result]:
        for model, title in MODELS.items():
            for batch in (1, self.sizes.batch):
                measured = self._steps(team, "infer", {"model": model, "batch": batch})
                flops = sum(FORWARD[model](batch))
                yield self._result("inference", f"{title}: inference, batch {batch}", measured, flops=flops)

    def ops(self, team: Team) -> Iterator[Result]:
        pairs = self.sizes.op_pairs
        measured = self._steps(team, "tiny_ops", {"pairs": pairs})
        title = f"one of {2 * pairs:,} ops on 8 numbers, both ways"
        yield self._result("ops", title, measured, divisor=2 * pairs)

    def memory(self, team: Team) -> Iterator[Result]:
        """Peak memory of a process that trains for a few steps and does nothing else."""
        for model, title in MODELS.items():
            turns = {name: partial(self._peak, name, model) for name in self.libraries}
            measured = in_turn(turns, self.sizes.memories)
            yield self._result("memory", f"{title}: peak memory of training", measured, unit="bytes")

    def _peak(self, library: str, model: str) -> list[float]:
        options = {"model": model, "batch": self.sizes.batch}
        with fresh(library, self.threads, self.device) as worker:
            worker.ask("prepare", name="train", kind="train", options=options, warm=self.sizes.memory_steps)
            return [worker.ask("memory")["bytes"]]

    def start(self, team: Team) -> Iterator[Result]:
        """Imports, and the time from a process's start to the end of its first step, caches being warm."""
        packages = {name: LIBRARIES[name].package for name in self.swept}
        turns = {name: partial(import_seconds, package) for name, package in packages.items()}
        yield self._result("start", "import", warmed(turns, self.sizes.imports))
        turns = {"mydl": partial(import_seconds, "numpy")}
        yield self._result("start", "import of NumPy alone", warmed(turns, self.sizes.imports))
        turns = {name: partial(self._first_step, name) for name in self.libraries}
        yield self._result(
            "start",
            f"{MODELS['resnet']}: start of process to first step",
            warmed(turns, self.sizes.starts),
        )

    def _first_step(self, library: str) -> list[float]:
        started = time.perf_counter()
        with fresh(library, self.threads, self.device) as worker:
            options = {"model": "resnet", "batch": self.sizes.batch}
            worker.ask("prepare", name="train", kind="train", options=options, warm=1)
            return [time.perf_counter() - started]

    def data(self, team: Team) -> Iterator[Result]:
        """Epochs with and without augmentation, and the making of the augmented batches alone."""
        options = {"images": self.sizes.images, "batch": self.sizes.batch}
        kinds = {
            "plain": {"augment": False, "train": True},
            "augmented": {"augment": True, "train": True},
            "augmented batches alone": {"augment": True, "train": False},
        }
        requests = {name: ("mydl", {"kind": "epoch", "options": {**options, **kind}}) for name, kind in kinds.items()}
        measured = workload(team, requests, self.sizes.epochs, self.sizes.turn, warm=0)
        augmentation = "rotation ±45°, brightness, contrast"
        title = f"{MODELS['resnet']}: epoch of up to {self.sizes.images:,} images ({augmentation})"
        yield self._result("data", title, measured, baseline="plain")

    def batch(self, team: Team) -> Iterator[Result]:
        for model, title in MODELS.items():
            for batch in self.sizes.batches:
                options = {"model": model, "batch": batch, "repeat": self.repeat}
                measured = self._steps(team, "train", options, sweep=True)
                flops = train_flops(model, batch)
                yield self._result("batch", title, measured, divisor=self.repeat, x=batch, flops=flops)

    def depth(self, team: Team) -> Iterator[Result]:
        batch = self.sizes.depth_batch
        title = f"residual blocks of 16 channels at 28×28, batch {batch}"
        for blocks in self.sizes.depths:
            options = {"channels": [16], "blocks": blocks}
            measured = self._steps(team, "train", {"model": "resnet", "batch": batch, **options}, sweep=True)
            yield self._result("depth", title, measured, x=blocks, flops=train_flops("resnet", batch, **options))

    def threads_(self, team: Team) -> Iterator[Result]:
        for threads in self.sizes.threads:
            with Team(threads, self.device) as others:
                for model, title in MODELS.items():
                    options = {"model": model, "batch": self.sizes.batch}
                    measured = self._steps(others, "train", options, sweep=True)
                    flops = train_flops(model, self.sizes.batch)
                    yield self._result(
                        "threads", f"{title}, batch {self.sizes.batch}", measured, x=threads, flops=flops
                    )

    def goal(self, team: Team) -> Iterator[Result]:
        """From the first step to 99% of MNIST's test images right, once imports, data and kernels are there."""

        def train() -> list[float]:
            return [team["mydl"].ask("call", function="goal", options={"accuracy": GOAL})["value"]]

        title = f"{MODELS['resnet']}: training to {GOAL:.0%} of MNIST's test images"
        yield self._result("goal", title, in_turn({"mydl": train}, self.sizes.goals))

    def gemm(self, team: Team) -> float:
        """FLOP/s of the matrix product in mydl's process, NumPy's or the GPU's: the best of a few tries."""
        best = max(team["mydl"].ask("call", function="gemm", options={})["value"] for _ in range(3))
        team["mydl"].ask("settle")
        return best

    def describe(self, team: Team) -> dict[str, Any]:
        """Version and configuration of each library, as it gives them."""
        found = {}
        for name in self.libraries:
            reply = outcome(partial(team[name].ask, "call", function="describe", options={}))
            found[name] = {"failed": str(reply)} if isinstance(reply, Failed) else reply["value"]
        return found

    def _steps(self, team: Team, kind: str, options: dict[str, Any], sweep: bool = False) -> Measured:
        names = self.swept if sweep else self.libraries
        requests = {name: (name, {"kind": kind, "options": options}) for name in names}
        rounds = self.sizes.sweep_rounds if sweep else self.sizes.rounds
        return workload(team, requests, rounds, self.sizes.sweep_turn if sweep else self.sizes.turn)

    @staticmethod
    def _result(
        group: str,
        title: str,
        measured: Measured,
        unit: str = "s",
        divisor: int = 1,
        baseline: str = BASELINE,
        **more: Any,
    ) -> Result:
        summary = summarise(measured, baseline, divisor)
        return {
            "group": group,
            "title": title,
            "unit": unit,
            "baseline": baseline,
            **more,
            "measured": summary,
        }


GROUPS: dict[str, Callable[[Benchmark, Team], Iterator[Result]]] = {
    "mlp": Benchmark.mlp,
    "resnet": Benchmark.resnet,
    "inference": Benchmark.inference,
    "ops": Benchmark.ops,
    "memory": Benchmark.memory,
    "start": Benchmark.start,
    "data": Benchmark.data,
    "batch": Benchmark.batch,
    "depth": Benchmark.depth,
    "threads": Benchmark.threads_,
    "goal": Benchmark.goal,
}
# What is measured where nothing is asked for: on the CPU without the goal, which takes it minutes, and on a GPU without
# what is the CPU's business.
USUAL = {
    "cpu": tuple(name for name in GROUPS if name != "goal"),
    "cuda": ("mlp", "resnet", "inference", "ops", "start", "batch", "goal"),
}

FORWARD: dict[str, Callable[..., list[int]]] = {"mlp": mlp_flops, "resnet": resnet_flops}


def train_flops(model: str, batch: int, **options: Any) -> int:
    return training_flops(FORWARD[model](batch, **options))


def warmed(turns: Mapping[str, Callable[[], list[float]]], rounds: int) -> Measured:
    """`in_turn` with one round before that does not count.

    It brings files into memory, and compiled kernels to disk.
    """
    measured = in_turn(turns, rounds + 1)
    return {name: values if isinstance(values, Failed) else values[1:] for name, values in measured.items()}


def import_seconds(package: str) -> list[float]:
    """Seconds that `import package` takes in a fresh interpreter."""
    program = f"from time import perf_counter as now\nstart = now()\nimport {package}\nprint(now() - start)"
    done = subprocess.run([sys.executable, "-c", program], env=fresh_environment(), capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"import {package}: {done.stderr.strip().splitlines()[-1]}")
    return [float(done.stdout.split()[-1])]
