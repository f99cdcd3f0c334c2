"""Questions about tensors and dtypes: is_tensor, is_floating_point, result_type, numel, finfo."""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.functions.conversion import as_dtype
from mydl.ops.casting import result_dtype
from mydl.tensor import MyTensor
from mydl.views import category

__all__ = [
    "can_cast", "finfo", "iinfo", "is_complex", "is_floating_point", "is_tensor", "numel", "promote_types",
    "result_type",
]  # fmt: skip

finfo = np.finfo
iinfo = np.iinfo


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor.

    >>> is_tensor(MyTensor([1.0])), is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, MyTensor)


def is_floating_point(input: MyTensor) -> bool:
    """Whether the elements are floats.

    >>> is_floating_point(MyTensor([1.0]))
    True
    """
    return input.is_floating_point()


def numel(input: MyTensor) -> int:
    """The number of elements.

    >>> numel(MyTensor([1.0, 2.0]))
    2
    """
    return input.numel()


def result_type(tensor1: Any, tensor2: Any) -> np.dtype:
    """The dtype of an operation on two tensors or numbers.

    >>> result_type(MyTensor([1, 2]), 1.5)
    dtype('float32')
    """
    return result_dtype(tensor1, tensor2)


def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The dtype of an operation on tensors of these two dtypes.

    >>> promote_types(np.int64, np.float16)
    dtype('float16')
    """
    return result_dtype(np.empty(1, as_dtype(type1)), np.empty(1, as_dtype(type2)))


def can_cast(from_: Any, to: Any) -> bool:
    """Whether an in-place operation may store results of one dtype in another: not floats in integers, for one.

    >>> can_cast(np.float32, np.float16), can_cast(np.float32, np.int64)
    (True, False)
    """
    return category(np.dtype(from_)) <= category(np.dtype(to))


def is_complex(input: MyTensor) -> bool:
    """Whether the elements are complex numbers.

    >>> is_complex(MyTensor([1.0]))
    False
    """
    return input.is_complex()
