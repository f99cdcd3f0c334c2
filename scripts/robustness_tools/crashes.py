"""Power cuts, kills and disks that fail while checkpoints are written: there is always a whole one to go on from."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import mydl
from mydl import nn, optim
from mydl.files import atomic_write, remove_leftovers
from mydl.history import History
from scripts import checkpoint
from scripts.robustness_tools.tally import Effort, Tally

__all__ = ["failing_disks", "kills", "power_cuts", "small_disk"]


def _parts(width: int) -> dict[str, Any]:
    """A model and its optimizer: about 12 · width² bytes of state."""
    model = nn.Linear(width, width)
    optimizer = optim.Adam(model.parameters())
    model(mydl.ones(1, width)).sum().backward()
    optimizer.step()
    return {"model": model, "optimizer": optimizer}


def _steps(path: Path) -> int:
    """Which checkpoint is in a file; an error if it is not whole."""
    content = mydl.load(path)
    if {tensor.numel() for tensor in content["parts"]["model"].values()} == set():
        raise ValueError(f"{path}: no weights")
    return content["progress"]["steps"]


# Kills --------------------------------------------------------------------------------------------------------


def kills(effort: Effort, folder: Path) -> Tally:
    """A process writes checkpoint after checkpoint, and a row of history with each, until it gets kill -9."""
    tally = Tally("crashes", "kill -9 at a random moment of writing checkpoints")
    for number, random in effort:
        tally.faults += 1
        run = folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        try:
            fault = _killed(random, run)
        except (ValueError, OSError, KeyError) as error:
            fault = f"{type(error).__name__}: {error}"
        if fault:
            tally.lose(f"seed {effort.seed}, kill {number}: {fault}")
    return tally


def _killed(random: Random, run: Path) -> str | None:
    parts, keep = _parts(random.choice((8, 64, 300))), random.choice((1, 3))
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _write_for_ever(run, parts, keep, send)
        finally:
            os._exit(1)
    os.close(send)
    announced = os.read(receive, 1)  # the first is written
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(receive, 1 << 16):
        announced += part
    os.close(receive)
    done = len(announced)
    if _steps(run / checkpoint.NAME) not in (done, done + 1):
        return f"{done} checkpoints were announced, {_steps(run / checkpoint.NAME)} is there"
    rows = len(History.read(run / "history.csv"))
    if rows not in (done, done + 1):
        return f"{done} rows were announced, {rows} are there"
    for older in run.glob("checkpoint.*.safetensors"):
        _steps(older)
    remove_leftovers(run)
    odd = [path.name for path in run.iterdir() if path.suffix not in (".safetensors", ".csv")]
    return f"{odd} stayed behind" if odd else None


def _write_for_ever(run: Path, parts: dict[str, Any], keep: int, send: int) -> None:
    history = History(run / "history.csv")
    for number in range(1, 10**6):
        checkpoint.save(run, checkpoint.Progress(steps=number), parts, keep)
        history.append(epoch=number, train_loss=1 / number)
        os.write(send, b".")


# Power cuts ---------------------------------------------------------------------------------------------------


class _Disk:
    """What of a folder would survive a power cut, by the rules that a file system may follow at its worst.

    The bytes of a file are there once it was synced, and none before; a rename is there once the folder was synced,
    and may or may not be before that, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.contents: dict[int, bytes] = {}  # by inode
        self.names: dict[str, int] = {}
        self.renamed: list[tuple[str, int]] = []
        self.states: list[dict[str, bytes]] = []  # each that a cut could have left since the last look

    def note(self) -> None:
        """Add what a power cut at this moment could leave."""
        for count in range(len(self.renamed) + 1):
            names = {**self.names, **dict(self.renamed[:count])}
            self.states.append({name: self.contents.get(inode, b"") for name, inode in names.items()})

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Note every call that orders what is on disk."""
        fsync, replace = os.fsync, os.replace

        def see_sync(descriptor: int) -> None:
            self.note()
            fsync(descriptor)
            about = os.fstat(descriptor)
            if stat.S_ISDIR(about.st_mode):
                self.names.update(self.renamed)
                self.renamed.clear()
            else:
                self.contents[about.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            self.note()

        def see_replace(source: Any, target: Any) -> None:
            self.note()
            self.renamed.append((Path(target).name, os.stat(source).st_ino))
            replace(source, target)
            self.note()

        os.fsync, os.replace = see_sync, see_replace  # type: ignore[assignment]
        try:
            yield
        finally:
            os.fsync, os.replace = fsync, replace


def power_cuts(effort: Effort, folder: Path) -> Tally:
    """Between any two calls that order the disk, the newest checkpoint or the one before must be there, whole."""
    tally = Tally("crashes", "power cut between any two syncs and renames of a checkpoint")
    for number, random in effort:
        run, after = folder / "watched", folder / "after"
        for path in (run, after):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        parts, keep, disk = _parts(random.choice((2, 8))), random.choice((1, 2, 3)), _Disk(run)
        for step in range(1, 5):
            with disk.watched():
                checkpoint.save(run, checkpoint.Progress(steps=step), parts, keep)
            last = disk.states[-1] if not disk.renamed else {}
            for state in [*disk.states, last]:
                tally.faults += 1
                allowed = (step,) if state is last else (step, step - 1)
                fault = _left(state, after, allowed)
                if fault:
                    tally.lose(f"seed {effort.seed}, run {number}, checkpoint {step}: {fault}")
            disk.states.clear()
    return tally


def _left(state: dict[str, bytes], after: Path, allowed: tuple[int, ...]) -> str | None:
    if 0 in allowed and checkpoint.NAME not in state:
        return None  # the run had none yet
    path = after / checkpoint.NAME
    path.write_bytes(state.get(checkpoint.NAME, b""))
    try:
        found = _steps(path)
    except ValueError as error:
        return str(error)
    return None if found in allowed else f"found checkpoint {found}, wanted {' or '.join(map(str, allowed))}"


# Disks that fail ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path | None]:
    """A file system of that size mounted at `folder`, or None where this process may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(["mount", *options], capture_output=True).returncode == 0
    except OSError:
        mounted = False
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True, capture_output=True)


@contextlib.contextmanager
def _no_file_above(size: int) -> Iterator[None]:
    """The system refuses to let any file grow beyond `size` bytes: a full disk that needs no mounting."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def _read_only(disk: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True, capture_output=True)


def failing_disks(effort: Effort, folder: Path) -> Tally:
    """A disk that fills up while a file is written, or that cannot be written to: the file before stays, whole."""
    tally = Tally("crashes", "full and read-only disks")
    with small_disk(folder / "disk", 256) as disk:
        if disk is None:
            tally.found = "no mounting here: limits on file size alone"
        for number, random in effort:
            tally.faults += 1
            way = random.choice(("full", "full", "read-only", "limit")) if disk else "limit"
            place = folder / "plain" if way == "limit" else disk
            place.mkdir(exist_ok=True)
            try:
                fault = _refused(random, place, way)
            except (ValueError, OSError) as error:
                fault = f"{way}: {type(error).__name__}: {error}"
            if fault:
                tally.lose(f"seed {effort.seed}, fault {number}: {fault}")
    return tally


def _refused(random: Random, place: Path, way: str) -> str | None:
    """Write an old file that fits and a new one that does not."""
    name = random.choice(("state.safetensors", "state.npz", "history.csv", "plain.txt"))
    path = place / name
    _write(path, 100)
    old = path.read_bytes()
    size = random.randrange(300_000, 600_000)
    breaks = {
        "full": contextlib.nullcontext(),
        "read-only": None,
        "limit": _no_file_above(random.randrange(1, 200_000)),
    }
    with _read_only(place) if way == "read-only" else breaks[way]:
        try:
            _write(path, size)
        except OSError as error:
            wanted = {"full": errno.ENOSPC, "read-only": errno.EROFS, "limit": errno.EFBIG}[way]
            fault = None if error.errno == wanted and name in str(error) else f"{way}: {error}"
        else:
            fault = f"{way}: {name} was written all the same"
    if path.read_bytes() != old:
        fault = f"{way}: the older {name} is not what it was"
    left = [each.name for each in place.iterdir() if each.name.endswith(".tmp")]
    path.unlink()
    return f"{way}: {left} stayed behind" if left else fault


def _write(path: Path, size: int) -> None:
    """A file of about `size` bytes, by the writer of its kind."""
    if path.suffix == ".csv":
        History(path, [{"epoch": n, "x": 0.1} for n in range(size // 8)]).append(epoch=0, x=0.5)
    elif path.suffix == ".txt":
        with atomic_write(path) as file:
            for _ in range(size // 100 + 1):
                file.write(b"x" * 100)
    else:
        mydl.save({"weight": np.ones(size, np.uint8)}, path)
