"""Preparation: its statistics against NumPy's, its JSON there and back, what it refuses."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from PIL import Image

import mydl
from mydl.backend import to_host
from scripts.preparation import KINDS, Preparation

GREY = np.random.default_rng(0).integers(0, 256, (50, 5, 7)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 200, (50, 6, 4, 3)).astype(np.uint8)


def channels_first(images):
    x = images.astype(np.float64) / 255
    return x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_kinds(images):
    x = channels_first(images)
    axes = (0, 2, 3)
    expected = {
        "none": x * 255,
        "scale": x,
        "pixel": (x - x.mean(0)) / (x.std(0) + 1e-6),
        "channel": (x - x.mean(axes, keepdims=True)) / x.std(axes, keepdims=True),
    }
    for kind, wanted in expected.items():
        inputs = Preparation.of(images, kind)(images).array
        assert inputs.dtype == np.float32
        np.testing.assert_allclose(inputs, wanted, rtol=1e-5, atol=1e-5)
    assert np.array_equal(Preparation.of(images, "none")(images).array, x * 255)


@pytest.mark.parametrize("kind", ["pixel", "channel"])
def test_what_never_changed_is_0_whatever_comes(kind):
    for value in range(256):
        images = np.full((3, 2, 2), value, np.uint8)
        prepare = Preparation.of(images, kind)
        assert not prepare(images).array.any() and not prepare(255 - images).array.any()


def test_one_image_and_a_batch():
    for images in (GREY, COLOUR):
        prepare = Preparation.of(images, "pixel")
        batch = prepare(images).array
        for number in (0, 49):
            assert np.array_equal(prepare(images[number]).array, batch[number])
            assert np.array_equal(prepare(Image.fromarray(images[number])).array, batch[number])


def test_augmentation_comes_between_scaling_and_statistics():
    seen = []
    prepare = Preparation((5, 7), 1, "none", augmentation=lambda x: (seen.append(x), 1 - x)[1])
    inputs = prepare(GREY).array
    assert seen[0].shape == (50, 1, 5, 7) and seen[0].min() >= 0 and seen[0].max() == 1
    np.testing.assert_allclose(inputs, 255 - GREY[:, None], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_json_there_and_back(ledger, images, kind):
    prepare = Preparation.of(images, kind)
    again = Preparation.from_json(json.loads(json.dumps(prepare.to_json())))
    expected = prepare(images).array
    assert np.array_equal(again(images).array, expected)
    on_device = mydl.tensor(images, device="cuda").array
    np.testing.assert_allclose(to_host(again(on_device).array), expected, rtol=1e-6)


def test_other_images_are_refused():
    prepare = Preparation.of(GREY, "scale")
    for images in (COLOUR, GREY[:, 1:], GREY.astype(np.float32), GREY[0, 0]):
        with pytest.raises(ValueError, match="preparation: wanted uint8 images of 5×7, got "):
            prepare(images)
    with pytest.raises(ValueError, match="wanted one of none, scale, pixel, channel, got 'pixels'"):
        Preparation.of(GREY, "pixels")


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("channel", ["size"], [28]),
        ("channel", ["size"], [0, 28]),
        ("channel", ["size"], [1 << 40, 28]),
        ("channel", ["channels"], 4),
        ("channel", ["channels"], True),
        ("channel", ["normalize"], "twice"),
        ("channel", ["mean"], [float("nan")]),
        ("channel", ["mean"], [10**400]),
        ("channel", ["mean"], ["0.5"]),
        ("channel", ["deviation"], [-1.0]),
        ("channel", ["deviation"], []),
        ("pixel", ["mean", "float32"], "AAAA"),
        ("pixel", ["mean", "float32"], "not base64!"),
        ("pixel", ["mean"], None),
        ("pixel", ["mean"], 0.5),
    ],
)
def test_tampered_json(kind, path, value):
    content = copy.deepcopy(Preparation.of(GREY, kind).to_json())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=r"^preparation: wanted .*$"):
        Preparation.from_json(content)
