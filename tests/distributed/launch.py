"""Start several processes of a program, and read what they say."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def mpiexec(ranks: int, module: str, *arguments: object) -> subprocess.Popen:
    """Start a module under the mpiexec that pip has put beside this Python."""
    pytest.importorskip("mpi4py")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("mpiexec", path=path)
    assert program is not None, "mpi4py is there, but no mpiexec. Run: pip install mpich"
    return subprocess.Popen(
        [program, "-n", str(ranks), sys.executable, "-W", "error", "-m", module]
        + [str(argument) for argument in arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen) -> tuple[int, str, str]:
    """(exit status, stdout, stderr) of a job, which is ended if it hangs."""
    try:
        stdout, stderr = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.terminate()
        stdout, stderr = process.communicate()
    return process.returncode, stdout, stderr
