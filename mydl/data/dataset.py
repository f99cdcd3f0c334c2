"""What a dataset is, the ones made of arrays, and the ones made of other datasets.

A dataset gives single samples through `dataset[i]`. One that can also give a whole batch at once says so with
a method `get_batch(indices)`, which returns what collating the single samples would, without a Python loop
over them.
"""

from __future__ import annotations

import bisect
import itertools
import math
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mydl.backend import Generator, array_module, device, to_host
from mydl.data import draws
from mydl.data.collate import default_collate
from mydl.functions.arguments import keep_range
from mydl.tensor import MyTensor


class Dataset:
    """A collection of samples: subclasses define `__getitem__`, and `__len__` if it has a size.

    A subclass may also define `get_batch(indices)`, equal to `default_collate([self[i] for i in indices])`
    but fast.

    >>> class Squares(Dataset):
    ...     def __getitem__(self, index): return index**2
    ...     def __len__(self): return 5
    >>> (Squares() + Squares())[7]
    4
    """

    __class_getitem__: Any = classmethod(types.GenericAlias)  # Dataset[int] says what its samples are

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """A dataset that is read from first to last: `__iter__` gives its samples, and there are no indices.

    >>> from mydl.data import DataLoader
    >>> class Squares(IterableDataset):
    ...     def __iter__(self): return (n * n for n in range(3))
    >>> [batch.tolist() for batch in DataLoader(Squares(), batch_size=2)]
    [[0, 1], [4]]
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")

    def __add__(self, other: Any) -> Any:
        return ChainDataset([self, other])


class ChainDataset(IterableDataset):
    """IterableDatasets one after another.

    >>> from mydl.data import DataLoader
    >>> class Words(IterableDataset):
    ...     def __iter__(self): return iter(["a", "b"])
    >>> list(DataLoader(Words() + Words(), batch_size=3))
    [['a', 'b', 'a'], ['b']]
    """

    def __init__(self, datasets: Iterable[IterableDataset]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise TypeError(f"ChainDataset: wanted IterableDatasets, got {type(dataset).__name__}")
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)  # type: ignore[arg-type, misc]


def get_samples(dataset: Any, indices: Sequence[Any]) -> list[Any]:
    """The samples with these indices, through `dataset.__getitems__` (PyTorch's protocol) where there is one.

    >>> get_samples(["a", "b", "c"], [2, 0])
    ['c', 'a']
    """
    if hasattr(dataset, "__getitems__"):
        return dataset.__getitems__(indices)
    samples = []
    with draws.one_by_one() as turn_to:
        for position, index in enumerate(indices):
            turn_to(position)
            samples.append(dataset[index])
    return samples


def get_batch(dataset: Any, indices: Sequence[Any]) -> Any:
    """The collated batch with these indices, at once if the dataset can, else sample by sample.

    A subclass that overrides `__getitem__` alone is read through it: a `get_batch` inherited from further up
    does not know about it and is not used.

    >>> get_batch([1, 4, 9], [2, 0]).tolist()
    [9, 1]
    """
    for cls in type(dataset).__mro__:
        if "get_batch" in vars(cls):
            return dataset.get_batch(indices)
        if "__getitem__" in vars(cls):
            break
    return default_collate(get_samples(dataset, indices))


class TensorDataset(Dataset):
    """Tensors of equal first dim; sample i is the tuple of their i-th rows.

    >>> data = TensorDataset(MyTensor(np.zeros((5, 3))), MyTensor(np.arange(5)))
    >>> len(data), data[4][1].item()
    (5, 4)
    """

    def __init__(self, *tensors: MyTensor) -> None:
        for tensor in tensors:
            if not isinstance(tensor, MyTensor):
                raise TypeError(f"TensorDataset: wanted tensors, got {type(tensor).__name__}; arrays: use ArrayDataset")
        _check_lengths("TensorDataset", [tensor.shape for tensor in tensors])
        self.tensors = tensors

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index: Any) -> tuple[MyTensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def get_batch(self, indices: Sequence[int]) -> list[MyTensor]:
        """The rows with these indices of every tensor."""
        arrays = [tensor.array for tensor in self.tensors]
        return [MyTensor(array[array_module(array).asarray(indices)]) for array in arrays]


class ArrayDataset(Dataset):
    """Inputs and targets in two arrays of equal length (NumPy's, or tensors); they are not copied.

    Sample i is `(transform(data[i]), target_transform(targets[i]))`, with `data[i]` a tensor and `targets[i]`
    an int if the targets are a vector of integers, else an array. A batch is the tensors of its inputs and of
    its targets (int64 for class indices). A transform with `whole_batch = True` is applied once to a batch of
    images (N, C, H, W); another, or a plain function, to one sample after the other.

    Raises ValueError if the lengths differ.

    >>> data = ArrayDataset(np.zeros((5, 3), np.float32), np.array([0, 1, 2, 1, 0], np.uint8))
    >>> data[3][1], data.get_batch([2, 3])[1].tolist()
    (1, [2, 1])
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.data = data if isinstance(data, MyTensor) else MyTensor(np.asarray(data))
        self.targets = targets if isinstance(targets, MyTensor) else MyTensor(np.asarray(targets))
        _check_lengths(type(self).__name__, [self.data.shape, self.targets.shape])
        self.transform, self.target_transform = transform, target_transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        sample = self._sample(_row(self.data, index))
        target = _row(self.targets, index)
        if isinstance(target, np.integer):
            target = int(target)
        if self.transform is not None:
            sample = self.transform(sample)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return sample, target

    def get_batch(self, indices: Sequence[int]) -> list[MyTensor]:
        """[inputs, targets] of the samples with these indices."""
        if isinstance(self.data, MyTensor) and self.data.is_cuda:
            with self.data.array.device:  # the current GPU is each thread's own
                return self._get_batch(indices)
        return self._get_batch(indices)

    def _get_batch(self, indices: Sequence[int]) -> list[MyTensor]:
        rows = np.asarray(indices)
        inputs = self._whole_batch(_rows(self.data, rows))
        if not isinstance(inputs, MyTensor):
            return default_collate(get_samples(self, indices))
        targets = _rows(self.targets, rows)
        if targets.ndim == 1 and targets.dtype.kind in "iu":
            targets = targets.astype(np.int64, copy=False)
        if self.target_transform is not None:
            targets = to_host(targets)
            labels = targets.tolist() if targets.ndim == 1 and targets.dtype.kind == "i" else list(targets)
            return [inputs, default_collate([self.target_transform(label) for label in labels])]
        batch = MyTensor(targets)
        keep_range(batch, self.targets)
        return [inputs, batch]

    def to(self, where: device | str) -> ArrayDataset:
        """Move data and targets to a device; returns the dataset itself.

        On a GPU a batch is then gathered and transformed there, of which only the indices are copied to it. The
        transform must take whole batches of CuPy's arrays, as mydl's own do; a DataLoader needs no threads for it.
        """
        self.data, self.targets = self.data.to(where), self.targets.to(where)
        return self

    def _sample(self, row: Any) -> Any:
        """What the transform of one sample gets."""
        return MyTensor(np.asarray(row))

    def _whole_batch(self, rows: np.ndarray) -> Any:
        """The transformed inputs as one tensor, or None if they must be transformed one by one."""
        if self.transform is None:
            return MyTensor(rows)
        if rows.ndim >= 4 and getattr(self.transform, "whole_batch", False):
            return self.transform(MyTensor(rows))
        return None


class ImageArrayDataset(ArrayDataset):
    """An `ArrayDataset` of uint8 images, (N, H, W) or (N, H, W, C), whose samples are PIL images.

    Since PIL images cannot be collated, a DataLoader needs a `transform` that ends in tensors; a transform
    with `whole_batch = True` gets the whole uint8 array of a batch.

    >>> data = ImageArrayDataset(np.zeros((5, 28, 28), np.uint8), np.arange(5))
    >>> data[2][0].size, data[2][1]
    ((28, 28), 2)
    """

    def __init__(
        self,
        data: Any,
        targets: Any,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(data, targets, transform, target_transform)
        if self.data.array.dtype != np.uint8 or self.data.ndim not in (3, 4):
            raise ValueError(
                f"{type(self).__name__}: wanted uint8 images of shape (N, H, W) or (N, H, W, C), "
                f"got {self.data.array.dtype} {tuple(self.data.shape)}"
            )

    def _sample(self, row: np.ndarray) -> Any:
        from PIL import Image

        return Image.fromarray(row)

    def _whole_batch(self, rows: np.ndarray) -> Any:
        if self.transform is not None and getattr(self.transform, "whole_batch", False):
            return self.transform(rows)
        return None


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in their order.

    >>> list(Subset("abcde", [3, 1]))
    ['d', 'b']
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def get_batch(self, indices: Sequence[int]) -> Any:
        """The collated batch of these samples of the subset."""
        return get_batch(self.dataset, [self.indices[index] for index in indices])


class ConcatDataset(Dataset):
    """Datasets one after another.

    >>> data = ConcatDataset(["abc", "de"])
    >>> len(data), data[3], data[-1]
    (5, 'd', 'e')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: wanted at least one dataset, got none")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"ConcatDataset: index {index} is out of range for {len(self)} samples")
        which = bisect.bisect_right(self.cumulative_sizes, position)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][position - before]


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = None, *, seed: int | None = None
) -> list[Subset]:
    """Split a dataset at random into subsets of the given lengths, without overlap.

    `lengths` are numbers of samples that add up to `len(dataset)`, or fractions that add up to 1 (rounded
    down, and the samples left over dealt out one each from the first). The split is a function of `seed`
    where it is given, else it is drawn from `generator`, or from mydl's default one.

    Raises ValueError if the lengths do not add up.

    >>> [len(part) for part in random_split(range(10), [0.7, 0.3], seed=0)]
    [7, 3]
    """
    size = len(dataset)
    counts = [int(length) for length in lengths]
    if math.isclose(sum(lengths), 1):
        counts = [math.floor(size * fraction) for fraction in lengths]
        for left_over in range(size - sum(counts)):
            counts[left_over % len(counts)] += 1
    elif counts != list(lengths) or sum(counts) != size:
        counts = [-1]
    if min(counts) < 0:
        raise ValueError(
            f"random_split: the lengths must add up to the {size} samples, or to 1 as fractions; "
            f"got {list(lengths)}, which add up to {sum(lengths)}"
        )
    if seed is not None:
        generator = Generator(seed)
    order = draws.generator_for(generator, draws.SPLIT).permutation(size).tolist()
    ends = list(itertools.accumulate(counts))
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)]


def _check_lengths(name: str, shapes: list[tuple[int, ...]]) -> None:
    if not shapes or any(not shape for shape in shapes) or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(f"{name}: wanted arrays of one length, got shapes {', '.join(map(str, map(tuple, shapes)))}")


def _row(values: Any, index: int) -> Any:
    """One row, on the host; users may have put an array or a list in the place of a dataset's tensors."""
    if not isinstance(values, MyTensor):
        return np.asarray(values)[index]
    row = values.array[index]
    return row if isinstance(row, (np.ndarray, np.generic)) else to_host(row)[()]


def _rows(values: Any, indices: np.ndarray) -> Any:
    """The rows with these indices, where the values are; IndexError for one that there is not."""
    array = values.array if isinstance(values, MyTensor) else np.asarray(values)
    if isinstance(array, np.ndarray):
        return array[indices]
    if indices.size and not -len(array) <= indices.min() <= indices.max() < len(array):
        raise IndexError(f"dataset: indices from {indices.min()} to {indices.max()} for {len(array)} samples")
    return array[array_module(array).asarray(indices)]
