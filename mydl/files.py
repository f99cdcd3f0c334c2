"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["atomic_write", "remove_leftovers"]


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name complete and on disk, or not at all.

    The bytes go to a temporary file in the same folder, which is synced and then renamed over `path`. If
    anything fails on the way (a full disk, Ctrl-C, an error in the `with` block) it is removed and an older
    file at `path` stays as it was. A symbolic link at `path` is followed.

    Yields:
        A binary file, open for writing.

    Raises:
        OSError: `path` cannot be written; the error names `path`.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "notes.txt") as file:
        ...     _ = file.write(b"whole")
        >>> [p.name for p in folder.iterdir()]
        ['notes.txt']
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}.tmp")
    try:
        # Mode "x" gives the permissions that a plain open() would, which tempfile's 0600 are not.
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync_folder(target.parent)
    except BaseException as error:
        _remove(temporary)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(temporary)):
            raise OSError(error.errno, f"cannot write: {error.strerror}", os.fspath(path)) from error
        raise


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what `atomic_write` could not: the temporary files of processes that were killed.

    For a folder to which no other process writes.

    Example:
        >>> import pathlib, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / f".notes.txt.{'0' * 16}.tmp").write_text("ha")
        >>> remove_leftovers(folder)
        >>> list(folder.iterdir())
        []
    """
    for path in Path(folder).iterdir():
        if re.fullmatch(r"\..+\.[0-9a-f]{16}\.tmp", path.name):
            _remove(path)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the error that led here is the one to report


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows cannot open folders, and needs no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
