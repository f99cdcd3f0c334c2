"""How a tensor prints: numbers as PyTorch shows them, and beside them what else there is to know of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.backend import get_default_dtype, to_host

__all__ = ["set_printoptions", "text_of"]

_options: dict[str, Any] = {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80, "sci_mode": None}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors print from now on: digits, the size above which they are shortened, what is then left at each end,
    the width of a line, and exponents always, never or (None) where they help. None leaves the others as they are.

    `profile` starts from "default", "short" (2 digits, 2 items at each end) or "full" (nothing is shortened).

    >>> import mydl
    >>> mydl.set_printoptions(precision=2)
    >>> mydl.tensor([3.14159])
    tensor([3.14])
    >>> mydl.set_printoptions(profile="default")
    """
    if profile is not None:
        if profile not in ("default", "short", "full"):
            raise ValueError(f'set_printoptions: wanted "default", "short" or "full" as profile, got {profile!r}')
        digits, ends = (2, 2) if profile == "short" else (4, 3)
        limit = float("inf") if profile == "full" else 1000
        _options.update(precision=digits, threshold=limit, edgeitems=ends, linewidth=80)
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    _options.update({name: value for name, value in given.items() if value is not None}, sci_mode=sci_mode)


def text_of(tensor: Any) -> str:
    """The `repr` of a tensor, long ones shortened.

    >>> import mydl
    >>> text_of(mydl.tensor([1, 2], dtype=mydl.int32))
    'tensor([1, 2], dtype=int32)'
    """
    array = to_host(tensor.array)
    options = {name: _options[name] for name in ("precision", "edgeitems")}
    options["threshold"] = min(_options["threshold"], sys.maxsize)
    options["max_line_width"] = _options["linewidth"] - 1 + array.ndim  # PyTorch counts no closing brackets
    shown = _shown(array)
    if array.dtype.kind == "f":
        options["formatter"] = {"float_kind": _float_format(shown)}
    elif array.dtype.kind == "b":
        width = max((len(str(x)) for x in shown.flat), default=0)
        options["formatter"] = {"bool": lambda x: str(x).rjust(width)}
    text = np.array2string(array, separator=", ", prefix="tensor(", **options).replace(", ..., ", ",  ..., ")
    notes = []
    if array.size == 0 and array.ndim > 1:
        notes.append(f"size={array.shape}")
    usual = (np.dtype(np.int64), np.dtype(bool)) if array.size else ()
    if array.dtype not in (get_default_dtype(), *usual):
        notes.append(f"dtype={array.dtype}")
    if tensor.device.type != "cpu":
        notes.append(f"device='{tensor.device}'")
    node = tensor.grad_fn
    if node is not None:
        notes.append("grad_fn=<AccumulateGrad>" if isinstance(node, Variable) else f"grad_fn={node!r}")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return f"tensor({', '.join([text, *notes])})"


def _shown(array: np.ndarray) -> np.ndarray:
    """The elements that are printed: all, or those at the ends of a long tensor."""
    if array.size <= _options["threshold"]:
        return array
    ends = _options["edgeitems"]
    return array[np.ix_(*(np.r_[:ends, n - ends : n] if n > 2 * ends else np.arange(n) for n in array.shape))]


def _float_format(array: np.ndarray) -> Callable[[Any], str]:
    """How each element is printed: `1.` where all are whole, with decimals, or with an exponent for wide ranges."""
    precision = _options["precision"]
    finite = array[np.isfinite(array)].astype(np.float64)
    magnitudes = np.abs(finite[finite != 0])
    whole = bool((finite == np.round(finite)).all())
    wide = magnitudes.size > 0 and _options["sci_mode"]
    if wide is None:
        wide = magnitudes.max() / magnitudes.min() > 1e3 or magnitudes.max() > 1e8 or magnitudes.min() < 1e-4

    def plain(x: Any) -> str:
        if not np.isfinite(x):
            return str(float(x))
        return f"{x:.{precision}e}" if wide else f"{x:.0f}." if whole else f"{x:.{precision}f}"

    width = max((len(plain(x)) for x in finite[finite != 0]), default=0)  # as in PyTorch, of these alone
    return lambda x: plain(x).rjust(width)
