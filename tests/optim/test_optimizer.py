"""Parameter groups, state dicts, errors and hooks: what all optimizers share."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import mydl
from mydl.optim import SGD, Adam, Optimizer
from mydl.optim.optimizer import required


def parameter(*values):
    return mydl.tensor(np.array(values), requires_grad=True)


def test_parameters_come_as_lists_generators_names_and_groups():
    x, y = parameter(1.0), parameter(2.0)
    assert SGD(p for p in (x, y)).param_groups[0]["params"] == [x, y]
    named = SGD([("x", x), ("y", y)])
    assert named.param_groups[0]["params"] == [x, y]
    assert named.param_groups[0]["param_names"] == ["x", "y"]
    groups = SGD([{"params": x, "lr": 0.5}, {"params": [y]}], lr=0.1).param_groups
    assert [group["lr"] for group in groups] == [0.5, 0.1]
    assert groups[0]["params"] == [x]


def test_bad_parameters_are_refused():
    x, y = parameter(1.0), parameter(2.0)
    with pytest.raises(ValueError, match="no parameters"):
        SGD([])
    with pytest.raises(TypeError, match="list of tensors"):
        SGD(x)
    with pytest.raises(TypeError, match="ndarray"):
        SGD([np.ones(2)])
    with pytest.raises(TypeError, match="set"):
        SGD([{"params": {x, y}}])
    with pytest.raises(TypeError, match="dict"):
        SGD([x]).add_param_group([y])
    with pytest.raises(ValueError, match="not a leaf"):
        SGD([x * 2])
    with pytest.raises(ValueError, match="more than one"):
        SGD([{"params": [x]}, {"params": [y, x]}])
    with pytest.raises(ValueError, match="names"):
        SGD([("x", x), y])
    with pytest.raises(ValueError, match="names"):
        SGD([{"params": [("x", x)]}, {"params": [y]}])
    with pytest.warns(UserWarning, match="twice"):
        SGD([x, x])


def test_a_tensor_that_retains_its_gradient_can_be_optimized():
    x = parameter(1.0)
    y = x * 2
    y.retain_grad()
    optimizer = SGD([y], lr=0.5)
    (y * 3).sum().backward()
    optimizer.step()
    assert y.tolist() == [0.5]


def test_load_state_dict_refuses_another_shape_of_optimizer():
    x, y = parameter(1.0), parameter(2.0)
    with pytest.raises(ValueError, match=r"\[1\].*\[2\]"):
        SGD([x, y]).load_state_dict(SGD([x]).state_dict())
    with pytest.raises(ValueError, match=r"\[1, 1\]"):
        SGD([x, y]).load_state_dict(SGD([{"params": [x]}, {"params": [y]}]).state_dict())
    optimizer = Adam([x])
    x.grad = mydl.tensor([1.0], dtype=np.float64)
    optimizer.step()
    wrong = optimizer.state_dict()
    wrong["state"][0]["exp_avg"] = mydl.tensor([1.0, 2.0])
    optimizer.load_state_dict(wrong)
    with pytest.raises(RuntimeError, match="exp_avg"):
        optimizer.step()


def test_load_state_dict_casts_to_the_parameters_dtype_but_not_the_step():
    x, y = parameter(1.0), mydl.tensor([1.0], requires_grad=True)
    optimizer = Adam([x])
    x.grad = mydl.tensor([1.0], dtype=np.float64)
    optimizer.step()
    other = Adam([y], lr=7.0)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[y]["exp_avg"].dtype == np.float32
    assert other.state[y]["step"].dtype == np.float32
    assert other.param_groups[0]["lr"] == 1e-3
    number = optimizer.state_dict()
    number["state"][0] = {"step": 5, "exp_avg": [0.5], "exp_avg_sq": np.array([0.25])}
    number["state"][0]["exp_avg"] = np.array([0.5])
    other.load_state_dict(number)
    y.grad = mydl.tensor([1.0])
    other.step()
    assert other.state[y]["step"].item() == 6


def test_state_dict_lists_only_parameters_that_were_updated():
    x, y = parameter(1.0), parameter(2.0)
    optimizer = Adam([x, y])
    y.grad = mydl.tensor([1.0], dtype=np.float64)
    optimizer.step()
    assert list(optimizer.state_dict()["state"]) == [1]
    assert list(SGD([x, y]).state_dict()["state"]) == []


def test_zero_grad():
    x = parameter(1.0, 2.0)
    optimizer = SGD([x])
    (x * x).sum().backward()
    held = x.grad
    optimizer.zero_grad(set_to_none=False)
    assert x.grad is held
    assert held.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert x.grad is None
    (x * x * x).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    optimizer.zero_grad(set_to_none=False)
    assert not x.grad.requires_grad
    assert x.grad.tolist() == [0.0, 0.0]


def test_step_hooks_run_around_the_step_until_removed():
    x = parameter(1.0)
    optimizer = SGD([x], lr=1.0)
    seen = []
    before = optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(("before", x.item())))
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("after", x.item())))
    x.grad = mydl.tensor([0.5], dtype=np.float64)
    optimizer.step()
    before.remove()
    optimizer.step()
    assert seen == [("before", 1.0), ("after", 0.5), ("after", 0.0)]


def test_an_optimizer_of_the_users_own():
    class Halving(Optimizer):
        def __init__(self, params):
            super().__init__(params, {"factor": 0.5})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.state[p]["count"] = self.state[p].get("count", 0) + 1
                        p.data.mul_(group["factor"])

    x, y = parameter(4.0), parameter(4.0)
    array = x.array
    optimizer = Halving([x, y])
    x.grad = mydl.tensor([1.0], dtype=np.float64)
    optimizer.step()
    assert x.array is array  # its parameters are left where they are
    assert (x.item(), y.item()) == (2.0, 4.0)
    assert optimizer.state_dict()["state"] == {0: {"count": 1}}
    saved = optimizer.state_dict()
    saved["state"][0]["step"] = 3  # a name that mydl's own optimizers keep an array under
    optimizer.load_state_dict(saved)
    assert type(optimizer.state[x]["step"]) is int
    with pytest.raises(ValueError, match="wanted lr in the parameter group"):
        Optimizer([{"params": [x], "lr": 0.1}, {"params": [y]}], {"lr": required})
    with pytest.raises(NotImplementedError, match="step"):
        Optimizer([x], {}).step()


def test_deepcopy_of_parameters_and_optimizer_together_is_independent():
    x = parameter(1.0, 2.0)
    optimizer = Adam([x], lr=0.1)
    for _ in range(3):
        x.grad = mydl.tensor([1.0, -1.0], dtype=np.float64)
        optimizer.step()
    y, copied = copy.deepcopy((x, optimizer))
    assert copied.param_groups[0]["params"][0] is y
    before = x.tolist()
    y.grad = mydl.tensor([1.0, -1.0], dtype=np.float64)
    copied.step()
    assert x.tolist() == before
    assert optimizer.state[x]["step"].item() == 3
    assert copied.state[y]["step"].item() == 4
    x.grad = mydl.tensor([1.0, -1.0], dtype=np.float64)
    optimizer.step()
    assert x.tolist() == y.tolist()


def test_state_that_the_user_sets_or_takes_away_counts():
    x, y = parameter(1.0, 2.0), parameter(1.0, 2.0)
    mine, fresh = Adam([x], lr=0.1), Adam([y], lr=0.1)
    gradient = mydl.tensor([1.0, -1.0], dtype=np.float64)
    x.grad = gradient
    for _ in range(3):
        mine.step()
    with mydl.no_grad():
        x.copy_(y)
    mine.state.clear()
    y.grad = gradient.clone()
    mine.step()
    fresh.step()
    assert x.tolist() == y.tolist()
    mine.state[x]["exp_avg"] = mydl.tensor([5.0, 5.0], dtype=np.float64)
    fresh.state[y]["exp_avg"].array[...] = 5.0
    mine.step()
    fresh.step()
    assert x.tolist() == y.tolist()
