"""Initial weights. Each function fills a tensor in place and returns it.

The numbers are drawn on the host from the default generator (`mydl.manual_seed`), or from `generator`, so that the
same seed gives the same weights on every device. For a weight of shape (out, in, *kernel), fan_in is in times the
kernel's size and fan_out is out times it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.modes import no_grad
from mydl.backend import Generator, default_generator
from mydl.errors import ShapeError
from mydl.tensor import MyTensor

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip

WEIGHTS = 0x1717  # the purpose under which weights are drawn: no other draw meets theirs


def _rng(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).next(WEIGHTS)


def _fill(tensor: MyTensor, values: Any, name: str) -> MyTensor:
    if not isinstance(tensor, MyTensor):
        raise TypeError(f"{name}: wanted a tensor, got {type(tensor).__name__}")
    with no_grad():
        return tensor.copy_(values)


# PyTorch's name for it, which layers that users write after PyTorch's own call.
def _calculate_fan_in_and_fan_out(tensor: MyTensor, name: str = "init") -> tuple[int, int]:
    """(fan_in, fan_out) of a weight."""
    if tensor.ndim < 2:
        raise ShapeError(f"{name}: fan in and fan out need at least 2 dimensions, got shape {tensor.shape}")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance of activations through a nonlinearity; `param` is leaky_relu's slope.

    1 for linear, conv and sigmoid; 5/3 for tanh; sqrt(2) for relu; sqrt(2 / (1 + slope²)) for leaky_relu; 3/4 for selu.

    >>> calculate_gain("relu")
    1.4142135623730951
    """
    linear = ("linear", "sigmoid", *(f"conv{t}{n}d" for t in ("", "_transpose") for n in (1, 2, 3)))
    if nonlinearity in linear:
        return 1.0
    if nonlinearity == "leaky_relu":
        if isinstance(param, (bool, str)):
            raise ValueError(f"calculate_gain: wanted a number as leaky_relu's slope, got {param!r}")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}")
    return gains[nonlinearity]


def uniform_(tensor: MyTensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> MyTensor:
    """Uniform in [a, b).

    >>> import mydl
    >>> bool((uniform_(mydl.zeros(100), 2.0, 3.0) >= 2).array.all())
    True
    """
    return _fill(tensor, _rng(generator).uniform(a, b, tensor.shape), "uniform_")


def normal_(tensor: MyTensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> MyTensor:
    """Normal with the given mean and standard deviation.

    >>> import mydl
    >>> normal_(mydl.zeros(2, 3), std=0.01).shape
    (2, 3)
    """
    return _fill(tensor, _rng(generator).normal(mean, std, tensor.shape), "normal_")


def trunc_normal_(
    tensor: MyTensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> MyTensor:
    """Normal, values outside [a, b] drawn again.

    >>> import mydl
    >>> bool((trunc_normal_(mydl.zeros(100)).array <= 2).all())
    True
    """
    # closer than this to the tail, drawing again would take for ever
    if not a < b or a > mean + 6 * std or b < mean - 6 * std:
        raise ValueError(f"trunc_normal_: [{a}, {b}] holds next to nothing of a normal of mean {mean} and std {std}")
    rng = _rng(generator)
    values = rng.normal(mean, std, tensor.numel())
    while (outside := (values < a) | (values > b)).any():
        values[outside] = rng.normal(mean, std, int(outside.sum()))
    return _fill(tensor, values.reshape(tensor.shape), "trunc_normal_")


def constant_(tensor: MyTensor, val: float) -> MyTensor:
    """Every element `val`.

    >>> import mydl
    >>> constant_(mydl.zeros(2), 3.0)
    tensor([3., 3.])
    """
    return _fill(tensor, val, "constant_")


def zeros_(tensor: MyTensor) -> MyTensor:
    """Every element 0.

    >>> import mydl
    >>> zeros_(mydl.ones(2))
    tensor([0., 0.])
    """
    return _fill(tensor, 0.0, "zeros_")


def ones_(tensor: MyTensor) -> MyTensor:
    """Every element 1.

    >>> import mydl
    >>> ones_(mydl.zeros(2))
    tensor([1., 1.])
    """
    return _fill(tensor, 1.0, "ones_")


def eye_(tensor: MyTensor) -> MyTensor:
    """Ones on the diagonal of a matrix, zeros elsewhere.

    >>> import mydl
    >>> eye_(mydl.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: wanted 2 dimensions, got shape {tensor.shape}")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]), "eye_")


def dirac_(tensor: MyTensor, groups: int = 1) -> MyTensor:
    """The weight of a convolution that gives each channel on as it is: in each group 1 at [d, d, middle], else 0.

    >>> import mydl
    >>> dirac_(mydl.zeros(2, 2, 3))[1]
    tensor([[0., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ShapeError(f"dirac_: wanted 3, 4 or 5 dimensions, got shape {tensor.shape}")
    if tensor.shape[0] % groups:
        raise ShapeError(f"dirac_: groups={groups} does not divide {tensor.shape[0]}, the first size of {tensor.shape}")
    channels, values = np.arange(tensor.shape[0]), np.zeros(tensor.shape)
    at = channels % (len(channels) // groups)
    there = at < tensor.shape[1]
    values[(channels[there], at[there], *(size // 2 for size in tensor.shape[2:]))] = 1
    return _fill(tensor, values, "dirac_")


def sparse_(tensor: MyTensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> MyTensor:
    """Draws from N(0, std²) in a matrix, with zeros in ceil(sparsity · rows) places of each column.

    Martens, "Deep learning via Hessian-free optimization", 2010.

    >>> import mydl
    >>> (sparse_(mydl.ones(4, 3), sparsity=0.5) == 0).sum(0)
    tensor([2, 2, 2])
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: wanted 2 dimensions, got shape {tensor.shape}")
    rng, zeros = _rng(generator), math.ceil(sparsity * tensor.shape[0])
    order = rng.permuted(np.broadcast_to(np.arange(tensor.shape[0])[:, None], tensor.shape), axis=0)
    return _fill(tensor, np.where(order < zeros, 0, rng.normal(0, std, tensor.shape)), "sparse_")


def xavier_uniform_(tensor: MyTensor, gain: float = 1.0, generator: Generator | None = None) -> MyTensor:
    """Uniform in (-a, a) with a = gain sqrt(6 / (fan_in + fan_out)).

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.

    >>> import mydl
    >>> bool((abs(xavier_uniform_(mydl.zeros(3, 3)).array) < 1).all())
    True
    """
    bound = gain * math.sqrt(6 / max(sum(_calculate_fan_in_and_fan_out(tensor, "xavier_uniform_")), 1))
    return _fill(tensor, _rng(generator).uniform(-bound, bound, tensor.shape), "xavier_uniform_")


def xavier_normal_(tensor: MyTensor, gain: float = 1.0, generator: Generator | None = None) -> MyTensor:
    """Normal with mean 0 and std = gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    >>> import mydl
    >>> xavier_normal_(mydl.zeros(3, 3)).shape
    (3, 3)
    """
    std = gain * math.sqrt(2 / max(sum(_calculate_fan_in_and_fan_out(tensor, "xavier_normal_")), 1))
    return _fill(tensor, _rng(generator).normal(0, std, tensor.shape), "xavier_normal_")


def _kaiming_std(tensor: MyTensor, a: float, mode: str, nonlinearity: str, name: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{name}: wanted "fan_in" or "fan_out" as mode, got {mode!r}')
    fan = _calculate_fan_in_and_fan_out(tensor, name)[0 if mode == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: MyTensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> MyTensor:
    """Uniform in (-b, b) with b = gain sqrt(3 / fan); with the defaults the gain is relu's, sqrt(2).

    He et al., "Delving deep into rectifiers", 2015.

    >>> import mydl
    >>> bool((abs(kaiming_uniform_(mydl.zeros(4, 6)).array) <= 1).all())
    True
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return _fill(tensor, _rng(generator).uniform(-bound, bound, tensor.shape), "kaiming_uniform_")


def kaiming_normal_(
    tensor: MyTensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> MyTensor:
    """Normal with mean 0 and std = gain / sqrt(fan) (He et al., 2015).

    >>> import mydl
    >>> kaiming_normal_(mydl.zeros(4, 6)).shape
    (4, 6)
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_")
    return _fill(tensor, _rng(generator).normal(0, std, tensor.shape), "kaiming_normal_")


def orthogonal_(tensor: MyTensor, gain: float = 1, generator: Generator | None = None) -> MyTensor:
    """A random (semi-)orthogonal matrix times `gain`, the dimensions after the first taken as one.

    Saxe et al., "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks", 2014.

    >>> import mydl
    >>> q = orthogonal_(mydl.zeros(2, 3)).array
    >>> bool(np.allclose(q @ q.T, np.eye(2), atol=1e-6))
    True
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: wanted at least 2 dimensions, got shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(_rng(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))  # without this the draws are not uniform over the orthogonal matrices
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape), "orthogonal_")
