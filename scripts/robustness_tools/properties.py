"""Random programs and random layers: against NumPy forward, against central differences backward, against algebra."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

import mydl
from mydl.nn import functional as F
from scripts.robustness_tools.tally import Effort, Tally

__all__ = ["LAWS", "chains", "laws"]

SIZES = (0, 1, 1, 2, 3, 5)
DTYPES = ("float16", "float32", "float64")
TOLERANCE = {"float16": 2e-2, "float32": 2e-4, "float64": 1e-9}

# Each on tensors and on arrays: what mydl computes, what NumPy computes. The functions are smooth where they are
# used, so that central differences mean something.
UNARY: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (mydl.tanh, np.tanh),
    "sin": (mydl.sin, np.sin),
    "sigmoid": (mydl.sigmoid, lambda x: 1 / (1 + np.exp(-x))),
    "exp of tanh": (lambda x: mydl.exp(mydl.tanh(x)), lambda x: np.exp(np.tanh(x))),
    "log of 1 + square": (lambda x: mydl.log(x * x + 1), lambda x: np.log(x * x + 1)),
    "root": (lambda x: mydl.sqrt(x * x + 1), lambda x: np.sqrt(x * x + 1)),
    "negative": (lambda x: -x, lambda x: -x),
    "half": (lambda x: x / 2, lambda x: x / 2),
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (y * y + 1),
}
REDUCTIONS = ("sum", "mean")


def chains(effort: Effort) -> Tally:
    """Programs of up to six steps on tensors of up to four dimensions, in three dtypes.

    Forward they must give what NumPy gives, backward (in float64) what central differences give.
    """
    tally = Tally("properties", "random chains of operations, slices and broadcasts")
    for number, random in effort:
        tally.tried += 1
        try:
            fault = _chain(random)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        if fault:
            tally.lose(f"seed {effort.seed}, input {number}: {fault}")
    return tally


def _chain(random: Random) -> str | None:
    dtype = random.choice(DTYPES)
    shape = tuple(random.choice(SIZES) for _ in range(random.randrange(5)))
    start = _array(random, shape).astype(dtype)
    other = _array(random, _broadcastable(random, shape)).astype(dtype)
    steps = _program(random, start)

    def run(x: Any, y: Any, on_tensors: bool) -> Any:
        for _, with_tensors, with_arrays in steps:
            x = (with_tensors if on_tensors else with_arrays)(x, y)
        return x

    names = f"{' > '.join(name for name, _, _ in steps)} on {shape} and {other.shape} {dtype}"
    with np.errstate(all="ignore"):
        wanted = run(start.astype(np.float64), other.astype(np.float64), False)
    x, y = (mydl.tensor(array, requires_grad=True) for array in (start, other))
    result = run(x, y, True)
    if result.shape != wanted.shape or result.dtype != np.dtype(dtype):
        return f"{names}: gave {result.shape} {result.dtype}, wanted {wanted.shape} {dtype}"
    if not np.allclose(result.detach().numpy(), wanted, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]):
        return f"{names}: the values differ by {np.abs(result.detach().numpy() - wanted).max()}"
    if dtype != "float64" or not result.numel():
        return None
    weight = _array(random, wanted.shape)
    (result * mydl.tensor(weight)).sum().backward()
    for place, (leaf, array) in enumerate(((x, start), (y, other))):
        given = [start, other]

        def loss(array: np.ndarray, place: int = place, given: list = given) -> float:
            inputs = [array if number == place else each for number, each in enumerate(given)]
            return float((run(*inputs, False) * weight).sum())

        wanted = _differences(loss, array)
        found = np.zeros(array.shape) if leaf.grad is None else leaf.grad.numpy()
        if not np.allclose(found, wanted, rtol=1e-5, atol=1e-6):
            return f"{names}: the gradient of input {place} differs by {np.abs(found - wanted).max()}"
    return None


def _program(random: Random, x: np.ndarray) -> list[tuple[str, Any, Any]]:
    """Steps that can be taken from `x` on; each a name, a function of tensors and one of arrays."""
    steps: list[tuple[str, Any, Any]] = []
    for _ in range(random.randrange(1, 7)):
        kind = random.choice(("unary", "binary", "reduce", "slice", "transpose", "reshape", "join", "expand"))
        if kind == "unary":
            name = random.choice(list(UNARY))
            ours, numpys = UNARY[name]
            step = (name, lambda x, y, f=ours: f(x), lambda x, y, f=numpys: f(x))
        elif kind == "binary":
            name = random.choice(list(BINARY))
            function = BINARY[name]
            # After a slice the second tensor may no longer fit: its mean does.
            if random.random() < 0.5 or _fits(x, steps):
                step = (
                    name,
                    lambda x, y, f=function: f(x, y.sum() * 0.1),
                    lambda x, y, f=function: f(x, y.sum() * 0.1),
                )
            else:
                step = (name, lambda x, y, f=function: f(x, y), lambda x, y, f=function: f(x, y))
        elif kind == "reduce" and x.ndim:
            axis, keep, name = random.randrange(x.ndim), random.random() < 0.5, random.choice(REDUCTIONS)
            if name == "mean" and not x.shape[axis]:
                continue
            step = (
                f"{name} over {axis}",
                lambda x, y, f=name, a=axis, k=keep: getattr(x, f)(a, keepdim=k),
                lambda x, y, f=name, a=axis, k=keep: getattr(x, f)(a, keepdims=k),
            )
        elif kind == "slice" and x.ndim:
            key = _key(random, x.shape)
            step = (f"[{key}]", lambda x, y, k=key: x[k], lambda x, y, k=key: x[k])
        elif kind == "transpose" and x.ndim > 1:
            a, b = random.sample(range(x.ndim), 2)
            step = ("transpose", lambda x, y, a=a, b=b: x.transpose(a, b), lambda x, y, a=a, b=b: np.swapaxes(x, a, b))
        elif kind == "reshape":
            step = ("reshape", lambda x, y: x.reshape(x.numel()), lambda x, y: x.reshape(x.size))
        elif kind == "join" and x.ndim:
            axis = random.randrange(x.ndim)
            step = (f"cat along {axis}", lambda x, y, a=axis: mydl.cat([x, x * 2], a),
                    lambda x, y, a=axis: np.concatenate([x, x * 2], a))  # fmt: skip
        elif kind == "expand" and x.ndim < 4:
            step = (
                "expand",
                lambda x, y: x.unsqueeze(0).expand(3, *x.shape),
                lambda x, y: np.broadcast_to(x, (3, *x.shape)),
            )
        else:
            continue
        with np.errstate(all="ignore"):
            after = step[2](x, np.zeros(x.shape))
        if after.size > 500:
            continue
        x = after
        steps.append(step)
    return steps


def _fits(x: np.ndarray, steps: list) -> bool:
    """Whether a step has been taken that may have changed the shape."""
    return any(name.split()[0] not in (*UNARY, *BINARY, "exp", "log") for name, _, _ in steps)


def _key(random: Random, shape: tuple[int, ...]) -> tuple:
    """Slices, and integers or one list beside them: with both, NumPy and PyTorch put the dimensions elsewhere."""
    slices = [slice(None), slice(None, None, 2), slice(1, None), slice(-2, None), slice(0, 0), slice(None, -1)]
    key: list[Any] = [random.choice(slices) for _ in shape]
    places = [place for place, size in enumerate(shape) if size]
    if places and random.random() < 0.4:
        place = random.choice(places)
        key[place] = [random.randrange(-shape[place], shape[place]) for _ in range(3)]
    else:
        for place in places:
            if random.random() < 0.3:
                key[place] = random.randrange(-shape[place], shape[place])
    return tuple(key)


def _array(random: Random, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(random.getrandbits(63)).uniform(-1.5, 1.5, shape)


def _broadcastable(random: Random, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts with `shape` to that."""
    sizes = [size if random.random() < 0.6 else 1 for size in shape]
    return tuple(sizes[random.randrange(len(sizes) + 1) :])


def _differences(function: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The gradient by central differences."""
    found = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.copy()
        moved[place] = x[place] + step
        up = function(moved)
        moved[place] = x[place] - step
        found[place] = (up - function(moved)) / (2 * step)
    return found


# Algebra ------------------------------------------------------------------------------------------------------


def _tensor(random: Random, *shape: int) -> Any:
    return mydl.tensor(_array(random, shape))


def _geometry(random: Random) -> tuple[Any, Any, dict[str, Any]]:
    """An image, a kernel and the options of a convolution that suit one another."""
    groups = random.choice((1, 1, 1, 2))
    inputs, outputs = groups * random.choice((1, 2, 3)), groups * random.choice((1, 2))
    kernel = [random.choice((1, 2, 3)) for _ in range(2)]
    choices = {"stride": (1, 2, 3), "padding": (0, 1, 2), "dilation": (1, 1, 2), "groups": (groups,)}
    options = {name: random.choice(values) for name, values in choices.items()}
    sides = [options["dilation"] * (k - 1) + random.randrange(1, 7) for k in kernel]
    x = _tensor(random, random.choice((1, 2, 3)), inputs, *sides)
    return x, _tensor(random, outputs, inputs // groups, *kernel), options


def _conv_is_linear(random: Random) -> tuple[Any, Any]:
    x, w, options = _geometry(random)
    y, a, b = _tensor(random, *x.shape), random.uniform(-2, 2), random.uniform(-2, 2)
    both = a * F.conv2d(x, w, **options) + b * F.conv2d(y, w, **options)
    return F.conv2d(a * x + b * y, w, **options), both


def _conv_gradient_is_transpose(random: Random) -> tuple[Any, Any]:
    """<conv(x), g> = <x, conv_transpose(g)>, and the gradient that backward gives is that."""
    x, w, options = _geometry(random)
    x.requires_grad_()
    y = F.conv2d(x, w, **options)
    g = _tensor(random, *y.shape)
    y.backward(g)
    # The last rows and columns of the image that the kernel does not reach are the output padding.
    stride, padding = options["stride"], options["padding"]
    reach = [
        (side - 1) * stride - 2 * padding + options["dilation"] * (k - 1) + 1
        for side, k in zip(y.shape[2:], w.shape[2:])
    ]
    more = [side - size for side, size in zip(x.shape[2:], reach)]
    if max(more) >= max(stride, options["dilation"]) or min(more) < 0:
        return x.grad, x.grad  # PyTorch's transpose cannot make this size
    return x.grad, F.conv_transpose2d(g, w, output_padding=tuple(more), **options)


def _split_sums(random: Random) -> tuple[Any, Any]:
    x = _tensor(random, random.randrange(1, 12), random.randrange(1, 5))
    parts = x.split(random.randrange(1, 5))
    return x.sum(0), sum(part.sum(0) for part in parts)


def _norm_ignores_shift_and_scale(random: Random) -> tuple[Any, Any]:
    """Batch norm of a x + b is batch norm of x, for a > 0, up to its epsilon."""
    x = _tensor(random, random.randrange(4, 9), 3, random.choice((2, 5)))
    scale, shift = random.uniform(0.5, 4), random.uniform(-3, 3)
    plain, moved = (F.batch_norm(each, None, None, training=True, eps=1e-12) for each in (x, x * scale + shift))
    return moved, plain


def _softmax_ignores_shift(random: Random) -> tuple[Any, Any]:
    x = _tensor(random, 3, random.randrange(1, 9))
    return F.softmax(x + random.uniform(-50, 50), 1), F.softmax(x, 1)


def _cross_entropy_is_log_softmax(random: Random) -> tuple[Any, Any]:
    classes = random.randrange(1, 7)
    x, t = _tensor(random, 4, classes), [random.randrange(classes) for _ in range(4)]
    wanted = -sum(F.log_softmax(x, 1)[row, t[row]] for row in range(4)) / 4
    return F.cross_entropy(x, mydl.tensor(t)), wanted


def _products_of_blocks(random: Random) -> tuple[Any, Any]:
    n, k, m = (random.randrange(1, 20) for _ in range(3))
    a, b = _tensor(random, n, k), _tensor(random, k, m)
    cut = random.randrange(k + 1)
    return a @ b, a[:, :cut] @ b[:cut] + a[:, cut:] @ b[cut:]


def _pool_is_a_convolution(random: Random) -> tuple[Any, Any]:
    size, stride = random.choice((1, 2, 3)), random.choice((1, 2, 3))
    x = _tensor(random, 2, 1, size + random.randrange(5), size + random.randrange(5))
    kernel = mydl.full((1, 1, size, size), 1 / size**2, dtype=mydl.float64)
    return F.avg_pool2d(x, size, stride), F.conv2d(x, kernel, stride=stride)


def _gradients_add_up(random: Random) -> tuple[Any, Any]:
    """The gradient of a batch is the sum of its samples' gradients."""
    w, x = _tensor(random, 3, 4).requires_grad_(), _tensor(random, random.randrange(1, 6), 4)

    def loss(x: Any) -> Any:
        return F.linear(x, w).tanh().square().sum()

    (whole,) = mydl.autograd.grad(loss(x), w)
    return whole, sum(mydl.autograd.grad(loss(row.unsqueeze(0)), w)[0] for row in x)


def _the_same_seed_the_same_bits(random: Random) -> tuple[Any, Any]:
    seed = random.getrandbits(64)

    def drawn() -> Any:
        mydl.manual_seed(seed)
        layer = mydl.nn.Linear(5, 4)
        return F.dropout(layer(mydl.rand(3, 5)) + mydl.randn(3, 4), 0.5).detach()

    first, second = drawn(), drawn()
    if first.numpy().tobytes() != second.numpy().tobytes():
        raise ValueError("the same seed gave other bits")
    return first, second


def _threads_change_no_bit(random: Random) -> tuple[Any, Any]:
    """Convolutions and their gradients, elementwise functions and random numbers, with one thread and with two."""
    x, w, options = _geometry(random)
    seed, threads = random.getrandbits(60), mydl.get_num_threads()

    def computed() -> Any:
        mydl.manual_seed(seed)
        a, b = (each.detach().float().requires_grad_() for each in (x, w))
        y = F.dropout(F.relu(F.conv2d(a, b, **options)), 0.3)
        y.sum().backward()
        return mydl.cat([part.detach().flatten() for part in (y, a.grad, b.grad)])

    try:
        results = []
        for count in (1, 2):
            mydl.set_num_threads(count)
            results.append(computed())
    finally:
        mydl.set_num_threads(threads)
    if results[0].numpy().tobytes() != results[1].numpy().tobytes():
        raise ValueError(f"other bits with another number of threads: {x.shape}, {w.shape}, {options}")
    return results[0], results[1]


LAWS: dict[str, Callable[[Random], tuple[Any, Any]]] = {
    "the sum of a split is the sum of the whole": _split_sums,
    "a convolution is linear": _conv_is_linear,
    "a convolution's gradient is its transpose": _conv_gradient_is_transpose,
    "batch norm ignores shift and scale": _norm_ignores_shift_and_scale,
    "softmax ignores a shift": _softmax_ignores_shift,
    "cross entropy is log softmax": _cross_entropy_is_log_softmax,
    "a product is the sum of its blocks'": _products_of_blocks,
    "average pooling is a convolution": _pool_is_a_convolution,
    "gradients add up": _gradients_add_up,
    "the same seed gives the same bits": _the_same_seed_the_same_bits,
    "threads change no bit": _threads_change_no_bit,
}


def laws(effort: Effort) -> Tally:
    """Each law in turn, on random sizes and numbers."""
    tally = Tally("properties", "laws of algebra, seeds and threads")
    names = list(LAWS)
    for number, random in effort:
        name = names[number % len(names)]
        tally.tried += 1
        try:
            found, wanted = (each.detach().numpy() for each in LAWS[name](random))
            if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-7, atol=1e-8):
                tally.lose(f"{name}: seed {effort.seed}, input {number}")
        except Exception as error:
            tally.lose(f"{name}: seed {effort.seed}, input {number}: {type(error).__name__}: {error}")
    return tally
