"""Clipping and flattening, against PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mydl
from mydl import nn


def parameters(library, make) -> list:
    made = []
    for i, shape in enumerate([(2, 3), (4,), (), (0,)]):
        values = np.random.default_rng(i).standard_normal(shape)
        parameter = library.Parameter(make(values))
        if shape != (4,):
            parameter.grad = make(values * 3)
        made.append(parameter)
    return made


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e3])
def test_clip_grad_norm(norm_type, max_norm, torch):
    # PyTorch knows no largest element of the last one, which is empty
    count = 3 if norm_type == math.inf else 4
    ours, theirs = parameters(nn, mydl.tensor)[:count], parameters(torch.nn, torch.tensor)[:count]
    total = nn.utils.clip_grad_norm_(ours, max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)
    for a, b in zip(ours, theirs, strict=True):
        assert (a.grad is None) == (b.grad is None)
        if a.grad is not None:
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-12)


def test_clip_grad_value_and_one_parameter_alone(torch):
    ours, theirs = parameters(nn, mydl.tensor), parameters(torch.nn, torch.tensor)
    nn.utils.clip_grad_value_(ours, 1)
    torch.nn.utils.clip_grad_value_(theirs, 1)
    np.testing.assert_array_equal(ours[0].grad.numpy(), theirs[0].grad.numpy())
    nn.utils.clip_grad_value_(ours[0], 0.1)
    assert abs(ours[0].grad.numpy()).max() == 0.1
    assert nn.utils.clip_grad_norm_([ours[1]], 1.0).item() == 0


def test_a_gradient_that_is_not_finite():
    parameter = nn.Parameter(mydl.ones(2))
    parameter.grad = mydl.tensor([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="inf"):
        nn.utils.clip_grad_norm_(parameter, 1.0, error_if_nonfinite=True)
    assert nn.utils.clip_grad_norm_(parameter, 1.0).item() == math.inf


def test_vectors(torch):
    ours, theirs = parameters(nn, mydl.tensor), parameters(torch.nn, torch.tensor)
    vector = nn.utils.parameters_to_vector(ours)
    np.testing.assert_array_equal(vector.detach().numpy(), torch.nn.utils.parameters_to_vector(theirs).detach().numpy())
    before = [p.detach().numpy().copy() for p in ours]
    nn.utils.vector_to_parameters(vector.detach() * 2, ours)
    for parameter, old in zip(ours, before, strict=True):
        np.testing.assert_array_equal(parameter.detach().numpy(), 2 * old)
    with pytest.raises(ValueError, match=r"11 elements, got shape \(3,\)"):
        nn.utils.vector_to_parameters(mydl.ones(3), ours)


@pytest.mark.parametrize(
    ("batch_first", "value", "side"), [(False, 0.0, "right"), (True, -1.0, "right"), (True, 2.5, "left")]
)
@pytest.mark.parametrize("rest", [(), (2,), (2, 3)])
def test_pad_sequence(batch_first, value, side, rest, torch):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((length, *rest)) for length in (3, 1, 4)]
    ours = [mydl.tensor(array, requires_grad=True) for array in arrays]
    theirs = [torch.tensor(array, requires_grad=True) for array in arrays]
    found = nn.utils.rnn.pad_sequence(ours, batch_first, value, side)
    expected = torch.nn.utils.rnn.pad_sequence(theirs, batch_first, value, side)
    np.testing.assert_array_equal(found.detach().numpy(), expected.detach().numpy())
    (found**2).sum().backward()
    np.testing.assert_array_equal(ours[1].grad.numpy(), 2 * arrays[1])
    with pytest.raises(ValueError, match=r"pad_sequence: .*'up'"):
        nn.utils.rnn.pad_sequence(ours, padding_side="up")
