"""Derivatives of functions: jacobian, hessian, and their products with vectors, as torch.autograd.functional has them.

`func` takes as many tensors as `inputs` holds and returns a tensor or a tuple of them. Each result is a tensor where
`inputs` (or the output) is one, a tuple where it is a tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mydl.autograd.engine import Variable
from mydl.autograd.gradients import grad
from mydl.autograd.modes import enable_grad
from mydl.autograd.op import describe, recorded_module, tensor_of

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tensors(values: Any, name: str, what: str) -> tuple:
    given = tuple(values) if isinstance(values, (tuple, list)) else (values,)
    for value in given:
        if not isinstance(value, Variable):
            raise TypeError(f"{name}: wanted {what} to be tensors, got {type(value).__name__}")
    return given


def _fresh(values: Any, name: str, create_graph: bool) -> tuple:
    """The inputs to differentiate by: leaves of their own, or in their graph where that is to be recorded."""
    fresh = []
    for tensor in _tensors(values, name, "inputs"):
        if create_graph and tensor.requires_grad:
            fresh.append(recorded_module().reshape(tensor, tensor.shape))
        else:
            fresh.append(tensor.detach().requires_grad_())
    return tuple(fresh)


def _filled(gradient: Any, tensor: Any, strict: bool, name: str) -> Any:
    """A gradient, or zeros where there is none; an error instead where `strict`."""
    if gradient is not None:
        return gradient
    if strict:
        raise RuntimeError(f"{name}: an output does not depend on an input of {describe(tensor)} (strict=True)")
    return tensor_of(tensor.xp.zeros_like(tensor.array))


def _vector(v: Any, like: tuple, name: str) -> tuple:
    """The vector of a product, checked; ones where it is left out and there is one element."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{name}: v may be left out for a single element only, not for {describe(like[0])}")
        return (tensor_of(like[0].xp.ones_like(like[0].array)),)
    vectors = _tensors(v, name, "v")
    if [x.shape for x in vectors] != [x.shape for x in like]:
        raise RuntimeError(f"{name}: wanted v of shapes {[x.shape for x in like]}, got {[x.shape for x in vectors]}")
    return vectors


def _along(gradients: tuple, vectors: tuple, inputs: tuple, create_graph: bool) -> tuple:
    """The gradients of Σ gradient · vector by the inputs; None where that does not depend on one."""
    pairs = [(g, v) for g, v in zip(gradients, vectors) if g is not None and g.requires_grad]
    if not pairs:
        return (None,) * len(inputs)
    parts, directions = zip(*pairs)
    return grad(parts, inputs, directions, create_graph=create_graph, allow_unused=True)


def _like(values: tuple, given: Any) -> Any:
    return values if isinstance(given, (tuple, list)) else values[0]


def _finished(value: Any, create_graph: bool) -> Any:
    if isinstance(value, tuple):
        return tuple(_finished(v, create_graph) for v in value)
    return value if create_graph else value.detach()


@enable_grad()
def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """d output / d input: a tensor of the output's shape followed by the input's, for each output and input.

    `strict` refuses an output that does not depend on an input; `vectorize` changes nothing.

    >>> import mydl
    >>> jacobian(lambda x: x**2, mydl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if strategy != "reverse-mode":
        raise NotImplementedError(f"jacobian: strategy={strategy!r} is not supported; only 'reverse-mode' is")
    leaves = _fresh(inputs, "jacobian", create_graph)
    output = func(*leaves)
    outputs = _tensors(output, "jacobian", "the outputs")
    xp = recorded_module()
    blocks = []
    for result in outputs:
        rows: list[list] = [[] for _ in leaves]
        flat = xp.reshape(result, (-1,))
        for i in range(result.numel()):
            if flat.requires_grad:
                found = grad(flat[i], leaves, retain_graph=True, create_graph=create_graph, allow_unused=True)
            else:
                found = (None,) * len(leaves)
            for row, part, leaf in zip(rows, found, leaves):
                row.append(_filled(part, leaf, strict, "jacobian"))
        shaped = [
            xp.reshape(xp.stack(row), (*result.shape, *leaf.shape))
            if row
            else tensor_of(leaf.xp.zeros((*result.shape, *leaf.shape), leaf.dtype))
            for row, leaf in zip(rows, leaves)
        ]
        blocks.append(_like(tuple(shaped), inputs))
    return _finished(_like(tuple(blocks), output), create_graph)


def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The second derivatives of a function of one element: a tensor of the input's shape twice, for each two inputs.

    >>> import mydl
    >>> hessian(lambda x: (x**3).sum(), mydl.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*leaves: Any) -> Any:
        value = func(*leaves)
        if not isinstance(value, Variable) or value.numel() != 1:
            raise RuntimeError(f"hessian: wanted a function of one element, got {describe(value)}")
        if not value.requires_grad:
            return _like(tuple(_filled(None, leaf, strict, "hessian") for leaf in leaves), inputs)
        found = grad(value.sum(), leaves, create_graph=True, allow_unused=True)
        return _like(tuple(_filled(g, leaf, strict, "hessian") for g, leaf in zip(found, leaves)), inputs)

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


@enable_grad()
def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """(output, vᵀ J): the vector v, of the output's shape, times the Jacobian.

    >>> import mydl
    >>> vjp(lambda x: x**2, mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 1.0]))[1]
    tensor([2., 4.])
    """
    leaves = _fresh(inputs, "vjp", create_graph)
    output = func(*leaves)
    outputs = _tensors(output, "vjp", "the outputs")
    found = grad(outputs, leaves, _vector(v, outputs, "vjp"), create_graph=create_graph, allow_unused=True)
    product = tuple(_filled(g, leaf, strict, "vjp") for g, leaf in zip(found, leaves))
    return _finished((output, _like(product, inputs)), create_graph)


@enable_grad()
def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """(output, J v): the Jacobian times the vector v, of the inputs' shape.

    The product with the transpose, uᵀ J, is linear in u; its derivative by u is J, and v makes J v of that.

    >>> import mydl
    >>> jvp(lambda x: x**2, mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 1.0]))[1]
    tensor([2., 4.])
    """
    leaves = _fresh(inputs, "jvp", create_graph)
    vectors = _vector(v, leaves, "jvp")
    output = func(*leaves)
    outputs = _tensors(output, "jvp", "the outputs")
    dummies = tuple(tensor_of(x.xp.zeros_like(x.array)).requires_grad_() for x in outputs)
    found = grad(outputs, leaves, dummies, create_graph=True, allow_unused=True)
    rows = _along(found, vectors, dummies, create_graph)
    product = tuple(_filled(g, x, strict, "jvp") for g, x in zip(rows, outputs))
    return _finished((output, _like(product, output)), create_graph)


@enable_grad()
def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """(output, vᵀ H): the vector v, of the inputs' shape, times the Hessian of a function of one element.

    >>> import mydl
    >>> vhp(lambda x: (x**3).sum(), mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 1.0]))[1]
    tensor([ 6., 12.])
    """
    leaves = _fresh(inputs, "vhp", create_graph)
    vectors = _vector(v, leaves, "vhp")
    output = func(*leaves)
    if not isinstance(output, Variable) or output.numel() != 1:
        raise RuntimeError(f"vhp: wanted a function of one element, got {describe(output)}")
    first = grad(output.sum(), leaves, create_graph=True, allow_unused=True)
    found = _along(first, vectors, leaves, create_graph)
    product = tuple(_filled(g, leaf, strict, "vhp") for g, leaf in zip(found, leaves))
    return _finished((output, _like(product, inputs)), create_graph)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """(output, H v): the Hessian of a function of one element times the vector v; the same as `vhp`, H being symmetric.

    >>> import mydl
    >>> hvp(lambda x: (x**3).sum(), mydl.tensor([1.0, 2.0]), mydl.tensor([1.0, 1.0]))[1]
    tensor([ 6., 12.])
    """
    return vhp(func, inputs, v, create_graph, strict)
