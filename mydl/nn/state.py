"""Loading a state dict into a module's tensors: everything is checked before anything is copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mydl.autograd.modes import no_grad
from mydl.backend import is_array
from mydl.tensor import MyTensor

__all__ = ["IncompatibleKeys", "load_into"]


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: names that the module has and the state lacks, and the other way round.

    >>> IncompatibleKeys([], ["x"])
    IncompatibleKeys(missing_keys=[], unexpected_keys=['x'])
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def load_into(name: str, own: dict[str, MyTensor], state: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Copy `state` into the tensors `own`, by name, for `load_state_dict` of a module of class `name`.

    >>> import mydl
    >>> weight = mydl.zeros(2)
    >>> load_into("Net", {"weight": weight}, {"weight": np.array([1.0, 2.0])}, True).missing_keys
    []
    >>> weight
    tensor([1., 2.])
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict: wanted a dict of tensors by name, got {type(state).__name__}")
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    arrays = {key: _array(key, state[key]) for key in own if key in state}
    unfit = [
        f"{key}: {tuple(array.shape)} in the state, {own[key].shape} in the module"
        for key, array in arrays.items()
        if tuple(array.shape) != own[key].shape
    ]
    faults = []
    if strict and missing:
        faults.append("missing keys: " + ", ".join(missing))
    if strict and unexpected:
        faults.append("unexpected keys: " + ", ".join(unexpected))
    if unfit:
        faults.append("wrong shapes: " + "; ".join(unfit))
    if faults:
        raise RuntimeError(
            f"load_state_dict: the state does not fit {name} (nothing was loaded)\n  " + "\n  ".join(faults)
        )
    with no_grad():
        for key, array in arrays.items():
            own[key].copy_(array)
    return IncompatibleKeys(missing, unexpected)


def _array(key: str, value: Any) -> Any:
    """A tensor's or array's numbers; other libraries' tensors come through NumPy."""
    if isinstance(value, MyTensor):
        return value.array
    array = value if is_array(value) else np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"load_state_dict: wanted a tensor or an array for {key!r}, got {type(value).__name__}")
    return array
