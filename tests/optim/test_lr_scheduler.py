"""Every scheduler, step for step, against PyTorch's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import mydl
from mydl import optim

torch = pytest.importorskip("torch")

CASES = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda t: 0.95**t),
    "lambda per group": lambda s, o: s.LambdaLR(o, [lambda t: 0.95**t, lambda t: 1 / (1 + t)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda t: 0.9 if t % 7 else 1.5),
    "step": lambda s, o: s.StepLR(o, 7, gamma=0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [5, 20, 20, 33], gamma=0.3),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, total_iters=9),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.8, total_iters=20),
    "warm-up": lambda s, o: s.LinearLR(o),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "polynomial": lambda s, o: s.PolynomialLR(o, total_iters=40, power=2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 50, eta_min=0.001),
    "cosine up and down": lambda s, o: s.CosineAnnealingLR(o, 8, eta_min=0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 7, eta_min=0.001),
    "restarts growing": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5, T_mult=2),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.01, 0.1, step_size_up=5, step_size_down=9),
    "cyclic halved": lambda s, o: s.CyclicLR(o, [0.01, 0.02], [0.1, 0.3], 6, mode="triangular2"),
    "cyclic exponential": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 6, mode="exp_range", gamma=0.97),
    "cyclic own scale": lambda s, o: s.CyclicLR(
        o, 0.01, 0.1, 6, scale_fn=lambda x: 1 / (5 ** (x * 0.0001)), scale_mode="iterations"
    ),
    "cyclic without momentum": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 6, cycle_momentum=False),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=60),
    "one cycle linear": lambda s, o: s.OneCycleLR(
        o, [0.3, 0.5], epochs=6, steps_per_epoch=10, anneal_strategy="linear", pct_start=0.4, div_factor=10.0
    ),
    "one cycle in three": lambda s, o: s.OneCycleLR(o, 0.3, total_steps=60, three_phase=True, final_div_factor=50.0),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=10), s.CosineAnnealingLR(o, 40), s.ExponentialLR(o, 0.9)], [10, 45]
    ),
    "sequential of steps": lambda s, o: s.SequentialLR(
        o,
        [s.ConstantLR(o, 0.5, 20), s.StepLR(o, 5), s.MultiStepLR(o, [3, 9]), s.PolynomialLR(o, 20)],
        [8, 20, 36],
    ),
    "sequential with lambda": lambda s, o: s.SequentialLR(
        o, [s.LambdaLR(o, lambda t: (t + 1) / 10), s.CosineAnnealingWarmRestarts(o, 7)], [9]
    ),
    "chained": lambda s, o: s.ChainedScheduler(
        [s.ConstantLR(o, 0.1, total_iters=10), s.ExponentialLR(o, 0.95), s.StepLR(o, 9, 0.5)]
    ),
    "chained cosine": lambda s, o: s.ChainedScheduler(
        [s.LinearLR(o, 0.2, total_iters=6), s.CosineAnnealingLR(o, 13), s.MultiplicativeLR(o, lambda t: 0.99)]
    ),
    "sequential of chained": lambda s, o: s.SequentialLR(
        o,
        [s.ChainedScheduler([s.LinearLR(o, 0.5, total_iters=4), s.ExponentialLR(o, 0.9)]), s.StepLR(o, 6)],
        [15],
    ),
}


def make(module, tensor, name="SGD", **options):
    groups = [{"params": [tensor]}, {"params": [tensor * 0 + 1.0], "lr": 0.2}]
    groups[1]["params"][0] = groups[1]["params"][0].detach()
    return getattr(module, name)(groups, lr=0.05, **options)


def pair(case, name="SGD", **options):
    if name == "SGD":
        options.setdefault("momentum", 0.9)
    mine = make(optim, mydl.tensor([1.0], requires_grad=True), name, **options)
    theirs = make(torch.optim, torch.tensor([1.0], requires_grad=True), name, **options)
    return mine, theirs, case(optim.lr_scheduler, mine), case(torch.optim.lr_scheduler, theirs)


def rates(optimizer):
    keys = ("lr", "momentum", "betas")
    return [[group[key] for key in keys if key in group] for group in optimizer.param_groups]


def assert_equal(mine, theirs, ours, reference):
    for got, wanted in zip(rates(mine), rates(theirs), strict=True):
        np.testing.assert_allclose(np.hstack(got), np.hstack(wanted), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(ours.get_last_lr(), reference.get_last_lr(), rtol=1e-12, atol=1e-15)
    if hasattr(reference, "last_epoch"):
        assert ours.last_epoch == reference.last_epoch


# A chained scheduler that a sequential one starts steps its parts before the optimizer; both libraries warn.
in_any_order = pytest.mark.filterwarnings("ignore:.*before.*optimizer.step:UserWarning")


@in_any_order
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("case", CASES)
def test_equal_to_torch_for_sixty_steps(case, optimizer):
    mine, theirs, ours, reference = pair(CASES[case], optimizer)
    assert_equal(mine, theirs, ours, reference)
    for _ in range(60):
        mine.step()
        theirs.step()
        ours.step()
        reference.step()
        assert_equal(mine, theirs, ours, reference)


@in_any_order
@pytest.mark.parametrize("case", CASES)
def test_state_dict_restores_the_middle_of_a_schedule(case):
    """Saved after 25 steps, by mydl and by PyTorch, and loaded into new schedulers that go on from there."""
    mine, theirs, ours, reference = pair(CASES[case])
    for _ in range(25):
        mine.step()
        theirs.step()
        ours.step()
        reference.step()
    again, _, restored, _ = pair(CASES[case])
    again.load_state_dict(mine.state_dict())
    restored.load_state_dict(ours.state_dict())
    other, _, from_torch, _ = pair(CASES[case])
    other.load_state_dict({"state": {}, "param_groups": theirs.state_dict()["param_groups"]})
    from_torch.load_state_dict(reference.state_dict())
    for _ in range(30):
        for optimizer, scheduler in ((theirs, reference), (again, restored), (other, from_torch)):
            optimizer.step()
            scheduler.step()
        assert_equal(again, theirs, restored, reference)
        assert_equal(other, theirs, from_torch, reference)


@pytest.mark.parametrize("case", ["step", "multistep", "exponential", "cosine", "linear", "polynomial", "constant"])
def test_closed_form_at_a_given_epoch(case):
    mine, theirs, ours, reference = pair(CASES[case])
    mine.step()
    theirs.step()
    for epoch in (3, 11, 30, 59):
        with pytest.warns(UserWarning):
            ours.step(epoch)
        with pytest.warns(UserWarning):
            reference.step(epoch)
        assert_equal(mine, theirs, ours, reference)


@pytest.mark.parametrize("growth", [1, 2])
def test_restarts_at_fractions_of_an_epoch(growth):
    mine, theirs, ours, reference = pair(lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=growth))
    for epoch in (0, 0.25, 2.9, 3, 3.5, 8.75, 9, 21.5, 1):
        ours.step(epoch)
        reference.step(epoch)
        assert_equal(mine, theirs, ours, reference)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize(
    "options", [{}, {"patience": 2, "cooldown": 3}, {"patience": 1, "min_lr": [0.01, 0.001], "factor": 0.3}]
)
def test_reduce_on_plateau(mode, threshold_mode, options):
    def case(s, o):
        return s.ReduceLROnPlateau(o, mode, threshold=0.05, threshold_mode=threshold_mode, **options)

    mine, theirs, ours, reference = pair(case)
    rng = np.random.default_rng(2)
    for step in range(60):
        metric = float(np.round(rng.normal() * 0.1 + (1 if step % 20 else 0.2), 2))
        ours.step(mydl.tensor(metric, dtype=np.float64))
        reference.step(metric)
        assert_equal(mine, theirs, ours, reference)
        assert ours.num_bad_epochs == reference.num_bad_epochs
        assert ours.best == reference.best
        if step == 30:
            again, _, restored, _ = pair(case)
            again.load_state_dict(mine.state_dict())
            restored.load_state_dict(ours.state_dict())
            mine, ours = again, restored


def test_going_on_from_a_given_step():
    """last_epoch without a state dict: the optimizer's loaded groups say where the rates stand."""
    mine, theirs, ours, reference = pair(CASES["cosine"])
    for _ in range(10):
        mine.step()
        theirs.step()
        ours.step()
        reference.step()
    ours = optim.lr_scheduler.CosineAnnealingLR(mine, 50, eta_min=0.001, last_epoch=9)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 50, eta_min=0.001, last_epoch=9)
    for _ in range(10):
        assert_equal(mine, theirs, ours, reference)
        ours.step()
        reference.step()
    with pytest.raises(ValueError, match="initial_lr"):
        optim.lr_scheduler.StepLR(make(optim, mydl.tensor([1.0])), 5, last_epoch=3)


def test_a_callable_object_is_part_of_the_state():
    class Decay:
        def __init__(self, base):
            self.base = base

        def __call__(self, t):
            return self.base**t

    mine = make(optim, mydl.tensor([1.0]), momentum=0.9)
    saved = optim.lr_scheduler.LambdaLR(mine, Decay(0.5)).state_dict()
    other = optim.lr_scheduler.LambdaLR(mine, Decay(0.9))
    other.load_state_dict(saved)
    assert other.lr_lambdas[0].base == 0.5
    assert saved["lr_lambdas"] == [{"base": 0.5}] * 2
    cyclic = optim.lr_scheduler.CyclicLR(mine, 0.1, 0.2, scale_fn=Decay(0.3)).state_dict()
    loaded = optim.lr_scheduler.CyclicLR(mine, 0.1, 0.2, scale_fn=Decay(0.6))
    loaded.load_state_dict(cyclic)
    assert loaded.scale_fn(2) == 0.3**2


def test_the_wrong_order_warns_once_as_in_torch():
    optimizer = make(optim, mydl.tensor([1.0]))
    scheduler = optim.lr_scheduler.StepLR(optimizer, 5)
    with pytest.warns(UserWarning, match=r"before optimizer.step"):
        scheduler.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def test_a_scheduler_of_the_users_own():
    class Own(optim.lr_scheduler.LRScheduler):
        def get_lr(self):
            return [lr / (1 + self.last_epoch) for lr in self.base_lrs]

    optimizer = make(optim, mydl.tensor([1.0]))
    scheduler = Own(optimizer)
    for _ in range(3):
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(scheduler.get_last_lr(), [0.05 / 4, 0.05])


BAD = [
    lambda s, o: s.ConstantLR(o, 1.5),
    lambda s, o: s.LinearLR(o, 0.0),
    lambda s, o: s.LinearLR(o, 0.5, 1.5),
    lambda s, o: s.LambdaLR(o, [lambda t: t]),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, T_mult=0),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3).step(-1),
    lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="square"),
    lambda s, o: s.CyclicLR(o, 0.1, [0.2]),
    lambda s, o: s.OneCycleLR(o, 0.1),
    lambda s, o: s.OneCycleLR(o, 0.1, total_steps=0),
    lambda s, o: s.OneCycleLR(o, 0.1, total_steps=10, pct_start=2.0),
    lambda s, o: s.OneCycleLR(o, 0.1, total_steps=10, anneal_strategy="square"),
    lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    lambda s, o: s.ReduceLROnPlateau(o, mode="best"),
    lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    lambda s, o: s.SequentialLR(o, [], []),
    lambda s, o: s.SequentialLR(o, [s.StepLR(o, 5)], [3]),
    lambda s, o: s.SequentialLR(o, [s.StepLR(o, 5), s.ReduceLROnPlateau(o)], [3]),
    lambda s, o: s.ChainedScheduler([]),
]


@pytest.mark.parametrize("case", range(len(BAD)))
def test_bad_options_are_refused_as_by_torch(case):
    with pytest.raises(ValueError):
        BAD[case](torch.optim.lr_scheduler, make(torch.optim, torch.tensor([1.0], requires_grad=True), momentum=0.9))
    with pytest.raises(ValueError):
        BAD[case](optim.lr_scheduler, make(optim, mydl.tensor([1.0], requires_grad=True), momentum=0.9))


def test_other_refusals():
    schedulers = optim.lr_scheduler
    optimizer, other = make(optim, mydl.tensor([1.0])), make(optim, mydl.tensor([1.0]))
    with pytest.raises(TypeError, match="optimizer"):
        schedulers.StepLR(None, 5)
    with pytest.raises(TypeError, match="function"):
        schedulers.MultiplicativeLR(optimizer, 0.5)
    with pytest.raises(ValueError, match="another optimizer"):
        schedulers.SequentialLR(optimizer, [schedulers.StepLR(optimizer, 5), schedulers.StepLR(other, 5)], [3])
    with pytest.raises(ValueError, match="momentum"):
        schedulers.OneCycleLR(optim.Adagrad([mydl.tensor([1.0])]), 0.1, total_steps=5)
    cycle = schedulers.OneCycleLR(optim.SGD([mydl.tensor([1.0])]), 0.1, total_steps=2)
    cycle.optimizer.step()
    cycle.step()
    cycle.step()
    with pytest.raises(ValueError, match="2 steps"):
        cycle.step()
