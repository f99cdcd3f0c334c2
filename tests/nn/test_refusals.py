"""What layers refuse: every message names the layer or function, what it found and what it wanted."""

from __future__ import annotations

import pytest

import mydl
from mydl import nn
from mydl.nn import functional as F


def ones(*shape):
    return mydl.ones(*shape)


IMAGE = (2, 4, 5, 6)

REFUSED = [
    # shapes that do not fit
    (lambda: nn.Linear(3, 2)(ones(2, 4)), ValueError, r"Linear: .*\(…, 3\)"),
    (lambda: nn.Conv2d(3, 2, 3)(ones(*IMAGE)), ValueError, r"conv2d: .*3 channels.*\(2, 4, 5, 6\)"),
    (lambda: nn.Conv2d(4, 2, 3)(ones(5, 6)), ValueError, r"conv2d: .*\(5, 6\)"),
    (lambda: nn.Conv2d(4, 2, 7)(ones(*IMAGE)), ValueError, r"conv2d: a kernel of \(7, 7\).*larger"),
    (lambda: nn.Conv1d(4, 2, 3)(ones(*IMAGE)), ValueError, "conv1d"),
    (lambda: F.conv2d(ones(*IMAGE), ones(2, 4, 1, 1), ones(3)), ValueError, r"bias of shape \(2,\).*\(3,\)"),
    (lambda: F.conv2d(ones(*IMAGE), ones(3, 2, 1, 1), groups=2), ValueError, "groups=2"),
    (lambda: nn.BatchNorm2d(4)(ones(2, 4)), ValueError, r"BatchNorm2d: .*4 dimensions, got \(2, 4\)"),
    (lambda: nn.BatchNorm1d(3)(ones(2, 4)), ValueError, r"batch_norm: .*running_mean of shape \(4,\).*\(3,\)"),
    (lambda: nn.LayerNorm(3)(ones(2, 4)), ValueError, r"layer_norm: .*\(3,\).*\(2, 4\)"),
    (lambda: nn.InstanceNorm2d(3)(ones(2, 4)), ValueError, "InstanceNorm2d"),
    (lambda: nn.MaxPool2d(2)(ones(4, 4)), ValueError, "max_pool2d"),
    (lambda: nn.MaxPool2d(7)(ones(*IMAGE)), ValueError, r"max_pool2d: a kernel of \(7, 7\)"),
    (lambda: nn.AvgPool2d(2, padding=2)(ones(*IMAGE)), ValueError, "avg_pool2d: .*half the kernel"),
    (lambda: nn.AdaptiveAvgPool2d(2)(ones(2, 3, 0, 4)), ValueError, "adaptive_avg_pool2d"),
    (lambda: nn.FullAveragePool2d()(ones(2, 3)), ValueError, "full_average_pool2d"),
    (lambda: nn.PReLU(3)(ones(2, 4)), ValueError, "prelu"),
    (lambda: nn.GLU()(ones(3)), ValueError, "glu: .*even"),
    (lambda: nn.LSTM(3, 4)(ones(5, 2, 2)), ValueError, r"LSTM: .*3.*\(5, 2, 2\)"),
    (lambda: nn.GRU(3, 4)(ones(5, 2, 3), ones(1, 3, 4)), ValueError, r"GRU: .*\(1, 2, 4\).*\(1, 3, 4\)"),
    (lambda: nn.MultiheadAttention(4, 2)(ones(3, 4), ones(3, 5), ones(3, 4)), ValueError, "MultiheadAttention"),
    (lambda: F.scaled_dot_product_attention(ones(3, 4), ones(3, 5), ones(3, 4)), ValueError, "attention"),
    (lambda: F.pixel_shuffle(ones(1, 3, 2, 2), 2), ValueError, "pixel_shuffle"),
    (lambda: F.fold(ones(1, 4, 5), (3, 3), 2), ValueError, "fold: wanted 4 blocks"),
    (lambda: F.unfold(ones(1, 4, 2, 2), 3), ValueError, "unfold"),
    (lambda: F.pad(ones(1, 2, 3), (3, 0), "reflect"), ValueError, "reflect.*up to 2"),
    (lambda: F.pad(ones(1, 2, 3), (1, 0, 2)), ValueError, "pad"),
    (lambda: F.pad(ones(1, 2, 3), (5, -4)), ValueError, "cut off more"),
    (lambda: F.interpolate(ones(*IMAGE)), ValueError, "size or scale_factor"),
    (lambda: F.interpolate(ones(*IMAGE), size=(1, 2, 3)), ValueError, "2 sizes"),
    (lambda: F.interpolate(ones(*IMAGE), 4, mode="linear"), ValueError, "linear"),
    # values out of range
    (lambda: nn.BatchNorm1d(4)(ones(1, 4)), ValueError, r"batch_norm: .*more than one value.*\(1, 4\)"),
    (lambda: nn.InstanceNorm2d(4)(ones(2, 4, 1, 1)), ValueError, "instance_norm: .*more than one value"),
    (lambda: nn.Embedding(3, 2)(mydl.tensor([0, 3])), IndexError, "embedding: index 3 .*3 rows"),
    (lambda: nn.Embedding(3, 2)(mydl.tensor([-1])), IndexError, "embedding: index -1"),
    (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "padding_idx 3"),
    (lambda: F.one_hot(mydl.tensor([3]), 2), IndexError, "one_hot"),
    (lambda: F.one_hot(mydl.tensor([-1])), IndexError, "one_hot"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "groups=2"),
    (lambda: nn.Conv2d(3, 4, 0), ValueError, "kernel_size"),
    (lambda: nn.Conv2d(3, 4, 3, padding="around"), ValueError, "around"),
    (lambda: nn.Conv2d(3, 4, 3, stride=2, padding="same"), ValueError, "stride of 1"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError, "mirror"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ValueError, "padding_mode"),
    (lambda: F.conv_transpose2d(ones(1, 2, 3, 3), ones(2, 1, 2, 2), output_padding=1), ValueError, "output_padding"),
    (lambda: nn.ConvTranspose2d(1, 1, 3, stride=2)(ones(1, 1, 4, 4), [20, 9]), ValueError, "output_size"),
    (lambda: nn.GroupNorm(3, 4), ValueError, "3 groups"),
    (lambda: nn.RNN(2, 3, nonlinearity="gelu"), ValueError, "gelu"),
    (lambda: nn.LSTM(2, 3, proj_size=3), ValueError, "proj_size"),
    (lambda: nn.MultiheadAttention(5, 2), ValueError, "2 heads"),
    (lambda: F.gelu(ones(1), approximate="fast"), ValueError, "fast"),
    (lambda: F.batch_norm(ones(2, 3), None, None), ValueError, "running_mean"),
    (lambda: F.softmax(ones(2, 3), dim=2), IndexError, "softmax: dim 2"),
    # dtypes and types
    (lambda: nn.Linear(3, 2)(ones(2, 3).double()), TypeError, "Linear: .*float64.*float32"),
    (lambda: F.linear(ones(2, 3), ones(4, 3), ones(4).double()), TypeError, "Linear: .*float32.*float64"),
    (lambda: nn.Conv2d(4, 2, 3)(ones(*IMAGE).double()), TypeError, "conv2d: .*float64, float32"),
    (lambda: nn.Conv2d(4, 2, 3)(ones(*IMAGE).long()), TypeError, "conv2d: .*int64"),
    (lambda: nn.BatchNorm1d(4)(ones(2, 4).long()), TypeError, "batch_norm: .*int64"),
    (lambda: nn.MaxPool2d(2)(ones(*IMAGE).long()), TypeError, "max_pool2d: .*int64"),
    (lambda: nn.Embedding(3, 2)(ones(2)), TypeError, "embedding: .*float32.*long"),
    (lambda: F.one_hot(ones(2)), TypeError, "one_hot: .*float32"),
    (lambda: F.elu([1.0]), TypeError, "elu: wanted a tensor, got list"),
    (lambda: F.elu(mydl.tensor([1])), TypeError, "elu: .*int64"),
    (lambda: nn.Conv2d(3, 4, (1, 2, 3)), TypeError, "kernel_size"),
    # what is left out says so
    (lambda: nn.Embedding(3, 2, sparse=True), NotImplementedError, "sparse"),
    (lambda: F.interpolate(ones(*IMAGE), 4, mode="lanczos"), NotImplementedError, "lanczos"),
    (lambda: F.interpolate(ones(*IMAGE), 4, mode="bilinear", antialias=True), NotImplementedError, "antialias"),
    (lambda: F.pad(ones(2, 3), (1, 1), "symmetric"), NotImplementedError, "symmetric"),
    (
        lambda: F.scaled_dot_product_attention(ones(2, 2), ones(2, 2), ones(2, 2), enable_gqa=True),
        NotImplementedError,
        "gqa",
    ),
    (lambda: nn.RNN(2, 3)(object()), NotImplementedError, "packed"),
    (lambda: nn.Linear(2, 2).load_state_dict({}, assign=True), NotImplementedError, "assign"),
    (
        lambda: F.cross_entropy(ones(2, 3), mydl.tensor([0, 1]), mydl.ones(3).requires_grad_()),
        NotImplementedError,
        "class weights",
    ),
]


@pytest.mark.parametrize(
    ("call", "error", "message"), REFUSED, ids=lambda value: str(value)[:60] if isinstance(value, str) else ""
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, error)


def test_an_error_of_a_layer_changes_nothing():
    layer = nn.BatchNorm1d(2)
    before = layer.running_mean.tolist()
    with pytest.raises(ValueError, match="more than one value"):
        layer(mydl.ones(1, 2))
    assert layer.running_mean.tolist() == before


def test_recurrent_dropout_with_one_layer_warns():
    with pytest.warns(UserWarning, match="only one"):
        nn.LSTM(2, 3, dropout=0.5)
