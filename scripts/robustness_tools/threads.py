"""Several trainings at once in one process, and loaders whose threads fail or are left alone."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import mydl
from mydl import data, nn, optim
from mydl.nn import functional as F
from scripts.robustness_tools.tally import Effort, Tally

__all__ = ["loaders", "trainings"]


def _model(kind: int) -> nn.NeuralNetwork:
    if kind % 2:
        return nn.Sequential(nn.Conv2D(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 3))


def _train(
    model: nn.NeuralNetwork, optimizer: optim.Optimizer, images: Any, labels: Any, steps: int, kind: int
) -> list[float]:
    """Steps with the gradient mode switched on and off in between; each loss, and whether the mode was one's own."""
    losses = []
    for step in range(steps):
        lo = 16 * (step % 4)
        with mydl.no_grad() if kind == 2 else contextlib.nullcontext():
            model.eval()
            hidden = model(images[lo : lo + 16])
            losses.append(
                float(hidden.requires_grad) * 1000
                + float(F.cross_entropy(hidden, labels[lo : lo + 16]).detach().item())
            )
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images[lo : lo + 16]), labels[lo : lo + 16])
        if kind == 3:
            (slope,) = mydl.autograd.grad(loss, [next(iter(model.parameters()))], create_graph=True)
            loss = loss + 0.01 * slope.square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def trainings(effort: Effort, steps: int = 12) -> Tally:
    """Four trainings in four threads, each with its own model and gradient mode, against the same one by one."""
    tally = Tally("threads", "trainings, four at once in one process")
    for number, random in effort:
        seed = random.getrandbits(32)
        results = []
        for workers in (1, 4):
            mydl.manual_seed(seed)
            images, labels = mydl.randn(64, 1, 8, 8), mydl.arange(64) % 3
            models = [_model(kind) for kind in range(4)]
            optimizers = [optim.Adam(model.parameters(), lr=0.01) for model in models]
            with ThreadPoolExecutor(workers) as pool:
                jobs = [
                    pool.submit(_train, m, o, images, labels, steps, kind)
                    for kind, (m, o) in enumerate(zip(models, optimizers))
                ]
                losses = [job.result() for job in jobs]
            weights = [[p.detach().numpy().tobytes() for p in model.state_dict().values()] for model in models]
            results.append((losses, weights))
        tally.tried += 4
        for kind in range(4):
            if any(alone[kind] != together[kind] for alone, together in zip(*results)):
                tally.lose(f"seed {effort.seed}, run {number}: training {kind} came out otherwise beside others")
        if not mydl.is_grad_enabled():
            tally.lose(f"seed {effort.seed}, run {number}: gradients stayed off")
    return tally


class _Failing(data.Dataset):
    def __init__(self, size: int, bad: int, error: Exception) -> None:
        self.size, self.bad, self.error = size, bad, error

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        if index == self.bad:
            raise self.error
        return index


def loaders(effort: Effort) -> Tally:
    """A sample that raises, or a loop that ends early: the error arrives as it was, and no thread stays."""
    tally = Tally("threads", "samples that raise in a loader's thread, loops left early")
    for number, random in effort:
        tally.faults += 1
        fault = _loop(random)
        if fault:
            tally.lose(f"seed {effort.seed}, fault {number}: {fault}")
    return tally


def _loop(random: Random) -> str | None:
    before = threading.active_count()
    size, batch, workers = random.randrange(1, 60), random.randrange(1, 9), random.randrange(5)
    error = random.choice((ValueError, KeyError, OSError, RuntimeError, ZeroDivisionError, StopIteration))("one's own")
    bad = random.choice((-1, random.randrange(size)))
    loader = data.DataLoader(
        _Failing(size, bad, error),
        batch,
        num_workers=workers,
        prefetch_factor=random.choice((1, 3)) if workers else None,
    )
    stop, seen, caught = random.randrange(12), [], None
    try:
        for count, values in enumerate(loader):
            seen += values.tolist()
            if count == stop:
                break
    except Exception as found:
        caught = found
    if seen != list(range(len(seen))):
        return f"samples out of order: {seen}"
    reached = bad >= 0 and bad < (stop + 1) * batch
    expected = isinstance(error, StopIteration)  # Python makes a RuntimeError of one in a generator
    if reached and not (caught is error or (expected and isinstance(caught, RuntimeError))):
        return f"sample {bad} raised {error!r}, the loop got {caught!r}"
    if not reached and caught is not None:
        return f"the loop got {caught!r}"
    del loader
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.001)
    return f"{threading.active_count() - before} threads stayed" if threading.active_count() > before else None
