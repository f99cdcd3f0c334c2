"""Weights that a layer computes before each forward pass from other parameters: weight and spectral normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from mydl.autograd.modes import no_grad
from mydl.autograd.op import tensor_of
from mydl.nn.convolution import ConvTranspose1d, ConvTranspose2d
from mydl.nn.functional.distance import normalize
from mydl.nn.init import normal_
from mydl.nn.module import NeuralNetwork
from mydl.tensor import MyTensor, Parameter

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

Layer = TypeVar("Layer", bound=NeuralNetwork)


def _hold(
    module: NeuralNetwork, name: str, kind: str, compute: Callable[[NeuralNetwork], MyTensor], first: MyTensor
) -> None:
    """Set the attribute `name` to `first`, and before each forward pass to what `compute` gives."""

    def before(layer: NeuralNetwork, args: Any = None) -> None:
        setattr(layer, name, compute(layer))

    setattr(module, name, first)
    module.__dict__["_computed"][name] = (kind, module.register_forward_pre_hook(before), compute)


def _taken(module: NeuralNetwork, name: str, kind: str) -> MyTensor:
    """The values of the parameter `name`, which is none any longer."""
    held = module.__dict__.setdefault("_computed", {})
    if name in held:
        raise RuntimeError(f"{kind}: {type(module).__name__}.{name} is computed by {held[name][0]} already")
    weight = getattr(module, name).detach().clone()
    delattr(module, name)
    return weight


def _release(module: Layer, name: str, kind: str, parts: tuple[str, ...]) -> Layer:
    """Make the attribute a parameter again, computed once more from its parts as they are now."""
    held = module.__dict__.get("_computed", {})
    if held.get(name, ("",))[0] != kind:
        raise ValueError(f"remove_{kind}: {type(module).__name__}.{name} has no {kind}")
    _, hook, compute = held.pop(name)
    hook.remove()
    training, module.training = module.training, False  # spectral_norm's vectors take no further step
    value = Parameter(compute(module).detach().clone())
    module.training = training
    for part in (name, *(name + ending for ending in parts)):
        delattr(module, part)
    module.register_parameter(name, value)
    return module


def weight_norm(module: Layer, name: str = "weight", dim: int | None = 0) -> Layer:
    """w = g v / ‖v‖: the parameter `name` by its length `name`_g and its direction `name`_v; returns the module.

    There is a length for each index along `dim`, one for all where it is None. Salimans and Kingma, "Weight
    normalization", 2016.

    >>> from mydl import nn
    >>> [key for key in weight_norm(nn.Linear(2, 3)).state_dict()]
    ['bias', 'weight_g', 'weight_v']
    """

    def length(v: MyTensor) -> MyTensor:
        return v.norm() if dim is None else v.norm(2, [d for d in range(v.ndim) if d != dim % v.ndim], keepdim=True)

    weight = _taken(module, name, "weight_norm")
    module.register_parameter(f"{name}_g", Parameter(length(weight)))
    module.register_parameter(f"{name}_v", Parameter(weight))

    def compute(layer: NeuralNetwork) -> MyTensor:
        v = getattr(layer, f"{name}_v")
        return v * (getattr(layer, f"{name}_g") / length(v))

    _hold(module, name, "weight_norm", compute, compute(module))
    return module


def remove_weight_norm(module: Layer, name: str = "weight") -> Layer:
    """Undo `weight_norm`: the weight is a parameter again.

    >>> from mydl import nn
    >>> [key for key in remove_weight_norm(weight_norm(nn.Linear(2, 3))).state_dict()]
    ['bias', 'weight']
    """
    return _release(module, name, "weight_norm", ("_g", "_v"))


def spectral_norm(
    module: Layer, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Layer:
    """w = `name`_orig / σ, σ its largest singular value as a matrix with `dim` as rows; returns the module.

    σ = uᵀ W v comes from `n_power_iterations` steps of v = Wᵀu / ‖Wᵀu‖, u = Wv / ‖Wv‖ before each forward pass in
    training; u and v are buffers. `dim` is 1 for transposed convolutions, else 0. Miyato et al., "Spectral
    normalization for generative adversarial networks", 2018.

    >>> from mydl import nn
    >>> [key for key in spectral_norm(nn.Linear(2, 3)).state_dict()]
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: wanted n_power_iterations of at least 1, got {n_power_iterations}")
    axis = int(isinstance(module, (ConvTranspose1d, ConvTranspose2d))) if dim is None else dim

    def as_matrix(weight: MyTensor) -> MyTensor:
        return weight.movedim(axis, 0).reshape(weight.shape[axis], -1)

    weight = _taken(module, name, "spectral_norm")
    module.register_parameter(f"{name}_orig", Parameter(weight))
    for side, size in zip("uv", as_matrix(weight).shape):
        vector = normal_(tensor_of(weight.xp.asarray(np.zeros(size, weight.dtype))))
        module.register_buffer(f"{name}_{side}", normalize(vector, dim=0, eps=eps))

    def compute(layer: NeuralNetwork) -> MyTensor:
        weight = getattr(layer, f"{name}_orig")
        u, v = getattr(layer, f"{name}_u"), getattr(layer, f"{name}_v")
        matrix = as_matrix(weight)
        if layer.training:
            with no_grad():
                for _ in range(n_power_iterations):
                    v.copy_(normalize(matrix.t().mv(u), dim=0, eps=eps))
                    u.copy_(normalize(matrix.mv(v), dim=0, eps=eps))
        return weight / u.clone().dot(matrix.mv(v.clone()))

    # until the first pass the weight itself, so that what initialises it then initialises the parameter
    _hold(module, name, "spectral_norm", compute, getattr(module, f"{name}_orig").data)
    return module


def remove_spectral_norm(module: Layer, name: str = "weight") -> Layer:
    """Undo `spectral_norm`: the weight, divided as it is now, is a parameter again.

    >>> from mydl import nn
    >>> [key for key in remove_spectral_norm(spectral_norm(nn.Linear(2, 3))).state_dict()]
    ['bias', 'weight']
    """
    return _release(module, name, "spectral_norm", ("_orig", "_u", "_v"))
