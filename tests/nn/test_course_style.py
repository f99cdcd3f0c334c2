"""Models written as in the course, and as PyTorch's users write them, run as they are and learn."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl import nn
from mydl.nn import functional as F


class Residual(nn.NeuralNetwork):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2D(channels, channels, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2D(channels, channels, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        out = nn.ReLU.forward(self.bn1(self.conv1(x)))
        return nn.ReLU.forward(x + self.bn2(self.conv2(out)))


class Net(nn.NeuralNetwork):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(1, 8, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        blocks = [Residual(8) for _ in range(2)]
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.FullAveragePool2d()
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = nn.ReLU.forward(self.bn(self.conv(x)))
        return self.fc(self.pool(self.blocks(x)))


class TorchStyle(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 3, 1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(0.1))
        self.classifier = nn.Linear(8 * 3 * 3, 3)

    def forward(self, x):
        x = self.features(x)
        return F.log_softmax(self.classifier(x.flatten(1)), dim=1)


@pytest.mark.parametrize(("model", "loss"), [(Net, nn.CrossEntropyLoss()), (TorchStyle, F.nll_loss)])
def test_it_learns(model, loss):
    mydl.manual_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 96)
    images = rng.standard_normal((96, 1, 8, 8)).astype(np.float32) * 0.3
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * label + 1] += 2.0  # a bright row says which class it is
    images[:, 0] += np.linspace(-1, 1, 8)[:, None].astype(np.float32)  # and where it is, to a network without places
    x, y = mydl.tensor(images), mydl.tensor(labels)
    net = model()
    losses = []
    for _ in range(40):
        net.zero_grad()
        value = loss(net(x), y)
        value.backward()
        with mydl.no_grad():
            for parameter in net.parameters():
                parameter -= 0.2 * parameter.grad
        losses.append(value.item())
    assert losses[-1] < 0.3 * losses[0]
    accuracy = (net.eval()(x).argmax(1) == y).float().mean().item()
    assert accuracy > 0.9


def test_activations_are_called_three_ways():
    x = mydl.tensor([[-1.0, 0.5, 2.0]])
    for layer, function in [
        (nn.ReLU, F.relu),
        (nn.Sigmoid, F.sigmoid),
        (nn.Tanh, F.tanh),
        (nn.Step, F.step),
        (nn.SiLU, F.silu),
        (nn.LogSigmoid, F.logsigmoid),
    ]:
        assert layer.forward(x).tolist() == function(x).tolist() == layer()(x).tolist()
    assert nn.Softmax.forward(x).tolist() == F.softmax(x, dim=1).tolist() == nn.Softmax(dim=1)(x).tolist()
    assert nn.FullAveragePool2d.forward(mydl.ones(1, 2, 3, 3)).tolist() == [[1, 1]]


def test_softmax_without_a_dimension_warns_and_takes_pytorchs():
    with pytest.warns(UserWarning, match="pass dim="):
        y = nn.Softmax()(mydl.zeros(2, 4))
    assert y.tolist()[0] == [0.25] * 4


def test_in_place_activation_overwrites_its_input():
    x = mydl.tensor([-1.0, 2.0])
    assert nn.ReLU(inplace=True)(x) is x
    assert x.tolist() == [0, 2]
    assert repr(nn.ReLU(inplace=True)) == "ReLU(inplace=True)"


def test_step_has_a_gradient_of_zeros():
    x = mydl.tensor([-1.0, 0.0, 3.0], requires_grad=True)
    y = F.step(x)
    assert y.tolist() == [0, 1, 1]
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]


def test_pytorchs_names_are_the_same_objects():
    assert nn.Module is nn.NeuralNetwork
    assert nn.Conv2d is nn.Conv2D
