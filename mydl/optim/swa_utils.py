"""Averages of a model's weights over its training: exponential (EMA), or of equal parts (SWA)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from mydl.autograd.modes import no_grad
from mydl.nn.module import NeuralNetwork
from mydl.nn.normalization import _BatchNorm
from mydl.optim.lr_scheduler.base import LRScheduler, check_optimizer, per_group
from mydl.optim.optimizer import Optimizer
from mydl.tensor import MyTensor, tensor

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]  # fmt: skip

Average = Callable[[MyTensor, MyTensor, Any], MyTensor]
MultiAverage = Callable[[Sequence[MyTensor], Sequence[MyTensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The function (average, value, n) -> decay · average + (1 - decay) · value.

    >>> get_ema_avg_fn(0.5)(tensor([1.0]), tensor([2.0]), 1)
    tensor([1.5000])
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"get_ema_avg_fn: wanted a decay from 0 to 1, got {decay}")
    return lambda average, value, count: average * decay + value * (1 - decay)


def get_swa_avg_fn() -> Average:
    """The function (average, value, n) -> the mean of n + 1 values, of which `average` is that of the first n.

    >>> get_swa_avg_fn()(tensor([1.0]), tensor([4.0]), 2)
    tensor([2.])
    """
    return lambda average, value, count: average + (value - average) / (count + 1)


def _of_lists(average: Average) -> MultiAverage:
    """The same of two lists of tensors, the first of which is overwritten."""

    def update(averages: Sequence[MyTensor], values: Sequence[MyTensor], count: Any) -> None:
        with no_grad():
            for held, value in zip(averages, values, strict=True):
                held.copy_(average(held, value, count))

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """`get_ema_avg_fn` for lists of tensors: it overwrites the averages.

    >>> averages = [tensor([1.0])]
    >>> get_ema_multi_avg_fn(0.5)(averages, [tensor([2.0])], 1)
    >>> averages
    [tensor([1.5000])]
    """
    return _of_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> MultiAverage:
    """`get_swa_avg_fn` for lists of tensors: it overwrites the averages.

    >>> averages = [tensor([1.0])]
    >>> get_swa_multi_avg_fn()(averages, [tensor([2.0])], 1)
    >>> averages
    [tensor([1.5000])]
    """
    return _of_lists(get_swa_avg_fn())


class AveragedModel(NeuralNetwork):
    """A copy of a model, `module`, that holds a running average of its weights.

    Call `update_parameters(model)` after each step (EMA) or epoch (SWA). The first call copies the weights; each
    later one averages them by `multi_avg_fn` or `avg_fn`, by default equally, as `get_swa_avg_fn` does. Buffers are
    copied, or averaged too with `use_buffers`. Izmailov et al., "Averaging weights leads to wider optima and better
    generalization", 2018.

    >>> from mydl import nn
    >>> model = nn.Linear(2, 1)
    >>> ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    >>> ema.update_parameters(model)
    >>> ema(tensor([[1.0, 2.0]])).shape, ema.n_averaged
    ((1, 1), tensor(1))
    """

    def __init__(
        self,
        model: NeuralNetwork,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model makes of them."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: NeuralNetwork) -> None:
        """Take the model's present weights into the average."""
        buffers = [list(m.buffers()) for m in (self.module, model)]
        pairs: list[list[MyTensor]] = [list(m.parameters()) for m in (self.module, model)]
        if self.use_buffers:
            pairs = [list(chain(*lists)) for lists in zip(pairs, buffers)]
        mine, theirs = [[p.detach() for p in side] for side in pairs]
        if self.n_averaged.item():
            average = self.multi_avg_fn or _of_lists(self.avg_fn or get_swa_avg_fn())
            average(mine, [p.to(held.device) for p, held in zip(theirs, mine)], self.n_averaged)
        else:
            self._copy(mine, theirs)
        if not self.use_buffers:
            self._copy(*buffers)
        self.n_averaged += 1

    def _copy(self, targets: list[MyTensor], sources: list[MyTensor]) -> None:
        with no_grad():
            for target, source in zip(targets, sources, strict=True):
                target.copy_(source)


def update_bn(loader: Iterable[Any], model: NeuralNetwork, device: Any = None) -> None:
    """Batch normalisation's running statistics of `model` anew, as the mean over one pass through `loader`.

    A batch is a tensor, or a list or tuple whose first element is the model's input. Averaged weights need
    statistics of their own, since those of the model were taken with other weights.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    was_training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    with no_grad():
        for batch in loader:
            batch = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(batch if device is None else batch.to(device))
    for layer, momentum in zip(layers, momenta):
        layer.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """From each group's rate to `swa_lr` (one, or one for each group) in `anneal_epochs` steps, then constant.

    Along half a cosine, or a line with anneal_strategy="linear".

    >>> from mydl.optim import SGD
    >>> optimizer = SGD([tensor([1.0], requires_grad=True)], lr=0.1)
    >>> scheduler = SWALR(optimizer, swa_lr=0.05, anneal_epochs=1)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.05]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        for rate, group in zip(per_group(self, "swa_lr", optimizer, swa_lr), optimizer.param_groups):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'SWALR: wanted "cos" or "linear" as anneal_strategy, got {anneal_strategy!r}')
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: wanted anneal_epochs of at least 0, got {anneal_epochs!r}")
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of swa_lr there is in the rate after so many steps."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[Any]:
        """The mixture of the rate before the annealing, which the last mixture tells, and `swa_lr`."""
        step = self._step_count - 1 if self.anneal_epochs else max(1, self._step_count - 1)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            first = group["swa_lr"] if before == 1 else (group["lr"] - before * group["swa_lr"]) / (1 - before)
            rates.append(group["swa_lr"] * now + first * (1 - now))
        return rates
