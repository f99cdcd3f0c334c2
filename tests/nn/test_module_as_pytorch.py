"""What a module does beside forward, the same lines run in both libraries and their results compared."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import mydl

torch = pytest.importorskip("torch")

LINES = {}


def line(function):
    """Note a function of the library, to be run in both."""
    LINES[function.__name__] = function
    return function


def plain(value):
    """A result in a form that does not depend on the library."""
    if isinstance(value, (torch.Tensor, mydl.Tensor)):
        return value.detach().numpy().round(5).tolist()
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return repr(value).replace("NeuralNetwork(", "Module(").replace("torch.", "")


def net(L):
    """Linear, batch norm, a list, a sequence, a tied layer, a buffer that is not saved."""
    model = L.nn.Module()
    model.first = L.nn.Linear(3, 4)
    model.norm = L.nn.BatchNorm1d(4)
    model.blocks = L.nn.ModuleList([L.nn.Linear(4, 4), L.nn.ReLU(), L.nn.ReLU()])
    model.last = L.nn.Sequential(L.nn.Linear(4, 2), L.nn.Dropout(0.1))
    model.register_buffer("unsaved", L.zeros(2), persistent=False)
    model.tied, model.nothing = model.first, None
    model.register_parameter("absent", None)
    for number, p in enumerate(model.parameters()):
        p.data.copy_(L.arange(p.numel(), dtype=L.float32).reshape(p.shape) / 10 + number)
    return model


@line
def state_with_prefix(L):
    return list(net(L).state_dict(prefix="model."))


@line
def state_with_variables(L):
    return [value.requires_grad for value in net(L).state_dict(keep_vars=True).values()]


@line
def state_of_batch_norm_without_its_counter(L):
    layer = L.nn.Sequential(L.nn.BatchNorm1d(2))
    state = {name: value + 1 for name, value in layer.state_dict().items() if name != "0.num_batches_tracked"}
    keys = layer.load_state_dict(state)
    return len(keys.missing_keys), layer[0].running_mean, layer[0].num_batches_tracked


@line
def modes_of_children_of_their_own(L):
    class Frozen(L.nn.Sequential):
        def train(self, mode=True):
            self.asked = mode
            return super().train(False)

    model = L.nn.Sequential(L.nn.Sequential(Frozen(L.nn.BatchNorm1d(2))), L.nn.Dropout())
    trained = model.train() is model, [module.training for module in model.modules()], model[0][0].asked
    return trained, [module.training for module in model.eval().modules()], model[0][0].asked


@line
def convolution_with_other_weights(L):
    class Twice(L.nn.Conv2d):
        def forward(self, input):
            return self._conv_forward(input, self.weight * 2, self.bias)

    layer = Twice(1, 1, (2, 1), padding=1, padding_mode="reflect")
    L.nn.init.constant_(layer.weight, 0.5)
    L.nn.init.ones_(layer.bias)
    return layer(L.arange(6.0).reshape(1, 1, 3, 2))


@line
def registered_parts_written_to(L):
    model = net(L)
    model._modules["last"] = L.nn.Tanh()
    model.blocks._modules["1"] = L.nn.Sigmoid()
    model.first._parameters["bias"] = None
    model.norm._buffers["running_mean"] = L.ones(4)
    weight = model.first._parameters.pop("weight")
    model.first.register_parameter("raw", weight)
    del model._modules["norm"]
    kept = hasattr(model, "norm"), "norm" in model._modules, len(model._modules), list(model._buffers)
    return kept, list(model.state_dict()), [type(module).__name__ for module in model.modules()][1:], model.first.raw


@line
def state_into_a_dict(L):
    target = {"before": 1}
    return net(L).state_dict(destination=target) is target, list(target)


@line
def load_what_fits(L):
    state = dict(net(L).state_dict(), extra=L.zeros(1))
    del state["first.weight"]
    found = net(L).load_state_dict(state, strict=False)
    return found.missing_keys, found.unexpected_keys, repr(net(L).load_state_dict(net(L).state_dict()))


@line
def load_a_vector_into_a_number(L):
    model = L.nn.Module()
    model.p = L.nn.Parameter(L.tensor(1.0))
    model.load_state_dict({"p": L.tensor([2.0])})
    return model.p


@line
def hooks_of_the_state(L):
    calls, layer = [], L.nn.Linear(2, 1, bias=False)
    layer.register_state_dict_pre_hook(lambda module, prefix, keep: calls.append(prefix))
    layer.register_state_dict_post_hook(lambda module, state, prefix, meta: state.update({prefix + "more": L.ones(1)}))

    def rename(module, state, prefix, meta, strict, missing, unexpected, errors):
        state[prefix + "weight"] = state.pop(prefix + "old")
        state.pop(prefix + "more", None)

    layer.register_load_state_dict_pre_hook(rename)
    layer.register_load_state_dict_post_hook(lambda module, keys: calls.append(module.weight.sum().item()))
    model = L.nn.Sequential(layer)
    state = model.state_dict()
    given = {"0.old": L.tensor([[1.0, 2.0]]), "0.more": L.ones(1)}
    model.load_state_dict(given)
    return calls, list(state), list(given), layer.weight


@line
def names_of_parameters(L):
    model = net(L)
    return [
        [name for name, _ in model.named_parameters(*args, **options)]
        for args, options in (
            ((), {}),
            (("pre", False), {}),
            ((), {"prefix": "pre"}),
            ((), {"remove_duplicate": False}),
        )
    ]


@line
def names_of_modules(L):
    model = net(L)
    names = [name for name, _ in model.named_modules(prefix="net", remove_duplicate=False)]
    return names, [name for name, _ in model.named_children()], [name for name, _ in model.named_buffers()]


@line
def printing(L):
    return repr(net(L))


@line
def printing_lists(L):
    many = L.nn.ModuleList([L.nn.ReLU(), L.nn.ReLU(), L.nn.ELU(), L.nn.ReLU()])
    empty = L.nn.ModuleList(), L.nn.ModuleDict(), L.nn.Sequential(), L.nn.ParameterDict()
    shown = L.nn.ParameterDict({"a": L.nn.Parameter(L.zeros(2, 3))}), L.nn.ParameterList([L.nn.Parameter(L.zeros(2))])
    return many, empty, [repr(module).replace("FloatTensor", "float32") for module in shown]


@line
def modes(L):
    model = net(L)
    before = model.eval() is model, [module.training for module in model.modules()]
    model.train()
    model.requires_grad_(False)
    return before, [module.training for module in model.modules()], [p.requires_grad for p in model.parameters()]


@line
def dtypes(L):
    model = net(L)
    found = []
    for change in (model.half, model.double, model.float, lambda: model.to(L.zeros(1, dtype=L.float64))):
        change()
        found.append([str(value.dtype).replace("torch.", "") for value in model.state_dict().values()])
    return found


@line
def gradients_to_zero(L):
    layer = L.nn.Linear(2, 1)
    layer(L.ones(1, 2)).sum().backward()
    layer.zero_grad(set_to_none=False)
    zeros = [p.grad for p in layer.parameters()]
    layer.zero_grad()
    return zeros, [p.grad for p in layer.parameters()]


@line
def copies(L):
    model = net(L)
    twin = copy.deepcopy(model)
    twin.first.weight.data.fill_(7)
    return twin.tied is twin.first, model.first.weight, repr(twin) == repr(model), copy.copy(model).first is model.first


@line
def copies_and_pickles_without_graph_hooks_and_gradient(L):
    weight = L.nn.Parameter(L.ones(2))
    weight.register_hook(lambda gradient: gradient * 10)
    weight.sum().backward()
    results = []
    for made in (copy.copy(weight), pickle.loads(pickle.dumps(weight)), copy.copy(weight * 2)):
        results += [type(made) is type(weight), made.is_leaf, made.requires_grad, made.grad]
        (made * 3).sum().backward()
        results.append(made.grad)
    copy.copy(weight).data.fill_(5)
    return [*results, weight.grad, weight]


@line
def copy_of_model_and_optimizer(L):
    layer = L.nn.Linear(2, 1)
    layer.load_state_dict({"weight": L.ones(1, 2), "bias": L.zeros(1)})
    optimizer = L.optim.Adam(layer.parameters(), lr=0.1)
    layer(L.ones(1, 2)).sum().backward()
    optimizer.step()
    other, its = copy.deepcopy((layer, optimizer))
    other(L.ones(1, 2)).sum().backward()
    its.step()
    return layer.weight, other.weight, len(its.state)


@line
def submodules(L):
    model = net(L)
    model.set_submodule("last.0", L.nn.Identity())
    return model.last, model.get_submodule("") is model, model.get_buffer("norm.running_mean"), model.last._get_name()


@line
def sequences(L):
    s = L.nn.Sequential(L.nn.Linear(1, 2), L.nn.ReLU(), L.nn.Linear(2, 3))
    s.append(L.nn.Tanh()).insert(1, L.nn.ELU()).extend([L.nn.GELU()])
    s.insert(-1, L.nn.SiLU())
    before = repr(s), repr(s[1:4]), repr(s[-1])
    del s[1:3]
    s[0] = L.nn.ReLU()
    s += L.nn.Sequential(L.nn.Mish())
    return before, s.pop(-2), s, s + L.nn.Sequential(L.nn.ELU()), s[:1] * 2, 2 * s[:1]


@line
def dicts(L):
    d = L.nn.ModuleDict({"a": L.nn.ReLU()})
    d.update({"b": L.nn.ELU()})
    d.update([("c", L.nn.Tanh())])
    p = L.nn.ParameterDict({"a": L.nn.Parameter(L.zeros(2))})
    p["b"] = L.zeros(3)
    p.setdefault("c", L.ones(1))
    popped = d.pop("a"), p.pop("a")
    return popped, d, list(d.items()), "a" in d, list(p), list(p.state_dict()), p.get("z"), [len(v) for v in p.values()]


@line
def keyword_hooks(L):
    class Scale(L.nn.Module):
        def forward(self, x, k=1):
            return x * k

    module = Scale()
    module.register_forward_pre_hook(lambda module, args, options: (args, {"k": 5}), with_kwargs=True)
    module.register_forward_hook(lambda module, args, options, y: y + options["k"], with_kwargs=True)
    return module(L.ones(1), k=2)


@line
def backward_hooks(L):
    seen, layer = [], L.nn.Linear(2, 1)
    layer.weight.data.fill_(2)
    layer.register_full_backward_pre_hook(lambda module, grads: (grads[0] * 3,))
    layer.register_full_backward_hook(lambda module, inputs, outputs: seen.append((inputs, outputs)))
    layer.register_full_backward_hook(lambda module, inputs, outputs: (inputs[0] * 5,))
    x = L.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    return seen, x.grad, layer.weight.grad


@line
def clipping(L):
    found = []
    for options in ({}, {"norm_type": float("inf")}, {"norm_type": 1}, {"norm_type": 0.5}):
        p = L.nn.Parameter(L.ones(3))
        p.grad = L.tensor([3.0, -4.0, 0.0])
        found.append((L.nn.utils.clip_grad_norm_(iter([p]), 2.0, **options), p.grad))
    L.nn.utils.clip_grads_with_norm_(p, 1.0, L.tensor(4.0))
    return found, p.grad, L.nn.utils.clip_grad_norm_([], 1.0)


@line
def weights_of_recurrent_layers(L):
    layers = L.nn.LSTM(2, 3, 2, bidirectional=True, proj_size=1), L.nn.GRU(2, 3, bias=False)
    return [[[tuple(w.shape) for w in group] for group in layer.all_weights] for layer in layers]


@pytest.mark.parametrize("name", LINES)
def test_line(name):
    assert plain(LINES[name](mydl)) == plain(LINES[name](torch))


REFUSED = {
    "a path that is not there": lambda L: net(L).get_submodule("last.9"),
    "a parameter as a module": lambda L: net(L).get_submodule("first.weight"),
    "a buffer as a parameter": lambda L: net(L).get_parameter("norm.running_mean"),
    "a name with a dot": lambda L: net(L).add_module("a.b", L.nn.ReLU()),
    "a name that is taken": lambda L: net(L).add_module("forward", L.nn.ReLU()),
    "no module": lambda L: net(L).add_module("x", 3),
    "no parameter": lambda L: net(L).register_parameter("x", L.zeros(1)),
    "a tensor for a parameter": lambda L: setattr(net(L).first, "weight", L.zeros(1)),
    "a place beyond the end": lambda L: L.nn.Sequential(L.nn.ReLU()).insert(7, L.nn.ReLU()),
    "an empty product": lambda L: L.nn.Sequential(L.nn.ReLU()) * 0,
    "a missing key": lambda L: net(L).load_state_dict({}),
    "another shape": lambda L: net(L).load_state_dict({"first.weight": L.zeros(1)}, strict=False),
    "integer weights": lambda L: L.nn.Parameter(L.ones(2).long()),
    "a whole number dtype": lambda L: net(L).to(L.int32),
    "a gradient of NaN": lambda L: clip_nan(L),
    "a path of nothing": lambda L: net(L).set_submodule("", L.nn.ReLU()),
}


def clip_nan(L):
    p = L.nn.Parameter(L.ones(1))
    p.grad = L.tensor([np.nan])
    L.nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)


@pytest.mark.parametrize("name", REFUSED)
def test_both_refuse(name):
    for library in (torch, mydl):
        with pytest.raises((ValueError, TypeError, RuntimeError, IndexError, AttributeError, KeyError)):
            REFUSED[name](library)
