"""Print what mydl supports of PyTorch's names, with their arguments, read off the code itself.

    python -m scripts.compat              the whole page
    python -m scripts.compat conv         the lines that contain a word

Where a signature says less than PyTorch's, the rest is not supported and raises NotImplementedError or TypeError.
"""

from __future__ import annotations

import importlib
import inspect
import types
from typing import Any

from scripts.command_line import CommandLine, run

# mydl's module, and the one that a PyTorch file imports instead of it.
MODULES = {
    "mydl": "torch",
    "mydl.linalg": "torch.linalg",
    "mydl.nn": "torch.nn",
    "mydl.nn.functional": "torch.nn.functional",
    "mydl.nn.init": "torch.nn.init",
    "mydl.nn.utils": "torch.nn.utils",
    "mydl.nn.utils.rnn": "torch.nn.utils.rnn",
    "mydl.optim": "torch.optim",
    "mydl.optim.lr_scheduler": "torch.optim.lr_scheduler",
    "mydl.optim.swa_utils": "torch.optim.swa_utils",
    "mydl.autograd": "torch.autograd",
    "mydl.autograd.functional": "torch.autograd.functional",
    "mydl.data": "torch.utils.data",
    "mydl.data.datasets": "torchvision.datasets",
    "mydl.data.transforms": "torchvision.transforms",
}


class _Name:
    """A default that prints as its name: a function's own repr has its address, another one in every process."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def _shown(default: Any) -> Any:
    return _Name(default.__name__) if inspect.isfunction(default) else default


def signature(value: Any) -> str:
    """The arguments of a function or class with their defaults; "" where there are none to show.

    >>> def f(x: int, *, y: float = 2.0) -> None: ...
    >>> signature(f)
    '(x, *, y=2.0)'
    """
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    plain = [
        p.replace(annotation=inspect.Parameter.empty, default=_shown(p.default)) for p in found.parameters.values()
    ]
    if plain and plain[0].name == "self":
        plain = plain[1:]
    return str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty))


def _entry(name: str, value: Any) -> str:
    if isinstance(value, property):
        return f"{name} (attribute)"
    if inspect.isclass(value) or callable(value):
        return f"{name}{signature(value)}"
    return f"{name} = {value!r}"


def _public(module: Any) -> dict[str, Any]:
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    return {
        name: getattr(module, name)
        for name in sorted(set(names))
        if not isinstance(getattr(module, name), types.ModuleType) and name != "annotations"
    }


def surface() -> dict[str, list[str]]:
    """For each public module, and for the tensor class, its names with their arguments, sorted."""
    sections = {}
    for ours, theirs in MODULES.items():
        entries = _public(importlib.import_module(ours))
        sections[f"{ours} ({theirs})"] = [_entry(name, value) for name, value in entries.items()]
    from mydl import MyTensor

    methods = {name: inspect.getattr_static(MyTensor, name) for name in dir(MyTensor) if not name.startswith("_")}
    sections["mydl.MyTensor (torch.Tensor)"] = [_entry(name, value) for name, value in methods.items()]
    return sections


def main(argv: list[str] | None = None) -> None:
    parser = CommandLine("compat", "What mydl supports of PyTorch's names.")
    parser.add_argument("word", nargs="?", default="", help="print only the lines that contain it")
    word = parser.parse_args(argv).word.lower()
    for title, entries in surface().items():
        shown = [entry for entry in entries if word in entry.lower()]
        if shown:
            print(f"\n{title}: {len(shown)}")
            for entry in shown:
                print(f"  {entry}")


if __name__ == "__main__":
    run(main, "compat")
