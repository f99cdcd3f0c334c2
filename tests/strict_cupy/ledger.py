"""What a program did that a GPU would have to be waited for, and what it copied."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

__all__ = ["LEDGER", "Ledger"]


class Ledger:
    """Counts of synchronisations, of copies to the device and of copies from it, each with the line that asked."""

    def __init__(self) -> None:
        self.capturing = False
        self.clear()

    def clear(self) -> None:
        """Start counting anew."""
        self.synchronisations: list[str] = []
        self.uploads: list[tuple[tuple[int, ...], str]] = []
        self.downloads: list[tuple[tuple[int, ...], str]] = []

    def synchronise(self, what: str) -> None:
        """Note a wait; refused while a stream is being captured."""
        self._refuse_while_capturing(what)
        self.synchronisations.append(f"{what} at {_caller()}")

    def upload(self, shape: tuple[int, ...]) -> None:
        """Note a copy to the device."""
        self._refuse_while_capturing("a copy from the host")
        self.uploads.append((shape, _caller()))

    def download(self, shape: tuple[int, ...]) -> None:
        """Note a copy to the host, which is a wait too."""
        self.synchronise("a copy to the host")
        self.downloads.append((shape, _caller()))

    def library(self, what: str) -> None:
        """Note a call of cuBLAS and the like, which CuPy refuses while a stream is being captured."""
        if self.capturing:
            raise NotImplementedError(f"calling {what} during stream capture is currently unsupported")

    @contextlib.contextmanager
    def capture(self) -> Iterator[None]:
        """As between `stream.begin_capture()` and `end_capture()`."""
        self.capturing = True
        try:
            yield
        finally:
            self.capturing = False

    def _refuse_while_capturing(self, what: str) -> None:
        if self.capturing:
            raise RuntimeError(
                f"cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing ({what})"
            )


def _caller() -> str:
    """The innermost line outside the stand-in."""
    frame = sys._getframe(1)
    while frame.f_back is not None and "/strict_cupy/" in frame.f_code.co_filename.replace("\\", "/"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


LEDGER = Ledger()
