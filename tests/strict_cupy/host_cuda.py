"""`cupy.RawModule` for the stand-in: CUDA source compiled for the host, each launch checked against its signature."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.strict_cupy.array import MemoryPointer, ndarray
from tests.strict_cupy.recording import launched

__all__ = ["COMPILER", "RawModule"]

COMPILER = shutil.which("g++") or shutil.which("clang++")
_HEADER = Path(__file__).with_name("host_cuda.h")
_SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
_TYPES = {"i64": "long long", "u64": "unsigned long long"}
_DTYPES = {
    "float": "f4", "double": "f8", "long long": "i8", "unsigned long long": "u8", "int": "i4", "unsigned": "u4",
}  # fmt: skip


class Parameter:
    """One parameter of a kernel: its C type, and whether it is a pointer, to be read only, and may be null."""

    def __init__(self, text: str, real: str) -> None:
        words, self.name = text.replace("*", "* ").rsplit(maxsplit=1)
        self.pointer = "*" in words
        self.constant = words.startswith("const ")
        name = words.replace("const ", "").replace("*", "").strip()
        self.c_type = real if name == "T" else _TYPES.get(name, name)
        self.dtype = np.dtype(_DTYPES[self.c_type])
        self.strided = False  # whether the kernel is told the stride

    def packed(self, argument: Any) -> tuple[Any, np.ndarray | None]:
        """The argument as `cuLaunchKernel` takes it, and the memory that it points to; TypeError if it does not fit."""
        if not self.pointer:
            value = {int: np.int64, float: np.float64}.get(type(argument), type(argument))(argument)
            if isinstance(argument, (ndarray, bool, np.bool_)) or np.dtype(type(value)).itemsize != self.dtype.itemsize:
                raise TypeError(f"{self.name}: wanted {self.c_type}, got {argument!r}")
            if np.dtype(type(value)).kind != self.dtype.kind and {value.dtype.kind, self.dtype.kind} != {"i", "u"}:
                raise TypeError(f"{self.name}: wanted {self.c_type}, got {argument!r}")
            return np.array(value).view(self.dtype), None
        if type(argument) is int and argument == 0:
            if not self.name.endswith("_at"):
                raise TypeError(f"{self.name}: a null pointer")
            return np.zeros((), np.int64), None
        if not isinstance(argument, ndarray) or argument.dtype != self.dtype:
            found = f"{argument.dtype} array" if isinstance(argument, ndarray) else repr(argument)
            raise TypeError(f"{self.name}: wanted an array of {self.dtype}, got {found}")
        if not argument.flags.c_contiguous and not self.strided:
            raise TypeError(f"{self.name}: the kernels want contiguous arrays, got strides {argument.strides}")
        return np.array(MemoryPointer(argument._array).ptr, np.int64), argument._array


@functools.cache
def _library(code: str, real: str) -> ctypes.CDLL:
    """The source with a launcher for each kernel, compiled; kept between runs by what it was compiled from."""
    launchers = []
    for name, parameters in _SIGNATURE.findall(code):
        types = [Parameter(text, real) for text in parameters.split(",")]
        casts = [f"*({p.c_type}{'*' if p.pointer else ''}*)args[{i}]" for i, p in enumerate(types)]
        body = code.split(f"void {name}(", 1)[1].split("\n}\n", 1)[0]
        barriers = str("scratch" in body or "__syncthreads" in body).lower()
        launchers.append(
            f"static void call_{name}(void** args) {{ {name}({', '.join(casts)}); }}\n"
            f'extern "C" int launch_{name}(void** args, unsigned gx, unsigned gy, unsigned threads) {{\n'
            f"    return host::run(call_{name}, args, {barriers}, {{gx, gy, 1}}, {{threads, 1, 1}});\n}}\n"
        )
    source = f'#include "{_HEADER}"\n#define REAL {real}\n{code}\n' + "".join(launchers)
    digest = hashlib.sha256((_HEADER.read_text() + source).encode()).hexdigest()[:20]
    folder = Path(tempfile.gettempdir()) / f"mydl-host-cuda-{os.getuid() if hasattr(os, 'getuid') else 0}"
    folder.mkdir(mode=0o700, exist_ok=True)
    library = folder / f"{digest}.so"
    if not library.exists():
        if COMPILER is None:
            raise RuntimeError("the CUDA kernels are tested compiled for the host, which needs g++ or clang++")
        text, made = folder / f"{digest}-{os.getpid()}.cpp", folder / f"{digest}-{os.getpid()}.so"
        text.write_text(source)
        options = ["-O1", "-shared", "-fPIC", "-w", "-U_FORTIFY_SOURCE", "-ffp-contract=off"]
        subprocess.run([COMPILER, *options, "-o", str(made), str(text)], check=True, capture_output=True, text=True)
        made.replace(library)
        text.unlink()
    return ctypes.CDLL(str(library))


class RawKernel:
    """One kernel; a launch with other arguments than its signature has is a TypeError."""

    def __init__(self, code: str, real: str, name: str) -> None:
        found = dict(_SIGNATURE.findall(code))
        if name not in found:
            raise RuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found ({name})")
        self.name = name
        self.parameters = [Parameter(text, real) for text in found[name].split(",")]
        for parameter in self.parameters:
            parameter.strided = any(other.name == f"{parameter.name}_stride" for other in self.parameters)
        self.function = getattr(_library(code, real), f"launch_{name}")

    def __call__(self, grid: tuple, block: tuple, args: tuple, *, shared_mem: int = 0) -> None:
        """Run all threads now, or while capturing at each replay."""
        if not isinstance(grid, tuple) or not isinstance(block, tuple) or not isinstance(args, tuple):
            raise TypeError("a kernel wants tuples: grid, block, arguments")
        if not all(size > 0 for size in (*grid, *block)) or max(grid[1:], default=1) > 65535 or block[0] > 1024:
            raise RuntimeError(f"CUDA_ERROR_INVALID_VALUE: grid {grid}, block {block}")
        if len(args) != len(self.parameters):
            raise TypeError(f"{self.name}: wanted {len(self.parameters)} arguments, got {len(args)}")
        packed = [parameter.packed(argument) for parameter, argument in zip(self.parameters, args, strict=True)]
        values = [value for value, _ in packed]
        written = [
            memory
            for p, (_, memory) in zip(self.parameters, packed, strict=True)
            if memory is not None and not p.constant
        ]

        def run() -> None:
            pointers = (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values))
            if self.function(pointers, grid[0], grid[1] if len(grid) > 1 else 1, block[0]):
                raise RuntimeError(f"{self.name}: some threads of a block end before a barrier that others come to")

        run.keeps = args  # type: ignore[attr-defined]  # the memory lives as long as the graph
        launched(run, written)


class RawModule:
    """CUDA source; CuPy compiles it when its first kernel is asked for, and so does this."""

    def __init__(self, *, code: str, options: tuple = (), backend: str = "nvrtc") -> None:
        if not isinstance(options, tuple):
            raise TypeError("options: wanted a tuple")
        (self.real,) = (option.removeprefix("-DREAL=") for option in options)
        self.code = code

    def get_function(self, name: str) -> RawKernel:
        """One of its kernels."""
        return RawKernel(self.code, self.real, name)
