"""Modules made of other modules or parameters in a row or by name."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mydl.nn.module import NeuralNetwork
from mydl.tensor import MyTensor, Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def _place(index: Any, length: int, name: str) -> int:
    """An index counted from the front."""
    index = operator.index(index)
    if not -length <= index < length:
        raise IndexError(f"{name}: index {index} is out of range for {length} entries")
    return index % length


class _Row(NeuralNetwork):
    """Modules that are numbered from 0: what Sequential and ModuleList share."""

    def _items(self) -> list[NeuralNetwork]:
        return [self.__dict__[name] for name, kind in self._kinds.items() if kind == "module"]

    def _names(self) -> list[str]:
        return [name for name, kind in self._kinds.items() if kind == "module"]

    def _replace(self, modules: Iterable[NeuralNetwork]) -> None:
        """Hold `modules`, numbered anew, in the place of the present ones."""
        modules = list(modules)
        for name in self._names():
            delattr(self, name)
        for index, module in enumerate(modules):
            self.add_module(str(index), module)

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[NeuralNetwork]:
        return iter(self._items())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._part(index)
        return self._items()[_place(index, len(self), type(self).__name__)]

    def _part(self, index: slice) -> Any:
        raise NotImplementedError(f"{type(self).__name__}: a slice of it is its subclass's to define")

    def __setitem__(self, index: int, module: NeuralNetwork) -> None:
        self.add_module(self._names()[_place(index, len(self), type(self).__name__)], module)

    def __delitem__(self, index: Any) -> None:
        kept = self._items()
        del kept[index if isinstance(index, slice) else _place(index, len(kept), type(self).__name__)]
        self._replace(kept)

    def append(self, module: NeuralNetwork) -> Any:
        """Add a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[NeuralNetwork]) -> Any:
        """Add modules at the end; returns the container."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: NeuralNetwork) -> Any:
        """Put a module before the one at `index`; returns the container."""
        if not isinstance(module, NeuralNetwork):
            raise TypeError(f"insert: wanted a NeuralNetwork, got {type(module).__name__}")
        modules = self._items()
        if not -len(modules) <= index <= len(modules):
            raise IndexError(f"insert: index {index} is out of range for {len(modules)} modules")
        modules.insert(index, module)
        self._replace(modules)
        return self

    def pop(self, index: int) -> NeuralNetwork:
        """Take out the module at `index` and return it."""
        module = self[index]
        del self[index]
        return module


class Sequential(_Row):
    """Modules one after another, each called with the output of the one before.

    Takes modules, which are numbered from 0, or one OrderedDict of modules, which keep their names.

    >>> import mydl
    >>> from mydl import nn
    >>> Sequential(nn.Flatten(), nn.ReLU())(mydl.ones(2, 3, 4)).shape
    (2, 12)
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            named = list(args[0].items())
        else:
            named = [(str(index), module) for index, module in enumerate(args)]
        for name, module in named:
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        """The modules' outputs, one into the next."""
        for module in self._items():
            input = module(input)
        return input

    def _part(self, index: slice) -> Sequential:
        names = self._names()[index]
        return type(self)({name: getattr(self, name) for name in names})

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int) or times <= 0:
            raise ValueError(f"Sequential: wanted a whole number of at least 1 to multiply by, got {times!r}")
        return Sequential(*self._items() * times)

    __rmul__ = __mul__

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise TypeError(f"Sequential: wanted a Sequential to add, got {type(other).__name__}")
        return Sequential(*self, *other)


class ModuleList(_Row):
    """A list of modules, registered; it has no forward of its own.

    >>> from mydl import nn
    >>> len(ModuleList([nn.ReLU(), nn.Tanh()]).append(nn.ReLU()))
    3
    """

    def __init__(self, modules: Iterable[NeuralNetwork] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _part(self, index: slice) -> ModuleList:
        return type(self)(self._items()[index])

    def _printed(self) -> Iterator[tuple[str, str]]:
        start = 0
        for text, group in itertools.groupby(map(repr, self)):
            count = len(list(group))
            yield (str(start), text) if count == 1 else (f"{start}-{start + count - 1}", f"{count} x {text}")
            start += count

    def __iadd__(self, modules: Iterable[NeuralNetwork]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, other: Iterable[NeuralNetwork]) -> ModuleList:
        return ModuleList([*self, *other])


class _Dict(NeuralNetwork):
    """Values of one kind, registered under their keys: what ModuleDict and ParameterDict share."""

    _kind = "module"

    def __init__(self, values: Any = None) -> None:
        super().__init__()
        if values is not None:
            self.update(values)

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        return self.__dict__[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.add_module(key, value)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, key: object) -> bool:
        return self._kinds.get(key) == self._kind  # type: ignore[call-overload]

    def keys(self) -> Any:
        """The keys."""
        return dict(self._own(self._kind)).keys()

    def values(self) -> Any:
        """The values."""
        return dict(self._own(self._kind)).values()

    def items(self) -> Any:
        """(key, value) pairs."""
        return dict(self._own(self._kind)).items()

    def update(self, values: Any) -> None:
        """Add values from a mapping or from (key, value) pairs."""
        for key, value in values.items() if hasattr(values, "items") else values:
            self[key] = value

    def pop(self, key: str) -> Any:
        """Take out the value under `key` and return it."""
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Take out all values."""
        for key in list(self):
            del self[key]


class ModuleDict(_Dict):
    """A dict of modules, registered under their keys; it has no forward of its own.

    >>> from mydl import nn
    >>> list(ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()}))
    ['relu', 'tanh']
    """

    def __init__(self, modules: Mapping[str, NeuralNetwork] | None = None) -> None:
        super().__init__(modules)


class ParameterDict(_Dict):
    """A dict of parameters, registered under their keys; tensors that are given become parameters.

    >>> import mydl
    >>> weights = ParameterDict({"left": mydl.ones(2), "right": mydl.zeros(3)})
    >>> [name for name, _ in weights.named_parameters()], weights["right"].shape
    (['left', 'right'], (3,))
    """

    _kind = "parameter"

    def __init__(self, parameters: Any = None) -> None:
        super().__init__(parameters)

    def __setitem__(self, key: str, value: Any) -> None:
        self.register_parameter(key, _as_parameter(value))

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter under `key`, or `default` where there is none."""
        return dict(self.items()).get(key, default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The parameter under `key`, put there first where there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def extra_repr(self) -> str:
        """A line for each parameter."""
        return "\n".join(_shown(key, p) for key, p in self.items())


class ParameterList(NeuralNetwork):
    """A list of parameters, registered under "0", "1", …; tensors that are given become parameters.

    >>> import mydl
    >>> weights = ParameterList([mydl.ones(2), mydl.zeros(3)])
    >>> [name for name, _ in weights.named_parameters()], weights[-1].shape
    (['0', '1'], (3,))
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(list(self._parameters.values()))  # type: ignore[arg-type]

    def __getitem__(self, index: Any) -> Any:
        values = list(self)
        if isinstance(index, slice):
            return ParameterList(values[index])
        return values[_place(index, len(values), "ParameterList")]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, str(_place(index, len(self), "ParameterList")), _as_parameter(value))

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end; returns the list."""
        self.register_parameter(str(len(self)), _as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end; returns the list."""
        for value in list(values):
            self.append(value)
        return self

    __iadd__ = extend

    def extra_repr(self) -> str:
        """A line for each parameter."""
        return "\n".join(_shown(i, p) for i, p in enumerate(self))


def _shown(key: Any, p: Parameter) -> str:
    return f"  ({key}): Parameter containing: [{p.dtype} of size {'x'.join(map(str, p.shape))}]"


def _as_parameter(value: Any) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if isinstance(value, MyTensor):
        return Parameter(value)
    raise TypeError(f"ParameterList or ParameterDict: wanted a Parameter or a tensor, got {type(value).__name__}")
