"""Schedules that multiply the rate: by a function, at milestones, in a straight line, by a power.

Each is written as a step from the rate before, so that schedulers of one optimizer can be chained, and, where
there is one, as a closed form of the number of steps t.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mydl.optim.lr_scheduler.base import LRScheduler, check_optimizer, current, own_state, per_group, positive
from mydl.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR", "ExponentialLR", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "PolynomialLR", "StepLR",
]  # fmt: skip


class LambdaLR(LRScheduler):
    """lr = initial_lr · f(t) after t steps.

    Args:
        optimizer: the optimizer.
        lr_lambda: the function f, or a list of them, one for each parameter group.
        last_epoch: the last step that was made; -1 to begin.

    Functions are not part of the state dict; of callable objects the attributes are.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> LambdaLR(SGD([tensor([1.0])], lr=0.5), lambda t: 0.95**t).get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        self.lr_lambdas = per_group(self, "lr_lambda", optimizer, lr_lambda)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"{type(self).__name__}: wanted a function for lr_lambda, got {function!r}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """initial_lr · f(t)."""
        return [lr * function(self.last_epoch) for lr, function in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer and plain functions."""
        return {**super().state_dict(), "lr_lambdas": [own_state(function) for function in self.lr_lambdas]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up another scheduler's state; its functions stay this one's."""
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)


class MultiplicativeLR(LambdaLR):
    """lr = lr · f(t) at step t.

    Arguments and state are those of `LambdaLR`.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> MultiplicativeLR(SGD([tensor([1.0])], lr=0.5), lambda t: 0.95).get_last_lr()
    [0.5]
    """

    def get_lr(self) -> list[Any]:
        """lr · f(t)."""
        rates = current(self.optimizer)
        if self._is_initial:
            return rates
        return [lr * function(self.last_epoch) for lr, function in zip(rates, self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    """lr = lr · gamma every `step_size` steps.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> StepLR(SGD([tensor([1.0])], lr=0.5), step_size=30, gamma=0.1).get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = positive(self, "step_size", step_size)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """lr, times gamma where `step_size` divides t."""
        return self._times(self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else 1)

    def _get_closed_form_lr(self) -> list[Any]:
        return [lr * self.gamma ** (self.last_epoch // self.step_size) for lr in self.base_lrs]


class MultiStepLR(LRScheduler):
    """lr = lr · gamma at each of the `milestones` (one that is named twice counts twice).

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> MultiStepLR(SGD([tensor([1.0])], lr=0.5), milestones=[30, 80]).get_last_lr()
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if not isinstance(milestones, Iterable):
            raise TypeError(f"MultiStepLR: wanted a list of milestones, got {milestones!r}")
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """lr, times gamma at a milestone."""
        return self._times(self.gamma ** self.milestones[self.last_epoch])

    def _get_closed_form_lr(self) -> list[Any]:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [lr * self.gamma**passed for lr in self.base_lrs]


class ConstantLR(LRScheduler):
    """lr = initial_lr · factor for the first `total_iters` steps, initial_lr from then on.

    Raises:
        ValueError: `factor` is not from 0 to 1.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> ConstantLR(SGD([tensor([1.0])], lr=0.5), factor=0.5, total_iters=4).get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        if not 0 <= factor <= 1:
            raise ValueError(f"ConstantLR: wanted a factor from 0 to 1, got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """lr, times `factor` at first and divided by it after `total_iters` steps."""
        if self.last_epoch == 0:
            return self._times(self.factor)
        if self.last_epoch != self.total_iters:
            return current(self.optimizer)
        return self._times(1 / self.factor) if self.factor else self._get_closed_form_lr()

    def _get_closed_form_lr(self) -> list[Any]:
        factor = 1 if self.last_epoch >= self.total_iters else self.factor
        return [lr * factor for lr in self.base_lrs]


class LinearLR(LRScheduler):
    """A line from initial_lr · start_factor to initial_lr · end_factor over `total_iters` steps: warm-up.

    Raises:
        ValueError: `start_factor` is not above 0 and up to 1, or `end_factor` not from 0 to 1.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> LinearLR(SGD([tensor([1.0])], lr=0.5), start_factor=0.1, total_iters=100).get_last_lr()
    [0.05]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ValueError(f"LinearLR: wanted a start_factor above 0 and up to 1, got {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"LinearLR: wanted an end_factor from 0 to 1, got {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """lr times the ratio of two neighbouring points of the line."""
        t = self.last_epoch
        if t == 0:
            return self._times(self.start_factor)
        if self._is_initial or t > self.total_iters:
            return current(self.optimizer)
        rise = self.end_factor - self.start_factor
        return self._times(1 + rise / (self.total_iters * self.start_factor + (t - 1) * rise))

    def _get_closed_form_lr(self) -> list[Any]:
        rise = self.end_factor - self.start_factor
        factor = self.start_factor + rise * min(self.total_iters, self.last_epoch) / self.total_iters
        return [lr * factor for lr in self.base_lrs]


class ExponentialLR(LRScheduler):
    """lr = lr · gamma at every step.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> ExponentialLR(SGD([tensor([1.0])], lr=0.5), gamma=0.9).get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """lr · gamma."""
        return current(self.optimizer) if self._is_initial else self._times(self.gamma)

    def _get_closed_form_lr(self) -> list[Any]:
        return [lr * self.gamma**self.last_epoch for lr in self.base_lrs]


class PolynomialLR(LRScheduler):
    """lr = initial_lr · (1 - t / total_iters)^power, 0 from t = total_iters on.

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> PolynomialLR(SGD([tensor([1.0])], lr=0.5), total_iters=10).get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """lr times the ratio of two neighbouring points of the curve."""
        t, total = self.last_epoch, self.total_iters
        if self._is_initial or t > total:
            return current(self.optimizer)
        return self._times(((1 - t / total) / (1 - (t - 1) / total)) ** self.power)

    def _get_closed_form_lr(self) -> list[Any]:
        factor = (1 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power
        return [lr * factor for lr in self.base_lrs]
