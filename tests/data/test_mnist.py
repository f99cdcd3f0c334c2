"""MNIST and FashionMNIST: the real files where they are, and small made-up ones."""

import gzip
import hashlib
import os
import pathlib
import shutil
import types

import numpy as np
import pytest

from mydl.data import MNIST, DataLoader, FashionMNIST, datasets, find_data_root, mnist, transforms

REAL = os.environ.get("MYDL_DATA")
if REAL and not (pathlib.Path(REAL) / "mnist" / "t10k-labels-idx1-ubyte.gz").is_file():
    REAL = None
real = pytest.mark.skipif(REAL is None, reason="no MNIST files: set MYDL_DATA to a folder that has them")


def made_up(seed, train=True, count=12):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
    return images, rng.integers(0, 10, count).astype(np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def write(folder, seed=0, packed=True, splits=("train", "t10k")):
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        images, labels = made_up(seed + (split == "t10k"))
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx(array)
            path = folder / f"{split}-{kind}-ubyte"
            if packed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
            else:
                path.write_bytes(data)
    return folder


@pytest.fixture
def published(monkeypatch):
    """Make the made-up files of seed 10 MNIST's published ones, and those of seed 20 Fashion-MNIST's."""
    for name, seed in (("mnist", 10), ("fashion-mnist", 20)):
        sums = {}
        for split in ("train", "t10k"):
            images, labels = made_up(seed + (split == "t10k"))
            sums[f"{split}-images-idx3-ubyte"] = hashlib.sha256(idx(images)).hexdigest()
            sums[f"{split}-labels-idx1-ubyte"] = hashlib.sha256(idx(labels)).hexdigest()
        monkeypatch.setitem(mnist._PUBLISHED[name].__dict__, "sums", sums)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("where", ["", "mnist", "MNIST/raw"])
def test_where_mnist_is_found(tmp_path, where, packed):
    write(tmp_path / where, packed=packed)
    for train in (True, False):
        images, labels = made_up(0 if train else 1)
        data = MNIST(tmp_path, train)
        np.testing.assert_array_equal(data.data.array, images)
        assert data.data.array.dtype == np.uint8
        assert data.targets.array.dtype == np.int64
        assert data.targets.tolist() == labels.tolist()
        image, label = data[3]
        assert image.mode == "L" and label == labels[3] and type(label) is int
        np.testing.assert_array_equal(np.asarray(image), images[3])


@pytest.mark.parametrize("where", ["fashion-mnist", "FashionMNIST/raw"])
def test_where_fashion_mnist_is_found(tmp_path, where):
    write(tmp_path / where)
    assert len(FashionMNIST(str(tmp_path))) == 12
    with pytest.raises(FileNotFoundError, match="no train files"):
        MNIST(tmp_path)


def test_a_split_alone_is_enough(tmp_path):
    write(tmp_path / "mnist", splits=["t10k"])
    assert len(MNIST(tmp_path, train=False)) == 12
    with pytest.raises(FileNotFoundError, match="no train files"):
        MNIST(tmp_path, train=True)


def test_each_takes_its_own_files_from_an_ambiguous_root(tmp_path, published):
    write(tmp_path / "a", seed=10)
    write(tmp_path / "b", seed=20)
    assert len(MNIST(tmp_path / "a")) == len(FashionMNIST(tmp_path / "b")) == 12
    with pytest.raises(FileNotFoundError, match=r"FashionMNIST: no train files.*holds MNIST"):
        FashionMNIST(tmp_path / "a")
    with pytest.raises(FileNotFoundError, match=r"MNIST: no train files.*holds FashionMNIST"):
        MNIST(tmp_path / "b")


def test_not_even_under_the_other_name(tmp_path, published):
    write(tmp_path / "fashion-mnist", seed=10)
    with pytest.raises(FileNotFoundError, match="holds MNIST"):
        FashionMNIST(tmp_path)
    write(tmp_path / "mnist", seed=20)
    with pytest.raises(FileNotFoundError, match="holds FashionMNIST"):
        MNIST(tmp_path, train=False)


def test_images_of_the_other_beside_unknown_labels(tmp_path, published):
    write(tmp_path / "mnist", seed=0)
    shutil.copy(
        write(tmp_path / "other", seed=20) / "train-images-idx3-ubyte.gz",
        tmp_path / "mnist" / "train-images-idx3-ubyte.gz",
    )
    with pytest.raises(ValueError, match="wanted MNIST, found the file that FashionMNIST has"):
        MNIST(tmp_path)


def test_unknown_files_go_by_the_name_of_their_folder(tmp_path):
    write(tmp_path / "unnamed")
    with pytest.raises(FileNotFoundError, match="holds unknown files"):
        FashionMNIST(tmp_path / "unnamed")
    write(tmp_path / "fashion-mnist")
    assert len(FashionMNIST(tmp_path / "fashion-mnist")) == 12
    with pytest.raises(FileNotFoundError, match="holds unknown files"):
        MNIST(tmp_path / "fashion-mnist")


def test_what_was_found_instead(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such files"):
        MNIST(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        MNIST(tmp_path / "absent")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="lacks train-labels-idx1-ubyte"):
        MNIST(tmp_path)
    with pytest.raises(FileNotFoundError, match="lacks t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"):
        MNIST(tmp_path, train=False)


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        ((12, 28, 28), 11, "12 train images but 11 labels"),
        ((12, 27, 28), 12, r"wanted uint8 images N×28×28, got uint8 \(12, 27, 28\)"),
        ((12, 784), 12, "wanted uint8 images"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path, images, labels, says):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros(images, np.uint8)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(labels, np.uint8)))
    with pytest.raises(ValueError, match=says):
        MNIST(tmp_path)


def test_labels_out_of_range_and_damaged_files(tmp_path):
    write(tmp_path, packed=False)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.full(12, 10, np.uint8)))
    with pytest.raises(ValueError, match=r"labels from 0 to 9, got .* up to 10"):
        MNIST(tmp_path)
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte: the header says"):
        MNIST(tmp_path, train=False)


def test_find_data_root_looks_in_turn(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MYDL_DATA", str(tmp_path / "shared"))
    given = tmp_path / "given"
    given.mkdir()
    write(tmp_path / "cache" / "mydl" / "mnist")
    assert find_data_root("mnist", given) == tmp_path / "cache" / "mydl"
    write(tmp_path / "shared" / "MNIST" / "raw")
    assert find_data_root("mnist") == tmp_path / "shared"
    write(given / "mnist", splits=["train"])
    assert find_data_root("mnist", given) == tmp_path / "shared"
    write(given / "mnist")
    assert find_data_root("mnist", given) == given
    with pytest.raises(FileNotFoundError, match="typo: no such folder"):
        find_data_root("mnist", tmp_path / "typo")
    with pytest.raises(ValueError, match="wanted 'mnist' or 'fashion-mnist', got 'cifar'"):
        find_data_root("cifar")


def test_missing_files_are_fetched_and_read(tmp_path, published, monkeypatch):
    source, asked = write(tmp_path / "source", seed=10), []

    def download(urls, path, *, sha256, content_bytes):
        asked.append((path.name, len(urls)))
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / path.name, path)
        assert sha256 == hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()

    monkeypatch.setattr("mydl.data.download.download", download)
    assert len(MNIST(tmp_path / "root", download=True)) == 12
    assert asked == [("train-images-idx3-ubyte.gz", 2), ("train-labels-idx1-ubyte.gz", 2)]
    assert (tmp_path / "root" / "MNIST" / "raw" / "train-images-idx3-ubyte.gz").is_file()
    MNIST(tmp_path / "root", download=True)
    assert len(asked) == 2
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MYDL_DATA", raising=False)
    assert MNIST(find_data_root("mnist"), train=False).targets.tolist() == made_up(11)[1].tolist()


def test_a_failed_download_says_where_it_looked(tmp_path, monkeypatch):
    def download(urls, path, **options):
        raise OSError(f"could not download {path.name}: no net")

    monkeypatch.setattr("mydl.data.download.download", download)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MYDL_DATA", str(tmp_path / "shared"))
    with pytest.raises(OSError, match=r"FashionMNIST: not in .*shared \(no such folder\), nor in .*cache.*no net"):
        find_data_root("fashion-mnist")


def test_mirrors_are_two_and_sizes_are_those_of_the_arrays():
    for published in mnist._PUBLISHED.values():
        assert len(published.mirrors) == 2
        assert all(url.startswith("http") and url.endswith("/") for url in published.mirrors)
        assert set(published.sums) == set(mnist._SIZES)
    assert mnist._SIZES["train-images-idx3-ubyte"] == 16 + 60_000 * 784
    assert mnist._SIZES["t10k-labels-idx1-ubyte"] == 8 + 10_000


def test_without_a_transform_the_loader_says_what_to_do(tmp_path):
    write(tmp_path)
    with pytest.raises(TypeError, match=r"PIL\.Image\.Image.*transforms\.ToTensor\(\)"):
        next(iter(DataLoader(MNIST(tmp_path), batch_size=2)))


def test_a_batch_equals_its_samples(tmp_path):
    write(tmp_path)
    data = MNIST(
        tmp_path,
        transform=transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]),
        target_transform=lambda label: label + 100,
    )
    images, labels = data.get_batch([5, 0, 11])
    assert images.array.dtype == np.float32 and labels.array.dtype == np.int64
    for row, index in enumerate([5, 0, 11]):
        image, label = data[index]
        np.testing.assert_array_equal(images.array[row], image.array)
        assert labels.tolist()[row] == label


def test_replacing_data_and_targets_as_torchvision_users_do(tmp_path):
    write(tmp_path)
    data = MNIST(tmp_path, transform=transforms.ToTensor())
    data.data, data.targets = data.data.array[:3], [7, 8, 9]
    assert len(data) == 3
    assert data.get_batch([2, 0])[1].tolist() == [9, 7]
    assert data[1][1] == 8


def test_classes():
    assert MNIST.classes[3] == "3 - three" and FashionMNIST.classes[9] == "Ankle boot"
    assert MNIST.class_to_idx.fget(types.SimpleNamespace(classes=["a", "b"])) == {"a": 0, "b": 1}
    assert datasets.MNIST is MNIST and datasets.FashionMNIST is FashionMNIST


@real
def test_the_real_files():
    for cls, mean, deviation in ((MNIST, 0.1307, 0.3081), (FashionMNIST, 0.2860, 0.3530)):
        data = cls(REAL)
        pixels = data.data.array / np.float32(255)
        assert (round(float(pixels.mean()), 4), round(float(pixels.std()), 4)) == (mean, deviation)
        assert data.data.shape == (60_000, 28, 28)
        assert len(cls(REAL, train=False)) == 10_000
        assert find_data_root(cls._name, REAL) == pathlib.Path(REAL)


@real
def test_the_real_files_are_not_taken_for_each_other():
    with pytest.raises(FileNotFoundError, match="mnist holds MNIST"):
        FashionMNIST(pathlib.Path(REAL) / "mnist")
    with pytest.raises(FileNotFoundError, match="fashion-mnist holds FashionMNIST"):
        MNIST(pathlib.Path(REAL) / "fashion-mnist", train=False)
    assert len(MNIST(pathlib.Path(REAL) / "mnist", train=False)) == 10_000
