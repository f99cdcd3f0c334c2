"""TensorBoard's event files hold the rows of the history, read with the format's own messages."""

from __future__ import annotations

import struct
import sys

import pytest

from scripts import train_model
from scripts.event_files import EventFile

ROWS = [{"epoch": n, "train_loss": 1 / n, "val_accuracy": 1 - 0.5 / n, "lr": 0.1, "seconds": 2.0} for n in (1, 2, 3)]
TAGS = {"train_loss": "loss/train", "val_accuracy": "accuracy/val", "lr": "lr", "seconds": "seconds"}


def events(folder):
    """All events of a run, file after file: 8 bytes of length, 4 of checksum, the message, 4 of checksum."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted((folder / "tensorboard").iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            yield Event.FromString(content[12 : 12 + length])
            content = content[16 + length :]


def values(folder):
    return [(event.step, v.tag, v.simple_value) for event in events(folder) for v in event.summary.value]


def test_a_row_is_on_disk_at_once_and_a_resumed_run_goes_on(tmp_path):
    pytest.importorskip("tensorboardX")
    first = EventFile(tmp_path)
    for number, row in enumerate(ROWS[:2], 1):
        first.write(row)
        assert len(values(tmp_path)) == 4 * number
    first.close()
    second = EventFile(tmp_path, epochs=1)
    second.write(ROWS[1])
    second.close()
    wanted = [
        (row["epoch"], tag, pytest.approx(row[name]))
        for row in (*ROWS[:2], ROWS[1])
        for name, tag in TAGS.items()
    ]  # fmt: skip
    assert values(tmp_path) == wanted
    from tensorboardX.proto.event_pb2 import SessionLog

    (purge,) = [event for event in events(tmp_path) if event.session_log.status == SessionLog.START]
    assert purge.step == 2  # from which on TensorBoard forgets what it knew


def test_the_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX.event_file_writer", None)
    with pytest.raises(RuntimeError, match="pip install tensorboardX"):
        EventFile(tmp_path)


def test_it_is_missed_before_anything_is_done(tmp_path, monkeypatch, small, capsys):
    monkeypatch.setitem(sys.modules, "tensorboardX.event_file_writer", None)
    with pytest.raises(RuntimeError, match="pip install tensorboardX"):
        train_model.main([*small, "--tensorboard", "--out", str(tmp_path / "run")])
    assert capsys.readouterr().out == "" and not (tmp_path / "run").exists()
