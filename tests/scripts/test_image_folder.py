"""Folders of images: every mode of picture, damage by name, and a cache that is never stale."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mydl
from mydl.data.mnist import cache_folder
from scripts.image_folder import has_own_test, read_folder
from scripts.pictures import read_picture

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (6, 9, 3)).astype(np.uint8)
GREY = RNG.integers(0, 256, (6, 9)).astype(np.uint8)
LUMA = np.array([0.299, 0.587, 0.114])


def saved(path: Path, array: np.ndarray, mode: str | None = None, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


@pytest.fixture
def root(tmp_path) -> Path:
    """Three images of 9×6: two cats, a grey one and one in colour, and a dog in a folder below."""
    saved(tmp_path / "pets" / "cat" / "a.png", GREY)
    saved(tmp_path / "pets" / "cat" / "b.png", RGB)
    saved(tmp_path / "pets" / "dog" / "old" / "c.bmp", 255 - RGB)
    return tmp_path / "pets"


def grey(rgb):
    return np.rint(rgb @ LUMA)


def close(image, expected):
    return (
        image.dtype == np.uint8 and image.shape == expected.shape and np.abs(image - expected.astype(float)).max() <= 1
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode(tmp_path, channels):
    """RGB, grey, palette, black and white, CMYK, 16 bits and floating: the same picture, as far as the mode has it."""
    sixteen = GREY.astype(np.uint16) * 257
    coarse = GREY // 128 * 255
    files = {
        saved(tmp_path / "rgb.png", RGB): RGB,
        saved(tmp_path / "rgb.tif", RGB): RGB,
        saved(tmp_path / "rgb.webp", RGB, lossless=True): RGB,
        saved(tmp_path / "cmyk.tif", RGB, "CMYK"): RGB,
        saved(tmp_path / "grey.png", GREY): GREY,
        saved(tmp_path / "palette.png", GREY, "P"): GREY,
        saved(tmp_path / "bits.png", coarse, "1"): coarse,
        saved(tmp_path / "sixteen.png", sixteen): GREY,
        saved(tmp_path / "sixteen.tif", sixteen): GREY,
        saved(tmp_path / "sixteen.pgm", sixteen.astype(np.int32)): GREY,
        saved(tmp_path / "one.tif", GREY.astype(np.float32) / 255): GREY,
        saved(tmp_path / "float.tif", GREY.astype(np.float32)): GREY,
    }
    assert len(files) == 12
    for path, picture in files.items():
        wanted = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
        image = read_picture(path, channels)
        assert close(image, wanted if channels == 3 else grey(wanted)), path.name


def test_transparency(tmp_path):
    alpha = RNG.integers(0, 256, (6, 9, 1)).astype(np.uint8)
    path = saved(tmp_path / "rgba.png", np.concatenate([RGB, alpha], axis=2))
    share = alpha / 255
    for background, value in (("white", 255), ("black", 0)):
        assert close(read_picture(path, 3, background=background), np.rint(share * RGB + (1 - share) * value))
    path = saved(tmp_path / "la.png", np.stack([GREY, alpha[..., 0]], axis=2))
    assert close(read_picture(path, 1), np.rint(share * GREY[..., None] + (1 - share) * 255)[..., 0])
    saved(tmp_path / "palette.gif.png", GREY // 128, transparency=0)
    assert close(read_picture(tmp_path / "palette.gif.png", 1), np.where(GREY < 128, 255, 1))
    # A drawing stays visible, whichever colour it has.
    for ink, seen_on in ((0, 255), (255, 0)):
        drawing = np.zeros((8, 8, 4), np.uint8)
        drawing[3:5] = (ink, ink, ink, 255)
        image = read_picture(saved(tmp_path / f"{ink}.png", drawing), 1, background=None)
        assert image[0, 0] == seen_on and image[3, 3] == ink


def test_upright_and_scaled(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned; shown right, the picture is turned clockwise
    path = saved(tmp_path / "turned.png", RGB, exif=exif)
    assert np.array_equal(read_picture(path, 3), np.rot90(RGB, -1))
    expected = np.asarray(Image.fromarray(RGB).resize((3, 2), Image.Resampling.BILINEAR))
    assert np.array_equal(read_picture(saved(tmp_path / "plain.png", RGB), 3, (2, 3)), expected)
    assert read_picture(path, 1, (4, 5)).shape == (4, 5)


def test_strange_values(tmp_path):
    for value in (-1.0, np.nan, 300.0):
        path = saved(tmp_path / "strange.tif", np.full((2, 2), value, np.float32))
        with pytest.raises(ValueError, match=r"strange\.tif: not a readable image .*pixels from"):
            read_picture(path, 1)


def test_what_a_folder_gives(root):
    found = read_folder(root, 3)
    assert found.classes == ["cat", "dog"] and found.labels.tolist() == [0, 0, 1] and found.damaged == []
    assert np.array_equal(found.images, np.stack([np.repeat(GREY[..., None], 3, 2), RGB, 255 - RGB]))
    assert read_folder(root, 1).images.shape == (3, 6, 9)
    assert read_folder(root, 1, (4, 4)).images.shape == (3, 4, 4)


def caches() -> list[Path]:
    return sorted((cache_folder() / "folders").iterdir())


def test_the_cache_is_used_and_never_stale(root):
    first = read_folder(root, 1)
    (cache,) = caches()
    # That the cache serves can only be seen by one that says something else.
    mydl.save({"images": first.images + 1}, cache, mydl.load_metadata(cache))
    assert np.array_equal(read_folder(root, 1).images, first.images + 1)
    path = root / "cat" / "a.png"
    before = path.stat()
    changed = GREY.copy()
    changed[0, 0] ^= 1
    Image.fromarray(changed).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = read_folder(root, 1)
    assert np.array_equal(second.images[0], changed) and second.content != first.content
    path.rename(root / "dog" / "a.png")
    third = read_folder(root, 1)
    assert third.labels.tolist() == [0, 1, 1] and third.content != second.content
    assert caches() == [cache], "one file, whatever the folder went through"
    assert read_folder(root, 3).content == third.content and read_folder(root, 1, (3, 3)).images.shape == (3, 3, 3)
    assert len(caches()) == 3
    shutil.copytree(root, root.parent / "copy")
    assert read_folder(root.parent / "copy", 1).content == third.content


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-5], lambda data: bytes(len(data))])
def test_a_damaged_cache_is_made_anew(root, damage):
    expected = read_folder(root, 1).images
    (cache,) = caches()
    good = cache.read_bytes()
    cache.write_bytes(damage(good))
    assert np.array_equal(read_folder(root, 1).images, expected) and cache.read_bytes() == good
    mydl.save({"images": expected[:1]}, cache, mydl.load_metadata(cache))
    assert np.array_equal(read_folder(root, 1).images, expected)


def test_no_cache_is_no_obstacle(root, capsys):
    cache_folder().parent.mkdir(parents=True, exist_ok=True)
    cache_folder().write_text("a file in the place of the folder")
    assert len(read_folder(root, 1).images) == 3
    assert "read anew the next time" in capsys.readouterr().out


def test_damaged_images(root):
    (root / "cat" / "note.png").write_text("not a picture")
    whole = (root / "cat" / "b.png").read_bytes()
    (root / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "dog" / "gone.png").symlink_to("nowhere.png")
    (root / "dog" / "folder.png").mkdir()
    with pytest.raises(
        ValueError, match=r"note\.png: not a readable image .*JPEG, PNG.* \(and 2 more\); .*--skip-bad$"
    ):
        read_folder(root, 1)
    for _ in range(2):  # read, and from the cache
        found = read_folder(root, 1, skip_bad=True)
        assert found.labels.tolist() == [0, 0, 1] and np.array_equal(found.images[0], GREY)
        assert [re.search(r"\w+\.png", line).group() for line in found.damaged] == ["note.png", "cut.png", "gone.png"]
    with pytest.raises(ValueError, match=r"and 2 more"):
        read_folder(root, 1)
    (root / "dog" / "old" / "c.bmp").unlink()
    with pytest.raises(ValueError, match="dog: no image in it is whole"):
        read_folder(root, 1, skip_bad=True)


def test_what_cannot_be_used(root, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder of images"):
        read_folder(tmp_path / "nowhere", 1)
    with pytest.raises(FileNotFoundError, match="no class folders"):
        read_folder(root / "cat", 1)
    saved(root / "cat" / "big.png", np.zeros((7, 9), np.uint8))
    with pytest.raises(ValueError, match=r"different sizes, 9×6 and 9×7 \(.*big\.png\); .*--image-size"):
        read_folder(root, 1)
    (root / "bird").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no images in .*bird"):
        read_folder(root, 1)
    shutil.rmtree(root / "bird")
    shutil.rmtree(root / "dog")
    with pytest.raises(ValueError, match="of two classes or more, found 'cat'"):
        read_folder(root, 1)


@pytest.mark.parametrize("name", ["new\nline", "\x1b[31mred", os.fsdecode(b"\xff")])
def test_names_of_classes_can_be_printed(root, name):
    (root / "dog").rename(root / name)
    with pytest.raises(ValueError, match="wanted a name without control characters") as caught:
        read_folder(root, 1)
    assert str(caught.value).isprintable()


def test_a_bomb_is_one_line_and_no_warning(root, recwarn):
    def chunk(name: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + name + content + zlib.crc32(name + content).to_bytes(4, "big")

    for side in (7_000, 10_000, 20_000):  # Pillow takes the first, warns of the second, refuses the third
        header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
        path = root / "cat" / f"bomb{side}.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
        with pytest.raises(ValueError, match=rf"bomb{side}\.png: (too large an|not a readable) image .* pixels"):
            read_folder(root, 1)
        path.unlink()
    assert not recwarn.list


def test_links_in_circles(root):
    (root / "cat" / "again").symlink_to(root / "dog", target_is_directory=True)
    assert read_folder(root, 1).labels.tolist() == [0, 0, 0, 1], "another folder's images are taken"
    (root / "dog" / "loop").symlink_to(root, target_is_directory=True)
    with pytest.raises(ValueError, match=r"loop: a link to a folder that it is itself in"):
        read_folder(root, 1)


def test_train_and_test_beside_each_other(root, tmp_path):
    assert not has_own_test(root) and not has_own_test(tmp_path)
    shutil.copytree(root, tmp_path / "both" / "train")
    assert not has_own_test(tmp_path / "both")
    shutil.copytree(root, tmp_path / "both" / "test")
    assert has_own_test(tmp_path / "both")
