"""SyntheticDigits: reproducible, well formed, and neither too easy nor too hard."""

import numpy as np
import pytest

from mydl.data import SyntheticDigits
from mydl.data.transforms import ToTensor


@pytest.fixture(scope="module")
def train():
    return SyntheticDigits()


@pytest.fixture(scope="module")
def test():
    return SyntheticDigits(train=False)


def test_sizes_and_dtypes(train, test):
    assert (train.data.shape, test.data.shape) == ((10_000, 28, 28), (2_000, 28, 28))
    assert train.data.array.dtype == np.uint8 and train.targets.array.dtype == np.int64
    counts = np.bincount(train.targets.array, minlength=10)
    assert counts.size == 10 and counts.min() > 850 and counts.max() < 1150


def test_the_seed_decides_everything(train):
    again = SyntheticDigits()
    np.testing.assert_array_equal(again.data.array, train.data.array)
    np.testing.assert_array_equal(again.targets.array, train.targets.array)
    other = SyntheticDigits(seed=1, size=100)
    assert (other.data.array != train.data.array[:100]).mean() > 0.1


def test_a_larger_set_begins_with_the_smaller_one(train):
    for size in (0, 1, 2500):
        part = SyntheticDigits(size=size)
        np.testing.assert_array_equal(part.data.array, train.data.array[:size])
        np.testing.assert_array_equal(part.targets.array, train.targets.array[:size])


def test_no_image_is_in_both_splits(train, test):
    images = {image.tobytes() for image in train.data.array}
    assert len(images) == 10_000
    assert not images & {image.tobytes() for image in test.data.array}


def test_white_on_black_with_the_digit_in_the_middle(train):
    pixels = train.data.array.astype(np.float32)
    assert 0.08 < (pixels / 255).mean() < 0.25
    assert pixels.max(axis=(1, 2)).min() > 100
    middle, border = pixels[:, 6:22, 6:22].mean(), pixels[:, [0, -1]].mean()
    assert border < 0.25 * middle


def test_a_linear_model_is_not_enough(train, test):
    """A linear classifier fitted in closed form, ridge regression on one-hot labels: between 70% and 95%."""
    inputs = np.c_[train.data.array.reshape(-1, 784) / 255, np.ones(10_000)]
    weights = np.linalg.solve(inputs.T @ inputs + 10 * np.eye(785), inputs.T @ np.eye(10)[train.targets.array])
    found = (np.c_[test.data.array.reshape(-1, 784) / 255, np.ones(2_000)] @ weights).argmax(axis=1)
    assert 0.7 < (found == test.targets.array).mean() < 0.95


def test_samples_are_pil_images_and_batches_tensors():
    data = SyntheticDigits(size=5)
    assert data[2][0].size == (28, 28) and type(data[2][1]) is int
    images, _ = SyntheticDigits(size=5, transform=ToTensor()).get_batch([3, 1])
    assert images.shape == (2, 1, 28, 28)


def test_bad_sizes():
    for size in (-1, 2.5, True):
        with pytest.raises(ValueError, match="wanted a size of at least 0"):
            SyntheticDigits(size=size)
