"""Every op, layer, function, loss and optimiser on the stand-in for a GPU against the CPU; what a step waits for."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mydl
from models.mlp import MLP
from models.resnet import ResNet
from mydl import nn, optim
from mydl.nn import functional as F
from mydl.optim.flat import FlatOptimizer
from tests.nn.test_functional import FUNCTIONS
from tests.nn.test_layers import LAYERS, row_name
from tests.nn.test_losses import ELEMENTWISE
from tests.ops.test_gradients import FLAT

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")


def numbers(name: str, *shape: int) -> np.ndarray:
    """Normal numbers that depend on the name and the shape alone."""
    return np.random.default_rng(zlib.crc32(f"{name}{shape}".encode())).standard_normal(shape)


def flat(value: Any) -> list:
    """The tensors in nested tuples, without None."""
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in flat(part)]
    return [] if value is None else [value]


def everything(call: Callable[..., Any], arrays: list, module: Any = None, where: str = "cpu") -> list[np.ndarray]:
    """On a device: the outputs, the gradients of a combination of them, second derivatives, and buffers."""
    inputs = [mydl.tensor(array, device=where) for array in arrays]
    leaves = [x.requires_grad_() for x in inputs if x.is_floating_point()]
    leaves += [] if module is None else list(module.parameters())
    outputs = flat(call(*inputs))
    found = list(outputs)
    results = outputs
    for turn in range(2):
        results = [y for y in results if y is not None and y.is_floating_point() and y.requires_grad]
        if not results:
            break
        weights = [
            mydl.tensor(numbers(f"{turn}{i}", *y.shape), dtype=y.dtype, device=where) for i, y in enumerate(results)
        ]
        total = sum((y * w).sum() for y, w in zip(results, weights, strict=True))
        results = mydl.autograd.grad(total, leaves, create_graph=turn == 0, allow_unused=True)
        found += [g for g in results if g is not None]
    found += [] if module is None else list(module.buffers())
    assert {tensor.device.type for tensor in found} <= {where}
    return [tensor.detach().numpy() for tensor in found]


def assert_equal(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("function", "arrays"), FLAT)
def test_op(function: Callable[..., Any], arrays: tuple, gpu: Any, tensors_on_device: Any) -> None:
    expected = everything(function, list(arrays))
    tensors_on_device()
    assert_equal(everything(function, list(arrays), where="cuda"), expected)


@pytest.mark.parametrize("row", LAYERS, ids=row_name)
def test_layer(row: tuple, gpu: Any) -> None:
    name, args, options, shapes = row
    arrays = [numbers(row_name(row), *shape) for shape in shapes]
    results = []
    for where in ("cpu", "cuda"):
        mydl.manual_seed(3)
        layer = getattr(nn, name)(*args, **options).double().to(where)
        results.append(everything(layer, arrays, layer, where))
    assert_equal(*results)


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: f"{row[0]} {row[1]} {row[2]}")
def test_function(row: tuple, gpu: Any) -> None:
    name, shapes, options = row
    arrays = [numbers(f"{name}{i}", *shape) for i, shape in enumerate(shapes)]

    def call(*inputs: Any) -> Any:
        mydl.manual_seed(3)
        return getattr(F, name)(*inputs, **options)

    assert_equal(everything(call, arrays, where="cuda"), everything(call, arrays))


@pytest.mark.parametrize("p", [0.25, 0.6])
@pytest.mark.parametrize("name", ["dropout", "dropout1d", "dropout2d"])
def test_dropout_draws_the_same_on_both_devices(name: str, p: float, gpu: Any) -> None:
    def call(x: Any) -> Any:
        mydl.manual_seed(3)
        return getattr(F, name)(x, p)

    shapes = {"dropout": (7, 11), "dropout1d": (3, 5, 2), "dropout2d": (3, 5, 2, 2)}
    arrays = [numbers(name, *shapes[name])]
    on_gpu = everything(call, arrays, where="cuda")
    assert 0 < (on_gpu[0] == 0).mean() < 1
    assert_equal(on_gpu, everything(call, arrays))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "kind", "options"), ELEMENTWISE)
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
def test_elementwise_loss(name: str, kind: str, options: dict, reduction: str, gpu: Any) -> None:
    x, t = numbers("input", 4, 3), 1 / (1 + np.exp(-numbers("target", 4, 3)))
    x = 1 / (1 + np.exp(-x)) if kind == "probabilities" else x

    def call(*inputs: Any) -> Any:
        return getattr(F, name)(*inputs, reduction=reduction, **options)

    assert_equal(everything(call, [x, t], where="cuda"), everything(call, [x, t]))


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss", "cross_entropy_from_probs"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [-100, 2])
def test_loss_of_classes(name: str, reduction: str, weighted: bool, ignored: int, gpu: Any) -> None:
    x, t = numbers("input", 6, 4), np.array([0, 2, 3, 2, ignored, 1])
    x = np.exp(x) / np.exp(x).sum(1, keepdims=True) if name.endswith("probs") else x

    def call(x: Any, t: Any) -> Any:
        weight = mydl.tensor([0.5, 1.0, 2.0, 0.25], dtype=np.float64, device=x.device) if weighted else None
        return getattr(F, name)(x, t, weight, ignore_index=ignored, reduction=reduction)

    assert_equal(everything(call, [x, t], where="cuda"), everything(call, [x, t]))


@pytest.mark.parametrize(
    "name", [n for n, o in vars(optim).items() if inspect.isclass(o) and issubclass(o, FlatOptimizer)]
)
def test_optimizer(name: str, ledger: Any) -> None:
    results = []
    for where in ("cpu", "cuda"):
        mydl.manual_seed(3)
        model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double().to(where)
        optimizer = getattr(optim, name)(model.parameters(), lr=0.01)
        x = mydl.tensor(numbers("x", 6, 5), device=where)
        for step in range(5):
            if step == 2:
                ledger.clear()
            optimizer.zero_grad()
            (model(x) ** 2).sum().backward()
            optimizer.step()
        results.append([p.detach() for p in model.parameters()])
    assert not ledger.synchronisations
    assert not ledger.uploads
    assert_equal(*([p.numpy() for p in group] for group in results))
    assert optimizer._places  # the flat buffers serve a GPU too
    assert all(p.array is p._slot.array for p in model.parameters())


def batches(count: int) -> list:
    rng = np.random.default_rng(0)
    return [
        (mydl.tensor(rng.normal(size=(8, 1, 28, 28)).astype(np.float32)), mydl.tensor(rng.integers(0, 10, 8)))
        for _ in range(count)
    ]


MODELS = [
    pytest.param(lambda: MLP(hidden=(30, 20), dropout=0.3), id="mlp"),
    pytest.param(lambda: ResNet(channels=(4, 8), blocks=1), id="resnet"),
]


def losses(make: Callable[[], Any], where: str, clip: bool = False, before_step: Callable[[int], None] = bool) -> list:
    """The losses of four steps of Adam, still on the device, and the trained model."""
    mydl.manual_seed(5)
    model = make().to(where)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    found = []
    for step, (images, labels) in enumerate(batches(4)):
        before_step(step)
        images, labels = images.to(where), labels.to(where)
        loss = criterion(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        found.append(loss.detach())
    return found


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("make", MODELS)
def test_a_training_step_waits_for_nothing_and_copies_the_batch_alone(make: Any, clip: bool, ledger: Any) -> None:
    found = losses(make, "cuda", clip, lambda step: ledger.clear())  # the ledger is left with the last step
    assert ledger.synchronisations == []
    assert ledger.downloads == []
    assert [shape for shape, _ in ledger.uploads] == [(8, 1, 28, 28), (8,)]
    assert np.isfinite([loss.item() for loss in found]).all()


@pytest.mark.parametrize("make", MODELS)
def test_a_seed_gives_the_same_start_and_the_same_losses(make: Any, gpu: Any) -> None:
    weights = []
    for where in ("cpu", "cuda"):
        mydl.manual_seed(5)
        model = make().to(where)
        weights.append([value.numpy() for value in model.state_dict().values()])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    ours, theirs = ([loss.item() for loss in losses(make, where)] for where in ("cpu", "cuda"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    assert len(set(ours)) == 4


def test_draws_are_the_same_on_both_devices(gpu: Any) -> None:
    def draws(where: str) -> list[np.ndarray]:
        mydl.manual_seed(7)
        chances = mydl.full((3, 4), 0.25, device=where)
        made = [
            mydl.rand(5, device=where), mydl.randn(2, 3, device=where), mydl.randint(0, 9, (6,), device=where),
            mydl.randperm(8, device=where), mydl.bernoulli(chances), mydl.multinomial(chances, 2),
            mydl.rand_like(chances), mydl.zeros(4, device=where).normal_(), mydl.zeros(4, device=where).uniform_(),
            nn.init.orthogonal_(mydl.zeros(4, 3, device=where)), nn.init.trunc_normal_(mydl.zeros(9, device=where)),
        ]  # fmt: skip
        assert {tensor.device.type for tensor in made} == {where}
        return [tensor.numpy() for tensor in made]

    for a, b in zip(draws("cpu"), draws("cuda"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_labels_out_of_range_are_refused_whatever_they_come_through(ledger: Any) -> None:
    logits = mydl.zeros(3, 4, device="cuda")
    host = mydl.tensor([0, 4, 1])
    changed = mydl.tensor([0, 1, 1]).to("cuda")
    changed[1] = 4
    for labels in (host.to("cuda"), mydl.tensor([0, 4, 1], device="cuda"), host.cuda() + 0, changed, -host.cuda()):
        with pytest.raises(IndexError, match=r"class -?[41] is out of range for 4 classes"):
            F.cross_entropy(logits, labels)
    ledger.clear()
    F.cross_entropy(logits, mydl.tensor([0, 3, 1]).to("cuda"))
    assert ledger.synchronisations == []
    with pytest.raises(IndexError, match="out of range"):
        F.embedding(host.to("cuda"), mydl.zeros(4, 2, device="cuda"))
    with pytest.raises(IndexError, match="out of range"):
        logits[host]
    with pytest.raises(IndexError, match="out of range"):
        logits[:, host.cuda()]


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8", "u1", "f2", "f4", "f8"])
def test_sums_at_indices_in_every_dtype(dtype: str, gpu: Any) -> None:
    index, values = np.array([2, 0, 2, 2]), np.array([3, -5, 7, -2]).astype(dtype)
    found = mydl.zeros(4, dtype=np.dtype(dtype), device="cuda")
    found = found.scatter_add(0, mydl.tensor(index, device="cuda"), mydl.tensor(values, device="cuda"))
    expected = np.zeros(4, dtype)
    np.add.at(expected, index, values)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found.numpy(), expected)


def test_counts_on_the_gpu(gpu: Any) -> None:
    x, counts = numbers("x", 2, 3), np.array([0, 2, 1])
    found = mydl.tensor(x, device="cuda").repeat_interleave(mydl.tensor(counts, device="cuda"), dim=1)
    np.testing.assert_array_equal(found.numpy(), np.repeat(x, counts, axis=1))


def test_integers_with_numbers(ledger: Any) -> None:
    x = np.array([7, -3, 4])
    on_gpu = mydl.tensor(x, device="cuda")
    for call in (
        lambda x: x + 2,
        lambda x: 2 - x,
        lambda x: x * True,
        lambda x: x // 2,
        lambda x: x % 3,
        lambda x: x**2,
    ):
        found = call(on_gpu)
        assert (found.device.type, found.dtype) == ("cuda", np.int64)
        np.testing.assert_array_equal(found.numpy(), call(x))
    np.testing.assert_allclose((on_gpu / 2).numpy(), x / 2)
    assert ledger.uploads[1:] == []


def test_keys_of_every_kind(gpu: Any) -> None:
    x = numbers("x", 4, 5)
    on_gpu = mydl.tensor(x, device="cuda")
    for key in (
        [0, 2],
        (slice(None), [1, -1]),
        np.array([3, 0]),
        x[:, 0] > 0,
        (1, [2, 3]),
        (None, [0], Ellipsis),
        x > 0,
    ):
        np.testing.assert_array_equal(on_gpu[key].numpy(), x[key])
        changed, wanted = on_gpu.clone(), x.copy()
        changed[key] = 7.5
        wanted[key] = 7.5
        np.testing.assert_array_equal(changed.numpy(), wanted)
    with pytest.raises(RuntimeError, match="expanded tensor"):
        mydl.ones(1, 3, device="cuda").expand(2, 3).fill_(2.0)
    with pytest.raises(RuntimeError, match=r"index tensor on cuda:0 for a tensor on the cpu"):
        mydl.tensor(x)[mydl.tensor([0], device="cuda")]
