"""autograd.Function as PyTorch's users write it."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import mydl
from mydl.autograd import Function, grad, gradcheck, gradgradcheck
from mydl.autograd.function import once_differentiable


def leaf(*values: float) -> mydl.Tensor:
    """A float64 leaf."""
    return mydl.tensor(values, dtype=mydl.float64, requires_grad=True)


class Exp(Function):
    """Saves its output."""

    @staticmethod
    def forward(ctx, x):
        result = x.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, g):
        (result,) = ctx.saved_tensors
        return g * result


class Scale(Function):
    """Tensor, number and flag; saves an input; keeps a number on ctx."""

    @staticmethod
    def forward(ctx, x, factor, negative=False):
        ctx.factor = -factor if negative else factor
        ctx.save_for_backward(x, None)
        return x * x * ctx.factor

    @staticmethod
    def backward(ctx, g):
        x, nothing = ctx.saved_tensors
        assert nothing is None
        return 2 * ctx.factor * x * g, None, None


class SumAndProduct(Function):
    """Two outputs from two inputs."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x + y, x * y

    @staticmethod
    def backward(ctx, g_sum, g_product):
        x, y = ctx.saved_tensors
        return g_sum + g_product * y, g_sum + g_product * x


class Sorted(Function):
    """In the style without ctx in forward; an output that has no gradient."""

    @staticmethod
    def forward(x):
        return x.sort()

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, indices = output
        ctx.mark_non_differentiable(indices)
        ctx.save_for_backward(indices)
        ctx.size = inputs[0].shape

    @staticmethod
    def backward(ctx, g, _):
        (indices,) = ctx.saved_tensors
        return mydl.zeros(ctx.size, dtype=g.dtype, device=g.device).scatter_add(0, indices, g)


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (Exp.apply, (leaf(0.5, -1.0),)),
        (lambda x: Scale.apply(x, 3.0), (leaf(0.5, -1.0),)),
        (lambda x: Scale.apply(x, 3.0, True), (leaf(0.5, -1.0),)),
        (SumAndProduct.apply, (leaf(0.5, -1.0), leaf(2.0, 3.0))),
        (lambda x: SumAndProduct.apply(x, x)[1], (leaf(0.5, -1.0),)),
        (lambda x: Sorted.apply(x)[0] ** 2, (leaf(0.5, -1.0, 0.2),)),
    ],
)
def test_first_and_second_derivatives(function, inputs) -> None:
    assert gradcheck(function, inputs)
    assert gradgradcheck(function, inputs)


def test_outputs_that_carry_no_gradient() -> None:
    values, indices = Sorted.apply(leaf(0.5, -1.0))
    assert values.requires_grad
    assert not indices.requires_grad
    assert indices.tolist() == [1, 0]


def test_unused_outputs_get_zeros_or_none() -> None:
    given = []

    class Pair(Function):
        @staticmethod
        def forward(ctx, x, fill):
            ctx.set_materialize_grads(fill)
            return x * 1, x.sum()

        @staticmethod
        def backward(ctx, a, b):
            given.append(b)
            return a, None

    x = leaf(1.0, 2.0)
    Pair.apply(x, True)[0].sum().backward()
    Pair.apply(x, False)[0].sum().backward()
    assert given[0].shape == ()
    assert given[0].item() == 0.0
    assert given[1] is None


def test_forward_is_not_recorded_and_not_run_under_no_grad() -> None:
    modes = []

    class Probe(Function):
        @staticmethod
        def forward(ctx, x):
            modes.append((mydl.is_grad_enabled(), ctx.needs_input_grad))
            return x * 2

        @staticmethod
        def backward(ctx, g):
            modes.append(mydl.is_grad_enabled())
            return g * 2

    x = leaf(1.0)
    Probe.apply(x).backward()
    grad(Probe.apply(x), x, create_graph=True)
    with mydl.no_grad():
        assert not Probe.apply(x).requires_grad
    assert modes == [(False, (True,)), False, (False, (True,)), True, (False, (False,))]


def test_returning_an_input_gives_a_tensor_of_its_own() -> None:
    class Same(Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 5

    x = leaf(1.0)
    y = Same.apply(x)
    assert y is not x
    y.backward()
    assert x.grad.item() == 5.0
    assert x.is_leaf


def test_mark_dirty() -> None:
    class DoubleInPlace(Function):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = leaf(1.0, 2.0)
    y = x * 1
    z = DoubleInPlace.apply(y)
    assert z is y
    z.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert z.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match="leaf"):
        DoubleInPlace.apply(leaf(1.0))


def test_saved_tensors_are_guarded_and_freed() -> None:
    x = leaf(1.0, 2.0)
    y = Exp.apply(x)
    z = y.sum()
    with mydl.no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match=r"Exp: .*changed in place"):
        z.backward()
    z = Exp.apply(x).sum()
    z.backward()
    with pytest.raises(RuntimeError, match="retain_graph"):
        z.backward()
    with pytest.raises(TypeError, match="int"):

        class Wrong(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(3)
                return x

        Wrong.apply(x)


def test_a_wrong_number_of_gradients_is_an_error() -> None:
    class Short(Function):
        @staticmethod
        def forward(ctx, x, y):
            return x + y

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="Short: backward gave 1 gradients for 2 inputs"):
        Short.apply(leaf(1.0), leaf(2.0)).backward()


def test_once_differentiable() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return mydl.from_numpy(np.sin(x.numpy()))

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * mydl.from_numpy(np.cos(x.numpy()))

    x = leaf(0.3)
    Once.apply(x).backward()
    assert x.grad.item() == pytest.approx(np.cos(0.3))
    (first,) = grad(Once.apply(x), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.backward()


def test_anomaly_mode_names_the_function() -> None:
    class Broken(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    with mydl.autograd.detect_anomaly():
        y = Broken.apply(leaf(1.0))  # the broken line
        with pytest.raises(RuntimeError, match=r"(?s)Broken: backward gave NaN.*the broken line"):
            y.backward()


def test_the_graph_dies_by_itself() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = Exp.apply(x)
        pair = SumAndProduct.apply(y, y)
        watched = [weakref.ref(t.array) for t in (y, *pair)]
        pair[1].sum().backward()
        del y, pair
        assert [ref() for ref in watched] == [None] * 3
    finally:
        gc.enable()
