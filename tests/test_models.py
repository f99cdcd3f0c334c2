from __future__ import annotations

import doctest
import importlib
import inspect
import math
import re

import numpy as np
import pytest

import models
import mydl
from models import resnet
from mydl import data, optim
from mydl.nn import functional as F

KINDS = ["logistic", "mlp", "resnet"]


@pytest.mark.parametrize("name", ["models", *(f"models.{kind}" for kind in KINDS)])
def test_the_examples_in_docstrings(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def size(model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_parameter_counts():
    assert size(models.build("logistic")) == 784 * 10 + 10
    assert size(models.build("mlp")) == 784 * 600 + 600 + 600 * 100 + 100 + 100 * 10 + 10
    stages = [(16, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64)]
    blocks = sum(9 * (a * b + b * b) + 4 * b + (a * b + 2 * b if a != b else 0) for a, b in stages)
    assert size(models.build("resnet")) == 9 * 16 + 2 * 16 + blocks + 64 * 10 + 10 == 174_970


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("logistic", {"in_features": 12, "classes": 3}),
        ("mlp", {"in_features": 12, "hidden": (), "classes": 3}),
        ("mlp", {"in_features": 12, "hidden": [7], "classes": 3, "dropout": 0.5}),
        ("mlp", {"in_features": 12, "hidden": (5, 1, 9), "classes": 3}),
        ("mlp", {"in_features": 12, "hidden": (5,), "classes": 3, "activation": "tanh", "init": 0.1}),
        ("resnet", {"in_channels": 3, "classes": 3}),
        ("resnet", {"in_channels": 3, "channels": (4,), "blocks": 1, "classes": 3}),
        ("resnet", {"in_channels": 3, "channels": [4, 4, 8, 6], "blocks": 3, "classes": 3}),
    ],
)
def test_options(name, options):
    """Any sizes, a batch of one and odd sides; every parameter gets a gradient."""
    model = models.build(name, **options)
    x = mydl.randn(1, 3, 9, 7) if name == "resnet" else mydl.randn(1, 3, 2, 2)
    y = model(x)
    assert y.shape == (1, 3) and y.dtype == np.float32
    (y**2).sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())


def test_an_unknown_model():
    with pytest.raises(ValueError, match=r"no model 'vgg'; wanted one of logistic, mlp, resnet"):
        models.build("vgg")


def test_mlp_init_and_what_it_refuses():
    mydl.manual_seed(0)
    for init, deviation in (("he", math.sqrt(2 / 784)), (0.01, 0.01), (0, 0)):
        first = models.build("mlp", hidden=(200, 10), init=init).layers[1]
        assert first.weight.detach().numpy().std() == pytest.approx(deviation, rel=0.02)
        assert not first.bias.detach().numpy().any()
    for options, words in (({"init": "lecun"}, "init"), ({"init": -1}, "init"), ({"activation": "step"}, "activation")):
        with pytest.raises(ValueError, match=words):
            models.build("mlp", **options)


def test_autoencoder():
    """relu(W x + b), then sigmoid(V code + c), in NumPy."""
    model = models.build("autoencoder", in_features=6, code=3)
    x = np.random.default_rng(0).random((4, 1, 2, 3), np.float32)
    (w, b, v, c) = (p.detach().numpy() for p in model.parameters())
    code = np.maximum(x.reshape(4, 6) @ w.T + b, 0)
    np.testing.assert_allclose(model.encode(mydl.tensor(x)).detach().numpy(), code, atol=1e-6)
    np.testing.assert_allclose(model(mydl.tensor(x)).detach().numpy(), 1 / (1 + np.exp(-code @ v.T - c)), atol=1e-6)


def test_a_model_comes_back_from_its_file_alone(tmp_path):
    for name, options in (("mlp", {"hidden": [5, 4], "dropout": 0.5}), ("resnet", {"channels": [4], "blocks": 1})):
        model = models.build(name, **options)
        models.save(model, tmp_path / "m.safetensors", {"mine": "kept"})
        again = models.load(tmp_path / "m.safetensors")
        assert type(again) is type(model) and again.architecture == {"name": name, "options": options}
        assert repr(again) == repr(model)
        assert all(mydl.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values()))
        assert mydl.load_metadata(tmp_path / "m.safetensors")["mine"] == "kept"
    with pytest.raises(ValueError, match=r"save: Linear was not made by models\.build"):
        models.save(mydl.nn.Linear(1, 1), tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="no model is named in it"):
        mydl.save({}, tmp_path / "x.safetensors")
        models.load(tmp_path / "x.safetensors")


def test_options_of_another_kind(tmp_path):
    model = models.build("resnet", channels=[2], blocks=1)
    kinds = [{"channels": channels} for channels in ({"0": 2}, "x", None, 3, [1] * 10**5)]
    for options in (*kinds, {"channels": [1], "blocks": 65_535}):  # small layers, but more than memory has room for
        model.architecture = {"name": "resnet", "options": options}
        models.save(model, tmp_path / "x.safetensors")
        with pytest.raises(ValueError, match=r"x\.safetensors: cannot build resnet with"):
            models.load(tmp_path / "x.safetensors")


def test_dropout_acts_in_training_alone():
    model = models.build("mlp", hidden=(64, 64), dropout=0.5)
    x = mydl.randn(3, 1, 28, 28)
    assert not mydl.equal(model(x), model(x))
    model.eval()
    assert mydl.equal(model(x), model(x))
    assert "Dropout" not in repr(models.build("mlp", dropout=0.0))


def test_the_stages_halve_height_and_width():
    model = models.build("resnet")
    shapes = []
    for block in model.stages:
        block.register_forward_hook(lambda module, args, output: shapes.append(output.shape))
    model(mydl.zeros(2, 1, 28, 28))
    assert shapes == [(2, 16, 28, 28)] * 2 + [(2, 32, 14, 14)] * 2 + [(2, 64, 7, 7)] * 2


def test_a_block_whose_convolutions_are_zero_is_the_identity():
    block = resnet.BasicBlock(4, 4)
    for convolution in (block.conv1, block.conv2):
        mydl.nn.init.zeros_(convolution.weight)
    x = mydl.rand(2, 4, 5, 5)
    assert mydl.equal(block(x), x)


@pytest.mark.parametrize("kind", KINDS)
def test_initial_weights(kind):
    """Linear: Xavier-uniform; Conv2D: Kaiming-uniform for ReLU; biases zero; batch normalisation 1 and 0."""
    mydl.manual_seed(0)
    for name, parameter in models.build(kind).named_parameters():
        values, shape = parameter.detach().numpy(), parameter.shape
        if len(shape) == 1:
            is_scale = name.endswith("weight")
            assert (values == (1 if is_scale else 0)).all(), name
            continue
        inputs = math.prod(shape[1:])
        bound = math.sqrt(6 / inputs) if len(shape) == 4 else math.sqrt(6 / (shape[0] + shape[1]))
        assert np.abs(values).max() <= bound, name
        if values.size > 100:
            assert np.abs(values).max() > 0.9 * bound, name
            assert abs(values.mean()) < 5 * bound / math.sqrt(3 * values.size), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides_the_weights(kind):
    states = []
    for seed in (1, 1, 2):
        mydl.manual_seed(seed)
        states.append({k: v.numpy() for k, v in models.build(kind).state_dict().items()})
    first, second, other = states
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", KINDS)
def test_forty_digits_can_be_learnt_by_heart(kind):
    mydl.manual_seed(0)
    digits = data.SyntheticDigits(size=40)
    x = mydl.tensor(digits.data.numpy().reshape(40, 1, 28, 28) / np.float32(255))
    model = models.build(kind)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), digits.targets)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2
    assert (model(x).argmax(1).numpy() == digits.targets.numpy()).all()


def in_torch(torch, module):
    """The same model file for PyTorch: other imports, and PyTorch's names for what has two."""
    source = inspect.getsource(module)
    source = source.replace("from mydl import MyTensor, nn", "from torch import Tensor as MyTensor, nn")
    source = source.replace("from mydl.nn import functional", "from torch.nn import functional")
    source = source.replace("nn.NeuralNetwork", "nn.Module").replace("nn.Conv2D", "nn.Conv2d")
    pooling = "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())"
    source = source.replace("nn.FullAveragePool2d()", pooling)
    assert not re.search(r"^(from|import) mydl", source, re.MULTILINE)
    names: dict = {"__name__": f"{module.__name__}_in_torch"}
    exec(compile(source, module.__file__, "exec"), names)
    return names


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("logistic", {}),
        ("mlp", {"hidden": (20, 30)}),
        ("mlp", {"hidden": (20, 30), "activation": "leaky_relu", "batch_norm": True, "init": "he"}),
        ("resnet", {}),
        ("resnet", {"channels": (4, 6, 6)}),
    ],
)
def test_the_same_file_in_pytorch(kind, options):
    """Same state dict, then the same outputs, gradients and running statistics, in float64."""
    torch = pytest.importorskip("torch")
    ours = models.build(kind, **options)
    names = in_torch(torch, importlib.import_module(f"models.{kind}"))
    theirs = names[models.MODELS[kind].__name__](**options).double()
    state = ours.state_dict()
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in state.items()})
    ours.to(mydl.float64)

    x = np.random.default_rng(0).standard_normal((5, 1, 28, 28))
    labels = np.array([0, 9, 3, 3, 7])
    for train in (True, False):
        ours.train(train)
        theirs.train(train)
        y, wanted = ours(mydl.tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_allclose(y.detach().numpy(), wanted.detach().numpy(), rtol=1e-9, atol=1e-9)
        ours.zero_grad()
        theirs.zero_grad()
        F.cross_entropy(y, mydl.tensor(labels)).backward()
        torch.nn.functional.cross_entropy(wanted, torch.tensor(labels)).backward()
        for (name, parameter), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(parameter.grad.numpy(), other.grad.numpy(), rtol=1e-7, atol=1e-9, err_msg=name)
    for (name, buffer), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        np.testing.assert_allclose(buffer.numpy(), other.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
