"""How a tensor prints: numbers as PyTorch shows them, and beside them what else there is to know of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.backend import get_default_dtype, to_host

__all__ = ["text_of"]


def text_of(tensor: Any) -> str:
    """The `repr` of a tensor, long ones shortened.

    >>> import mydl
    >>> text_of(mydl.tensor([1, 2], dtype=mydl.int32))
    'tensor([1, 2], dtype=int32)'
    """
    array = to_host(tensor.array)
    options: dict[str, Any] = {"precision": 4, "threshold": 1000, "edgeitems": 3}
    if array.dtype.kind == "f":
        options["formatter"] = {"float_kind": _float_format(array)}
    text = np.array2string(array, separator=", ", prefix="tensor(", **options)
    notes = []
    if array.size == 0 and array.ndim > 1:
        notes.append(f"size={array.shape}")
    if array.dtype not in (get_default_dtype(), np.dtype(np.int64), np.dtype(bool)):
        notes.append(f"dtype={array.dtype}")
    if tensor.device.type != "cpu":
        notes.append(f"device='{tensor.device}'")
    node = tensor.grad_fn
    if node is not None:
        notes.append("grad_fn=<AccumulateGrad>" if isinstance(node, Variable) else f"grad_fn={node!r}")
    elif tensor.requires_grad:
        notes.append("requires_grad=True")
    return f"tensor({', '.join([text, *notes])})"


def _float_format(array: np.ndarray) -> Callable[[Any], str]:
    """How each element is printed: `1.` where all are whole, four decimals, or an exponent for wide ranges."""
    finite = array[np.isfinite(array)].astype(np.float64)
    magnitudes = np.abs(finite[finite != 0])
    whole = bool((finite == np.round(finite)).all())
    wide = magnitudes.size > 0 and (
        magnitudes.max() >= 1e8
        or (not whole and (magnitudes.max() / magnitudes.min() > 1e3 or magnitudes.min() < 1e-4))
    )

    def plain(x: Any) -> str:
        if not np.isfinite(x):
            return str(float(x))
        return f"{x:.4e}" if wide else f"{x:.0f}." if whole else f"{x:.4f}"

    width = max((len(plain(x)) for x in array.flat), default=0) if array.size <= 1000 else 0
    return lambda x: plain(x).rjust(width)
