"""ImageFolder: order, labels, and what happens to broken images."""

import contextlib
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from mydl.data import DataLoader, ImageFolder, folder, transforms


@pytest.fixture
def root(tmp_path):
    for number, name in enumerate(["dog/b.png", "dog/a.jpg", "cat/x/deep.BMP", "cat/1.png", "dog/notes.txt"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".txt":
            path.write_text("no image")
        else:
            Image.new("RGB", (6, 4), (40 * number, 10, 20)).save(path)
    return tmp_path


def test_classes_samples_and_targets(root):
    data = ImageFolder(root)
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
    paths = [path[len(str(root)) + 1 :].replace("\\", "/") for path, _ in data.samples]
    assert paths == ["cat/1.png", "cat/x/deep.BMP", "dog/a.jpg", "dog/b.png"]
    assert data.targets == [0, 0, 1, 1] and data.imgs is data.samples and len(data) == 4
    image, label = data[0]
    assert image.mode == "RGB" and image.getpixel((0, 0)) == (120, 10, 20) and label == 0


def test_transforms_and_batches(root):
    data = ImageFolder(root, transforms.Compose([transforms.Resize((2, 3)), transforms.ToTensor()]), lambda y: -y)
    images, labels = next(iter(DataLoader(data, batch_size=4)))
    assert images.shape == (4, 3, 2, 3) and images.array.dtype == np.float32
    assert labels.tolist() == [0, 0, -1, -1]


def test_own_loader_and_own_choice_of_files(root):
    data = ImageFolder(root, loader=str.upper, is_valid_file=lambda path: path.endswith(".txt"), allow_empty=True)
    assert [label for _, label in data] == [1] and data[0][0].endswith("NOTES.TXT")


def test_empty_folders(root, tmp_path):
    (tmp_path / "bird").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no images in .*bird"):
        ImageFolder(root)
    assert len(ImageFolder(root, allow_empty=True)) == 4
    with pytest.raises(FileNotFoundError, match="no class folders"):
        ImageFolder(tmp_path / "bird")
    with pytest.raises(FileNotFoundError, match="absent"):
        ImageFolder(tmp_path / "absent")


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:60], lambda data: b"GIF89a" + bytes(50)])
def test_broken_images(tmp_path, damage):
    path = tmp_path / "broken.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8)).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"broken\.png: not a readable image"):
        folder.read_image(path)


def test_decompression_bombs(tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (6_000, 6_000)).save(path)
    with pytest.raises(ValueError, match=r"6000×6000 pixels of 1 in PNG could take 343 MB .* at most 210"):
        folder.read_image(path)


def test_large_files_are_refused_before_they_are_opened(tmp_path):
    """WebP's decoder reads the whole file before anybody can ask how large the image is."""
    path = tmp_path / "long.webp"
    Image.new("RGB", (4, 4)).save(path)
    with open(path, "r+b") as file:
        file.truncate(106 << 20)  # sparse
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"long\.webp: .*opening it could take 212 MB of memory; wanted at most 210"):
        folder.read_image(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_read_as_it_is_stored(tmp_path):
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    assert np.array_equal(folder.read_image(tmp_path / "deep.png", np.asarray), pixels)
    with pytest.raises(ValueError, match=r"deep\.png: not a readable image \(ZeroDivisionError"):
        folder.read_image(tmp_path / "deep.png", lambda image: 1 / 0)


def test_a_header_that_announces_gigabytes_asks_for_no_memory(tmp_path):
    Image.new("RGB", (9, 12)).save(tmp_path / "whole.png")
    content = bytearray((tmp_path / "whole.png").read_bytes())
    place = content.index(b"IDAT")
    content[place - 4 : place] = (2**31 - 1).to_bytes(4, "big")
    (tmp_path / "greedy.png").write_bytes(content)
    tracemalloc.start()
    with contextlib.suppress(ValueError):
        folder.read_image(tmp_path / "greedy.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_what_is_no_image(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(
        ValueError, match=r"text\.png: not a readable image \(none of JPEG, PNG, PPM, BMP, TIFF, WEBP\)$"
    ):
        folder.read_image(tmp_path / "text.png")
    with pytest.raises(ValueError, match="not a readable image"):
        folder.read_image(tmp_path)


def test_links(root):
    (root / "cat" / "more").symlink_to(root / "dog", target_is_directory=True)
    assert ImageFolder(root).targets == [0, 0, 0, 0, 1, 1]
    (root / "cat" / "x" / "up").symlink_to("..", target_is_directory=True)
    with pytest.raises(ValueError, match=r"up: a link to a folder that it is itself in"):
        ImageFolder(root)
