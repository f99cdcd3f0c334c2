"""A run's history as TensorBoard's event files: `tensorboard --logdir results` shows the curves of all runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["EventFile", "library"]


def library() -> tuple[Any, Any, Any, Any]:
    """What of tensorboardX an event file is written with; RuntimeError if that is not installed."""
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.summary import scalar
    except ImportError as error:
        raise RuntimeError("--tensorboard: wanted the package tensorboardX (pip install tensorboardX)") from error
    return EventsWriter, Event, SessionLog, scalar


class EventFile:
    """An event file in the folder `tensorboard` of a run, to which each epoch's row of the history is added.

    Args:
        folder: the run's folder.
        epochs: how many epochs are done already; TensorBoard forgets what older files of the run say of later ones.

    Raises RuntimeError if tensorboardX is not installed.
    """

    def __init__(self, folder: Path, epochs: int = 0) -> None:
        EventsWriter, Event, SessionLog, scalar = library()
        self.event, self.scalar = Event, scalar
        (folder / "tensorboard").mkdir(exist_ok=True)
        # The file is named after the second it is begun in; the suffix keeps two of one second apart. Not through
        # tensorboardX's SummaryWriter, whose thread writes when it likes: what is shown should not lag behind.
        self.writer = EventsWriter(str(folder / "tensorboard" / "events"), f".{epochs}")
        if epochs:
            session = SessionLog(status=SessionLog.START)
            self.writer.write_event(Event(wall_time=time.time(), step=epochs + 1, session_log=session))

    def write(self, row: Mapping[str, float]) -> None:
        """Add a row of the history; it is on disk when this returns. `train_loss` is called loss/train there."""
        for name, value in row.items():
            part, _, kind = name.partition("_")
            if name != "epoch":
                summary = self.scalar(f"{kind}/{part}" if kind else name, value)
                self.writer.write_event(self.event(wall_time=time.time(), step=int(row["epoch"]), summary=summary))
        self.writer.flush()

    def close(self) -> None:
        """Close the file."""
        self.writer.close()
