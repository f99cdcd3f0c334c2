"""How the variance of activations and gradients fares through 20 layers, for seven ways to start the weights."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import mydl
from mydl import nn
from scripts.experiments.definition import Job, Outcome

__all__ = ["QUICK", "STARTS", "variance"]

QUICK = {"widest": 64, "narrowest": 32, "samples": 50}

# The variance of a weight, of the numbers of inputs and outputs of its layer.
STARTS = {
    "1/n_in": lambda n_in, n_out: 1 / n_in,
    "1/n_out": lambda n_in, n_out: 1 / n_out,
    "2/n_in": lambda n_in, n_out: 2 / n_in,
    "2/(n_in+n_out)": lambda n_in, n_out: 2 / (n_in + n_out),
    "4/(n_in+n_out)": lambda n_in, n_out: 4 / (n_in + n_out),
    "too small": lambda n_in, n_out: 0.25 / n_in,
    "too large": lambda n_in, n_out: 8 / n_in,
}


def variance(job: Job) -> Outcome:
    """Settings: `layers`, `widest` and `narrowest` of them (they narrow evenly, so that n_in ≠ n_out), `samples`.

    For each kind of unit, linear and ReLU, and each start: the mean square of what each layer gives out, and of
    the gradient there, as shares of those where they come from, the inputs and the outputs. Inputs and the
    gradient at the outputs are N(0, 1). `kept` says which starts keep the activations within a factor of 3 to the
    end, and which the gradients.
    """
    settings = job.settings
    widths = np.geomspace(settings["widest"], settings["narrowest"], settings["layers"] + 1).round().astype(int)
    final: dict[str, Any] = {"widths": widths.tolist(), "activations": {}, "gradients": {}, "kept": {}}
    for kind, unit in (("linear", nn.Identity), ("relu", nn.ReLU)):
        for name, start in STARTS.items():
            mydl.manual_seed(job.seed)
            squares, slopes = _through(widths.tolist(), unit, start, settings["samples"])
            final["activations"].setdefault(kind, {})[name] = squares
            final["gradients"].setdefault(kind, {})[name] = slopes
        for what in ("activations", "gradients"):
            ends = {name: values[-1 if what == "activations" else 0] for name, values in final[what][kind].items()}
            final["kept"][f"{kind} {what}"] = [name for name, end in ends.items() if 1 / 3 < end < 3]
    return Outcome(final)


def _through(widths: list[int], unit: Any, start: Any, samples: int) -> tuple[list[float], list[float]]:
    """Mean squares after each layer, inputs first, and of the gradients there: shares of those at their source."""
    x = mydl.randn(samples, widths[0], requires_grad=True)
    outputs = [x]
    for n_in, n_out in itertools.pairwise(widths):
        layer = nn.Linear(n_in, n_out, bias=False)
        nn.init.normal_(layer.weight, 0.0, start(n_in, n_out) ** 0.5)
        y = unit()(layer(outputs[-1]))
        y.retain_grad()
        outputs.append(y)
    outputs[-1].backward(mydl.randn(*outputs[-1].shape))
    squares = [float(np.square(y.detach().numpy(), dtype=np.float64).mean()) for y in outputs]
    slopes = [float(np.square(y.grad.numpy(), dtype=np.float64).mean()) for y in outputs]
    return [float(f"{v / squares[0]:.4g}") for v in squares], [float(f"{v / slopes[-1]:.4g}") for v in slopes]
