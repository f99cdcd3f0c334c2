"""Gradients of layers against central differences in float64: the truth where PyTorch is not installed."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl import nn
from mydl.nn import functional as F


def central_differences(function, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    slopes = np.empty_like(x)
    for place in np.ndindex(x.shape):
        values = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * step
            values.append(function(moved))
        slopes[place] = (values[0] - values[1]) / (2 * step)
    return slopes


LAYERS = [
    (lambda: nn.Linear(3, 2), (2, 3)),
    (lambda: nn.Conv2D(2, 4, 3, stride=2, padding=1, groups=2), (2, 2, 4, 5)),
    (lambda: nn.Conv1d(2, 3, 2, dilation=2), (1, 2, 6)),
    (lambda: nn.ConvTranspose2d(2, 2, 2, stride=2, output_padding=1), (1, 2, 2, 3)),
    (lambda: nn.BatchNorm2d(2), (2, 2, 2, 3)),
    (lambda: nn.BatchNorm1d(2).eval(), (3, 2)),
    (lambda: nn.LayerNorm(4), (3, 4)),
    (lambda: nn.RMSNorm(4), (3, 4)),
    (lambda: nn.GroupNorm(2, 4), (2, 4, 3)),
    (lambda: nn.MaxPool2d(2, 1), (1, 2, 3, 4)),
    (lambda: nn.AvgPool2d(3, 2, 1), (1, 2, 4, 5)),
    (lambda: nn.FullAveragePool2d(), (2, 3, 2, 2)),
    (lambda: nn.AdaptiveAvgPool2d(2), (1, 2, 3, 5)),
    (lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2), nn.Softmax(1)), (2, 3)),
    (lambda: nn.Sequential(nn.SiLU(), nn.Mish(), nn.ELU(), nn.Hardswish(), nn.Softplus()), (2, 3)),
    (lambda: nn.Identity(), (2, 3)),
    (lambda: nn.Flatten(), (2, 2, 3)),
    (lambda: nn.ReLU(), (3, 4)),
    (lambda: nn.LeakyReLU(0.2), (3, 4)),
    (lambda: nn.Sigmoid(), (3, 4)),
    (lambda: nn.Tanh(), (3, 4)),
    (lambda: nn.Softmax(1), (3, 4)),
    (lambda: nn.LogSoftmax(1), (3, 4)),
    (lambda: nn.Step(), (3, 4)),
    (lambda: nn.PReLU(2), (3, 2)),
    (lambda: nn.GLU(), (3, 4)),
    (lambda: nn.Dropout(0.4).eval(), (3, 4)),
    (lambda: nn.BatchNorm1d(3), (4, 3)),
    (lambda: nn.InstanceNorm2d(2, affine=True), (2, 2, 2, 3)),
    (lambda: nn.MaxPool1d(2), (1, 2, 6)),
    (lambda: nn.AvgPool1d(2), (1, 2, 6)),
    (lambda: nn.AdaptiveMaxPool2d(2), (1, 2, 3, 5)),
    (lambda: nn.ReflectionPad2d(1), (1, 2, 3, 3)),
    (lambda: nn.RNN(2, 3), (3, 2, 2)),
    (lambda: nn.LSTM(2, 3), (3, 2, 2)),
    (lambda: nn.GRU(2, 3), (3, 2, 2)),
    (lambda: nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0), (3, 2, 4)),
    (lambda: nn.Upsample((3, 5), mode="bilinear"), (1, 2, 2, 3)),
]


@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_layers(make, shape, numbers):
    mydl.manual_seed(0)
    layer = make().double()
    x = numbers("x", *shape)

    def value(tensor):
        y = layer(tensor)
        y = y[0] if isinstance(y, tuple) else y
        return (y * mydl.tensor(numbers("v", *y.shape))).sum()

    leaf = mydl.tensor(x, requires_grad=True)
    value(leaf).backward()
    np.testing.assert_allclose(
        leaf.grad.numpy(), central_differences(lambda a: value(mydl.tensor(a)).item(), x), atol=1e-7, rtol=1e-5
    )
    for name, parameter in layer.named_parameters():

        def with_parameter(array, parameter=parameter):
            parameter.data.copy_(array)
            return value(mydl.tensor(x)).item()

        start = parameter.detach().numpy().copy()
        slopes = central_differences(with_parameter, start)
        parameter.data.copy_(start)
        np.testing.assert_allclose(parameter.grad.numpy(), slopes, atol=1e-7, rtol=1e-5, err_msg=name)


LOSSES = [
    lambda x: F.cross_entropy(x, mydl.tensor([2, 0, 1]), label_smoothing=0.1),
    lambda x: F.cross_entropy(x, mydl.tensor(np.full((3, 4), 0.25)), mydl.tensor([1.0, 2.0, 3.0, 4.0])),
    lambda x: F.nll_loss(F.log_softmax(x, 1), mydl.tensor([2, 0, 1]), reduction="sum"),
    lambda x: F.cross_entropy_from_probs(F.softmax(x, 1), mydl.tensor([2, 0, 1])),
    lambda x: F.cross_entropy(x, mydl.tensor([2, 0, 1]), mydl.tensor([1.0, 2.0, 3.0, 4.0]).double()),
    lambda x: F.l1_loss(x, mydl.zeros(3, 4).double()),
    lambda x: F.smooth_l1_loss(x, mydl.zeros(3, 4).double(), beta=0.5),
    lambda x: F.mse_loss(x, mydl.ones(3, 4).double()),
    lambda x: F.huber_loss(x, mydl.zeros(3, 4).double()),
    lambda x: F.binary_cross_entropy(F.sigmoid(x), mydl.tensor(np.full((3, 4), 0.3))),
    lambda x: F.binary_cross_entropy_with_logits(x, mydl.tensor(np.full((3, 4), 0.3))),
    lambda x: F.kl_div(F.log_softmax(x, 1), mydl.tensor(np.full((3, 4), 0.25)), reduction="batchmean"),
]


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss, numbers):
    x = numbers("logits", 3, 4)
    leaf = mydl.tensor(x, requires_grad=True)
    loss(leaf).backward()
    slopes = central_differences(lambda a: loss(mydl.tensor(a)).item(), x)
    np.testing.assert_allclose(leaf.grad.numpy(), slopes, atol=1e-8, rtol=1e-5)
