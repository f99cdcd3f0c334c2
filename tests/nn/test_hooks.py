"""Forward and backward hooks, against PyTorch's where they compute something."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl import nn


def test_forward_hooks_see_and_replace():
    layer = nn.Identity()
    log = []
    first = layer.register_forward_pre_hook(lambda module, args: log.append(args) or (args[0] + 1,))
    layer.register_forward_pre_hook(lambda module, args: args[0] * 10)
    second = layer.register_forward_hook(lambda module, args, output: log.append((args, output)))
    layer.register_forward_hook(lambda module, args, output: output + 0.5)
    assert layer(1) == 20.5
    assert log == [(1,), ((20,), 20)]
    first.remove()
    second.remove()
    second.remove()
    assert layer(1) == 10.5


def test_prepended_hooks_come_first_and_may_take_keywords():
    class Scale(nn.NeuralNetwork):
        def forward(self, x, factor=1):
            return x * factor

    layer, order = Scale(), []
    layer.register_forward_pre_hook(lambda m, args: order.append("last"))
    layer.register_forward_pre_hook(
        lambda m, args, kw: order.append("first") or (args, {"factor": 5}), prepend=True, with_kwargs=True
    )
    layer.register_forward_hook(lambda m, args, kw, y: y + kw["factor"], with_kwargs=True)
    assert layer(2) == 15
    assert order == ["first", "last"]
    layer.register_forward_pre_hook(lambda m, args, kw: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="with_kwargs"):
        layer(2)
    with pytest.raises(NotImplementedError, match="always_call"):
        layer.register_forward_hook(print, always_call=True)


def run(library, tensor):
    """Gradients that backward hooks saw and changed, and what came of it."""
    net = library.Sequential(library.Linear(2, 3), library.Tanh(), library.Linear(3, 1)).double()
    for i, parameter in enumerate(net.parameters()):
        parameter.data = tensor(np.linspace(-1, 1, parameter.numel()).reshape(parameter.shape) + i / 10)
    seen = []

    def arrays(grads):
        return [None if g is None else g.detach().numpy().copy() for g in grads]

    net[1].register_full_backward_hook(lambda m, gi, go: seen.append((arrays(gi), arrays(go))) or (gi[0] * 2,))
    net[0].register_full_backward_hook(lambda m, gi, go: seen.append((arrays(gi), arrays(go))))
    net[2].register_full_backward_pre_hook(lambda m, go: (go[0] + 1,))
    x = tensor(np.array([[0.3, -0.4]]))
    net(x).sum().backward()
    return seen, [p.grad.numpy() for p in net.parameters()]


@pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")
def test_backward_hooks_match_pytorchs(torch):
    (ours, our_grads), (theirs, their_grads) = run(nn, mydl.tensor), run(torch.nn, torch.tensor)
    assert len(ours) == len(theirs) == 2
    for mine, other in zip(ours, theirs, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert [g is None for g in a] == [g is None for g in b]
            for g, h in zip(a, b, strict=True):
                if g is not None:
                    np.testing.assert_allclose(g, h)
    for g, h in zip(our_grads, their_grads, strict=True):
        np.testing.assert_allclose(g, h)


def test_backward_hooks_stay_differentiable(torch):
    def second(library, layer):
        layer.register_full_backward_hook(lambda m, grad_input, grad_output: (grad_input[0] * 3,))
        x = library.tensor([0.5], requires_grad=True)
        (first,) = library.autograd.grad(layer(x), x, create_graph=True)
        return first.item(), library.autograd.grad(first, x)[0].item()

    assert second(mydl, nn.Tanh()) == pytest.approx(second(torch, torch.nn.Tanh()), rel=1e-6)


def test_backward_hooks_of_several_inputs_and_outputs():
    class Two(nn.NeuralNetwork):
        def forward(self, a, factor, b):
            return a * factor, b * 2

    layer, seen = Two(), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a, b = mydl.tensor([1.0], requires_grad=True), mydl.tensor([2.0], requires_grad=True)
    first, _ = layer(a, 5.0, b)
    first.sum().backward()
    ((grad_input, grad_output),) = seen
    assert grad_input[0].tolist() == [5.0] and grad_input[1] is None
    assert grad_output[0].tolist() == [1.0] and grad_output[1] is None
    layer.register_full_backward_hook(lambda m, gi, go: (None,))
    with pytest.raises(RuntimeError, match="1 gradients, wanted 3"):
        layer(a, 5.0, b)[0].sum().backward()


def test_an_in_place_change_inside_a_watched_module_is_noticed():
    class Double(nn.NeuralNetwork):
        def forward(self, x):
            x.mul_(2)
            return x

    layer = Double()
    layer.register_full_backward_hook(lambda *_: None)
    x = mydl.tensor([3.0], requires_grad=True)
    y = x * 1
    z = y * y  # needs y as it is
    layer(y)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()
