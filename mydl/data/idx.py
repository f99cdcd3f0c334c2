"""IDX, the file format of MNIST: a rank, a type, the sizes, then the numbers, most significant byte first."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import os
import stat
import sys
import zlib
from collections.abc import Iterator

import numpy as np

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
GZIP_MAGIC = b"\x1f\x8b"
# A gzip file may hold this much, or this many times its own size: images and labels compress 2 to 20 times,
# zeros 1,030 times. Whatever claims more is taken for a bomb.
SMALL_CONTENT = 64 << 20
LARGEST_RATIO = 100


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, gzip-compressed or plain (the content decides, not the name).

    The file starts with two zero bytes, the code of the dtype (8 uint8, 9 int8, 11 int16, 12 int32, 13
    float32, 14 float64) and the rank, then a big-endian uint32 an axis, then the elements in C order. Returns
    an array of that shape and dtype in the machine's own byte order.

    The sizes in the header are compared with what the file can hold before memory is taken for them.

    Raises ValueError for a file that is not IDX, is damaged, cut short or too long, and OSError for one that
    cannot be read; both name the file.

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3]) + bytes([5, 0, 4]))
    >>> read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    with open_content(path) as (stream, available):
        dtype, shape, header_size = _read_header(stream, path)
        size = math.prod(shape) * dtype.itemsize
        if header_size + size > available:
            raise ValueError(
                f"{path}: the header says {_text(shape)} {dtype.name} = {size:,} bytes of data, "
                f"but a file of this size can hold no more than {max(available - header_size, 0):,}"
            )
        try:
            data = np.empty(size, np.uint8)
        except MemoryError:
            raise OSError(f"{path}: no memory for the {size:,} bytes that its header announces") from None
        found = _fill(stream, data)
        if found < size:
            raise ValueError(
                f"{path}: cut short: the header says {_text(shape)} {dtype.name} = {size:,} bytes of data, "
                f"found {found:,}"
            )
        if stream.read(1):
            raise ValueError(f"{path}: more data than the {size:,} bytes of {_text(shape)} {dtype.name} it announces")
    big_endian = data.view(dtype.newbyteorder(">")).reshape(shape)
    return big_endian.astype(dtype, copy=False)


def idx_sha256(array: np.ndarray) -> str:
    """SHA-256, in hexadecimal, of the (decompressed) IDX file that holds `array`.

    An IDX file has only one way to be written, so an array that was read tells its file's sum without a
    second read.

    >>> idx_sha256(np.zeros((2, 2), np.uint8))[:16]
    'e8503f6794c2dfbf'
    """
    import hashlib  # it loads OpenSSL, which takes a twentieth of the time to import mydl

    codes = {np.dtype(name): code for code, name in DTYPES.items()}
    if array.dtype not in codes:
        raise TypeError(f"idx_sha256: IDX has no {array.dtype}, only {', '.join(map(str, codes))}")
    header = bytes([0, 0, codes[array.dtype], array.ndim])
    digest = hashlib.sha256(header + b"".join(size.to_bytes(4, "big") for size in array.shape))
    digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder(">")).data)
    return digest.hexdigest()


@contextlib.contextmanager
def open_content(path: str | os.PathLike[str]) -> Iterator[tuple[io.BufferedIOBase, int]]:
    """The content of a file, plain or gzip-compressed, as a stream, and how many bytes it can hold at most.

    For a plain file that is its size, for a gzip file a bound above which it counts as a bomb. Whatever zlib
    and gzip have to say about a damaged file becomes a ValueError that names it.
    """
    # Opening a pipe would otherwise wait for somebody to write to it.
    flags = getattr(os, "O_NONBLOCK", 0)
    with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as raw:
        status = os.fstat(raw.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path}: not an ordinary file")
        magic = raw.read(2)
        raw.seek(0)
        if magic != GZIP_MAGIC:
            yield raw, status.st_size
            return
        try:
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream, max(SMALL_CONTENT, LARGEST_RATIO * status.st_size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: damaged or incomplete gzip file ({error})") from None


def _read_header(stream: io.BufferedIOBase, path: str | os.PathLike[str]) -> tuple[np.dtype, tuple[int, ...], int]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES:
        codes = ", ".join(f"{code} {np.dtype(name).name}" for code, name in DTYPES.items())
        raise ValueError(
            f"{path}: not an IDX file: it starts with the bytes {list(magic)}, "
            f"wanted 0, 0, a dtype's code ({codes}) and the rank"
        )
    dtype, rank = np.dtype(DTYPES[magic[2]]), magic[3]
    sizes = stream.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise ValueError(f"{path}: cut short: found {len(sizes)} of the {4 * rank} header bytes that give the shape")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    # An axis of size 0 makes any shape "fit", but NumPy still refuses sizes that overflow and more than 64
    # axes.
    if rank > 64 or math.prod(max(size, 1) for size in shape) * dtype.itemsize > sys.maxsize:
        raise ValueError(f"{path}: its header says shape {_text(shape)} of {dtype.name}, more than any array can have")
    return dtype, shape, 4 + 4 * rank


def _fill(stream: io.BufferedIOBase, data: np.ndarray) -> int:
    """Read until `data` is full or the stream ends; the number of bytes read."""
    view, found = data.data, 0
    while found < len(view):
        count = stream.readinto(view[found : found + (1 << 20)])
        if not count:
            break
        found += count
    return found


def _text(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape[:8])) + ("×…" if len(shape) > 8 else "") if shape else "one"
