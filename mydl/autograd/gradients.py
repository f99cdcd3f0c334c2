"""What users call to differentiate: `backward` and `grad`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mydl.autograd.engine import Variable, run_backward
from mydl.autograd.op import describe, tensor_of

__all__ = ["backward", "grad", "variable"]


def _sequence(value: Any) -> tuple:
    return tuple(value) if isinstance(value, Iterable) and not hasattr(value, "shape") else (value,)


def _roots(tensors: tuple, gradients: Any, create_graph: bool, name: str) -> tuple[list, list]:
    """The vertices to start from and the gradients to start with."""
    given = (None,) * len(tensors) if gradients is None else _sequence(gradients)
    if len(given) != len(tensors):
        raise RuntimeError(f"{name}: {len(tensors)} tensors but {len(given)} gradients")
    roots, starts = [], []
    for tensor, start in zip(tensors, given):
        vertex = tensor.vertex()
        if vertex is None:
            raise RuntimeError(
                f"{name}: this tensor, {describe(tensor)}, does not require a gradient: nothing it was computed from "
                "has requires_grad=True, or it was computed under no_grad()"
            )
        if start is None:
            if tensor.array.size != 1:
                raise RuntimeError(
                    f"{name}: a gradient can be started without an argument from one element only, this tensor is "
                    f"{describe(tensor)}; reduce it with .sum() or .mean(), or pass gradient="
                )
            start = tensor_of(tensor.xp.ones_like(tensor.array))
        elif not isinstance(start, Variable):
            start = tensor_of(tensor.xp.asarray(start, dtype=tensor.dtype))
        if start.shape != tensor.shape:
            raise RuntimeError(f"{name}: a gradient of shape {start.shape} for a tensor of shape {tensor.shape}")
        if start.dtype != tensor.dtype:
            start = start.to(tensor.dtype)
        roots.append(vertex)
        starts.append(start if create_graph else start.array)
    return roots, starts


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` to `.grad` of the leaves they were computed from, or of `inputs` alone.

    >>> import mydl
    >>> x = mydl.tensor([3.0], requires_grad=True)
    >>> backward(x * x)
    >>> x.grad
    tensor([6.])
    """
    roots, starts = _roots(_sequence(tensors), grad_tensors, create_graph, "backward")
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run_backward(roots, starts, retain_graph=keep, create_graph=create_graph)
        return
    wanted = {_vertex_of(tensor, "backward"): tensor for tensor in _sequence(inputs)}  # each once
    found = run_backward(roots, starts, retain_graph=keep, create_graph=create_graph, targets=tuple(wanted))
    for vertex, tensor in wanted.items():
        if found.get(vertex) is not None:
            tensor.accumulate(found[vertex])


def _vertex_of(tensor: Any, name: str) -> Any:
    vertex = tensor.vertex()
    if vertex is None:
        raise RuntimeError(f"{name}: one of the inputs, {describe(tensor)}, does not require a gradient")
    return vertex


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """The gradients of `outputs` (summed) with respect to each of `inputs`; no `.grad` is touched.

    With `create_graph` the result can be differentiated again. An input that the outputs do not depend on is an
    error, None with `allow_unused`, zeros with `materialize_grads`.

    >>> import mydl
    >>> x = mydl.tensor([3.0], requires_grad=True)
    >>> (first,) = grad(x**3, x, create_graph=True)
    >>> grad(first, x)
    (tensor([18.]),)
    """
    if not only_inputs or is_grads_batched:
        option = "is_grads_batched=True" if is_grads_batched else "only_inputs=False"
        raise NotImplementedError(f"grad: {option} is not supported")
    roots, starts = _roots(_sequence(outputs), grad_outputs, create_graph, "grad")
    wanted = _sequence(inputs)
    if not wanted:
        raise RuntimeError("grad: wanted at least one input")
    vertices = [_vertex_of(tensor, "grad") for tensor in wanted]
    keep = create_graph if retain_graph is None else retain_graph
    found = run_backward(roots, starts, retain_graph=keep, create_graph=create_graph, targets=vertices)
    results = []
    for tensor, vertex in zip(wanted, vertices):
        gradient = found.get(vertex)
        if gradient is None and materialize_grads:
            gradient = tensor.xp.zeros_like(tensor.array)
        elif gradient is None and not allow_unused:
            raise RuntimeError(
                f"grad: an input, {describe(tensor)}, was not used to compute the outputs; allow_unused=True gives None"
            )
        elif gradient is not None and not isinstance(gradient, Variable):
            gradient = gradient.copy()  # gradients of two inputs may be one array
        results.append(None if gradient is None else tensor_of(gradient))
    return tuple(results)


class _Variable:
    """`autograd.Variable`, PyTorch's older way to ask for gradients: a leaf that shares the tensor's memory.

    >>> import mydl
    >>> variable(mydl.ones(2), requires_grad=True), isinstance(mydl.ones(2), variable)
    (tensor([1., 1.], requires_grad=True), True)
    """

    def __call__(self, data: Any, requires_grad: bool = False) -> Any:
        leaf = data.detach()
        return leaf.requires_grad_() if requires_grad else leaf

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Variable)


variable = _Variable()
