"""Kernels: array in, array out, without graph or modules; `of(array)` gives those that suit an array.

Three implementations share names and signatures: `mydl.kernels.reference`, the readable definition, which runs
on NumPy and CuPy arrays; `mydl.kernels.cpu`, the fast one for NumPy arrays, which needs Numba; and
`mydl.kernels.gpu`, the fast one for CuPy arrays.

>>> import numpy as np
>>> of(np.zeros(3)).relu(np.array([-1.0, 2.0]))
array([0., 2.])
"""

from __future__ import annotations

import gc
import importlib
from types import ModuleType

import numpy as np

from mydl.kernels import reference

# Elements from which on a plain operation is worth a kernel: NumPy computes it on one core, which takes in less than
# the memory gives.
LARGE = 2**18

_for_numpy: ModuleType | None = None  # decided by the first call of `of`: importing Numba takes a while
_for_cupy: ModuleType | None = None  # None for mydl.kernels.gpu, which is imported when it is first needed
_why_slow: str | None = None


def of(array) -> ModuleType:
    """The module whose kernels serve `array`.

    That is `mydl.kernels.gpu` for a CuPy array; for a NumPy array `mydl.kernels.cpu` where Numba works,
    else `mydl.kernels.reference`; `why_slow` then says why.

    >>> import numpy as np
    >>> with use("reference"):
    ...     of(np.zeros(3)).__name__
    'mydl.kernels.reference'
    """
    if isinstance(array, np.ndarray):
        return _for_numpy or _choose()
    return _for_cupy or importlib.import_module("mydl.kernels.gpu")


def why_slow() -> str | None:
    """One line that says why the slow kernels serve NumPy arrays and what to do; None if the fast ones do."""
    _for_numpy or _choose()
    return _why_slow


class use:
    """Force the kernels, for the whole process or, as a context manager, for a block.

    Args:
        name: "reference", for NumPy's arrays and CuPy's; "cpu", for NumPy's; or None to choose anew.

    Raises:
        ValueError: no kernels have that name.
        ImportError: "cpu" was asked for and Numba cannot be imported.
        RuntimeError: "cpu" was asked for and Numba may not compile, or not keep what it compiles.

    >>> with use("reference"):
    ...     print(why_slow())
    the plain NumPy kernels were chosen by mydl.kernels.use("reference")
    """

    def __init__(self, name: str | None) -> None:
        global _for_numpy, _for_cupy, _why_slow
        self._before = _for_numpy, _for_cupy, _why_slow
        _for_cupy = reference if name == "reference" else None
        if name is None:
            _for_numpy = _why_slow = None
        elif name == "cpu":
            _for_numpy, _why_slow = _import_cpu(), None
        elif name == "reference":
            _for_numpy = reference
            _why_slow = 'the plain NumPy kernels were chosen by mydl.kernels.use("reference")'
        else:
            raise ValueError(f'kernels.use: wanted "reference", "cpu" or None, got {name!r}')

    def __enter__(self) -> use:
        return self

    def __exit__(self, *exception: object) -> None:
        global _for_numpy, _for_cupy, _why_slow
        _for_numpy, _for_cupy, _why_slow = self._before


def _choose() -> ModuleType:
    """Decide which kernels serve NumPy arrays from now on."""
    global _for_numpy, _why_slow
    try:
        _for_numpy, _why_slow = _import_cpu(), None
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] not in ("numba", "llvmlite"):
            raise
        _for_numpy = reference
        _why_slow = f"`pip install numba` makes mydl faster: the plain NumPy kernels run now ({error})"
    except RuntimeError as error:
        if "cannot cache" in str(error):
            fault = "Numba found no folder where it may keep compiled kernels (name one in NUMBA_CACHE_DIR)"
        elif "NUMBA_DISABLE_JIT" in str(error):
            fault = str(error)
        else:
            raise
        _for_numpy, _why_slow = reference, f"{fault}: the plain NumPy kernels run now"
    return _for_numpy


def _import_cpu() -> ModuleType:
    """Import the kernels and Numba with them, without looking for garbage meanwhile.

    Numba makes some 100,000 objects that all stay: the collector would go through them again and again, for a tenth of
    the time to a process's first step. Frozen and let go again they are old, which the next collection need not visit.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module("mydl.kernels.cpu")
    finally:
        if not gc.get_freeze_count():  # else the caller froze what should remain so
            gc.freeze()
            gc.unfreeze()
        if collects:
            gc.enable()
