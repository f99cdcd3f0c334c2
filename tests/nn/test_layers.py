"""Every layer against PyTorch's: parameter names, repr, outputs, first and second derivatives, buffers, evaluation."""

from __future__ import annotations

import numpy as np
import pytest

import mydl

IMAGE = (2, 4, 5, 6)
BATCH = [(3, 6)]
LINE = [(2, 4, 9)]
STEPS = [(4, 3, 5)]

# name, arguments, options, input shapes
LAYERS = [
    ("Identity", (7,), {"anything": 1}, BATCH),
    ("Linear", (6, 3), {}, BATCH),
    ("Linear", (6, 3), {"bias": False}, BATCH),
    ("Linear", (6, 1), {}, [(6,)]),
    ("Linear", (6, 3), {}, [(2, 0, 4, 6)]),
    ("Linear", (6, 3), {}, [(2, 3, 4, 6)]),
    ("Bilinear", (3, 4, 5), {}, [(2, 6, 3), (2, 6, 4)]),
    ("Flatten", (), {}, [IMAGE]),
    ("Flatten", (), {"start_dim": 0, "end_dim": 2}, [IMAGE]),
    ("Unflatten", (1, (2, 2)), {}, [IMAGE]),
    # convolutions
    ("Conv2d", (4, 6, 3), {}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {}, [(4, 5, 6)]),
    ("Conv2d", (4, 6, 3), {"padding": 1, "stride": 2}, [(1, 4, 7, 8)]),
    ("Conv2d", (4, 6, (2, 3)), {"padding": (1, 2), "stride": (2, 1), "bias": False}, [IMAGE]),
    ("Conv2d", (4, 6, 2), {"padding": 2, "dilation": (2, 3), "groups": 2}, [IMAGE]),
    ("Conv2d", (4, 8, 3), {"groups": 4, "padding": 1}, [IMAGE]),
    ("Conv2d", (4, 6, 1), {"stride": 3}, [IMAGE]),
    ("Conv2d", (4, 6, (4, 3)), {"padding": "same", "dilation": (1, 2)}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": "valid"}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": (1, 2), "padding_mode": "reflect"}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": 2, "padding_mode": "replicate"}, [IMAGE]),
    ("Conv2d", (4, 6, 4), {"padding": "same", "padding_mode": "circular"}, [(4, 5, 6)]),
    ("Conv2d", (4, 6, 3), {"padding": "valid", "padding_mode": "reflect"}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {}, [(0, 4, 5, 6)]),
    ("Conv1d", (4, 6, 3), {}, LINE),
    ("Conv1d", (4, 6, 3), {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}, [(4, 9)]),
    ("Conv1d", (4, 6, 4), {"padding": "same", "bias": False}, LINE),
    ("Conv1d", (4, 6, 3), {"padding": 1, "padding_mode": "circular"}, LINE),
    ("ConvTranspose2d", (4, 6, 3), {}, [IMAGE]),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}, [IMAGE]),
    ("ConvTranspose2d", (4, 6, (2, 3)), {"stride": (3, 2), "output_padding": (2, 0), "groups": 2}, [(4, 3, 4)]),
    ("ConvTranspose2d", (4, 6, 3), {"dilation": 3, "padding": 1, "output_padding": 2, "bias": False}, [IMAGE]),
    ("ConvTranspose1d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}, LINE),
    ("ConvTranspose1d", (4, 6, 3), {"dilation": 2, "groups": 2}, [(4, 7)]),
    # normalisation
    ("BatchNorm1d", (6,), {}, BATCH),
    ("BatchNorm1d", (4,), {"momentum": None}, LINE),
    ("BatchNorm2d", (4,), {}, [IMAGE]),
    ("BatchNorm2d", (4,), {"eps": 0.1, "momentum": 0.3}, [(1, 4, 2, 1)]),
    ("BatchNorm2d", (4,), {"affine": False}, [IMAGE]),
    ("BatchNorm2d", (4,), {"track_running_stats": False}, [IMAGE]),
    ("BatchNorm2d", (4,), {"bias": False}, [IMAGE]),
    ("BatchNorm3d", (3,), {}, [(2, 3, 2, 3, 2)]),
    ("LayerNorm", (6,), {}, BATCH),
    ("LayerNorm", ((5, 6),), {"eps": 0.01}, [IMAGE]),
    ("LayerNorm", ((4, 5, 6),), {"bias": False}, [IMAGE]),
    ("LayerNorm", (6,), {"elementwise_affine": False}, [(6,)]),
    ("RMSNorm", (6,), {}, BATCH),
    ("RMSNorm", ((5, 6),), {"eps": 0.1}, [IMAGE]),
    ("RMSNorm", (6,), {"elementwise_affine": False}, [(2, 0, 6)]),
    ("GroupNorm", (2, 4), {}, [IMAGE]),
    ("GroupNorm", (4, 4), {"affine": False, "eps": 0.1}, LINE),
    ("GroupNorm", (1, 6), {}, BATCH),
    ("InstanceNorm2d", (4,), {}, [IMAGE]),
    ("InstanceNorm2d", (4,), {"affine": True, "track_running_stats": True}, [IMAGE]),
    ("InstanceNorm2d", (4,), {"affine": True}, [(4, 5, 6)]),
    ("InstanceNorm1d", (4,), {"track_running_stats": True, "momentum": 0.5}, LINE),
    # pooling
    ("MaxPool2d", (2,), {}, [IMAGE]),
    ("MaxPool2d", (3,), {"stride": 2, "padding": 1}, [IMAGE]),
    ("MaxPool2d", ((2, 3),), {"stride": (2, 1), "ceil_mode": True, "dilation": (2, 1)}, [IMAGE]),
    ("MaxPool2d", (2,), {"stride": 3, "ceil_mode": True}, [(4, 5, 6)]),
    ("MaxPool2d", (2,), {"return_indices": True}, [IMAGE]),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, LINE),
    ("MaxPool1d", (2,), {"ceil_mode": True, "return_indices": True, "dilation": 2}, [(4, 9)]),
    ("AvgPool2d", (2,), {}, [IMAGE]),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1}, [IMAGE]),
    ("AvgPool2d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False, "ceil_mode": True}, [IMAGE]),
    ("AvgPool2d", ((2, 3),), {"divisor_override": 5, "ceil_mode": True}, [(4, 5, 6)]),
    ("AvgPool1d", (3,), {"stride": 2, "padding": 1, "ceil_mode": True}, LINE),
    ("AvgPool1d", (2,), {"count_include_pad": False, "padding": 1}, [(4, 9)]),
    ("AdaptiveAvgPool2d", (1,), {}, [IMAGE]),
    ("AdaptiveAvgPool2d", ((5, 3),), {}, [IMAGE]),
    ("AdaptiveAvgPool2d", ((3, 4),), {}, [IMAGE]),
    ("AdaptiveAvgPool2d", ((None, 8),), {}, [(4, 5, 6)]),
    ("AdaptiveAvgPool1d", (4,), {}, LINE),
    ("AdaptiveMaxPool2d", ((3, 4),), {}, [IMAGE]),
    ("AdaptiveMaxPool2d", ((2, None),), {"return_indices": True}, [(4, 5, 6)]),
    ("AdaptiveMaxPool1d", (4,), {}, LINE),
    # activations
    ("ReLU", (), {}, BATCH),
    ("ReLU6", (), {}, BATCH),
    ("LeakyReLU", (0.2,), {}, BATCH),
    ("ELU", (0.7,), {}, BATCH),
    ("SELU", (), {}, BATCH),
    ("GELU", (), {}, BATCH),
    ("GELU", (), {"approximate": "tanh"}, BATCH),
    ("SiLU", (), {}, BATCH),
    ("Mish", (), {}, BATCH),
    ("Sigmoid", (), {}, BATCH),
    ("LogSigmoid", (), {}, BATCH),
    ("Hardswish", (), {}, BATCH),
    ("Hardsigmoid", (), {}, BATCH),
    ("Hardtanh", (-0.5, 0.7), {}, BATCH),
    ("Tanh", (), {}, [()]),
    ("Softplus", (2.0, 1.0), {}, BATCH),
    ("Softmax", (1,), {}, [IMAGE]),
    ("Softmax", (-1,), {}, BATCH),
    ("LogSoftmax", (0,), {}, BATCH),
    ("GLU", (1,), {}, [IMAGE]),
    ("PReLU", (), {}, BATCH),
    ("PReLU", (4,), {}, [IMAGE]),
    ("CELU", (0.5,), {}, BATCH),
    ("Softsign", (), {}, BATCH),
    ("Tanhshrink", (), {}, BATCH),
    ("Hardshrink", (0.3,), {}, BATCH),
    ("Softshrink", (), {}, BATCH),
    ("Threshold", (0.1, 20.0), {"inplace": False}, BATCH),
    ("Softmin", (1,), {}, BATCH),
    ("Softmax2d", (), {}, [IMAGE]),
    ("LocalResponseNorm", (2,), {}, [IMAGE]),
    ("LocalResponseNorm", (5, 0.3, 0.5, 2.0), {}, [(2, 7, 3)]),
    # borders and images
    ("ZeroPad2d", (1,), {}, [IMAGE]),
    ("ZeroPad2d", ((1, -2, 0, 3),), {}, [(4, 5, 6)]),
    ("ConstantPad2d", ((1, 2, 3, 0), 1.5), {}, [IMAGE]),
    ("ReflectionPad2d", ((1, 2, 3, 4),), {}, [IMAGE]),
    ("ReplicationPad2d", ((7, 2, 3, 8),), {}, [IMAGE]),
    ("CircularPad2d", ((6, 2, 3, 5),), {}, [IMAGE]),
    ("ReflectionPad1d", (3,), {}, [(4, 9)]),
    ("Upsample", (), {"scale_factor": 2.0}, [IMAGE]),
    ("Upsample", ((7, 3),), {"mode": "bilinear"}, [IMAGE]),
    ("Upsample", (), {"scale_factor": 3.0, "mode": "bilinear", "align_corners": True}, [IMAGE]),
    ("Upsample", (), {"scale_factor": (1.5, 2), "mode": "bicubic"}, [IMAGE]),
    ("UpsamplingNearest2d", ((7, 3),), {}, [IMAGE]),
    ("UpsamplingBilinear2d", (), {"scale_factor": 2}, [IMAGE]),
    ("PixelShuffle", (2,), {}, [IMAGE]),
    ("PixelUnshuffle", (2,), {}, [(3, 4, 6)]),
    ("Unfold", ((2, 3),), {"dilation": 2, "padding": 1, "stride": 2}, [IMAGE]),
    ("Fold", ((4, 5), (2, 3)), {"padding": 1, "stride": 2}, [(2, 12, 9)]),
    # sequences
    ("RNN", (5, 3), {}, STEPS),
    ("RNN", (5, 3), {"nonlinearity": "relu", "num_layers": 2, "bias": False}, [(4, 5)]),
    ("LSTM", (5, 3), {}, STEPS),
    ("LSTM", (5, 4), {"num_layers": 2, "bidirectional": True, "batch_first": True, "proj_size": 2}, STEPS),
    ("LSTM", (5, 3), {"bidirectional": True}, [(4, 5)]),
    ("GRU", (5, 3), {"num_layers": 2, "bidirectional": True}, STEPS),
    ("GRU", (5, 3), {"batch_first": True, "bias": False}, STEPS),
    ("RNNCell", (5, 3), {}, [(2, 5)]),
    ("LSTMCell", (5, 3), {"bias": False}, [(2, 5)]),
    ("GRUCell", (5, 3), {}, [(5,), (3,)]),
    ("TransformerEncoderLayer", (6, 2, 7), {"dropout": 0.0}, [(4, 3, 6)]),
    (
        "TransformerEncoderLayer",
        (6, 3, 7),
        {"dropout": 0.0, "activation": "gelu", "norm_first": True, "batch_first": True, "bias": False},
        [(3, 4, 6)],
    ),
    ("TransformerDecoderLayer", (6, 2, 7), {"dropout": 0.0}, [(4, 3, 6), (5, 3, 6)]),
    ("TransformerDecoderLayer", (6, 2, 7), {"dropout": 0.0, "norm_first": True}, [(4, 6), (5, 6)]),
    ("Transformer", (6, 2, 1, 2, 7, 0.0), {"batch_first": True}, [(3, 4, 6), (3, 5, 6)]),
]


def row_name(row: tuple) -> str:
    name, args, options, shapes = row
    parts = [*map(str, args), *(f"{key}={value}" for key, value in options.items())]
    return f"{name}({', '.join(parts)}) of {shapes}"


@pytest.mark.parametrize("row", LAYERS, ids=row_name)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
def test_layer_is_pytorchs(row, compare_layer, numbers):
    name, args, options, shapes = row
    arrays = [numbers(row_name(row), *shape) for shape in shapes]
    if "Norm" in name:
        arrays = [3 * array + 2 for array in arrays]
    # of PyTorch's hardsigmoid there is no second derivative
    compare_layer(lambda nn: getattr(nn, name)(*args, **options), arrays, twice=name != "Hardsigmoid")


def test_recurrent_layers_take_states(compare_layer, numbers):
    x, h, c = numbers("x", 4, 3, 5), numbers("h", 2, 3, 2), numbers("c", 2, 3, 6)
    compare_layer(lambda nn: nn.LSTM(5, 6, 2, proj_size=2), [x, h, c], lambda m, x, h, c: m(x, (h, c)))
    compare_layer(lambda nn: nn.GRU(5, 6, bidirectional=True), [x[:, 0], c[:, 0]])
    compare_layer(lambda nn: nn.RNN(5, 6, 2), [x, c])


def test_transposed_convolution_takes_an_output_size(compare_layer, numbers):
    x = numbers("x", 1, 2, 4, 5)
    compare_layer(
        lambda nn: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1),
        [x],
        lambda layer, x: layer(x, output_size=[8, 9]),
    )


ATTENTION = [
    ({}, {}),
    ({"bias": False, "batch_first": True}, {"need_weights": False}),
    ({"kdim": 5, "vdim": 3}, {"average_attn_weights": False}),
    ({"add_bias_kv": True, "add_zero_attn": True}, {"attn_mask": "bool", "key_padding_mask": "bool"}),
    ({}, {"attn_mask": "float"}),
    ({}, {"attn_mask": "heads"}),
]


@pytest.mark.parametrize(("options", "how"), ATTENTION)
@pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning")
def test_multihead_attention(options, how, compare_layer, numbers):
    batch, length, keys, heads = 2, 3, 4, 2
    sizes = (6, options.get("kdim", 6), options.get("vdim", 6))
    arrays = [numbers(f"attention{i}", n, batch, size) for i, (n, size) in enumerate(zip((length, keys, keys), sizes))]
    if options.get("batch_first"):
        arrays = [array.swapaxes(0, 1).copy() for array in arrays]
    rng = np.random.default_rng(0)
    causal = np.triu(np.ones((length, keys), bool), 2)
    masks = {
        "bool": causal,
        "float": rng.standard_normal((length, keys)),
        "heads": np.stack([causal] * batch * heads),
    }
    how = dict(how)
    if "attn_mask" in how:
        arrays.append(masks[how.pop("attn_mask")])
    if "key_padding_mask" in how:
        del how["key_padding_mask"]
        arrays.append(np.array([[False] * keys, [False, False, True, True]]))

    def call(layer, q, k, v, mask=None, padding=None):
        return layer(q, k, v, attn_mask=mask, key_padding_mask=padding, **how)

    compare_layer(lambda nn: nn.MultiheadAttention(6, heads, **options), arrays, call, evaluate=False)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("shape", [(5, 2, 6), (5, 6)])
def test_self_attention_projects_in_one_product(batch_first, shape):
    x = mydl.ones(*shape)
    with mydl.profile() as profile:
        mydl.nn.MultiheadAttention(6, 3, batch_first=batch_first)(x, x, x)
    assert sum(event.name == "Linear" for event in profile.events) == 2  # with that of the output


def test_self_attention_without_a_batch(compare_layer, numbers):
    def call(layer, x):
        return layer(x, x, x)

    compare_layer(lambda nn: nn.MultiheadAttention(6, 3), [numbers("self", 5, 6)], call, evaluate=False)


@pytest.mark.parametrize(
    "options",
    [{}, {"padding_idx": 1}, {"padding_idx": -1, "scale_grad_by_freq": True}, {"max_norm": 0.8, "norm_type": 1.0}],
)
def test_embedding(options, compare_layer):
    index = np.array([[0, 1, 4], [1, 1, 2]])
    compare_layer(lambda nn: nn.Embedding(5, 3, **options), [index], twice=not options.get("scale_grad_by_freq"))


BAG = np.array([[0, 1, 4], [1, 1, 2]])


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
@pytest.mark.parametrize("options", [{}, {"padding_idx": 1}, {"max_norm": 0.8}, {"include_last_offset": True}], ids=str)
def test_embedding_bag(mode, options, compare_layer):
    if options.get("include_last_offset"):
        arrays = [BAG.reshape(-1), np.array([0, 2, 2, 6])]
    else:
        arrays = [BAG]
        compare_layer(lambda nn: nn.EmbeddingBag(5, 3, mode=mode, **options), [BAG.reshape(-1), np.array([0, 2, 2])])
    compare_layer(lambda nn: nn.EmbeddingBag(5, 3, mode=mode, **options), arrays, twice="max_norm" not in options)


def test_embedding_bag_with_weights(compare_layer, numbers):
    weights = numbers("weights", 2, 3)
    compare_layer(lambda nn: nn.EmbeddingBag(5, 3, mode="sum"), [BAG, weights], lambda m, x, w: m(x, None, w), False)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")
def test_transformer_masks(compare_layer, numbers):
    src, tgt = numbers("src", 4, 2, 6), numbers("tgt", 3, 2, 6)

    def call(model, src, tgt, padding):
        mask = model.generate_square_subsequent_mask(3, device=src.device, dtype=src.dtype)
        return model(src, tgt, tgt_mask=mask, src_key_padding_mask=padding, memory_key_padding_mask=padding)

    padding = np.where([[False] * 4, [False, False, True, True]], -np.inf, 0.0)
    compare_layer(lambda nn: nn.Transformer(6, 2, 2, 1, 7, 0.0), [src, tgt, padding], call, twice=False, evaluate=False)


def test_running_statistics_over_several_batches(torch, numbers):
    import mydl
    from mydl import nn

    for momentum in (0.1, None):
        ours, theirs = (
            nn.BatchNorm2d(3, momentum=momentum).double(),
            torch.nn.BatchNorm2d(3, momentum=momentum).double(),
        )
        for step in range(3):
            x = numbers(f"batch{step}", 4, 3, 2, 2)
            ours(mydl.tensor(x))
            theirs(torch.tensor(x))
        for name, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[name].numpy(), value.numpy(), rtol=1e-12, err_msg=name)


def test_embedding_bag_of_given_rows(compare_layer, numbers):
    rows = numbers("rows", 5, 3)

    def make(nn):
        library = __import__("torch" if "torch" in nn.__name__ else "mydl")
        return nn.EmbeddingBag.from_pretrained(library.tensor(rows), freeze=False, mode="sum", padding_idx=2)

    compare_layer(make, [BAG])
