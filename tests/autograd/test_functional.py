"""jacobian, hessian and their products, and the numeric checks themselves."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl.autograd import Function, functional, gradcheck, gradgradcheck
from mydl.autograd.gradcheck import GradcheckError


def numbers(*shape: int) -> mydl.Tensor:
    """Normal numbers in float64."""
    return mydl.from_numpy(np.random.default_rng(sum(shape)).standard_normal(shape))


def cubes(x, y):
    """Two outputs of two inputs."""
    return (x**3).sum(1) * y, (x * x).mean()


def energy(x, y):
    """One element from two inputs."""
    return (x.exp().sum(1) * y**2).sum() + x.sum() ** 2


def test_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    inputs = numbers(2, 3), numbers(2)
    theirs = tuple(torch.from_numpy(x.numpy()) for x in inputs)
    v = (numbers(2), numbers())
    u = (numbers(2, 3) * 2, numbers(2) - 1)
    as_torch = [tuple(torch.from_numpy(np.asarray(t.numpy())) for t in group) for group in (v, u)]
    pairs = [
        (functional.jacobian(cubes, inputs), torch.autograd.functional.jacobian(cubes, theirs)),
        (functional.hessian(energy, inputs), torch.autograd.functional.hessian(energy, theirs)),
        (functional.vjp(cubes, inputs, v), torch.autograd.functional.vjp(cubes, theirs, as_torch[0])),
        (functional.jvp(cubes, inputs, u), torch.autograd.functional.jvp(cubes, theirs, as_torch[1])),
        (functional.hvp(energy, inputs, u), torch.autograd.functional.hvp(energy, theirs, as_torch[1])),
        (functional.vhp(energy, inputs, u), torch.autograd.functional.vhp(energy, theirs, as_torch[1])),
        (
            functional.jacobian(lambda x: x.t(), inputs[0]),
            torch.autograd.functional.jacobian(lambda x: x.t(), theirs[0]),
        ),
    ]

    def compare(mine, other) -> None:
        if isinstance(other, tuple):
            assert isinstance(mine, tuple)
            assert len(mine) == len(other)
            for a, b in zip(mine, other):
                compare(a, b)
            return
        assert mine.shape == tuple(other.shape)
        assert not mine.requires_grad
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-10, atol=1e-12)

    for mine, other in pairs:
        compare(mine, other)


def test_a_recorded_jacobian_can_be_differentiated() -> None:
    x = numbers(3).requires_grad_()
    functional.jacobian(lambda v: v**3, x, create_graph=True).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.detach().numpy())


def test_strict_refuses_what_does_not_depend() -> None:
    with pytest.raises(RuntimeError, match="does not depend"):
        functional.jacobian(lambda x, y: x * 2, (numbers(2), numbers(2)), strict=True)
    assert functional.jacobian(lambda x: mydl.ones(2), numbers(3)).tolist() == [[0.0] * 3] * 2
    assert functional.hessian(lambda x: x.sum(), numbers(2)).tolist() == [[0.0] * 2] * 2
    assert functional.jacobian(lambda x: x[:0], numbers(3)).shape == (0, 3)
    with pytest.raises(RuntimeError, match="one element"):
        functional.hessian(lambda x: x * 2, numbers(2))
    with pytest.raises(NotImplementedError, match="forward-mode"):
        functional.jacobian(lambda x: x, numbers(2), strategy="forward-mode")
    with pytest.raises(RuntimeError, match="v of shapes"):
        functional.vjp(lambda x: x, numbers(2), numbers(3))


class Wrong(Function):
    """x**2 whose gradient is wrong in one element."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        result = (2 * x * g).clone()
        result[1, 0] = result[1, 0] * 1.01
        return result


class WrongTwice(Function):
    """x**3 whose first derivative is right and whose second is not."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x.detach() * g


def test_gradcheck_says_where() -> None:
    y, x = numbers(2), numbers(2, 2).requires_grad_()
    with pytest.raises(
        GradcheckError, match=r"output 0\[1, 0\] / d input 1\[1, 0\]: analytic .*, numeric .*; 1 of 16 differ"
    ):
        gradcheck(lambda a, b: Wrong.apply(b), (y, x))
    assert not gradcheck(Wrong.apply, x, raise_exception=False)
    assert gradcheck(lambda b: Wrong.apply(b)[0], x)
    assert gradcheck(WrongTwice.apply, x)
    with pytest.raises(GradcheckError):
        gradgradcheck(WrongTwice.apply, x)
    assert not gradgradcheck(WrongTwice.apply, x, raise_exception=False)


def test_gradcheck_refuses_what_it_cannot_check() -> None:
    with pytest.raises(ValueError, match="requires a gradient"):
        gradcheck(mydl.exp, numbers(2))
    with pytest.raises(ValueError, match="float64"):
        gradcheck(mydl.exp, mydl.ones(2, requires_grad=True))
    with pytest.raises(ValueError, match="no floating"):
        gradcheck(lambda x: x > 0, numbers(2).requires_grad_())


def test_gradcheck_leaves_its_inputs_as_they_were() -> None:
    x = numbers(3).requires_grad_()
    before = x.tolist()
    assert gradcheck(lambda v: (v * 2).t(), x)
    assert x.tolist() == before
    assert x.grad is None
