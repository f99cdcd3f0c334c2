"""DataLoader: PyTorch's batches, a seeded order, exact positions, and threads that end with the loop."""

import copy
import gc
import itertools
import json
import threading
import weakref

import numpy as np
import pytest

import mydl
from mydl.data import (
    ArrayDataset,
    BatchSampler,
    DataLoader,
    Dataset,
    ImageArrayDataset,
    SequentialSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    transforms,
)
from mydl.tensor import MyTensor


def orders(loader, epochs=1):
    return [[batch.tolist() for batch in loader] for _ in range(epochs)]


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("mydl-loader")]


@pytest.fixture(autouse=True)
def no_thread_survives():
    assert not loader_threads()
    yield
    assert not loader_threads()


@pytest.mark.parametrize("size", [0, 1, 6, 7])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_batches_are_pytorchs(size, drop_last, num_workers):
    torch_data = pytest.importorskip("torch.utils.data")
    theirs = torch_data.DataLoader(range(size), batch_size=3, drop_last=drop_last)
    ours = DataLoader(range(size), batch_size=3, drop_last=drop_last, num_workers=num_workers)
    assert len(ours) == len(theirs)
    assert orders(ours) == [[batch.tolist() for batch in theirs]]


def test_the_documented_arguments_of_pytorch():
    inspect = pytest.importorskip("inspect")
    torch_data = pytest.importorskip("torch.utils.data")
    theirs = inspect.signature(torch_data.DataLoader.__init__).parameters
    ours = inspect.signature(DataLoader.__init__).parameters
    for (name, their), (our_name, our) in zip(theirs.items(), ours.items(), strict=False):
        assert (name, their.default, their.kind) == (our_name, our.default, our.kind)
    assert set(ours) - set(theirs) == {"seed"}


def test_dtypes_of_array_batches():
    images = np.zeros((5, 28, 28), np.uint8)
    for data in (
        ArrayDataset(images.astype(np.float32), np.arange(5, dtype=np.uint8)),
        ImageArrayDataset(images, np.arange(5), transforms.ToTensor()),
    ):
        inputs, labels = next(iter(DataLoader(data, 5)))
        assert (inputs.array.dtype, labels.array.dtype) == (np.float32, np.int64)


def test_the_order_is_a_function_of_seed_and_epoch():
    def make(workers, **options):
        return DataLoader(range(20), 6, shuffle=True, num_workers=workers, **options)

    expected = orders(make(0, seed=5), epochs=3)
    assert len({str(epoch) for epoch in expected}) == 3
    for epoch in expected:
        assert sorted(itertools.chain.from_iterable(epoch)) == list(range(20))
    for workers in (1, 2, 4):
        mydl.manual_seed(workers)
        assert orders(make(workers, seed=5), epochs=3) == expected
    assert orders(make(0, seed=6), epochs=3) != expected
    later = make(1, seed=5)
    later.set_epoch(2)
    assert orders(later) == expected[2:]


def test_without_a_seed_the_generator_decides_anew_in_every_epoch():
    mydl.manual_seed(1)
    loader = DataLoader(range(20), 6, shuffle=True)
    first, second = orders(loader, 2)
    mydl.manual_seed(1)
    assert orders(loader) == [first] != [second]
    given = [orders(DataLoader(range(20), 6, shuffle=True, generator=mydl.Generator(3)), 2) for _ in range(2)]
    assert given[0] == given[1] and given[0][0] != given[0][1]


IMAGES = np.random.default_rng(0).integers(0, 256, (23, 8, 8)).astype(np.uint8)
JITTER = transforms.Compose(
    [
        transforms.RandomAffine(30, (0.2, 0.2), (0.8, 1.2), 10, transforms.InterpolationMode.BILINEAR),
        transforms.RandomHorizontalFlip(),
        transforms.RandomCrop(7, padding=1),
        transforms.ColorJitter(0.3, 0.3),
        transforms.ToTensor(),
        transforms.Normalize(0.5, 0.5),
    ]
)


class OneByOne(ImageArrayDataset):
    def __getitem__(self, index):
        return super().__getitem__(index)


def augmented(cls=ImageArrayDataset, epochs=1, **options):
    """{(epoch, sample): pixels} of all samples as the loader gives them."""
    loader = DataLoader(cls(IMAGES, np.arange(23), JITTER), shuffle=True, **options)
    return {
        (epoch, label): image
        for epoch in range(epochs)
        for images, labels in loader
        for image, label in zip(images.array, labels.tolist(), strict=True)
    }


def test_augmentation_depends_on_seed_epoch_and_sample_alone():
    expected = augmented(batch_size=5, seed=1, epochs=2)
    assert len(expected) == 46
    assert np.abs(expected[0, 3] - expected[1, 3]).max() > 0.1
    for options in (
        {"batch_size": 8}, {"batch_size": 5, "num_workers": 1}, {"batch_size": 4, "num_workers": 3},
        {"batch_size": 6, "cls": OneByOne}, {"batch_size": 3, "cls": OneByOne, "num_workers": 2},
        {"batch_size": 5, "collate_fn": mydl.data.default_collate},
    ):  # fmt: skip
        found = augmented(seed=1, epochs=2, **options)
        for key, image in expected.items():
            np.testing.assert_array_equal(found[key], image)
    assert any((image != expected[key]).any() for key, image in augmented(batch_size=5, seed=2).items())


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("options", [{"seed": 4}, {}])
@pytest.mark.parametrize("done", [0, 1, 3, 5])
def test_resuming_goes_on_exactly_where_it_stopped(num_workers, options, done):
    def make():
        data = ImageArrayDataset(IMAGES, np.arange(23), JITTER)
        return DataLoader(data, 5, shuffle=True, num_workers=num_workers, **options)

    mydl.manual_seed(8)
    loader = make()
    list(loader)
    running = iter(loader)
    for _ in range(done):
        next(running)
    state = json.loads(json.dumps(loader.state_dict()))
    assert (state["epoch"], state["batch"]) == (1, done)
    rest = [(images.array, labels.array) for images, labels in running]
    mydl.manual_seed(99)
    resumed = make()
    resumed.load_state_dict(state)
    resumed.set_epoch(1)  # as a training loop says before every epoch
    again = [(images.array, labels.array) for images, labels in resumed]
    assert len(again) == len(rest) == 5 - done
    for one, other in zip(again, rest, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    assert resumed.state_dict()["epoch"] == 2 and resumed.state_dict()["batch"] == 0
    if options:
        assert orders(DataLoader(range(3), 1, shuffle=True, seed=4), 3)  # its own epochs are its own
        assert [labels.tolist() for _, labels in resumed] == [labels.tolist() for _, labels in loader]


def test_an_iteration_left_early_is_over():
    loader = DataLoader(range(9), 2, shuffle=True, seed=0)
    expected = orders(DataLoader(range(9), 2, shuffle=True, seed=0), 3)
    assert next(iter(loader)).tolist() == expected[0][0]
    assert loader.state_dict() == {"epoch": 0, "batch": 1, "seed": 0}
    assert orders(loader) == [expected[1]]
    assert next(iter(loader)).tolist() == expected[2][0]
    loader.set_epoch(2)
    assert orders(loader) == [expected[2]]
    both = list(zip(loader, DataLoader(range(9), 2), strict=True))
    assert len(both) == 5 and loader.state_dict()["epoch"] == 4


@pytest.mark.parametrize(
    "state",
    [{}, {"epoch": 0, "batch": 1}, {"epoch": -1, "batch": 0, "seed": 0},
     {"epoch": 0, "batch": 1.5, "seed": None},
     {"epoch": 0, "batch": 0, "seed": 3}],
)  # fmt: skip
def test_bad_states(state):
    with pytest.raises(ValueError, match="DataLoader"):
        DataLoader(range(3), seed=0).load_state_dict(state)


def test_samplers_and_their_epochs():
    class Reversed(SequentialSampler):
        epoch = None

        def __iter__(self):
            return reversed(range(len(self.data_source)))

        def set_epoch(self, epoch):
            self.epoch = epoch

    sampler = Reversed(range(5))
    loader = DataLoader(range(5), 2, sampler=sampler)
    assert orders(loader) == [[[4, 3], [2, 1], [0]]] and loader.sampler is sampler
    loader.set_epoch(6)
    assert sampler.epoch == 6
    loader = DataLoader(range(5), batch_sampler=BatchSampler([3, 3, 1], 2, False))
    assert orders(loader) == [[[3, 3], [1]]] and len(loader) == 2 and loader.batch_size is None
    assert orders(DataLoader(range(5), 2, sampler=WeightedRandomSampler([0, 0, 1, 0, 0], 3))) == [[[2, 2], [2]]]
    assert orders(DataLoader({"a": 1, "b": 2}, 2, sampler=["b", "a"])) == [[[2, 1]]]


def test_own_collate_and_no_batches():
    pairs = TensorDataset(MyTensor(np.arange(4)), MyTensor(np.arange(4) * 10))
    batches = list(DataLoader(pairs, 3, collate_fn=lambda samples: [len(samples), type(samples[0])], num_workers=1))
    assert batches == [[3, tuple], [1, tuple]]
    loader = DataLoader(Subset([np.zeros(2), "text"], [1, 0]), batch_size=None)
    first, second = loader
    assert first == "text" and isinstance(second, MyTensor) and len(loader) == 2


class Gate(Dataset):
    """Says what has been read, waits where told to, and fails where told to."""

    def __init__(self, size=40, fail=None, wait=None, error=KeyError):
        self.size, self.fail, self.wait, self.error = size, fail, wait, error
        self.read = []
        self.changed = threading.Condition()
        self.open = threading.Event()

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        with self.changed:
            self.read.append(index)
            self.changed.notify_all()
        if index == self.wait:
            self.open.wait(20)
        if index == self.fail:
            raise self.error(f"sample {index}")
        return index

    def wait_for(self, index):
        with self.changed:
            return self.changed.wait_for(lambda: index in self.read, timeout=20)


def test_the_next_batch_is_prepared_meanwhile_and_not_much_more():
    data = Gate()
    with pytest.raises(StopIteration):
        next(iter(DataLoader([], 2, num_workers=1)))
    batches = iter(DataLoader(data, 2, num_workers=1))
    assert next(batches).tolist() == [0, 1]
    assert data.wait_for(5)  # two batches ahead, without another next()
    assert max(data.read) == 5
    batches.close()
    serial = Gate()
    batches = iter(DataLoader(serial, 2))
    next(batches)
    assert serial.read == [0, 1]


def test_a_slow_sample_does_not_change_the_order():
    data = Gate(wait=0)
    batches = iter(DataLoader(data, 2, num_workers=3))
    threading.Thread(target=lambda: (data.wait_for(7), data.open.set())).start()
    assert [batch.tolist() for batch in batches] == [[2 * i, 2 * i + 1] for i in range(20)]


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize("error", [KeyError, ValueError, TimeoutError])
def test_an_error_in_a_thread_reaches_the_loop(num_workers, error):
    seen = []
    with pytest.raises(error, match="sample 7"):
        for batch in DataLoader(Gate(fail=7, error=error), 2, num_workers=num_workers):
            seen += batch.tolist()
    assert seen == [0, 1, 2, 3, 4, 5]
    assert not loader_threads()


@pytest.mark.parametrize("num_workers", [1, 3])
@pytest.mark.parametrize("end", ["break", "error", "close", "collected", "exhausted"])
def test_no_thread_outlives_the_loop(num_workers, end):
    loader = DataLoader(Gate(), 2, num_workers=num_workers)
    if end == "break":
        for _ in loader:
            assert loader_threads()
            break
    elif end == "error":

        def train():
            for _ in loader:
                raise ArithmeticError("in the loop")

        with pytest.raises(ArithmeticError):
            train()
    elif end == "close":
        batches = iter(loader)
        next(batches)
        batches.close()
    elif end == "collected":
        batches = iter(loader)
        next(batches)
        del batches
    else:
        assert len(list(loader)) == 20
    assert not loader_threads()


def test_nothing_is_kept_alive_without_the_garbage_collector():
    gc.disable()
    try:
        data = Gate()
        loader = DataLoader(data, 2, num_workers=2)
        next(iter(loader))
        gone = weakref.ref(data)
        del data, loader
        assert gone() is None
    finally:
        gc.enable()


def test_timeout():
    data = Gate(wait=2)
    batches = iter(DataLoader(data, 2, num_workers=1, timeout=1))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(RuntimeError, match=r"no batch within timeout=1 seconds"):
        next(batches)
    data.open.set()
    for thread in loader_threads():
        thread.join(20)


def test_worker_init_fn():
    started = []
    list(DataLoader(range(8), num_workers=2, worker_init_fn=started.append))
    assert 0 in started and set(started) <= {0, 1} and len(started) == len(set(started))
    list(DataLoader(range(8), worker_init_fn=started.append))
    assert len(started) <= 2

    def fail(worker):
        raise OSError(f"worker {worker} cannot start")

    with pytest.raises(OSError, match="worker 0 cannot start"):
        list(DataLoader(range(8), num_workers=1, worker_init_fn=fail))


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"batch_size": 0}, ValueError, "batch_size: wanted an integer of at least 1, got 0"),
        ({"num_workers": -1}, ValueError, "num_workers"),
        ({"num_workers": 1.0}, ValueError, "num_workers"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"prefetch_factor": 2}, ValueError, "prefetch_factor"),
        ({"persistent_workers": True}, ValueError, "persistent_workers"),
        ({"shuffle": True, "sampler": [1]}, ValueError, "sampler or shuffle"),
        ({"batch_sampler": [[1]], "shuffle": True}, ValueError, "batch_sampler excludes"),
        ({"batch_sampler": [[1]], "batch_size": 2}, ValueError, "batch_sampler excludes"),
        ({"batch_size": None, "drop_last": True}, ValueError, "batch_size=None"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 1, "generator": mydl.Generator()}, ValueError, "seed or generator"),
        ({"multiprocessing_context": "fork"}, NotImplementedError, "multiprocessing_context"),
    ],
)
def test_bad_options(options, error, says):
    with pytest.raises(error, match=says):
        DataLoader(range(3), **options)


def test_a_dataset_must_have_items():
    with pytest.raises(TypeError, match="wanted a dataset with __getitem__, got generator"):
        DataLoader(i for i in range(3))


def test_options_without_effect_are_taken():
    loader = DataLoader(
        range(4),
        2,
        num_workers=1,
        pin_memory=True,
        persistent_workers=True,
        pin_memory_device="cuda",
        in_order=False,
    )
    assert orders(loader) == [[[0, 1], [2, 3]]]


def test_what_a_loader_was_made_with_is_fixed_and_it_can_be_copied():
    loader = DataLoader(range(6), batch_size=2, shuffle=True, seed=0)
    for name in ("batch_size", "dataset", "drop_last", "sampler", "batch_sampler"):
        with pytest.raises(ValueError, match=f"DataLoader: {name} is fixed"):
            setattr(loader, name, 3)
    first = [batch.tolist() for batch in copy.deepcopy(loader)]
    assert first == [batch.tolist() for batch in loader]
