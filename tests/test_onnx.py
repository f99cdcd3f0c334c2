"""Exported models against onnxruntime, an independent implementation of ONNX, on batches other than the example's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import models
import mydl
import mydl.onnx
from mydl import nn
from mydl.nn import functional as F

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

ROOT = Path(__file__).resolve().parents[1]


def flat(value) -> list:
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in flat(part)]
    return [] if value is None else [value]


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def unlike_new(model: nn.Module) -> nn.Module:
    """The model with random numbers in the place of zeros and ones: biases, scales, running statistics."""
    generator = np.random.default_rng(5)
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point() and tensor.ndim == 1:
            tensor.array[...] = generator.uniform(0.5, 1.5, tensor.shape)
    return model


def check(model, path, *shapes, batches=(1, 4), opset=20, dtype=np.float32, tolerance=1e-5) -> None:
    """Export on a batch of 2; onnxruntime gives what the model gives, on other batches too."""
    generator = np.random.default_rng(3)

    def inputs(batch):
        return [generator.standard_normal((batch, *shape)).astype(dtype) for shape in shapes]

    mydl.onnx.export(unlike_new(model), tuple(map(mydl.tensor, inputs(2))), path, opset=opset)
    runtime = session(path)
    model.eval()
    for batch in batches:
        arrays = inputs(batch)
        with mydl.no_grad():
            expected = flat(model(*(mydl.tensor(array.copy()) for array in arrays)))
        found = runtime.run(None, dict(zip([i.name for i in runtime.get_inputs()], arrays, strict=True)))
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["logistic", "mlp", "resnet"])
def test_models(name, tmp_path):
    model = models.build(name, **({"dropout": 0.5} if name == "mlp" else {}))
    check(model, tmp_path / "model.onnx", (1, 28, 28), batches=(1, 3))


def test_a_trained_mode_model_is_exported_in_evaluation_and_left_in_training(tmp_path):
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.9))
    model[1].eval()
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    mydl.onnx.export(model, mydl.randn(8, 3), tmp_path / "model.onnx")
    assert [module.training for module in model.modules()] == [True, True, False]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name])


LAYERS = [
    (nn.Linear(4, 3), (4,)),
    (nn.Linear(4, 3, bias=False), (5, 4)),
    (nn.Linear(4, 3), (2, 5, 4)),
    (nn.Bilinear(3, 4, 2), (3,), (4,)),
    (nn.Conv2D(3, 4, 3, stride=2, padding=1), (3, 7, 8)),
    (nn.Conv2D(4, 6, (1, 3), stride=(2, 1), padding=(0, 2), dilation=(1, 2), groups=2, bias=False), (4, 5, 6)),
    (nn.Conv2D(2, 2, 4, padding="same"), (2, 5, 5)),
    (nn.Conv2D(2, 2, 3, padding=2, padding_mode="reflect"), (2, 5, 5)),
    (nn.Conv1d(2, 4, 3, padding=1, stride=2), (2, 8)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (4, 3, 4)),
    (nn.ConvTranspose2d(2, 3, (2, 3), stride=(1, 3), dilation=2, output_padding=(1, 0)), (2, 3, 4)),
    (nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1), (2, 5)),
    (nn.BatchNorm1d(3, eps=1e-2), (3,)),
    (nn.BatchNorm1d(3), (3, 5)),
    (nn.BatchNorm2d(3, affine=False), (3, 4, 5)),
    (nn.LayerNorm((4, 5)), (3, 4, 5)),
    (nn.LayerNorm(5, elementwise_affine=False), (4, 5)),
    (nn.GroupNorm(2, 4), (4, 3, 3)),
    (nn.InstanceNorm2d(3, affine=True), (3, 4, 5)),
    (nn.RMSNorm(5), (4, 5)),
    (nn.MaxPool2d(2), (2, 7, 6)),
    (nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), (2, 6, 8)),
    (nn.MaxPool2d((2, 3), stride=(3, 1), dilation=(1, 2), ceil_mode=True), (2, 7, 9)),
    (nn.MaxPool1d(2), (2, 7)),
    (nn.AvgPool2d(3, stride=2, padding=1), (2, 6, 7)),
    (nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False, ceil_mode=True), (2, 6, 8)),
    (nn.AvgPool2d(2, padding=1, divisor_override=3, ceil_mode=True), (2, 5, 5)),
    (nn.AvgPool1d(3, 2), (2, 7)),
    (nn.FullAveragePool2d(), (3, 4, 5)),
    (nn.AdaptiveAvgPool2d(1), (3, 4, 5)),
    (nn.AdaptiveAvgPool2d((2, 3)), (3, 4, 7)),
    (nn.Flatten(), (3, 4)),
    (nn.Unflatten(1, (2, 3)), (6, 4)),
    (nn.Softmax(dim=1), (3, 4)),
    (nn.LogSoftmax(dim=-1), (3, 4)),
    (nn.PReLU(3), (3, 4)),
    (nn.ZeroPad2d((1, 2, 0, 3)), (2, 3, 4)),
    (nn.ZeroPad2d((1, -2, 0, -1)), (2, 3, 4)),
    (nn.ReplicationPad1d((1, 2)), (2, 3)),
    (nn.CircularPad2d(1), (2, 3, 4)),
    (nn.PixelShuffle(2), (8, 3, 4)),
    (nn.PixelUnshuffle(2), (2, 4, 6)),
    (nn.Upsample(scale_factor=2), (2, 3, 4)),
    (nn.Upsample(size=(5, 7), mode="bilinear", align_corners=True), (2, 3, 4)),
    (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (5, 8)),
    (nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True, norm_first=True), (5, 8)),
    (nn.RNN(3, 4, batch_first=True), (5, 3)),
    (nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True, proj_size=2), (5, 3)),
    (nn.GRU(3, 4, batch_first=True), (5, 3)),
    (nn.LSTMCell(3, 4), (3,)),
    (nn.GRUCell(3, 4), (3,), (4,)),
    (nn.Dropout2d(0.5), (2, 3, 3)),
    (nn.Identity(), (3,)),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=lambda case: f"{type(case[0]).__name__}-{case[0].extra_repr()}"[:70])
def test_layers(layer, tmp_path):
    module, *shapes = layer
    check(module, tmp_path / "model.onnx", *shapes)


ACTIVATIONS = [
    nn.ReLU(), nn.ReLU6(), nn.Sigmoid(), nn.Tanh(), nn.ELU(0.7), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.GLU(),
    nn.SiLU(), nn.Mish(), nn.Hardtanh(-0.3, 0.6), nn.Hardswish(), nn.Hardsigmoid(), nn.LeakyReLU(0.2),
    nn.LogSigmoid(), nn.Softplus(), nn.Softplus(beta=3.0, threshold=1.0), nn.Step(),
]  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_activations(activation, tmp_path):
    check(nn.Sequential(nn.Linear(6, 8), activation), tmp_path / "model.onnx", (6,))


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


FUNCTIONS = {
    "arithmetic": lambda x: (2 - x) * 3 / (x * x + 1) - (-x) ** 2,
    "integers": lambda x: x + mydl.arange(4),
    "cast": lambda x: (x * 3).to(mydl.int64) + 2,
    "promotion": lambda x: (x * 3).to(mydl.int32) / 2,
    "elementary": lambda x: x.exp() + (x.abs() + 1).log() + x.abs().sqrt() + (x.abs() + 1).rsqrt() + x.erf(),
    "trigonometric": lambda x: mydl.sin(x) + mydl.atan(x) + mydl.cosh(x) + mydl.acos(x.clamp(-1, 1)) + mydl.asinh(x),
    "rounding": lambda x: mydl.floor(x * 2) + mydl.ceil(x) * mydl.round(x * 3) + mydl.sign(x),
    "maximum": lambda x: mydl.maximum(x, -x) + mydl.minimum(x, mydl.tensor(0.25)) + x.clamp(min=0.1) + x.clamp(max=0.1),
    "reductions": lambda x: (x.sum(1), x.mean((1, 2)), x.amax(2, keepdim=True), x.amin(-1), x.logsumexp(1), x.prod(1)),
    "whole": lambda x: x.mean() + x.sum(),
    "values and indices": lambda x: tuple(x.max(1)) + tuple(x.min(2, keepdim=True)),
    "slices": lambda x: (x[:, 0], x[:, -1], x[..., 1:], x[:, None, ::2, -2:], x[:, 1, 2], x[...], x[0], x[:-1].sum(0)),
    "index arrays": lambda x: (x[:, [2, 0, 2]], x[:, :, mydl.tensor([[0, 1], [3, 0]])]),
    "joining": lambda x: (mydl.cat((x, x * 2), 1), mydl.stack((x, -x), 1), mydl.stack((x, -x), -1)),
    "splitting": lambda x: (*x.split([1, 2], 1), *x.unbind(2)),
    "views": lambda x: (x.view(x.size(0), -1), x.reshape(-1, 4), x.reshape(x.shape[0] * 3, 2, 2), x.permute(2, 0, 1)),
    "two open sizes": lambda x: x.unsqueeze(1).expand(-1, 5, -1, -1).reshape(x.shape[0], 5 * 12),
    "products": lambda x: (x @ x.mT, x.mT @ mydl.ones(3, 2), mydl.einsum("nij,nkj->nik", x, x)),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "constant states": lambda x: mydl.cat((mydl.ones(x.shape[0], 1, 4) * 0.5, x), 1),
    "in place": lambda x: F.relu((x * 2).add_(1), inplace=True).mul_(x),
    "input and twice": lambda x: (x, x + 1, x),
    "nested": lambda x: [x * 2, (None, x * 3)],
    "unused operations": lambda x: (x * 3, x.max(1))[0],
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, tmp_path):
    check(Function(FUNCTIONS[name]), tmp_path / "model.onnx", (3, 4), batches=(1, 2, 3))


def test_embedding_and_gather_take_indices_that_are_computed(tmp_path):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(7, 4)

        def forward(self, tokens, places):
            return mydl.gather(self.embedding(tokens), 2, places), self.embedding(tokens)[:, places[0, :, 0]]

    model, path = Model(), tmp_path / "model.onnx"
    tokens, places = mydl.tensor([[1, 6, 3]]), mydl.tensor([[[0], [2], [1]]])
    mydl.onnx.export(model, (tokens, places), path)
    tokens, places = mydl.tensor([[0, 2, 2], [1, 0, 1]]), mydl.tensor([[[1], [1], [0]], [[2], [3], [3]]])
    found = session(path).run(None, {"input_0": tokens.numpy(), "input_1": places.numpy()})
    with mydl.no_grad():
        for a, b in zip(found, model(tokens, places), strict=True):
            np.testing.assert_array_equal(a, b.numpy())


def test_a_model_on_a_gpu(ledger, tmp_path):
    model = nn.Sequential(nn.Conv2D(1, 2, 3), nn.BatchNorm2d(2, affine=False), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    x = mydl.randn(3, 1, 4, 4)
    with mydl.no_grad():
        expected = model.eval()(x).numpy()
    mydl.onnx.export(model.to("cuda"), x[:2].to("cuda"), tmp_path / "model.onnx")
    (found,) = session(tmp_path / "model.onnx").run(None, {"input": x.numpy()})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_several_inputs_and_float64(tmp_path):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = nn.Linear(3, 4), nn.Linear(5, 4)

        def forward(self, a, b):
            return F.tanh(self.left(a)) + self.right(b), a.mean(1)

    check(Model().double(), tmp_path / "model.onnx", (3,), (5,), dtype=np.float64, tolerance=1e-7)


@pytest.mark.parametrize("example", [mydl.zeros(1, 3, 4), mydl.ones(1, 3, 4), mydl.randn(5, 3, 4)])
def test_any_example_gives_the_same_file(example, tmp_path):
    model = nn.Sequential(nn.Conv1d(3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    for x, name in ((example, "a.onnx"), (mydl.randn(2, 3, 4), "b.onnx")):
        mydl.onnx.export(model, x, tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.parametrize("opset", [20, 21])
def test_the_file_names_its_opset_its_weights_and_the_batch(opset, tmp_path):
    path = tmp_path / "model.onnx"
    check(models.build("mlp", hidden=(5,)), path, (1, 28, 28), opset=opset)
    made = onnx.load(path)
    assert [(i.domain, i.version) for i in made.opset_import] == [("", opset)]
    names = {tensor.name for tensor in made.graph.initializer}
    assert {"layers.1.weight", "layers.1.bias", "layers.3.weight", "layers.3.bias"} <= names
    for value, name, sizes in ((made.graph.input[0], "input", [1, 28, 28]), (made.graph.output[0], "output", [10])):
        first, *rest = value.type.tensor_type.shape.dim
        assert value.name == name and first.dim_param == "batch" and [d.dim_value for d in rest] == sizes


def test_tied_weights_are_stored_once(tmp_path):
    model = nn.Sequential(nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 50))
    model[2].weight = model[0].weight
    check(model, tmp_path / "model.onnx", (50,))
    assert (tmp_path / "model.onnx").stat().st_size < 2 * 50 * 50 * 4


REFUSED = {
    "no translation": (lambda x: x.cumsum(1), "CumSum"),
    "values outside operations": (lambda x: x + mydl.MyTensor(x.array.mean(1, keepdims=True)), "Add takes .* no op"),
    "constant by batch": (lambda x: x + mydl.arange(x.shape[0]).reshape(-1, 1, 1), "Add takes"),
    "twice the batch": (lambda x: mydl.cat((x, x)) + mydl.ones(2 * x.shape[0], 1, 1), "Add takes"),
    "index of the largest": (lambda x: F.adaptive_max_pool2d(x, 2), "Gather takes"),
    "indices of a pooling": (lambda x: F.max_pool2d(x, 2, return_indices=True)[1] + 0, "Add takes an output"),
    "comparison": (lambda x: mydl.where(x > 0, x, x * 2), "Where takes"),
    "batch in a slice": (lambda x: x[: x.shape[0] // 2], "Slice takes"),
    "control flow": (lambda x: x * 2 if x.shape[0] < 3 else x + 1, "which operations run, from"),
    "dimensions by batch": (lambda x: x[:, 0, 0].squeeze(), "squeeze"),
    "split by batch": (lambda x: x.unbind(0)[0], "which operations|Unbind"),
    "view of something changed": (lambda x: _changed_view(x), "changed in place"),
    "element assigned": (lambda x: _assigned(x), "changed in place"),
    "constant changed later": (lambda x: _changed_constant(x), "changed in place"),
    "output outside operations": (lambda x: mydl.MyTensor(x.array * 2), "output takes"),
    "expansion by batch": (lambda x: x.mean(0).expand(x.shape[0], 3, 4), "Expand to a size"),
    "branch by a value": (lambda x: x * 2 if x.sum() > 0 else x * 100, r"decides by the truth of a tensor, \(\) bool"),
    "number taken out": (lambda x: x * float(x.max()), "takes"),
    "training": (lambda x: F.batch_norm(x, None, None, training=True), "BatchNorm"),
    "dropout": (lambda x: F.dropout(x, 0.5), "Dropout"),
}  # fmt: skip


def _changed_view(x):
    y = x * 2
    part = y[:, 0]
    y.add_(1)
    return part * 1


def _assigned(x):
    y = x * 2
    y[:, 0] = 0
    return y * 1


def _changed_constant(x):
    total = mydl.zeros(4)
    y = x + total
    total.add_(1)
    return y + total


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_file_cannot_hold_is_refused_by_name(case, tmp_path):
    function, message = REFUSED[case]
    shape = (1, 4, 5, 5) if "pool" in case or "index" in case else (1, 3, 4)
    with pytest.raises(NotImplementedError, match=message):
        mydl.onnx.export(Function(function), mydl.randn(*shape), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((nn.Linear(3, 2), np.zeros((1, 3))), TypeError, "wanted a tensor or a tuple of tensors"),
        ((lambda x: x, mydl.zeros(1, 3)), TypeError, "wanted a NeuralNetwork, got function"),
        ((nn.Linear(3, 2), ()), ValueError, "got nothing"),
        ((nn.Linear(3, 2), mydl.zeros(0, 3)), ValueError, r"\(0, 3\) float32"),
        ((Function(lambda a, b: a), (mydl.zeros(1, 3), mydl.zeros(2, 3))), ValueError, "one batch"),
        ((Function(lambda x: x.reshape(3, 2)), mydl.zeros(2, 3)), ValueError, r"batch of another size, \(5, 3\)"),
        ((nn.Embedding(3, 2), mydl.zeros(2, 3, dtype=mydl.int64)), ValueError, "two different values"),
        ((Function(lambda x: {"y": x}), mydl.zeros(2, 3)), TypeError, "wanted a model that returns tensors"),
    ],
)
def test_bad_arguments(arguments, error, message, tmp_path):
    with pytest.raises(error, match=message):
        mydl.onnx.export(*arguments, tmp_path / "model.onnx")


@pytest.mark.parametrize("opset", [19, 1000, "20"])
def test_bad_opset(opset, tmp_path):
    with pytest.raises(ValueError, match="wanted an opset from 20 to"):
        mydl.onnx.export(nn.ReLU(), mydl.zeros(1), tmp_path / "model.onnx", opset=opset)


def test_an_error_in_the_model_leaves_everything_as_it_was(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"before")
    apply, become = mydl.autograd.op.Op.__dict__["apply"], mydl.MyTensor._become
    names = set(vars(mydl.MyTensor))
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2))
    with pytest.raises(ValueError, match="Linear"):
        mydl.onnx.export(model, mydl.zeros(1, 3), path)
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]
    assert mydl.autograd.op.Op.__dict__["apply"] is apply
    assert mydl.MyTensor._become is become and set(vars(mydl.MyTensor)) == names
    assert all(module.training for module in model.modules()) and mydl.is_grad_enabled()


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="`pip install onnx`"):
        mydl.onnx.export(nn.ReLU(), mydl.zeros(1, 1), tmp_path / "model.onnx")


def test_import_mydl_leaves_the_package_alone():
    program = "import sys, mydl; mydl.onnx.export; print(*{'onnx', 'google.protobuf'} & sys.modules.keys())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == ""
