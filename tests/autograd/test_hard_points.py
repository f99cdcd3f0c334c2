"""Gradients where a function has a corner, a tie, a zero to divide by, NaN or infinity: PyTorch's choices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import mydl
from mydl.nn import functional as mydl_functional

torch = pytest.importorskip("torch")

NAN, INF = float("nan"), float("inf")
pytestmark = pytest.mark.filterwarnings("ignore:.*degrees of freedom is")
LIBRARIES = ((mydl, mydl_functional), (torch, torch.nn.functional))

POINTS = [-INF, -3.0, -2.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 6.0, 20.0, 21.0, 100.0, INF, NAN]
ROWS = [
    [0.0, 0.0, 0.0], [1.0, 0.0, 2.0], [3.0, 4.0, 0.0], [1.0, NAN, 2.0], [INF, 1.0, 2.0], [-INF, INF, 1.0],
    [-1.0, 1.0, 1.0], [0.0, 0.0, NAN], [2.0, 2.0, -2.0], [0.0, 5.0, 6.0], [6.0, 5.0, 0.0], [0.0, NAN, 0.0],
]  # fmt: skip
LOGITS = [[-INF] * 3, [0.0, -INF, 1.0], [INF, 0.0, 1.0], [INF, INF, 0.0], [NAN, 0.0, 1.0], [0.0] * 3, [1e3, 0.0, -1e3]]
PAIRS = [list(side) for side in zip(*itertools.product([-INF, -2.0, -0.5, 0.0, 0.5, 1.0, 2.0, INF, NAN], repeat=2))]


def compare(function, *arrays):
    """The outputs and the gradients of both libraries, in float64."""
    results = []
    for library, functional in LIBRARIES:
        inputs = [library.tensor(array, dtype=library.float64, requires_grad=True) for array in arrays]
        y = function(library, functional, *inputs)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(library.tensor(np.arange(y.numel()).reshape(y.shape) % 5 + 1.0, dtype=library.float64))
        results.append([y.detach().numpy(), *(x.grad.numpy() for x in inputs)])
    for mine, theirs in zip(*results):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9)


NAMES = "abs exp log log1p sqrt rsqrt square reciprocal tanh sigmoid sign floor round relu acos atanh erf neg"


@pytest.mark.parametrize("name", NAMES.split())
def test_elementary(name):
    compare(lambda L, F, x: getattr(L, name)(x), POINTS)


ACTIVATIONS = {
    "relu6": [{}], "elu": [{}, {"alpha": 0.5}, {"alpha": 0.0}], "selu": [{}], "celu": [{}, {"alpha": 2.0}],
    "gelu": [{}, {"approximate": "tanh"}], "silu": [{}], "mish": [{}],
    "hardtanh": [{}, {"min_val": -2.0, "max_val": 3.0}],
    "hardswish": [{}], "hardsigmoid": [{}], "leaky_relu": [{}, {"negative_slope": 0.0}],
    "softplus": [{}, {"beta": 2.0, "threshold": 1.0}], "logsigmoid": [{}], "relu": [{}], "softsign": [{}],
    "tanhshrink": [{}], "hardshrink": [{}, {"lambd": 1.0}], "softshrink": [{}, {"lambd": 1.0}],
    "threshold": [{"threshold": 1.0, "value": 2.0}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "options"), [(name, o) for name, all_ in ACTIVATIONS.items() for o in all_])
def test_activations(name, options):
    # PyTorch's hardsigmoid alone stops the gradient at NaN
    compare(lambda L, F, x: getattr(F, name)(x, **options), POINTS[:-1] if name == "hardsigmoid" else POINTS)


@pytest.mark.parametrize("p", [2.0, 1.0, INF, -INF, 0.5, 1.5, 3.0, -1.0])
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_norms(p, dim):
    for rows in (ROWS, *([row] for row in ROWS)):
        compare(lambda L, F, x: L.norm(x, p) if dim is None else L.norm(x, p, dim), rows)


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "median", "prod", "cumprod", "std", "var", "logsumexp"])
@pytest.mark.parametrize("dim", [None, 0, 1])
def test_reductions(name, dim):
    if dim is None and name in ("cumprod", "logsumexp"):
        dim = -1
    for rows in (ROWS, *([row] for row in ROWS)):
        compare(lambda L, F, x: getattr(L, name)(x) if dim is None else getattr(L, name)(x, dim), rows)


@pytest.mark.parametrize("name", ["std", "var"])
def test_no_freedom(name):
    for values, correction in itertools.product(([3.0], [[3.0], [4.0]], [[NAN, 1.0]]), (0, 1, 2, 3)):
        compare(lambda L, F, x, correction=correction: getattr(L, name)(x, None, correction=correction), values)


@pytest.mark.parametrize("bounds", [(-1.0, 2.0), (None, 2.0), (-1.0, None), (2.0, -1.0), (0.0, 0.0), (-INF, INF)])
def test_clamp(bounds):
    compare(lambda L, F, x: L.clamp(x, *bounds), POINTS)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, -1, -2, 1.5, 0.0, NAN, INF, -INF])
def test_powers(exponent):
    compare(lambda L, F, x: x**exponent, POINTS)
    compare(lambda L, F, x: exponent**x, POINTS)


@pytest.mark.parametrize("name", ["pow", "mul", "div", "maximum", "minimum", "atan2", "remainder", "fmod"])
def test_two_operands(name):
    compare(lambda L, F, x, y: getattr(L, name)(x, y), *PAIRS)


def test_where_spoils_both_branches_alike():
    compare(lambda L, F, x, y: L.where(x > 0, L.sqrt(x), y / x), *PAIRS)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
@pytest.mark.parametrize("dim", [0, 1])
def test_softmax(name, dim):
    compare(lambda L, F, x: getattr(L, name)(x, dim), LOGITS)


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(reduction, smoothing):
    options = {"reduction": reduction, "label_smoothing": smoothing}
    for target in ([0, 1, 2, 0, 1, 2, 0], [1, -100, 0, 1, 2, 1, 2]):
        compare(lambda L, F, x, target=target: F.cross_entropy(x, L.tensor(target), **options), LOGITS)
        compare(lambda L, F, x, target=target: F.nll_loss(x, L.tensor(target), reduction=reduction), LOGITS)
    compare(lambda L, F, x, y: F.cross_entropy(x, y, **options), LOGITS, np.eye(3)[[0, 0, 1, 2, 0, 1, 1]])


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_distances(name):
    compare(lambda L, F, x, y: getattr(F, name)(x, y, reduction="none"), *PAIRS)


def test_binary_cross_entropy():
    ps, targets = [0.0, 0.0, 1.0, 1.0, 0.5, 1e-20], [0.0, 1.0, 0.0, 1.0, 0.5, 1.0]
    compare(lambda L, F, x, y: F.binary_cross_entropy(x, y, reduction="none"), ps, targets)
    logits, targets = zip(*itertools.product([-INF, -1e3, 0.0, 1e3, INF, NAN], [0.0, 1.0, 0.5]))
    compare(lambda L, F, x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"), logits, targets)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, INF])
def test_distances_of_equal_points(p):
    compare(lambda L, F, x, y: F.pairwise_distance(x, y, p, eps=0.0), ROWS, ROWS)
    compare(lambda L, F, x: F.normalize(x, p, 1), ROWS)
