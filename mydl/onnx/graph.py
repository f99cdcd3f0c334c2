"""The ONNX graph of a model, made from two traces of it that differ in the batch.

A size that differs between the traces depends on the batch and stays open in the graph. A constant that differs is
none: it was computed without operations, and in the file it would be wrong for the next input. So it is refused.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from mydl import nn
from mydl.autograd.op import describe
from mydl.backend import is_array, to_host
from mydl.onnx.rules import RULES, SAME
from mydl.onnx.trace import Step, Trace, Value

__all__ = ["Graph", "Tensor", "translate"]


class Tensor(NamedTuple):
    """A value of the graph. A size that depends on the batch is open: a pair, what it was in the two traces."""

    name: str
    shape: tuple[int | tuple[int, int], ...]
    dtype: np.dtype


class Graph:
    """The nodes and constants of an ONNX graph, as they are made."""

    def __init__(self, onnx: Any, model: nn.NeuralNetwork) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._names: set[str] = set()
        self._parameters = {id(tensor.array): name for name, tensor in model.state_dict().items()}
        self._constants: dict[int, tuple[Tensor, Any]] = {}  # by the array's id; the array is held

    def unique(self, wanted: str) -> str:
        """`wanted`, or with a number behind it a name that is not taken yet."""
        name, number = wanted, 0
        while name in self._names:
            number += 1
            name = f"{wanted}_{number}"
        self._names.add(name)
        return name

    def constant(self, value: Any, dtype: Any = None) -> Tensor:
        """A number, or an array (once, however often it is asked for), as a constant; a tensor as it is."""
        if isinstance(value, Tensor):
            return value
        if not is_array(value):
            value = np.asarray(value, dtype)
        if id(value) not in self._constants:
            array = np.asarray(to_host(value), order="C")
            name = self.unique(self._parameters.get(id(value), "constant"))
            self.initializers.append(self.onnx.numpy_helper.from_array(array, name))
            self._constants[id(value)] = (Tensor(name, array.shape, array.dtype), value)
        return self._constants[id(value)][0]

    def ints(self, *values: int) -> Tensor:
        """A constant list of integers."""
        return self.constant(values, np.int64)

    def node(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node whose inputs are tensors or names, None for one left out; its output's name, or all of them."""
        names = [value.name if isinstance(value, Tensor) else value or "" for value in inputs]
        made = [self.unique(f"{kind}_{len(self.nodes)}") for _ in range(outputs)]
        self.nodes.append(self.onnx.helper.make_node(kind, names, made, made[0], **attributes))
        return made[0] if outputs == 1 else tuple(made)

    def type_of(self, dtype: Any) -> int:
        """ONNX's number for a dtype."""
        return self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def declare(self, name: str, tensor: Tensor, batch: tuple[int, int]) -> Any:
        """The declaration of an input or output, its axes that are the batch named so."""
        sizes = [n if isinstance(n, int) else "batch" if n == batch else None for n in tensor.shape]
        return self.onnx.helper.make_tensor_value_info(name, self.type_of(tensor.dtype), sizes)

    def model(self, opset: int) -> Any:
        """The finished model, in the oldest version of the file format that has the opset."""
        helper = self.onnx.helper
        graph = helper.make_graph(self.nodes, "mydl", self.inputs, self.outputs, self.initializers)
        imports = [helper.make_opsetid("", opset)]
        version = helper.find_min_ir_version_for(imports)
        return helper.make_model(graph, opset_imports=imports, ir_version=version, producer_name="mydl")


def translate(graph: Graph, first: Trace, second: Trace) -> None:
    """Fill the graph from two traces of a model. What it cannot hold is a NotImplementedError that names the op."""
    _Translation(graph, first, second).run()


class _Translation:
    """The traces side by side, and the graph's tensor for each of their values."""

    def __init__(self, graph: Graph, first: Trace, second: Trace) -> None:
        self.graph, self.first, self.second = graph, first, second
        self.batch = (first.arrays[0].shape[0], second.arrays[0].shape[0])
        self.tensors: dict[Value, Tensor] = {}

    def run(self) -> None:
        """Inputs, steps, outputs."""
        graph, first, second = self.graph, self.first, self.second
        for value in first.inputs:
            name = graph.unique("input" if len(first.inputs) == 1 else f"input_{value.index}")
            graph.inputs.append(graph.declare(name, self.add(value, name), self.batch))
        many = len(first.outputs) > 1
        outputs = [graph.unique(f"output_{index}" if many else "output") for index in range(len(first.outputs))]
        for step, other in zip_longest(first.steps, second.steps):
            if step is None or other is None or step.op is not other.op or step.outputs != other.outputs:
                name = (step or other).op.name()
                raise NotImplementedError(
                    f"onnx.export: which operations run, from {name} on, depends on the input's values or the batch"
                )
            made = self.step(step, other)
            for value, name in zip(step.outputs, (made,) if isinstance(made, str) else made):
                self.add(value, name)
        self.check(tuple(first.outputs), tuple(second.outputs), "the model's output")
        for name, output in zip(outputs, first.outputs):
            tensor = self.operand(output, "the model's output")
            # An output's name is its own, whatever else the value is: an input, a constant, another output.
            graph.nodes.append(graph.onnx.helper.make_node("Identity", [tensor.name], [name], name))
            graph.outputs.append(graph.declare(name, tensor, self.batch))

    def add(self, value: Value, name: str) -> Tensor:
        """The graph's tensor for a value."""
        a, b = (trace.arrays[value.index] for trace in (self.first, self.second))
        if a.ndim != b.ndim or a.dtype != b.dtype:
            raise NotImplementedError(
                f"onnx.export: {name} is {describe(a)} for one batch and {describe(b)} for another; wanted the same "
                "dimensions (a squeeze() of all dimensions takes a batch of 1 too)"
            )
        self.tensors[value] = Tensor(name, self.shape(value), a.dtype)
        return self.tensors[value]

    def step(self, step: Step, other: Step) -> Any:
        """Translate one operation; the names of its outputs."""
        op, name = step.op, step.op.name()
        numbers = self.dtype_of(step.inputs)
        inputs = [self.input(a, b, name, numbers) for a, b in zip_longest(step.inputs, other.inputs)]
        options = {}
        for key, value in step.options.items():
            if key == "shape":  # the only option that may depend on the batch: it is the output's shape
                options[key] = self.shape(step.outputs[0])
            else:
                self.check(value, other.options[key], name)
                options[key] = self.option(value, name)
        if op in SAME:
            return self.graph.node(SAME[op], *inputs)
        if op not in RULES:
            raise NotImplementedError(f"onnx.export: the operation {name} has no translation")
        return RULES[op](self.graph, *inputs, **options)

    def shape(self, value: Value) -> tuple[int | tuple[int, int], ...]:
        """A value's sizes, the open ones as pairs."""
        a, b = (trace.arrays[value.index].shape for trace in (self.first, self.second))
        return tuple(m if m == n else (m, n) for m, n in zip(a, b))

    def dtype_of(self, inputs: tuple) -> Any:
        """The dtype that Python numbers among the inputs are read in: that of the first tensor or array."""
        arrays = (self.first.arrays[value.index] if isinstance(value, Value) else value for value in inputs)
        return next((array.dtype for array in arrays if is_array(array)), None)

    def input(self, a: Any, b: Any, what: str, numbers: Any) -> Tensor | None:
        """The tensor for an input of an operation; None for one left out."""
        repeated = self.repeated(a, b)
        if repeated is not None:
            return repeated
        self.check(a, b, what)
        return None if a is None else self.operand(a, what, getattr(a, "dtype", numbers))

    def operand(self, given: Any, what: str, dtype: Any = None) -> Tensor:
        """The tensor for a value, or for a constant."""
        if not isinstance(given, Value):
            return self.graph.constant(given, dtype)
        if given not in self.tensors:  # it stands behind those that the op's rule gives
            raise NotImplementedError(f"onnx.export: {what} takes an output of an operation that is not translated")
        return self.tensors[given]

    def option(self, given: Any, what: str) -> Any:
        """An option with tensors for the values in it."""
        if isinstance(given, tuple):
            return tuple(self.option(part, what) for part in given)
        return self.operand(given, what) if isinstance(given, Value) else given

    def repeated(self, a: Any, b: Any) -> Tensor | None:
        """A constant that is the same for every example (a first state, a mask), as often as the batch has examples.

        None if it is no such constant.
        """
        if not (is_array(a) and is_array(b)) or a.shape == b.shape or a.ndim != b.ndim or a.dtype != b.dtype:
            return None
        pairs = tuple(zip(a.shape, b.shape))
        one = a[tuple(slice(None) if m == n else slice(1) for m, n in pairs)]
        if any(m != n and (m, n) != self.batch for m, n in pairs) or not all(bool((x == one).all()) for x in (a, b)):
            return None
        graph = self.graph
        batch = graph.node("Shape", graph.inputs[0].name, start=0, end=1)
        sizes = graph.node("Concat", *(graph.ints(m) if m == n else batch for m, n in pairs), axis=0)
        shape = tuple(m if m == n else (m, n) for m, n in pairs)
        return Tensor(graph.node("Expand", graph.constant(one), sizes), shape, a.dtype)

    def check(self, a: Any, b: Any, what: str) -> None:
        """An error unless a constant, or where a value stands, is the same in both traces."""
        if isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b):
            for left, right in zip(a, b):
                self.check(left, right, what)
        elif not (_equal(to_host(a), to_host(b)) if is_array(a) and is_array(b) else type(a) is type(b) and a == b):
            got = describe(b if isinstance(a, Value) else a)
            raise NotImplementedError(
                f"onnx.export: {what} takes {got}, which no operation computes and which is different for another "
                "batch or for other values: in a file it would be wrong for them"
            )


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    return a is b or (a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
