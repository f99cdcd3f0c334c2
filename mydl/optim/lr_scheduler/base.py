"""LRScheduler: what all schedulers share: counting steps, setting the rates, saving and loading."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable
from typing import Any

from mydl.optim.optimizer import Optimizer
from mydl.tensor import MyTensor

__all__ = ["LRScheduler", "check_optimizer", "current", "own_state", "per_group", "positive", "set_option"]


def check_optimizer(scheduler: Any, optimizer: Any) -> None:
    """TypeError if `optimizer` is not an optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(scheduler).__name__}: wanted an optimizer, got {type(optimizer).__name__}")


def positive(scheduler: Any, name: str, value: Any) -> Any:
    """`value`, if it is a number above 0, as a period must be."""
    if not isinstance(value, (int, float)) or value <= 0:
        raise ValueError(f"{type(scheduler).__name__}: wanted {name} above 0, got {value!r}")
    return value


def per_group(scheduler: Any, name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """`value` for each parameter group: a list or tuple has one for each, anything else serves them all."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(f"{type(scheduler).__name__}: wanted {groups} values of {name}, one a group, got {len(value)}")
    return list(value)


def current(optimizer: Optimizer, key: str = "lr") -> list[Any]:
    """What each group has under `key`; tensors are copied."""
    values = [group[key] for group in optimizer.param_groups]
    return [value.clone() if isinstance(value, MyTensor) else value for value in values]


def set_option(group: dict[str, Any], key: str, value: Any) -> None:
    """Set an option of a group; one that is a tensor is changed in place, since others may hold it."""
    if isinstance(group[key], MyTensor):
        group[key].array[...] = float(value)
    else:
        group[key] = value


def own_state(function: Callable[..., Any] | None) -> dict[str, Any] | None:
    """What a state dict keeps of a user's function: a callable object's attributes, None for a plain one."""
    return None if function is None or isinstance(function, types.FunctionType) else dict(function.__dict__)


class LRScheduler:
    """The base of schedulers. A subclass defines `get_lr`: the rate of each group at `self.last_epoch`.

    Args:
        optimizer: the optimizer whose groups' `lr` is set. The rate that a group starts with is noted in the
            group as `initial_lr`.
        last_epoch: -1 to begin; otherwise the number of the last step that was made, to go on from there (the
            groups must have `initial_lr` then).

    >>> from mydl.optim import SGD
    >>> from mydl.tensor import tensor
    >>> class Harmonic(LRScheduler):
    ...     def get_lr(self):
    ...         return [lr / (1 + self.last_epoch) for lr in self.base_lrs]
    >>> optimizer = SGD([tensor([1.0], requires_grad=True)], lr=1.0)
    >>> scheduler = Harmonic(optimizer)
    >>> for _ in range(3):
    ...     optimizer.step()
    ...     scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    _is_initial = False  # in the step that the constructor makes

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                rate = group["lr"]
                group.setdefault("initial_lr", rate.clone() if isinstance(rate, MyTensor) else rate)
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{type(self).__name__}: last_epoch={last_epoch} needs 'initial_lr' in each group; "
                    f"group {index} has none. Load the optimizer's state first"
                )
        self.base_lrs = current(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Any]:
        """The rate of each group at `last_epoch`, from the rates one step before."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr")

    def get_last_lr(self) -> list[Any]:
        """The rates that were set last, one for each group."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Count one step and set the rates. Call it after `optimizer.step()`.

        `epoch` sets the count instead, as in early versions of PyTorch, with a warning; the rates then come
        from the schedule's closed form, where it has one.
        """
        if self._step_count == 1 and not getattr(self.optimizer, "_stepped", True):
            warnings.warn(
                f"{type(self).__name__}: step() was called before optimizer.step(), so the first "
                "rate is skipped; call them in the other order",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            self._warn_of_epoch()
        self._update_lr(epoch)

    def _warn_of_epoch(self) -> None:
        warnings.warn(
            f"{type(self).__name__}: step(epoch) is kept for old programs; call step() without an argument",
            stacklevel=3,
        )

    def _update_lr(self, epoch: int | None = None) -> None:
        """Set the rates of the next step, or of step `epoch`."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed_form = getattr(self, "_get_closed_form_lr", None)
        self._set(self.get_lr() if epoch is None or closed_form is None else closed_form())

    def _set(self, rates: list[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_option(group, "lr", rate)
        self._last_lr = current(self.optimizer)

    def _times(self, factor: float) -> list[Any]:
        """The current rates times a factor."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """All that the scheduler knows but the optimizer, by PyTorch's names."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up another scheduler's state. The optimizer's own state holds the rates; load that too."""
        self.__dict__.update(state_dict)
