"""CuPy, once it is known to work; where it does not, one line that says what is missing and what to do."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from types import ModuleType

import numpy as np

__all__ = ["load_cupy"]

_checked_cupy: ModuleType | None = None  # the CuPy that `load_cupy` has found to work


def load_cupy() -> ModuleType:
    """CuPy, once it is known to work: installed once, with a driver, a GPU and the CUDA libraries.

    RuntimeError, in one line that says what is missing and what to do, otherwise.
    """
    global _checked_cupy
    loaded = sys.modules.get("cupy")
    if loaded is not None and loaded is _checked_cupy:
        return loaded
    try:
        with warnings.catch_warnings():  # of several packages, in many lines; here it is one, and an error
            warnings.filterwarnings("ignore", "[\\s\\S]*CuPy may not function correctly")
            cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise
        raise RuntimeError(
            "CuPy is not installed. Run: pip install cupy-cuda12x (CUDA 12) or cupy-cuda13x (CUDA 13), not both; "
            "or use --device cpu."
        ) from None
    except ImportError as error:
        _check_packages()
        raise RuntimeError(_libraries_missing(error, 12)) from error
    _check_packages()
    if [int(part) for part in cupy.__version__.split(".")[:2]] < [13, 6]:
        raise RuntimeError(
            f"CuPy {cupy.__version__} found, wanted 13.6 or newer. "
            "Run: pip install -U cupy-cuda12x (CUDA 12) or cupy-cuda13x (CUDA 13), whichever you have."
        )
    _check_driver(cupy)
    _checked_cupy = cupy
    return cupy


def _check_packages() -> None:
    """RuntimeError if several packages brought a module `cupy`: each has overwritten files of the others."""
    from importlib.metadata import packages_distributions

    packages = sorted(set(packages_distributions().get("cupy", ())))
    if len(packages) > 1:
        raise RuntimeError(
            f"Only one CuPy may be installed, found {' and '.join(packages)}. "
            f"Run: pip uninstall -y {' '.join(packages)}, then pip install one of them; or use --device cpu."
        )


def _check_driver(cupy: ModuleType) -> None:
    """RuntimeError if the driver is missing or too old, no GPU is visible, or the CUDA libraries do not load."""
    runtime = cupy.cuda.runtime
    driver, built_for = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        raise RuntimeError(f"CuPy {cupy.__version__} found but no NVIDIA driver. Use --device cpu.")
    try:
        devices = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        if "InsufficientDriver" in str(error):
            raise RuntimeError(
                f"NVIDIA driver supports CUDA {_version(driver)}, CuPy was built for {_version(built_for)}. "
                f"Update the driver or install the CuPy for CUDA {driver // 1000}; or use --device cpu."
            ) from error
        if "NoDevice" not in str(error):
            raise RuntimeError(f"CuPy {cupy.__version__} found, but CUDA refuses: {error}") from error
        devices = 0
    if devices == 0:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise RuntimeError(f"Driver present but no GPU visible (CUDA_VISIBLE_DEVICES={visible}).")
    try:  # a wheel without the CUDA libraries fails no sooner than this
        one = cupy.ones((1, 1), dtype=np.float32)
        cupy.matmul(one, one)
    except (ImportError, OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and ".so" not in str(error) and ".dll" not in str(error):
            raise
        raise RuntimeError(_libraries_missing(error, built_for // 1000)) from error


def _version(number: int) -> str:
    """12090, as the CUDA runtime says it, is 12.9."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _libraries_missing(error: Exception, cuda: int) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]  # CuPy frames what failed in advice
    named = [line for line in lines if ".so" in line or ".dll" in line]
    reason = (named or lines or [type(error).__name__])[0]
    return f'CUDA libraries missing ({reason}). Run: pip install "cupy-cuda{cuda}x[ctk]".'
