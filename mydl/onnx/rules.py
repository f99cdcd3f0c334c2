"""What each operation is in ONNX: a node of the same meaning under another name (SAME), or a rule (RULES).

A rule gets the graph, the operation's inputs as tensors of the graph (None for one left out) and its options; it adds
nodes and returns the name of the output, or the names of several. The option `shape` is the output's shape, in which
an open size, one that depends on the batch, is a pair.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mydl.ops.activation import ELU, GELU, GELUTanh, Hardswish, HardTanh, LeakyReLU, PReLU, SiLU, Step
from mydl.ops.arithmetic import Add, Div, Maximum, Minimum, Mul, Neg, Pow, Sub
from mydl.ops.casting import Cast, Move
from mydl.ops.convolution import Conv2D, Conv2DInputGrad
from mydl.ops.elementwise import (
    Abs,
    Clamp,
    Clone,
    Erf,
    Exp,
    Log,
    Reciprocal,
    ReLU,
    Rsqrt,
    Sigmoid,
    Softplus,
    Sqrt,
    Stepwise,
    Tanh,
    Where,
)  # fmt: skip
from mydl.ops.indexing import Embedding, Gather, Slice, Take
from mydl.ops.linalg import Linear, MatMul
from mydl.ops.loss import LogSoftmax, Softmax
from mydl.ops.normalization import BatchNormEval, RootMeanSquare, Standardize
from mydl.ops.pooling import AvgPool2D, MaxPool2D
from mydl.ops.recurrent import GRUStep, LSTMStep
from mydl.ops.reduction import ArgReduce, Extremum, LogSumExp, Mean, Prod, Sum
from mydl.ops.shape import Concatenate, Expand, Pad, Permute, Reshape, Split, Stack, Unbind
from mydl.ops.trigonometry import Acos, Acosh, Asin, Asinh, Atan, Atanh, Cos, Cosh, Sin, Sinh, Tan

__all__ = ["RULES", "SAME"]

_END = 2**63 - 1  # ONNX's "to the end" of a slice


def _missing(what: str) -> NotImplementedError:
    return NotImplementedError(f"onnx.export: {what} has no translation")


def _fixed(sizes: tuple, what: str) -> tuple[int, ...]:
    """Sizes of which none is open."""
    if not all(isinstance(n, int) for n in sizes):
        raise _missing(f"{what} along a dimension that depends on the batch's size")
    return sizes


# Activations -------------------------------------------------------------------------------------------------


def _step(g: Any, x: Any) -> str:
    return g.node("Cast", g.node("GreaterOrEqual", x, g.constant(0, x.dtype)), to=g.type_of(x.dtype))


def _stepwise(g: Any, x: Any, *, function: str) -> str:
    kinds = {"floor": "Floor", "ceil": "Ceil", "rint": "Round", "sign": "Sign"}
    if function not in kinds:
        raise _missing(f"the operation Stepwise with {function}")
    return g.node(kinds[function], x)


def _clip(g: Any, x: Any, *, low: Any, high: Any) -> str:
    return g.node("Clip", x, *(None if bound is None else g.constant(bound, x.dtype) for bound in (low, high)))


def _softplus(g: Any, x: Any, *, beta: float, threshold: float) -> str:
    scaled = x if beta == 1 else g.node("Mul", x, g.constant(beta, x.dtype))
    y = g.node("Softplus", scaled)
    if beta != 1:
        y = g.node("Div", y, g.constant(beta, x.dtype))
    if threshold >= 20:  # beyond it softplus is x itself, to 2e-9
        return y
    return g.node("Where", g.node("Greater", scaled, g.constant(threshold, x.dtype)), x, y)


# Products and convolutions -----------------------------------------------------------------------------------


def _linear(g: Any, x: Any, w: Any, b: Any) -> str:
    if len(x.shape) == 2 and len(w.shape) == 2:
        return g.node("Gemm", x, w, *(() if b is None else (b,)), transB=1)
    y = g.node("MatMul", x, g.node("Transpose", w, perm=(1, 0)) if len(w.shape) == 2 else w)
    return y if b is None else g.node("Add", y, b)


def _conv(g: Any, x: Any, w: Any, b: Any, *, stride: tuple, padding: tuple, dilation: tuple, groups: int) -> str:
    window = {"strides": stride, "pads": padding * 2, "dilations": dilation, "group": groups}
    return g.node("Conv", x, w, *(() if b is None else (b,)), **window)


def _conv_transpose(
    g: Any, x: Any, w: Any, *, shape: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int
) -> str:
    given, wanted, kernel = x.shape[2:], _fixed(shape[2:], "Conv2DInputGrad"), w.shape[2:]
    more = [
        m - ((n - 1) * s - 2 * p + d * (k - 1) + 1)
        for m, n, s, p, d, k in zip(wanted, given, stride, padding, dilation, kernel)
    ]
    window = {"strides": stride, "pads": padding * 2, "dilations": dilation, "group": groups}
    return g.node("ConvTranspose", x, w, output_padding=more, **window)


# Pooling and normalisation -----------------------------------------------------------------------------------


def _after(x: Any, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool) -> tuple[int, ...]:
    """The padding behind each axis: with ceil_mode as much as the last window needs, if it starts inside."""
    ends = []
    for n, k, s, p, d in zip(_fixed(x.shape[2:], "pooling"), kernel, stride, padding, dilation):
        reach = d * (k - 1) + 1
        last = -(-(n + 2 * p - reach) // s) * s if ceil_mode else 0
        if last >= n + p:
            last -= s
        ends.append(max(p, last + reach - n - p))
    return tuple(ends)


def _max_pool(g: Any, x: Any, *, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool) -> str:
    pads = padding + _after(x, kernel, stride, padding, dilation, ceil_mode)
    return g.node("MaxPool", x, kernel_shape=kernel, strides=stride, pads=pads, dilations=dilation)


def _avg_pool(
    g: Any,
    x: Any,
    *,
    kernel: tuple,
    stride: tuple,
    padding: tuple,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> str:
    after = _after(x, kernel, stride, padding, (1, 1), ceil_mode)
    whole = count_include_pad or divisor_override is not None
    if whole and divisor_override is None and after != padding:
        raise _missing("AvgPool2D with ceil_mode, count_include_pad and windows that reach beyond the padding")
    window = {"kernel_shape": kernel, "strides": stride, "pads": padding + after, "count_include_pad": int(whole)}
    y = g.node("AveragePool", x, **window)
    if divisor_override is None:
        return y
    return g.node("Mul", y, g.constant(math.prod(kernel) / divisor_override, x.dtype))


def _batch_norm(g: Any, x: Any, weight: Any, bias: Any, *, mean: Any, var: Any, eps: float) -> str:
    weight = g.constant(np.ones_like(mean)) if weight is None else weight
    bias = g.constant(np.zeros_like(mean)) if bias is None else bias
    return g.node("BatchNormalization", x, weight, bias, g.constant(mean), g.constant(var), epsilon=eps)


def _standardize(g: Any, x: Any, *, axes: tuple, eps: float) -> str:
    places = sorted(axis % len(x.shape) for axis in axes)
    if places != list(range(places[0], len(x.shape))):
        raise _missing(f"Standardize over axes {axes} that are not the last ones")
    ones = np.ones(_fixed(x.shape[places[0] :], "Standardize"), x.dtype)
    return g.node("LayerNormalization", x, g.constant(ones), axis=places[0], epsilon=eps)


def _root_mean_square(g: Any, x: Any, *, axes: tuple, eps: float) -> str:
    mean = g.node("ReduceMean", g.node("Mul", x, x), g.ints(*axes), keepdims=1)
    return g.node("Div", x, g.node("Sqrt", g.node("Add", mean, g.constant(eps, x.dtype))))


# Reductions --------------------------------------------------------------------------------------------------


def _reduction(kind: str) -> Callable[..., str]:
    def rule(g: Any, x: Any, *, axis: Any = None, keepdims: bool = False) -> str:
        axes = () if axis is None else (g.ints(*(axis if isinstance(axis, tuple) else (axis,))),)
        return g.node(kind, x, *axes, keepdims=int(keepdims))

    return rule


def _extremum(g: Any, x: Any, *, largest: bool, axis: Any = None, keepdims: bool = False) -> str:
    return _reduction("ReduceMax" if largest else "ReduceMin")(g, x, axis=axis, keepdims=keepdims)


def _arg_reduce(g: Any, x: Any, *, largest: bool, axis: int, keepdims: bool = False) -> tuple[str, str]:
    values = _extremum(g, x, largest=largest, axis=axis, keepdims=keepdims)
    return values, g.node("ArgMax" if largest else "ArgMin", x, axis=axis, keepdims=int(keepdims))


# Shapes and indices ------------------------------------------------------------------------------------------


def _reshape(g: Any, x: Any, *, shape: tuple) -> str:
    sizes: list[Any] = list(shape)
    if sum(isinstance(n, tuple) for n in sizes) > 1:  # one may be -1; others are taken from the same place of x: 0
        for place, size in enumerate(sizes):
            if isinstance(size, tuple) and x.shape[place : place + 1] == (size,):
                sizes[place] = 0
    open_places = [place for place, size in enumerate(sizes) if isinstance(size, tuple)]
    if len(open_places) > 1 or 0 in shape:
        raise _missing("Reshape to a shape in which several sizes depend on the batch's size, or one is 0,")
    for place in open_places:
        sizes[place] = -1
    return g.node("Reshape", x, g.ints(*sizes))


def _expand(g: Any, x: Any, *, shape: tuple) -> str:
    sizes = []
    for place, size in enumerate(shape, len(x.shape) - len(shape)):
        if isinstance(size, int):
            sizes.append(size)
        elif place >= 0 and x.shape[place] == size:
            sizes.append(1)  # which leaves a size as it is
        else:
            raise _missing("Expand to a size that depends on the batch's size")
    return g.node("Expand", x, g.ints(*sizes))


def _stack(g: Any, *parts: Any, axis: int) -> str:
    return g.node("Concat", *(g.node("Unsqueeze", part, g.ints(axis)) for part in parts), axis=axis)


def _unbind(g: Any, x: Any, *, axis: int) -> tuple[str, ...]:
    (count,) = _fixed((x.shape[axis],), "Unbind")
    return tuple(g.node("Gather", x, g.constant(index, np.int64), axis=axis) for index in range(count))


def _pad(g: Any, x: Any, *, widths: tuple, value: float = 0.0) -> str:
    before, after = zip(*widths)
    return g.node("Pad", x, g.ints(*before, *after), g.constant(value, x.dtype))


def _slice(g: Any, x: Any, *, key: Any) -> str:
    parts = list(key) if isinstance(key, tuple) else [key]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    rest = [slice(None)] * (len(x.shape) - taken)
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    parts[at : at + 1] = rest
    cuts, gone, new = [], [], []  # (axis, start, end, step), axes of ints, places of None in the result
    axis = place = 0
    for part in parts:
        if part is None:
            new.append(place)
        elif isinstance(part, int):
            cuts.append((axis, part, part + 1 or _END, 1))
            gone.append(axis)
        elif part != slice(None):
            cuts.append((axis, part.start or 0, _END if part.stop is None else part.stop, part.step or 1))
        axis += part is not None
        place += not isinstance(part, int)
    y = x
    if cuts:
        axes, starts, ends, steps = (g.ints(*column) for column in zip(*cuts))
        y = g.node("Slice", y, starts, ends, axes, steps)
    if gone:
        y = g.node("Squeeze", y, g.ints(*gone))
    if new:
        y = g.node("Unsqueeze", y, g.ints(*new))
    return g.node("Identity", x) if y is x else y


def _take(g: Any, x: Any, *, key: tuple) -> str:
    places = [i for i, part in enumerate(key) if not (isinstance(part, slice) and part == slice(None))]
    if len(places) != 1 or not hasattr(key[places[0]], "dtype") or key[places[0]].dtype.kind not in "iu":
        raise _missing("Take with other than one tensor of integers as index")
    return g.node("Gather", x, g.constant(key[places[0]]), axis=places[0])


# Recurrent steps ---------------------------------------------------------------------------------------------


def _parts(g: Any, x: Any, count: int) -> tuple[str, ...]:
    (size,) = _fixed(x.shape[-1:], "a recurrent step")
    return g.node("Split", x, g.ints(*(size // count,) * count), outputs=count, axis=-1)


def _lstm_step(g: Any, a: Any, c: Any) -> tuple[str, str]:
    i, f, update, o = _parts(g, a, 4)
    i, f, o = (g.node("Sigmoid", gate) for gate in (i, f, o))
    cell = g.node("Add", g.node("Mul", f, c), g.node("Mul", i, g.node("Tanh", update)))
    return g.node("Mul", o, g.node("Tanh", cell)), cell


def _gru_step(g: Any, a: Any, b: Any, h: Any) -> str:
    (a_r, a_z, a_n), (b_r, b_z, b_n) = _parts(g, a, 3), _parts(g, b, 3)
    r, z = (g.node("Sigmoid", g.node("Add", *pair)) for pair in ((a_r, b_r), (a_z, b_z)))
    n = g.node("Tanh", g.node("Add", a_n, g.node("Mul", r, b_n)))
    return g.node("Add", n, g.node("Mul", z, g.node("Sub", h, n)))


SAME: dict[type, str] = {
    Abs: "Abs", Acos: "Acos", Acosh: "Acosh", Add: "Add", Asin: "Asin", Asinh: "Asinh", Atan: "Atan", Atanh: "Atanh",
    Clone: "Identity", Cos: "Cos", Cosh: "Cosh", Div: "Div", Erf: "Erf", Exp: "Exp", GELU: "Gelu",
    Hardswish: "HardSwish", Log: "Log", MatMul: "MatMul", Maximum: "Max", Minimum: "Min", Mul: "Mul", Neg: "Neg",
    PReLU: "PRelu", Pow: "Pow", ReLU: "Relu", Reciprocal: "Reciprocal", Sigmoid: "Sigmoid", Sin: "Sin", Sinh: "Sinh",
    Sqrt: "Sqrt", Sub: "Sub", Tan: "Tan", Tanh: "Tanh", Where: "Where",
}  # fmt: skip

RULES: dict[type, Callable[..., Any]] = {
    ArgReduce: _arg_reduce,
    AvgPool2D: _avg_pool,
    BatchNormEval: _batch_norm,
    Cast: lambda g, x, *, dtype: g.node("Cast", x, to=g.type_of(dtype)),
    Clamp: _clip,
    Concatenate: lambda g, *parts, axis: g.node("Concat", *parts, axis=axis),
    Conv2D: _conv,
    Conv2DInputGrad: _conv_transpose,
    ELU: lambda g, x, *, alpha, scale=1.0: g.node("Selu", x, alpha=alpha, gamma=scale),
    Embedding: lambda g, w, *, index, padding, by_frequency: g.node("Gather", w, g.constant(index), axis=0),
    Expand: _expand,
    Extremum: _extremum,
    GELUTanh: lambda g, x: g.node("Gelu", x, approximate="tanh"),
    GRUStep: _gru_step,
    Gather: lambda g, x, *, index, axis: g.node("GatherElements", x, g.constant(index), axis=axis),
    HardTanh: _clip,
    LSTMStep: _lstm_step,
    LeakyReLU: lambda g, x, *, slope: g.node("LeakyRelu", x, alpha=slope),
    Linear: _linear,
    LogSoftmax: lambda g, x, *, axis: g.node("LogSoftmax", x, axis=axis),
    LogSumExp: _reduction("ReduceLogSumExp"),
    MaxPool2D: _max_pool,
    Mean: _reduction("ReduceMean"),
    Move: lambda g, x, *, where: g.node("Identity", x),
    Pad: _pad,
    Permute: lambda g, x, *, axes: g.node("Transpose", x, perm=[axis % len(x.shape) for axis in axes]),
    Prod: _reduction("ReduceProd"),
    Reshape: _reshape,
    RootMeanSquare: _root_mean_square,
    Rsqrt: lambda g, x: g.node("Reciprocal", g.node("Sqrt", x)),
    SiLU: lambda g, x: g.node("Mul", x, g.node("Sigmoid", x)),
    Slice: _slice,
    Softmax: lambda g, x, *, axis: g.node("Softmax", x, axis=axis),
    Softplus: _softplus,
    Split: lambda g, x, *, lengths, axis: g.node("Split", x, g.ints(*lengths), outputs=len(lengths), axis=axis),
    Stack: _stack,
    Standardize: _standardize,
    Step: _step,
    Stepwise: _stepwise,
    Sum: _reduction("ReduceSum"),
    Take: _take,
    Unbind: _unbind,
}
