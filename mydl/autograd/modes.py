"""Modes, per thread: whether operations are recorded, and whether backward looks for NaN."""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

__all__ = [
    "detect_anomaly", "enable_grad", "inference_mode", "is_anomaly_enabled", "is_grad_enabled", "no_grad",
    "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    """The modes of one thread; a new thread starts with recording on and anomaly detection off."""

    def __init__(self) -> None:
        self.grad = True
        self.anomaly = False
        self.callbacks: list | None = None  # what the backward pass that is running will call when it ends
        # quiet(f, ...) calls f where NumPy is silent about overflow, 0/0 and the like, as PyTorch is. np.errstate
        # would do the same at five times the cost, which each small operation would pay.
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.quiet = context.run


mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread.

    >>> is_grad_enabled()
    True
    """
    return mode.grad


class _GradMode:
    """A context manager and decorator that sets the gradient mode and puts the old one back."""

    _wanted = True

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(mode.grad)
        mode.grad = self._wanted

    def __exit__(self, *_: object) -> None:
        mode.grad = self._before.pop()

    def _fresh(self) -> _GradMode:
        return type(self)()

    def __call__(self, function: F) -> F:
        """Decorate a function, or a generator function (whose body alone runs in the mode)."""
        fresh = self._fresh
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                body = function(*args, **kwargs)
                sent = None
                while True:
                    with fresh():
                        try:
                            item = body.send(sent)
                        except StopIteration as end:
                            return end.value
                    sent = yield item

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with fresh():
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


class no_grad(_GradMode):
    """Do not record what happens inside; use as `with no_grad():` or `@no_grad()`.

    >>> with no_grad():
    ...     is_grad_enabled()
    False
    """

    _wanted = False

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        """`@no_grad` without parentheses decorates too."""
        made = super().__new__(cls)
        if function is None:
            return made
        made._before = []
        return made(function)


class enable_grad(no_grad):
    """Record again inside a `no_grad` block; use as `with enable_grad():` or `@enable_grad()`.

    >>> with no_grad(), enable_grad():
    ...     is_grad_enabled()
    True
    """

    _wanted = True


class inference_mode(no_grad):
    """The same as `no_grad` here: it records nothing; with `mode` False it records, as `enable_grad` does.

    >>> with inference_mode():
    ...     is_grad_enabled()
    False
    """

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        """`@inference_mode` without parentheses decorates too."""
        if not isinstance(mode, bool):
            return super().__new__(cls, mode)
        made = super().__new__(cls)
        made._wanted = not mode
        return made

    def __init__(self, mode: bool = True) -> None:
        super().__init__()

    def _fresh(self) -> inference_mode:
        return inference_mode(not self._wanted)


class set_grad_enabled(_GradMode):
    """Set recording on or off: at once when called, and put back when used as a context manager.

    >>> with set_grad_enabled(False):
    ...     is_grad_enabled()
    False
    >>> is_grad_enabled()
    True
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self._wanted = bool(mode)
        self._switch()

    def _switch(self) -> None:
        self._at_call = mode.grad
        mode.grad = self._wanted

    def __enter__(self) -> None:
        self._before.append(self._at_call)
        mode.grad = self._wanted

    def _fresh(self) -> set_grad_enabled:
        return set_grad_enabled(self._wanted)

    def __call__(self, function: F) -> F:
        """Decorating does not change the mode where the function is defined."""
        mode.grad = self._at_call
        return super().__call__(function)


def is_anomaly_enabled() -> bool:
    """Whether backward looks for NaN in this thread.

    >>> is_anomaly_enabled()
    False
    """
    return mode.anomaly


class set_detect_anomaly:
    """Turn the search for NaN on or off: at once when called, and put back when used as a context manager.

    While it is on, each operation remembers the line that called it, and a backward that gives NaN raises a
    RuntimeError which names the operation and that line. It is slow: for finding errors only.

    >>> with set_detect_anomaly(True):
    ...     is_anomaly_enabled()
    True
    """

    def __init__(self, mode_on: bool, check_nan: bool = True) -> None:
        self._before = mode.anomaly
        mode.anomaly = bool(mode_on) and check_nan

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        mode.anomaly = self._before


class detect_anomaly(set_detect_anomaly):
    """Look for NaN in backward within a block: `with detect_anomaly():`; see `set_detect_anomaly`.

    >>> with detect_anomaly():
    ...     is_anomaly_enabled()
    True
    """

    def __init__(self, check_nan: bool = True) -> None:
        super().__init__(mode.anomaly, mode.anomaly)
        self._wanted = check_nan

    def __enter__(self) -> None:
        self._before = mode.anomaly
        mode.anomaly = self._wanted
