"""Initial weights: bounds, moments, shapes, and that seeds decide them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import mydl
from mydl import nn
from mydl.nn import init

CONV = (32, 16, 3, 3)  # fan in 144, fan out 288
# function, options, standard deviation, bound
DRAWS = [
    (init.xavier_uniform_, {}, math.sqrt(2 / 432), math.sqrt(6 / 432)),
    (init.xavier_uniform_, {"gain": 2.0}, 2 * math.sqrt(2 / 432), 2 * math.sqrt(6 / 432)),
    (init.xavier_normal_, {}, math.sqrt(2 / 432), None),
    (init.kaiming_uniform_, {}, math.sqrt(2 / 144), math.sqrt(6 / 144)),
    (init.kaiming_uniform_, {"a": 1.0, "mode": "fan_out"}, math.sqrt(1 / 288), math.sqrt(3 / 288)),
    (init.kaiming_normal_, {"nonlinearity": "relu"}, math.sqrt(2 / 144), None),
    (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "tanh"}, 5 / 3 / math.sqrt(288), None),
    (init.normal_, {"std": 0.3}, 0.3, None),
    (init.uniform_, {"a": -2.0, "b": 2.0}, 4 / math.sqrt(12), 2.0),
]


@pytest.mark.parametrize(("function", "options", "std", "bound"), DRAWS)
def test_draws_have_the_right_spread(function, options, std, bound):
    mydl.manual_seed(1)
    weight = nn.Parameter(mydl.zeros(CONV))
    assert function(weight, **options) is weight
    values = weight.detach().numpy()
    assert values.dtype == np.float32
    assert values.std() == pytest.approx(std, rel=0.05)
    assert abs(values.mean()) < 4 * std / math.sqrt(values.size)
    if bound is not None:
        assert 0.95 * bound < abs(values).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "conv_transpose1d"]
)
def test_gains_are_pytorchs(name, torch):
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_orthogonal():
    for shape in ((3, 5), (5, 3), (4, 2, 3)):
        weight = init.orthogonal_(mydl.zeros(shape).double(), gain=2.0).numpy().reshape(shape[0], -1)
        product = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "groups"), [((2, 2, 3), 1), ((5, 3, 2, 3), 1), ((3, 5, 1, 4), 1), ((6, 2, 3, 3), 2), ((6, 4, 2, 3, 4), 3)]
)
def test_dirac(shape, groups):
    torch = pytest.importorskip("torch")
    made = init.dirac_(mydl.ones(shape), groups)
    np.testing.assert_array_equal(made.numpy(), torch.nn.init.dirac_(torch.ones(shape), groups).numpy())


def test_sparse():
    made = init.sparse_(mydl.zeros(300, 200), sparsity=0.123, std=0.5).numpy()
    assert ((made == 0).sum(0) == 37).all()  # ceil(0.123 * 300) of each column
    assert len({tuple(np.flatnonzero(column)) for column in made.T}) == 200  # not the same places
    assert made[made != 0].std() == pytest.approx(0.5, abs=0.01)


def test_constants_and_the_truncated_normal():
    assert init.eye_(mydl.zeros(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.ones_(mydl.zeros(2)).tolist() == [1, 1]
    assert init.zeros_(mydl.ones(2)).tolist() == [0, 0]
    assert init.constant_(mydl.ones(2), -3).tolist() == [-3, -3]
    values = init.trunc_normal_(mydl.zeros(10_000), mean=1.0, std=2.0, a=0.0, b=2.0).numpy()
    assert values.min() >= 0 and values.max() <= 2 and values.std() == pytest.approx(0.56, abs=0.03)


def test_the_seed_decides_the_weights():
    def weights(seed):
        mydl.manual_seed(seed)
        net = nn.Sequential(nn.Linear(3, 4), nn.Conv2D(1, 2, 3), nn.Embedding(3, 2), nn.LSTM(2, 2))
        return np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])

    np.testing.assert_array_equal(weights(5), weights(5))
    assert not np.array_equal(weights(5), weights(6))
    generator = mydl.Generator(7)
    a = init.normal_(mydl.zeros(3), generator=generator).tolist()
    assert a == init.normal_(mydl.zeros(3), generator=mydl.Generator(7)).tolist()
    assert a != init.normal_(mydl.zeros(3), generator=generator).tolist()


def test_defaults_are_the_courses_and_can_be_chosen():
    mydl.manual_seed(0)
    linear = nn.Linear(300, 200)
    bound = math.sqrt(6 / 500)
    assert 0.99 * bound < abs(linear.weight.detach().numpy()).max() <= bound
    assert not linear.bias.detach().numpy().any()
    convolution = nn.Conv2D(16, 32, 3)
    bound = math.sqrt(6 / 144)
    assert 0.99 * bound < abs(convolution.weight.detach().numpy()).max() <= bound
    assert not convolution.bias.detach().numpy().any()
    ones = nn.Linear(3, 4, init=init.ones_)
    assert ones.weight.detach().numpy().all() and nn.Conv2D(1, 1, 3, init=init.zeros_).weight.sum().item() == 0
    init.zeros_(ones.weight)
    ones.reset_parameters()
    assert ones.weight.detach().numpy().all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.xavier_uniform_(mydl.zeros(3)), r"2 dimensions.*\(3,\)"),
        (lambda: init.kaiming_normal_(mydl.zeros(2, 2), mode="fan"), "fan_in"),
        (lambda: init.calculate_gain("swish"), "swish"),
        (lambda: init.orthogonal_(mydl.zeros(3)), "2 dimensions"),
        (lambda: init.eye_(mydl.zeros(3)), "2 dimensions"),
        (lambda: init.trunc_normal_(mydl.zeros(3), a=50.0, b=60.0), "50"),
        (lambda: init.dirac_(mydl.zeros(3, 3)), r"3, 4 or 5 dimensions.*\(3, 3\)"),
        (lambda: init.dirac_(mydl.zeros(4, 3, 1), groups=3), "groups=3.*4"),
        (lambda: init.sparse_(mydl.zeros(3), 0.5), "2 dimensions"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
