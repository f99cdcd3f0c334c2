"""DataLoader: batches in a seeded order, the next ones prepared in threads while this one trains."""

from __future__ import annotations

import collections
import contextlib
import itertools
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Generator as AbcGenerator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeAlias

import numpy as np

from mydl.backend import Generator
from mydl.data import draws
from mydl.data.collate import default_collate, default_convert
from mydl.data.dataset import IterableDataset, get_batch, get_samples
from mydl.data.sampler import BatchSampler, RandomSampler, SequentialSampler

Batches: TypeAlias = AbcGenerator[Any, None, None]


_FIXED = ("batch_size", "batch_sampler", "dataset", "drop_last", "sampler")


class DataLoader:
    """Iterates over a dataset in batches; PyTorch's DataLoader, with threads in the place of processes.

    Args:
        dataset: anything with `__getitem__`, and `__len__` unless a sampler is given. Datasets of arrays are
            indexed a whole batch at a time, others sample by sample. An IterableDataset is read in its own order
            and takes no shuffle or sampler.
        batch_size: samples in a batch; None gives single samples, not collated.
        shuffle: a new random order in every epoch.
        sampler, batch_sampler: the order of the samples, or of lists of them, instead.
        num_workers: threads that prepare batches ahead; 0 prepares each one when it is asked for. One is
            enough to hide the preparation behind the training step. The order of the batches does not depend
            on it.
        collate_fn: makes a batch from a list of samples; by default `default_collate`.
        pin_memory, pin_memory_device, persistent_workers, in_order: taken so that PyTorch's scripts run. They
            change no result: memory is not pinned, threads last one epoch, and batches always come in order.
        drop_last: leave out a last batch that is shorter than the others.
        timeout: give up on a batch that takes a thread longer than so many seconds; 0 waits.
        worker_init_fn: called with a thread's number, 0 … num_workers - 1, before its first batch.
        multiprocessing_context: must be None; there are no processes.
        generator: where the order and the augmentations draw from, anew in every epoch; mydl's default one if
            None.
        prefetch_factor: batches that are prepared ahead for each thread; 2 if None.
        seed: makes the order and the augmentations of every epoch a function of (seed, epoch), and of (seed,
            epoch, sample), whatever else draws random numbers.

    A batch of (input, target) samples is the list [inputs, targets] of tensors.

    `set_epoch` chooses the epoch; without it every iteration is the next one. `state_dict()` says which batch
    of which epoch comes next; after `load_state_dict(state)` the next iteration goes on from there, with the
    same order and the same augmentations. An error in a thread is raised in the loop. No thread outlives the
    loop, however it ends.

    >>> loader = DataLoader(range(10), batch_size=4, shuffle=True, seed=0)
    >>> len(loader), sorted(i for batch in loader for i in batch.tolist())
    (3, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    __class_getitem__: Any = classmethod(types.GenericAlias)  # DataLoader[int] says what the samples are

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: None = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        seed: int | None = None,
    ) -> None:
        _check_options(num_workers, timeout, prefetch_factor, persistent_workers, generator, seed)
        if multiprocessing_context is not None:
            raise NotImplementedError("DataLoader: multiprocessing_context: mydl loads in threads, not in processes")
        if not hasattr(dataset, "__getitem__"):
            raise TypeError(f"DataLoader: wanted a dataset with __getitem__, got {type(dataset).__name__}")
        self._streamed = isinstance(dataset, IterableDataset)  # then what the "sampler" gives are the samples
        if self._streamed:
            if shuffle or sampler is not None or batch_sampler is not None:
                raise ValueError("DataLoader: an IterableDataset has its own order: leave out shuffle and samplers")
            sampler = dataset
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: give sampler or shuffle=True, not both")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: batch_size=None gives single samples and excludes drop_last")
        self._order = Generator()  # draw number e shuffles epoch e
        if batch_sampler is not None:
            batch_size, sampler = None, getattr(batch_sampler, "sampler", None)
        elif sampler is None:
            sampler = RandomSampler(dataset, generator=self._order) if shuffle else SequentialSampler(dataset)
        self.dataset = dataset
        self.sampler: Any = sampler
        self.batch_sampler: Any = batch_sampler
        if batch_size is not None:
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last)  # type: ignore[arg-type]
        self.batch_size, self.drop_last, self.num_workers = batch_size, drop_last, num_workers
        self.collate_fn = collate_fn or (default_convert if self.batch_sampler is None else default_collate)
        self.pin_memory, self.timeout = pin_memory, timeout
        self.worker_init_fn, self.generator = worker_init_fn, generator
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.seed = seed
        self._epoch = 0  # the epoch and batch that come next …
        self._batch = 0
        self._begun = False  # … unless this epoch was begun and left: then the next iteration is the next epoch
        self._epoch_seed: int | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and "_epoch_seed" in self.__dict__:
            raise ValueError(f"DataLoader: {name} is fixed once the loader is made; make another one")
        object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)

    def __iter__(self) -> Iterator[Any]:
        if self._begun:
            self._epoch, self._batch, self._epoch_seed = self._epoch + 1, 0, None
        if self._epoch_seed is None:
            self._epoch_seed = draws.new_seed(self.generator) if self.seed is None else self.seed
        self._begun = True
        return self._iterate(self._epoch_seed, self._epoch, self._batch)

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration epoch number `epoch`, from its first batch.

        Keeps a position inside that very epoch which `load_state_dict` has set. A sampler with a `set_epoch`
        of its own is told too.
        """
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)
        if self._begun or epoch != self._epoch:
            self._epoch, self._batch, self._epoch_seed, self._begun = int(epoch), 0, None, False

    def state_dict(self) -> dict[str, Any]:
        """Where the loop stands: the epoch, the number of its batches delivered so far, and its seed."""
        return {"epoch": self._epoch, "batch": self._batch, "seed": self._epoch_seed}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go back to where `state_dict` was made: the next iteration gives the batch that came after it."""
        if set(state_dict) != {"epoch", "batch", "seed"}:
            raise ValueError(f"DataLoader: wanted a state with epoch, batch and seed, got {sorted(state_dict)}")
        for name, value in state_dict.items():
            if (name, value) == ("seed", None):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"DataLoader: state: wanted {name} to be an integer of at least 0, got {value!r}")
        if self.seed is not None and state_dict["seed"] not in (self.seed, None):
            raise ValueError(f"DataLoader: a state of seed {state_dict['seed']} for a loader of seed {self.seed}")
        self.set_epoch(state_dict["epoch"])
        self._epoch, self._batch, self._begun = state_dict["epoch"], state_dict["batch"], False
        self._epoch_seed = state_dict["seed"]

    def _iterate(self, seed: int, epoch: int, start: int) -> Iterator[Any]:
        # A seed drawn for this epoch alone tells it from the others already.
        counter = epoch if self.seed is not None else 0
        self._order.set_state((seed, counter))
        indices = enumerate(self.sampler if self.batch_sampler is None else self.batch_sampler)
        remaining = itertools.islice(indices, start, None)
        loaded = self._prefetched if self.num_workers else self._loaded
        with contextlib.closing(loaded(seed, counter, remaining)) as batches:
            for number, batch in enumerate(batches, start + 1):
                if (epoch, seed) == (self._epoch, self._epoch_seed):
                    self._batch = number
                yield batch
        if (epoch, seed) == (self._epoch, self._epoch_seed):
            self._epoch, self._batch, self._epoch_seed, self._begun = epoch + 1, 0, None, False

    def _load(self, seed: int, epoch: int, number: int, indices: Any) -> Any:
        """Prepare one batch (or one sample, without batches)."""
        if self.batch_sampler is None:
            with draws.reading(seed, epoch, _sample_numbers([indices], number)):
                return self.collate_fn(indices if self._streamed else self.dataset[indices])
        with draws.reading(seed, epoch, _sample_numbers(indices, number)):
            if self._streamed:
                return self.collate_fn(indices)
            if self.collate_fn is default_collate:
                return get_batch(self.dataset, indices)
            return self.collate_fn(get_samples(self.dataset, indices))

    def _loaded(self, seed: int, epoch: int, batches: Iterator[tuple[int, Any]]) -> Batches:
        for number, indices in batches:
            yield self._load(seed, epoch, number, indices)

    def _prefetched(self, seed: int, epoch: int, batches: Iterator[tuple[int, Any]]) -> Batches:
        """The same batches, made in `num_workers` threads, `prefetch_factor` ahead for each."""
        names, local = itertools.count(), threading.local()

        def load(number: int, indices: Any) -> Any:
            if not hasattr(local, "worker"):
                local.worker = next(names)
                if self.worker_init_fn is not None:
                    self.worker_init_fn(local.worker)
            return self._load(seed, epoch, number, indices)

        ahead = self.num_workers * max(self.prefetch_factor or 1, 1)
        pool = ThreadPoolExecutor(self.num_workers, thread_name_prefix="mydl-loader")
        pending: collections.deque[Future[Any]] = collections.deque()
        wait = True
        try:
            pending.extend(pool.submit(load, *item) for item in itertools.islice(batches, ahead))
            while pending:
                future = pending.popleft()
                try:
                    batch = future.result(self.timeout or None)
                except FutureTimeoutError:
                    if future.done():  # a TimeoutError of the dataset's own
                        raise
                    wait = False
                    raise RuntimeError(f"DataLoader: no batch within timeout={self.timeout} seconds") from None
                pending.extend(pool.submit(load, *item) for item in itertools.islice(batches, 1))
                yield batch
        finally:
            pool.shutdown(wait=wait, cancel_futures=True)


def _sample_numbers(indices: Any, number: int) -> list[int]:
    """What tells samples apart for `draws`: their indices, or their places in the batch if those are keys."""
    if all(isinstance(index, (int, np.integer)) and index >= 0 for index in indices):
        return list(indices)
    return [(number << 20) + place for place in range(len(indices))]


def _check_options(
    num_workers: Any, timeout: Any, prefetch_factor: Any, persistent_workers: Any, generator: Any, seed: Any
) -> None:
    if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(f"DataLoader: wanted num_workers of at least 0, got {num_workers!r}")
    if timeout < 0:
        raise ValueError(f"DataLoader: wanted a timeout of at least 0 seconds, got {timeout!r}")
    if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 0):
        raise ValueError(f"DataLoader: prefetch_factor={prefetch_factor}: wanted at least 0, and num_workers above 0")
    if persistent_workers and num_workers == 0:
        raise ValueError("DataLoader: persistent_workers needs num_workers of at least 1")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**64):
        raise ValueError(f"DataLoader: wanted a seed from 0 to 2**64 - 1, got {seed!r}")
    if seed is not None and generator is not None:
        raise ValueError("DataLoader: give seed or generator, not both")


def get_worker_info() -> None:
    """None, as in PyTorch's main process: every dataset is read as a whole, an IterableDataset by one thread.

    >>> get_worker_info() is None
    True
    """
