"""Schedulers made of schedulers: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from mydl.optim.lr_scheduler.base import LRScheduler, current, set_option
from mydl.optim.lr_scheduler.plateau import ReduceLROnPlateau
from mydl.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composed(LRScheduler):
    """What both have in common: the schedulers are checked, saved and loaded together."""

    _schedulers: Sequence[LRScheduler]

    def _check(self, schedulers: Sequence[LRScheduler], optimizer: Any) -> Optimizer:
        """The optimizer of all of the schedulers; an error if they have several or cannot be composed."""
        name = type(self).__name__
        if len(schedulers) < 1:
            raise ValueError(f"{name}: wanted at least one scheduler, got none")
        for index, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{name}: wanted schedulers, got {type(scheduler).__name__} at index {index}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{name}: ReduceLROnPlateau (index {index}) cannot be composed: it needs a metric")
            optimizer = scheduler.optimizer if optimizer is None else optimizer
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{name}: the scheduler at index {index} belongs to another optimizer")
        return optimizer

    def state_dict(self) -> dict[str, Any]:
        """All but the optimizer; the schedulers' states are in it."""
        return {**super().state_dict(), "_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up another's state, and that of the schedulers in it."""
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_Composed):
    """One scheduler after another: number i runs from milestone i - 1 on, and starts from step 0 there.

    Args:
        optimizer: the optimizer of all of them.
        schedulers: the schedulers.
        milestones: the steps at which the next takes over, one fewer than there are schedulers.
        last_epoch: the last step that was made; -1 to begin.

    Raises:
        ValueError: wrong numbers of schedulers or milestones, several optimizers, or `ReduceLROnPlateau`.

    >>> from mydl.optim import SGD
    >>> from mydl.optim.lr_scheduler import CosineAnnealingLR, LinearLR
    >>> from mydl.tensor import tensor
    >>> optimizer = SGD([tensor([1.0])], lr=0.5)
    >>> warm_up, cosine = LinearLR(optimizer, 0.1, total_iters=5), CosineAnnealingLR(optimizer, 95)
    >>> SequentialLR(optimizer, [warm_up, cosine], milestones=[5]).get_last_lr()
    [0.05]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self.optimizer = self._check(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: wanted {len(schedulers) - 1} milestones for {len(schedulers)} schedulers, "
                f"got {len(milestones)}"
            )
        self._schedulers, self._milestones = schedulers, milestones
        self.last_epoch = last_epoch + 1
        # Each scheduler has set its own first rate when it was made: all but the one to run begin later.
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        self._step_back(schedulers)
        scheduler = schedulers[bisect_right(milestones, 0)]
        scheduler._initial_step()
        self._last_lr = scheduler.get_last_lr()

    def _step_back(self, schedulers: Sequence[LRScheduler]) -> None:
        for scheduler in schedulers:
            if isinstance(scheduler, _Composed):
                self._step_back(scheduler._schedulers)
            else:
                scheduler.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Step the scheduler whose turn it is; call it after `optimizer.step()`."""
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composed):
    """All schedulers at once: each step is a step of every one, in turn.

    Args:
        schedulers: the schedulers, of one optimizer.
        optimizer: that optimizer; taken from the first scheduler by default.

    Raises:
        ValueError: no schedulers, several optimizers, or `ReduceLROnPlateau`.

    >>> from mydl.optim import SGD
    >>> from mydl.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> from mydl.tensor import tensor
    >>> optimizer = SGD([tensor([1.0])], lr=0.5)
    >>> ChainedScheduler([ConstantLR(optimizer, 0.5), ExponentialLR(optimizer, 0.9)]).get_last_lr()
    [0.25]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self.optimizer = self._check(schedulers, optimizer)
        self._schedulers = schedulers
        self._last_lr = current(self.optimizer)

    def step(self) -> None:  # type: ignore[override]
        """Step every scheduler; call it after `optimizer.step()`."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = current(self.optimizer)
