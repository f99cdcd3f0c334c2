"""Reading arguments as PyTorch does: dims, shapes, operands; one place for each error message."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.op import describe, tensor_of
from mydl.backend import is_array
from mydl.errors import DtypeError

__all__ = [
    "Number", "Size", "Tensor", "as_tensor_operand", "axes_of", "axis_of", "int_of", "integer_range", "keep_range",
    "note_range", "require_flag", "require_floating", "require_numbers", "require_operands", "require_tensor",
    "shape_of", "tensor_along",
]  # fmt: skip

# What signatures call a MyTensor: the functions stand below the class, whose methods they become.
Tensor: TypeAlias = Any
Number: TypeAlias = bool | int | float


class Size(tuple):
    """The shape of a tensor: a tuple of ints that can count its elements.

    >>> Size((2, 3)), Size((2, 3)).numel(), Size((2, 3, 4))[1:].numel()
    ((2, 3), 6, 12)
    """

    __slots__ = ()

    def numel(self) -> int:
        """The product of the sizes."""
        return math.prod(self)

    def __getitem__(self, key: Any) -> Any:
        found = tuple.__getitem__(self, key)
        return Size(found) if found.__class__ is tuple else found


def require_tensor(value: Any, name: str) -> Any:
    """`value`, if it is a tensor (an array becomes one); otherwise TypeError naming the function."""
    if isinstance(value, Variable):
        return value
    if is_array(value):
        return tensor_of(value)
    raise TypeError(f"{name}: wanted a tensor, got {type(value).__name__}")


def require_floating(value: Any, name: str) -> Any:
    """`value`, if it is a floating tensor (an array becomes one); else TypeError or DtypeError naming the function.

    >>> require_floating(np.ones(2), "elu").shape
    (2,)
    """
    if not isinstance(value, Variable):
        value = require_tensor(value, name)
    if value.array.dtype.kind not in "fc":
        raise DtypeError(f"{name}: wanted a floating tensor, got {describe(value)}; cast it with .float()")
    return value


def require_numbers(value: Any, name: str) -> Any:
    """`value`, if it is a tensor that is not boolean; otherwise an error naming the function."""
    value = require_tensor(value, name)
    if value.dtype == bool:
        raise RuntimeError(f"{name}: wanted numbers, got booleans; use .long() first")
    return value


def require_operands(input: Any, other: Any, name: str) -> None:
    """TypeError unless one of two operands is a tensor (or an array) and the other one, or a number."""
    kinds = [isinstance(value, Variable) or is_array(value) for value in (input, other)]
    for value, is_tensor in zip((input, other), kinds):
        if not is_tensor and (not any(kinds) or not isinstance(value, (bool, int, float, complex, np.generic))):
            raise TypeError(f"{name}: wanted tensors, or a tensor and a number, got {describe(value)}")


def as_tensor_operand(value: Any, like: Any) -> Any:
    """An operand as a tensor: a Python number becomes a 0-d tensor beside `like`."""
    if isinstance(value, Variable):
        return value
    xp = np if isinstance(like.array, np.ndarray) else like.xp
    return tensor_of(value if is_array(value) else xp.asarray(value))


def axis_of(dim: Any, ndim: int, name: str, keepdim: bool = False) -> int:
    """`dim` counted from the front; IndexError where the tensor has no such dimension.

    >>> axis_of(-1, 3, "sum")
    2
    """
    if keepdim is not False:
        require_flag(keepdim, f"{name}: keepdim (several dims go into a tuple)")
    if dim.__class__ is not int:
        dim = int_of(dim, f"{name}: dim")
    room = ndim or 1
    if not -room <= dim < room:
        raise IndexError(f"{name}: dim {dim} is out of range for {ndim} dimensions; wanted {-room} to {room - 1}")
    return dim % room


def tensor_along(value: Any, dim: Any, name: str, keepdim: bool = False) -> tuple[Any, int]:
    """`value` as a tensor, and the axis that `dim` means in it; errors as in `require_tensor` and `axis_of`."""
    tensor = require_tensor(value, name)
    return tensor, axis_of(dim, tensor.ndim, name, keepdim)


def require_flag(value: Any, what: str) -> None:
    """TypeError, saying what it is about, unless `value` is True or False."""
    if value is not True and value is not False:
        raise TypeError(f"{what}: wanted True or False, got {describe(value)}")


def int_of(value: Any, what: str) -> int:
    """What stands for an int, such as NumPy's or a tensor of one; TypeError otherwise, and for booleans.

    >>> int_of(np.int64(2), "select: index")
    2
    """
    try:
        if isinstance(value, bool) or getattr(value, "dtype", None) == np.bool_:
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: wanted an int, got {describe(value)}") from None


def axes_of(dim: Any, ndim: int, name: str, keepdim: bool = False) -> Any:
    """None (all), or a tuple of axes counted from the front, from an int or a sequence of ints; each once.

    >>> axes_of((-1, 0), 3, "sum"), axes_of(None, 3, "sum")
    ((2, 0), None)
    """
    if not isinstance(dim, Sequence) or isinstance(dim, str):
        axis = axis_of(0 if dim is None else dim, ndim, name, keepdim)
        return (axis,) if ndim and dim is not None else None
    axes = tuple(axis_of(d, ndim, name, keepdim) for d in dim)
    if len(set(axes)) != len(axes):
        raise RuntimeError(f"{name}: a dim appears twice in {tuple(dim)}")
    return axes if ndim and axes else None


def shape_of(sizes: tuple, name: str, named: dict | None = None, keyword: str = "", least: int | None = None) -> tuple:
    """Sizes or dims given as separate ints, as one sequence, or under PyTorch's name for them, each at least `least`.

    >>> shape_of((2, 3), "view"), shape_of(((2, 3),), "view"), shape_of((), "view", {"size": (2, 3)}, "size")
    ((2, 3), (2, 3), (2, 3))
    """
    if named:
        if sizes or set(named) != {keyword}:
            raise TypeError(f"{name}: unexpected keyword argument {next(k for k in named if sizes or k != keyword)!r}")
        sizes = (named[keyword],)
    if len(sizes) == 1 and isinstance(sizes[0], (Sequence, np.ndarray)):
        sizes = tuple(sizes[0])
    if any(isinstance(size, Variable) for size in sizes):
        sizes = tuple(size.item() if isinstance(size, Variable) else size for size in sizes)
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise TypeError(f"{name}: wanted ints as sizes, got {size!r}")
        if least is not None and size < least:
            raise RuntimeError(f"{name}: wanted sizes of {least} or more, got {sizes}")
    return tuple(int(size) for size in sizes)


def note_range(tensor: Any, source: Any) -> None:
    """Note what `source`, the array that a tensor on a GPU was copied from, says of its range; see `integer_range`."""
    if isinstance(source, np.ndarray) and source.dtype.kind in "iu" and source.size and tensor.array is not source:
        tensor._range = (tensor._version[0], int(source.min()), int(source.max()))


def keep_range(tensor: Any, source: Any) -> None:
    """Note of a tensor on a GPU that its elements are some of those of `source`, whose range may be known."""
    known = getattr(source, "_range", None)
    if known is not None and known[0] == source._version[0] and not isinstance(tensor.array, np.ndarray):
        tensor._range = (tensor._version[0], *known[1:])


def integer_range(tensor: Any) -> tuple[int, int]:
    """(smallest, largest) element of an integer tensor that is not empty.

    Indices on a GPU must be checked, because CuPy lets those out of range wrap round, and looking at them would make
    the host wait for the GPU. So the range of integers is noted when they are copied there, and holds until the
    tensor is changed in place. Otherwise this waits.

    >>> import mydl
    >>> integer_range(mydl.tensor([3, 1, 4]))
    (1, 4)
    """
    known = tensor._range
    if known is not None and known[0] == tensor._version[0]:
        return known[1:]
    return int(tensor.array.min()), int(tensor.array.max())
