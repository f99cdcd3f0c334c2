"""The functions that overflow when they are written down naively, over the whole range of the floats."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

import mydl
from mydl import nn, optim
from mydl.nn import functional as F
from scripts.robustness_tools.tally import Effort, Tally

__all__ = ["FUNCTIONS", "half_precision", "numerics"]

HARD = (0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1e-40, 1e-38, 3e38, -3e38, 1e38, -1e38, 88.8, -88.8, 103.9, -104.0, 1e-8,
        17.0, 30.0, -30.0, 709.0, math.inf, -math.inf, math.nan)  # fmt: skip


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _logsumexp(x: np.ndarray) -> np.ndarray:
    top = x.max(-1, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    return (np.log(np.exp(x - top).sum(-1, keepdims=True)) + top)[..., 0]


def _log_softmax(x: np.ndarray) -> np.ndarray:
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def _log_loss(x: np.ndarray) -> np.ndarray:
    """Binary cross entropy of the logits x with the target 0.25."""
    return np.where(np.isinf(x), np.where(x > 0, 0.75, 0.25) * np.inf, _softplus(x) - 0.25 * x)


def _first_class(x: Any) -> Any:
    """The cross entropy of each row with the class 0."""
    return F.cross_entropy(x, mydl.zeros(x.shape[0], dtype=mydl.int64), reduction="none")


# What mydl computes, and the same in float64 in the way that stays within range.
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "softmax": (lambda x: F.softmax(x, -1), _softmax),
    "log_softmax": (lambda x: F.log_softmax(x, -1), _log_softmax),
    "logsumexp": (lambda x: mydl.logsumexp(x, -1), _logsumexp),
    "cross_entropy": (_first_class, lambda x: -_log_softmax(x).reshape(-1, x.shape[-1])[:, 0]),
    "binary_cross_entropy_with_logits": (
        lambda x: F.binary_cross_entropy_with_logits(x, mydl.full_like(x.detach(), 0.25), reduction="none"), _log_loss),
    "sigmoid": (mydl.sigmoid, lambda x: np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))),
    "logsigmoid": (F.logsigmoid, lambda x: -_softplus(-x)),
    "softplus": (F.softplus, _softplus),
    "tanh": (mydl.tanh, np.tanh),
    "norm": (lambda x: mydl.linalg.vector_norm(x, dim=-1), lambda x: np.sqrt((x * x).sum(-1))),
    "var": (lambda x: x.var(-1, correction=0), lambda x: x.var(-1)),
}  # fmt: skip
SUMS = {"log_softmax", "logsumexp", "cross_entropy"}  # right to a rounding of 1, not of what is left of it
SLOPES = {"sigmoid", "softplus", "tanh", "logsigmoid", "softmax", "log_softmax", "logsumexp", "cross_entropy"}


def numerics(effort: Effort) -> Tally:
    """Rows of hard numbers, empty ones and rows of one element, in float32 and float16, against float64.

    A result may be off by rounding, not by overflow on the way: where the true result is a number that the dtype
    holds, a number must come out; NaN only where NaN or a difference of infinities went in. Gradients of finite
    inputs must be finite, and nothing may warn.
    """
    tally = Tally("numerics", "functions over the floats' whole range, gradients included")
    names = list(FUNCTIONS)
    for number, random in effort:
        tally.tried += 1
        name = names[number % len(names)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                fault = _one(random, name)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        if fault:
            tally.lose(f"{name}: seed {effort.seed}, input {number}: {fault}")
    return tally


def _one(random: Random, name: str) -> str | None:
    dtype = random.choice(("float32", "float32", "float16"))
    ours, truth = FUNCTIONS[name]
    rows, columns = random.choice((0, 1, 3)), random.choice((1, 1, 2, 5))
    hard = HARD if random.random() < 0.5 else [value for value in HARD if math.isfinite(value)]
    values = [
        random.choice((random.choice(hard), random.gauss(0, 10), random.choice(hard))) for _ in range(rows * columns)
    ]
    with np.errstate(all="ignore"):
        x = np.array(values, np.float64).astype(dtype).reshape(rows, columns)
        wanted = truth(x.astype(np.float64)) if rows else np.empty(0)
        limit = float(np.finfo(dtype).max)
        wanted = np.where(np.abs(wanted) > limit, np.sign(wanted) * np.inf, wanted)
    leaf = mydl.tensor(x, requires_grad=True)
    y = ours(leaf)
    if y.dtype != np.dtype(dtype):
        return f"gave {y.dtype} for {dtype}"
    found = y.detach().numpy().astype(np.float64)
    if not rows:
        return None if found.size == 0 else f"gave {found} for nothing"
    # Beside a rounding of the input a value near the largest may round to infinity, or back.
    near = 2e-3 if dtype == "float16" else 1e-5  # exp(x) is right to a rounding of x, of up to 104
    edge = np.abs(wanted) >= limit * (1 - 1e-3)
    loose = edge & (np.abs(found) >= limit * (1 - 1e-3)) & (np.sign(found) == np.sign(wanted))
    least = float(np.finfo(dtype).eps) * 4 if name in SUMS else float(np.finfo(dtype).tiny)
    good = np.isclose(found, wanted, rtol=near, atol=least, equal_nan=True) | loose
    if name == "binary_cross_entropy_with_logits":  # a difference of two numbers of the size of x
        with np.errstate(invalid="ignore"):
            good |= np.abs(found - wanted) <= 2 * np.finfo(dtype).eps * np.abs(x.astype(np.float64))
        good |= np.isinf(x) & np.isnan(found)  # as in PyTorch
    if not good.all():
        place = tuple(int(index[0]) for index in np.nonzero(~good))
        return f"of {x[place[0]].tolist()} {dtype} gave {found[place]}, wanted {wanted[place]}"
    if name in SLOPES and np.isfinite(x).all() and np.isfinite(found).all():
        y.sum().backward()
        if not np.isfinite(leaf.grad.numpy()).all():
            return f"the gradient at {x.tolist()} {dtype} is {leaf.grad.numpy().tolist()}"
    return None


def half_precision(steps: int, seed: int = 0) -> Tally:
    """The MLP in float16 with its loss scaled by 1,024: the loss must fall, and no weight leave the numbers."""
    tally = Tally("numerics", "steps of training the MLP in float16 with a scaled loss", tried=steps)
    mydl.manual_seed(seed)
    images, labels = mydl.randn(256, 64), mydl.arange(256) % 4
    images = (images + nn.functional.one_hot(labels, 64).float() * 4).half()
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 4))
    master = [p.detach().clone() for p in model.parameters()]
    model.half()
    optimizer = optim.SGD(master, lr=0.1)
    losses, scale = [], 1024.0
    for _ in range(steps):
        for p in model.parameters():
            p.grad = None
        loss = F.cross_entropy(model(images), labels)
        (loss * scale).backward()
        for p, kept in zip(model.parameters(), master, strict=True):
            kept.grad = p.grad.float() / scale
        optimizer.step()
        with mydl.no_grad():
            for p, kept in zip(model.parameters(), master, strict=True):
                p.copy_(kept)
        losses.append(loss.item())
    if not all(map(math.isfinite, losses)) or losses[-1] > 0.5 * losses[0]:
        tally.lose(f"the loss went from {losses[0]} to {losses[-1]}")
    tally.found = f"loss {losses[0]:.2f} → {losses[-1]:.4f}"
    return tally
