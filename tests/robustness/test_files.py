"""Damaged and hostile files for every reader, and the guard that watches over them."""

from __future__ import annotations

import importlib
import mmap
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mydl.data.folder import LARGEST_IMAGE, read_image
from scripts.pictures import read_picture
from scripts.robustness_tools import guard
from scripts.robustness_tools.guard import guarded, ordinary_error
from scripts.robustness_tools.readers import READERS, fuzz
from scripts.robustness_tools.tally import Effort, Tally


@pytest.mark.parametrize("name", READERS)
def test_some(name, tmp_path):
    tally = fuzz(name, Effort(60), tmp_path)
    assert tally.tried == 60 and tally.lost == []


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_two_thousand(name, tmp_path):
    assert fuzz(name, Effort(2_000, seed=1), tmp_path).lost == []


def hang(random, folder):
    time.sleep(60)


def allocate(random, folder):
    np.ones(300 << 20, np.uint8)


def write_outside(random, folder):
    Path(folder.parent, "outside").write_text("x")


def unpickle(random, folder):
    importlib.import_module("pickle").loads(b"cos\ngetcwd\n(tR.")


def evaluate(random, folder):
    eval("1 + 1")


def start(random, folder):
    subprocess.run(["true"], check=True)


def die(random, folder):
    os.kill(os.getpid(), signal.SIGKILL)


def share(random, folder):
    """Memory that is shared, which no limit on a process's own memory stops."""
    with mmap.mmap(-1, 300 << 20) as memory:
        for _ in range(300):
            memory.write(bytes(1 << 20))


def share_once(random, folder):
    """As when the system had taken back the pages of a library, and they come in again."""
    if not (folder / "seen").exists():
        (folder / "seen").touch()
        share(random, folder)


def complain(random, folder):
    return "the file is wrong"


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (hang, "no answer"),
        (allocate, "MemoryError"),
        (share, "256 MB were in use"),
        (write_outside, "for writing"),
        (unpickle, "pickle.find_class"),
        (evaluate, "ran code"),
        (start, "subprocess.Popen"),
        (complain, "the file is wrong"),
    ],
)
def test_what_the_guard_sees(read, says, tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "SILENCE", 2.0 if read is hang else 60.0)
    monkeypatch.setattr(guard, "WARM_UP", 0)
    (tmp_path / "in").mkdir()
    tally = Tally("files", "test")
    guarded(read, Effort(1), tally, tmp_path / "in")
    assert tally.tried == 1 and len(tally.lost) == 1 and all(says in text for text in tally.lost)


def test_a_reader_that_dies_is_lost_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "WARM_UP", 0)
    tally = Tally("files", "test")
    guarded(lambda random, folder: die(random, folder) if random.random() < 0.5 else None, Effort(6), tally, tmp_path)
    assert tally.tried == 6 and 0 < len(tally.lost) < 6 and all("SIG" in text for text in tally.lost)


def test_memory_counts_that_a_second_reading_takes_too(tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "WARM_UP", 0)
    tally = Tally("files", "test")
    guarded(share_once, Effort(1), tally, tmp_path)
    assert tally.tried == 1 and tally.lost == [] and (tmp_path / "seen").exists()


def test_what_is_no_ordinary_error():
    assert ordinary_error(ValueError("a.png: cut short"), "a.png") is None
    assert ordinary_error(FileNotFoundError(2, "no such file", "a.png"), "a.png") is None
    for error in (KeyError("a.png"), RecursionError("a.png"), UnicodeError("a.png")):
        assert type(error).__name__ in ordinary_error(error, "a.png")
    assert "not named" in ordinary_error(ValueError("cut short"), "a.png")
    assert "256 MB" in ordinary_error(ValueError("a.png: MemoryError"), "a.png")


# The formats whose decoders take most, how they are written, and the bytes that a pixel takes by folder.py.
LARGEST = [
    ("RGB", "png", {}, 10),
    ("RGBA", "png", {}, 12),
    ("I;16", "png", {}, 10),
    ("RGB", "jpeg", {"progressive": True, "subsampling": 0}, 10),
    ("CMYK", "jpeg", {"progressive": True}, 12),
    ("CMYK", "tiff", {"compression": "tiff_lzw", "strip_size": 1 << 30}, 12),
    ("RGB", "webp", {"lossless": True, "quality": 0, "method": 0}, 19),
    ("RGBA", "webp", {"lossless": True, "quality": 0, "method": 0}, 19),
]


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "kind", "options", "size"), LARGEST, ids=[f"{case[0]} {case[1]}" for case in LARGEST])
def test_the_largest_images_take_less_than_256_mb(tmp_path, mode, kind, options, size):
    """In every way that they are read. Pillow may keep what it has freed, so the limit is well below that."""
    side = int((LARGEST_IMAGE / size) ** 0.5)
    path, above = tmp_path / f"large.{kind}", tmp_path / f"larger.{kind}"
    Image.new(mode, (side + 1, side)).save(above, **options)
    with pytest.raises(ValueError, match=r"large.*could take 210 MB of memory; wanted at most 210"):
        read_image(above)
    side = int(((LARGEST_IMAGE - above.stat().st_size) / size) ** 0.5)
    Image.new(mode, (side, side)).save(path, **options)
    ways = [read_image, lambda path: read_picture(path, 3), lambda path: read_picture(path, 3, (8, 8))]
    ways += [lambda path: read_picture(path, 1, background=None)]

    def read(random, folder):
        ways[int(random.random() * len(ways))](path)

    tally = Tally("files", "test")
    guarded(read, Effort(3 * len(ways)), tally, tmp_path)
    assert tally.tried == 3 * len(ways) and tally.lost == []
