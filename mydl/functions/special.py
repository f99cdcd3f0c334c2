"""Elementary functions put together from others: erfc, logit, logaddexp, xlogy, sinc, hypot, copysign, heaviside, …"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.modes import mode
from mydl.autograd.op import tensor_of
from mydl.backend import get_default_dtype, on_device, to_host
from mydl.functions.arguments import Number, Tensor, require_floating, require_operands, require_tensor
from mydl.functions.arithmetic import mul, pow
from mydl.functions.elementwise import abs as absolute
from mydl.functions.elementwise import clamp, log, sign, where
from mydl.functions.joining import stack
from mydl.functions.reduction import logsumexp
from mydl.functions.shape import broadcast_tensors
from mydl.functions.trigonometry import sin
from mydl.ops.arithmetic import Hypot
from mydl.ops.casting import Cast, result_dtype, to_floating
from mydl.ops.elementwise import Erf

__all__ = [
    "copysign", "deg2rad", "erfc", "erfinv", "float_power", "fmax", "fmin", "heaviside", "hypot", "logaddexp", "logit",
    "positive", "rad2deg", "sgn", "sinc", "xlogy",
]  # fmt: skip


def erfc(input: Tensor) -> Tensor:
    """1 - erf(input), exact also where erf(input) is nearly 1.

    >>> import mydl
    >>> erfc(mydl.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """
    return Erf.apply(require_tensor(input, "erfc"), complement=True)


def erfinv(input: Tensor) -> Tensor:
    """The inverse of `erf`, without a gradient; infinite at -1 and 1, NaN beyond.

    >>> import mydl
    >>> erfinv(mydl.erf(mydl.tensor([0.5])))
    tensor([0.5000])
    """
    input = require_tensor(input, "erfinv")
    input = input if input.dtype.kind == "f" else input.to(get_default_dtype())
    if mode.grad and input.requires_grad:
        raise NotImplementedError("erfinv: a gradient is not supported; use .detach()")
    from statistics import NormalDist  # here, since it takes as long to import as the rest of this package's functions

    array, quantile_of = to_host(input.array).astype(np.float64), NormalDist().inv_cdf
    y = np.full(array.shape, np.nan)
    np.copysign(np.inf, array, out=y, where=np.abs(array) == 1)
    # a quantile of the normal distribution, by symmetry from the side where 1 - |x| keeps its digits
    for found in np.argwhere(np.abs(array) < 1):
        place = tuple(found)
        y[place] = math.copysign(quantile_of((1 - abs(array[place])) / 2) * math.sqrt(0.5), array[place])
    return tensor_of(on_device(y.astype(input.dtype), input.device))


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """ln(p / (1 - p)), the inverse of sigmoid; with `eps`, of the input held within [eps, 1 - eps].

    >>> import mydl
    >>> logit(mydl.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    (p,) = to_floating((require_tensor(input, "logit"),))
    p = p if eps is None else clamp(p, eps, 1 - eps)
    return log(p / (1 - p))


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """ln(exp(input) + exp(other)), without overflow.

    >>> import mydl
    >>> logaddexp(mydl.tensor([0.0]), mydl.tensor([1000.0]))
    tensor([1000.])
    """
    dtype = result_dtype(input, other)
    pair = stack([x.to(dtype) for x in broadcast_tensors(input, other)])
    return logsumexp(require_floating(pair, "logaddexp"), 0)


def xlogy(input: Tensor | Number, other: Tensor | Number) -> Tensor:
    """input ln(other), and 0 where input is 0 and other at most 0.

    >>> import mydl
    >>> xlogy(mydl.tensor([0.0, 2.0]), mydl.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    x, y = _operands(input, other, "xlogy")
    zero = (x == 0) & ((y <= 0) | (y == math.inf))
    return where(zero, 0.0, x * log(where(zero, 1.0, y)))


def _operands(x: Tensor | Number, y: Tensor | Number, name: str) -> list[Tensor]:
    """Two operands, at least one of them a tensor, as tensors of the floating dtype of their result."""
    require_operands(x, y, name)
    like: Any = x if isinstance(x, Variable) else y
    dtype = result_dtype(x, y)
    dtype = dtype if dtype.kind == "f" else get_default_dtype()
    return [v.to(dtype) if isinstance(v, Variable) else tensor_of(like.xp.asarray(v, dtype=dtype)) for v in (x, y)]


def sinc(input: Tensor) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0.

    >>> import mydl
    >>> sinc(mydl.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    zero = require_tensor(input, "sinc") == 0
    angle = where(zero, 1.0, input * math.pi)
    return where(zero, 1.0, sin(angle) / angle)


def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians.

    >>> import mydl
    >>> deg2rad(mydl.tensor([180.0]))
    tensor([3.1416])
    """
    return mul(input, math.pi / 180)


def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees.

    >>> import mydl
    >>> rad2deg(mydl.tensor([math.pi]))
    tensor([180.])
    """
    return mul(input, 180 / math.pi)


def hypot(input: Tensor, other: Tensor) -> Tensor:
    """sqrt(input**2 + other**2), also where a square would be beyond the dtype.

    >>> import mydl
    >>> hypot(mydl.tensor([3.0]), mydl.tensor([4.0]))
    tensor([5.])
    """
    return Hypot.apply(require_tensor(input, "hypot"), require_tensor(other, "hypot"))


def copysign(input: Tensor, other: Tensor | Number) -> Tensor:
    """The size of input with the sign of other, that of zeros included.

    >>> import mydl
    >>> copysign(mydl.tensor([1.0, -2.0]), mydl.tensor([-0.0, 3.0]))
    tensor([-1.,  2.])
    """
    input, other = _operands(input, other, "copysign")
    return absolute(input) * tensor_of(input.xp.copysign(input.xp.ones_like(other.array), other.array))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input is negative, 1 where it is positive, `values` where it is 0.

    >>> import mydl
    >>> heaviside(mydl.tensor([-1.0, 0.0, 2.0]), mydl.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    input, values = require_tensor(input, "heaviside"), require_tensor(values, "heaviside")
    if input.dtype != values.dtype:
        raise RuntimeError(f"heaviside: wanted one dtype, got {input.dtype} and {values.dtype}")
    return where(input == 0, values, tensor_of((input.array > 0).astype(input.dtype))).detach()


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of each pair; where one of them is NaN, the other.

    >>> import mydl
    >>> fmax(mydl.tensor([1.0, float("nan")]), mydl.tensor([0.0, 2.0]))
    tensor([1., 2.])
    """
    input, other = require_tensor(input, "fmax"), require_tensor(other, "fmax")
    return where((input >= other) | (other != other), input, other)


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of each pair; where one of them is NaN, the other.

    >>> import mydl
    >>> fmin(mydl.tensor([1.0, float("nan")]), mydl.tensor([0.0, 2.0]))
    tensor([0., 2.])
    """
    input, other = require_tensor(input, "fmin"), require_tensor(other, "fmin")
    return where((input <= other) | (other != other), input, other)


def float_power(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """input ** exponent in float64.

    >>> import mydl
    >>> float_power(mydl.tensor([2, 3]), 2)
    tensor([4., 9.], dtype=float64)
    """
    wide = (Cast.apply(v, dtype=np.dtype(np.float64)) if isinstance(v, Variable) else v for v in (input, exponent))
    return pow(*wide)


def positive(input: Tensor) -> Tensor:
    """The tensor itself, which must not be boolean.

    >>> import mydl
    >>> positive(mydl.tensor([-1.0]))
    tensor([-1.])
    """
    if require_tensor(input, "positive").dtype == bool:
        raise RuntimeError("positive: wanted numbers, got booleans")
    return input


sgn = sign
