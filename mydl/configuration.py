"""What mydl computes with on this machine, and the switches of PyTorch's about it that programs set."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from mydl import backend, blas_core, kernels

__all__ = ["compile", "set_float32_matmul_precision", "show_config", "use_deterministic_algorithms"]


def show_config() -> str:
    """Versions, the BLAS and its core, threads, kernels and GPU, as text; `print(mydl.show_config())`.

    >>> "NumPy" in show_config()
    True
    """
    from threadpoolctl import threadpool_info

    lines = [f"NumPy {np.__version__}"]
    for library in threadpool_info():
        if library["user_api"] == "blas":
            core = library.get("architecture", "unknown")
            name = f"{library['internal_api']} {library['version']}"
            lines.append(f"BLAS: {name}, core {core}, {library['num_threads']} threads")
    lines.append(f"BLAS core: {blas_core.STATUS}")
    lines.append(f"threads: {backend.get_num_threads()}")
    slow = kernels.why_slow()
    lines.append("kernels: Numba" if slow is None else f"kernels: NumPy ({slow})")
    if importlib.util.find_spec("cupy") is None:
        lines.append("GPU: CuPy is not installed (pip install cupy-cuda12x, or cupy-cuda13x for CUDA 13)")
    else:
        import cupy

        state = "ready" if cupy.cuda.is_available() else "no usable GPU or driver"
        lines.append(f"GPU: CuPy {cupy.__version__}, {state}")
    return "\n".join(lines)


def compile(model: Any = None, **options: Any) -> Any:
    """The model or function as it is, also as a decorator: mydl has one way to run it.

    >>> compile(abs)(-1), compile(mode="max-autotune")(abs)(-2)
    (1, 2)
    """
    return (lambda given: given) if model is None else model


def set_float32_matmul_precision(precision: str) -> None:
    """Taken so that PyTorch's programs run: mydl's matrix products are always of "highest" precision.

    >>> set_float32_matmul_precision("high")
    """


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Taken so that PyTorch's programs run: mydl has one algorithm for each operation.

    >>> use_deterministic_algorithms(True)
    """
