"""Functions of nn.functional against PyTorch's over options that no layer of tests/nn/test_layers.py reaches."""

from __future__ import annotations

import numpy as np
import pytest

IMAGE = (2, 3, 5, 6)

# name, input shapes, options
FUNCTIONS = [
    ("softmax", [(2, 3)], {"dim": 0}),
    ("softmax", [()], {"dim": 0}),
    ("softmax", [(2, 0)], {"dim": 1}),
    ("log_softmax", [IMAGE], {"dim": -3}),
    ("softplus", [(50,)], {"beta": -1.5, "threshold": 0.5}),
    ("glu", [(4, 3, 5)], {"dim": -3}),
    ("prelu", [(7,), (1,)], {}),
    ("prelu", [(), (1,)], {}),
    ("prelu", [(2, 3, 4), (3,)], {}),
    ("linear", [(5,), (5,)], {}),
    ("linear", [(2, 5), (5,)], {}),
    ("linear", [(2, 3, 5), (4, 5), (4,)], {}),
    ("bilinear", [(2, 2, 3), (2, 2, 4), (5, 3, 4), (5,)], {}),
    ("pad", [IMAGE], {"pad": (1, 2)}),
    ("pad", [IMAGE], {"pad": (1, -2, 0, 3, 2, 2, -1, 0), "value": -1.5}),
    ("pad", [(3, 4)], {"pad": (3, 2), "mode": "reflect"}),
    ("pad", [(2, 3, 4)], {"pad": (2, 2, 1, 0), "mode": "replicate"}),
    ("pad", [IMAGE], {"pad": (6, 1, 2, 5), "mode": "circular"}),
    ("pad", [(2, 3, 1)], {"pad": (-2, 3), "mode": "replicate"}),
    ("pad", [(1, 2, 3, 4, 5)], {"pad": (4, 1, 2, 1, 1, 2), "mode": "reflect"}),
    ("interpolate", [(2, 3, 7)], {"size": 5}),
    ("interpolate", [(2, 3, 7)], {"scale_factor": 2.3}),
    ("interpolate", [(2, 3, 7)], {"scale_factor": 2.3, "recompute_scale_factor": True}),
    ("interpolate", [(2, 3, 7)], {"size": 11, "mode": "nearest-exact"}),
    ("interpolate", [(2, 3, 7)], {"scale_factor": 0.6, "mode": "linear"}),
    ("interpolate", [IMAGE], {"scale_factor": (0.5, 1.7), "mode": "bilinear"}),
    ("interpolate", [IMAGE], {"size": (1, 13), "mode": "bilinear", "align_corners": True}),
    ("interpolate", [IMAGE], {"size": (5, 6), "mode": "bilinear"}),
    ("interpolate", [(1, 2, 2, 3, 2)], {"scale_factor": 2}),
    ("interpolate", [IMAGE], {"scale_factor": 1.1}),
    ("interpolate", [IMAGE], {"scale_factor": 1.1, "mode": "bilinear"}),
    ("interpolate", [IMAGE], {"scale_factor": 1.1, "mode": "nearest-exact"}),
    ("interpolate", [IMAGE], {"scale_factor": 2.1}),
    ("interpolate", [(2, 3, 2, 3)], {"scale_factor": (2.4, 2.2)}),
    ("interpolate", [IMAGE], {"size": (3, 13), "mode": "bicubic"}),
    ("interpolate", [IMAGE], {"scale_factor": (1.1, 0.4), "mode": "bicubic", "align_corners": True}),
    ("interpolate", [(2, 3, 2, 3, 4)], {"scale_factor": 1.7, "mode": "trilinear"}),
    ("interpolate", [(2, 3, 7)], {"size": 5, "mode": "area"}),
    ("interpolate", [IMAGE], {"scale_factor": (0.6, 1.5), "mode": "area"}),
    ("local_response_norm", [(2, 3, 4)], {"size": 3}),
    ("softmin", [(2, 3)], {"dim": 0}),
    ("threshold", [(2, 3)], {"threshold": 0.1, "value": 2.0}),
    ("alpha_dropout", [(2, 3)], {"p": 1.0, "training": True}),
    ("dropout3d", [(2, 3, 1, 2, 2)], {"p": 1.0}),
    ("pad", [IMAGE], {"pad": (2, -3, -1, 2), "mode": "circular"}),
    ("max_pool2d", [IMAGE], {"kernel_size": (6, 4), "stride": (2, 4), "ceil_mode": True}),
    ("avg_pool1d", [(2, 3, 4)], {"kernel_size": 5, "ceil_mode": True}),
    ("unfold", [(3, 5, 6)], {"kernel_size": 3, "padding": 1}),
    ("fold", [(12, 6)], {"output_size": (3, 4), "kernel_size": 2}),
    ("normalize", [(3, 4)], {}),
    ("normalize", [(3, 4)], {"p": 1.0, "dim": 0}),
    ("normalize", [(3, 4)], {"p": 3.0, "dim": -1, "eps": 5.0}),
    ("cosine_similarity", [(3, 4), (3, 4)], {}),
    ("cosine_similarity", [(3, 1, 4), (2, 4)], {"dim": -1, "eps": 0.5}),
    ("pairwise_distance", [(3, 4), (3, 4)], {"p": 1.5, "keepdim": True}),
    ("scaled_dot_product_attention", [(2, 3, 4), (2, 5, 4), (2, 5, 6)], {}),
    ("scaled_dot_product_attention", [(2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 6)], {"is_causal": True}),
    ("scaled_dot_product_attention", [(3, 4), (5, 4), (5, 6), (3, 5)], {"scale": 0.3}),
    ("batch_norm", [(4, 3, 2)], {"running_mean": None, "running_var": None, "training": True}),
    ("instance_norm", [(4, 3, 2)], {}),
    ("layer_norm", [(4, 3, 2)], {"normalized_shape": (3, 2)}),
    ("group_norm", [(4, 6, 2)], {"num_groups": 3}),
    ("adaptive_avg_pool2d", [IMAGE], {"output_size": (7, 2)}),
    ("max_pool2d", [(0, 3, 5, 6)], {"kernel_size": 2}),
    ("avg_pool2d", [(0, 3, 5, 6)], {"kernel_size": 2}),
    ("dropout", [(2, 3)], {"p": 0.0}),
    ("dropout", [(2, 3)], {"p": 1.0}),
    ("dropout2d", [IMAGE], {"p": 1.0}),
    ("dropout", [(2, 3)], {"p": 0.5, "training": False}),
]


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda row: f"{row[0]} {row[1]} {row[2]}")
def test_function_is_pytorchs(row, compare_function, numbers):
    name, shapes, options = row
    arrays = [numbers(f"{name}{i}", *shape) for i, shape in enumerate(shapes)]
    compare_function(lambda library, f, *inputs: getattr(f, name)(*inputs, **options), arrays)


def test_boolean_mask_with_a_row_that_looks_nowhere(compare_function, numbers):
    mask = np.array([[True, False, True], [False, False, False]])
    arrays = [numbers("q", 2, 4), numbers("k", 3, 4), numbers("v", 3, 5), mask]
    compare_function(lambda _, f, *inputs: f.scaled_dot_product_attention(*inputs), arrays)


def test_evaluation_mode_batch_norm_has_gradients_for_everything(compare_function, numbers):
    mean, var = numbers("mean", 3), numbers("var", 3) ** 2

    def call(library, f, x, weight, bias):
        return f.batch_norm(x, library.tensor(mean), library.tensor(var), weight, bias)

    compare_function(call, [numbers("x", 2, 3, 4), numbers("w", 3), numbers("b", 3)])


def test_one_hot(compare_function):
    index = np.array([[0, 2], [3, 1]])
    compare_function(lambda _, f, x: f.one_hot(x), [index])
    compare_function(lambda _, f, x: f.one_hot(x, num_classes=6), [index])
    compare_function(lambda _, f, x: f.one_hot(x, 3), [index[:0]])


EDGES = [-1000.0, -20.5, -6.0, -3.0, -1.0, -0.5, -1e-9, -0.0, 0.0, 1e-9, 0.5, 1.0, 3.0, 6.0, 20.5, 1000.0]
EXTREMES = [-np.inf, np.inf, np.nan]
ACTIVATIONS = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "logsigmoid", "hardswish",
    "hardtanh", "sigmoid", "tanh",
]  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_at_their_edges(name, compare_function):
    edges = np.array(EDGES)
    if name == "mish":
        edges = edges[:-1]  # PyTorch's second derivative is NaN there
    compare_function(lambda _, f, x: getattr(f, name)(x), [edges])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_infinities_and_nan(name, compare_function):
    compare_function(lambda _, f, x: getattr(f, name)(x), [np.array(EXTREMES)], gradients=False)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "selu", "silu", "mish", "relu6", "hardswish"])
def test_activations_in_place(name, compare_function, numbers):
    def call(_, f, x):
        y = x * 1
        assert getattr(f, name)(y, inplace=True) is y
        return y

    compare_function(call, [numbers(name, 3, 4)], twice=False)


def test_max_pool_of_ties_and_nan(compare_function):
    x = np.zeros((1, 1, 4, 4))
    x[0, 0, 1, 2] = np.nan
    compare_function(lambda _, f, x: f.max_pool2d(x, 2, return_indices=True), [x])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_no_function_widens_its_dtype(dtype, numbers):
    import mydl
    from mydl.nn import functional as F

    def tensor(*shape):
        return mydl.tensor(numbers("dtype", *shape).astype(dtype), requires_grad=True)

    x, w, b = tensor(2, 4, 6, 6), tensor(4), tensor(4)
    mean, var = mydl.zeros(4).type(dtype), mydl.ones(4).type(dtype)
    results = [
        *(getattr(F, name)(x) for name in ACTIVATIONS),
        F.glu(x, 1),
        F.prelu(x, w),
        F.softmax(x, 1),
        F.linear(x, tensor(3, 6), tensor(3)),
        F.conv2d(x, tensor(2, 4, 3, 3), tensor(2)),
        F.conv_transpose2d(x, tensor(4, 2, 3, 3), tensor(2)),
        F.batch_norm(x, mean, var, w, b, True),
        F.batch_norm(x, mean, var, w, b),
        F.group_norm(x, 2, w, b),
        F.layer_norm(x, (6,), tensor(6), tensor(6)),
        F.rms_norm(x, (6,), tensor(6)),
        F.max_pool2d(x, 2),
        F.avg_pool2d(x, 2),
        F.adaptive_avg_pool2d(x, 4),
        F.adaptive_max_pool2d(x, 4),
        F.dropout(x),
        F.dropout2d(x),
        F.pad(x, (1, 1, 1, 1), "reflect"),
        F.interpolate(x, 9, mode="nearest"),
        F.interpolate(x, (9, 9), mode="bilinear"),
        F.unfold(x, 2),
        F.pixel_shuffle(x, 2),
        F.normalize(x),
        F.cosine_similarity(x, x),
        F.scaled_dot_product_attention(x, x, x),
        F.embedding(mydl.tensor([1, 2]), tensor(4, 2)),
        F.cross_entropy(x[:, :, 0, 0], mydl.tensor([1, 2]), label_smoothing=0.1),
        F.mse_loss(x, x * 2),
        F.huber_loss(x, x * 2),
        F.binary_cross_entropy_with_logits(x, x),
        F.binary_cross_entropy(F.sigmoid(x), F.sigmoid(x)),
        F.kl_div(x, F.softmax(x, 1)),
    ]
    for index, y in enumerate(results):
        assert y.dtype == dtype, index
        x.grad = None
        if y.requires_grad:
            y.sum().backward()
            assert x.grad is None or (x.grad.dtype == dtype and x.grad.shape == x.shape), index
