"""A schedule that waits for the training to stop getting better."""

from __future__ import annotations

import math
from typing import Any

from mydl.optim.lr_scheduler.base import LRScheduler, check_optimizer, current, per_group, set_option
from mydl.optim.optimizer import Optimizer

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """lr = max(lr · factor, min_lr) when a metric has not got better for more than `patience` steps.

    Args:
        optimizer: the optimizer.
        mode: "min" where smaller is better, "max" where larger is.
        factor: what the rate is multiplied by, below 1.
        patience: how many steps without a better value are let pass, 10 by default.
        threshold: by how much a value must be better to count.
        threshold_mode: "rel" for a part of the best value, "abs" for an amount.
        cooldown: how many steps after a reduction nothing is counted.
        min_lr: the lowest rate, or a list, one for each group.
        eps: a change smaller than this is not made.

    Raises:
        ValueError: `factor` is not below 1, an unknown mode, or a wrong number of `min_lr`.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> scheduler = ReduceLROnPlateau(SGD([tensor([1.0])], lr=0.5), patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.05]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        check_optimizer(self, optimizer)
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau: wanted a factor below 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: wanted mode 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: wanted threshold_mode 'rel' or 'abs', got {threshold_mode!r}")
        self.optimizer = optimizer
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = per_group(self, "min_lr", optimizer, min_lr)
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self.last_epoch = 0
        self._last_lr = current(optimizer)

    @property
    def in_cooldown(self) -> bool:
        """Whether a reduction is so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def _is_better(self, value: float, best: float) -> bool:
        margin = self.threshold * best if self.threshold_mode == "rel" else self.threshold
        if not math.isfinite(best):
            margin = 0.0
        return value < best - margin if self.mode == "min" else value > best + margin

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Note a value of the metric, a number or a one-element tensor, and reduce the rates if it is time.

        `epoch` sets the count of steps, as in early versions of PyTorch, with a warning.
        """
        value = float(metrics)
        if epoch is not None:
            self._warn_of_epoch()
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(value, self.best):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = current(self.optimizer)

    def _reduce(self) -> None:
        if len(self.min_lrs) != len(self.optimizer.param_groups):  # groups were added since
            given = self.min_lrs if self.default_min_lr is None else self.default_min_lr
            self.min_lrs = per_group(self, "min_lr", self.optimizer, given)
        for group, lowest in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            before = float(group["lr"])
            after = max(before * self.factor, lowest)
            if before - after > self.eps:
                set_option(group, "lr", after)
