"""The diagrams show the graph that was recorded: every vertex once, every edge, the shapes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch

import models
import mydl
from mydl import nn, plotting
from mydl.nn import functional as F
from mydl.plotting import style


def parsed(dot: str) -> tuple[list[str], set[tuple[str, str]]]:
    """The labels of a DOT text, first lines only, and its edges between them by label and number."""
    labels = dict(re.findall(r'(n\d+) \[label="(.*?)(?:\\n.*?)?", color', dot))
    edges = {(labels[a], labels[b]) for a, b in re.findall(r"(n\d+) -> (n\d+);", dot)}
    return sorted(labels.values()), edges


def boxes(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def arrows(figure) -> int:
    return sum(isinstance(patch, FancyArrowPatch) for patch in figure.axes[0].patches)


def test_autograd_dot_is_the_recorded_graph():
    w, b, x = mydl.ones(2, 3, requires_grad=True), mydl.ones(2, requires_grad=True), mydl.ones(4, 3)
    hidden = (x @ w.T + b).relu()
    labels, edges = parsed(plotting.autograd_dot((hidden * hidden).sum(), {"w": w, "b": b}))
    assert labels == ["Add", "MatMul", "Mul", "Permute", "ReLU", "Sum", "b", "w"]
    assert edges == {
        ("w", "Permute"), ("Permute", "MatMul"), ("MatMul", "Add"), ("b", "Add"),
        ("Add", "ReLU"), ("ReLU", "Mul"), ("Mul", "Sum"),
    }  # fmt: skip


def test_autograd_graph_draws_what_dot_says():
    model = models.build("mlp", hidden=(4,))
    loss = F.cross_entropy(model(mydl.zeros(2, 1, 28, 28)), mydl.tensor([1, 2]))
    names = dict(model.named_parameters())
    figure, dot = plotting.autograd_graph(loss, names), plotting.autograd_dot(loss, names)
    assert "layers.1.weight\n(4, 784)" in boxes(figure) and "layers.3.bias\n(10,)" in boxes(figure)
    assert sorted(box.split("\n")[0] for box in boxes(figure)) == parsed(dot)[0]
    assert arrows(figure) == dot.count(" -> ")
    assert dot.count(style.BLUE) == 4 and dot.count(style.ORANGE) == 1


def test_one_box_for_an_operation_of_several_outputs_and_for_a_leaf_used_twice():
    w = mydl.ones(3, requires_grad=True)
    a, b, c = w.unbind()
    labels, edges = parsed(plotting.autograd_dot(a * b + c + w.sum(), {"w": w}))
    assert labels.count("Unbind") == labels.count("w") == 1
    assert {("w", "Unbind"), ("w", "Sum"), ("Unbind", "Mul"), ("Unbind", "Add")} <= edges


def test_graphs_too_large_for_a_picture():
    w = mydl.ones(1, requires_grad=True)
    deep = w
    for _ in range(20_000):
        deep = deep * 1.0
    assert plotting.autograd_dot(deep).count("Mul") == 20_000
    with pytest.raises(ValueError, match=r"found 20,001 vertices; a picture holds 400.*autograd_dot"):
        plotting.autograd_graph(deep)
    with pytest.raises(ValueError, match="in no graph"):
        plotting.autograd_graph(mydl.ones(1))


def test_names_are_escaped_in_dot():
    w = mydl.ones(1, requires_grad=True)
    assert r'label="a\"b\\c\n(1,)"' in plotting.autograd_dot(w * 2, {'a"b\\c': w})


class Residual(nn.NeuralNetwork):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(1, 2, 3, padding=1)
        self.bn = nn.BatchNorm2d(2)
        self.skip = nn.Identity()
        self.drop = nn.Dropout(0.5)
        self.linear = nn.Linear(2 * 4 * 4, 3)

    def forward(self, x):
        y = self.bn(self.conv(x))
        return self.linear(self.drop(F.relu(y + self.skip(x)).flatten(1)))


def test_network_diagram_shows_layers_and_what_is_between_them():
    model = Residual()
    figure = plotting.network_diagram(model, mydl.zeros(5, 1, 4, 4))
    assert boxes(figure) == [
        "input\n1 × 4 × 4", "conv: Conv2D\n2 × 4 × 4 · 20 parameters", "bn: BatchNorm2d\n2 × 4 × 4 · 4 parameters",
        "Add\n2 × 4 × 4", "ReLU\n2 × 4 × 4", "Reshape\n32", "drop: Dropout\n32", "linear: Linear\n3 · 99 parameters",
    ]  # fmt: skip
    assert arrows(figure) == 8  # the chain's seven, and from the input to the sum


def test_network_diagram_leaves_the_model_as_it_was():
    model = Residual().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = mydl.ones(2, 1, 4, 4)
    plotting.network_diagram(model, x)
    assert model.training and model.drop.training and not x.requires_grad
    assert all(module._hooks is None for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())


def test_network_diagram_closes_blocks_where_there_are_too_many():
    model = models.build("resnet", channels=(4, 8), blocks=1)
    x = mydl.zeros(1, 1, 28, 28)
    closed, opened = (
        boxes(plotting.network_diagram(model, x, most=8)),
        boxes(plotting.network_diagram(model, x, most=99)),
    )
    assert [box.split("\n")[0] for box in closed] == [
        "input", "conv: Conv2D", "bn: BatchNorm2d", "ReLU", "stages.0: BasicBlock", "stages.1: BasicBlock",
        "pool: FullAveragePool2d", "linear: Linear",
    ]  # fmt: skip
    assert sum("Conv2D" in box for box in opened) == 6 and "stages.1.shortcut.0: Conv2D" in "\n".join(opened)


def test_network_diagram_of_integers():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 2))
    figure = plotting.network_diagram(model, mydl.tensor([[1, 2, 3]]))
    assert [box.split("\n")[0] for box in boxes(figure)] == ["input", "0: Embedding", "1: Flatten", "2: Linear"]
    assert arrows(figure) == 3


def test_network_diagram_refuses_what_is_no_tensor():
    with pytest.raises(TypeError, match="gave a tuple"):
        plotting.network_diagram(nn.LSTM(2, 3), mydl.zeros(4, 1, 2))
