"""The engine: the graph's vertices and the walk back over them. It knows no op by name.

A graph is made of *vertices*. A recorded operation is one (`Op`, `Function`), an output of an operation that has
several is one (`Output`), and so is a leaf tensor that wants a gradient. A vertex has

    edges        the vertices that its inputs came from, None where no gradient is wanted
    shape, dtype of the value it stands for, which its gradient must have too
    propagate    from the gradient of its value to the gradients of its inputs
    trace        in anomaly mode, where the operation was called

Edges lead from results to inputs, so a graph has no cycles and dies by reference count with its last result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mydl import kernels
from mydl.autograd.modes import mode

__all__ = ["Output", "Variable", "bind_tensor", "queue_callback", "run_backward", "sum_to_shape", "tensor_of"]


class Variable:
    """What the engine needs to know of a tensor: its array, its gradient and its place in the graph.

    `mydl.tensor.MyTensor` adds the operators. The class attributes are the defaults of a tensor that is in no
    graph, so that making one sets two attributes and no more.
    """

    array: Any
    edges: tuple = ()  # a leaf is a vertex with nowhere further to go
    hooks: list | None = None  # on a leaf: functions of its whole gradient, before it is accumulated
    after_hooks: list | None = None  # on a leaf: functions of the leaf, after its gradient is accumulated
    grad: Any = None
    _node: Any = None  # the vertex that made this tensor; None for a leaf
    _requires_grad = False  # of a leaf
    _version: list  # [count of in-place changes], one list for all views of the same memory
    _base: Any = None  # for a view: the tensor that it shows a part of
    _grad_buffer: Any = None  # where the gradient is to be written: a slice of an optimizer's flat buffer

    if TYPE_CHECKING:  # the rest of a tensor, which stands above the engine

        def __getattr__(self, name: str) -> Any: ...

    def vertex(self) -> Any:
        """The graph vertex of this tensor: its node, itself for a leaf that wants a gradient, or None."""
        node = self._node if self._base is None else self._current_node()
        if node is None and self._requires_grad:
            return self
        return node

    def accumulate(self, grad: Any) -> None:
        """Add a gradient, an array or (when recording) a tensor, to `.grad`."""
        raise NotImplementedError("accumulate is MyTensor's to define")

    def _current_node(self) -> Any:
        raise NotImplementedError("views are MyTensor's to define")


class Output:
    """One output of an operation that has several; it hands its gradient on to the operation under its index."""

    hooks: list | None = None

    def __init__(self, node: Any, index: int, shape: tuple, dtype: Any) -> None:
        self.edges = (node,)
        self.index = index
        self.shape = shape
        self.dtype = dtype

    def name(self) -> str:
        """The name of the operation."""
        return self.edges[0].name()

    @property
    def next_functions(self) -> tuple:
        """As of the operation."""
        return self.edges[0].next_functions

    def __repr__(self) -> str:
        return repr(self.edges[0])


_Tensor: Any = None  # the tensor class, which is built on this module


def bind_tensor(tensor_class: type) -> None:
    """Say which class `tensor_of` makes."""
    global _Tensor
    _Tensor = tensor_class


def tensor_of(value: Any) -> Any:
    """`value` as a tensor that is in no graph; a tensor is returned as it is. NumPy scalars become 0-d arrays."""
    if isinstance(value, Variable):
        return value
    tensor = object.__new__(_Tensor)
    tensor.array = np.asarray(value) if isinstance(value, np.generic) else value
    tensor._version = [0]
    return tensor


def sum_to_shape(grad: Any, shape: tuple) -> Any:
    """Sum a gradient over the axes along which an input of `shape` was broadcast.

    >>> import numpy as np
    >>> sum_to_shape(np.ones((4, 3)), (3,))
    array([4., 4., 4.])
    """
    if grad.dtype == np.float16:  # summed in float32 and rounded once
        return sum_to_shape(grad.astype(np.float32), shape).astype(np.float16)
    total = _Tensor.sum if isinstance(grad, Variable) else kernels.of(grad).sum_axes
    extra = len(grad.shape) - len(shape)
    if extra > 0:
        grad = total(grad, tuple(range(extra)), False)
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and grad.shape[i] != 1)
    if stretched:
        grad = total(grad, stretched, True)
    if tuple(grad.shape) != tuple(shape):
        raise RuntimeError(
            f"a backward rule gave a gradient of shape {tuple(grad.shape)} for an input of shape {shape}"
        )
    return grad


# What the walk back knows of a vertex is a list, which is made faster than an object: how many edges into it are
# still to come, its gradient so far, whether that is an array of the engine's own (more can then be added to it in
# place), and the vertex.
_LEFT, _GRAD, _OWNED = range(3)


def _visits(roots: Iterable[Any]) -> dict[Any, list]:
    """What is known at the start of each vertex that `roots` lead to: the number of edges into it."""
    visits = {root: [0, None, False, root] for root in roots}
    stack = list(visits)
    while stack:
        for vertex in stack.pop().edges:
            if vertex is not None:
                visit = visits.get(vertex)
                if visit is None:
                    visits[vertex] = [1, None, False, vertex]
                    stack.append(vertex)
                else:
                    visit[_LEFT] += 1
    return visits


def _leading_to(targets: set, roots: Iterable[Any], visits: dict[Any, list]) -> set:
    """The vertices from which a target can be reached, so that a gradient is computed for nothing else."""
    waiting = {vertex: visit[_LEFT] for vertex, visit in visits.items()}
    ready = [vertex for vertex in dict.fromkeys(roots) if waiting[vertex] == 0]
    order = []
    while ready:
        vertex = ready.pop()
        order.append(vertex)
        for edge in vertex.edges:
            if edge is not None:
                waiting[edge] -= 1
                if waiting[edge] == 0:
                    ready.append(edge)
    leading = set(targets)
    for vertex in reversed(order):
        if any(edge in leading for edge in vertex.edges if edge is not None):
            leading.add(vertex)
    return leading


def _run_hooks(vertex: Any, grad: Any, record: bool) -> Any:
    """Give the gradient, as a tensor, to each hook in turn; a hook that returns one replaces it."""
    grad = tensor_of(grad)
    for hook in list(vertex.hooks):
        changed = hook(grad)
        if changed is not None:
            if tuple(changed.shape) != tuple(grad.shape):
                raise RuntimeError(
                    f"a gradient hook returned shape {tuple(changed.shape)} for a gradient of shape {tuple(grad.shape)}"
                )
            grad = changed
    return grad if record else grad.array


def _check_gradients(vertex: Any, parts: tuple) -> None:
    """An error that names the operation, and the line that called it, if a gradient of an input is NaN."""
    for index, part in enumerate(parts):
        array = part.array if isinstance(part, Variable) else part
        if array is not None and array.dtype.kind in "fc" and bool((array != array).any()):
            where = vertex.trace or "(its forward ran outside detect_anomaly)\n"
            raise RuntimeError(
                f"{vertex.name()}: backward gave NaN for input {index}, {tuple(array.shape)} {array.dtype}. "
                f"Forward was called at:\n{where}"
            )


def queue_callback(callback: Callable[[], None]) -> None:
    """Call `callback` when the backward pass that is running (the outer one, of two) has ended without an error."""
    if mode.callbacks is None:
        raise RuntimeError("queue_callback: wanted to be called while backward is running")
    mode.callbacks.append(callback)


@np.errstate(all="ignore")
def run_backward(
    roots: Sequence[Any],
    root_grads: Sequence[Any],
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
    targets: Sequence[Any] | None = None,
) -> dict[Any, Any]:
    """Walk back from `roots` in reverse topological order, each vertex once, all its gradient summed before.

    Without `targets` the gradients are added to the leaves' `.grad`; with them they are returned by vertex and no
    `.grad` is touched. Gradients are arrays; with `create_graph` they are tensors and what is done to them is
    recorded. A vertex's saved arrays are freed as it is passed unless `retain_graph`.
    """
    visits = _visits(roots)
    leading = None if targets is None else _leading_to(set(targets), roots, visits)
    wanted = () if targets is None else set(targets)
    found: dict[Any, Any] = {}
    for root, grad in zip(roots, root_grads, strict=True):
        have = visits[root][_GRAD]
        visits[root][_GRAD] = grad if have is None else have + grad
    before, outer, anomaly = mode.grad, mode.callbacks, mode.anomaly
    mode.grad = create_graph
    mode.callbacks = callbacks = [] if outer is None else outer
    try:
        ready = [visits[vertex] for vertex in dict.fromkeys(roots) if visits[vertex][_LEFT] == 0]
        while ready:
            visit = ready.pop()
            _, grad, _, vertex = visit
            visit[_GRAD] = None
            edges = vertex.edges
            if grad is not None and vertex.hooks is not None:
                grad = _run_hooks(vertex, grad, create_graph)
            if vertex in wanted:
                found[vertex] = grad
            if not edges:
                if grad is not None and targets is None:
                    vertex.accumulate(grad)
                continue
            if vertex.__class__ is Output:
                # The operation's gradients gather in a list, one place for each of its outputs.
                if grad is not None:
                    visit = visits[edges[0]]
                    if visit[_GRAD] is None:
                        visit[_GRAD] = [None] * edges[0].outputs
                    have = visit[_GRAD][vertex.index]
                    visit[_GRAD][vertex.index] = grad if have is None else have + grad
                parts: Any = (None,)
            elif grad is None or (leading is not None and leading.isdisjoint(edges)):
                parts = (None,) * len(edges)
            else:
                parts = vertex.propagate(grad, create_graph, retain_graph, leading)
                if anomaly or vertex.trace is not None:
                    _check_gradients(vertex, parts)
            for edge, part in zip(edges, parts):
                if edge is None:
                    continue
                visit = visits[edge]
                if part is not None:
                    have = visit[_GRAD]
                    like = edge if have is None else have  # to ask a leaf takes longer
                    if part.shape != like.shape:
                        part = sum_to_shape(part, like.shape)
                    if part.dtype is not like.dtype and part.dtype != like.dtype:
                        part = part.astype(like.dtype)
                    if have is None:
                        visit[_GRAD] = part
                    elif visit[_OWNED]:
                        have += part
                        visit[_GRAD] = have  # 0-d arrays become new ones
                    else:
                        few = create_graph or part.size < kernels.LARGE
                        visit[_GRAD] = have + part if few else kernels.of(have).add(have, part)
                        visit[_OWNED] = not create_graph
                visit[_LEFT] = left = visit[_LEFT] - 1
                if not left:
                    ready.append(visit)
        while callbacks and outer is None:
            callbacks.pop(0)()
    finally:
        mode.grad, mode.callbacks = before, outer
    return found
