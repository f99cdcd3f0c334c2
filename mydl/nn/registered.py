"""What a module has registered, to be read and written: PyTorch's `_parameters`, `_buffers` and `_modules`."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

__all__ = ["Registered"]


class Registered(MutableMapping[str, Any]):
    """A module's own parameters, buffers or modules by name; what is set or deleted here is so in the module.

    >>> from mydl import nn
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> net._modules["1"] = nn.Tanh()
    >>> net[1], list(net._modules), net[0]._parameters.pop("bias").shape, net[0]._buffers
    (Tanh(), ['0', '1'], (2,), {})
    """

    def __init__(self, module: Any, kind: str) -> None:
        self._module, self._kind = module, kind

    def __getitem__(self, name: str) -> Any:
        return dict(self._module._own(self._kind))[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._module._register(name, self._kind)
        object.__setattr__(self._module, name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        delattr(self._module, name)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._module._own(self._kind))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
