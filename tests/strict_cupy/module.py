"""The stand-in's module `cupy`: NumPy's functions under CuPy's names, with CuPy's parameters and refusals."""

from __future__ import annotations

import contextlib
import functools
import importlib.machinery
import math
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.strict_cupy import runtime
from tests.strict_cupy.array import API, ndarray, read_key, unwrapped, wrapped
from tests.strict_cupy.host_cuda import COMPILER, RawModule
from tests.strict_cupy.ledger import LEDGER, Ledger
from tests.strict_cupy.libraries import HostBLAS
from tests.strict_cupy.recording import allocated, computed

__all__ = ["installed"]

# The host must know how many elements there are, or whether a decomposition went well.
_WAITING = {
    "allclose", "argwhere", "array2string", "array_repr", "array_str", "bincount", "compress", "extract",
    "flatnonzero", "histogram", "histogram2d", "histogramdd", "in1d", "intersect1d", "isin", "nonzero",
    "setdiff1d", "setxor1d", "trim_zeros", "union1d", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values",
}  # fmt: skip
_LIBRARY = {"matmul", "dot", "tensordot", "einsum", "inner", "outer", "vdot", "convolve", "correlate"}
_CHECKED = {
    "cholesky", "cond", "det", "eigh", "eigvalsh", "inv", "lstsq", "matrix_rank", "pinv", "qr", "slogdet",
    "solve", "svd",
}  # fmt: skip
_RENAMED = {"newshape": "shape", "obj": "object"}
_WRAPPING = {"take", "put"}


class Ufunc:
    """An elementwise function; `where=` and the like do not exist."""

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = name
        self.numpys = getattr(np, name)

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: Any = None) -> Any:
        for arg in args:
            if not isinstance(arg, (ndarray, np.generic, bool, int, float, complex)):
                raise TypeError(f"Unsupported type {type(arg)} in cupy.{self.name}")
        options = {"dtype": dtype, "casting": casting}
        if out is not None:
            options["out"] = unwrapped(out)
        options = {key: value for key, value in options.items() if value is not None}
        operands = unwrapped(args)
        result = computed(lambda: self.numpys(*operands, **options), operands, options)
        return out if out is not None else wrapped(result)

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        """The operation at `indices`, in place, repeated ones repeatedly; out of range they wrap."""
        if self.name not in ("add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"):
            raise NotImplementedError(f"`{self.name}.at` is not supported yet")
        if a.dtype not in (np.float32, np.float64, np.int32, np.uint32, np.uint64, np.complex64, np.complex128):
            raise TypeError(f"cupy.{self.name}.at does not support {a.dtype}: there is no atomic operation for it")
        b = unwrapped(b)
        computed(lambda: self.numpys.at(a._array, read_key(indices, a.shape), b), a._array)

    def reduce(self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        """Over an axis; CuPy has it for sums and products alone."""
        if self.name not in ("add", "multiply"):
            raise NotImplementedError(f"`{self.name}.reduce` is not supported yet")
        into = unwrapped(out)
        total = computed(lambda: self.numpys.reduce(array._array, axis, dtype, into, keepdims), into)
        return wrapped(total, (out,))


def _function(name: str, parameters: list[str], numpys: Callable, where: str = "cupy") -> Callable:
    """NumPy's function with CuPy's parameters."""
    open_ended = any(
        p in ("args", "kwargs", "arys", "operands", "arrays_and_dtypes", "xi", "*xi") or p[0] == "*" for p in parameters
    )

    def function(*args: Any, **options: Any) -> Any:
        unknown = [option for option in options if option not in parameters]
        if not open_ended and (unknown or len(args) > len(parameters)):
            raise TypeError(f"{where}.{name}({', '.join(parameters)}): got {len(args)} by position and {unknown}")
        runtime.machine.require()
        if name in _WAITING or (where.endswith("linalg") and name in _CHECKED):
            LEDGER.synchronise(f"{where}.{name}()")
        if name in _LIBRARY or (where.endswith("linalg") and name != "norm"):  # vectors' norms are sums
            LEDGER.library("cuBLAS")
            if runtime.machine.missing_library:
                raise ImportError(runtime.machine.missing_library)
        sources = (*args, *options.values())
        args = unwrapped(args)
        options = {_RENAMED.get(key, key): unwrapped(value) for key, value in options.items()}
        if name in _WRAPPING:
            options["mode"] = "wrap"
        if name in ("empty", "empty_like"):  # memory is found once, not at each replay
            return wrapped(allocated(numpys(*args, **options)))
        return wrapped(computed(lambda: numpys(*args, **options), args, options), sources)

    function.__name__ = name
    return function


def _array(
    obj: Any, dtype: Any = None, copy: bool | None = True, order: str = "K", subok: bool = False, ndmin: int = 0
) -> ndarray:
    """A device array from a device array, or a copy of what is on the host."""
    runtime.machine.require()
    if isinstance(obj, ndarray):
        copy = copy or obj.device.id != runtime.current_device()
        held = obj._array
        made = computed(lambda: np.array(held, dtype=dtype, copy=copy or None, order=order, ndmin=ndmin), held)
        return wrapped(made, (obj,))
    if isinstance(obj, (list, tuple)) and any(isinstance(part, ndarray) for part in obj):
        parts = unwrapped(obj)
        return wrapped(computed(lambda: np.array(parts, dtype=dtype)))
    array = np.array(obj, dtype=dtype, order=order, ndmin=ndmin)
    if array.dtype.kind not in "biufc":
        raise ValueError(f"Unsupported dtype {array.dtype}")
    LEDGER.upload(array.shape)
    return wrapped(array)


def _asarray(a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None) -> ndarray:
    return _array(a, dtype, bool(copy), order or "K")


def _ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return _array(a, dtype, False, "C", ndmin=1)


def _asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a)


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    if x is None and y is None:
        return condition.nonzero()
    for arg in (condition, x, y):
        if not isinstance(arg, (ndarray, np.generic, bool, int, float, complex)):
            raise TypeError(f"Unsupported type {type(arg)} in cupy.where")
    arguments = unwrapped((condition, x, y))
    return wrapped(computed(lambda: np.where(*arguments)))


def _take_along_axis(a: ndarray, indices: ndarray, axis: int | None) -> ndarray:
    size = a.size if axis is None else a.shape[axis]
    a, indices = unwrapped((a, indices))
    return wrapped(computed(lambda: np.take_along_axis(a, indices % max(size, 1), axis)))


def _repeat(a: Any, repeats: Any, axis: int | None = None) -> ndarray:
    return a.repeat(repeats, axis)


def _copy(a: ndarray, order: str = "K") -> ndarray:
    a = unwrapped(a)
    return wrapped(computed(lambda: np.array(a, order=order, copy=True)))


def _as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    return wrapped(np.lib.stride_tricks.as_strided(unwrapped(x), shape, strides), (x,))


def _array_module(*args: Any) -> Any:
    return sys.modules["cupy"] if any(isinstance(arg, ndarray) for arg in args) else np


class Generator:
    """CuPy's generator has no normal, shuffle, permutation or choice; mydl draws on the host."""


@functools.cache
def _modules() -> dict[str, types.ModuleType]:
    """The modules `cupy` and `cupyx`, with what is below them, by name."""
    cupy = types.ModuleType("cupy")
    cupy.__path__ = []
    cupy.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    cupy.__version__ = API["version"]
    for name in API["constants"]:
        if hasattr(np, name):
            setattr(cupy, name, getattr(np, name))
    for name in API["ufuncs"]:
        numpys = getattr(np, name)
        setattr(cupy, name, Ufunc(name) if isinstance(numpys, np.ufunc) else _function(name, ["x", "out"], numpys))
    for name, parameters in API["functions"].items():
        if hasattr(np, name):
            setattr(cupy, name, _function(name, parameters, getattr(np, name)))
    own = {
        "array": _array, "asarray": _asarray, "asanyarray": _asarray, "ascontiguousarray": _ascontiguousarray,
        "asnumpy": _asnumpy, "where": _where, "take_along_axis": _take_along_axis, "repeat": _repeat, "copy": _copy,
        "get_array_module": _array_module, "ndarray": ndarray, "cuda": runtime.cuda_module(),
        "is_available": runtime.cuda_module().is_available, "RawModule": RawModule,
    }  # fmt: skip
    for name, value in own.items():
        setattr(cupy, name, value)
    cupy.linalg = types.ModuleType("cupy.linalg")
    for name, parameters in API["linalg"].items():
        if hasattr(np.linalg, name):
            setattr(cupy.linalg, name, _function(name, parameters, getattr(np.linalg, name), "cupy.linalg"))
    cupy.lib = types.ModuleType("cupy.lib")
    cupy.lib.stride_tricks = types.ModuleType("cupy.lib.stride_tricks")
    cupy.lib.stride_tricks.as_strided = _as_strided
    cupy.random = types.ModuleType("cupy.random")
    cupy.random.Generator = Generator
    cupy.get_default_memory_pool = lambda: runtime.machine.pool
    cupy.get_default_pinned_memory_pool = lambda: runtime.machine.pool
    cupyx, scipy, special = (types.ModuleType(name) for name in ("cupyx", "cupyx.scipy", "cupyx.scipy.special"))
    cupyx.__path__ = scipy.__path__ = []
    cupyx.scipy, scipy.special = scipy, special
    special.erf, special.erfc = (functools.partial(_special, f) for f in (math.erf, math.erfc))
    return {module.__name__: module for module in (cupy, cupy.cuda, cupy.cuda.runtime, cupyx, scipy, special)}


def _special(function: Callable[[float], float], x: ndarray) -> ndarray:
    held = unwrapped(x)
    return wrapped(computed(lambda: np.asarray(np.frompyfunc(function, 1, 1)(held), dtype=held.dtype)))


@contextlib.contextmanager
def installed() -> Iterator[Ledger]:
    """Let `import cupy` give the stand-in within the block; yields the ledger, cleared.

    Where there is no compiler to run the CUDA kernels with, the reference's take their place.
    """
    from mydl import kernels
    from mydl.kernels.gpu import blas, convolution

    modules = _modules()
    runtime.machine.reset()
    LEDGER.clear()
    LEDGER.capturing = False
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    load_library, cudnn = blas.load_library, convolution.cudnn
    blas.load_library, convolution.cudnn = (lambda cupy: HostBLAS()), (lambda: None)
    try:
        with contextlib.nullcontext() if COMPILER else kernels.use("reference"):
            yield LEDGER
    finally:
        blas.load_library, convolution.cudnn = load_library, cudnn
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
