"""The GPUs that CuPy sees: which there are, waiting for them, their memory, and training steps replayed as one launch.

Nothing here has been run on a GPU yet: it is tested on a stand-in for CuPy that keeps CuPy's rules.

>>> import mydl
>>> mydl.cuda.is_available() == (mydl.cuda.device_count() > 0)
True
"""

from __future__ import annotations

import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mydl import kernels
from mydl.autograd.op import tensor_of
from mydl.backend import default_generator, device
from mydl.cupy_loader import load_cupy
from mydl.functions.arguments import integer_range
from mydl.kernels import capture
from mydl.tensor import MyTensor

__all__ = [
    "Graphed", "allow_tf32", "current_device", "device_count", "empty_cache", "graphed", "is_available", "manual_seed",
    "manual_seed_all", "memory_summary", "set_device", "synchronize", "why_unavailable",
]  # fmt: skip


def is_available() -> bool:
    """Whether tensors can be put on a GPU: `why_unavailable` says what is missing where they cannot."""
    return why_unavailable() is None


def why_unavailable() -> str | None:
    """The one line that says what is missing (CuPy, driver, GPU, CUDA libraries) and what to do; None if nothing is."""
    try:
        load_cupy()
    except RuntimeError as error:
        return str(error)
    return None


def device_count() -> int:
    """The number of GPUs that can be used; 0 where `is_available` is False."""
    return int(load_cupy().cuda.runtime.getDeviceCount()) if is_available() else 0


def current_device() -> int:
    """The index of the GPU that "cuda" means. RuntimeError where there is none."""
    return int(load_cupy().cuda.runtime.getDevice())


def set_device(where: Any) -> None:
    """Let "cuda" mean this GPU from now on, an index or a device with one; operations run on this GPU alone.

    RuntimeError where there is no such GPU.
    """
    wanted = where if isinstance(where, device) else device("cuda", where) if isinstance(where, int) else device(where)
    if wanted.type != "cuda" or wanted.index is None:
        raise ValueError(f"set_device: wanted an index or 'cuda:N', got {where!r}")
    cupy, devices = load_cupy(), device_count()
    if wanted.index >= devices:
        raise RuntimeError(f"set_device: wanted one of the {devices} visible GPUs, got {wanted}")
    cupy.cuda.Device(wanted.index).use()


def manual_seed(seed: int) -> None:
    """Where there is a GPU, `mydl.manual_seed(seed)`: one generator serves all devices. Else nothing, as in PyTorch."""
    if is_available():
        default_generator.manual_seed(seed)


manual_seed_all = manual_seed


def synchronize(where: Any = None) -> None:
    """Wait until a GPU (the current one by default) has done all that it was given."""
    load_cupy().cuda.Device(_index(where)).synchronize()


def empty_cache() -> None:
    """Give memory that CuPy holds but no array uses back to the driver; without a GPU there is none."""
    if is_available():
        cupy = load_cupy()
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()


def memory_summary(where: Any = None) -> str:
    """A few lines: the memory in use by arrays, held by CuPy, and free on a GPU (the current one by default)."""
    cupy = load_cupy()
    gpu = cupy.cuda.Device(_index(where))
    with gpu:
        free, total = gpu.mem_info
        pool = cupy.get_default_memory_pool()
        used, held = pool.used_bytes(), pool.total_bytes()
    rows = [("in use by arrays", used), ("held by CuPy", held), ("free on the device", free), ("on the device", total)]
    return "\n".join([f"cuda:{gpu.id}", *(f"{name:<20}{size / 2**20:12,.1f} MiB" for name, size in rows)])


def allow_tf32(allowed: bool = True) -> bool:
    """Let cuDNN's convolutions round their factors to TF32 (10 bits after the point), which is fast, or forbid it.

    At first it is forbidden; matrix products never do it. PyTorch's convolutions do unless told otherwise. Returns what
    was allowed before.

    >>> allow_tf32(False)
    False
    """
    from mydl.kernels.gpu import convolution

    return convolution.allow_tf32(allowed)


def _index(where: Any) -> int:
    """The index in a device, or in what names one; the current GPU for None."""
    if where is None or isinstance(where, int):
        return current_device() if where is None else where
    index = device(where).index
    return current_device() if index is None else index


# A captured step ----------------------------------------------------------------------------------------------

WARM_UP = 2  # steps that are run as they are before one is captured


def graphed(step: Callable[..., Any]) -> Graphed:
    """A training step that is recorded once and then replayed as one launch, for batches that are all of one shape.

        @mydl.cuda.graphed
        def train_step(images, labels):
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            return loss

    A step of a small model takes a GPU less time than Python needs to ask for it; a recording (a CUDA graph) has
    nothing left to ask. It does on the device just what the step did, in the same memory; Python runs no more, so
    whatever a step does besides is done once: printing, hooks, the choice of a branch. Of what changes from step to
    step it follows the batch, the optimizers' learning rates, momenta and step counts (Adam, AdamW, SGD), and the
    random numbers of dropout. Step schedulers outside of it.

    Args:
        step: takes tensors and returns a tensor, tensors in tuples and lists, or None. It gets its arguments on the
            GPU, whether they come from there or from the host.

    Returns:
        A callable that takes the same arguments and returns the same tensors, detached: new ones each time.

    Its first two calls run the step as it is, which makes all that is made only once; the third records it and from
    then on it is replayed. A batch of another shape or dtype, such as a short last one, is run as it is. A step is
    recorded anew where labels come that lie outside of the range of those before, and where an option of the optimizer
    or a parameter's memory has changed. One that cannot be recorded is run as it is from then on, and a warning says
    why, as does `why_eager`.

    RuntimeError where there is no GPU. Not yet run on a GPU: tested on a stand-in for CuPy.
    """
    return Graphed(step)


class Graphed:
    """What `graphed` returns.

    Attributes:
        step: the function as it is.
        why_eager: why it is not replayed, or None.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        if not callable(step):
            raise TypeError(f"graphed: wanted a function, got {type(step).__name__}")
        self.cupy = load_cupy()
        self.step = step
        self.why_eager: str | None = None
        self._signature: list[tuple] = []  # shape and dtype of each argument, from the first call on
        self._ranges: list[Any] = []  # of integer arguments: the least and the greatest element so far
        self._calls = 0
        self._recording: _Recording | None = None
        # The recording uses its memory again and again: nothing else may get any of it.
        self._pool = self.cupy.cuda.MemoryPool()
        # Work on the default stream, a data loader's for instance, would end the recording of a blocking stream.
        self._stream = self.cupy.cuda.Stream(non_blocking=True)
        self._products: capture.Products | None = None

    def __call__(self, *batch: Any) -> Any:
        """Run the step, or replay it."""
        for value in batch:
            if not isinstance(value, MyTensor):
                raise TypeError(f"graphed: wanted tensors as arguments, got {type(value).__name__}")
        signature = [(tuple(value.shape), value.dtype) for value in batch]
        if not self._signature:
            self._signature, self._ranges = signature, [None] * len(batch)
        if self.why_eager is not None or signature != self._signature:
            return self._run(batch)
        if self._recording is None and kernels.of(self.cupy.empty(0)) is kernels.reference:
            self._give_up("the reference kernels, which mydl.kernels.use chose, cannot be captured")
            return self._run(batch)
        ranges = [_wider(known, value) for known, value in zip(self._ranges, batch)]
        stale = self._recording is not None and not self._recording.valid()
        if self._calls < WARM_UP or ranges != self._ranges or stale:
            with self._aside():
                result = self._rehearse(batch) if self._calls else self._run(batch)
            self._calls, self._ranges, self._recording = self._calls + 1, ranges, None
            return result
        if self._recording is None:
            try:
                self._recording = self._record()
            except Exception as error:  # whatever it is, an eager step meets it again or does without
                self._give_up(f"{type(error).__name__}: {error}")
                return self._run(batch)
        return self._recording.replay(batch)

    def _give_up(self, reason: str) -> None:
        self.why_eager = reason
        warnings.warn(f"graphed: the step is run as it is, not replayed: {reason}", stacklevel=3)

    def _run(self, batch: Sequence[MyTensor]) -> Any:
        return _mapped(self.step(*(value.to("cuda") for value in batch)), lambda tensor: tensor.detach())

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """On the stream and with the memory of the recording, in turn with the current stream."""
        cuda = self.cupy.cuda
        outer = cuda.get_current_stream()
        self._stream.wait_event(outer.record())
        try:
            with self._stream, cuda.using_allocator(self._pool.malloc):
                if self._products is None:
                    from mydl.kernels.gpu.blas import CuBLAS

                    self._products = CuBLAS(self.cupy, self._stream)
                capture.products = self._products
                yield
        finally:
            capture.products = None
            outer.wait_event(self._stream.record())

    def _rehearse(self, batch: Sequence[MyTensor]) -> Any:
        """The step as it will be recorded, but done: every kernel that the recording needs is loaded then."""
        capture.current = noted = self._noted(rehearsal=True)
        try:
            result = self._run(batch)
            noted.finish()
        finally:
            capture.current = None
        return result

    def _noted(self, rehearsal: bool) -> capture.Capture:
        generator = default_generator
        return capture.Capture(self.cupy, lambda: generator.seed, lambda: generator.draws, rehearsal)

    def _record(self) -> _Recording:
        """The step, recorded and not yet launched; on an error all is as it was before."""
        state = default_generator.get_state()
        gc.collect()  # an array that is collected while a stream is captured gives its memory back at a bad moment
        collecting = gc.isenabled()
        gc.disable()
        with self._aside():
            noted = self._noted(rehearsal=False)
            inputs = [tensor_of(self.cupy.empty(shape, dtype)) for shape, dtype in self._signature]
            for tensor, known in zip(inputs, self._ranges):
                tensor._range = None if known is None else (0, *known)
            capture.current = noted
            try:
                self._stream.begin_capture()
                try:
                    result = _mapped(self.step(*inputs), lambda tensor: tensor.array)
                    noted.finish()
                except BaseException:
                    with contextlib.suppress(Exception):  # it was ended already by what went wrong
                        self._stream.end_capture()
                    raise
                graph = self._stream.end_capture()
            except BaseException:
                default_generator.set_state(state)
                for undo in noted.undo:
                    undo()
                raise
            finally:
                capture.current = None
                if collecting:
                    gc.enable()
        return _Recording(graph, noted, [tensor.array for tensor in inputs], result)


class _Recording:
    """A graph and what it works with; the host has been told of its first launch already."""

    def __init__(self, graph: Any, noted: capture.Capture, inputs: list[Any], result: Any) -> None:
        self.graph = graph
        self.noted = noted
        self.inputs = inputs
        self.result = result
        self.launched = False

    def valid(self) -> bool:
        """Whether what the step was recorded with is still so."""
        return all(still_so() for still_so in self.noted.valid)

    def replay(self, batch: Sequence[MyTensor]) -> Any:
        """The step's results for a batch."""
        for held, value in zip(self.inputs, batch):
            if isinstance(value.array, np.ndarray):
                held.set(value.array)
            else:
                held[...] = value.array
        for live in self.noted.lives:
            live.write(first=not self.launched)
        self.graph.launch()
        if self.launched:
            default_generator.draws += self.noted.draws.increment
            for counted in self.noted.replays:
                counted()
        self.launched = True
        return _mapped(self.result, lambda array: tensor_of(array.copy()))


def _wider(known: tuple[int, int] | None, value: MyTensor) -> tuple[int, int] | None:
    """The range of the integers in `known` and in a tensor; None for a tensor of something else."""
    if value.dtype.kind not in "iu" or not value.array.size:
        return known
    low, high = integer_range(value)
    return (low, high) if known is None else (min(low, known[0]), max(high, known[1]))


def _mapped(result: Any, function: Callable[[Any], Any]) -> Any:
    """A step's result with a function applied to each tensor (or array) in it."""
    if isinstance(result, (tuple, list)):
        return type(result)(_mapped(part, function) for part in result)
    if result is None:
        return None
    if not hasattr(result, "dtype"):
        raise TypeError(
            f"graphed: a step returns tensors, tuples and lists of them, or None; got {type(result).__name__}"
        )
    return function(result)
