"""What `repr` says of a layer's options."""

from __future__ import annotations

from typing import Any

from mydl.nn.module import NeuralNetwork

__all__ = ["Optioned", "differing"]


class Optioned(NeuralNetwork):
    """What the layers share whose options `repr` shows by name.

    >>> from mydl import nn
    >>> nn.Flatten()
    Flatten(start_dim=1, end_dim=-1)
    """

    _options: tuple[str, ...] = ()

    def extra_repr(self) -> str:
        """The options; `inplace` only where it is set."""
        options = {name: getattr(self, name) for name in self._options}
        return ", ".join(f"{name}={value!r}" for name, value in options.items() if name != "inplace" or value)


def differing(module: NeuralNetwork, **defaults: Any) -> str:
    """For `extra_repr`: the options that are not at their defaults.

    >>> from mydl import nn
    >>> differing(nn.Flatten(2), start_dim=1, end_dim=-1)
    ', start_dim=2'
    """
    values = ((name, getattr(module, name), default) for name, default in defaults.items())
    return "".join(f", {name}={value}" for name, value, default in values if value != default)
