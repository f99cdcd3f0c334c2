"""Averages of weights and their schedule, step for step beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl import nn, optim
from mydl.optim import swa_utils

torch = pytest.importorskip("torch")

LIBRARIES = ((mydl, nn, optim), (torch, torch.nn, torch.optim))


def numbers(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def weights(model):
    return {key: value.numpy().copy() for key, value in model.state_dict().items()}


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("kind", ["default", "swa", "ema", "multi swa", "multi ema"])
def test_averages(kind, use_buffers):
    found = []
    for library, modules, optimizers in LIBRARIES:
        utils = optimizers.swa_utils
        model = modules.Sequential(modules.Linear(3, 4), modules.BatchNorm1d(4), modules.Linear(4, 2)).double()
        for number, p in enumerate(model.parameters()):
            p.data.copy_(library.tensor(numbers(number, *p.shape)))
        options = {
            "default": {},
            "swa": {"avg_fn": utils.get_swa_avg_fn()},
            "ema": {"avg_fn": utils.get_ema_avg_fn(0.9)},
            "multi swa": {"multi_avg_fn": utils.get_swa_multi_avg_fn()},
            "multi ema": {"multi_avg_fn": utils.get_ema_multi_avg_fn(0.9)},
        }[kind]
        averaged = utils.AveragedModel(model, use_buffers=use_buffers and "multi" not in kind, **options)
        optimizer = optimizers.SGD(model.parameters(), lr=0.1)
        for step in range(4):
            optimizer.zero_grad()
            (model(library.tensor(numbers(step, 5, 3))) ** 2).mean().backward()
            optimizer.step()
            averaged.update_parameters(model)
        utils.update_bn([[library.tensor(numbers(step, 6, 3))] for step in (7, 8)], averaged)
        output = averaged.eval()(library.tensor(numbers(9, 2, 3)))
        found.append({**weights(averaged), "output": output.detach().numpy()})
    mine, theirs = found
    assert list(mine) == list(theirs)
    for key in mine:
        rtol = 1e-6 if kind == "multi swa" else 1e-8  # PyTorch's has 1 / (n + 1) in single precision
        np.testing.assert_allclose(mine[key], theirs[key], rtol=rtol, atol=1e-10, err_msg=key)


def test_the_average_has_memory_of_its_own():
    model = nn.Linear(2, 1)
    optim.SGD(model.parameters(), lr=1.0)  # parameters in a flat buffer
    averaged = swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    before = weights(averaged)
    for p in model.parameters():
        p.data.add_(1.0)
    assert all((weights(averaged)[key] == before[key]).all() for key in before)


@pytest.mark.parametrize("options", [{}, {"anneal_strategy": "linear"}, {"anneal_epochs": 0}, {"anneal_epochs": 3}])
def test_schedule(options):
    found = []
    for library, _, optimizers in LIBRARIES:
        x = [library.tensor([1.0], requires_grad=True) for _ in range(2)]
        optimizer = optimizers.SGD([{"params": [x[0]]}, {"params": [x[1]], "lr": 0.3}], lr=0.1)
        decay = optimizers.lr_scheduler.ExponentialLR(optimizer, 0.9)
        swa = optimizers.swa_utils.SWALR(optimizer, swa_lr=[0.05, 0.01], **options)
        rates = []
        for step in range(15):
            optimizer.step()
            (decay if step < 3 else swa).step()
            rates.append([group["lr"] for group in optimizer.param_groups])
        found.append(rates)
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="decay from 0 to 1"):
        swa_utils.get_ema_multi_avg_fn(1.5)
    with pytest.raises(ValueError, match="not both"):
        swa_utils.AveragedModel(nn.ReLU(), avg_fn=min, multi_avg_fn=min)
    optimizer = optim.SGD([mydl.ones(1, requires_grad=True)], lr=0.1)
    for options in ({"anneal_strategy": "steps"}, {"anneal_epochs": -1}, {"swa_lr": [0.1, 0.2]}):
        with pytest.raises(ValueError, match="SWALR"):
            swa_utils.SWALR(optimizer, **{"swa_lr": 0.1, **options})
