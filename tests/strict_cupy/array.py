"""The stand-in's array: device memory that is really the host's, and the conversions between it and NumPy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.strict_cupy.ledger import LEDGER
from tests.strict_cupy.recording import computed
from tests.strict_cupy.runtime import Device, current_device

__all__ = ["API", "MemoryPointer", "ndarray", "read_key", "unwrapped", "wrapped"]

API = json.loads((Path(__file__).parent / "api.json").read_text())


class Flags:
    """What CuPy's flags tell; there is no `writeable`."""

    def __init__(self, array: np.ndarray) -> None:
        self.c_contiguous = array.flags.c_contiguous
        self.f_contiguous = array.flags.f_contiguous
        self.owndata = array.base is None


class MemoryPointer:
    """A place in device memory, in bytes; `pointer + n` is n bytes further on."""

    def __init__(self, memory: np.ndarray, offset: int = 0) -> None:
        self.memory = memory
        self.offset = offset

    @property
    def ptr(self) -> int:
        """The address."""
        return self.memory.ctypes.data + self.offset

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.memory, self.offset + offset)

    def slice_of(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """The memory from here on as an array."""
        octets = self.memory.reshape(-1).view(np.uint8)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return octets[self.offset : self.offset + size].view(dtype).reshape(shape)


class ndarray:
    """An array on the device. What it computes is NumPy's; what it refuses is CuPy's."""

    __slots__ = ("__weakref__", "_array", "base", "device")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> None:
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        dtype = np.dtype(dtype)
        self._array = np.empty(shape, dtype, order) if memptr is None else memptr.slice_of(shape, dtype)
        if strides is not None:
            self._array = np.lib.stride_tricks.as_strided(self._array, shape, strides)
        self.base = None
        self.device = Device(current_device())

    # What it is

    shape = property(lambda self: self._array.shape, lambda self, shape: setattr(self._array, "shape", shape))
    dtype = property(lambda self: self._array.dtype)
    ndim = property(lambda self: self._array.ndim)
    size = property(lambda self: self._array.size)
    strides = property(lambda self: self._array.strides)
    itemsize = property(lambda self: self._array.itemsize)
    nbytes = property(lambda self: self._array.nbytes)
    flags = property(lambda self: Flags(self._array))
    data = property(lambda self: MemoryPointer(self._array))
    T = property(lambda self: wrapped(self._array.T, (self,)))
    mT = property(lambda self: wrapped(self._array.mT, (self,)))
    real = property(lambda self: wrapped(self._array.real, (self,)))
    imag = property(lambda self: wrapped(self._array.imag, (self,)))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {"shape": self.shape, "typestr": self.dtype.str, "data": (self.data.ptr, False), "version": 3}

    def __len__(self) -> int:
        return len(self._array)

    # Leaving the device

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        """A copy on the host."""
        LEDGER.download(self.shape)
        if out is not None:
            out[...] = self._array
            return out
        return self._array.copy(order)

    def item(self) -> Any:
        """Its one element as a Python number."""
        LEDGER.synchronise("item()")
        return self._array.item()

    def tolist(self) -> Any:
        """Its elements as nested lists."""
        LEDGER.download(self.shape)
        return self._array.tolist()

    def tobytes(self, order: str = "C") -> bytes:
        """Its elements' bytes."""
        LEDGER.download(self.shape)
        return self._array.tobytes(order)

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        """Take a host array's elements."""
        LEDGER.upload(arr.shape)
        self._array[...] = arr

    def nonzero(self) -> tuple[ndarray, ...]:
        """Where it is not 0; how many places that are, the host must know."""
        LEDGER.synchronise("nonzero()")
        return wrapped(self._array.nonzero())

    def __bool__(self) -> bool:
        LEDGER.synchronise("bool()")
        return bool(self._array)

    def __int__(self) -> int:
        LEDGER.synchronise("int()")
        return int(self._array)

    def __float__(self) -> float:
        LEDGER.synchronise("float()")
        return float(self._array)

    def __complex__(self) -> complex:
        LEDGER.synchronise("complex()")
        return complex(self._array)

    def __repr__(self) -> str:
        LEDGER.download(self.shape)
        return repr(self._array)

    def __str__(self) -> str:
        LEDGER.download(self.shape)
        return str(self._array)

    def __format__(self, spec: str) -> str:
        LEDGER.download(self.shape)
        return format(self._array, spec)

    # NumPy's functions called on it

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        import cupy

        if method != "__call__" or not hasattr(cupy, ufunc.__name__):
            return NotImplemented
        out = options.pop("out", None)
        if out is not None:
            options["out"] = out[0]
        return getattr(cupy, ufunc.__name__)(*inputs, **options)

    def __array_function__(self, function: Callable, types: Any, args: tuple, kwargs: dict) -> Any:
        import cupy

        module: Any = cupy
        for name in function.__module__.split(".")[1:]:
            module = getattr(module, name, None)
        if not hasattr(module, function.__name__):
            return NotImplemented
        return getattr(module, function.__name__)(*args, **kwargs)

    # Elements

    def __getitem__(self, key: Any) -> ndarray:
        def taken() -> Any:
            read = read_key(key, self.shape)
            part = self._array[read]
            if isinstance(part, np.generic) and read is key:  # a[1, 0] is a view here, not a number
                part = self._array[(*key, ...) if isinstance(key, tuple) else (key, ...)]
            return part

        return wrapped(computed(taken, self._array), (self,))

    def __setitem__(self, key: Any, value: Any) -> None:
        value = unwrapped(value)
        computed(lambda: self._array.__setitem__(read_key(key, self.shape), value), self._array)

    def __iter__(self) -> Any:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def take(self, indices: Any, axis: int | None = None, out: Any = None) -> ndarray:
        """Elements along an axis; indices out of range wrap."""
        indices, out = unwrapped((indices, out))
        return wrapped(computed(lambda: self._array.take(indices, axis, out, mode="wrap"), out))

    def fill(self, value: Any) -> None:
        """Set every element to one value, a number or a 0-d array."""
        value = unwrapped(value)
        computed(lambda: self._array.fill(value), self._array)

    def __copy__(self) -> ndarray:
        return wrapped(computed(self._array.copy))

    def __deepcopy__(self, memo: dict) -> ndarray:
        return self.__copy__()


ndarray.__module__ = "cupy"


def unwrapped(value: Any) -> Any:
    """The memory of device arrays, also those in tuples and lists; host arrays are refused."""
    if isinstance(value, ndarray):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}: a host array of shape {value.shape} among device arrays")
    if isinstance(value, (tuple, list)):
        return type(value)(unwrapped(part) for part in value)
    return value


def wrapped(result: Any, sources: tuple = ()) -> Any:
    """A NumPy result as device arrays; a view of a source remembers it as its base. Scalars become 0-d arrays."""
    if isinstance(result, (tuple, list)):
        return (
            type(result)(wrapped(part, sources) for part in result)
            if type(result) in (tuple, list)
            else tuple(wrapped(part, sources) for part in result)
        )
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    for source in sources:
        if isinstance(source, ndarray) and source._array is result:
            return source
    made = ndarray.__new__(ndarray)
    made._array = np.asarray(result)
    if not made._array.size:
        made._array = made._array.copy()  # NumPy's may be read-only
    made.base = None
    made.device = Device(current_device())
    if isinstance(result, np.ndarray) and result.base is not None:
        for source in sources:
            if isinstance(source, ndarray) and np.may_share_memory(source._array, result):
                made.base = source if source.base is None else source.base
                if source._array.flags.writeable and not result.flags.writeable:
                    made._array.flags.writeable = True  # no view is read-only here, not even a broadcast one
                break
    return made


def read_key(key: Any, shape: tuple[int, ...]) -> Any:
    """A key for NumPy: index arrays wrapped into range, masks counted as waits."""
    parts = key if isinstance(key, tuple) else (key,)
    if not any(isinstance(part, (ndarray, np.ndarray, list)) for part in parts):
        return key
    taken = sum(0 if part is None or part is Ellipsis else part.ndim if _is_mask(part) else 1 for part in parts)
    read, axis = [], 0
    for part in parts:
        if part is Ellipsis:
            axis += len(shape) - taken
        elif _is_mask(part):
            LEDGER.synchronise("a boolean mask")
            axis += part.ndim
        elif isinstance(part, (ndarray, list)):
            array = np.asarray(unwrapped(part))
            if isinstance(part, list):
                LEDGER.upload(array.shape)
            read.append(array % shape[axis] if shape[axis] else array)
            axis += 1
            continue
        else:
            axis += part is not None
        read.append(unwrapped(part))
    return tuple(read)


def _is_mask(part: Any) -> bool:
    return isinstance(part, ndarray) and part.dtype == bool


def _method(name: str, parameters: list[str]) -> Callable:
    """An array method with CuPy's parameters, computed by NumPy's."""
    any_number = any(p.startswith("*") for p in parameters)
    numpys = getattr(np.ndarray, name)

    def method(self: ndarray, *args: Any, **options: Any) -> Any:
        unknown = [option for option in options if option not in parameters]
        if unknown or (len(args) > len(parameters) and not any_number):
            raise TypeError(f"cupy.ndarray.{name}({', '.join(parameters)}): got {len(args)} by position and {unknown}")
        out = options.get("out")
        args, options = unwrapped(args), {key: unwrapped(value) for key, value in options.items()}
        if name == "repeat" and isinstance(args[0], np.ndarray):
            LEDGER.synchronise("repeat by an array")
        if name == "dot":
            LEDGER.library("cuBLAS")
        return wrapped(computed(lambda: numpys(self._array, *args, **options), self._array, args, options), (self, out))

    method.__name__ = name
    return method


_SKIPPED = {
    "dump",
    "dumps",
    "mdspan",
    "reduced_view",
    "scatter_add",
    "scatter_max",
    "scatter_min",
    "toDlpack",
    "tofile",
    "ptp",
}
for _name, _parameters in API["methods"].items():
    if _name not in _SKIPPED and not hasattr(ndarray, _name):
        setattr(ndarray, _name, _method(_name, _parameters))


def _operator(name: str, in_place: bool) -> Callable:
    numpys = getattr(np.ndarray, name)

    def operator(self: ndarray, *others: Any) -> Any:
        for other in others:
            if isinstance(other, np.ndarray):
                raise TypeError(
                    f"Unsupported type {type(other)}: a host array of shape {other.shape} with a device array"
                )
            if not isinstance(other, (ndarray, np.generic, int, float, complex)):
                return NotImplemented
        if name in ("__matmul__", "__rmatmul__"):
            LEDGER.library("cuBLAS")
        others = unwrapped(others)
        result = computed(lambda: numpys(self._array, *others), self._array, others)
        if result is NotImplemented:
            return result
        return self if in_place else wrapped(result, (self,))

    operator.__name__ = name
    return operator


_OPERATORS = [
    "abs",
    "add",
    "and",
    "divmod",
    "eq",
    "floordiv",
    "ge",
    "gt",
    "iadd",
    "iand",
    "ifloordiv",
    "ilshift",
    "imod",
    "imul",
    "invert",
    "ior",
    "ipow",
    "irshift",
    "isub",
    "itruediv",
    "ixor",
    "le",
    "lshift",
    "lt",
    "matmul",
    "mod",
    "mul",
    "ne",
    "neg",
    "or",
    "pos",
    "pow",
    "radd",
    "rand",
    "rdivmod",
    "rfloordiv",
    "rlshift",
    "rmatmul",
    "rmod",
    "rmul",
    "ror",
    "rpow",
    "rrshift",
    "rshift",
    "rsub",
    "rtruediv",
    "rxor",
    "sub",
    "truediv",
    "xor",
]
for _name in _OPERATORS:
    _in_place = _name.startswith("i") and _name != "invert"
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__", _in_place))
