"""Samplers: the order in which a DataLoader reads a dataset."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from mydl.backend import Generator, philox
from mydl.data.draws import SHUFFLE, generator_for


class Sampler:
    """Base class: `__iter__` gives the indices of one epoch; `__len__`, where there is one, says how many."""

    __class_getitem__: Any = classmethod(types.GenericAlias)  # Sampler[int] says what it gives

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")


class SequentialSampler(Sampler):
    """0, 1, …, len(data_source) - 1.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """A new random order of 0 … len(data_source) - 1 in every epoch, or `num_samples` draws with replacement.

    Without replacement, `num_samples` above the length starts another order. Draws come from `generator`, or
    from mydl's default one.

    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: wanted replacement to be True or False, got {replacement!r}")
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples <= 0):
            raise ValueError(f"RandomSampler: wanted num_samples of at least 1, got {num_samples}")
        self.data_source, self.replacement = data_source, replacement
        self.generator, self._num_samples = generator, num_samples

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, rng = len(self.data_source), generator_for(self.generator, SHUFFLE)
        if size == 0:
            return iter(())
        if self.replacement:
            return iter(rng.integers(size, size=self.num_samples).tolist())
        orders = (rng.permutation(size).tolist() for _ in range(-(-self.num_samples // size)))
        return itertools.islice(itertools.chain.from_iterable(orders), self.num_samples)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices, in a new random order in every epoch.

    >>> sorted(SubsetRandomSampler([7, 3]))
    [3, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for position in generator_for(self.generator, SHUFFLE).permutation(len(self.indices)):
            yield self.indices[position]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """`num_samples` indices drawn with probabilities proportional to `weights` (which need not add up to 1).

    >>> list(WeightedRandomSampler([0, 1, 0], 2))
    [1, 1]
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: Generator | None = None
    ) -> None:
        if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples <= 0:
            raise ValueError(f"WeightedRandomSampler: wanted num_samples of at least 1, got {num_samples!r}")
        if not isinstance(replacement, bool):
            raise ValueError(f"WeightedRandomSampler: wanted replacement to be True or False, got {replacement!r}")
        self.weights = np.asarray(weights, np.float64)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError("WeightedRandomSampler: wanted a vector of finite weights of at least 0")
        choices = np.count_nonzero(self.weights)
        if choices == 0 or (not replacement and num_samples > choices):
            raise ValueError(
                f"WeightedRandomSampler: cannot draw {num_samples} samples "
                f"{'with' if replacement else 'without'} replacement from {choices} with a weight above 0"
            )
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        rng, chances = generator_for(self.generator, SHUFFLE), self.weights / self.weights.sum()
        return iter(rng.choice(chances.size, self.num_samples, self.replacement, chances).tolist())

    def __len__(self) -> int:
        return self.num_samples


class DistributedSampler(Sampler):
    """This process's share of one order that all have: every `num_replicas`-th index, from the `rank`-th on.

    The order is a DataLoader's of the same seed, so batches of B / num_replicas on each process are together the
    batches of B of one process. All processes get equally many: some indices come twice where the length is not a
    multiple, or with `drop_last` the rest is left out. Call `set_epoch` (or the loader's) before each epoch.

    Without `num_replicas` and `rank`, those of `mydl.distributed.init` are taken.

    >>> [list(DistributedSampler(range(5), 2, rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    processes = (0, 1)  # (rank, number) of this process, which `mydl.distributed.init` sets

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.dataset = dataset
        self.num_replicas = self.processes[1] if num_replicas is None else num_replicas
        self.rank = self.processes[0] if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(
                f"DistributedSampler: wanted a rank from 0 to {self.num_replicas - 1}, the number of processes less 1, "
                f"got {self.rank}"
            )
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order = philox(self.seed, SHUFFLE, self.epoch).permutation(size) if self.shuffle else np.arange(size)
        return iter(np.resize(order, len(self) * self.num_replicas)[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        size = len(self.dataset)
        return size // self.num_replicas if self.drop_last else -(-size // self.num_replicas)


class BatchSampler(Sampler):
    """The indices of `sampler` in lists of `batch_size`; a shorter last one is left out if `drop_last`.

    >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size <= 0:
            raise ValueError(f"batch_size: wanted an integer of at least 1, got {batch_size!r}")
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last: wanted True or False, got {drop_last!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[Any]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        size = len(self.sampler)  # type: ignore[arg-type]
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)
