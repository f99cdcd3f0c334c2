"""`profile`: where the time of a piece of code goes, by op and by kernel, forward and backward.

While a `with profile()` block runs, the three places through which every operation passes (`Op.apply`,
`Op.call`, `Op.propagate`) and the one where kernels are chosen (`kernels.of`) are replaced by timed versions;
afterwards the plain ones are back. So profiling that is switched off costs nothing, because it is not there.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from mydl import kernels
from mydl.autograd.engine import Variable
from mydl.autograd.op import Op
from mydl.backend import is_array
from mydl.files import atomic_write

__all__ = ["Event", "gemm_rate", "profile"]


@dataclass
class Event:
    """One call: what ran, in which phase and thread, when (seconds from the block's start) and for how long.

    `phase` is "forward", "backward" or "kernel". `own` is `seconds` less what operations called inside it
    took. `bytes` counts the arrays that went in and came out, `flops` the multiplications and additions of
    matrix products and convolutions (0 for anything else, and for ops whose products are calls of their own) as
    the definition has them: a convolution by tiles takes fewer, and may pass the machine's limit.
    """

    name: str
    phase: str
    start: float
    thread: int
    seconds: float = 0.0
    own: float = 0.0
    bytes: int = 0
    flops: int = 0
    inside: float = field(default=0.0, repr=False)


def _arrays(values: Any) -> list[Any]:
    """The arrays among tensors, arrays and tuples of them."""
    found = []
    for value in values if isinstance(values, (tuple, list)) else (values,):
        if isinstance(value, Variable):
            found.append(value.array)
        elif is_array(value):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += _arrays(value)
    return found


def _flops(name: str, inputs: list[Any], outputs: list[Any]) -> int:
    """Multiplications and additions of a product or convolution, from the shapes; 0 for other calls."""
    if len(inputs) < 2 or not outputs:
        return 0
    first, second, result = inputs[0], inputs[1], outputs[0]
    if name in ("MatMul", "Linear"):
        return 2 * result.size * first.shape[-1]
    if name in ("Conv2D", "conv2d"):
        return 2 * result.size * int(np.prod(second.shape[1:]))
    if name in ("Conv2DInputGrad", "conv2d_input_grad"):
        return 2 * first.size * int(np.prod(second.shape[1:]))
    if name in ("Conv2DWeightGrad", "conv2d_weight_grad"):
        return 2 * first.size * int(np.prod(result.shape[1:]))
    return 0


def _backward_flops(ctx: Op, grad: Any, record: bool, leading: set | None) -> int:
    """The same of MatMul's and Linear's rules, which multiply arrays themselves: a product a gradient."""
    if type(ctx).__name__ not in ("MatMul", "Linear") or record or len(ctx.saved) != 2:
        return 0
    wanted = [edge is not None and (leading is None or edge in leading) for edge in ctx.edges[:2]]
    return 2 * grad.size * ctx.saved[0].shape[-1] * sum(wanted)


def gemm_rate(size: int = 1024, dtype: Any = np.float32) -> float:
    """Floating-point operations a second of this machine's matrix product: the best of five, size × size.

    >>> gemm_rate(64) > 0
    True
    """
    a = np.ones((size, size), dtype)
    out = np.empty_like(a)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        np.matmul(a, a, out=out)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


class profile:
    """Time every op and kernel inside a `with` block, whichever thread it runs in.

    `print(p.table())` afterwards; `p.events` has the ops' calls, `p.kernel_events` the kernels', both in the
    order in which they ended, and `p.save_trace("trace.json")` writes them for a browser's trace viewer
    (chrome://tracing, Perfetto). A user's `Function` is seen through the ops that it calls.

    Raises RuntimeError where another profile is running: there is one at a time.

    >>> import mydl
    >>> with profile() as p:
    ...     _ = (mydl.ones(3, requires_grad=True) * 2).sum().backward()
    >>> [(e.name, e.phase) for e in p.events]
    [('Mul', 'forward'), ('Sum', 'forward'), ('Sum', 'backward'), ('Mul', 'backward')]
    """

    _running = threading.Lock()

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.kernel_events: list[Event] = []
        self.seconds: float | None = None
        self._local = threading.local()

    def __enter__(self) -> profile:
        if not profile._running.acquire(blocking=False):
            raise RuntimeError("profile: another profile is running; end it first")
        self.events, self.kernel_events, self.seconds = [], [], None
        self._thread = threading.get_ident()
        self._plain = (Op.__dict__["apply"], Op.call, Op.propagate, kernels.of)
        apply, call, propagate, of = Op.__dict__["apply"].__func__, Op.call, Op.propagate, kernels.of
        timed = self._timed

        def timed_apply(cls: type[Op], *inputs: Any, **options: Any) -> Any:
            return timed(cls.__name__, self._phase(), lambda: apply(cls, *inputs, **options), inputs)

        def timed_call(ctx: Op, op: type[Op], *inputs: Any, **options: Any) -> Any:
            if ctx.recording:  # it goes through apply
                return call(ctx, op, *inputs, **options)
            return timed(op.__name__, self._phase(), lambda: call(ctx, op, *inputs, **options), inputs)

        def timed_propagate(ctx: Op, grad: Any, record: bool, keep: bool, leading: set | None) -> Any:
            flops = _backward_flops(ctx, grad, record, leading)
            return timed(
                type(ctx).__name__, "backward", lambda: propagate(ctx, grad, record, keep, leading), grad, flops
            )

        def timed_of(array: Any) -> Any:
            return _TimedKernels(of(array), self)

        Op.apply = classmethod(timed_apply)  # type: ignore[assignment, method-assign]
        Op.call = timed_call  # type: ignore[assignment, method-assign]
        Op.propagate = timed_propagate  # type: ignore[assignment, method-assign]
        kernels.of = timed_of  # type: ignore[assignment]
        self._origin = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._origin
        Op.apply, Op.call, Op.propagate, kernels.of = self._plain  # type: ignore[method-assign, assignment]
        profile._running.release()

    @property
    def _stack(self) -> list[Event]:
        """The calls that this thread is in, the innermost last."""
        return self._local.__dict__.setdefault("stack", [])

    def _phase(self) -> str:
        """An op that a backward rule calls is part of the way back."""
        return "backward" if self._stack and self._stack[-1].phase == "backward" else "forward"

    def _now(self) -> float:
        return time.perf_counter() - self._origin

    def _timed(self, name: str, phase: str, run: Callable[[], Any], inputs: Any, flops: int = 0) -> Any:
        stack = self._stack
        event = Event(name, phase, self._now(), threading.get_ident(), flops=flops)
        stack.append(event)
        try:
            result = run()
        finally:
            stack.pop()
            event.seconds = self._now() - event.start
            event.own = event.seconds - event.inside
            if stack:
                stack[-1].inside += event.seconds
            self.events.append(event)
        self._measure(event, inputs, result)
        return result

    def _timed_kernel(self, name: str, kernel: Callable[..., Any], arguments: tuple, options: dict) -> Any:
        event = Event(name, "kernel", self._now(), threading.get_ident())
        try:
            result = kernel(*arguments, **options)
        finally:
            event.seconds = event.own = self._now() - event.start
            self.kernel_events.append(event)
        self._measure(event, arguments, result)
        return result

    @staticmethod
    def _measure(event: Event, inputs: Any, result: Any) -> None:
        given, made = _arrays(inputs), _arrays(result)
        event.bytes = sum(array.nbytes for array in (*given, *made))
        event.flops = event.flops or _flops(event.name, given, made)

    def table(self) -> str:
        """The ops and the kernels by time: calls, milliseconds, share of the block, bytes, rate.

        An op's time is its own, without that of the ops it calls. The rate is set against `gemm_rate()`, this
        machine's matrix product, measured when the table is made. Raises RuntimeError before the block's end.
        """
        if self.seconds is None:
            raise RuntimeError("profile.table: wanted a finished `with` block, this one has not ended")
        limit = gemm_rate()
        outside = self.seconds - sum(event.own for event in self.events if event.thread == self._thread)
        parts = [
            f"{self.seconds * 1e3:.2f} ms in all, {outside * 1e3:.2f} ms outside ops; "
            f"the machine's matrix product: {limit / 1e9:.0f} GFLOP/s",
            self._rows("op", self.events, limit),
            self._rows("kernel (its time is in its op's too)", self.kernel_events, limit),
        ]
        return "\n\n".join(part for part in parts if part)

    def _rows(self, title: str, events: list[Event], limit: float) -> str:
        groups: dict[tuple[str, str], SimpleNamespace] = {}
        for event in events:
            key = (event.name, event.phase)
            group = groups.setdefault(key, SimpleNamespace(calls=0, own=0.0, bytes=0, flops=0))
            group.calls += 1
            group.own += event.own
            group.bytes += event.bytes
            group.flops += event.flops
        if not groups:
            return ""
        lines = [f"{title:<38} {'calls':>6} {'ms':>9} {'share':>6} {'MB':>9} {'GFLOP/s':>8} {'of limit':>8}"]
        for (name, phase), g in sorted(groups.items(), key=lambda item: -item[1].own):
            rate = g.flops / g.own if g.flops and g.own else 0.0
            rates = f"{rate / 1e9:8.1f} {rate / limit:8.1%}" if rate else f"{'-':>8} {'-':>8}"
            label = name if phase == "kernel" else f"{name}, {phase}"
            share = g.own / self.seconds if self.seconds else 0.0
            numbers = f"{g.calls:6d} {g.own * 1e3:9.3f} {share:6.1%} {g.bytes / 1e6:9.2f}"
            lines.append(f"{label:<38} {numbers} {rates}")
        return "\n".join(lines)

    def save_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the calls as a Chrome trace: JSON that chrome://tracing and Perfetto show as a time line.

        Each thread has a line; what a call calls, its kernels too, lies below it.
        """
        events = sorted((*self.events, *self.kernel_events), key=lambda event: event.start)
        lines = {thread: number for number, thread in enumerate(dict.fromkeys(e.thread for e in events))}
        rows = [
            {
                "name": event.name,
                "cat": event.phase,
                "ph": "X",
                "pid": 0,
                "tid": lines[event.thread],
                "ts": event.start * 1e6,
                "dur": event.seconds * 1e6,
                "args": {"bytes": event.bytes, "flops": event.flops},
            }
            for event in events
        ]
        with atomic_write(path) as file:
            file.write(json.dumps({"traceEvents": rows, "displayTimeUnit": "ms"}).encode())


class _TimedKernels:
    """A kernel module whose functions are timed."""

    def __init__(self, module: Any, owner: profile) -> None:
        self._module = module
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        kernel = getattr(self._module, name)
        if not callable(kernel) or name == "matmul":  # the product is BLAS's, and all that its op does
            return kernel
        return lambda *arguments, **options: self._owner._timed_kernel(name, kernel, arguments, options)
