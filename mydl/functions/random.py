"""Random tensors. Each call is one draw of the default generator, or of the one given as `generator`.

Numbers are drawn on the host and then moved, so that a seed gives the same ones on every device.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import describe, tensor_of
from mydl.backend import Generator, default_generator, get_default_dtype, on_device, to_host
from mydl.functions.arguments import Tensor, require_floating, require_tensor, shape_of
from mydl.functions.conversion import as_dtype, check_memory_format

__all__ = [
    "bernoulli", "get_rng_state", "initial_seed", "multinomial", "normal", "poisson", "rand", "rand_like", "randint",
    "randint_like", "randn", "randn_like", "randperm", "seed", "set_rng_state",
]  # fmt: skip


def _source(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).next()


def _finished(array: np.ndarray, dtype: Any, device: Any, requires_grad: bool) -> Any:
    array = array.astype(dtype, copy=False)
    tensor = tensor_of(array if device is None else on_device(array, device))
    return tensor.requires_grad_() if requires_grad else tensor


def _uniform(source: np.random.Generator, shape: tuple, dtype: Any) -> np.ndarray:
    """Uniform numbers in [0, 1), drawn in double precision for float64 and single for the rest."""
    wide = np.float64 if dtype == np.float64 else np.float32
    numbers = source.random(shape, dtype=wide).astype(dtype, copy=False)
    if dtype == np.float16:  # rounding may reach 1
        numbers[numbers == 1] = np.nextafter(np.float16(1), np.float16(0))
    return numbers


def _normal(source: np.random.Generator, shape: tuple, dtype: Any) -> np.ndarray:
    wide = np.float64 if dtype == np.float64 else np.float32
    return source.standard_normal(shape, dtype=wide).astype(dtype, copy=False)


def _floating(dtype: Any, name: str) -> np.dtype:
    dtype = get_default_dtype() if dtype is None else as_dtype(dtype)
    if dtype.kind != "f":
        raise RuntimeError(f"{name}: wanted a floating dtype, got {dtype}")
    return dtype


def rand(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **named: Any,
) -> Tensor:  # fmt: skip
    """Uniform numbers in [0, 1).

    >>> rand(2, 3).shape
    (2, 3)
    """
    dtype = _floating(dtype, "rand")
    draws = _uniform(_source(generator), shape_of(size, "rand", named, "size", 0), dtype)
    return _finished(draws, dtype, device, requires_grad)


def randn(
    *size: Any, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, **named: Any,
) -> Tensor:  # fmt: skip
    """Normal numbers of mean 0 and deviation 1.

    >>> randn(2, 3).shape
    (2, 3)
    """
    dtype = _floating(dtype, "randn")
    draws = _normal(_source(generator), shape_of(size, "randn", named, "size", 0), dtype)
    return _finished(draws, dtype, device, requires_grad)


def randint(
    low: int = 0, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = np.int64,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Whole numbers from low up to but not including high: randint(high, size), from 0, or randint(low, high, size).

    >>> bool((randint(3, 5, (100,)) >= 3).all())
    True
    """
    if size is None:
        low, high, size = (0, low, high)
    if high is None or size is None:
        raise TypeError("randint: wanted randint(high, size) or randint(low, high, size)")
    dtype = as_dtype(dtype) or np.dtype(np.int64)
    _check_bounds(low, high, dtype, "randint")
    numbers = _source(generator).integers(low, high, shape_of((size,), "randint", least=0), dtype=np.int64)
    return _finished(numbers, dtype, device, requires_grad)


def randperm(
    n: int, *, generator: Generator | None = None, dtype: Any = np.int64, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The numbers 0 to n - 1 in random order.

    >>> sorted(randperm(4).tolist())
    [0, 1, 2, 3]
    """
    if n < 0:
        raise RuntimeError(f"randperm: wanted 0 or more, got {n}")
    return _finished(_source(generator).permutation(n), as_dtype(dtype) or np.int64, device, requires_grad)


def rand_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, memory_format: str | None = None,
) -> Tensor:  # fmt: skip
    """`rand` of the shape, dtype and device of `input`.

    >>> import mydl
    >>> rand_like(mydl.zeros(2)).shape
    (2,)
    """
    check_memory_format(memory_format, "rand_like")
    options: dict[str, Any] = {"dtype": dtype or input.dtype, "device": device or input.device}
    return rand(input.shape, generator=generator, requires_grad=requires_grad, **options)


def randn_like(
    input: Tensor, *, generator: Generator | None = None, dtype: Any = None, device: Any = None,
    requires_grad: bool = False, memory_format: str | None = None,
) -> Tensor:  # fmt: skip
    """`randn` of the shape, dtype and device of `input`.

    >>> import mydl
    >>> randn_like(mydl.zeros(2)).shape
    (2,)
    """
    check_memory_format(memory_format, "randn_like")
    options: dict[str, Any] = {"dtype": dtype or input.dtype, "device": device or input.device}
    return randn(input.shape, generator=generator, requires_grad=requires_grad, **options)


def randint_like(
    input: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`randint` of the shape, dtype and device of `input`: randint_like(input, high) or randint_like(input, low, high).

    >>> import mydl
    >>> randint_like(mydl.zeros(2), 5).shape
    (2,)
    """
    low, high = (0, low) if high is None else (low, high)
    options: dict[str, Any] = {"dtype": dtype or input.dtype, "device": device or input.device}
    return randint(low, high, input.shape, generator=generator, requires_grad=requires_grad, **options)


def normal(
    mean: Tensor | float, std: Tensor | float = 1.0, size: Any = None, *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Normal numbers of the given means and deviations, tensors or numbers; `size` where both are numbers.

    >>> normal(0.0, 1.0, (2, 3)).shape
    (2, 3)
    """
    if bool((std.array < 0).any() if isinstance(std, Variable) else std < 0):
        raise RuntimeError(f"normal: wanted deviations of 0 or more, got {describe(std)}")
    if size is not None:
        draws = randn(size, generator=generator, dtype=dtype, device=device) * std + mean
        return draws.requires_grad_(requires_grad)
    shaped = [value for value in (mean, std) if isinstance(value, Variable)]
    if not shaped:
        raise TypeError("normal: wanted a tensor as mean or std, or size")
    shape = np.broadcast_shapes(*(value.shape for value in shaped))
    like = shaped[0]
    draws = _normal(_source(generator), shape, like.dtype)
    return (tensor_of(on_device(draws, like.device)) * std + mean).detach()


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with probability `input` (or p), else 0, element by element.

    >>> import mydl
    >>> bernoulli(mydl.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    input = require_tensor(input, "bernoulli")
    chance = to_host(require_floating(input, "bernoulli").array) if p is None else np.full(input.shape, p)
    return tensor_of(on_device(_coins(chance, input.shape, input.dtype, generator), input.device))


def _coins(chance: Any, shape: tuple, dtype: Any, generator: Generator | None) -> np.ndarray:
    if bool(((chance < 0) | (chance > 1)).any()):
        raise RuntimeError("bernoulli: wanted probabilities from 0 to 1")
    return np.asarray(_source(generator).random(shape) < chance, dtype=dtype)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn with the (unnormalised) probabilities of each row of `input`, (n,) or (rows, n).

    >>> import mydl
    >>> multinomial(mydl.tensor([0.0, 1.0]), 1)
    tensor([1])
    """
    weights = to_host(require_floating(input, "multinomial").array).astype(np.float64)
    rows = np.atleast_2d(weights)
    if weights.ndim not in (1, 2) or num_samples < 1:
        raise RuntimeError(f"multinomial: wanted 1 or 2 dimensions and a sample, got {describe(input)}, {num_samples}")
    if not np.isfinite(rows).all() or (rows < 0).any() or (rows.sum(1) == 0).any():
        raise RuntimeError("multinomial: wanted finite weights of 0 or more, not all 0 in a row")
    if not replacement and ((rows > 0).sum(1) < num_samples).any():
        raise RuntimeError(f"multinomial: cannot draw {num_samples} different indices from fewer nonzero weights")
    source = _source(generator)
    if replacement:
        sums = rows.cumsum(1)
        draws = source.random((len(rows), num_samples)) * sums[:, -1:]
        index = np.stack([np.searchsorted(s, d, side="right") for s, d in zip(sums, draws)])
    else:
        # The smallest of exponential draws of rates w fall like draws without replacement (Efraimidis, Spirakis, 2006).
        with np.errstate(divide="ignore"):
            times = source.standard_exponential(rows.shape) / rows
        index = np.argsort(times, axis=1, kind="stable")[:, :num_samples]
    index = index.astype(np.int64)
    return tensor_of(on_device(index if weights.ndim == 2 else index[0], input.device))


def _filled(self: Any, draws: np.ndarray) -> Any:
    """The tensor with drawn numbers in its memory."""
    return self._become(tensor_of(on_device(draws, self.device)))


def normal_(self: Tensor, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers; returns the tensor itself.

    >>> import mydl
    >>> mydl.empty(2).normal_(mean=3, std=0)
    tensor([3., 3.])
    """
    if std < 0:
        raise RuntimeError(f"normal_: wanted a deviation of 0 or more, got {std}")
    dtype = _floating(self.dtype, "normal_")
    return _filled(self, _normal(_source(generator), self.shape, dtype) * dtype.type(std) + dtype.type(mean))


def uniform_(
    self: Tensor, from_: float = 0, to: float = 1, *, generator: Generator | None = None, **kwargs: float
) -> Tensor:
    """Fill with uniform numbers from [from, to); returns the tensor itself.

    >>> import mydl
    >>> bool((mydl.empty(100).uniform_(2, 3) >= 2).all())
    True
    """
    from_ = kwargs.pop("from", from_)  # PyTorch's name, which is no name in Python
    if kwargs:
        raise TypeError(f"uniform_: unknown argument {next(iter(kwargs))!r}")
    if from_ > to:
        raise RuntimeError(f"uniform_: wanted from <= to, got {from_} and {to}")
    dtype = _floating(self.dtype, "uniform_")
    return _filled(self, _uniform(_source(generator), self.shape, dtype) * dtype.type(to - from_) + dtype.type(from_))


def bernoulli_(self: Tensor, p: Tensor | float = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Fill with 1, with probability p, and 0; returns the tensor itself.

    >>> import mydl
    >>> mydl.empty(2).bernoulli_(1.0)
    tensor([1., 1.])
    """
    chance = to_host(p.array) if isinstance(p, Variable) else np.asarray(p)
    return _filled(self, _coins(chance, self.shape, self.dtype, generator))


def exponential_(self: Tensor, lambd: float = 1, *, generator: Generator | None = None) -> Tensor:
    """Fill with exponential numbers of rate lambd; returns the tensor itself.

    >>> import mydl
    >>> bool((mydl.empty(100).exponential_() >= 0).all())
    True
    """
    if not lambd > 0:
        raise RuntimeError(f"exponential_: wanted a rate above 0, got {lambd}")
    dtype = _floating(self.dtype, "exponential_")
    return _filled(self, (_source(generator).standard_exponential(self.shape) / lambd).astype(dtype))


def random_(
    self: Tensor, from_: int | None = None, to: int | None = None, *, generator: Generator | None = None
) -> Tensor:
    """Fill with whole numbers: random_(to) from [0, to), random_(from, to); returns the tensor itself.

    >>> import mydl
    >>> mydl.empty(2).random_(3, 4)
    tensor([3., 3.])
    """
    if to is None:
        kind, bits = self.dtype.kind, 8 * self.dtype.itemsize
        digits = np.finfo(self.dtype).nmant + 1 if kind == "f" else {"b": 1, "u": bits, "i": bits - 1}[kind]
        from_, to = 0, 2 ** min(digits, 63) if from_ is None else from_
    low = from_ or 0
    _check_bounds(low, to, self.dtype, "random_")
    return _filled(self, _source(generator).integers(low, to, self.shape).astype(self.dtype))


def _check_bounds(low: int, high: int, dtype: np.dtype, name: str) -> None:
    """An error where no whole number is at least low and below high, or the dtype has not all of them."""
    if low >= high:
        raise RuntimeError(f"{name}: wanted low < high, got {low} and {high}")
    if dtype.kind in "biu":
        least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if low < least or high - 1 > most:
            raise RuntimeError(f"{name}: wanted numbers from {least} to {most} for {dtype}, got {low} to {high - 1}")


def log_normal_(self: Tensor, mean: float = 1, std: float = 2, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers whose logarithms are normal; returns the tensor itself.

    >>> import mydl
    >>> bool((mydl.empty(100).log_normal_() > 0).all())
    True
    """
    dtype = _floating(self.dtype, "log_normal_")
    if std <= 0:
        raise RuntimeError(f"log_normal_: wanted a deviation above 0, got {std}")
    return _filled(self, np.exp(_normal(_source(generator), self.shape, np.float64) * std + mean).astype(dtype))


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Whole numbers of Poisson distributions whose rates are the elements of `input`.

    >>> import mydl
    >>> poisson(mydl.zeros(2))
    tensor([0., 0.])
    """
    rates = to_host(require_floating(input, "poisson").array)
    if (rates < 0).any():
        raise RuntimeError("poisson: wanted rates of 0 or more")
    return tensor_of(on_device(_source(generator).poisson(rates).astype(input.dtype), input.device))


def initial_seed() -> int:
    """The seed of the default generator.

    >>> import mydl
    >>> _ = mydl.manual_seed(3)
    >>> initial_seed()
    3
    """
    return default_generator.initial_seed()


def seed() -> int:
    """Seed the default generator with a number that the operating system draws; returns it.

    >>> seed() == initial_seed()
    True
    """
    return default_generator.manual_seed(int.from_bytes(os.urandom(8), "little") >> 1).initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator as a tensor of two numbers, its seed and how many draws it has made.

    >>> state = get_rng_state()
    >>> first = rand(2)
    >>> set_rng_state(state)
    >>> bool((rand(2) == first).all())
    True
    """
    number, draws = default_generator.get_state()
    return tensor_of(np.array([(number + 2**63) % 2**64 - 2**63, draws], np.int64))


def set_rng_state(new_state: Tensor) -> None:
    """Go back to a state that `get_rng_state` gave; see there."""
    number, draws = to_host(new_state.array).tolist()
    default_generator.set_state((number, draws))
