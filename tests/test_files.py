"""Files are whole or not there at all, whatever happens while they are written."""

from __future__ import annotations

import os

import pytest

from mydl.files import atomic_write


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, RuntimeError, OSError("no number")])
@pytest.mark.parametrize("moment", ["write", "fsync", "replace"])
def test_interruption_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, error, moment):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupt(*_):
        raise error

    if moment != "write":
        monkeypatch.setattr(os, moment, interrupt)
    with pytest.raises(error if isinstance(error, type) else type(error)), atomic_write(path) as file:
        file.write(b"new")
        if moment == "write":
            interrupt()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


def test_atomic_write_is_synced_before_it_is_renamed(tmp_path, monkeypatch):
    """In order: the file's bytes reach the disk, the name changes, the folder reaches the disk."""
    events = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor):
        folder = os.path.isdir(f"/proc/self/fd/{descriptor}")
        events.append("sync folder" if folder else f"sync {os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def record_replace(source, target):
        events.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    with atomic_write(tmp_path / "file") as file:
        file.write(b"12345")
    assert events == ["sync 5 bytes", "rename", "sync folder"]


def test_atomic_write_gives_ordinary_permissions_and_follows_links(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode
    with atomic_write(tmp_path / ("x" * 255)) as file:  # the longest name a folder takes
        file.write(b"content")
