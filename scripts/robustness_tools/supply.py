"""What installs and imports: wheel and source archive, warnings, network, types, known holes in what it depends on."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from scripts.robustness_tools.tally import Tally

__all__ = ["supply"]

ROOT = Path(__file__).resolve().parents[2]

# Imports every module of mydl that needs nothing optional, with a hook that ends the process at the first attempt
# to reach anything over a network.
QUIET = """
import importlib, pkgutil, sys

def look(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        print(event, arguments)
        sys.exit(3)

sys.addaudithook(look)
import mydl, mydl.data, mydl.nn, mydl.optim, mydl.plotting, mydl.serialization, mydl.history, models
from mydl import data
data.SyntheticDigits(train=False)[0]
models.build("mlp")(mydl.zeros(1, 1, 28, 28)).sum().backward()
"""

TYPED = """
import mydl
from mydl import nn, optim

def train(model: nn.NeuralNetwork, x: mydl.MyTensor) -> float:
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    loss = model(x).sum()
    loss.backward()
    optimizer.step()
    return loss.item()

train(nn.Linear(2, 3), mydl.zeros(1, 2))
"""


def supply() -> Tally:
    """Each step in a process of its own; what cannot be tried here (a tool that is not installed) is said."""
    tally = Tally("supply", "imports, wheel, source archive, types, known vulnerabilities")
    left_out = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        steps = [
            ("import with warnings as errors", [sys.executable, "-W", "error", "-c", "import mydl"]),
            ("no network on the way", [sys.executable, "-c", QUIET]),
        ]
        (folder / "typed.py").write_text(TYPED, encoding="utf-8")
        if importlib.util.find_spec("mypy"):
            mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(folder / "cache")]
            steps.append(("types", [*mypy, str(folder / "typed.py"), "mydl", "models"]))
        else:
            left_out.append("mypy")
        for name, command in steps:
            tally.tried += 1
            _run(tally, name, command, ROOT)
        known = _known_vulnerabilities()
        if known is None:
            left_out.append("pip-audit or its service")
        else:
            tally.tried += 1
            for text in known:
                tally.lose(f"known vulnerabilities: {text}")
        new_enough = _version_of("setuptools") >= 77
        if not new_enough:
            left_out.append("setuptools 77")
        for name in ("wheel", "sdist") if new_enough else ():
            tally.tried += 1
            _build(tally, name, folder)
    tally.found = f"not here: {', '.join(left_out)}" if left_out else ""
    return tally


def _known_vulnerabilities() -> list[str] | None:
    """What pip-audit knows of the packages that are installed here; None where it or its service is out of reach.

    It ends with 0 as well when its service knew none of the packages: what it says of each is what counts.
    """
    command = [sys.executable, "-m", "pip_audit", "--local", "--format", "json", "--progress-spinner", "off"]
    result = subprocess.run(command, capture_output=True, text=True)
    try:
        packages = json.loads(result.stdout)["dependencies"]
    except ValueError:
        return None
    if not any("vulns" in package for package in packages):
        return None
    return [f"{each['name']} {each['version']}: {each['vulns']}" for each in packages if each.get("vulns")]


def _version_of(name: str) -> int:
    """The first number of what is installed; 0 where nothing is."""
    try:
        return int(importlib.metadata.version(name).split(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return 0


def _run(tally: Tally, name: str, command: list[str], where: Path, path: Path = ROOT) -> bool:
    result = subprocess.run(
        command, cwd=where, env={**os.environ, "PYTHONPATH": str(path)}, capture_output=True, text=True
    )
    if result.returncode:
        tally.lose(f"{name}: {(result.stdout + result.stderr)[-350:]}")
    return result.returncode == 0


def _build(tally: Tally, name: str, folder: Path) -> None:
    """Build a copy of the tree with its own backend, unpack it, and import from there alone."""
    source, built, unpacked = (folder / f"{name} {part}" for part in ("source", "built", "unpacked"))
    wanted = ("mydl", "pyproject.toml", "README.md", "LICENSE")
    source.mkdir()
    for entry in wanted:
        subprocess.run(["cp", "-r", str(ROOT / entry), str(source)], check=True)
    code = f"import setuptools.build_meta as b, sys; b.build_{name}(sys.argv[1])"
    built.mkdir()
    if not _run(tally, name, [sys.executable, "-c", code, str(built)], source, source):
        return
    (archive,) = built.iterdir()
    if name == "sdist":
        subprocess.run(["tar", "-xzf", str(archive), "-C", str(folder)], check=True)
        (inner,) = folder.glob("mydl-*")
        unpacked = inner
    else:
        zipfile.ZipFile(archive).extractall(unpacked)
    check = "import mydl, sys; mydl.nn.Linear(2, 2)(mydl.zeros(1, 2)); assert sys.argv[1] in mydl.__file__"
    _run(tally, f"{name}: import", [sys.executable, "-W", "error", "-c", check, str(unpacked)], folder, unpacked)
    typed = unpacked / "mydl" / "py.typed"
    if not typed.is_file():
        tally.lose(f"{name}: py.typed is not in it")
