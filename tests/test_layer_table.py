"""Figures of `summary` against ones counted by hand, and the model after it against the model before."""

from __future__ import annotations

import numpy as np
import pytest

import models
import mydl
from mydl import nn
from mydl.nn import functional as F


def by_name(model, example):
    table = mydl.summary(model, example)
    return {row.name: row for row in table}, table


def test_resnet_by_hand():
    # positions × 3 × 3 × channels in × channels out of each convolution, by stage
    stem = 28 * 28 * 9 * 1 * 16
    first = 4 * 28 * 28 * 9 * 16 * 16
    second = 14 * 14 * (9 * 16 * 32 + 3 * 9 * 32 * 32 + 16 * 32)
    third = 7 * 7 * (9 * 32 * 64 + 3 * 9 * 64 * 64 + 32 * 64)
    products = stem + first + second + third + 64 * 10
    assert products == 20_183_936
    norms = 28 * 28 * 16 * 5 + 14 * 14 * 32 * 5 + 7 * 7 * 64 * 5  # one an element; the shortcuts have one too
    model = models.build("resnet")
    rows, table = by_name(model, (1, 1, 28, 28))
    assert table.multiply_adds == products + norms
    assert table.parameters == sum(p.numel() for p in model.parameters()) == 174_970
    # 16 planes of 28 × 28 after conv and bn of the stem and its ReLU; in a block of stage one after two of both, and
    # two ReLUs; the stages after that have half the elements each, and the first block a convolution and norm more
    outputs = 28 * 28 * 16 * (3 + 2 * 6) + 14 * 14 * 32 * (2 * 6 + 2) + 7 * 7 * 64 * (2 * 6 + 2) + 64 + 10
    assert table.activation_bytes == 4 * outputs
    assert rows["stages.2.shortcut.0"].output_shape == (1, 32, 14, 14)
    assert rows["stages.2.shortcut.0"].multiply_adds == 14 * 14 * 16 * 32
    assert [row.name for row in table][:5] == ["", "conv", "bn", "stages", "stages.0"]
    assert rows["stages.0.conv1"].depth == 3


def test_figures_are_for_the_batch_that_is_shown():
    one, many = (mydl.summary(models.build("mlp"), (n, 1, 28, 28)) for n in (1, 5))
    assert one.multiply_adds == 784 * 600 + 600 * 100 + 100 * 10
    assert one.activation_bytes == 4 * (2 * 600 + 2 * 100 + 10)  # Flatten's output is a view
    assert (many.multiply_adds, many.activation_bytes) == (5 * one.multiply_adds, 5 * one.activation_bytes)
    assert many.parameters == one.parameters == 785 * 600 + 601 * 100 + 101 * 10


@pytest.mark.parametrize(
    ("layer", "shape", "output_shape", "multiply_adds"),
    [
        (nn.Linear(3, 4), (2, 5, 3), (2, 5, 4), 2 * 5 * 4 * 3),
        (nn.Conv2D(4, 6, (3, 5), stride=2, groups=2), (2, 4, 9, 9), (2, 6, 4, 3), 2 * 6 * 4 * 3 * (2 * 3 * 5)),
        (nn.Conv1d(2, 4, 3, padding=1), (2, 2, 7), (2, 4, 7), 2 * 4 * 7 * 2 * 3),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (2, 4, 5, 5), (2, 6, 11, 11), 2 * 4 * 5 * 5 * (3 * 3 * 3)),
        (nn.ConvTranspose1d(2, 3, 4), (1, 2, 5), (1, 3, 8), 2 * 5 * 3 * 4),
        (nn.BatchNorm2d(3), (2, 3, 4, 5), (2, 3, 4, 5), 2 * 3 * 4 * 5),
        (nn.BatchNorm1d(3, track_running_stats=False), (2, 3), (2, 3), 3 * 2 * 3),
        (nn.LayerNorm(4), (3, 4), (3, 4), 3 * 12),
        (nn.GroupNorm(1, 2, affine=False), (3, 2, 4), (3, 2, 4), 2 * 24),
        (nn.LSTM(3, 5, batch_first=True, bidirectional=True), (2, 7, 3), None, 2 * 7 * 2 * 20 * (3 + 5)),
        (nn.GRUCell(3, 5), (2, 3), (2, 5), 2 * 15 * (3 + 5)),
        (nn.ReLU(), (2, 3), (2, 3), 0),
        (nn.MaxPool2d(2), (1, 2, 4, 4), (1, 2, 2, 2), 0),
    ],
    ids=lambda value: repr(value) if isinstance(value, nn.Module) else "",
)
def test_layers_by_hand(layer, shape, output_shape, multiply_adds):
    (row,) = mydl.summary(layer, shape)
    assert row.kind == type(layer).__name__ and row.name == "" and row.depth == 0
    assert row.multiply_adds == multiply_adds
    if output_shape is not None:
        assert row.output_shape == output_shape
        assert row.activation_bytes == 4 * np.prod(output_shape)
    assert row.parameters == sum(p.numel() for p in layer.parameters())


def test_attention_by_hand():
    n, queries, keys, e = 2, 3, 5, 8
    layer = nn.MultiheadAttention(e, 2, batch_first=True)
    rows, table = by_name(layer, ((n, queries, e), (n, keys, e), (n, keys, e)))
    projections = n * (queries + 2 * keys) * e * e
    assert rows[""].multiply_adds == projections + 2 * n * queries * keys * e
    assert rows[""].output_shape == ((n, queries, e), (n, queries, keys))
    assert rows["out_proj"].multiply_adds == n * queries * e * e
    assert table.parameters == 4 * e * e + 4 * e
    layer = nn.MultiheadAttention(e, 2, add_bias_kv=True, add_zero_attn=True)  # two more keys, time first
    rows, _ = by_name(layer, ((queries, n, e), (keys, n, e), (keys, n, e)))
    assert rows[""].multiply_adds == projections + 2 * n * queries * (keys + 2) * e


class Two(nn.Module):
    """Two inputs by position, keyword arguments within, a shared layer, one that is not called, and a frozen one."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.bilinear = nn.Bilinear(4, 3, 2)
        self.idle = nn.Linear(7, 5)
        self.own = nn.Parameter(mydl.ones(2))
        self.idle.requires_grad_(False)

    def forward(self, a, b):
        return self.bilinear(input1=F.relu(self.shared(input=self.shared(a))), input2=b) * self.own


def test_several_inputs_shared_and_idle_layers():
    table = mydl.summary(Two(), (mydl.ones(6, 4), (6, 3)))
    assert [(row.name, row.parameters) for row in table] == [
        ("", 2), ("shared", 20), ("shared", 0), ("bilinear", 26), ("idle", 40),
    ]  # fmt: skip
    assert [row.multiply_adds for row in table] == [0, 96, 96, 6 * 2 * 3 * 5, 0]
    # the ReLU's output, which no layer has computed, and the product with `own` are the model's
    assert [row.activation_bytes for row in table] == [4 * (24 + 12), 96, 96, 48, 0]
    assert table[-1].output_shape is None
    assert (table.parameters, table.trainable_parameters) == (88, 48)
    text = repr(table)
    assert "idle: Linear" in text and "not called" in text and text.endswith("40 of the parameters are frozen")


def test_in_place_and_views_take_no_memory():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=True), nn.Unflatten(1, (2, 2)), nn.Dropout(0.5))
    assert [row.activation_bytes for row in mydl.summary(model, (1, 3))] == [0, 16, 0, 0, 0]


def test_indices_are_given_as_a_tensor_and_dtypes_count():
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2)).double()
    table = mydl.summary(model, mydl.tensor([[1, 4]]))
    assert [row.activation_bytes for row in table] == [0, 8 * 6, 8 * 4]
    assert mydl.summary(nn.Linear(3, 2).double(), [2, 3]).activation_bytes == 8 * 4  # zeros in the model's own dtype


def everything(model):
    """All that a module holds, to compare with later."""
    return [
        {key: value.numpy(force=True).copy() if isinstance(value, mydl.MyTensor) else value for key, value in
         vars(module).items()}
        for module in model.modules()
    ]  # fmt: skip


def check_unchanged(before, after):
    for old, new in zip(before, after, strict=True):
        assert list(old) == list(new)
        for key in old:
            if isinstance(old[key], np.ndarray):
                np.testing.assert_array_equal(old[key], new[key])
            else:
                assert old[key] is new[key] or old[key] == new[key]


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2D(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(8, 2))
    model[2].eval()
    calls = []
    handle = model[0].register_forward_hook(lambda module, args, output: calls.append(output.shape))
    before, seed = everything(model), mydl.backend.default_generator.get_state()
    mydl.summary(model, (3, 1, 4, 4))
    check_unchanged(before, everything(model))
    assert calls == [(3, 2, 2, 2)] and len(model[0]._hooks.forward) == 1 and not model[0]._hooks.forward_pre
    assert model[1]._hooks is None and mydl.is_grad_enabled()
    assert mydl.backend.default_generator.get_state() == seed
    assert [module.training for module in model.modules()] == [True, True, True, False, True, True]
    handle.remove()


def test_an_error_leaves_the_model_as_it_was_too():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(5))
    before = everything(model)
    with pytest.raises(ValueError, match="batch_norm"):
        mydl.summary(model, (2, 3))
    check_unchanged(before, everything(model))
    assert all(module.training and module._hooks is None for module in model.modules())


def test_a_model_on_a_gpu(ledger):
    model = nn.Sequential(nn.Conv2D(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(16, 2))
    assert repr(mydl.summary(model.to("cuda"), (2, 1, 4, 4))) == repr(mydl.summary(model.cpu(), (2, 1, 4, 4)))


@pytest.mark.parametrize("example", [None, 3, (3, "a"), np.zeros((1, 3)), ((1, 3), None)])
def test_bad_examples(example):
    with pytest.raises(TypeError, match="wanted a tensor or a shape"):
        mydl.summary(nn.Linear(3, 2), example)


def test_a_model_is_wanted():
    with pytest.raises(TypeError, match="wanted a NeuralNetwork, got function"):
        mydl.summary(lambda x: x, (1, 3))


@pytest.mark.parametrize(
    ("count", "text"), [(1, "4 B"), (250, "1.0 kB"), (249_990, "1.0 MB"), (10**6, "4.0 MB"), (10**9, "4.0 GB")]
)
def test_memory_is_printed_with_a_unit(count, text):
    table = mydl.layer_table.LayerTable([mydl.layer_table.Layer("", "X", 0, (count,), 0, 0, 4 * count)], 0)
    assert repr(table).splitlines()[-1].endswith(f" {text}")
