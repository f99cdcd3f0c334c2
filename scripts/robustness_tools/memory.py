"""Long runs and large graphs: memory that stays flat, graphs that die by themselves, depths that hold."""

from __future__ import annotations

import gc
import multiprocessing
import weakref
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import models
import mydl
from mydl import nn, optim
from mydl.nn import functional as F
from scripts.robustness_tools.tally import Effort, Tally

__all__ = ["depths", "failures", "graphs", "steady"]

BATCH = {"mlp": 32, "resnet": 2}


def resident() -> int:
    """Bytes of this process's own that are in memory: not those of libraries, which the system loads and drops."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) * 1024


def _step(model: nn.NeuralNetwork, optimizer: optim.Optimizer, batch: int) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(mydl.randn(batch, 1, 28, 28)), mydl.arange(batch) % 10).backward()
    optimizer.step()


def steady(name: str, effort: Effort) -> Tally:
    """Training steps, without the garbage collector: after the first tenth the resident size grows by at most 2%.

    In a process of its own, where nobody else frees memory meanwhile.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_steady, name, effort).result()


def _steady(name: str, effort: Effort) -> Tally:
    tally = Tally("memory", f"training steps of the {name}, resident size growing by at most 2%")
    mydl.manual_seed(effort.seed)
    model = models.build(name)
    optimizer = optim.Adam(model.parameters())
    sizes = []
    gc.collect()
    gc.disable()
    try:
        for number, _ in effort:
            _step(model, optimizer, BATCH[name])
            tally.tried += 1
            if number >= effort.count // 10 and number % 10 == 0:
                sizes.append(resident())
    finally:
        gc.enable()
    if not sizes:
        tally.found = "ended before the first tenth"
        return tally
    first, high = sizes[0], max(sizes)
    tally.found = f"{first >> 20} MB, later at most {high >> 20}"
    if high > first * 1.02:
        tally.lose(f"{name}: from {first:,} to {high:,} bytes in {tally.tried} steps")
    return tally


def graphs(effort: Effort) -> Tally:
    """Steps of both models with the garbage collector off: as many tensors after each as after the first."""
    tally = Tally("memory", "graphs that die without the garbage collector")

    def tensors() -> int:
        # Not isinstance, which asks strangers for their __class__: that may warn or do more.
        return sum(issubclass(type(each), mydl.MyTensor) for each in gc.get_objects())

    for name in BATCH:
        model = models.build(name)
        optimizer = optim.Adam(model.parameters())
        _step(model, optimizer, 2)
        gc.collect()
        gc.disable()
        try:
            before = tensors()
            for _ in effort:
                _step(model, optimizer, 2)
                tally.tried += 1
            left = tensors() - before
        finally:
            gc.enable()
        if left > 0:
            tally.lose(f"{name}: {left} tensors outlived their step")
    return tally


class _Broken(mydl.autograd.Function):
    """x, with a backward that raises."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x * 1

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        raise ArithmeticError("broken on purpose")


def failures(effort: Effort) -> Tally:
    """A backward that raises somewhere in a chain: nothing stays alive, and the next backward is right."""
    tally = Tally("memory", "backward passes that raise half-way")
    gc.collect()
    gc.disable()
    try:
        for number, random in effort:
            tally.faults += 1
            x = mydl.ones(3, requires_grad=True)
            watched = []
            y = x
            length, place = random.randrange(1, 20), random.randrange(20)
            for step in range(length):
                y = _Broken.apply(y) if step == place % length else mydl.sin(y)
                watched.append(weakref.ref(y.array))
            try:
                y.sum().backward()
                tally.lose(f"fault {number}: no error")
            except ArithmeticError:
                del y
            alive = sum(ref() is not None for ref in watched)
            (x * x).sum().backward()
            if alive or x.grad.tolist() != [2.0, 2.0, 2.0] or not mydl.is_grad_enabled():
                tally.lose(f"fault {number}: {alive} arrays alive, gradient {x.grad}")
    finally:
        gc.enable()
    return tally


def depths() -> Tally:
    """A chain of 100,000 operations, and a model of 1,000 layers: forward, backward, a step, saved and printed."""
    tally = Tally("memory", "a chain of 100,000 operations, a model of 1,000 layers", tried=2)
    x = mydl.ones(1, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 0
    y.backward()
    if x.grad.item() != 1:
        tally.lose(f"the chain's gradient is {x.grad.item()}")
    del y
    model = nn.Sequential(*(nn.Linear(4, 4) for _ in range(1000)))
    for layer in model:
        nn.init.eye_(layer.weight)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    model(mydl.ones(1, 4)).sum().backward()
    optimizer.step()
    last = model[999].bias.grad.tolist()
    if (
        last != [1.0] * 4
        or model[0].bias.grad.tolist() != last
        or len(model.state_dict()) != 2000
        or len(repr(model)) < 1000
    ):
        tally.lose("the model of 1,000 layers came out wrong")
    return tally
