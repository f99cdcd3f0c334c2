"""Samplers: what an epoch contains, and how often."""

import numpy as np
import pytest

import mydl
from mydl import data
from mydl.data import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def test_sequential_and_random_orders():
    assert list(SequentialSampler(range(5))) == [0, 1, 2, 3, 4]
    sampler = RandomSampler(range(50), generator=mydl.Generator(1))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(50)) and first != second
    assert list(RandomSampler(range(50), generator=mydl.Generator(1))) == first
    assert list(RandomSampler([])) == [] and len(sampler) == 50


def test_random_with_and_without_replacement():
    drawn = list(RandomSampler(range(7), num_samples=18))
    assert len(drawn) == 18 and sorted(drawn[:7]) == sorted(drawn[7:14]) == list(range(7))
    assert len(set(drawn[14:])) == 4
    drawn = list(RandomSampler(range(7), replacement=True, num_samples=7000))
    assert np.abs(np.bincount(drawn, minlength=7) - 1000).max() < 150
    with pytest.raises(ValueError, match="num_samples"):
        RandomSampler(range(7), num_samples=0)


def test_every_place_is_equally_likely():
    orders = np.array([list(RandomSampler(range(4), generator=mydl.Generator(s))) for s in range(2000)])
    for place in range(4):
        assert np.abs(np.bincount(orders[:, place]) - 500).max() < 100


def test_subset_random():
    sampler = SubsetRandomSampler([5, 3, 8], mydl.Generator(0))
    assert sorted(sampler) == [3, 5, 8] and len(sampler) == 3


def test_weighted():
    drawn = list(WeightedRandomSampler([1, 0, 3], 4000))
    assert set(drawn) == {0, 2} and abs(drawn.count(2) - 3000) < 150
    assert sorted(WeightedRandomSampler([1, 5, 0, 2], 3, replacement=False)) == [0, 1, 3]
    for weights, count, replacement, says in (
        ([0, 0], 1, True, "cannot draw 1 samples with replacement from 0"),
        ([1, 0], 2, False, "cannot draw 2 samples without replacement from 1"),
        ([1, -1], 1, True, "finite weights of at least 0"),
        ([1, np.nan], 1, True, "finite weights"),
        ([1], 0, True, "num_samples"),
        ([1], 1, 2, "replacement"),
    ):
        with pytest.raises(ValueError, match=says):
            WeightedRandomSampler(weights, count, replacement)


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 9])
def test_batches_as_pytorch(size, drop_last):
    data = pytest.importorskip("torch.utils.data")
    ours, theirs = BatchSampler(range(size), 3, drop_last), data.BatchSampler(range(size), 3, drop_last)
    assert list(ours) == list(theirs) and len(ours) == len(theirs)


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3"])
def test_bad_batch_sizes(size):
    with pytest.raises(ValueError, match="batch_size"):
        BatchSampler(range(3), size, False)


@pytest.mark.parametrize("size", [0, 1, 5, 6, 7])
@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("drop_last", [False, True])
def test_distributed_sampler_as_in_pytorch(size, processes, drop_last):
    torch_data = pytest.importorskip("torch.utils.data")
    for rank in range(processes):
        ours = data.DistributedSampler(range(size), processes, rank, shuffle=False, drop_last=drop_last)
        if size or not drop_last:
            theirs = torch_data.DistributedSampler(range(size), processes, rank, shuffle=False, drop_last=drop_last)
            assert (len(ours), list(ours)) == (len(theirs), list(theirs) if size else [])


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_the_batches_of_all_processes_are_those_of_one(processes):
    whole = data.DataLoader(range(24), batch_size=8, shuffle=True, seed=5)
    shares = [data.DistributedSampler(range(24), processes, rank, seed=5) for rank in range(processes)]
    loaders = [data.DataLoader(range(24), 8 // processes, sampler=share, seed=5) for share in shares]
    orders = []
    for epoch in range(2):
        for loader in (whole, *loaders):
            loader.set_epoch(epoch)
        for batch, *parts in zip(whole, *loaders, strict=True):
            assert sorted(batch.tolist()) == sorted(i for part in parts for i in part.tolist())
            orders.append(batch.tolist())
    assert orders[:3] != orders[3:]


def test_distributed_sampler_refuses_a_rank_that_there_is_not():
    with pytest.raises(ValueError, match=r"wanted a rank from 0 to 1, .*, got 2"):
        data.DistributedSampler(range(3), 2, 2)
