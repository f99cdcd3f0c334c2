"""One step of SGD and of Adam on a GPU, a kernel over the flat arrays. Not yet run on a GPU.

While a step is captured, the step count, the learning rate and the first decay rate are device arrays of one element
(see `mydl.kernels.capture`): what the graph replays follows them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.backend import array_module, is_array
from mydl.kernels import reference
from mydl.kernels.gpu.launch import THREADS, launch, served_in_place

__all__ = ["adam_step", "sgd_step"]

Array = Any


def _number_and_place(rate: Any) -> tuple[float, Array | None]:
    """A number with the null pointer, or any number with the place of the one that counts."""
    return (0.0, rate) if is_array(rate) else (float(rate), None)


def _number(rate: Any) -> float:
    """A number, also from the device: that cannot be captured, and says so."""
    return rate.item() if is_array(rate) else rate


def sgd_step(
    p: Array,
    g: Array,
    momentum_buffer: Array | None,
    lr: float | Array,
    momentum: float | Array,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    first: bool,
    maximize: bool,
) -> None:
    """As `reference.sgd_step`."""
    if not served_in_place(p, g, momentum_buffer) or not p.size:
        lr, momentum = _number(lr), _number(momentum)
        return reference.sgd_step(
            p, g, momentum_buffer, lr, momentum, dampening, weight_decay, nesterov, first, maximize
        )
    rates = (*_number_and_place(lr), *_number_and_place(momentum), float(dampening), float(weight_decay))
    flags = (np.int32(flag) for flag in (nesterov, first, maximize))
    launch("sgd_step", p.dtype, -(-p.size // THREADS), p, g, momentum_buffer, p.size, *rates, *flags)
    return None


def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    vmax: Array | None,
    step: int | Array,
    lr: float | Array,
    beta1: float | Array,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """As `reference.adam_step`; a `step` on the device is the number of steps before this one."""
    if not served_in_place(p, g, m, v, vmax) or not p.size:
        step, lr, beta1 = int(_number(step)) + is_array(step), _number(lr), _number(beta1)
        return reference.adam_step(p, g, m, v, vmax, step, lr, beta1, beta2, eps, weight_decay, decoupled, maximize)
    rates = (0.0, 0.0, 0.0, 0.0)
    place = None
    if is_array(step):
        place = array_module(p).empty(4, np.float64)
        launch("adam_rates", p.dtype, 1, step, lr, beta1, float(beta2), float(weight_decay), place, threads=1)
    else:
        root_correction = math.sqrt(1 - beta2**step)
        rates = (lr / (1 - beta1**step), root_correction, 1 - lr * weight_decay, float(beta1))
    numbers = (*rates, place, float(beta2), float(eps), float(weight_decay))
    flags = (np.int32(flag) for flag in (decoupled, maximize))
    launch("adam_step", p.dtype, -(-p.size // THREADS), p, g, m, v, vmax, p.size, *numbers, *flags)
    return None
