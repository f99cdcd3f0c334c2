"""mydl.cuda.graphed on the stand-in: a replayed step does what the step itself does, to the last bit or nearly so."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import numpy as np
import pytest

import mydl
from models.mlp import MLP
from models.resnet import ResNet
from mydl import nn, optim
from mydl.nn import functional as F
from tests.strict_cupy.host_cuda import COMPILER

MODELS = [
    pytest.param(lambda: MLP(hidden=(30, 20), dropout=0.3), id="mlp"),
    pytest.param(lambda: ResNet(channels=(2, 3), blocks=1), id="resnet"),
]
pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs g++ or clang++ to run the CUDA kernels on the host")

OPTIMIZERS = {
    "adam": lambda p: optim.Adam(p, lr=1e-2),
    "amsgrad": lambda p: optim.Adam(p, lr=1e-2, amsgrad=True, weight_decay=0.1),
    "adamw": lambda p: optim.AdamW(p, lr=1e-2),
    "sgd": lambda p: optim.SGD(p, lr=0.1, weight_decay=0.01),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
}


def batches(count: int, size: int = 4, classes: int = 10) -> list:
    rng = np.random.default_rng(0)
    labels = [np.concatenate([[0, classes - 1], rng.integers(0, classes, size - 2)]) for _ in range(count)]
    return [(mydl.tensor(rng.normal(size=(size, 1, 28, 28))), mydl.tensor(chosen)) for chosen in labels]


class Training:
    """A model, an optimizer, and a step that a test can change."""

    def __init__(self, make: Any, optimizer: str = "adam", replayed: bool = True, **more: Any) -> None:
        mydl.manual_seed(5)
        self.model = make().double().to("cuda")
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())
        self.runs = 0
        self.more = more
        self.step = mydl.cuda.graphed(self.run) if replayed else self.on_gpu

    def run(self, images: Any, labels: Any) -> Any:
        self.runs += 1
        self.optimizer.zero_grad()
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        if "clip" in self.more:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.more["clip"])
        self.optimizer.step()
        return loss, (logits.argmax(1) == labels).sum()

    def on_gpu(self, images: Any, labels: Any) -> Any:
        return [value.detach() for value in self.run(images.to("cuda"), labels.to("cuda"))]

    def state(self) -> list[np.ndarray]:
        """All that training changes, on the host."""
        moments = [s[name] for s in self.optimizer.state_dict()["state"].values() for name in sorted(s)]
        return [value.numpy().copy() for value in (*self.model.state_dict().values(), *moments)]


def assert_same(a: Training, b: Training) -> None:
    for ours, theirs in zip(a.state(), b.state(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-10)


def compare(make: Any, count: int = 6, optimizer: str = "adam", between: Any = None, **more: Any) -> Training:
    """Train with the step itself and with its replays; `between(training, step)` is called before each step."""
    made = []
    for replayed in (False, True):
        training = Training(make, optimizer, replayed, **more)
        results = []
        for number, batch in enumerate(batches(count)):
            if between is not None:
                between(training, number)
            results.append([part.numpy() for part in training.step(*batch)])
        draws = mydl.default_generator.get_state()
        made.append((training, results, draws, mydl.rand(3).numpy()))
    (eager, expected, state, after), (training, found, *rest) = made
    np.testing.assert_allclose(np.array(found, np.float64), np.array(expected, np.float64), rtol=1e-7)
    assert_same(training, eager)
    assert rest[0] == state
    np.testing.assert_array_equal(rest[1], after)
    return training


@pytest.mark.parametrize("make", MODELS)
def test_replays_do_what_the_step_does(make: Any, gpu: Any) -> None:
    training = compare(make)
    assert training.step.why_eager is None
    assert training.runs == 3  # as it is, rehearsed, recorded


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_count_their_steps(optimizer: str, gpu: Any) -> None:
    training = compare(lambda: MLP(hidden=(6,), dropout=0.5), optimizer=optimizer, clip=1.0)
    assert training.runs == 3


def test_schedulers_are_followed(gpu: Any) -> None:
    schedulers: dict[int, Any] = {}

    def between(training: Training, step: int) -> None:
        if step == 0:
            schedulers[id(training)] = optim.lr_scheduler.OneCycleLR(training.optimizer, 0.1, total_steps=20)
        else:
            schedulers[id(training)].step()

    training = compare(lambda: MLP(hidden=(6,)), between=between)
    assert training.runs == 3
    assert compare(lambda: MLP(hidden=(6,)), optimizer="nesterov", between=between).runs == 3


def test_a_replay_copies_the_batch_alone_and_waits_for_nothing(ledger: Any) -> None:
    training = Training(lambda: MLP(hidden=(6,), dropout=0.5))
    for number, batch in enumerate(batches(6)):
        if number == 4:
            ledger.clear()
        training.step(*batch)
    assert [shape for shape, _ in ledger.uploads] == 2 * [(4, 1, 28, 28), (4,)]
    assert ledger.downloads == ledger.synchronisations == []


def test_results_are_new_ones_each_time(gpu: Any) -> None:
    training = Training(lambda: MLP(hidden=(6,)))
    losses = [training.step(*batch)[0] for batch in batches(6)]
    assert len({loss.item() for loss in losses}) == 6
    assert not any(loss.requires_grad for loss in losses)


def test_a_short_batch_is_run_as_it_is(gpu: Any) -> None:
    eager, training = Training(MLP, replayed=False), None
    for made in (eager, Training(MLP)):
        training = made
        mydl.manual_seed(6)
        for batch in (*batches(4), *batches(1, size=3), *batches(2)):
            made.step(*batch)
    assert_same(eager, training)
    assert training.runs == 4
    assert training.step.why_eager is None


def test_what_changed_is_recorded_anew(gpu: Any) -> None:
    def between(training: Training, step: int) -> None:
        if step == 4:
            training.optimizer.param_groups[0]["weight_decay"] = 0.5
        if step == 6:
            training.optimizer.load_state_dict(training.optimizer.state_dict())
        if step == 8:
            training.model.load_state_dict({k: v * 0.5 for k, v in training.model.state_dict().items()})
        if step == 9:
            mydl.manual_seed(8)
        if step == 10:
            with mydl.no_grad():
                for p in training.model.parameters():
                    p.data = p.data * 0.5

    training = compare(lambda: MLP(hidden=(6,), dropout=0.5), count=12, between=between)
    assert training.step.why_eager is None
    assert training.runs == 2 + 1 + 3 * 2  # what changed at 4, 6 and 10 is rehearsed and recorded


def test_labels_beyond_those_before(gpu: Any) -> None:
    training = Training(lambda: MLP(hidden=(6,)))
    for batch in batches(4, classes=5):
        training.step(*batch)
    assert training.runs == 3
    for batch in batches(3, classes=10):
        training.step(*batch)
    assert (training.runs, training.step.why_eager) == (5, None)  # rehearsed and recorded
    images, labels = batches(1)[0]
    wrong = labels.clone()
    wrong[3] = 10
    before = training.state()
    with pytest.raises(IndexError, match="class 10 is out of range"):
        training.step(images, wrong)
    for a, b in zip(training.state(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    training.step(images, labels)
    assert (training.runs, training.step.why_eager) == (6, None)


def looks(training: Training, images: Any, labels: Any) -> Any:
    result = Training.run(training, images, labels)
    training.more["seen"] = result[0].item()
    return result


def ignores(training: Training, images: Any, labels: Any) -> Any:
    training.optimizer.zero_grad()
    loss = F.cross_entropy(training.model(images), labels, ignore_index=0) + images[images > 0].sum() * 0
    loss.backward()
    training.optimizer.step()
    return loss, labels.sum()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (looks, "item"),
        (ignores, "boolean mask"),
        ("rmsprop", "a step of RMSprop cannot be captured"),
        ("hooks", "a step of Adam with hooks cannot be captured"),
        ("float16", "item"),
    ],
)
def test_what_cannot_be_recorded_is_run_as_it_is_and_says_why_once(change: Any, reason: str, ledger: Any) -> None:
    found = []
    for replayed in (False, True):
        training = Training(lambda: MLP(hidden=(6,), dropout=0.5), replayed=replayed)
        if change == "rmsprop":
            training.optimizer = optim.RMSprop(training.model.parameters())
        elif change == "hooks":
            training.optimizer.register_step_post_hook(lambda *_: None)
        elif change == "float16":
            training.model.to(mydl.float16)
            training.optimizer = optim.SGD(training.model.parameters(), lr=0.1)
        else:
            training.run = change.__get__(training)
            training.step = mydl.cuda.graphed(training.run) if replayed else training.on_gpu
        given = batches(5)
        if change == "float16":
            given = [(images.half(), labels) for images, labels in given]
        for number, batch in enumerate(given):
            if replayed and number == 2:
                with pytest.warns(UserWarning, match=f"graphed: the step is run as it is, not replayed: .*{reason}"):
                    training.step(*batch)
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    training.step(*batch)
        found.append((training, mydl.default_generator.get_state()))
    assert_same(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]
    assert reason in found[1][0].step.why_eager
    assert gc.isenabled()
    assert not ledger.capturing


def test_the_reference_kernels_are_not_replayed(gpu: Any) -> None:
    training = Training(lambda: MLP(hidden=(6,), dropout=0.5))
    with mydl.kernels.use("reference"), pytest.warns(UserWarning, match="reference kernels"):
        training.step(*batches(1)[0])
    assert training.runs == 1


def test_what_is_refused(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="wanted a function"):
        mydl.cuda.graphed(3)
    with pytest.raises(TypeError, match="wanted tensors as arguments, got float"):
        mydl.cuda.graphed(lambda x: x)(2.0)
    with pytest.raises(TypeError, match=r"a step returns tensors, .*; got int"):
        mydl.cuda.graphed(lambda x: 3)(mydl.ones(2))
    step = mydl.cuda.graphed(lambda x: [None, (x * 2,)])
    for number in range(5):
        assert step(mydl.full((2,), float(number)))[1][0].tolist() == [2.0 * number] * 2
    assert step.why_eager is None


def test_the_state_that_is_saved_is_that_of_the_replays(gpu: Any) -> None:
    training = Training(lambda: MLP(hidden=(6,)))
    for batch in batches(7):
        training.step(*batch)
    assert {float(s["step"]) for s in training.optimizer.state_dict()["state"].values()} == {7.0}


def test_backward_notices_a_replay(gpu: Any) -> None:
    training = Training(lambda: MLP(hidden=(6,)))
    given = batches(5)
    for batch in given[:4]:
        training.step(*batch)
    loss = training.model(given[4][0].to("cuda")).sum()
    training.step(*given[4])
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()
