"""The rules of the house: imports point down, the engine stays small, nothing heavy loads with mydl."""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# From the ground up. A module imports from lower floors and from its own room, never from above and never
# from next door: kernels know no autograd, and nn, optim and data do not know each other. Of optim only swa_utils,
# whose averaged model is a module, knows nn: it is a room of its own, upstairs.
FLOORS = [
    {"mydl.blas_core", "mydl.dtypes", "mydl.errors", "mydl.backends", "mydl.cupy_loader", "mydl.files"},
    {"mydl.backend"},
    {"mydl.kernels"},
    {"mydl.autograd"},
    {"mydl.ops"},
    {"mydl.functions", "mydl.printing"},
    {"mydl.operators"},
    {"mydl.methods", "mydl.views"},
    {"mydl.tensor"},
    {"mydl.creation", "mydl.configuration", "mydl.inspection", "mydl.linalg", "mydl.nested"},
    {"mydl.serialization"},
    {"mydl.nn", "mydl.optim", "mydl.data", "mydl.history", "mydl.cuda", "mydl.profiler"},
    {"mydl.plotting", "mydl.layer_table", "mydl.onnx", "mydl.distributed", "mydl.optim.swa_utils", "mydl.utils"},
    {"mydl"},  # __init__.py, the public surface
    {"models"},
    {"scripts"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def python_files(root: Path) -> list[Path]:
    return sorted(path for folder in ("mydl", "models", "scripts") for path in (root / folder).rglob("*.py"))


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_module(name: str, root: Path) -> bool:
    path = root.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def room_of(module: str, root: Path) -> str | None:
    """'mydl.ops' for mydl.ops.shape, 'mydl' for what __init__ defines, 'models', 'scripts', else None."""
    parts = module.split(".")
    if parts[0] in ("models", "scripts"):
        return parts[0]
    if parts[0] != "mydl":
        return None
    if ".".join(parts[:3]) in FLOOR_OF:
        return ".".join(parts[:3])
    room = ".".join(parts[:2])
    return room if is_module(room, root) else "mydl"


def imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a file imports, wherever in the file it does so."""
    module = module_name(path, root)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.lineno, importlib.util.resolve_name(name.value, package)


def upward_imports(root: Path) -> list[str]:
    """Every import in the house at `root` that does not point down, one line each."""
    found = []
    for path in python_files(root):
        here = room_of(module_name(path, root), root)
        for line, target in imports(path, root):
            there = room_of(target, root)
            if there == here or not {here, there} <= FLOOR_OF.keys():  # the test below asks for all
                continue
            if FLOOR_OF[there] >= FLOOR_OF[here]:
                found.append(f"{path.relative_to(root)}:{line}: {here} imports {there}")
    return found


def test_every_room_has_a_floor():
    rooms = {room_of(module_name(path, ROOT), ROOT) for path in python_files(ROOT)}
    assert rooms <= FLOOR_OF.keys(), "say in FLOORS where the new module belongs"
    assert {"mydl", "mydl.tensor", "mydl.autograd", "mydl.ops", "mydl.nn", "models", "scripts"} <= rooms


def test_imports_point_down():
    assert upward_imports(ROOT) == []


HOUSE = ["backend", "tensor", "serialization", "history", "plotting"]
HOUSE += [f"{room}/__init__" for room in ("kernels", "autograd", "ops", "nn", "optim", "data")]
HOUSE += ["ops/shape", "nn/linear"]


@pytest.fixture
def plant(tmp_path):
    """A small house in which a test hides one import; returns what the checker says of it."""
    for name in [f"mydl/{module}" for module in ["__init__", *HOUSE]] + ["models/mlp", "scripts/train_model"]:
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import numpy as np\n")

    def check(file, code):
        (tmp_path / file).write_text(code + "\n")
        return upward_imports(tmp_path)

    return check


@pytest.mark.parametrize(
    ("file", "code", "room"),
    [
        ("mydl/ops/shape.py", "from mydl.tensor import MyTensor", "mydl.tensor"),
        ("mydl/ops/shape.py", "import mydl.tensor as t", "mydl.tensor"),
        ("mydl/ops/shape.py", "from mydl import backend, tensor", "mydl.tensor"),
        ("mydl/ops/shape.py", "from ..tensor import MyTensor", "mydl.tensor"),
        ("mydl/ops/shape.py", "from .. import tensor", "mydl.tensor"),
        ("mydl/ops/__init__.py", "from ..tensor import MyTensor", "mydl.tensor"),
        ("mydl/ops/shape.py", "def f():\n    from mydl.tensor import MyTensor", "mydl.tensor"),
        ("mydl/ops/shape.py", "if TYPE_CHECKING:\n    from mydl.tensor import MyTensor", "mydl.tensor"),
        ("mydl/ops/shape.py", "import importlib\nimportlib.import_module('mydl.tensor')", "mydl.tensor"),
        ("mydl/ops/shape.py", "import_module('..tensor', __package__)", "mydl.tensor"),
        ("mydl/ops/shape.py", "x = __import__('mydl.tensor').tensor", "mydl.tensor"),
        ("mydl/ops/shape.py", "import mydl", "mydl"),
        ("mydl/ops/shape.py", "from mydl import MyTensor", "mydl"),
        ("mydl/ops/shape.py", "from mydl import *", "mydl"),
        ("mydl/ops/shape.py", "from .. import MyTensor", "mydl"),
        ("mydl/kernels/__init__.py", "from mydl.autograd import Op", "mydl.autograd"),
        ("mydl/autograd/__init__.py", "from mydl import ops", "mydl.ops"),
        ("mydl/nn/linear.py", "from mydl.optim import SGD", "mydl.optim"),
        ("mydl/data/__init__.py", "from ..nn import linear", "mydl.nn"),
        ("mydl/optim/__init__.py", "from mydl.data import DataLoader", "mydl.data"),
        ("mydl/serialization.py", "from mydl.history import History", "mydl.history"),
        ("mydl/__init__.py", "from models.mlp import MLP", "models"),
        ("mydl/plotting.py", "import scripts.train_model", "scripts"),
        ("models/mlp.py", "from scripts import train_model", "scripts"),
    ],
)
def test_the_check_finds_an_import_that_points_up(plant, file, code, room):
    (finding,) = plant(file, code)
    assert finding.startswith(f"{file}:") and finding.endswith(f"imports {room}")


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (
            "mydl/ops/shape.py",
            "from mydl.autograd import Op\nfrom mydl import kernels\nfrom . import linalg",
        ),
        ("mydl/autograd/engine.py", "from mydl import kernels"),
        ("mydl/plotting.py", "from mydl.history import History\nimport matplotlib"),
        ("mydl/nn/linear.py", "from . import functional\nfrom .. import tensor"),
        ("mydl/__init__.py", "from . import nn\nfrom mydl.plotting import save_figure"),
        ("models/mlp.py", "import mydl\nfrom mydl import nn"),
        ("scripts/train_model.py", "from models.mlp import MLP\nimport mydl.data as data"),
    ],
)
def test_the_check_lets_the_others_pass(plant, file, code):
    assert plant(file, code) == []


def test_import_loads_nothing_heavy():
    program = "import sys, mydl; print(*{'matplotlib', 'PIL', 'numba', 'cupy', 'mpi4py'} & sys.modules.keys())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")


def code_lines(text: str) -> int:
    """Lines of a module that are not blank, a comment or a docstring."""
    docstrings: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in layout | {tokenize.ENDMARKER}:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - docstrings)


def test_code_lines():
    text = '"""Doc\n\nmore"""\nimport os\n\n# why\ndef f():\n    """Doc."""\n    return """a\n# b"""  # c\n'
    assert code_lines(text) == 4


def test_sizes():
    engine = ROOT / "mydl" / "autograd" / "engine.py"
    assert 0 < code_lines(engine.read_text(encoding="utf-8")) <= 300
    lines = {path: code_lines(path.read_text(encoding="utf-8")) for path in (ROOT / "mydl").rglob("*.py")}
    core = {"autograd", "ops", "tensor.py", "operators.py", "methods.py", "backend.py", "cupy_loader.py"}
    assert sum(n for path, n in lines.items() if path.relative_to(ROOT / "mydl").parts[0] in core) <= 4_000
    assert sum(lines.values()) <= 22_500


def test_every_module_has_a_docstring():
    files = python_files(ROOT)
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}
    assert [str(path.relative_to(ROOT)) for path in files if not ast.get_docstring(trees[path])] == []


# Somebody else's package has the name mydl on the public index, so no text may tell people to install it from
# there. A path of the machine that a text was written on helps nobody.
FORBIDDEN = [
    re.compile(r"""pip3?\s+install\s+(?:-\S+\s+)*["']?mydl"""),
    re.compile(r"(?<![\w.~])/(?:work|root)/"),
]


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    """Every text file of the repository: its top level and the folders that git knows."""
    folders = ("mydl", "models", "scripts", "tests", "figs", ".ci", ".github")
    candidates = [path for path in root.iterdir() if path.is_file()]
    candidates += [path for folder in folders for path in (root / folder).rglob("*") if path.is_file()]
    for path in candidates:
        content = path.read_bytes()
        if "__pycache__" not in path.parts and b"\0" not in content:
            yield path, content.decode(errors="replace")


def test_forbidden_texts():
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, text in texts(ROOT)
        for pattern in FORBIDDEN
        for match in pattern.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text", ["pip install %s", "pip install -U %s", 'pip install "%s[fast]"', "/%s/main/x.py", "in /%s/"]
)
def test_forbidden_texts_are_found(text):
    text %= "root" if "/" in text else "my" + "dl"  # put together, since this file must pass too
    assert any(pattern.search(text) for pattern in FORBIDDEN)


@pytest.mark.parametrize("text", ["pip install -e .", "pip install numba  # for mydl", "net/work/x"])
def test_other_texts_are_not(text):
    assert not any(pattern.search(text) for pattern in FORBIDDEN)
