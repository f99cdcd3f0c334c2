"""From a list of samples to one batch, by PyTorch's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mydl.backend import array_module
from mydl.errors import ShapeError
from mydl.functions.conversion import as_array
from mydl.ops.casting import result_dtype
from mydl.tensor import MyTensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack samples into a batch: the DataLoader's default `collate_fn`.

    Tensors and NumPy arrays are stacked along a new first dim in their common dtype. Python numbers become a float64
    tensor if the first is a float, else what `mydl.tensor` makes of them. Strings stay as they are; mappings, tuples
    and lists are collated element by element (a tuple gives a list, a named tuple its own type).

    Raises TypeError for anything else, ValueError where shapes or lengths differ.

    >>> images, labels = default_collate([(np.zeros((1, 2)), 3), (np.ones((1, 2)), 4)])
    >>> images.shape, labels.tolist()
    ((2, 1, 2), [3, 4])
    """
    if not batch:
        raise ValueError("default_collate: no samples to make a batch of")
    first = batch[0]
    if isinstance(first, MyTensor):
        return _stack([sample.array if isinstance(sample, MyTensor) else np.asarray(sample) for sample in batch])
    if isinstance(first, (np.ndarray, np.generic)) and first.dtype.kind in "biuf":
        return _stack([np.asarray(sample) for sample in batch])
    if isinstance(first, float):
        return MyTensor(np.array(batch, np.float64))
    if isinstance(first, int):
        return MyTensor(as_array(list(batch)))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, Sequence):
        lengths = {len(sample) for sample in batch}
        if len(lengths) > 1:
            raise ValueError(f"default_collate: samples of different lengths: {sorted(lengths)}")
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    kind = f"{type(first).__module__}.{type(first).__qualname__}"
    hint = ""
    if kind.startswith("PIL."):
        hint = "; give the dataset a transform that ends in tensors, such as transform=transforms.ToTensor()"
    elif isinstance(first, np.ndarray):
        kind += f" of {first.dtype}"
    raise TypeError(f"default_collate: wanted tensors, arrays, numbers, strings, mappings, sequences, got {kind}{hint}")


def default_convert(data: Any) -> Any:
    """Turn NumPy arrays into tensors, also inside mappings and sequences.

    What a DataLoader with `batch_size=None`, which gives single samples, does to them.

    >>> default_convert({"x": np.zeros(3)})["x"].shape
    (3,)
    """
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind in "biuf":
        return MyTensor(np.asarray(data))
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, (tuple, list)):
        return [default_convert(value) for value in data]
    return data


def _stack(arrays: list[Any]) -> MyTensor:
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ShapeError(f"default_collate: samples must have one shape, got {', '.join(map(str, sorted(shapes)))}")
    if len({array.dtype for array in arrays}) > 1:
        dtype = result_dtype(*arrays)
        arrays = [array.astype(dtype, copy=False) for array in arrays]
    return MyTensor(array_module(arrays[0]).stack(arrays))
