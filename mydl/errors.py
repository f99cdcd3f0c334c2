"""The errors that are of two kinds at once: Python's kind for what is wrong, and the RuntimeError that PyTorch has."""

from __future__ import annotations

import numpy as np

__all__ = ["DtypeError", "LinAlgError", "RangeError", "ShapeError"]


class ShapeError(ValueError, RuntimeError):
    """Sizes, dimensions or values that do not fit an operation.

    >>> issubclass(ShapeError, ValueError), issubclass(ShapeError, RuntimeError)
    (True, True)
    """


class DtypeError(TypeError, RuntimeError):
    """Dtypes that do not fit an operation.

    >>> issubclass(DtypeError, TypeError), issubclass(DtypeError, RuntimeError)
    (True, True)
    """


class LinAlgError(ShapeError, np.linalg.LinAlgError):
    """Matrices that an operation of linear algebra cannot take: singular, or not positive definite.

    >>> issubclass(LinAlgError, RuntimeError), issubclass(LinAlgError, np.linalg.LinAlgError)
    (True, True)
    """


class RangeError(IndexError, RuntimeError):
    """Indices beyond what is there, or nothing to choose from.

    >>> issubclass(RangeError, IndexError), issubclass(RangeError, RuntimeError)
    (True, True)
    """
