"""Function: a user's own differentiable operation, written as in PyTorch, on tensors."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

from mydl.autograd.engine import Output, Variable
from mydl.autograd.modes import mode, no_grad
from mydl.autograd.op import describe, tensor_of, where_called

__all__ = ["Function", "FunctionContext", "once_differentiable"]


class FunctionContext:
    """What `forward` and `backward` of a `Function` share; attributes of any name may be set on it."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._to_save: tuple = ()
        self._saved: tuple | None = ()
        self._node: Any = None
        self._constants: set[int] = set()
        self._dirty: set[int] = set()
        self._fill_gaps = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for `backward`, which finds them in `saved_tensors`."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Variable):
                raise TypeError(f"save_for_backward: wanted tensors or None, got {type(tensor).__name__}")
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple:
        """The tensors that `save_for_backward` kept, inputs and outputs in their place in the graph."""
        if self._saved is None:
            raise RuntimeError(
                "saved_tensors: the saved tensors were freed by an earlier backward through the same graph; "
                "give that one retain_graph=True"
            )
        return tuple(None if saved is None else saved.tensor(self._node) for saved in self._saved)

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say that these outputs carry no gradient."""
        self._constants.update(map(id, tensors))

    def mark_dirty(self, *tensors: Any) -> None:
        """Say that these inputs were changed in place; they must be returned as outputs too."""
        self._dirty.update(map(id, tensors))

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (the default) or None for an output that nothing was computed from."""
        self._fill_gaps = bool(value)


class _Saved:
    """One saved tensor: array, version, and place in the graph, that of an output without a cycle."""

    def __init__(self, tensor: Any, output: int | None) -> None:
        self.array, self.versions, self.version = tensor.array, tensor._version, tensor._version[0]
        self.vertex = None if output is not None else tensor.vertex()
        self.output = output

    def tensor(self, node: Any) -> Any:
        """The saved tensor again; RuntimeError if it was changed in place in the meantime."""
        if self.versions[0] != self.version:
            raise RuntimeError(
                f"{node.name()}: a saved tensor of {describe(self.array)} was changed in place after forward (it is at "
                f"version {self.versions[0]}, expected {self.version}); change a copy instead"
            )
        if isinstance(self.vertex, Variable):
            return self.vertex
        made = tensor_of(self.array)
        made._version = self.versions
        made._node = self.vertex if self.output is None else node.vertex_of(self.output)
        return made


class _Node:
    """The vertex of one application of a Function."""

    hooks: list | None = None
    shape: tuple = ()
    dtype: Any = None
    trace: str | None = None

    def __init__(self, function: type[Function], ctx: FunctionContext, edges: list, results: list[Any]) -> None:
        self.function, self.ctx, self.edges = function, ctx, edges
        self.outputs = len(results)
        self.sizes: list[Any] = [(x.shape, x.dtype, x.xp) if isinstance(x, Variable) else None for x in results]
        if self.outputs == 1:
            self.shape, self.dtype = getattr(results[0], "shape", ()), getattr(results[0], "dtype", None)

    def vertex_of(self, index: int) -> Any:
        """The vertex of one output."""
        if self.outputs == 1:
            return self
        shape, dtype, _ = self.sizes[index]
        return Output(self, index, shape, dtype)

    def name(self) -> str:
        """The name that messages give this operation."""
        return self.function.__name__

    @property
    def next_functions(self) -> tuple:
        """(vertex, 0) for each input, None in place of the vertex where no gradient goes."""
        return tuple((edge, 0) for edge in self.edges)

    def propagate(self, grad: Any, record: bool, keep: bool, leading: set | None) -> tuple:
        """The gradients of the inputs from those of the outputs; the engine calls this."""
        ctx = self.ctx
        ctx.needs_input_grad = tuple(e is not None and (leading is None or e in leading) for e in self.edges)
        given = [None if g is None else tensor_of(g) for g in (grad if self.outputs > 1 else [grad])]
        if ctx._fill_gaps:
            given = [
                tensor_of(size[2].zeros(size[0], size[1])) if g is None and size is not None else g
                for g, size in zip(given, self.sizes)
            ]
        parts = self.function.backward(ctx, *given)
        parts = parts if isinstance(parts, tuple) else (parts,)
        surplus = parts[len(self.edges) :]
        if len(parts) < len(self.edges) or any(part is not None for part in surplus):
            raise RuntimeError(f"{self.name()}: backward gave {len(parts)} gradients for {len(self.edges)} inputs")
        if not keep:
            ctx._saved = None if ctx._saved else ()
        parts = tuple(part if edge is not None else None for part, edge in zip(parts, self.edges))
        if record:
            return tuple(None if part is None else tensor_of(part) for part in parts)
        return tuple(getattr(part, "array", part) for part in parts)

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class Function:
    """An operation of one's own: a subclass defines static methods `forward` and `backward`, and is called by `apply`.

    `forward(ctx, *args)` gets the arguments of `apply`, tensors or not, and returns a tensor or a tuple; nothing in
    it is recorded. `backward(ctx, *grads)` gets a gradient for each output and returns one for each argument, None
    for those without. Since it works on tensors, it can itself be differentiated. `forward(*args)` without ctx and
    `setup_context(ctx, inputs, output)` may be defined instead.

    >>> import mydl
    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x**2 * grad
    >>> x = mydl.tensor([2.0], requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad
    tensor([12.])
    """

    setup_context: Callable[..., None] | None = None

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; the subclass defines it."""
        raise NotImplementedError("a Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the inputs; the subclass defines it."""
        raise NotImplementedError("a Function defines backward(ctx, *grads) to be differentiated")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run the operation, and record it if an argument wants a gradient."""
        ctx = FunctionContext()
        edges = [arg.vertex() if mode.grad and isinstance(arg, Variable) else None for arg in args]
        ctx.needs_input_grad = tuple(edge is not None for edge in edges)
        with no_grad():
            if cls.setup_context is None:
                result = cls.forward(ctx, *args)
            else:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
        results = list(result) if isinstance(result, (tuple, list)) else [result]
        recorded = any(ctx.needs_input_grad)
        made = [cls._output(ctx, args, value, recorded) for value in results]
        if recorded:
            node = _Node(cls, ctx, edges, made)
            if mode.anomaly:
                node.trace = where_called()
            for index, tensor in enumerate(made):
                floating = isinstance(tensor, Variable) and tensor.dtype.kind in "fc"
                if floating and id(results[index]) not in ctx._constants:
                    tensor._node = node.vertex_of(index)
            ctx._node = _Weak(node)
            places = {id(value): index for index, value in enumerate(results) if isinstance(value, Variable)}
            inputs = {id(arg) for arg in args}
            ctx._saved = tuple(
                None if t is None else _Saved(t, None if id(t) in inputs - ctx._dirty else places.get(id(t)))
                for t in ctx._to_save
            )
        ctx._to_save = ()
        return tuple(made) if isinstance(result, (tuple, list)) else made[0]

    @staticmethod
    def _output(ctx: FunctionContext, args: tuple, value: Any, recorded: bool) -> Any:
        """An output as a tensor of its own, lest an input that is returned takes the new place in the graph."""
        if not isinstance(value, Variable):
            return value
        if id(value) in ctx._dirty:
            if recorded and value._node is None and value._requires_grad:
                raise RuntimeError("mark_dirty: a leaf that requires a gradient cannot be changed in place")
            value._version[0] += 1
            return value
        return value.detach() if recorded or any(value is arg for arg in args) else value


class _Weak:
    """A node as its own context sees it, without keeping it alive: the node owns the context."""

    def __init__(self, node: _Node) -> None:
        self._node = weakref.ref(node)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node(), name)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a `backward` that must not be differentiated: it runs unrecorded, and differentiating its result fails.

    >>> class Twice(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return 2 * x
    ...     @staticmethod
    ...     @once_differentiable
    ...     def backward(ctx, grad):
    ...         return 2 * grad
    """

    @functools.wraps(backward)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            result = backward(ctx, *grads)
        recorded = [g for g in (*grads, *ctx.saved_tensors) if isinstance(g, Variable) and g.vertex() is not None]
        if not mode.grad or not recorded:
            return result
        parts = result if isinstance(result, tuple) else (result,)
        return tuple(part if part is None else _Final.apply(part, *recorded) for part in parts)

    return wrapper


class _Final(Function):
    """A value that depends on others in a way nobody can differentiate."""

    @staticmethod
    def forward(ctx: Any, value: Any, *others: Any) -> Any:
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError("once_differentiable: a backward that is marked so was differentiated a second time")
