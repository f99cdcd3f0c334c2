"""Op: a differentiable primitive, one `forward` and one `backward` on arrays. Its instances are the graph's nodes."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import numpy as np
from numpy import ndarray

from mydl.autograd.engine import Output, Variable, bind_tensor, tensor_of
from mydl.autograd.modes import mode
from mydl.backend import array_module
from mydl.errors import DtypeError, LinAlgError, ShapeError

__all__ = ["Op", "alike", "bind", "describe", "recorded_module", "tensor_of", "where_called"]

_new = object.__new__
_FREED: tuple = ("freed",)
# What NumPy and CuPy raise for inputs that an operation cannot take; it is raised again with the op's name.
_MISHAPS = (ValueError, TypeError, IndexError, AttributeError, OverflowError)
# needs_input_grad where every input wants one: made once, since each object of a graph is work for Python's collector.
_ALL = tuple((True,) * n for n in range(4))

# The tensor class, and the module of recorded operations under NumPy's names: both are built on Op, so they are
# put here, by `bind`, when they exist.
_Tensor: Any = None
_recorded: Any = None


def bind(tensor_class: type, recorded: Any) -> None:
    """Tell Op which class its results have, and which module stands in for NumPy when backward is recorded."""
    global _Tensor, _recorded
    _Tensor = tensor_class
    _recorded = recorded
    bind_tensor(tensor_class)


def recorded_module() -> Any:
    """The recorded operations under NumPy's names; array ones where no tensor wants a gradient."""
    return _recorded


def alike(x: Any, y: Any) -> bool:
    """Whether two arrays are of one shape, dtype and kind (NumPy's or CuPy's).

    >>> alike(np.zeros(2), np.ones(2)), alike(np.zeros(2), np.zeros(2, np.float32))
    (True, False)
    """
    return x.shape == y.shape and x.dtype == y.dtype and x.__class__ is y.__class__


def describe(value: Any) -> str:
    """A tensor's or array's shape and dtype, for messages; other values as they print.

    >>> describe(np.zeros((2, 3), np.float32)), describe(2.0)
    ('(2, 3) float32', '2.0')
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{tuple(value.shape)} {value.dtype}"
    return repr(value) if len(repr(value)) < 60 else type(value).__name__


class Op:
    """A differentiable primitive.

    A subclass defines two static methods on arrays:

        forward(ctx, *inputs, **options) -> array, or tuple of arrays
        backward(ctx, grad) -> gradient of the input, or tuple of them, None where there is none

    `ctx` is the node of the graph that the call makes. In both, `ctx.xp` is NumPy or CuPy, whichever the inputs
    belong to, and `ctx.needs_input_grad` says which inputs want a gradient. `forward` keeps what `backward` needs
    with `ctx.save`: inputs or outputs (a second derivative flows through those), or constants of the graph such as
    masks and indices.

    A backward rule serves second derivatives too: with `create_graph` the saved values and `grad` are tensors and
    `ctx.xp` is a module of recorded operations under NumPy's names. So it uses operators and `ctx.xp` only. Where
    it calls a fused kernel it asks `ctx.recording` first and gives the composite formula then.

    Broadcasting is not its business: the engine sums a gradient to the input's shape.
    """

    xp: Any = np
    saved: tuple = ()
    # Of each saved input or output: version list, version, position in `saved`, index (-1 - index of an output).
    guards: list | tuple = ()
    edges: Any = ()
    needs_input_grad: Any = ()
    hooks: list | None = None
    outputs = 1
    recording = False
    trace: str | None = None  # where forward was called, in anomaly mode
    shape: tuple
    dtype: Any

    prepare: Any = None  # a function of the inputs that casts the inputs to a common dtype before anything else
    moves = False  # it is there to bring its input from one device to another
    view = False  # the output shares the input's memory; an op that may copy sets it on ctx
    views: Any = ()  # of a view op with several outputs: for each the op, with its options, that makes it alone

    @staticmethod
    def forward(ctx: Any, *inputs: Any, **options: Any) -> Any:
        """Compute the output from arrays."""
        raise NotImplementedError("an Op defines forward")

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        """Compute the gradients of the inputs from the gradient of the output."""
        raise NotImplementedError("an Op defines backward")

    def save(self, *values: Any) -> None:
        """Keep inputs, outputs or constants for backward, in `saved`."""
        self.saved = values

    def grad_buffer(self, index: int) -> Any:
        """An array that input `index`'s gradient may be written into, for `out=`, or None.

        A parameter that an optimizer has put into its flat buffer has one; it is handed out once a backward pass,
        and not while anybody else holds the gradient of the step before.
        """
        leaf = self.edges[index]
        buffer = getattr(leaf, "_grad_buffer", None)
        if buffer is None or self.recording or leaf.grad is not None or leaf._buffer_taken:
            return None
        if leaf.hooks is not None or not alike(buffer, leaf.array):
            return None
        if sys.getrefcount(buffer) > leaf._buffer_references:
            return None
        leaf._buffer_taken = True
        return buffer

    def call(self, op: type[Op], *inputs: Any, **options: Any) -> Any:
        """Another op inside a rule: recorded when this backward is, otherwise its forward on arrays alone."""
        if self.recording:
            return op.apply(*inputs, **options)
        ctx = _new(op)
        ctx.xp = self.xp
        ctx.needs_input_grad = (False,) * len(inputs)
        return op.forward(ctx, *inputs, **options)

    @classmethod
    def apply(cls, *inputs: Any, **options: Any) -> Any:
        """Run the operation on tensors (and constants), and record it if an input wants a gradient."""
        given = inputs
        prepare = cls.prepare
        if prepare is not None:
            try:
                inputs = prepare(inputs)
            except _MISHAPS as error:
                raise _explained(cls, error, given) from error
        ctx = cls()
        arrays = []
        edges = []
        recorded = 0  # how many inputs want a gradient
        plain = _Tensor
        modes = mode.__dict__  # one look at what belongs to the thread costs as much as one at an attribute of it
        grad_mode = modes["grad"]
        for value in inputs:
            edge = None
            if value.__class__ is plain or isinstance(value, Variable):
                arrays.append(value.array)
                if grad_mode:
                    edge = value._node if value._base is None else value._current_node()
                    if edge is not None:
                        recorded += 1
                    elif value._requires_grad:
                        edge = value
                        recorded += 1
            else:
                arrays.append(value)
            edges.append(edge)
        if arrays[0].__class__ is not ndarray:
            ctx.xp = _common_module(cls, arrays)
        if recorded == len(edges):
            ctx.needs_input_grad = _ALL[recorded] if recorded < len(_ALL) else (True,) * recorded
        else:
            ctx.needs_input_grad = tuple([edge is not None for edge in edges]) if recorded else (False,) * len(edges)
        try:
            if options:
                result = modes["quiet"](cls.forward, ctx, *arrays, **options)
            else:  # an empty ** costs time too, which the smallest operations would pay
                result = modes["quiet"](cls.forward, ctx, *arrays)
        except _MISHAPS as error:
            raise _explained(cls, error, given) from error
        if result.__class__ is not ndarray:
            if result.__class__ is tuple:
                return ctx._several(inputs, arrays, edges, result, recorded)
            if isinstance(result, np.generic):
                # NumPy gives scalars for arrays of no dimensions; a saved output must stay the output itself.
                scalar, result = result, np.asarray(result)
                ctx.saved = tuple(result if value is scalar else value for value in ctx.saved)
        tensor = _new(_Tensor)
        tensor.array = result
        if ctx.view and isinstance(inputs[0], Variable):  # not a constant array, while backward is recorded
            tensor._show(inputs[0], cls, options)
        else:
            tensor._version = [0]
        if recorded and (dtype := result.dtype).kind in "fc":
            ctx.edges, ctx.shape, ctx.dtype = edges, result.shape, dtype
            tensor._node = ctx
            if ctx.saved:
                ctx._guard(inputs, arrays, (tensor,))
            if modes["anomaly"]:
                ctx.trace = where_called()
        return tensor

    def _several(self, inputs: tuple, arrays: list, edges: list, results: tuple, recorded: int) -> tuple:
        """Wrap several outputs; each floating one becomes a vertex that hands its gradient on to this node."""
        tensors = tuple(tensor_of(result) for result in results)
        if isinstance(inputs[0], Variable):
            for tensor, (op, options) in zip(tensors, self.views):
                tensor._show(inputs[0], op, options)
        if recorded:
            self.edges = edges
            self.outputs = len(results)
            for index, tensor in enumerate(tensors):
                if tensor.array.dtype.kind in "fc":
                    tensor._node = Output(self, index, tensor.array.shape, tensor.array.dtype)
            if self.saved:
                self._guard(inputs, arrays, tensors)
            if mode.anomaly:
                self.trace = where_called()
        return tensors

    def _guard(self, inputs: tuple, arrays: list, outputs: tuple) -> None:
        """Note for each saved array which input or output it is, and that tensor's version."""
        self.guards = guards = []
        count = len(arrays)
        for position, value in enumerate(self.saved):
            if value is None:
                continue
            index = position  # inputs are saved in their order; in x * x.detach() both are one array
            if index >= count or arrays[index] is not value:
                index = 0
                for array in arrays:
                    if array is value:
                        break
                    index += 1
            if index < count:
                given = inputs[index]
                if given is not value:  # a tensor and no constant
                    version = given._version
                    guards.append((version, version[0], position, index))
                continue
            for index, output in enumerate(outputs):
                if output.array is value:
                    guards.append((output._version, output._version[0], position, -1 - index))
                    break

    def propagate(self, grad: Any, record: bool, keep: bool, leading: set | None) -> tuple:
        """The gradients of the inputs from the gradient of the output; the engine calls this."""
        saved = self.saved
        if saved is _FREED:
            raise RuntimeError(
                f"{self.name()}: its saved arrays were freed by an earlier backward through the same graph; "
                "give that one retain_graph=True, or build the graph anew for each backward"
            )
        for version, seen, position, _ in self.guards:
            if version[0] != seen:
                raise RuntimeError(
                    f"{self.name()}: a tensor of {describe(saved[position])} that backward needs was changed in place "
                    f"after forward (it is at version {version[0]}, expected {seen}); change a copy instead"
                )
        ctx = self._copy(record, leading) if record or leading is not None else self
        parts = self.backward(ctx, grad)
        if parts.__class__ is not tuple:
            parts = (parts,)
        if saved and not keep:
            self.saved = _FREED
        return parts

    def _copy(self, record: bool, leading: set | None) -> Op:
        """A context for one backward: its saved values as tensors when recording, its needs cut to what leads on."""
        ctx = _new(type(self))
        ctx.__dict__.update(self.__dict__)
        if leading is not None:
            ctx.needs_input_grad = [edge is not None and edge in leading for edge in self.edges]
        if record:
            ctx.recording = True
            ctx.xp = _recorded
            saved = list(self.saved)
            for version, _, position, index in self.guards:
                saved[position] = self._as_tensor(saved[position], version, index)
            ctx.saved = tuple(saved)
        return ctx

    def _as_tensor(self, value: Any, version: list, index: int) -> Any:
        """A saved input or output as the tensor it was, in its place in the graph."""
        edge = self.edges[index] if index >= 0 else self
        if isinstance(edge, Variable):
            return edge
        tensor = tensor_of(value)
        tensor._version = version
        tensor._node = Output(self, -1 - index, value.shape, value.dtype) if index < 0 and self.outputs > 1 else edge
        return tensor

    @property
    def next_functions(self) -> tuple:
        """(vertex, 0) for each input, None in place of the vertex where no gradient goes."""
        return tuple((edge, 0) for edge in self.edges)

    @classmethod
    def name(cls) -> str:
        """The name that messages give this operation."""
        return cls.__name__

    def __repr__(self) -> str:
        return f"<{self.name()}>"


def where_called() -> str:
    """The lines that led here, innermost last, without those inside mydl itself."""
    frames = [(f, line) for f, line in traceback.walk_stack(None) if not _is_own(f)]
    return "".join(traceback.StackSummary.extract(reversed(frames)).format())


def _is_own(frame: Any) -> bool:
    return frame.f_globals.get("__name__", "").split(".")[0] == "mydl"


def _common_module(cls: type[Op], arrays: list) -> Any:
    """NumPy or CuPy, by the arrays; arrays of both, or of a GPU that is not the current one, are an error."""
    arrays = [a for a in arrays if hasattr(a, "dtype") and not isinstance(a, np.generic)]
    modules = [array_module(a) for a in arrays]
    if any(module is not modules[0] for module in modules):
        raise RuntimeError(
            f"{cls.name()}: its inputs are on different devices ({', '.join(m.__name__ for m in modules)} arrays); "
            "move them to one with .to(device)"
        )
    if modules and modules[0] is not np and not cls.moves:
        current = modules[0].cuda.runtime.getDevice()
        for array in arrays:
            if array.device.id != current:
                raise RuntimeError(
                    f"{cls.name()}: an input is on cuda:{array.device.id} and the current GPU is cuda:{current}; "
                    f"call mydl.cuda.set_device({array.device.id}) first, or move the input"
                )
    return modules[0] if modules else np


def _explained(cls: type[Op], error: Exception, inputs: tuple) -> Exception:
    """The error again, naming the op and the shapes and dtypes that it got."""
    text = str(error)
    if text.startswith(f"{cls.name()}:"):
        return error
    if isinstance(error, AttributeError):
        if hasattr(inputs[0], "dtype"):
            return error  # a bug of the op's own
        return TypeError(f"{cls.name()}: wanted a tensor, got {type(inputs[0]).__name__}")
    _common_module(cls, [value.array if isinstance(value, Variable) else value for value in inputs])
    singular = LinAlgError if isinstance(error, np.linalg.LinAlgError) else ShapeError
    kind = next((k for k in (IndexError, DtypeError, TypeError) if isinstance(error, k)), singular)
    if kind is TypeError and all(hasattr(value, "dtype") for value in inputs):
        kind = DtypeError  # they are all tensors or arrays
    got = ", ".join(describe(value) for value in inputs)
    return kind(f"{cls.name()}: {text} (got {got})")
