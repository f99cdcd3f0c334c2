"""Transforms: against Pillow and closed forms, and a batch against its images one by one."""

import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

import mydl
from mydl.data import draws, transforms, warp
from mydl.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    ConvertImageDtype,
    GaussianBlur,
    Grayscale,
    InterpolationMode,
    Lambda,
    Normalize,
    Pad,
    PILToTensor,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    ToTensor,
)
from mydl.tensor import MyTensor

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 12, 9)).astype(np.uint8)
COLOUR = RNG.integers(0, 256, (5, 12, 9, 3)).astype(np.uint8)
BILINEAR = InterpolationMode.BILINEAR
EVERY = [
    Resize(7), Resize((5, 20)), Resize((5, 20), InterpolationMode.NEAREST),
    Resize(20, InterpolationMode.BICUBIC),
    RandomHorizontalFlip(), RandomCrop(6), RandomCrop((14, 8), padding=(1, 2), fill=9), RandomRotation(40),
    RandomRotation(40, BILINEAR, center=(2, 3), fill=100),
    RandomAffine(30, (0.2, 0.3), (0.7, 1.4), (5, 9), BILINEAR),
    RandomAffine(0, shear=(-10, 10, -20, 20), fill=77), ColorJitter(0.4, 0.5, 0.6, 0.2),
    RandomVerticalFlip(), CenterCrop((7, 11)), Pad((1, 2, 3, 4), 9), Pad(2, padding_mode="reflect"), Grayscale(3),
    RandomResizedCrop((6, 8)), GaussianBlur((3, 5)), RandomErasing(0.8), RandomApply([RandomRotation(40)], 0.6),
]  # fmt: skip


def drawn(transform, images, samples=range(5)):
    with draws.reading(3, 1, samples):
        return transform(images)


def both(*images):
    return pytest.mark.parametrize("batch", images, ids=["grey", "colour"][: len(images)])


@pytest.mark.parametrize("transform", EVERY, ids=repr)
@both(GREY, COLOUR)
def test_every_form_of_the_images_gives_the_same_pixels(transform, batch):
    """uint8 batch, PIL images one by one, tensors one by one and in a batch, single arrays."""
    result = drawn(transform, batch)
    assert result.dtype == np.uint8 and result.shape[0] == 5 and result.ndim == batch.ndim
    tensors = ToTensor()(batch)
    on_tensors = drawn(transform, tensors)
    assert isinstance(on_tensors, MyTensor) and on_tensors.array.dtype == np.float32
    for place, image in enumerate(batch):
        alone = drawn(transform, Image.fromarray(image), [place])
        assert isinstance(alone, Image.Image)
        np.testing.assert_array_equal(np.asarray(alone), result[place])
        np.testing.assert_array_equal(drawn(transform, image, [place]), result[place])
        tensor = drawn(transform, ToTensor()(Image.fromarray(image)), [place])
        np.testing.assert_array_equal(tensor.array, on_tensors.array[place])
    if not isinstance(transform, RandomCrop) and "fill=0" in repr(transform):
        near = ToTensor()(result).array
        assert np.abs(np.clip(on_tensors.array, 0, 1) - near).max() < 0.004
    np.testing.assert_array_equal(drawn(transform, tensors.array), on_tensors.array)


def test_every_image_of_a_batch_has_its_own_draws():
    same = np.repeat(GREY[:1], 200, axis=0)
    for transform in (RandomRotation(40), RandomCrop(5), RandomHorizontalFlip(), ColorJitter(0.5)):
        result = transform(same)
        assert len({image.tobytes() for image in result}) > 1
    mydl.manual_seed(0)
    first = RandomRotation(40)(same)
    mydl.manual_seed(0)
    np.testing.assert_array_equal(RandomRotation(40)(same), first)


@both(GREY, COLOUR)
def test_to_tensor(batch):
    whole = ToTensor()(batch)
    assert whole.array.dtype == np.float32 and whole.array.flags.c_contiguous
    channels_last = batch.reshape(5, 12, 9, -1)
    np.testing.assert_allclose(whole.array, channels_last.transpose(0, 3, 1, 2) / 255, rtol=1e-6)
    for place, image in enumerate(batch):
        for form in (image, Image.fromarray(image)):
            np.testing.assert_array_equal(ToTensor()(form).array, whole.array[place])


def test_to_tensor_of_other_kinds():
    floats = RNG.standard_normal((4, 3, 2))
    assert ToTensor()(floats.astype(np.float64)).array.dtype == np.float64
    np.testing.assert_array_equal(ToTensor()(floats).array, floats[:, None])
    np.testing.assert_array_equal(ToTensor()(Image.new("1", (2, 2), 1)).array, np.ones((1, 2, 2)))
    np.testing.assert_array_equal(ToTensor()(Image.new("F", (2, 2), 1.5)).array, np.full((1, 2, 2), 1.5))
    np.testing.assert_array_equal(ToTensor()(Image.new("I", (3, 2), 70_000)).array, np.full((1, 2, 3), 70_000))
    with pytest.raises(TypeError, match="wanted a PIL image or a NumPy array, got MyTensor"):
        ToTensor()(MyTensor(floats))
    with pytest.raises(ValueError, match=r"2 to 4 dims, got shape \(3,\)"):
        ToTensor()(np.zeros(3))


def test_normalize():
    array = RNG.standard_normal((4, 3, 5, 6)).astype(np.float32)
    mean, std = (0.1, 0.2, 0.3), (2.0, 3.0, 4.0)
    expected = (array - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    tensor = MyTensor(array.copy())
    result = Normalize(mean, std)(tensor)
    np.testing.assert_allclose(result.array, expected, rtol=1e-5, atol=1e-6)
    assert result.array.dtype == np.float32
    np.testing.assert_array_equal(tensor.array, array)
    np.testing.assert_allclose(Normalize(mean, std)(MyTensor(array[0])).array, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(Normalize(0.5, 2)(array[:, 0]), (array[:, 0] - 0.5) / 2, rtol=1e-5, atol=1e-6)
    Normalize(mean, std, inplace=True)(tensor)
    np.testing.assert_allclose(tensor.array, expected, rtol=1e-5, atol=1e-6)
    for bad, error, says in (
        (GREY, TypeError, "got uint8; put ToTensor"),
        (Image.new("L", (3, 3)), TypeError, "got Image; put ToTensor"),
        (array[:, :2], ValueError, "3 means and 3 deviations for 2 channels"),
    ):
        with pytest.raises(error, match=says):
            Normalize(mean, std)(bad)
    with pytest.raises(ValueError, match="std must not be zero"):
        Normalize(0.5, (1, 0, 1))


@pytest.mark.parametrize("size", [(6, 5), (12, 9), (25, 30), (3, 30)])
@pytest.mark.parametrize("mode", [InterpolationMode.NEAREST, BILINEAR, InterpolationMode.BICUBIC])
def test_resize_is_pillows(size, mode):
    smooth = np.asarray(Image.fromarray(GREY[0]).resize((9, 12), Image.Resampling.BILINEAR))
    pillow = {"nearest": 0, "bilinear": 2, "bicubic": 3}[mode.value]
    expected = np.asarray(Image.fromarray(smooth).resize(size[::-1], pillow)).astype(int)
    assert np.abs(Resize(size, mode)(smooth).astype(int) - expected).max() <= (16 if mode.value == "bicubic" else 1)


def test_resize_against_pytorch():
    torch = pytest.importorskip("torch")
    images = RNG.standard_normal((2, 3, 11, 8))
    for size in ((5, 5), (20, 9), (11, 30)):
        for mode in ("bilinear", "bicubic"):
            theirs = torch.nn.functional.interpolate(
                torch.from_numpy(images), size, mode=mode, antialias=True, align_corners=False
            )
            np.testing.assert_allclose(warp.resize(images, size, mode), theirs.numpy(), atol=1e-5)


def test_resize_sizes():
    image = Image.new("L", (30, 20))
    assert Resize(10)(image).size == (15, 10)
    assert Resize(10)(image.transpose(Image.Transpose.ROTATE_90)).size == (10, 15)
    assert Resize([10])(image).size == (15, 10)
    assert Resize(10, max_size=12)(image).size == (12, 8)
    assert Resize((4, 7))(image).size == (7, 4)
    assert Resize((4, 7), Image.Resampling.NEAREST)(image).size == (7, 4)
    for size, options, error in (
        (0, {}, ValueError), ((1, 2, 3), {}, ValueError), ((3, 4), {"max_size": 9}, ValueError),
        (8, {"max_size": 8}, ValueError), (8, {"antialias": False}, NotImplementedError),
        (8, {"interpolation": "box"}, ValueError),
    ):  # fmt: skip
        with pytest.raises(error):
            Resize(size, **options)


@pytest.mark.parametrize("angle", [0, 30, 90, -123, 180, 270])
@pytest.mark.parametrize("mode", [InterpolationMode.NEAREST, BILINEAR])
@pytest.mark.parametrize("expand", [False, True])
def test_rotation_is_pillows(angle, mode, expand):
    image = Image.fromarray(GREY[0])
    resample = Image.Resampling.NEAREST if mode is InterpolationMode.NEAREST else Image.Resampling.BILINEAR
    expected = np.asarray(image.rotate(angle, resample, expand=expand, fillcolor=50)).astype(int)
    found = np.asarray(RandomRotation((angle, angle), mode, expand, fill=50)(image)).astype(int)
    assert found.shape == expected.shape
    differing = np.abs(found - expected) > 1
    assert differing.mean() <= 0.02


def test_rotation_about_a_centre():
    image = Image.fromarray(GREY[0])
    expected = np.asarray(image.rotate(33, center=(2, 3)))
    assert (np.asarray(RandomRotation((33, 33), center=(2, 3))(image)) != expected).mean() <= 0.02
    with pytest.raises(ValueError, match="5 images of different sizes"):
        RandomRotation(30, expand=True)(GREY)


@pytest.mark.parametrize("angle", [0, 25, -70])
@pytest.mark.parametrize("shift", [(0, 0), (2, -1)])
@pytest.mark.parametrize("scale", [0.8, 1.3])
@pytest.mark.parametrize("shear", [(0, 0), (20, 0), (10, -15)])
def test_affine_is_the_documented_map(angle, shift, scale, shear):
    """Pillow with the inverse of the map, built here from its factors one by one."""
    turn, along_x, along_y = (
        math.radians(angle),
        math.tan(math.radians(shear[0])),
        math.tan(math.radians(shear[1])),
    )
    move = np.array([[1, 0, 4.5], [0, 1, 6.0], [0, 0, 1]])
    rotate = np.array([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
    shear_y, shear_x = np.eye(3), np.eye(3)
    shear_y[1, 0], shear_x[0, 1] = -along_y, -along_x
    place = np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
    resize = np.diag([scale, scale, 1])
    back = np.linalg.inv(place @ move @ rotate @ resize @ shear_y @ shear_x @ np.linalg.inv(move))
    expected = Image.fromarray(GREY[0]).transform(
        (9, 12), Image.Transform.AFFINE, tuple(back[:2].ravel()), Image.Resampling.BILINEAR
    )
    transform = RandomAffine((angle, angle), (1, 1), (scale, scale), (shear[0],) * 2 + (shear[1],) * 2, BILINEAR)
    wanted = (np.array(shift) / (9, 12) + 1) / 2

    def uniforms(count, columns):
        return np.array([[0.5, *wanted, 0.5, 0.5, 0.5]])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mydl.data.geometry.uniforms", uniforms)
        found = np.asarray(transform(Image.fromarray(GREY[0])))
    assert (np.abs(found.astype(int) - np.asarray(expected)) > 1).mean() <= 0.02


def test_affine_ranges():
    gradient = np.tile(np.arange(100, dtype=np.float32), (300, 100, 1))
    shifts = gradient[:, 50, 50] - RandomAffine(0, translate=(0.2, 0))(gradient)[:, 50, 50]
    assert set(shifts) == set(range(-20, 21))
    for options, says in (
        ({"degrees": -5}, "must not be negative"), ({"degrees": (5, -5)}, "in order"),
        ({"degrees": 5, "translate": (2, 0)}, "translate"), ({"degrees": 5, "scale": (0, 1)}, "scale"),
        ({"degrees": 5, "shear": (1, 2, 3)}, "shear"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            RandomAffine(**options)
    with pytest.raises(NotImplementedError, match="RandomAffine: interpolation"):
        RandomAffine(5, interpolation=InterpolationMode.BICUBIC)
    with pytest.raises(ValueError, match="2 values for images of 3 channels"):
        RandomAffine(5, fill=(1, 2))(COLOUR)


def test_fill_by_channel():
    found = RandomAffine((0, 0), translate=(1, 1), fill=(1, 2, 3))(np.repeat(COLOUR[:1] // 2 + 100, 50, axis=0))
    outside = found[(found < 100).all(axis=-1)]
    assert len(outside) > 100 and (outside == (1, 2, 3)).all()


def test_flip():
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(COLOUR), COLOUR[:, :, ::-1])
    np.testing.assert_array_equal(RandomHorizontalFlip(0)(COLOUR), COLOUR)
    image = Image.fromarray(COLOUR[0])
    np.testing.assert_array_equal(np.asarray(RandomHorizontalFlip(1)(image)), np.asarray(ImageOps.mirror(image)))
    flipped = RandomHorizontalFlip(0.3)(np.tile(np.array([[1, 2]], np.uint8), (4000, 1, 1)))[:, 0, 0] == 2
    assert abs(flipped.mean() - 0.3) < 0.03
    with pytest.raises(ValueError, match="probability"):
        RandomHorizontalFlip(1.1)


def test_crops_come_from_every_place_and_nowhere_else():
    image = np.arange(20, dtype=np.uint8).reshape(4, 5)
    pieces = RandomCrop((2, 3))(np.tile(image, (600, 1, 1)))
    corners = pieces[:, 0, 0]
    assert set(corners.tolist()) == {row * 5 + column for row in range(3) for column in range(3)}
    np.testing.assert_array_equal(pieces - corners[:, None, None], np.tile(image[:2, :3], (600, 1, 1)))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize(
    ("padding", "widths"), [(2, (2, 2, 2, 2)), ((1, 3), (3, 3, 1, 1)), ((1, 2, 3, 4), (2, 4, 1, 3))]
)
def test_crop_padding(mode, padding, widths):
    top, bottom, left, right = widths
    options = {"constant_values": 7} if mode == "constant" else {}
    expected = np.pad(GREY[0], ((top, bottom), (left, right)), mode, **options)
    np.testing.assert_array_equal(RandomCrop(expected.shape, padding, fill=7, padding_mode=mode)(GREY[0]), expected)


def test_crop_sizes():
    with pytest.raises(ValueError, match="13×9 is larger than the image, 12×9"):
        RandomCrop((13, 9))(GREY)
    found = RandomCrop((13, 9), pad_if_needed=True, fill=255)(GREY)
    assert found.shape == (5, 13, 9) and (found == 255).all(axis=2).any(axis=1).all()
    for size, padding, mode in ((3, (1, 2, 3), "edge"), ((1, 2, 3), None, "edge"), (3, None, "wrap")):
        with pytest.raises(ValueError, match="RandomCrop"):
            RandomCrop(size, padding, padding_mode=mode)


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize(
    ("option", "enhance"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
@both(GREY, COLOUR)
def test_color_is_pillows(option, enhance, factor, batch):
    image = Image.fromarray(batch[0])
    unchanged = image.mode == "L" and option == "saturation"
    expected = batch[0] if unchanged else np.asarray(enhance(image).enhance(factor))
    found = np.asarray(ColorJitter(**{option: (factor, factor)})(image))
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.1, 0.5])
def test_hue_is_that_of_colorsys(turn):
    import colorsys

    image = RNG.random((6, 3))
    found = ColorJitter(hue=(turn, turn))(image.T.reshape(1, 3, 2, 3).astype(np.float32))
    for place, rgb in enumerate(image):
        h, s, v = colorsys.rgb_to_hsv(*rgb)
        expected = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
        np.testing.assert_allclose(found[0].reshape(3, -1)[:, place], expected, atol=1e-5)


def test_color_options():
    for options in (
        {"brightness": -1},
        {"hue": 0.6},
        {"hue": (-0.6, 0)},
        {"contrast": (2, 1)},
        {"saturation": "a"},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            ColorJitter(**options)
    with pytest.raises(ValueError, match="wanted grey or RGB images, got 4 channels"):
        ColorJitter(0.5)(np.zeros((2, 3, 3, 4), np.uint8))
    np.testing.assert_array_equal(ColorJitter()(COLOUR), COLOUR)


def test_compose_and_lambda():
    chain = Compose([Resize(6), ToTensor(), Lambda(lambda x: x * 2)])
    assert not chain.whole_batch and Compose([Resize(6), ToTensor()]).whole_batch
    expected = 2 * ToTensor()(Resize(6)(Image.fromarray(GREY[0]))).array
    np.testing.assert_array_equal(chain(Image.fromarray(GREY[0])).array, expected)
    assert repr(Compose([ToTensor(), RandomHorizontalFlip(0.2)])) == (
        "Compose(\n    ToTensor()\n    RandomHorizontalFlip(p=0.2)\n)"
    )
    with pytest.raises(TypeError, match="wanted a function, got int"):
        Lambda(3)


def test_pieces_are_pillows():
    image = Image.fromarray(COLOUR[0])
    np.testing.assert_array_equal(CenterCrop((5, 4))(image), image.crop((2, 4, 6, 9)))  # 3.5 rounds to even, as there
    np.testing.assert_array_equal(Pad((1, 2, 3, 4), (7, 8, 9))(image), _expanded(image, (1, 2, 3, 4), (7, 8, 9)))
    np.testing.assert_array_equal(CenterCrop(13)(image), _expanded(image, (2, 0, 2, 1), 0))
    np.testing.assert_array_equal(RandomVerticalFlip(1)(image), ImageOps.flip(image))
    np.testing.assert_array_equal(RandomResizedCrop((6, 8), (1, 1), (0.75, 0.75))(image), Resize((6, 8))(image))


def _expanded(image, border, fill):
    left, top, right, bottom = border
    fill = fill if isinstance(fill, tuple) else (fill,) * 3
    canvas = Image.new("RGB", (image.width + left + right, image.height + top + bottom), fill)
    canvas.paste(image, (left, top))
    return canvas


def test_resized_crops_have_the_area_and_the_shape_that_was_asked_for():
    rows, columns = np.mgrid[:60, :80].astype(np.float32)
    ramps = np.repeat(np.stack([rows, columns])[None], 300, axis=0)
    out = RandomResizedCrop(20, (0.2, 0.5), (0.5, 2.0), InterpolationMode.NEAREST)(ramps)
    height, width = ((out[:, c].max((1, 2)) - out[:, c].min((1, 2))) * 20 / 19 for c in (0, 1))
    assert (height * width / 4800 > 0.15).all() and (height * width / 4800 < 0.6).all()
    assert (width / height > 0.4).all() and (width / height < 2.5).all() and np.std(width / height) > 0.2
    tall = np.zeros((1, 1, 90, 3), np.float32)
    tall[:, :, 42:48] = 1  # no attempt can fit: the middle is taken
    assert RandomResizedCrop(4, (0.9, 1.0), (0.5, 0.5))(tall).all()


def test_grey_and_blur():
    image = Image.fromarray(COLOUR[0])
    grey = Grayscale()(image)
    assert grey.mode == "L" and np.abs(np.asarray(grey, int) - np.asarray(image.convert("L"), int)).max() <= 1
    assert Grayscale()(COLOUR).shape == (5, 12, 9, 1) and Grayscale(3)(ToTensor()(COLOUR)).shape == (5, 3, 12, 9)
    point = np.zeros((1, 1, 9, 9))
    point[0, 0, 4, 4] = 1
    blurred = GaussianBlur((3, 5), sigma=0.8)(point)[0, 0]
    across, down = (np.exp(-0.5 * (np.arange(-half, half + 1) / 0.8) ** 2) for half in (1, 2))
    wanted = np.outer(down / down.sum(), across / across.sum())
    np.testing.assert_allclose(blurred[2:7, 3:6], wanted, rtol=1e-12)
    assert np.count_nonzero(blurred) == 15


def test_erased_rectangles():
    ones = np.ones((400, 3, 20, 30), np.float32)
    out = RandomErasing(0.5, (0.1, 0.2), (0.5, 2.0), (5.0, 6.0, 7.0))(ones)
    erased = out[:, 0] == 5
    share = erased.mean((1, 2))
    assert 0.4 < (share > 0).mean() < 0.6 and ((share == 0) | ((share > 0.07) & (share < 0.25))).all()
    assert (out[:, 2][erased] == 7).all() and (ones == 1).all()
    for mask in erased[share > 0]:  # one rectangle each
        assert mask.sum() == mask.any(0).sum() * mask.any(1).sum()


def test_random_apply_changes_a_part_of_the_batch():
    batch = np.arange(200, dtype=np.uint8)[:, None, None] * np.ones((1, 5, 5), np.uint8)
    out = RandomApply([Lambda(lambda x: 255 - x), Lambda(lambda x: x)], 0.3)(batch)
    changed = (out == 255 - batch).all((1, 2))
    assert 0.15 < changed.mean() < 0.45 and (out[~changed] == batch[~changed]).all()
    with pytest.raises(ValueError, match="RandomApply"):
        RandomApply([Resize(2)])(batch)


def test_dtypes_of_images():
    image = Image.fromarray(COLOUR[0])
    tensor = PILToTensor()(image)
    assert tensor.dtype == np.uint8 and tensor.shape == (3, 12, 9)
    floating = ConvertImageDtype(mydl.float32)(tensor)
    np.testing.assert_array_equal(floating.array, ToTensor()(image).array)
    np.testing.assert_array_equal(ConvertImageDtype(mydl.uint8)(floating).array, tensor.array)
    white = mydl.ones(1, 1, 1, dtype=mydl.float16)
    assert ConvertImageDtype(mydl.uint8)(white).item() == 255


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)])
def test_pictures_of_any_number_of_channels(mode, channels):
    for transform in (ToTensor(), PILToTensor()):
        assert transform(Image.new(mode, (4, 3))).shape == (channels, 3, 4)


def test_pixels_of_batches_of_more_than_two_thousand_million():
    images = np.broadcast_to(np.uint8(0), (256, 3, 1700, 1700))  # takes no memory
    x = y = np.zeros((256, 1, 1), np.float32)
    first, _ = warp._index(images, x, y)
    assert first[-1].item() == 255 * 3 * 1700 * 1700


@pytest.mark.parametrize(
    "make",
    [
        lambda: Pad((1, 2, 3)), lambda: Pad(1, padding_mode="circular"), lambda: Grayscale(2), lambda: GaussianBlur(4),
        lambda: GaussianBlur(3, (0.0, 1.0)), lambda: RandomErasing(1.5), lambda: RandomErasing(scale=(0.5, 0.1)),
        lambda: RandomResizedCrop(4, ratio=(2.0, 1.0)), lambda: RandomVerticalFlip(-0.1),
    ],
)  # fmt: skip
def test_options_that_are_refused(make):
    with pytest.raises(ValueError, match="wanted"):
        make()


def test_what_no_transform_takes():
    for value, error in (
        ("text", TypeError), (None, TypeError), (np.array(["a"]), TypeError),
        (np.zeros((1, 1, 1, 1, 1)), ValueError),
        (np.zeros(3), ValueError), (np.zeros((2, 2), bool), TypeError), (Image.new("P", (2, 2)), ValueError),
    ):  # fmt: skip
        with pytest.raises(error, match="RandomHorizontalFlip"):
            RandomHorizontalFlip()(value)


def test_empty_batches():
    for transform in EVERY:
        assert transform(GREY[:0]).shape[0] == 0
    assert ToTensor()(GREY[:0]).shape == (0, 1, 12, 9)


def test_names():
    assert set(transforms.__all__) >= {
        "Compose",
        "ToTensor",
        "Normalize",
        "Resize",
        "RandomRotation",
        "Lambda",
    }
