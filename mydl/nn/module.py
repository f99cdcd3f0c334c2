"""NeuralNetwork: what every layer and model is. It holds parameters, buffers and other modules by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from mydl.autograd.differentiable import HookHandle
from mydl.autograd.modes import no_grad
from mydl.errors import DtypeError
from mydl.functions.conversion import read_to
from mydl.nn.hooks import Hooks, call_with_hooks
from mydl.nn.registered import Registered
from mydl.nn.state import IncompatibleKeys, load_into, save_into
from mydl.tensor import MyTensor, Parameter

__all__ = ["NeuralNetwork"]

Self = TypeVar("Self", bound="NeuralNetwork")


class NeuralNetwork:
    """A layer, or a network of layers: define `__init__` (call `super().__init__()` first) and `forward`.

    A `Parameter` or another `NeuralNetwork` that is assigned to an attribute, in `__init__` or later, is registered
    under that name; `register_buffer` registers a tensor that is saved but not trained. Values are ordinary
    attributes; `_kinds` says which of them are registered, and as what.

    >>> import mydl
    >>> class Net(NeuralNetwork):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = Parameter(mydl.ones(1))
    ...     def forward(self, x):
    ...         return x * self.scale
    >>> Net()(mydl.tensor([2.0])).item(), [name for name, _ in Net().named_parameters()]
    (2.0, ['scale'])
    """

    training: bool = True
    _hooks: Hooks | None = None  # made by the first hook: a call looks at this one attribute
    _kinds: dict[str, str]  # "parameter", "buffer" or "module" by attribute, in the order of registration
    _unsaved: frozenset[str] = frozenset()  # buffers that state_dict leaves out

    def __init__(self) -> None:
        self.__dict__["_kinds"] = {}
        self.__dict__["training"] = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output; a subclass defines it."""
        raise NotImplementedError(f'{type(self).__name__} is missing its "forward" method')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return call_with_hooks(self, args, kwargs)

    # Registration --------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._register(name, "parameter")
        elif isinstance(value, NeuralNetwork):
            self._register(name, "module")
        else:
            kinds = self.__dict__.get("_kinds")
            if kinds is not None and name in kinds and value is not None:
                kind = kinds[name]
                if kind != "buffer" or not isinstance(value, MyTensor):
                    wanted = {"parameter": "a Parameter", "module": "a NeuralNetwork", "buffer": "a tensor"}[kind]
                    raise TypeError(
                        f"{type(self).__name__}.{name} is a {kind}: wanted {wanted} or None, got {type(value).__name__}"
                    )
        object.__setattr__(self, name, value)

    def _register(self, name: str, kind: str) -> None:
        """Note what attribute `name` is from now on."""
        kinds = self.__dict__.get("_kinds")
        if kinds is None:
            raise RuntimeError(
                f"{type(self).__name__}: a {kind} was assigned to {name!r} before super().__init__() was called; "
                "call it first in __init__"
            )
        if kinds.get(name, kind) != kind:
            del kinds[name]
        kinds[name] = kind

    def __delattr__(self, name: str) -> None:
        self.__dict__.get("_kinds", {}).pop(name, None)
        object.__delattr__(self, name)

    def __getattr__(self, name: str) -> Any:
        # reached only where ordinary look-up has failed
        hint = "" if "_kinds" in self.__dict__ else "; super().__init__() was not called in its __init__"
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def _put(self, kind: str, name: str, value: Any, wanted: type) -> None:
        """Register `value`, a `wanted` or None, under a new name."""
        if not isinstance(name, str):
            raise TypeError(f"wanted a string as the name of a {kind}, got {type(name).__name__}")
        if "." in name or not name:
            raise ValueError(f'the name of a {kind} is not empty and contains no ".", got {name!r}')
        if hasattr(self, name) and self.__dict__.get("_kinds", {}).get(name) != kind:
            raise ValueError(f"{type(self).__name__} already has an attribute {name!r}: a {kind} cannot have its name")
        if value is not None and not isinstance(value, wanted):
            meant = ""
            if isinstance(value, type) and issubclass(value, wanted):
                meant = f"; make one: {value.__name__}(…)"
            elif isinstance(value, (list, tuple)):
                meant = "; give them one by one, with a * before the list"
            elif callable(value) and kind == "module":
                meant = "; of a function there is a module, such as nn.ReLU() for relu"
            raise TypeError(
                f"{type(self).__name__}: wanted a {wanted.__name__} or None as the {kind} {name!r}, "
                f"got {type(value).__name__}{meant}"
            )
        self._register(name, kind)
        object.__setattr__(self, name, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Register a parameter, or None for one that is left out."""
        self._put("parameter", name, param, Parameter)

    def register_buffer(self, name: str, tensor: MyTensor | None, persistent: bool = True) -> None:
        """Register a tensor that is not trained; `state_dict` holds it if it is persistent."""
        self._put("buffer", name, tensor, MyTensor)
        self.__dict__["_unsaved"] = self._unsaved - {name} if persistent else self._unsaved | {name}

    def add_module(self, name: str, module: NeuralNetwork | None) -> None:
        """Register a module under a name, which need not be an identifier."""
        self._put("module", name, module, NeuralNetwork)

    register_module = add_module

    def _own(self, kind: str) -> Iterator[tuple[str, Any]]:
        """(name, value) of what this module itself has registered as `kind`, those that are None included."""
        values = self.__dict__
        if "_kinds" not in values:
            raise RuntimeError(f"{type(self).__name__}: super().__init__() was not called in its __init__")
        return ((name, values[name]) for name, its in list(values["_kinds"].items()) if its == kind)

    @property
    def _parameters(self) -> MutableMapping[str, Parameter | None]:
        """This module's own parameters by name."""
        return Registered(self, "parameter")

    @property
    def _buffers(self) -> MutableMapping[str, MyTensor | None]:
        """This module's own buffers by name."""
        return Registered(self, "buffer")

    @property
    def _modules(self) -> MutableMapping[str, NeuralNetwork | None]:
        """This module's own sub-modules by name."""
        return Registered(self, "module")

    # Walking -------------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, NeuralNetwork]]:
        """(name, module) for this module, whose name is "", and all below it, each module once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._own("module"):
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[NeuralNetwork]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, NeuralNetwork]]:
        """(name, module) for the modules directly below, each once."""
        seen = set()
        for name, module in self._own("module"):
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[NeuralNetwork]:
        """The modules directly below, each once."""
        return (module for _, module in self.named_children())

    def _named(self, kind: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in module._own(kind):
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(name, parameter) for this module's parameters and, with `recurse`, those of the modules below."""
        return self._named("parameter", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """What an optimizer trains, each parameter once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, MyTensor]]:
        """(name, buffer) for this module's buffers and, with `recurse`, those of the modules below."""
        return self._named("buffer", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[MyTensor]:
        """The registered tensors that are not trained, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> NeuralNetwork:
        """The module at a dotted path such as "encoder.0"; "" is this module."""
        module: Any = self
        for name in target.split(".") if target else ():
            below = dict(module._own("module")).get(name)
            if below is None:
                raise AttributeError(f"{type(module).__name__} has no module {name!r} (looking for {target!r})")
            module = below
        return module

    def set_submodule(self, target: str, module: NeuralNetwork) -> None:
        """Put a module in the place of the one at a dotted path."""
        if self.get_submodule(target) is self:
            raise ValueError("set_submodule: wanted the path of a module below this one, got ''")
        path, _, name = target.rpartition(".")
        self.get_submodule(path).add_module(name, module)

    def _get(self, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = dict(module._own(kind)).get(name)
        if found is None:
            raise AttributeError(f"{type(module).__name__} has no {kind} {name!r} (looking for {target!r})")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path such as "0.weight"."""
        return self._get("parameter", target)

    def get_buffer(self, target: str) -> MyTensor:
        """The buffer at a dotted path such as "1.running_mean"."""
        return self._get("buffer", target)

    def apply(self: Self, fn: Callable[[NeuralNetwork], Any]) -> Self:
        """Call `fn` on every module below, then on this one; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # Modes, gradients, dtype and device ----------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode (dropout drops, batch norm takes the batch's statistics) here and below."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: wanted True or False, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)  # it may be the module's own, such as one that keeps its batch norms as they are
        return self

    def eval(self: Self) -> Self:
        """Set evaluation mode: `train(False)`."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Switch the gradients of all parameters on or off."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach().zero_()

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Move the parameters and buffers to a device, and the floating ones to a dtype: `to("cuda")`, `to(dtype)`.

        The tensors stay the same objects, so an optimizer made before still holds them.
        """
        device, dtype, _ = read_to(args, kwargs)
        if dtype is not None and dtype.kind != "f":
            raise DtypeError(f"to: a module takes floating dtypes only, got {dtype}")
        with no_grad():
            for tensor in (*self.parameters(), *self.buffers()):
                for held in (tensor, tensor.grad):
                    if held is not None:
                        before = held.array
                        held.array = held.detach().to(device, dtype if held.is_floating_point() else None).array
                        if held.array is not before:
                            tensor._grad_buffer = None  # an optimizer's is of the old dtype, on the old device
        return self

    def cpu(self: Self) -> Self:
        """Move everything to the host."""
        return self.to("cpu")

    def cuda(self: Self, device: int | None = None) -> Self:
        """Move everything to a GPU."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    def type(self: Self, dst_type: Any) -> Self:
        """Cast floating parameters and buffers to a dtype."""
        return self.to(dtype=dst_type)

    def float(self: Self) -> Self:
        """Cast floating parameters and buffers to float32."""
        return self.to(dtype="float32")

    def double(self: Self) -> Self:
        """Cast floating parameters and buffers to float64."""
        return self.to(dtype="float64")

    def half(self: Self) -> Self:
        """Cast floating parameters and buffers to float16."""
        return self.to(dtype="float16")

    # State ---------------------------------------------------------------------------------------------------

    def state_dict(
        self, *, destination: dict | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, MyTensor]:
        """Every parameter and persistent buffer by its dotted name; the tensors share the module's memory.

        >>> from mydl import nn
        >>> list(nn.Linear(2, 1).state_dict())
        ['weight', 'bias']
        """
        return save_into(self, OrderedDict() if destination is None else destination, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy tensors or arrays by name into the module's own; all of them or, on an error, none.

        Returns the names that were missing and those that were unexpected; with `strict`, having any is an error.
        A wrong shape always is.
        """
        if assign:
            raise NotImplementedError("load_state_dict: assign=True is not supported; values are copied")
        return load_into(self, state_dict, strict)

    # Hooks ---------------------------------------------------------------------------------------------------

    def _add_hook(self, moment: str, hook: Callable[..., Any], with_kwargs: bool, prepend: bool) -> HookHandle:
        if self._hooks is None:
            self.__dict__["_hooks"] = Hooks()
        entries = getattr(self._hooks, moment)
        entry = (hook, with_kwargs)
        entries.insert(0 if prepend else len(entries), entry)
        return HookHandle(entries, entry)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> HookHandle:
        """Call `hook(module, args)` before every forward; what it returns, if not None, becomes the arguments."""
        return self._add_hook("forward_pre", hook, with_kwargs, prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> HookHandle:
        """Call `hook(module, args, output)` after every forward; what it returns, if not None, becomes the output."""
        if always_call:
            raise NotImplementedError("register_forward_hook: always_call=True is not supported")
        return self._add_hook("forward", hook, with_kwargs, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, prefix, keep_vars)` before `state_dict` comes to this module."""
        return self._add_hook("save_pre", hook, False, False)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, state_dict, prefix, {})` when `state_dict` has come to this module and all below."""
        return self._add_hook("save", hook, False, False)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, state_dict, prefix, {}, strict, [], [], errors)` before anything is loaded.

        It may change `state_dict`, which is a copy, and append messages to `errors`.
        """
        return self._add_hook("load_pre", hook, False, False)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, incompatible_keys)` after loading; `strict` has been judged by then."""
        return self._add_hook("load", hook, False, False)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_output)` when the outputs' gradients are known; it may return others."""
        return self._add_hook("backward_pre", hook, False, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` when the inputs' gradients are known; it may return others."""
        return self._add_hook("backward", hook, False, prepend)

    # Printing ------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows between the brackets; a layer overrides it."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def _printed(self) -> Iterator[tuple[str, str]]:
        """(name, text) of the modules below, as `repr` shows them."""
        return ((name, repr(module)) for name, module in self._own("module"))

    def __repr__(self) -> str:
        lines = [f"({name}): {_indented(text)}" for name, text in self._printed()]
        extra = self.extra_repr().split("\n") if self.extra_repr() else []
        if not lines and len(extra) <= 1:
            return f"{type(self).__name__}({''.join(extra)})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(extra + lines) + "\n)"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
