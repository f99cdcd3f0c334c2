"""What a model does to its inputs, operation by operation.

While the model runs, `Op.apply` is replaced by a version that writes the call down, as `mydl.profile` does; afterwards
the plain one is back. What is computed from the inputs is known by its array; every other array is a constant.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mydl import nn
from mydl.autograd.engine import Variable
from mydl.autograd.modes import no_grad
from mydl.autograd.op import Op, describe
from mydl.backend import is_array, to_host
from mydl.nn.hooks import under_observation
from mydl.tensor import MyTensor
from mydl.views import Shared

__all__ = ["Step", "Trace", "Value", "traces"]


@dataclass(frozen=True)
class Value:
    """Something computed from the inputs: its number in the trace."""

    index: int


class Step(NamedTuple):
    """One operation; among its inputs and options a `Value` stands for what is computed, the rest is constant."""

    op: type[Op]
    inputs: tuple
    options: dict[str, Any]
    outputs: tuple[Value, ...]


class Trace:
    """A run of a model: the arrays of all values, which begin with the inputs, the steps, and the outputs."""

    def __init__(self, inputs: tuple[MyTensor, ...]) -> None:
        self.arrays: list[Any] = []  # held, so that no id comes twice
        self.steps: list[Step] = []
        self.outputs: list[Any] = []
        self._values: dict[int, tuple[Value, list[int], int]] = {}  # by the array's id, and its tensor's version then
        self._constants: list[tuple[str, list[int], int]] = []
        self.inputs = tuple(self._add(tensor) for tensor in inputs)

    def _add(self, tensor: MyTensor) -> Value:
        value = Value(len(self.arrays))
        self.arrays.append(tensor.array)
        self.assign(tensor, value)
        return value

    def assign(self, tensor: MyTensor, value: Value) -> None:
        """From now on the tensor's array is that value."""
        self._values[id(tensor.array)] = (value, tensor._version, tensor._version[0])

    def read(self, given: Any, what: str) -> Any:
        """`given` with values in the place of the tensors and arrays that are computed from the inputs."""
        if isinstance(given, (tuple, list)):
            return tuple(self.read(part, what) for part in given)
        array = given.array if isinstance(given, Variable) else given
        if is_array(array) and id(array) in self._values:
            value, versions, version = self._values[id(array)]
            if versions[0] != version:
                raise _changed(what)
            return value
        if isinstance(given, Variable):
            self._constants.append((what, given._version, given._version[0]))
        return array

    def step(self, op: type[Op], inputs: tuple, options: dict[str, Any], result: Any) -> None:
        """Write down an operation, unless nothing in it is computed from the inputs: then its result is constant."""
        inputs = self.read(inputs, op.name())
        options = {key: self.read(value, op.name()) for key, value in options.items()}
        if any(map(_holds_value, (inputs, *options.values()))):
            results = result if isinstance(result, tuple) else (result,)
            self.steps.append(Step(op, inputs, options, tuple(map(self._add, results))))

    def finish(self, output: Any) -> None:
        """Note the model's outputs, nested tuples flattened and None left out."""
        self.outputs = [self.read(tensor, "the model's output") for tensor in _flat(output)]
        for what, versions, version in self._constants:
            if versions[0] != version:
                raise _changed(what)


def _holds_value(given: Any) -> bool:
    return isinstance(given, Value) or (isinstance(given, tuple) and any(map(_holds_value, given)))


def _flat(given: Any) -> Iterator[MyTensor]:
    if isinstance(given, (tuple, list)):
        for part in given:
            yield from _flat(part)
    elif given is not None:
        if not isinstance(given, MyTensor):
            raise TypeError(f"onnx.export: wanted a model that returns tensors or tuples of them, got {given!r}")
        yield given


def _changed(what: str) -> NotImplementedError:
    return NotImplementedError(
        f"onnx.export: {what} takes a tensor that is changed in place, itself or a view; compute a new one instead"
    )


_tracing = threading.Lock()  # Op.apply is one for all threads


@contextmanager
def _written_down(trace: Trace, own: set[int]) -> Iterator[None]:
    """While this runs, this thread's operations go into the trace; `own` are the ids of the model's own arrays."""
    thread = threading.get_ident()
    before, plain_become, plain_may = Op.__dict__["apply"], Shared._become, Shared._may_be_overwritten
    plain_apply = before.__func__

    def apply(cls: type[Op], *inputs: Any, **options: Any) -> Any:
        if threading.get_ident() != thread:
            return plain_apply(cls, *inputs, **options)
        if cls.prepare is not None:
            inputs = cls.prepare(inputs)  # here, so that the casts it makes stand before the operation
        result = plain_apply(cls, *inputs, **options)
        trace.step(cls, inputs, options, result)
        return result

    def become(self: Any, result: Any) -> Any:
        value = None
        if threading.get_ident() == thread and result.dtype == self.dtype:
            value = trace.read(result, "an operation in place")
        plain_become(self, result)
        if isinstance(value, Value):
            trace.assign(self, value)
        return self

    plain_bool = MyTensor.__bool__

    def decide(self: Any) -> bool:
        if threading.get_ident() == thread and id(self.array) not in own:
            raise NotImplementedError(
                f"onnx.export: the model decides by the truth of a tensor, {describe(self)}; the way it takes would be "
                "fixed in the file: compute with where instead"
            )
        return plain_bool(self)

    MyTensor.__bool__ = decide  # type: ignore[method-assign]
    Op.apply = classmethod(apply)  # type: ignore[assignment, method-assign]
    Shared._become = become  # type: ignore[method-assign]

    def may(self: Any, *others: Any) -> bool:  # a value is known by its array: an operation in place makes a new one
        return threading.get_ident() != thread and plain_may(self, *others)

    Shared._may_be_overwritten = may  # type: ignore[method-assign]
    try:
        yield
    finally:
        MyTensor.__bool__ = plain_bool  # type: ignore[method-assign]
        Op.apply = before  # type: ignore[method-assign]
        Shared._become, Shared._may_be_overwritten = plain_become, plain_may  # type: ignore[method-assign]


def traces(model: nn.NeuralNetwork, inputs: tuple[MyTensor, ...]) -> tuple[Trace, Trace]:
    """The model's traces on the inputs and on a larger batch of other values, both in evaluation mode.

    >>> import mydl
    >>> first, second = traces(nn.ReLU(), (mydl.zeros(1, 2),))
    >>> first.steps == second.steps, second.arrays[0].shape
    (True, (3, 2))
    """
    with _tracing, no_grad(), under_observation(model):
        first = _traced(model, tuple(MyTensor(x.array.copy()) for x in inputs))
        others = tuple(map(_another, inputs))
        try:
            return first, _traced(model, others)
        except NotImplementedError:
            raise
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            got = ", ".join(map(describe, others))
            raise ValueError(
                f"onnx.export: the model does not run on a batch of another size, {got} (the first axis of the "
                f"example is taken for the batch): {error}"
            ) from error


def _traced(model: nn.NeuralNetwork, inputs: tuple[MyTensor, ...]) -> Trace:
    trace = Trace(inputs)
    own = {id(tensor.array) for tensor in (*model.parameters(), *model.buffers())}
    with _written_down(trace, own):
        output = model(*inputs)
    trace.finish(output)
    return trace


def _another(x: MyTensor) -> MyTensor:
    """A larger batch of other values in the example's dtype: floats around its own, integers from among them.

    So indices stay valid ones. Every integer of the example becomes another one, so that what depends on it shows.
    """
    array = to_host(x.array)
    count = 2 * array.shape[0] + 1
    draws = np.random.default_rng(0)
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)]
        low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
        span = (high - low) or 1.0
        drawn = draws.uniform(low - span, high + span, (count, *array.shape[1:])).astype(array.dtype)
    else:
        values, places = np.unique(array, return_inverse=True)
        if len(values) == 1:
            raise ValueError(
                f"onnx.export: wanted an example with at least two different values in its input of {describe(x)}, "
                "so that what depends on them shows"
            )
        rows = np.arange(count) % array.shape[0]
        drawn = values[(places.reshape(array.shape) + 1)[rows] % len(values)]
    return MyTensor(drawn, device=x.device)
