"""The public surface, names and signatures, as a file: nothing of it changes unnoticed.

After a change that is meant: python -m tests.test_surface
"""

from __future__ import annotations

import difflib
from pathlib import Path

from scripts.compat import surface

SNAPSHOT = Path(__file__).with_name("surface.txt")


def page() -> str:
    return "".join(f"[{title}]\n" + "".join(f"{entry}\n" for entry in entries) for title, entries in surface().items())


def test_the_public_surface_is_the_one_on_file() -> None:
    changes = list(
        difflib.unified_diff(SNAPSHOT.read_text("utf-8").splitlines(), page().splitlines(), n=0, lineterm="")
    )
    assert not changes, "\n".join(["the public surface changed; if meant: python -m tests.test_surface", *changes])


if __name__ == "__main__":
    SNAPSHOT.write_text(page(), "utf-8")
