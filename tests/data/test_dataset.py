"""Datasets, collation and splitting, against sample-by-sample reading and PyTorch."""

import collections

import numpy as np
import pytest

import mydl
from mydl.data import (
    ArrayDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    ImageArrayDataset,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
    transforms,
)
from mydl.data.collate import default_convert
from mydl.data.dataset import get_batch
from mydl.errors import ShapeError
from mydl.tensor import MyTensor


def same(batch, other):
    """Equal structure, dtypes and values, bit for bit."""
    if isinstance(batch, MyTensor):
        assert isinstance(other, MyTensor) and batch.array.dtype == other.array.dtype
        np.testing.assert_array_equal(batch.array, other.array)
    else:
        assert type(batch) is type(other) and len(batch) == len(other)
        for one, another in zip(batch, other, strict=True):
            same(one, another)


IMAGES = np.random.default_rng(0).integers(0, 256, (9, 6, 5)).astype(np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (9, 6, 5, 3)).astype(np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5], np.uint8)
FLOATS = np.random.default_rng(2).standard_normal((9, 2, 4, 4)).astype(np.float32)
PLAIN = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.25)])
CALLABLE = transforms.Compose([transforms.ToTensor(), transforms.Lambda(lambda x: x.array.sum(axis=2))])
DATASETS = {
    "vectors": ArrayDataset(FLOATS.reshape(9, -1), LABELS),
    "images": ArrayDataset(FLOATS, LABELS),
    "normalised": ArrayDataset(FLOATS, LABELS, transforms.Normalize((0.1, 0.2), (2.0, 3.0))),
    "regression": ArrayDataset(FLOATS, FLOATS[:, 0, 0, 0].astype(np.float64)),
    "vector targets": ArrayDataset(FLOATS, FLOATS[:, 0, 0]),
    "label functions": ArrayDataset(FLOATS, LABELS, None, lambda y: float(y) / 2),
    "grey": ImageArrayDataset(IMAGES, LABELS, PLAIN),
    "colour": ImageArrayDataset(COLOURS, LABELS.astype(np.int32), PLAIN),
    "cropped": ImageArrayDataset(COLOURS, LABELS, transforms.Compose([transforms.Resize(4), PLAIN])),
    "callable": ImageArrayDataset(IMAGES, LABELS, CALLABLE),
    "function": ImageArrayDataset(IMAGES, LABELS, np.asarray),
    "tensors": TensorDataset(MyTensor(FLOATS), MyTensor(LABELS), MyTensor(IMAGES)),
    "subset": Subset(ImageArrayDataset(IMAGES, LABELS, PLAIN), [8, 7, 6, 5, 4, 3, 2, 1, 0]),
    "subset of subset": Subset(Subset(ArrayDataset(FLOATS, LABELS), list(range(9))), np.arange(9)[::-1]),
    "concat": ArrayDataset(FLOATS[:4], LABELS[:4]) + ArrayDataset(FLOATS[4:], LABELS[4:]),
}


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("indices", [[2, 0, 8, 8], [5]])
def test_a_whole_batch_equals_its_collated_samples(name, indices):
    data = DATASETS[name]
    assert len(data) == 9
    same(get_batch(data, indices), default_collate([data[index] for index in indices]))


def test_array_datasets_read_no_single_samples(monkeypatch):
    def never(self, index):
        raise AssertionError("read one by one")

    for cls in (ArrayDataset, TensorDataset, Subset):
        monkeypatch.setattr(cls, "__getitem__", never)
    for name in ("vectors", "images", "normalised", "label functions", "grey", "colour", "tensors", "subset"):
        get_batch(DATASETS[name], [1, 2])


def test_an_overridden_getitem_is_never_bypassed():
    class WithIndex(ImageArrayDataset):
        def __getitem__(self, index):
            return *super().__getitem__(index), index

    images, labels, indices = get_batch(Subset(WithIndex(IMAGES, LABELS, PLAIN), [4, 2]), [1, 0])
    assert indices.tolist() == [2, 4] and labels.tolist() == [4, 5] and images.shape == (2, 1, 6, 5)


def test_getitems_is_pytorchs_protocol():
    class Squares(Dataset):
        def __getitems__(self, indices):
            return [index**2 for index in indices]

    assert get_batch(Squares(), [1, 5]).tolist() == [1, 25]


def test_image_samples():
    data = ImageArrayDataset(COLOURS, LABELS)
    image, label = data[-1]
    assert image.mode == "RGB" and label == 5 and type(label) is int
    np.testing.assert_array_equal(np.asarray(image), COLOURS[-1])
    with pytest.raises(IndexError):
        data[9]
    with pytest.raises(TypeError, match="ToTensor"):
        data.get_batch([0, 1])
    with pytest.raises(ValueError, match=r"wanted uint8 images .* got float32 \(9, 2, 4, 4\)"):
        ImageArrayDataset(FLOATS, LABELS)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match=r"ArrayDataset: .*\(9, 2, 4, 4\), \(8,\)"):
        ArrayDataset(FLOATS, LABELS[:8])
    with pytest.raises(ValueError, match="TensorDataset"):
        TensorDataset(MyTensor(FLOATS), MyTensor(np.array(3.0)))
    with pytest.raises(TypeError, match="got ndarray; arrays: use ArrayDataset"):
        TensorDataset(FLOATS)


def test_concat():
    data = ConcatDataset([range(3), range(10, 12), [], "x"])
    assert [data[i] for i in range(6)] == [0, 1, 2, 10, 11, "x"] and data[-2] == 11
    assert data.cumulative_sizes == [3, 5, 5, 6]
    for index in (6, -7):
        with pytest.raises(IndexError, match=f"index {index} is out of range for 6"):
            data[index]
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])
    assert [(Subset("abc", [2]) + Subset("abc", [0]))[i] for i in range(2)] == ["c", "a"]


@pytest.mark.parametrize(
    ("size", "lengths", "expected"),
    [(10, [7, 3], [7, 3]), (10, [0.7, 0.3], [7, 3]), (11, [0.5, 0.5], [6, 5]),
     (5, [0.3, 0.3, 0.4], [2, 1, 2]),
     (4, [4], [4]), (4, [1], [4]), (4, [0, 1], [0, 4]), (7, [0, 7], [0, 7]), (1, [1, 0], [1, 0])],
)  # fmt: skip
def test_random_split_is_a_partition(size, lengths, expected):
    parts = random_split(range(100, 100 + size), lengths, seed=3)
    assert [len(part) for part in parts] == expected
    assert sorted(i for part in parts for i in part) == list(range(100, 100 + size))


def test_random_split_lengths_are_pytorchs():
    data = pytest.importorskip("torch.utils.data")
    for size, lengths in ((17, [0.25, 0.35, 0.4]), (100, [0.1] * 10), (13, [0.9, 0.1]), (8, [3, 5])):
        theirs = [len(part) for part in data.random_split(range(size), lengths)]
        assert [len(part) for part in random_split(range(size), lengths)] == theirs


def test_random_split_seeds():
    def split(**options):
        return [list(part.indices) for part in random_split(range(50), [20, 30], **options)]

    assert split(seed=1) == split(seed=1) != split(seed=2)
    assert split(generator=mydl.Generator(5)) == split(generator=mydl.Generator(5))
    mydl.manual_seed(9)
    first, second = split(), split()
    mydl.manual_seed(9)
    assert split() == first != second
    with pytest.raises(TypeError, match=r"wanted a mydl\.Generator, got int"):
        split(generator=5)


@pytest.mark.parametrize("lengths", [[3, 3], [0.5, 0.6], [11, -1], [7.5, 2.5], [0.5, 0.2]])
def test_random_split_refuses(lengths):
    with pytest.raises(ValueError, match="must add up to the 10 samples"):
        random_split(range(10), lengths)


Point = collections.namedtuple("Point", "x y")


def test_collate_as_pytorch():
    torch = pytest.importorskip("torch")
    collate = pytest.importorskip("torch.utils.data").default_collate

    def plain(value):
        if isinstance(value, (MyTensor, torch.Tensor)):
            array = value.numpy()
            return str(array.dtype), array.shape, array.tolist()
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return (type(value), [plain(v) for v in value]) if isinstance(value, (list, tuple)) else value

    row = np.arange(3, dtype=np.float32)
    for batch in (
        [1, 2], [1.5, 2], [True, False], ["a", "b"], [row, row + 1], [np.float32(1), np.float32(2)],
        [(row, 1), (row, 2)], [[1, "x"], [2, "y"]], [{"a": 1, "b": row}, {"a": 2, "b": row}],
        [Point(1, 2.0), Point(3, 4.0)], [(row, (1, {"k": 2.5}))] * 2, [np.int8(3), np.int8(4)],
        [np.array(2)] * 2,
    ):  # fmt: skip
        assert plain(default_collate(batch)) == plain(collate(batch))
    assert plain(default_collate([MyTensor(row)] * 2)) == plain(collate([torch.from_numpy(row)] * 2))


def test_collate_refuses():
    with pytest.raises(TypeError, match=r"got builtins\.NoneType"):
        default_collate([None, None])
    with pytest.raises(TypeError, match="ndarray of object"):
        default_collate([np.array([None])])
    with pytest.raises(ShapeError, match=r"one shape, got \(2,\), \(3,\)"):
        default_collate([np.zeros(2), np.zeros(3)])
    with pytest.raises(ValueError, match=r"different lengths: \[1, 2\]"):
        default_collate([(1,), (1, 2)])
    with pytest.raises(ValueError, match="no samples"):
        default_collate([])


def test_convert():
    converted = default_convert((np.zeros(2), {"a": np.float32(1)}, Point(np.ones(1), "s"), 5))
    assert isinstance(converted[0], MyTensor) and isinstance(converted[1]["a"], MyTensor)
    assert isinstance(converted[2].x, MyTensor) and converted[2].y == "s" and converted[3] == 5


@pytest.mark.parametrize("batch", [[1, 2.5], [True, 3], [1, True], [2, 3]])
def test_numbers_of_several_kinds_collate_as_pytorch_does(batch):
    torch = pytest.importorskip("torch")
    wanted = torch.utils.data.default_collate(batch)
    found = default_collate(batch)
    assert (found.tolist(), str(found.dtype)) == (wanted.tolist(), str(wanted.dtype).removeprefix("torch."))


def test_tensors_of_two_dtypes_collate_as_pytorch_does():
    torch = pytest.importorskip("torch")
    wanted = torch.utils.data.default_collate([torch.tensor(1), torch.tensor(2.5)])
    found = default_collate([mydl.tensor(1), mydl.tensor(2.5)])
    assert (found.tolist(), str(found.dtype)) == (wanted.tolist(), str(wanted.dtype).removeprefix("torch."))


class Stream(IterableDataset):
    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self):
        return ((np.full(2, n, np.float32), n) for n in range(self.size))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("size", "drop_last", "expected"),
    [(5, False, [[0, 1], [2, 3], [4]]), (5, True, [[0, 1], [2, 3]]), (0, False, [])],
)
def test_an_iterable_dataset_is_read_in_its_own_order(workers, size, drop_last, expected):
    loader = DataLoader(Stream(size), batch_size=2, drop_last=drop_last, num_workers=workers)
    for _ in range(2):
        assert [labels.tolist() for _, labels in loader] == expected
    assert all(images.shape == (len(labels), 2) for images, labels in loader)
    assert [label for _, label in DataLoader(Stream(3), batch_size=None)] == [0, 1, 2]
    with pytest.raises(TypeError):
        len(loader)  # nobody knows, unless the dataset does
    with pytest.raises(ValueError, match="its own order"):
        DataLoader(Stream(3), shuffle=True)


def test_generic_aliases_as_annotations_and_bases():
    from mydl.data import DataLoader, Sampler

    class Numbers(Dataset[int]):
        def __getitem__(self, index):
            return index

        def __len__(self):
            return 3

    assert DataLoader[int].__origin__ is DataLoader and Sampler[int].__args__ == (int,)
    assert [batch.tolist() for batch in DataLoader(Numbers(), batch_size=2)] == [[0, 1], [2]]


def test_chained_streams():
    from mydl.data import ChainDataset, DataLoader, IterableDataset, get_worker_info

    class Stream(IterableDataset):
        def __init__(self, *values):
            self.values = values

        def __iter__(self):
            assert get_worker_info() is None
            return iter(self.values)

        def __len__(self):
            return len(self.values)

    chain = Stream(1, 2) + Stream(3)
    assert len(chain) == 3
    for workers in (0, 2):
        batches = [batch.tolist() for batch in DataLoader(chain, batch_size=2, num_workers=workers)]
        assert batches == [[1, 2], [3]]
    with pytest.raises(TypeError, match="IterableDatasets, got list"):
        list(ChainDataset([Stream(1), [2]]))
