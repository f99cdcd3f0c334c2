"""Sequential, ModuleList, ModuleDict, ParameterList against PyTorch's."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

import mydl
from mydl import nn


def test_sequential_runs_in_order_and_slices():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    assert net(mydl.ones(4, 2)).shape == (4, 1)
    assert len(net) == 3
    assert isinstance(net[:2], nn.Sequential)
    assert net[:2][0] is net[0]
    assert net[-1] is net[2]
    assert [type(module) for module in net] == [nn.Linear, nn.ReLU, nn.Linear]
    with pytest.raises(IndexError, match="3 entries"):
        net[3]


def test_sequential_with_names(torch):
    def build(library):
        return library.Sequential(OrderedDict([("first", library.Linear(2, 3)), ("act", library.ReLU())]))

    ours, theirs = build(nn), build(torch.nn)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ours.first is ours[0]
    assert list(ours[1:]._modules) == ["act"]


def edit(library):
    """A sequence of changes that both libraries must end alike after."""
    net = library.Sequential(library.Linear(1, 2), library.ReLU())
    net.append(library.Linear(2, 3))
    net.insert(1, library.Tanh())
    net[2] = library.Sigmoid()
    del net[0]
    net.extend([library.ReLU(), library.Identity()])
    popped = net.pop(1)
    both = net + library.Sequential(popped)
    listed = library.ModuleList([library.Linear(1, 1)])
    listed += [both, library.ReLU()]
    listed.insert(0, library.Tanh())
    return listed


def test_edits_match_pytorchs(torch):
    ours, theirs = edit(nn), edit(torch.nn)
    assert repr(ours) == repr(theirs)
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    assert type(ours[1:]) is nn.ModuleList


def test_module_dict():
    layers = nn.ModuleDict({"a": nn.Linear(1, 2)})
    layers["b"] = nn.ReLU()
    layers.update([("c", nn.Tanh())])
    assert list(layers.keys()) == ["a", "b", "c"] and "b" in layers and len(layers) == 3
    assert layers.pop("b").__class__ is nn.ReLU
    del layers["c"]
    assert [name for name, _ in layers.named_parameters()] == ["a.weight", "a.bias"]
    assert next(iter(layers.items()))[1] is layers["a"]
    with pytest.raises(KeyError):
        layers["z"]
    with pytest.raises(TypeError, match="NeuralNetwork"):
        layers["z"] = 3
    layers.clear()
    assert not list(layers.values())


def test_parameter_list(torch):
    def build(library, tensor):
        values = [
            library.Parameter(tensor(np.zeros(2, np.float32))),
            library.Parameter(tensor(np.zeros((2, 3), np.float32))),
        ]
        listed = library.ParameterList(values)
        listed.append(library.Parameter(tensor(np.ones(1, np.float32))))
        return listed

    ours, theirs = build(nn, mydl.tensor), build(torch.nn, torch.tensor)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [p.shape for p in ours] == [tuple(p.shape) for p in theirs]
    ours[0] = nn.Parameter(mydl.ones(4))
    assert ours[0].shape == (4,) and len(ours) == 3 and len(ours[1:]) == 2
    with pytest.raises(TypeError, match="ParameterList"):
        ours.append(3)


def test_containers_of_other_things_are_refused():
    with pytest.raises(TypeError, match="NeuralNetwork"):
        nn.Sequential(nn.ReLU(), lambda x: x)
    with pytest.raises(TypeError, match="NeuralNetwork"):
        nn.ModuleList([1])
    with pytest.raises(NotImplementedError, match="forward"):
        nn.ModuleList()(1)
