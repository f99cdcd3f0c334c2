"""Dropout: how much is dropped, what becomes of the rest, where gradients go, what the seed decides."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl import nn
from mydl.nn import functional as F


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_share_and_scale(p, dtype):
    mydl.manual_seed(0)
    x = mydl.ones(300, 301, dtype=dtype).requires_grad_()
    y = F.dropout(x, p)
    values = y.detach().numpy()
    assert set(np.unique(values)) == {0, values.dtype.type(1 / (1 - p))}
    assert (values == 0).mean() == pytest.approx(p, abs=0.006)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)


def test_rows_and_columns_are_dropped_independently():
    mydl.manual_seed(0)
    dropped = F.dropout(mydl.ones(400, 400), 0.5).numpy() == 0
    for axis in (0, 1):
        share = dropped.mean(axis)
        assert share.std() == pytest.approx(0.5 / np.sqrt(400), rel=0.15)


def test_the_seed_decides_the_masks():
    x = mydl.ones(50)
    mydl.manual_seed(3)
    first, second = F.dropout(x).tolist(), F.dropout(x).tolist()
    mydl.manual_seed(3)
    assert F.dropout(x).tolist() == first
    assert F.dropout(x).tolist() == second != first


@pytest.mark.parametrize("name", ["dropout", "dropout1d", "dropout2d"])
def test_special_cases_are_exact(name):
    x = mydl.tensor(np.arange(24.0).reshape(1, 2, 3, 4)[0 if name == "dropout1d" else slice(None)])
    function = getattr(F, name)
    assert function(x, 0.0) is x
    assert function(x, 0.7, training=False) is x
    assert not function(x, 1.0).numpy().any()
    y = x.clone()
    assert function(y, 1.0, True, True) is y and not y.numpy().any()
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        function(x, 1.5)


@pytest.mark.parametrize(
    ("name", "shape"), [("Dropout2d", (40, 50, 3, 4)), ("Dropout1d", (40, 50, 4)), ("Dropout2d", (2000, 3, 4))]
)
def test_whole_channels(name, shape):
    mydl.manual_seed(0)
    x = mydl.ones(*shape).requires_grad_()
    y = getattr(nn, name)(0.25)(x)
    spatial = 2 if name == "Dropout2d" else 1
    planes = y.detach().numpy().reshape(-1, int(np.prod(shape[-spatial:])))
    assert (planes == planes[:, :1]).all()
    assert (planes[:, 0] == 0).mean() == pytest.approx(0.25, abs=0.03)
    assert planes.max() == pytest.approx(1 / 0.75)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_layers_drop_in_training_only():
    layer = nn.Dropout(0.5)
    x = mydl.ones(100)
    assert (layer(x).numpy() == 0).any()
    assert layer.eval()(x) is x
    assert repr(layer) == "Dropout(p=0.5, inplace=False)"
    with pytest.raises(ValueError, match="Dropout"):
        nn.Dropout(-0.1)


def test_a_second_derivative_goes_through_the_same_places():
    mydl.manual_seed(0)
    x = mydl.tensor(np.linspace(1, 2, 20), requires_grad=True)
    y = F.dropout(x, 0.5)
    kept = y.detach().numpy() != 0
    (first,) = mydl.autograd.grad((y**3).sum(), x, create_graph=True)
    (second,) = mydl.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(second.numpy(), np.where(kept, 6 * x.detach().numpy() * 8, 0))
