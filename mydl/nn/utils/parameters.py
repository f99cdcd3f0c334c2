"""Gradients clipped, and parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mydl.autograd.modes import no_grad
from mydl.autograd.op import tensor_of
from mydl.functions.joining import cat
from mydl.ops.casting import wide
from mydl.tensor import MyTensor

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm", "parameters_to_vector",
    "vector_to_parameters",
]  # fmt: skip


def _gradients(parameters: MyTensor | Iterable[MyTensor]) -> list[MyTensor]:
    parameters = [parameters] if isinstance(parameters, MyTensor) else parameters
    if not isinstance(parameters, Iterable):
        raise TypeError(f"wanted parameters with gradients, got {type(parameters).__name__}; pass model.parameters()")
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def get_total_norm(tensors: Iterable[MyTensor], norm_type: float = 2.0, error_if_nonfinite: bool = False) -> MyTensor:
    """The norm of all the tensors' elements as one vector, 0-d.

    >>> get_total_norm([MyTensor([3.0]), MyTensor([4.0])])
    tensor(5.)
    """
    arrays = [tensor.array.reshape(-1) for tensor in tensors if tensor.numel()]
    if not arrays:
        return MyTensor(0.0)
    xp = tensor_of(arrays[0]).xp
    norms = xp.stack([xp.linalg.norm(wide(array), ord=norm_type) for array in arrays])
    dtype = np.result_type(*(array.dtype for array in arrays))
    total = xp.asarray(xp.linalg.norm(norms, ord=norm_type)).astype(dtype, copy=False)
    if error_if_nonfinite and not bool(xp.isfinite(total)):
        raise RuntimeError(f"clip_grad_norm_: the gradients' norm of order {norm_type} is {float(total)}")
    return tensor_of(total)


def clip_grad_norm_(
    parameters: MyTensor | Iterable[MyTensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> MyTensor:
    """Scale all gradients by max_norm / (norm + 1e-6), if that is below 1; returns their norm from before.

    `foreach`, PyTorch's choice of implementation, changes nothing here.

    >>> x = MyTensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_norm_(x, 1.0), x.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    gradients = _gradients(parameters)
    total = get_total_norm(gradients, norm_type, error_if_nonfinite)
    _scale(gradients, max_norm, total)
    return total


def clip_grads_with_norm_(
    parameters: MyTensor | Iterable[MyTensor], max_norm: float, total_norm: MyTensor, foreach: bool | None = None
) -> None:
    """Scale all gradients by max_norm / (total_norm + 1e-6), if that is below 1: `clip_grad_norm_`'s second half.

    >>> x = MyTensor([3.0, 4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grads_with_norm_(x, 1.0, get_total_norm([x.grad]))
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    _scale(_gradients(parameters), max_norm, total_norm)


def _scale(gradients: list[MyTensor], max_norm: float, total: MyTensor) -> None:
    factor = total.xp.minimum(max_norm / (total.array + 1e-6), 1.0)
    with no_grad():
        for gradient in gradients:
            gradient.mul_(tensor_of(factor).to(gradient.dtype))


def clip_grad_value_(parameters: MyTensor | Iterable[MyTensor], clip_value: float, foreach: bool | None = None) -> None:
    """Hold every element of the gradients within [-clip_value, clip_value].

    `foreach`, PyTorch's choice of implementation, changes nothing here.

    >>> x = MyTensor([3.0, -4.0], requires_grad=True)
    >>> (x * x / 2).sum().backward()
    >>> clip_grad_value_(x, 1.0)
    >>> x.grad
    tensor([ 1., -1.])
    """
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-float(clip_value), float(clip_value))


def parameters_to_vector(parameters: Iterable[MyTensor]) -> MyTensor:
    """All parameters end to end in one vector.

    >>> parameters_to_vector([MyTensor([[1.0, 2.0]]), MyTensor([3.0])])
    tensor([1., 2., 3.])
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: MyTensor, parameters: Iterable[MyTensor]) -> None:
    """Copy consecutive parts of a vector into the parameters: the inverse of `parameters_to_vector`.

    >>> x, y = MyTensor([0.0, 0.0]), MyTensor([0.0])
    >>> vector_to_parameters(MyTensor([1.0, 2.0, 3.0]), [x, y])
    >>> x, y
    (tensor([1., 2.]), tensor([3.]))
    """
    if not isinstance(vec, MyTensor):
        raise TypeError(f"vector_to_parameters: wanted a tensor, got {type(vec).__name__}")
    parameters = list(parameters)
    wanted = sum(parameter.numel() for parameter in parameters)
    if vec.shape != (wanted,):
        raise ValueError(f"vector_to_parameters: wanted a vector of {wanted} elements, got shape {vec.shape}")
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        with no_grad():
            parameter.data.copy_(tensor_of(vec.array[start:end].reshape(parameter.shape)))
        start = end
