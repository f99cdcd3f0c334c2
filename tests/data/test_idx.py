"""read_idx against bytes written by hand, and against every way that such a file can lie."""

import gzip
import hashlib
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mydl.data.idx import idx_sha256, read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx_bytes(array, code=None):
    """An IDX file with struct, element by element: independent of how read_idx puts bytes together."""
    kind = array.dtype.str[1:]
    letter = {"u1": "B", "i1": "b", "i2": "h", "i4": "i", "f4": "f", "f8": "d"}[kind]
    header = struct.pack(">BBBB", 0, 0, CODES[kind] if code is None else code, array.ndim)
    header += struct.pack(f">{array.ndim}I", *array.shape)
    return header + struct.pack(f">{array.size}{letter}", *array.ravel().tolist())


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 0, 3), (2, 1, 3, 2)])
@pytest.mark.parametrize("packed", [False, True])
def test_every_dtype_and_rank(tmp_path, kind, shape, packed):
    array = (np.arange(np.prod(shape, dtype=int)) * 1.5 - 3).astype(np.int8).astype(kind).reshape(shape)
    data = idx_bytes(array)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(data) if packed else data)
    found = read_idx(path)
    assert found.dtype == array.dtype
    assert found.shape == shape
    assert found.dtype.isnative and found.flags.writeable
    np.testing.assert_array_equal(found, array)
    assert idx_sha256(found) == hashlib.sha256(data).hexdigest()


def test_name_does_not_decide(tmp_path):
    data = idx_bytes(np.arange(4, dtype="u1"))
    (tmp_path / "plain.gz").write_bytes(data)
    (tmp_path / "packed").write_bytes(gzip.compress(data))
    assert read_idx(tmp_path / "plain.gz").tolist() == read_idx(str(tmp_path / "packed")).tolist() == [0, 1, 2, 3]


GOOD = idx_bytes(np.arange(12, dtype="i2").reshape(3, 4))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "not an IDX file"),
        (b"\0\0\x0a" + GOOD[3:], "a dtype's code"),
        (GOOD[:10], "found 6 of the 8 header bytes"),
        (GOOD[:-1], "no more than 23"),
        (GOOD + b"\0", "more data than the 24 bytes"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "more than any array"),
        (b"\0\0\x0e\xff" + b"\0" * 1020, "more than any array"),
        (b"\0\0\x08\x03" + b"\0\0\0\0" + b"\xff" * 8, "more than any array|no more than 0"),
        (b"\0\0\x08\x01\x7f\xff\xff\xff" + bytes(100), "no more than 100"),
    ],
)
def test_damaged_plain_files(tmp_path, data, says):
    path = tmp_path / "damaged-file"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=says) as error:
        read_idx(path)
    assert "damaged-file" in str(error.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (gzip.compress(GOOD)[:-9], "incomplete gzip"),
        (gzip.compress(GOOD)[:-4] + b"\1\2\3\4", "damaged"),
        (gzip.compress(GOOD)[:12] + b"\xff" * 20, "damaged"),
        (gzip.compress(GOOD) + b"rubbish", "damaged"),
        (gzip.compress(GOOD[:-1]), "found 23"),
        (gzip.compress(GOOD + b"\0"), "more data"),
        (gzip.compress(GOOD[:9]), "found 5 of the 8"),
        (gzip.compress(b""), "not an IDX file"),
        (b"\x1f\x8b", "incomplete"),
    ],
)
def test_damaged_gzip_files(tmp_path, data, says):
    path = tmp_path / "damaged.gz"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=says) as error:
        read_idx(path)
    assert "damaged.gz" in str(error.value)


def test_gzip_bombs_take_no_memory(tmp_path):
    path = tmp_path / "bomb.gz"
    size = 100 << 20
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"\0\0\x08\x01" + size.to_bytes(4, "big"))
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="104,857,600 bytes of data, but a file of this size"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        read_idx(tmp_path / "absent")
    with pytest.raises(OSError, match=tmp_path.name):
        read_idx(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="pipe: not an ordinary file"):
            read_idx(tmp_path / "pipe")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data(), packed=st.booleans())
def test_mutated_files_give_an_array_or_a_clear_error(tmp_path_factory, data, packed):
    content = bytearray(gzip.compress(GOOD, mtime=0) if packed else GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    path = tmp_path_factory.mktemp("fuzz") / "mutated"
    path.write_bytes(bytes(content))
    try:
        assert isinstance(read_idx(path), np.ndarray)
    except (ValueError, OSError) as error:
        assert "mutated" in str(error)


def test_idx_sha256_refuses_what_idx_cannot_hold():
    with pytest.raises(TypeError, match="int64"):
        idx_sha256(np.zeros(3, np.int64))
