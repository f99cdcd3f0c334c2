"""Activation functions. Where PyTorch has `inplace`, it overwrites the input here too."""

from __future__ import annotations

import warnings
from typing import Any

from mydl.autograd.op import describe
from mydl.errors import DtypeError, ShapeError
from mydl.functions import softmax as softmaxes
from mydl.functions.arguments import Tensor, axis_of, require_floating, require_tensor
from mydl.functions.random import rand_like
from mydl.nn.functional.arguments import in_place
from mydl.ops import activation as ops
from mydl.ops.elementwise import Abs, Clamp, ReLU, Sigmoid, Softplus, Tanh, Where
from mydl.ops.shape import Reshape, Split

__all__ = [
    "celu", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "selu", "silu", "softmax", "softmin",
    "softplus", "softshrink", "softsign", "step", "tanhshrink", "threshold",
]  # fmt: skip


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0).

    >>> import mydl
    >>> relu(mydl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_() if inplace else ReLU.apply(input)


def relu_(input: Tensor) -> Tensor:
    """`relu` in place; returns the input itself.

    >>> import mydl
    >>> relu_(mydl.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return input.relu_()


def step(input: Tensor) -> Tensor:
    """1 where x >= 0, else 0 (Heaviside); its gradient is 0.

    >>> import mydl
    >>> step(mydl.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 1., 1.])
    """
    return ops.Step.apply(require_floating(input, "step"))


def _source(input: Any, inplace: bool) -> Any:
    """What an op that may overwrite `input` computes from."""
    return input._snapshot() if inplace else input


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope x (Maas et al., 2013).

    >>> import mydl
    >>> leaky_relu(mydl.tensor([-1.0, 2.0]), 0.5)
    tensor([-0.5000,  2.0000])
    """
    input = require_floating(input, "leaky_relu")
    return in_place(input, ops.LeakyReLU.apply(_source(input, inplace), slope=negative_slope), inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight x, with one weight or one for each channel, dimension 1 (He et al., 2015).

    >>> import mydl
    >>> prelu(mydl.tensor([[-1.0, 2.0]]), mydl.tensor([0.25]))
    tensor([[-0.2500,  2.0000]])
    """
    input = require_floating(input, "prelu")
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.numel() not in (1, channels):
        raise ShapeError(f"prelu: wanted one weight or {channels} for input {describe(input)}, got {describe(weight)}")
    if weight.dtype != input.dtype:
        raise DtypeError(f"prelu: wanted input and weight of one dtype, got {input.dtype} and {weight.dtype}")
    column = (-1, *(1,) * (input.ndim - 2)) if input.ndim > 1 else (1,) * input.ndim
    return ops.PReLU.apply(input, Reshape.apply(weight, shape=column))


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016).

    >>> import mydl
    >>> elu(mydl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    input = require_floating(input, "elu")
    return in_place(input, ops.ELU.apply(_source(input, inplace), alpha=alpha), inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (exp(x / alpha) - 1) (Barron, 2017).

    >>> import mydl
    >>> celu(mydl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0")
    input = require_floating(input, "celu")
    return in_place(input, ops.ELU.apply(_source(input, inplace) / alpha, alpha=1.0) * alpha, inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """1.0507 elu(x, 1.6733): mean 0 and variance 1 reproduce themselves (Klambauer et al., 2017).

    >>> import mydl
    >>> selu(mydl.tensor([1.0]))
    tensor([1.0507])
    """
    input = require_floating(input, "selu")
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return in_place(input, ops.ELU.apply(_source(input, inplace), alpha=alpha, scale=scale), inplace)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x P(x), P the normal cumulative distribution; approximate="tanh" takes its tanh formula.

    Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    >>> import mydl
    >>> gelu(mydl.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise ShapeError(f'gelu: wanted "none" or "tanh" as approximate, got {approximate!r}')
    return (ops.GELU if approximate == "none" else ops.GELUTanh).apply(require_floating(input, "gelu"))


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), also called swish (Elfwing, Uchibe and Doya, 2018).

    >>> import mydl
    >>> silu(mydl.tensor([1.0]))
    tensor([0.7311])
    """
    input = require_floating(input, "silu")
    return in_place(input, ops.SiLU.apply(_source(input, inplace)), inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)) (Misra, 2019).

    >>> import mydl
    >>> mish(mydl.tensor([1.0]))
    tensor([0.8651])
    """
    input = require_floating(input, "mish")
    x = _source(input, inplace)
    return in_place(input, x * Tanh.apply(Softplus.apply(x, beta=1.0, threshold=20.0)), inplace)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """ln(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    >>> import mydl
    >>> softplus(mydl.tensor([0.0]))
    tensor([0.6931])
    """
    return Softplus.apply(require_floating(input, "softplus"), beta=float(beta), threshold=float(threshold))


def logsigmoid(input: Tensor) -> Tensor:
    """ln sigmoid(x) = -softplus(-x), exact at both ends.

    >>> import mydl
    >>> logsigmoid(mydl.tensor([0.0]))
    tensor([-0.6931])
    """
    return -Softplus.apply(-require_floating(input, "logsigmoid"), beta=1.0, threshold=float("inf"))


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x held within [min_val, max_val].

    >>> import mydl
    >>> hardtanh(mydl.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is above max_val {max_val}")
    input = require_floating(input, "hardtanh")
    return in_place(input, ops.HardTanh.apply(_source(input, inplace), low=min_val, high=max_val), inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6).

    >>> import mydl
    >>> relu6(mydl.tensor([-1.0, 8.0]))
    tensor([0., 6.])
    """
    input = require_floating(input, "relu6")
    return in_place(input, ops.HardTanh.apply(_source(input, inplace), low=0.0, high=6.0), inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x + 3, 0), 6) / 6.

    >>> import mydl
    >>> hardsigmoid(mydl.tensor([0.0]))
    tensor([0.5000])
    """
    input = require_floating(input, "hardsigmoid")
    return in_place(input, ops.HardTanh.apply(_source(input, inplace) + 3, low=0.0, high=6.0) / 6, inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).

    >>> import mydl
    >>> hardswish(mydl.tensor([3.0]))
    tensor([3.])
    """
    input = require_floating(input, "hardswish")
    return in_place(input, ops.Hardswish.apply(_source(input, inplace)), inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value.

    >>> import mydl
    >>> threshold(mydl.tensor([-1.0, 2.0]), 0.0, 9.0)
    tensor([9., 2.])
    """
    input = require_tensor(input, "threshold")
    x = _source(input, inplace)
    return in_place(input, Where.apply(x.array <= threshold, x.xp.asarray(value, x.dtype), x), inplace)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0.

    >>> import mydl
    >>> hardshrink(mydl.tensor([-1.0, 0.2]))
    tensor([-1.,  0.])
    """
    input = require_floating(input, "hardshrink")
    return Where.apply(abs(input.array) <= lambd, input.xp.zeros((), input.dtype), input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved by lambd towards 0, and 0 where |x| <= lambd.

    >>> import mydl
    >>> softshrink(mydl.tensor([-1.0, 0.2]))
    tensor([-0.5000,  0.0000])
    """
    if lambd < 0:
        raise ValueError(f"softshrink: wanted lambd of at least 0, got {lambd}")
    input = require_floating(input, "softshrink")
    return input - Clamp.apply(input, low=-lambd, high=lambd)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x).

    >>> import mydl
    >>> tanhshrink(mydl.tensor([1.0]))
    tensor([0.2384])
    """
    input = require_floating(input, "tanhshrink")
    return input - Tanh.apply(input)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> import mydl
    >>> softsign(mydl.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    input = require_floating(input, "softsign")
    return input / (Abs.apply(input) + 1)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), a and b the two halves of the input along `dim` (Dauphin et al., 2017).

    >>> import mydl
    >>> glu(mydl.tensor([2.0, 0.0]))
    tensor([1.])
    """
    input = require_floating(input, "glu")
    if input.ndim == 0:
        raise ValueError("glu: wanted at least one dimension, got ()")
    axis = axis_of(dim, input.ndim, "glu")
    size = input.shape[axis]
    if size % 2:
        raise ShapeError(f"glu: wanted an even size along dim {dim}, got {describe(input)}")
    a, b = Split.apply(input, lengths=(size // 2, size // 2), axis=axis)
    return a * Sigmoid.apply(b)


def _dimension(input: Any, dim: int | None, name: str) -> int:
    """`dim`, or what PyTorch takes where it is not given, with its warning."""
    if dim is not None:
        return dim
    dim = 0 if input.ndim in (0, 1, 3) else 1
    warnings.warn(f"{name}: the dimension was not given and {dim} was taken; pass dim=", UserWarning, stacklevel=3)
    return dim


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(x) / Σ exp(x) along `dim`; `dtype` casts the input first.

    >>> import mydl
    >>> softmax(mydl.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return softmaxes.softmax(input, _dimension(input, dim, "softmax"), dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """x - ln Σ exp(x) along `dim`; `dtype` casts the input first.

    >>> import mydl
    >>> log_softmax(mydl.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return softmaxes.log_softmax(input, _dimension(input, dim, "log_softmax"), dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`softmax` of -x.

    >>> import mydl
    >>> softmin(mydl.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return softmaxes.softmax(-input, _dimension(input, dim, "softmin"), dtype)


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """softmax((x + g) / tau) with g drawn from Gumbel's distribution: a differentiable draw of a class.

    With `hard` the result is one-hot, and its gradient that of the soft one. `eps` changes nothing, as in PyTorch.
    Jang, Gu and Poole, "Categorical reparameterization with Gumbel-softmax", 2017.

    >>> import mydl
    >>> gumbel_softmax(mydl.zeros(2, 3), hard=True).sum(-1)
    tensor([1., 1.])
    """
    tiny = float(logits.xp.finfo(logits.dtype).tiny)
    noise = -(-rand_like(logits).clamp(min=tiny).log()).clamp(min=tiny).log()
    soft = softmaxes.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    fixed = soft.detach()
    one_hot = fixed.new_zeros(fixed.shape).scatter(dim, fixed.argmax(dim, keepdim=True), 1.0)
    return one_hot - fixed + soft
