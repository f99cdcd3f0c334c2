"""Schedules that go up and down between bounds, and take the momentum the other way."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from mydl.optim.lr_scheduler.base import LRScheduler, check_optimizer, own_state, per_group, set_option
from mydl.optim.optimizer import Optimizer

__all__ = ["CyclicLR", "OneCycleLR"]


class _MomentumCycler(LRScheduler):
    """What both have in common: the momentum, or Adam's first beta, goes between two bounds."""

    def _begin_momentum(self, optimizer: Optimizer, base: Any, top: Any, begin: bool) -> tuple[list[Any], list[Any]]:
        """The bounds for each group, (base, top); with `begin` the groups start from the top."""
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                f"{type(self).__name__}: cycle_momentum needs an optimizer with momentum or betas, "
                f"{type(optimizer).__name__} has neither; give cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        tops = per_group(self, "max_momentum", optimizer, top)
        bases = per_group(self, "base_momentum", optimizer, base)
        if begin:
            for group, low, high in zip(optimizer.param_groups, bases, tops, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"] = high
                group["base_momentum"] = low
        return bases, tops

    def _set_momentum(self, group: dict[str, Any], momentum: float) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(_MomentumCycler):
    """Between base_lr and max_lr in a zigzag: up in `step_size_up` steps, down in `step_size_down`.

    Args:
        optimizer: the optimizer; a `momentum` or first beta that it has cycles the other way.
        base_lr, max_lr: the bounds, or lists of them, one for each group.
        step_size_up, step_size_down: steps of the two halves of a cycle, 2000 each by default.
        mode: "triangular", "triangular2" (each cycle half as high as the one before) or "exp_range" (the
            height at step t times gamma^t).
        gamma: of "exp_range".
        scale_fn: a function for the height instead of `mode`, of the number of the cycle or of the step.
        scale_mode: what `scale_fn` is given: "cycle" (from 1) or "iterations" (from 0).
        cycle_momentum: whether the momentum cycles, between `max_momentum` and `base_momentum`.
        last_epoch: the last step that was made; -1 to begin.

    Raises:
        ValueError: an unknown mode, or `cycle_momentum` with an optimizer that has no momentum.

    Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> CyclicLR(SGD([tensor([1.0])], momentum=0.9), base_lr=0.01, max_lr=0.1).get_last_lr()
    [0.01]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"CyclicLR: wanted 'triangular', 'triangular2', 'exp_range' or a scale_fn, got {mode!r}")
        base_lrs = per_group(self, "base_lr", optimizer, base_lr)
        self.max_lrs = per_group(self, "max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                set_option(group, "lr", rate)
        self.total_size = float(step_size_up + (step_size_up if step_size_down is None else step_size_down))
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma = mode, gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            bounds = self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch == -1)
            self.base_momentums, self.max_momentums = bounds
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of the cycle or at the step of number x, as a part of the whole."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return 2.0 ** (1 - x) if self.mode == "triangular2" else self.gamma**x

    def get_lr(self) -> list[Any]:
        """The point of the zigzag; the momentum is set on the way."""
        position = self.last_epoch / self.total_size
        cycle = math.floor(1 + position)
        x = 1 + position - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in bounds:
                self._set_momentum(group, high - (high - low) * height * scale)
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer and a plain function."""
        return {**super().state_dict(), "_scale_fn_custom": own_state(self._scale_fn_custom)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up another scheduler's state; its function stays this one's."""
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_scale_fn_custom"})
        if state_dict["_scale_fn_custom"] is not None:
            self._scale_fn_custom.__dict__.update(state_dict["_scale_fn_custom"])


class OneCycleLR(_MomentumCycler):
    """Up from max_lr / div_factor to max_lr, then down far below the start: one cycle for the whole training.

    Call `step()` after every batch, `total_steps` times at most.

    Args:
        optimizer: the optimizer; a `momentum` or first beta that it has goes the other way.
        max_lr: the highest rate, or a list, one for each group.
        total_steps: the number of steps; or `epochs` and `steps_per_epoch`, whose product it is.
        pct_start: the part of the steps in which the rate rises, 0.3 by default.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether the momentum moves, from `max_momentum` to `base_momentum` and back.
        div_factor: the first rate is max_lr / div_factor.
        final_div_factor: the last rate is the first / final_div_factor.
        three_phase: go down to the first rate as fast as up, and only then to the last.
        last_epoch: the last step that was made; -1 to begin.

    Raises:
        ValueError: no number of steps, or more steps than that; `pct_start` not from 0 to 1; an unknown
            strategy.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    2018.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> OneCycleLR(SGD([tensor([1.0])], momentum=0.9), max_lr=0.5, total_steps=100).total_steps
    100
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        if total_steps is not None:
            counts = {"total_steps": total_steps}
        elif epochs is not None and steps_per_epoch is not None:
            counts = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        else:
            raise ValueError("OneCycleLR: wanted total_steps, or epochs and steps_per_epoch")
        for name, value in counts.items():
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"OneCycleLR: wanted a positive integer for {name}, got {value!r}")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: wanted a float from 0 to 1 for pct_start, got {pct_start!r}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: wanted anneal_strategy 'cos' or 'linear', got {anneal_strategy!r}")
        self.total_steps = math.prod(counts.values())
        last = self.total_steps - 1
        rise = pct_start * self.total_steps - 1
        phases = [(rise, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
        if three_phase:
            fall = 2 * pct_start * self.total_steps - 2
            phases.append((fall, "max_lr", "initial_lr", "base_momentum", "max_momentum"))
            phases.append((last, "initial_lr", "min_lr", "max_momentum", "max_momentum"))
        else:
            phases.append((last, "max_lr", "min_lr", "base_momentum", "max_momentum"))
        keys = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
        self._schedule_phases: list[dict[str, Any]] = [dict(zip(keys, phase, strict=True)) for phase in phases]
        self._anneal_func_type = anneal_strategy
        rates = per_group(self, "max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["initial_lr"] = rate / div_factor
                group["max_lr"] = rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(optimizer, base_momentum, max_momentum, last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def _between(self, start: Any, end: Any, part: float) -> Any:
        """The point of the line or half cosine from `start` to `end`."""
        if self._anneal_func_type == "linear":
            return (end - start) * part + start
        return end + (start - end) / 2 * (math.cos(math.pi * part) + 1)

    def get_lr(self) -> list[Any]:
        """The point of the phase that the step lies in; the momentum is set on the way."""
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: step {t} of a schedule of {self.total_steps} steps")
        begin = 0.0
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if t <= end or phase is self._schedule_phases[-1]:
                break
            begin = end
        part = (t - begin) / (end - begin)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], part))
            if self.cycle_momentum:
                start, end = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, self._between(start, end, part))
        return rates
