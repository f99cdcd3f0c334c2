"""Numeric against analytic derivatives: gradcheck for the first, gradgradcheck for the second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.gradients import grad
from mydl.autograd.modes import enable_grad, no_grad
from mydl.autograd.op import describe, tensor_of
from mydl.backend import philox, to_host

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """Analytic and numeric derivatives differ."""


def _outputs(result: Any) -> list:
    """The outputs that have a gradient."""
    values = result if isinstance(result, (tuple, list)) else (result,)
    return [v for v in values if isinstance(v, Variable) and v.dtype.kind == "f"]


def _numeric(func: Callable[..., Any], inputs: tuple, source: Any, eps: float) -> list[np.ndarray]:
    """For each output the central differences (f(x + eps) - f(x - eps)) / (2 eps), (elements of x, elements of f)."""
    rows: list[list] = []
    values = source.array
    for place in np.ndindex(values.shape):
        before = float(values[place])
        ends = []
        for step in (eps, -eps):
            values[place] = before + step
            with no_grad():
                ends.append([to_host(y.array).astype(np.float64, copy=True).ravel() for y in _outputs(func(*inputs))])
        values[place] = before
        rows.append([(up - down) / (2 * eps) for up, down in zip(*ends)])
    return [np.array(column) for column in zip(*rows)]


def _analytic(output: Any, source: Any) -> np.ndarray:
    """The Jacobian of one output by backward, (elements of x, elements of f)."""
    columns = np.zeros((source.array.size, output.array.size))
    if not output.requires_grad:
        return columns
    for column, place in enumerate(np.ndindex(output.shape)):
        start = output.xp.zeros_like(output.array)
        start[place] = 1
        (found,) = grad(output, source, tensor_of(start), retain_graph=True, allow_unused=True)
        if found is not None:
            columns[:, column] = to_host(found.array).ravel()
    return columns


@enable_grad()
def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether backward of `func` agrees with central differences, |analytic - numeric| <= atol + rtol |numeric|.

    Every float64 input that requires a gradient is changed element by element, so keep them small. A difference
    raises GradcheckError, which says where it is, or gives False with raise_exception=False. ValueError for an
    input that requires a gradient in less than float64.

    >>> import mydl
    >>> gradcheck(mydl.tanh, mydl.rand(3, dtype=mydl.float64, requires_grad=True))
    True
    """
    inputs = tuple(inputs) if isinstance(inputs, Sequence) else (inputs,)
    sources = [(i, x) for i, x in enumerate(inputs) if isinstance(x, Variable) and x.requires_grad]
    if not sources:
        raise ValueError("gradcheck: wanted at least one input that requires a gradient")
    for i, x in sources:
        if x.dtype != np.float64:
            raise ValueError(f"gradcheck: wanted float64 inputs, input {i} is {describe(x)}")
    outputs = _outputs(func(*inputs))
    if not outputs:
        raise ValueError("gradcheck: func gave no floating tensor")
    for i, source in sources:
        numeric = _numeric(func, inputs, source, eps)
        for j, output in enumerate(outputs):
            analytic = _analytic(output, source)
            expected = numeric[j] if numeric else np.zeros(analytic.shape)
            wrong = ~(np.abs(analytic - expected) <= atol + rtol * np.abs(expected))
            if not wrong.any():
                continue
            if not raise_exception:
                return False
            row, column = (int(k) for k in np.argwhere(wrong)[0])
            raise GradcheckError(
                f"gradcheck: d output {j}{_place(output, column)} / d input {i}{_place(source, row)}: analytic "
                f"{analytic[row, column]:.9g}, numeric {expected[row, column]:.9g}; "
                f"{int(wrong.sum())} of {wrong.size} differ"
            )
    return True


def _place(tensor: Any, flat: int) -> str:
    """An element's indices, as one writes them."""
    indices = np.unravel_index(flat, tensor.shape) if tensor.shape else ()
    return f"[{', '.join(str(int(k)) for k in indices)}]" if indices else ""


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the second derivatives of `func` agree with central differences of its first ones, as `gradcheck`.

    The first derivatives are those of a weighted sum of the outputs, weights `grad_outputs`, random if left out.

    >>> import mydl
    >>> gradgradcheck(mydl.tanh, mydl.rand(3, dtype=mydl.float64, requires_grad=True))
    True
    """
    inputs = tuple(inputs) if isinstance(inputs, Sequence) else (inputs,)
    outputs = [y for y in _outputs(func(*inputs)) if y.requires_grad]
    if grad_outputs is None:
        source = philox(0)
        weights = [tensor_of(y.xp.asarray(source.standard_normal(y.shape))).requires_grad_() for y in outputs]
    else:
        weights = list(grad_outputs) if isinstance(grad_outputs, Sequence) else [grad_outputs]

    def first(*arguments: Any) -> tuple:
        leaves, given = arguments[: len(inputs)], arguments[len(inputs) :]
        wanted = [x for x in leaves if isinstance(x, Variable) and x.requires_grad]
        with enable_grad():
            values = [y for y in _outputs(func(*leaves)) if y.requires_grad]
            found = grad(values, wanted, list(given), create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(first, (*inputs, *weights), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
