"""The walk back: accumulation, leaves, freed arrays, hooks, modes, long chains, graphs that die by themselves."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest

import mydl
from mydl.autograd import backward, grad


def leaf(*values: float) -> mydl.Tensor:
    """A float64 leaf."""
    return mydl.tensor(values, dtype=mydl.float64, requires_grad=True)


def test_gradients_accumulate_in_grad() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    assert isinstance(x.grad, mydl.Tensor)
    assert not x.grad.requires_grad


def test_a_tensor_used_many_times_gets_the_sum_once() -> None:
    x = leaf(2.0)
    y = x * x
    z = y * y + y + x  # x**4 + x**2 + x
    z.backward()
    assert x.grad.item() == 4 * 8 + 2 * 2 + 1


@pytest.mark.parametrize("dtype", [mydl.float32, mydl.float64])
@pytest.mark.parametrize("create_graph", [False, True])
def test_sums_of_so_many_elements_that_a_kernel_adds_them(dtype: mydl.dtype, create_graph: bool) -> None:
    values = np.random.default_rng(3).integers(-8, 8, (3, 293, 299)).astype(dtype)  # all that follows is exact
    x = mydl.tensor(values, requires_grad=True)
    y = x * 2
    total = y + y * 3 + y.permute(0, 1, 2) + y[:, :1]  # a broadcast operand, and one of y's gradients
    total += y
    gradients = mydl.autograd.grad((total * total).sum(), x, create_graph=create_graph)
    wanted = values * 12 + values[:, :1] * 2
    np.testing.assert_array_equal(total.detach().numpy(), wanted)
    outer = 2 * wanted
    first = 12 * outer
    first[:, 0] += 2 * outer.sum(axis=1)
    np.testing.assert_array_equal(gradients[0].detach().numpy(), first)
    x.data += x.detach()
    x.data[1:] += x.data[:-1]
    moved = 2 * values
    moved[1:] += moved[:-1].copy()
    np.testing.assert_array_equal(x.detach().numpy(), moved)


def test_diamonds_are_passed_once_each() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(64):  # 2**64 paths, were each one walked
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**64


def test_grads_of_two_leaves_are_separate_memory() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).sum().backward()
    x.grad[0] = 9.0
    assert y.grad.tolist() == [1.0, 1.0]
    given = mydl.ones(2, dtype=mydl.float64)
    z = leaf(1.0, 2.0)
    (z + 0).backward(given)
    z.grad.zero_()
    assert given.tolist() == [1.0, 1.0]


def test_long_chain_without_recursion() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1.0
    del y  # and the chain dies without recursion too


@pytest.mark.parametrize("create_graph", [False, True])
def test_graph_dies_without_the_garbage_collector(create_graph: bool) -> None:
    x = mydl.randn(20, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        hidden = (x.exp() * x.sin()).reshape(4, 5)
        piece = hidden.split(2)[0].max(1).values
        loss = (piece.tanh() + hidden.sum() + hidden.softmax(1)[0, 0] + hidden[hidden > 0].std()).sum()
        watched = [weakref.ref(t.array) for t in (hidden, piece, loss)]
        nodes = [weakref.ref(t.grad_fn) for t in (hidden, loss)]
        if create_graph:
            (first,) = grad(loss, x, create_graph=True)
            first.sum().backward()
            del first
        else:
            loss.backward()
        del hidden, piece, loss
        assert [ref() for ref in watched + nodes] == [None] * 5
    finally:
        gc.enable()


def test_saved_arrays_are_freed_as_backward_passes() -> None:
    x = leaf(1.0, 2.0)
    y = x.exp()
    saved = weakref.ref(y.array)
    z = y.sum()
    del y
    assert saved() is not None
    z.backward()
    assert saved() is None


def test_second_backward_needs_retain_graph() -> None:
    x = leaf(2.0)
    y = x**3
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 24.0
    with pytest.raises(RuntimeError, match=r"Pow: .*retain_graph=True"):
        y.backward()


def test_backward_wants_a_scalar_or_a_gradient() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"\(2,\) float64.*\.sum\(\)"):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match=r"gradient of shape \(3,\) for a tensor of shape \(2,\)"):
        (x * 2).backward(mydl.ones(3, dtype=mydl.float64))
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        mydl.ones(1).backward()
    with pytest.raises(RuntimeError, match="2 tensors but 1 gradients"):
        backward([x * 2, x * 3], [mydl.ones(2)])


def test_only_floating_leaves_want_gradients() -> None:
    with pytest.raises(RuntimeError, match="int64"):
        mydl.tensor([1, 2], requires_grad=True)
    x = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match="leaf"):
        x.requires_grad = False
    assert not x.is_leaf
    assert leaf(1.0).is_leaf
    assert mydl.ones(1).is_leaf
    assert x.detach().is_leaf


def test_grad_returns_and_touches_nothing() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    z = (x * y).sum()
    gx, gy = grad(z, [x, y], retain_graph=True)
    assert gx.tolist() == [3.0, 4.0]
    assert gy.tolist() == [1.0, 2.0]
    assert x.grad is None
    unused = leaf(1.0)
    with pytest.raises(RuntimeError, match="allow_unused"):
        grad(z, unused, retain_graph=True)
    assert grad(z, unused, allow_unused=True, retain_graph=True) == (None,)
    assert grad(z, unused, materialize_grads=True)[0].tolist() == [0.0]


def test_grad_takes_tensors_from_anything_that_gives_them_one_by_one() -> None:
    weights = {"x": leaf(1.0, 2.0), "y": leaf(3.0, 4.0)}
    z = (weights["x"] * weights["y"]).sum()
    for inputs in (weights.values(), iter(weights.values()), tuple(weights.values())):
        assert [g.tolist() for g in grad(z, inputs, retain_graph=True)] == [[3.0, 4.0], [1.0, 2.0]]
    backward(z, inputs=weights.values())
    assert weights["y"].grad.tolist() == [1.0, 2.0]


def test_grad_of_inner_tensors_stops_there() -> None:
    x = leaf(2.0)
    y = x * 3
    z = y * y
    assert grad(z, y, retain_graph=True)[0].tolist() == [12.0]
    assert grad(z, [x, y])[0].tolist() == [36.0]


def test_backward_to_given_inputs_only() -> None:
    x, y = leaf(2.0), leaf(3.0)
    (x * y).backward(inputs=[x])
    assert x.grad.item() == 3.0
    assert y.grad is None


def test_needs_input_grad_spares_work() -> None:
    asked = []

    class Spy(mydl.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * y

        @staticmethod
        def backward(ctx, g):
            asked.append(ctx.needs_input_grad)
            return g, g

    x, y = leaf(1.0), leaf(1.0)
    z = Spy.apply(x, y)
    grad(z, x, retain_graph=True)
    z.backward()
    Spy.apply(x, y.detach()).backward()
    assert asked == [(True, False), (True, True), (True, False)]


def test_third_derivative() -> None:
    x = leaf(0.7)
    y = x.sin() * x.exp()
    for _ in range(3):
        (y,) = grad(y, x, create_graph=True)
    # (e^x sin x)''' = 2 e^x (cos x - sin x)
    assert y.item() == pytest.approx(2 * np.exp(0.7) * (np.cos(0.7) - np.sin(0.7)), rel=1e-12)


@pytest.mark.parametrize(
    ("function", "first", "second"),
    [
        (lambda x: x * x.detach(), 3.0, 0.0),
        (lambda x: x.detach() * x, 3.0, 0.0),
        (lambda x: x / x.detach(), 1 / 3, 0.0),
        (lambda x: x.detach() / x, -1 / 3, 2 / 9),
        (lambda x: x ** x.detach(), 27.0, 18.0),
        (lambda x: x @ x.detach(), 3.0, 0.0),
    ],
)  # fmt: skip
def test_a_detached_factor_is_a_constant_also_to_the_second_derivative(function, first, second) -> None:
    x = mydl.tensor([3.0], dtype=mydl.float64, requires_grad=True)
    (g,) = grad(function(x).sum(), x, create_graph=True)
    (h,) = grad((g + 0 * x).sum(), x)
    np.testing.assert_allclose([g.item(), h.item()], [first, second], atol=1e-12)


def test_create_graph_through_saved_outputs_of_no_dimensions() -> None:
    x = leaf(3.0, 4.0)
    (first,) = grad(x.norm(), x, create_graph=True)
    (second,) = grad(first[0], x)
    assert second.tolist() == pytest.approx([16 / 125, -12 / 125], rel=1e-12)


def test_gradient_penalty() -> None:
    w = leaf(2.0)
    x = leaf(1.5)
    (gx,) = grad(w * x**2, x, create_graph=True)
    (gx**2).backward()  # (2 w x)^2
    assert w.grad.item() == 8 * 2.0 * 1.5**2
    assert x.grad.item() == 8 * 2.0**2 * 1.5


def test_hooks_see_and_replace_the_whole_gradient() -> None:
    x = leaf(1.0, 2.0)
    seen = []
    handle = x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 10)
    (x * x + x).sum().backward()
    assert seen == [[3.0, 5.0]]  # the sum of both uses, once
    assert x.grad.tolist() == [30.0, 50.0]
    handle.remove()
    handle.remove()
    x.grad = None
    x.sum().backward()
    assert len(seen) == 1
    y = x * 2
    y.register_hook(lambda g: -g)
    x.grad = None
    y.sum().backward()
    assert x.grad.tolist() == [-20.0, -20.0]
    with pytest.raises(RuntimeError, match="does not require"):
        mydl.ones(1).register_hook(print)
    with pytest.raises(RuntimeError, match="hook returned shape"):
        bad = leaf(1.0)
        bad.register_hook(lambda g: mydl.ones(2))
        (bad * 1).sum().backward()


def test_a_function_registered_twice_is_taken_away_once() -> None:
    x, seen = leaf(1.0), []

    def hook(g: mydl.Tensor) -> None:
        seen.append(g.item())

    handle = x.register_hook(hook)
    x.register_hook(hook)
    handle.remove()
    handle.remove()
    (x * 3).backward()
    assert seen == [3.0]


def test_roots_and_inputs_given_twice() -> None:
    x = leaf(1.0)
    y = x * 1
    once, twice = (y * 3) * 4, y * 2
    assert grad([once, twice, twice], x)[0].item() == 12 + 2 * 2
    assert [g.item() for g in grad(x * 5, [x, x])] == [5.0, 5.0]
    backward(x * 5, inputs=[x, x])
    assert x.grad.item() == 5.0


def test_hook_after_accumulation() -> None:
    x = leaf(1.0)
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.item()))
    (x * 3).backward()
    (x * 3).backward()
    assert seen == [3.0, 6.0]


def test_retain_grad() -> None:
    x = leaf(2.0)
    y = x * x
    y.retain_grad()
    y.retain_grad()
    (y * 3).backward(retain_graph=True)
    assert y.grad.item() == 3.0
    assert y.retains_grad
    z = x * 1
    z.backward()
    with pytest.warns(UserWarning, match=r"not a leaf but a result, of Mul.*retain_grad"):
        assert z.grad is None


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda y: y.mul_(3), [2.0, 2.0]),
        (lambda y: y.relu_(), [2.0, 2.0]),
        (lambda y: y.__setitem__(0, 5.0), [2.0, 2.0]),
        (lambda y: y[:1].mul_(5), [2.0, 2.0]),
        (lambda y: y.unsqueeze_(0), [[2.0, 2.0]]),
    ],
)
def test_retain_grad_keeps_the_gradient_of_what_the_tensor_has_become(change, kept: list) -> None:
    y = leaf(1.0, 2.0) * 1
    y.register_hook(lambda g: g * 100)  # of the value before
    y.retain_grad()
    change(y)
    (y * 2).sum().backward()
    assert y.grad.tolist() == kept


def test_graph_can_be_walked() -> None:
    x = leaf(1.0)
    y = (x * 2).exp()
    assert y.grad_fn.name() == "Exp"
    ((inner, index),) = y.grad_fn.next_functions
    assert (inner.name(), index) == ("Mul", 0)
    assert inner.next_functions[0][0] is x
    assert x.grad_fn is None
    assert mydl.ones(2, 2, requires_grad=True).split(1)[1].grad_fn.name() == "Split"


def test_modes_as_context_managers_and_decorators() -> None:
    x = leaf(1.0)
    with mydl.no_grad():
        assert not (x * 2).requires_grad
        with mydl.enable_grad():
            assert (x * 2).requires_grad
    for decorate in (mydl.no_grad, mydl.no_grad(), mydl.inference_mode(), lambda f: mydl.set_grad_enabled(False)(f)):

        @decorate
        def double(value):
            """A docstring."""
            return value * 2

        assert not double(x).requires_grad
        assert double.__doc__ == "A docstring."
        assert mydl.is_grad_enabled()

    @mydl.no_grad()
    def numbers():
        yield mydl.is_grad_enabled()
        yield mydl.is_grad_enabled()

    values = [(inside, mydl.is_grad_enabled()) for inside in numbers()]
    assert values == [(False, True), (False, True)]
    mydl.set_grad_enabled(False)
    try:
        assert not (x * 2).requires_grad
    finally:
        mydl.set_grad_enabled(True)
    with pytest.raises(ValueError, match="inside"), mydl.no_grad():
        raise ValueError("inside")
    assert mydl.is_grad_enabled()


def test_modes_are_each_threads_own() -> None:
    found = []
    with mydl.no_grad():
        thread = threading.Thread(target=lambda: found.append(mydl.is_grad_enabled()))
        thread.start()
        thread.join()
    assert found == [True]


def test_forward_and_backward_are_silent_about_overflow() -> None:
    x = mydl.tensor([1e4, -1.0, 0.0], requires_grad=True)
    (x.exp() + x.log() + x / 0 + x.sqrt()).sum().backward()  # warnings are errors here


def test_anomaly_mode_names_the_op_and_the_line() -> None:
    with mydl.autograd.detect_anomaly():
        x = leaf(0.0)
        y = x.sqrt()  # this line makes the NaN
        z = y * 0
        with pytest.raises(RuntimeError, match=r"(?s)Sqrt: backward gave NaN.*this line makes the NaN"):
            z.backward()
    assert not mydl.autograd.is_anomaly_enabled()
    x.sqrt().mul(0).backward()  # and silent otherwise
    with mydl.autograd.set_detect_anomaly(False):
        assert not mydl.autograd.is_anomaly_enabled()


def test_error_messages_name_the_op_shapes_and_dtypes() -> None:
    with pytest.raises(ValueError, match=r"Add: .*\(2,\) float32.*\(3,\) float64"):
        mydl.ones(2) + mydl.ones(3, dtype=mydl.float64)
    with pytest.raises((ValueError, RuntimeError), match=r"MatMul: .*\(2, 3\).*\(2, 3\)"):
        mydl.ones(2, 3) @ mydl.ones(2, 3)
