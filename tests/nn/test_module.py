"""NeuralNetwork: registration, walking, modes, moving, state dicts, printing."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest

import mydl
from mydl import nn


class Block(nn.NeuralNetwork):
    """A bit of everything that a module can hold."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(mydl.ones(2))
        self.layer = nn.Linear(2, 2)
        self.register_buffer("seen", mydl.zeros(1))
        self.register_buffer("scratch", mydl.zeros(3), persistent=False)
        self.register_parameter("absent", None)
        self.number = 5

    def forward(self, x):
        return self.layer(x) * self.scale


NAMES = ["scale", "layer.weight", "layer.bias"]


def test_registration_on_assignment():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == NAMES
    assert [name for name, _ in block.named_buffers()] == ["seen", "scratch"]
    assert list(block.state_dict()) == ["scale", "seen", "layer.weight", "layer.bias"]
    assert dict(block.named_children()) == {"layer": block.layer}


def test_registration_after_construction_and_removal():
    block = Block()
    block.late = nn.Parameter(mydl.zeros(1))
    block.inner = nn.Sequential(nn.Linear(1, 1, bias=False))
    assert [name for name, _ in block.named_parameters()] == [
        "scale",
        "late",
        "layer.weight",
        "layer.bias",
        "inner.0.weight",
    ]
    del block.late
    del block.layer
    assert [name for name, _ in block.named_parameters()] == ["scale", "inner.0.weight"]
    with pytest.raises(AttributeError, match="Block has no attribute 'late'"):
        block.late  # noqa: B018


def test_a_name_may_change_what_it_is():
    block = Block()
    block.number = nn.Parameter(mydl.zeros(1))
    assert block._kinds["number"] == "parameter"
    block.number = nn.Linear(1, 1)
    assert block._kinds["number"] == "module"
    block.absent = nn.Parameter(mydl.ones(1))
    block.scale = None
    assert [name for name, _ in block.named_parameters()] == [
        "absent",
        "layer.weight",
        "layer.bias",
        "number.weight",
        "number.bias",
    ]
    assert block.scale is None
    block.seen = mydl.ones(4)
    assert block.get_buffer("seen").shape == (4,)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", mydl.zeros(2), "wanted a Parameter or None, got MyTensor"),
        ("layer", 3, "wanted a NeuralNetwork or None, got int"),
        ("seen", 3.0, "wanted a tensor or None, got float"),
    ],
)
def test_what_cannot_be_assigned(name, value, message):
    with pytest.raises(TypeError, match=message):
        setattr(Block(), name, value)


def test_forgotten_super_init_says_so():
    class Forgetful(nn.NeuralNetwork):
        def __init__(self, early=True):
            if early:
                self.layer = nn.Linear(1, 1)

    with pytest.raises(RuntimeError, match=r"Forgetful.*super\(\).__init__\(\)"):
        Forgetful()
    with pytest.raises(RuntimeError, match=r"super\(\).__init__\(\)"):
        list(Forgetful(early=False).parameters())
    with pytest.raises(AttributeError, match=r"super\(\).__init__\(\)"):
        Forgetful(early=False).weight  # noqa: B018


def test_names_that_cannot_be_registered():
    block = Block()
    for register in (block.register_buffer, block.register_parameter, block.add_module):
        with pytest.raises(ValueError, match=r'no "\."'):
            register("a.b", None)
        with pytest.raises(ValueError, match="already has an attribute 'number'"):
            register("number", None)
    with pytest.raises(TypeError, match="wanted a Parameter"):
        block.register_parameter("p", mydl.zeros(1))


def test_shared_parameters_and_modules_count_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 4
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    twice = nn.ModuleList([net, net])
    assert len(list(twice.children())) == 1
    assert [name for name, _ in twice.named_modules()] == ["", "0", "0.0", "0.1"]


def test_walks_match_pytorchs(torch):
    def build(library):
        inner = library.Sequential(library.Linear(2, 3), library.BatchNorm1d(3))
        return library.ModuleDict({"a": inner, "b": library.ModuleList([library.Linear(3, 1), inner])})

    ours, theirs = build(nn), build(torch.nn)
    for walk in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [name for name, _ in getattr(ours, walk)()] == [name for name, _ in getattr(theirs, walk)()]
    assert list(ours.state_dict(prefix="x.")) == list(theirs.state_dict(prefix="x."))
    assert repr(ours) == repr(theirs)
    order: list = []
    ours.apply(lambda module: order.append(type(module).__name__))
    expected: list = []
    theirs.apply(lambda module: expected.append(type(module).__name__))
    assert order == expected


def test_get_by_path():
    net = nn.Sequential(Block())
    assert net.get_submodule("") is net
    assert net.get_submodule("0.layer") is net[0].layer
    assert net.get_parameter("0.layer.weight") is net[0].layer.weight
    for call in (net.get_submodule, net.get_parameter, net.get_buffer):
        with pytest.raises(AttributeError, match=r"no .* 'nothing'"):
            call("0.nothing")


def test_modes():
    net = nn.Sequential(Block(), nn.Dropout())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert all(module.training for module in net.train().modules())
    with pytest.raises(ValueError, match="1"):
        net.train(1)


def test_requires_grad_and_zero_grad():
    block = Block()
    x = mydl.ones(1, 2)
    block(x).sum().backward()
    block.zero_grad(set_to_none=False)
    assert [p.grad.tolist() for p in (block.scale,)] == [[0.0, 0.0]]
    block.zero_grad()
    assert all(p.grad is None for p in block.parameters())
    block.requires_grad_(False)
    assert not block(x).requires_grad


def test_moving_keeps_the_parameters_and_casts_the_floats():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = list(net.parameters())
    net(mydl.ones(3, 2)).sum().backward()
    assert net.double() is net
    assert all(a is b for a, b in zip(net.parameters(), before, strict=True))
    assert {p.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert {p.grad.dtype for p in net.parameters()} == {np.dtype("float64")}
    assert net[1].running_mean.dtype == np.float64
    assert net[1].num_batches_tracked.dtype == np.int64
    net(mydl.ones(3, 2).double()).sum().backward()
    assert net.half()[0].weight.dtype == np.float16
    assert net.to(mydl.zeros(1))[0].weight.dtype == np.float32
    with pytest.raises(TypeError, match="floating dtypes only, got int64"):
        net.to(np.int64)


def test_deepcopy_shares_nothing():
    block = Block()
    block(mydl.ones(1, 2)).sum().backward()
    twin = copy.deepcopy(block)
    block.scale.data.fill_(7)
    assert twin.scale.tolist() == [1, 1]
    assert twin.scale.requires_grad and isinstance(twin.scale, nn.Parameter)
    twin(mydl.ones(1, 2)).sum().backward()
    assert twin.state_dict().keys() == block.state_dict().keys()


def test_a_module_and_its_graph_die_by_reference_count():
    gc.disable()
    try:
        block = Block()
        block.register_full_backward_hook(lambda *_: None)
        seen = weakref.ref(block)
        y = block(mydl.ones(1, 2, requires_grad=True))
        del block, y
        assert seen() is None
    finally:
        gc.enable()


# State dicts -------------------------------------------------------------------------------------------------------


def test_state_dict_shares_memory_and_has_no_graph():
    block = Block()
    state = block.state_dict()
    block.scale.data.fill_(3)
    assert state["scale"].tolist() == [3, 3]
    assert not state["scale"].requires_grad
    assert block.state_dict(keep_vars=True)["scale"] is block.scale


def test_loading_copies_and_casts():
    source, target = Block().double(), Block()
    source.scale.data.fill_(0.25)
    weight = target.scale
    assert target.load_state_dict(source.state_dict()) == ([], [])
    assert target.scale is weight
    assert target.scale.dtype == np.float32
    assert target.scale.tolist() == [0.25, 0.25]
    source.scale.data.fill_(9)
    assert target.scale.tolist() == [0.25, 0.25]


def test_a_state_that_does_not_fit_loads_nothing():
    block = Block()
    before = {name: value.numpy().copy() for name, value in block.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["seen"]
    state["extra"] = np.zeros(1)
    state["layer.bias"] = np.zeros(3)
    with pytest.raises(RuntimeError, match="Block") as caught:
        block.load_state_dict(state)
    for part in ("missing keys: seen", "unexpected keys: extra", r"layer.bias: (3,) in the state, (2,) in the module"):
        assert part in str(caught.value)
    for name, value in block.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    with pytest.raises(RuntimeError, match="wrong shapes"):
        block.load_state_dict(state, strict=False)
    state["layer.bias"] = np.ones(2)
    result = block.load_state_dict(state, strict=False)
    assert (result.missing_keys, result.unexpected_keys) == (["seen"], ["extra"])
    assert repr(result) == "IncompatibleKeys(missing_keys=['seen'], unexpected_keys=['extra'])"
    assert repr(block.load_state_dict(block.state_dict())) == "<All keys matched successfully>"
    assert block.layer.bias.tolist() == [1, 1]
    with pytest.raises(TypeError, match="'scale'"):
        block.load_state_dict({"scale": ["x", "y"]}, strict=False)
    with pytest.raises(TypeError, match="list"):
        block.load_state_dict([1, 2])


def test_state_goes_to_pytorch_and_back(torch):
    def build(library):
        return library.Sequential(
            library.Conv2d(1, 4, 3), library.BatchNorm2d(4), library.Flatten(), library.Linear(16, 2)
        )

    ours, theirs = build(nn), build(torch.nn)
    x = np.random.default_rng(0).standard_normal((3, 1, 4, 4)).astype(np.float32)
    ours(mydl.tensor(x))  # moves the running statistics
    state = {name: torch.tensor(value.numpy()) for name, value in ours.state_dict().items()}
    theirs.load_state_dict(state)
    np.testing.assert_allclose(
        ours.eval()(mydl.tensor(x)).detach().numpy(),
        theirs.eval()(torch.tensor(x)).detach().numpy(),
        rtol=1e-4,
        atol=1e-5,
    )
    again = build(nn)
    again.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(again.eval()(mydl.tensor(x)).detach().numpy(), ours(mydl.tensor(x)).detach().numpy())


def test_forward_must_be_defined():
    with pytest.raises(NotImplementedError, match='"forward"'):
        nn.NeuralNetwork()(1)


def test_arguments_reach_forward():
    class Add(nn.NeuralNetwork):
        def forward(self, a, *, b=0):
            return a + b

    assert Add()(1, b=2) == 3
