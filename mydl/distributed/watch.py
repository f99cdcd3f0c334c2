"""The watch over the processes of a job: a rank that dies, stops or does not come ends the job, in one line.

Three things are watched for, each by what still works when it happens:

    killed    a shell beside each rank reads a pipe from it; a pipe that ends without a goodbye is reported
    stopped   each rank's watching thread sends a sign of life to the next rank once a second
    absent    who waits in a collective for longer than its timeout asks all ranks where they are

A rank whose program has ended, by an error or not, says so; whoever waits for it in a collective then ends the job.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["Watch"]

TICK = 0.2  # seconds between two looks
BEAT = 1.0  # between two signs of life
SILENCE = 10.0  # without a sign of life, after which a rank counts as stopped
ANSWER = 3.0  # for the answers to "where are you?"

# The shell that outlives its rank for a moment. It holds the launcher's connection (`pass_fds` below), so that the
# launcher does not hear of the death, and end all, before the line is out.
GUARD = 'read goodbye; [ "$goodbye" = yes ] || echo "$0" >&2'


class Watch(threading.Thread):
    """The watching thread of one rank, on a communicator of its own.

    `position` says what the main thread waits in, None while it computes: (text, since when, timeout).
    """

    def __init__(self, comm: Any, mpi: Any, timeout: float) -> None:
        super().__init__(name="mydl-watch", daemon=True)
        self.comm = comm
        self.mpi = mpi
        self.timeout = timeout
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.position: tuple[str, float, float] | None = None
        self._ended = False  # whether this rank's program has
        self._gone: tuple[int, float] | None = None  # a rank whose program has, and when that was heard
        self._answers: dict[int, str] = {}
        self._asked: tuple[float, Any] | None = None  # when, and in what position
        self._done = threading.Event()
        self._sent: list[Any] = []
        self._main = threading.get_ident()
        name = f"rank {self.rank} of {self.size} died: process {os.getpid()} on {socket.gethostname()}"
        launcher = os.environ.get("PMI_FD")
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, f"mydl.distributed: {name} was killed, crashed or ran out of memory"],
            stdin=subprocess.PIPE,
            pass_fds=() if launcher is None else (int(launcher),),
        )
        self.start()

    @contextlib.contextmanager
    def waiting(self, text: str, timeout: float | None = None) -> Iterator[None]:
        """While it lasts the main thread waits in `text`, which ends the job after `timeout` seconds."""
        self.position = (text, time.monotonic(), self.timeout if timeout is None else timeout)
        try:
            yield
        finally:
            self.position = None

    def abort(self, message: str) -> NoReturn:
        """End the whole job with one line on stderr and exit status 2."""
        # Where several ranks have the same to say, the first says it and the others are gone before their turn.
        time.sleep(0.5 if self.rank else 0)
        with contextlib.suppress(OSError):
            print(f"mydl.distributed: {' '.join(message.split())}", file=sys.stderr, flush=True)
            print(end="", flush=True)
        self._say_goodbye()
        time.sleep(0.2)  # for the launcher to pass the line on
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # MPI's own lines would name neither rank nor cause
        self.mpi.COMM_WORLD.Abort(2)
        os._exit(2)

    def leave(self) -> None:
        """This rank's program has ended: wait for the others, and stop watching."""
        self._ended = True  # the thread tells the others
        request = self.comm.Ibarrier()
        with self.waiting("the end of the program", timeout=3600.0):
            while not request.Test():
                time.sleep(0.01)
        self._done.set()
        self.join()
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # the guard may be gone, or have had its goodbye
            self._guard.communicate(b"yes\n", timeout=5)

    # The thread ----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Look around every TICK seconds until the rank leaves."""
        self._heard = looked = time.monotonic()
        beat, told = 0.0, False
        try:
            while not self._done.wait(TICK):
                now = time.monotonic()
                position = self.position
                if now - looked > 10 * TICK:  # this process was stopped itself, and the others with it perhaps
                    self._heard += now - looked
                    if position is not None:
                        position = self.position = (position[0], position[1] + now - looked, position[2])
                looked = now
                if now - beat > BEAT:
                    beat = now
                    self._send((self.rank + 1) % self.size, "alive")
                if self._ended and not told:
                    told = True
                    self._send_to_all("ended")
                self._receive(now)
                self._judge(now, position)
        except Exception as error:
            self.abort(f"rank {self.rank}: the watching thread failed: {error!r}")

    def _send(self, to: int, kind: str, text: str = "") -> None:
        self._sent = [request for request in self._sent if not request.Test()]
        self._sent.append(self.comm.isend((kind, text), to))

    def _send_to_all(self, kind: str) -> None:
        for other in range(self.size):
            if other != self.rank:
                self._send(other, kind)

    def _receive(self, now: float) -> None:
        status = self.mpi.Status()
        while self.comm.iprobe(status=status):
            sender = status.Get_source()
            kind, text = self.comm.recv(source=sender)
            if kind == "alive":
                self._heard = now
            elif kind == "ended":
                self._gone = self._gone or (sender, now)
            elif kind == "where":
                self._send(sender, "here", self._whereabouts())
            else:
                self._answers[sender] = text

    def _judge(self, now: float, position: tuple[str, float, float] | None) -> None:
        """End the job if a rank is silent, has left, or is not where this one waits for it."""
        if now - self._heard > SILENCE:
            before = (self.rank - 1) % self.size
            self.abort(
                f"rank {before} of {self.size} has given no sign of life for {SILENCE:.0f} s: its process is stopped, "
                "or its machine is gone"
            )
        if position is None:
            return
        text, since, timeout = position
        # A second, in which what the rank has sent before it ended arrives.
        if self._gone is not None and not self._ended and now - max(since, self._gone[1]) > 1:
            self.abort(f"rank {self._gone[0]} of {self.size} has ended while rank {self.rank} waits for it in {text}")
        if now - since < timeout:
            return
        if self._asked is None or self._asked[1] is not position:
            self._asked, self._answers = (now, position), {}
            self._send_to_all("where")
        elif now - self._asked[0] > ANSWER:
            self.abort(self._verdict(text, timeout))

    def _whereabouts(self) -> str:
        """What the main thread waits in, or the line of the user's program that it is at."""
        position = self.position
        if position is not None:
            return f"waits in {position[0]}"
        frame = sys._current_frames()[self._main]
        while frame.f_back is not None and "site-packages" in frame.f_code.co_filename:
            frame = frame.f_back
        return f"is at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"

    def _verdict(self, text: str, timeout: float) -> str:
        mine = f"waits in {text}"
        others = {r: self._answers.get(r, "does not answer") for r in range(self.size) if r != self.rank}
        absent = [r for r, answer in others.items() if answer != mine]
        if not absent:
            return f"all {self.size} ranks have waited in {text} for {timeout:.0f} s: MPI delivers nothing"
        return (
            f"rank {absent[0]} of {self.size} has not come to {text} within {timeout:.0f} s, where rank {self.rank} "
            f"waits for it: it {others[absent[0]]} (init(timeout=…) gives more time)"
        )
