"""Augmentation: against its formulas point by point and Pillow; a function of seed, epoch and sample alone."""

from __future__ import annotations

import argparse
import math

import numpy as np
import pytest
from PIL import Image

import mydl
from mydl import data
from mydl.backend import to_host
from mydl.data import draws
from scripts import augmentation, datasets
from scripts.augmentation import ALL, USUAL, Augmentation
from scripts.preparation import Preparation

DIGITS = data.SyntheticDigits(size=12).data.numpy()[:, None].astype(np.float32) / 255
SCALE = Preparation((28, 28), 1, "scale")
SQUARES = np.random.default_rng(0).random((12, 3, 9, 14), np.float32)


def augmented(change, images, samples=None):
    samples = range(len(images)) if samples is None else samples
    with draws.reading(7, 2, samples):
        return change(images)


def drawn(count):
    """The draws that an image's changes are made of."""
    with draws.reading(7, 2, range(count)):
        return draws.uniforms(count, 62)


@pytest.mark.parametrize(
    "images", [DIGITS, SQUARES, SQUARES[:, :, :1], SQUARES[:, :1, :1, :1]], ids=lambda x: str(x.shape)
)
@pytest.mark.parametrize("names", [ALL, USUAL, *([name] for name in ALL)], ids=lambda names: "+".join(names))
def test_a_sample_is_changed_alike_alone_and_in_any_batch(images, names):
    change = Augmentation(0.7, names)
    whole = augmented(change, images)
    assert whole.shape == images.shape and whole.dtype == np.float32
    assert np.isfinite(whole).all() and whole.min() >= 0 and whole.max() <= 1
    for samples in ([5], [11, 5, 3, 0]):
        assert np.array_equal(augmented(change, images[samples], samples), whole[samples])


def test_the_share_of_the_images():
    images = np.random.default_rng(1).random((2000, 1, 4, 4), np.float32)
    before = images.copy()
    assert augmented(Augmentation(0), images) is images
    assert (augmented(Augmentation(1), images) != images).any(axis=(1, 2, 3)).all()
    changed = (augmented(Augmentation(0.3, ["contrast"]), images) != images).any(axis=(1, 2, 3))
    assert np.array_equal(changed, drawn(2000)[:, 0] < 0.3)
    assert 0.27 < changed.mean() < 0.33
    assert np.array_equal(images, before)


def turned(image, strengths, u):
    """The formula in the docstring of Augmentation, one output pixel after the other, in float64."""
    _, height, width = image.shape
    border = np.concatenate([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], axis=1)
    background = np.sort(border, axis=1)[:, border.shape[1] // 2]
    signed = 2 * u - 1
    angle = math.radians(strengths.get("rotation", 0) * signed[1])
    shift = [strengths.get("shift", 0) * signed[2] * width, strengths.get("shift", 0) * signed[3] * height]
    shear, zoom = strengths.get("shear", 0) * signed[4], 1 + strengths.get("zoom", 0) * signed[5]
    points = signed[12:].reshape(2, 5, 5) * math.sqrt(3) * strengths.get("elastic", 0) * min(height, width)

    def weights(place, side):
        near = [math.exp(-0.5 * ((place + 0.5) / side * 5 - (k + 0.5)) ** 2 / 0.7**2) for k in range(5)]
        return np.array(near) / math.sqrt(sum(weight**2 for weight in near))

    def pixel(row, column):
        return image[:, row, column] if 0 <= row < height and 0 <= column < width else background

    result = np.empty(image.shape)
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5 - width / 2 - shift[0], row + 0.5 - height / 2 - shift[1]
            x, y = (x + shear * y) / zoom, y / zoom
            x, y = x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle)
            bend = np.einsum("i,j,kij->k", weights(row, height), weights(column, width), points)
            x, y = x + bend[0] + width / 2 - 0.5, y + bend[1] + height / 2 - 0.5
            left, top = math.floor(x), math.floor(y)
            right, down = x - left, y - top
            result[:, row, column] = (1 - down) * (
                (1 - right) * pixel(top, left) + right * pixel(top, left + 1)
            ) + down * ((1 - right) * pixel(top + 1, left) + right * pixel(top + 1, left + 1))
    return result


@pytest.mark.parametrize("images", [DIGITS[:4], SQUARES[:6]], ids=["grey", "colour"])
@pytest.mark.parametrize(
    "names", [["rotation"], ["shift=0.3"], ["shear"], ["zoom=0.5"], ["elastic=0.1"], ALL[:5]], ids=str
)
def test_what_moves_pixels(images, names):
    change = Augmentation(1, names)
    result = augmented(change, images)
    for image, got, u in zip(images, result, drawn(len(images)), strict=True):
        assert np.abs(got - turned(image.astype(np.float64), change.strengths, u)).max() < 2e-4


def test_rotation_is_pillows():
    images = np.zeros_like(DIGITS)
    images[:, :, 4:-4, 4:-4] = DIGITS[:, :, 4:-4, 4:-4]  # nothing on the border, where Pillow does otherwise
    for image, got, u in zip(images, augmented(Augmentation(1, ["rotation"]), images), drawn(12), strict=True):
        picture = Image.fromarray(image[0]).rotate(45 * (2 * u[1] - 1), Image.Resampling.BILINEAR)
        assert np.abs(got[0] - np.asarray(picture)).max() < 1e-3


@pytest.mark.parametrize("images", [DIGITS, SQUARES], ids=["grey", "colour"])
def test_brightness_and_contrast(images):
    u = 2 * drawn(12) - 1
    brighter = augmented(Augmentation(1, ["brightness=0.8"]), images)
    factor = (1 + 0.8 * u[:, 6]).astype(np.float32)[:, None, None, None]
    np.testing.assert_allclose(brighter, np.clip(images * factor, 0, 1), atol=1e-6)
    luma = np.array([0.299, 0.587, 0.114])[:, None, None] if images.shape[1] == 3 else np.ones((1, 1, 1))
    mean = (images * luma).sum(axis=1).mean(axis=(1, 2))[:, None, None, None]
    factor = 1 + 0.3 * u[:, 7][:, None, None, None]
    contrasted = augmented(Augmentation(1, ["contrast"]), images)
    np.testing.assert_allclose(contrasted, np.clip(mean + factor * (images - mean), 0, 1), atol=1e-6)


def test_erasing():
    images = np.random.default_rng(3).random((300, 3, 20, 30), np.float32)
    result = augmented(Augmentation(1, ["erasing=0.2"]), images)
    border = np.concatenate([images[:, :, 0], images[:, :, -1], images[:, :, :, 0], images[:, :, :, -1]], axis=2)
    erased = (result != images).any(axis=1)
    areas, shapes = [], set()
    for image, mask, edge in zip(result, erased, border, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        areas.append(mask.sum())
        if not rows.size:
            continue
        inside = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert mask.sum() == inside[0].size, "a rectangle"
        median = np.sort(edge, axis=1)[:, edge.shape[1] // 2]
        assert np.array_equal(inside, np.broadcast_to(median[:, None, None], inside.shape))
        shapes.add(inside.shape)
    assert max(areas) <= 0.2 * 600 * 1.15 and 0.07 * 600 < np.mean(areas) < 0.13 * 600
    assert len(shapes) > 50 and erased.any(axis=0).mean() > 0.95, "of many shapes, and anywhere"


def test_flip():
    images = np.random.default_rng(4).random((2000, 1, 3, 4), np.float32)
    result = augmented(Augmentation(0.5, ["flip=0.4"]), images)
    same, mirrored = ((result == wanted).all(axis=(1, 2, 3)) for wanted in (images, images[..., ::-1]))
    assert (same ^ mirrored).all() and 0.17 < mirrored.mean() < 0.23
    both = augmented(Augmentation(0.5, ["flip=0.4", "rotation"]), images)
    turned_only = augmented(Augmentation(0.5, ["rotation"]), np.where(mirrored[:, None, None, None], result, images))
    assert np.array_equal(both, turned_only), "the flip comes first, and the other draws are what they were"


@pytest.mark.parametrize("images", [DIGITS, SQUARES], ids=["grey", "colour"])
def test_the_same_on_a_gpu(ledger, images):
    change = Augmentation(0.6, ALL)
    on_device = mydl.tensor(images, device="cuda").array
    ledger.clear()
    result = augmented(change, on_device)
    assert not ledger.downloads
    np.testing.assert_allclose(to_host(result), augmented(change, images), atol=1e-6)


def test_a_run_that_stops_and_goes_on():
    """Whatever the threads: the batches after a state are those of the loader that never stopped."""
    source = datasets.Images((DIGITS[:, 0] * 255).astype(np.uint8), np.arange(12), ["x"] * 12, SCALE)
    source.parts = (range(2, 12), range(2))
    train, val = datasets.split(source, Augmentation(0.5))
    assert np.array_equal(val[0][0].array, SCALE(source.data.numpy()[0]).array), "only what is trained on is changed"

    def batches(workers, state=None):
        loader = data.DataLoader(train, batch_size=4, shuffle=True, seed=5, num_workers=workers)
        if state is not None:
            loader.load_state_dict(state)
        for _ in range(2):
            for inputs, labels in loader:
                yield inputs.numpy(), labels.tolist(), loader.state_dict()

    reference = list(batches(0))
    assert not np.array_equal(reference[0][0], reference[3][0])
    for workers, stop in ((0, 1), (3, 0), (2, 4)):
        rest = list(batches(workers, reference[stop][2]))[: len(reference) - stop - 1]
        for (inputs, labels, _), (expected, wanted, _) in zip(rest, reference[stop + 1 :], strict=True):
            assert labels == wanted and np.array_equal(inputs, expected)


def test_names_and_strengths():
    assert Augmentation(1, ["rotation=15", "shear"]).strengths == {"rotation": 15.0, "shear": 0.2}
    for text, error in {
        "rotatoin": "no augmentation 'rotatoin'; wanted rotation[?]",
        "spin": "wanted one of rotation, shift",
        "rotation=": "wanted a strength above 0 and up to 180, got ''",
        "zoom=1": "up to 0.9, got '1'",
        "shift=nan": "up to 1, got 'nan'",
    }.items():
        with pytest.raises(argparse.ArgumentTypeError, match=error):
            augmentation.strength(text)
        with pytest.raises(ValueError, match=error):
            Augmentation(1, [text])
    for text in ("1.5", "-0.1", "nan", "half"):
        with pytest.raises(argparse.ArgumentTypeError, match="wanted a number from 0 to 1"):
            augmentation.ratio(text)
    with pytest.raises(ValueError, match="wanted a ratio from 0 to 1, got 2"):
        Augmentation(2)
