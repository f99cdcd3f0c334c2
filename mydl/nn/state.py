"""A module's state dict: made, and loaded; everything is checked before anything is copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from mydl.autograd.modes import no_grad
from mydl.backend import is_array
from mydl.tensor import MyTensor

__all__ = ["IncompatibleKeys", "load_into", "save_into"]


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: names that the module has and the state lacks, and the other way round.

    >>> IncompatibleKeys([], ["x"])
    IncompatibleKeys(missing_keys=[], unexpected_keys=['x'])
    """

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        keys = f"missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys}"
        return f"IncompatibleKeys({keys})" if any(self) else "<All keys matched successfully>"


def _hooks(module: Any, moment: str) -> list[Any]:
    return [] if module._hooks is None else [hook for hook, _ in getattr(module._hooks, moment)]


def _saved(module: Any) -> Iterator[tuple[str, MyTensor]]:
    """(name, tensor) of a module's own parameters and persistent buffers."""
    for kind in ("parameter", "buffer"):
        for name, value in module._own(kind):
            if value is not None and name not in module._unsaved:
                yield name, value


def save_into(module: Any, state: dict[str, Any], prefix: str, keep_vars: bool) -> dict[str, Any]:
    """Add every parameter and persistent buffer of a module to `state`, tied ones under each of their names.

    >>> from mydl import nn
    >>> list(save_into(nn.Linear(2, 1), {}, "layer.", False))
    ['layer.weight', 'layer.bias']
    """
    if hasattr(module, "get_extra_state"):
        raise NotImplementedError(f"state_dict: {type(module).__name__}.get_extra_state: only tensors are saved")
    for hook in _hooks(module, "save_pre"):
        hook(module, prefix, keep_vars)
    for name, value in _saved(module):
        state[prefix + name] = value if keep_vars else value.detach()
    for name, below in module._own("module"):
        if below is not None:
            below.state_dict(destination=state, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in _hooks(module, "save"):
        hook(module, state, prefix, {})
    return state


def load_into(module: Any, state: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Copy `state` into a module's tensors by name, for its `load_state_dict`.

    >>> import mydl
    >>> layer = mydl.nn.Linear(1, 1, bias=False)
    >>> load_into(layer, {"weight": np.array([[2.0]])}, True).missing_keys
    []
    >>> layer.weight.item()
    2.0
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict: wanted a dict of tensors by name, got {type(state).__name__}")
    # files older than the counter lack it, as does what other programs write; PyTorch's own dicts say their version
    optional = "" if hasattr(state, "_metadata") else "num_batches_tracked"
    state = dict(state)
    own: dict[str, MyTensor] = {}
    errors: list[str] = []
    modules = list(module.named_modules(remove_duplicate=False))
    for path, part in modules:
        prefix = f"{path}." if path else ""
        for hook in _hooks(part, "load_pre"):
            hook(part, state, prefix, {}, strict, [], [], errors)
        own.update((prefix + name, tensor) for name, tensor in _saved(part))
    missing = [key for key in own if key not in state and key.rpartition(".")[2] != optional]
    unexpected = [key for key in state if key not in own]
    arrays = {key: _array(key, state[key]) for key in own if key in state}
    unfit = [
        f"{key}: {tuple(array.shape)} in the state, {own[key].shape} in the module"
        for key, array in arrays.items()
        if tuple(array.shape) != own[key].shape and (array.shape, own[key].shape) != ((1,), ())  # as old files have it
    ]
    faults = errors
    if strict and missing:
        faults.append("missing keys: " + ", ".join(missing))
    if strict and unexpected:
        faults.append("unexpected keys: " + ", ".join(unexpected))
    if unfit:
        faults.append("wrong shapes: " + "; ".join(unfit))
    if faults:
        raise RuntimeError(
            f"load_state_dict: the state does not fit {type(module).__name__} (nothing was loaded)\n  "
            + "\n  ".join(faults)
        )
    with no_grad():
        for key, array in arrays.items():
            own[key].copy_(array.reshape(own[key].shape))
    found = IncompatibleKeys(missing, unexpected)
    for _, part in modules:
        for hook in _hooks(part, "load"):
            hook(part, found)
    return found


def _array(key: str, value: Any) -> Any:
    """A tensor's or array's numbers; other libraries' tensors come through NumPy."""
    if isinstance(value, MyTensor):
        return value.array
    array = value if is_array(value) else np.asarray(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"load_state_dict: wanted a tensor or an array for {key!r}, got {type(value).__name__}")
    return array
