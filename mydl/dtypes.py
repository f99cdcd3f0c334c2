"""The dtypes by PyTorch's names; each is NumPy's own dtype object."""

from __future__ import annotations

import numpy as np

__all__ = [
    "bool", "double", "dtype", "float", "float16", "float32", "float64", "half", "int", "int8", "int16", "int32",
    "int64", "long", "short", "uint8",
]  # fmt: skip

dtype = np.dtype  # what isinstance and annotations name
float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)
float64 = double = np.dtype(np.float64)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)
int64 = long = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
bool = np.dtype(np.bool_)
