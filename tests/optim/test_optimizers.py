"""Every optimizer, with every option, against PyTorch's in float64 over many steps."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import mydl
from mydl import kernels, optim

torch = pytest.importorskip("torch")

SHAPES = [(4, 3), (5,), (), (2, 1, 3), (0, 2), (7,)]

CASES = [
    ("SGD", {}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.02, "amsgrad": True, "maximize": True}),
    ("Adam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("Adam", {"lr": 0.02, "fused": True}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.7, "eps": 1e-3, "weight_decay": 0.1, "centered": True}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9, "maximize": True}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9, "centered": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adagrad", {"lr": 0.1, "eps": 1e-3, "maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {"lr": 0.02, "betas": (0.5, 0.6)}),  # never enough steps to rectify
    ("Adamax", {}),
    ("Adamax", {"lr": 0.02, "betas": (0.8, 0.7), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.05, "etas": (0.3, 1.5), "step_sizes": (0.02, 0.2), "maximize": True}),
]


def both(shapes=SHAPES, seed=0, dtype=np.float64):
    """The same parameters for mydl and for PyTorch."""
    rng = np.random.default_rng(seed)
    values = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in shapes]
    ours = [mydl.tensor(value, requires_grad=True) for value in values]
    return ours, [torch.tensor(value, requires_grad=True) for value in values]


def give_gradients(ours, theirs, step, absent=()):
    """New gradients by backward, the same on both sides; none for the parameters numbered in `absent`."""
    rng = np.random.default_rng(1000 + step)
    for number, (p, q) in enumerate(zip(ours, theirs, strict=True)):
        gradient = rng.normal(size=p.shape) * 10.0 ** rng.integers(-2, 2)
        p.grad = q.grad = None
        if number not in absent:
            gradient = np.asarray(gradient).astype(p.dtype)
            (p * mydl.tensor(gradient)).sum().backward()
            q.grad = torch.tensor(gradient, dtype=q.dtype)


def assert_same(ours, theirs):
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-9, atol=1e-9)


def absent_at(step):
    """Which parameters have no gradient: now the middle, now both ends, and one in the first steps."""
    return {*([1] if step % 3 == 0 else []), *([0, 5] if step % 5 == 2 else []), *([3] if step < 4 else [])}


def to_torch(state_dict):
    state = {
        number: {name: torch.tensor(value.numpy()) for name, value in values.items()}
        for number, values in state_dict["state"].items()
    }
    return {"state": state, "param_groups": state_dict["param_groups"]}


def to_arrays(state_dict):
    state = {
        number: {name: value.numpy().copy() for name, value in values.items()}
        for number, values in state_dict["state"].items()
    }
    return {"state": state, "param_groups": state_dict["param_groups"]}


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
def test_equal_to_torch_over_many_steps(name, options):
    ours, theirs = both()
    mine = getattr(optim, name)(ours, **options)
    reference = getattr(torch.optim, name)(theirs, **options)
    assert mine.defaults == reference.defaults
    assert repr(mine) == repr(reference)
    for step in range(35):
        give_gradients(ours, theirs, step, absent_at(step))
        mine.step()
        reference.step()
        assert_same(ours, theirs)


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
def test_state_moves_between_torch_and_mydl(name, options):
    """Ten steps on each side, then each goes on from the other's state, loaded in the middle of a run."""
    ours, theirs = both()
    mine = getattr(optim, name)(ours, **options)
    reference = getattr(torch.optim, name)(theirs, **options)
    for step in range(10):
        give_gradients(ours, theirs, step, absent_at(step))
        mine.step()
        reference.step()
    my_state, their_state = mine.state_dict(), reference.state_dict()
    assert my_state["param_groups"] == their_state["param_groups"]
    assert {n: set(v) for n, v in my_state["state"].items()} == {n: set(v) for n, v in their_state["state"].items()}
    my_state = to_torch(my_state)
    mine.load_state_dict(to_arrays(their_state))
    reference.load_state_dict(my_state)
    for step in range(10, 30):
        give_gradients(ours, theirs, step, absent_at(step))
        mine.step()
        reference.step()
        assert_same(ours, theirs)


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
def test_load_into_fresh_optimizer_continues(name, options):
    """Saved, loaded and continued is the same as without a break; the saved state is not changed by it."""
    ours, theirs = both(dtype=np.float32)
    mine = getattr(optim, name)(ours, **options)
    for step in range(5):
        give_gradients(ours, theirs, step, absent_at(step))
        mine.step()
    again = [mydl.tensor(p.detach(), requires_grad=True) for p in ours]
    saved = mine.state_dict()
    other = getattr(optim, name)(again)
    other.load_state_dict(saved)
    before = copy.deepcopy(saved)
    for step in range(5, 10):
        give_gradients(again, theirs, step, absent_at(step))
        other.step()
    for number, values in before["state"].items():
        for key, value in values.items():
            np.testing.assert_array_equal(saved["state"][number][key].numpy(), value.numpy())
    for step in range(5, 10):
        give_gradients(ours, theirs, step, absent_at(step))
        mine.step()
    for p, q in zip(ours, again, strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "NAdam"])
def test_groups_with_options_of_their_own(name):
    ours, theirs = both()
    wide = {"weight_decay": 0.2, "maximize": True}

    def make(module, p):
        optimizer = getattr(module, name)([{"params": p[:2], "lr": 0.05}, {"params": iter(p[2:4]), **wide}], lr=0.01)
        optimizer.add_param_group({"params": p[4:], "lr": 0.02})
        return optimizer

    mine, reference = make(optim, ours), make(torch.optim, theirs)
    assert repr(mine) == repr(reference)
    assert mine.state_dict()["param_groups"] == reference.state_dict()["param_groups"]
    for step in range(30):
        give_gradients(ours, theirs, step, absent_at(step))
        for group, their_group in zip(mine.param_groups, reference.param_groups, strict=True):
            group["lr"] = their_group["lr"] = 0.01 + 0.001 * step
        mine.step()
        reference.step()
        assert_same(ours, theirs)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam"])
def test_options_changed_in_the_middle_of_a_run(name):
    """Momentum or amsgrad switched on, off and on again: the state rests and goes on as in PyTorch."""
    option, values = ("amsgrad", (True, False)) if name == "Adam" else ("momentum", (0.9, 0))
    ours, theirs = both()
    mine = getattr(optim, name)(ours, lr=0.01, **{option: values[0]})
    reference = getattr(torch.optim, name)(theirs, lr=0.01, **{option: values[0]})
    for step in range(20):
        on = not 5 <= step < 10
        mine.param_groups[0][option] = reference.param_groups[0][option] = values[0 if on else 1]
        give_gradients(ours, theirs, step, absent_at(step))
        mine.step()
        reference.step()
        assert_same(ours, theirs)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "NAdam", "RAdam"])
def test_complex_parameters(name):
    rng = np.random.default_rng(3)
    value = rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2))
    p, q = mydl.tensor(value, requires_grad=True), torch.tensor(value, requires_grad=True)
    options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    mine, reference = (
        getattr(optim, name)([p], lr=0.1, **options),
        getattr(torch.optim, name)([q], lr=0.1, **options),
    )
    for _ in range(5):
        gradient = rng.normal(size=(3, 2)) + 1j * rng.normal(size=(3, 2))
        p.grad, q.grad = mydl.tensor(gradient), torch.tensor(gradient)
        mine.step()
        reference.step()
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-9)


@pytest.mark.parametrize("forced", ["reference", None])
@pytest.mark.parametrize(("name", "options"), CASES[:12], ids=lambda value: str(value))
def test_float32_with_both_kernels(name, options, forced):
    """The fast kernels and the reference follow PyTorch in float32 too, over sizes above one block."""
    ours, theirs = both([(300, 200), (1001,)], dtype=np.float32)
    with kernels.use(forced):
        mine = getattr(optim, name)(ours, **options)
        reference = getattr(torch.optim, name)(theirs, **options)
        rng = np.random.default_rng(5)
        for _ in range(5):
            for p, q in zip(ours, theirs, strict=True):
                gradient = rng.normal(size=p.shape).astype(np.float32)
                p.grad, q.grad = mydl.tensor(gradient), torch.tensor(gradient)
            mine.step()
            reference.step()
    for p, q in zip(ours, theirs, strict=True):
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=2e-5, atol=2e-6)


def test_momentum_is_sgd_with_momentum():
    ours, theirs = both()
    mine, reference = optim.Momentum(ours), torch.optim.SGD(theirs, lr=0.01, momentum=0.9)
    for step in range(10):
        give_gradients(ours, theirs, step)
        mine.step()
        reference.step()
    assert_same(ours, theirs)
    assert optim.Momentum(ours, nesterov=True).defaults["nesterov"] is True


def test_learning_rate_as_a_tensor():
    ours, theirs = both()
    mine, reference = (
        optim.Adam(ours, lr=mydl.tensor(0.1, dtype=np.float64)),
        torch.optim.Adam(theirs, lr=torch.tensor(0.1, dtype=torch.float64)),
    )
    decay = optim.lr_scheduler.ExponentialLR(mine, 0.5)
    their_decay = torch.optim.lr_scheduler.ExponentialLR(reference, 0.5)
    for step in range(5):
        give_gradients(ours, theirs, step)
        mine.step()
        reference.step()
        decay.step()
        their_decay.step()
        assert_same(ours, theirs)
    assert mine.param_groups[0]["lr"].item() == reference.param_groups[0]["lr"].item()


def test_closure_is_called_with_gradients_recorded():
    x = mydl.tensor([3.0], requires_grad=True)
    optimizer = optim.SGD([x], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with mydl.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 9.0
    assert x.item() == 1.5


def test_not_a_number_and_infinity_pass_as_in_torch_and_without_a_warning():
    for name in ("SGD", "Adam", "RMSprop", "Adadelta", "NAdam", "RAdam", "Adagrad"):
        ours, theirs = both([(3,)])
        mine, reference = getattr(optim, name)(ours), getattr(torch.optim, name)(theirs)
        gradient = np.array([np.nan, np.inf, 1e300])
        ours[0].grad, theirs[0].grad = mydl.tensor(gradient), torch.tensor(gradient)
        mine.step()
        reference.step()
        np.testing.assert_allclose(ours[0].detach().numpy(), theirs[0].detach().numpy())


BAD_OPTIONS = [
    ("SGD", {"lr": -1}),
    ("SGD", {"momentum": -0.1}),
    ("SGD", {"weight_decay": -0.1}),
    ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
    ("Adam", {"lr": -1}),
    ("Adam", {"lr": float("nan")}),
    ("Adam", {"betas": (1.0, 0.9)}),
    ("Adam", {"betas": (0.9, -0.1)}),
    ("Adam", {"eps": -1e-8}),
    ("AdamW", {"weight_decay": -1}),
    ("RMSprop", {"alpha": -0.5}),
    ("RMSprop", {"momentum": -0.5}),
    ("Adagrad", {"lr_decay": -1}),
    ("Adagrad", {"initial_accumulator_value": -1}),
    ("Adadelta", {"rho": 1.1}),
    ("NAdam", {"momentum_decay": -1}),
    ("RAdam", {"betas": (0.9, 1.0)}),
]


@pytest.mark.parametrize(("name", "options"), BAD_OPTIONS, ids=lambda value: str(value))
def test_bad_options_are_refused_as_by_torch(name, options):
    ours, theirs = both()
    with pytest.raises(ValueError):
        getattr(torch.optim, name)(theirs, **options)
    with pytest.raises(ValueError, match=name):
        getattr(optim, name)(ours, **options)


def test_what_is_left_out_says_so():
    ours, _ = both()
    with pytest.raises(NotImplementedError, match="differentiable"):
        optim.SGD(ours, differentiable=True)
    with pytest.raises(NotImplementedError, match="capturable"):
        optim.Adam(ours, capturable=True)
    with pytest.raises(RuntimeError, match="foreach and fused"):
        optim.Adam(ours, foreach=True, fused=True)
    with pytest.raises(TypeError, match="lr"):
        optim.SGD(ours, lr="fast")


@pytest.mark.parametrize(
    "options", [{}, {"max_iter": 4, "history_size": 2}, {"lr": 0.3, "tolerance_change": 0.1}, {"max_eval": 3}]
)
def test_lbfgs(options):
    results = []
    for library, parameters in zip((mydl, torch), both([(3, 2), (2,)])):
        optimizer = library.optim.LBFGS(parameters, **options)
        data, wanted = (library.tensor(np.random.default_rng(s).normal(size=n)) for s, n in ((1, (9, 3)), (2, (9, 2))))

        def closure(library=library, parameters=parameters, optimizer=optimizer, data=data, wanted=wanted):
            optimizer.zero_grad()
            difference = library.tanh(data @ parameters[0] + parameters[1]) - wanted
            loss = (difference * difference).sum() + 0.1 * (parameters[0] ** 4).sum()
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(4)]
        state = optimizer.state_dict()["state"][0]
        counts = [state[name] for name in ("n_iter", "func_evals")]
        results.append((losses, counts, *(p.detach().numpy() for p in parameters)))
    for mine, reference in zip(*results):
        np.testing.assert_allclose(mine, reference, rtol=1e-8)


def test_lbfgs_refuses_what_it_has_not():
    parameters = both([(2,)])[0]
    with pytest.raises(NotImplementedError, match="strong_wolfe"):
        optim.LBFGS(parameters, line_search_fn="strong_wolfe")
    with pytest.raises(ValueError, match="one parameter group"):
        optim.LBFGS([{"params": parameters}, {"params": both([(2,)])[0]}])
    with pytest.raises(ValueError, match="closure"):
        optim.LBFGS(parameters).step()


def test_rprop_refuses_factors_on_the_wrong_side_of_1():
    with pytest.raises(ValueError, match="etas"):
        optim.Rprop(both([(2,)])[0], etas=(1.2, 0.5))
