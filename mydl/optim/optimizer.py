"""Optimizer: what all optimizers share: parameter groups with options, and state, saved and loaded."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from mydl.autograd.op import describe, tensor_of
from mydl.backend import device_of, is_array, on_device
from mydl.tensor import MyTensor

__all__ = ["Group", "Optimizer", "check_betas", "check_options", "check_rates", "required"]

Group: TypeAlias = dict[str, Any]  # parameters and their options
required = object()  # as the default of an option that each parameter group must set


def check_rates(optimizer: str, **values: Any) -> dict[str, Any]:
    """The options given, none of which may be negative, NaN (ValueError) or no number (TypeError).

    >>> check_rates("SGD", lr=0.1, momentum=0.9)
    {'lr': 0.1, 'momentum': 0.9}
    """
    for name, value in values.items():
        if isinstance(value, MyTensor) and value.numel() != 1:
            raise ValueError(f"{optimizer}: {name} as a tensor must have one element, got shape {value.shape}")
        if not isinstance(value, (int, float, np.number, MyTensor)):
            raise TypeError(f"{optimizer}: wanted a number for {name}, got {value!r}")
        if not float(value) >= 0:
            raise ValueError(f"{optimizer}: invalid {name} {float(value)}: it must be at least 0")
    return values


def check_options(optimizer: str, **options: Any) -> dict[str, Any]:
    """The options given, which say how to compute in PyTorch's optimizers; those that mydl does not have are refused.

    `foreach` and `fused` choose among PyTorch's implementations of the same step; mydl has one, so they are
    kept in the group and change nothing.

    >>> check_options("SGD", fused=True)
    {'fused': True}
    """
    if options.get("foreach") and options.get("fused"):
        raise RuntimeError(f"{optimizer}: foreach and fused cannot both be True")
    if options.get("capturable"):
        raise NotImplementedError(f"{optimizer}: capturable=True (a step inside a CUDA graph) is not supported")
    if options.get("differentiable"):
        raise NotImplementedError(f"{optimizer}: differentiable=True (gradients through the step) is not supported")
    return options


def check_betas(optimizer: str, betas: Sequence[Any]) -> Sequence[Any]:
    """Decay rates of running averages, which have to be two numbers from 0 to below 1.

    >>> check_betas("Adam", (0.9, 0.999))
    (0.9, 0.999)
    """
    if len(betas) != 2:
        raise ValueError(f"{optimizer}: wanted two betas, got {betas!r}")
    for index, beta in enumerate(betas):
        if not 0 <= float(beta) < 1:
            raise ValueError(f"{optimizer}: invalid betas[{index}] {beta}: it must be at least 0 and below 1")
    return betas


def _iterable(params: Any, name: str) -> Any:
    """`params`, or a TypeError that says what was meant instead of a model or its method."""
    if isinstance(params, Iterable):
        return params
    meant = "; call it: model.parameters()" if callable(params) else ""
    meant = "; pass model.parameters()" if hasattr(params, "parameters") else meant
    raise TypeError(f"{name}: wanted a list of tensors, got {type(params).__name__}{meant}")


class Optimizer:
    """The base of all optimizers, and of those that users write: parameter groups and state.

    Args:
        params: tensors, (name, tensor) pairs as `named_parameters()` gives them, or dicts with such a list
            under "params" and options of their own, each a *parameter group*.
        defaults: the options that a group has where it does not set them.

    Attributes:
        param_groups: a list of dicts: "params", a list of tensors, and the options of the group.
        state: for each parameter that has been updated a dict of what the optimizer remembers of it.

    Raises:
        ValueError: there are no parameters, one is in two groups, or one is not a leaf.
        TypeError: something is not a tensor, or a single tensor or a set was given.

    A subclass of its own defines `step`. For instance, plain gradient descent:

    >>> class Descent(Optimizer):
    ...     def step(self, closure=None):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.data -= group["lr"] * p.grad
    >>> x = MyTensor([1.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> Descent([x], {"lr": 0.25}).step()
    >>> x.data
    tensor([0.5000])
    """

    # Names of the state with one value per parameter instead of one per element; it stays on the host.
    scalar_state: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, MyTensor):
            raise TypeError(f"{type(self).__name__}: wanted a list of tensors, got one of {describe(params)}")
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(_iterable(params, type(self).__name__))
        if not groups:
            raise ValueError(
                f"{type(self).__name__}: got no parameters; wanted at least one (layers in a plain list are not found: "
                "put them into nn.ModuleList)"
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for index, group in enumerate(self.param_groups):
            text += f"\nParameter Group {index}\n"
            text += "".join(f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params")
        return text + ")"

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize more parameters from now on: `{"params": tensors, option: value, …}`.

        Options that the dict does not set are the optimizer's defaults.
        """
        name = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{name}: wanted a dict for a parameter group, got {type(param_group).__name__}")
        if "params" not in param_group:
            raise ValueError(f"{name}: wanted a group with 'params', got {', '.join(param_group) or 'nothing'}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(f"{name}: parameters must come in an order that stays the same; wanted a list, got a set")
        params = [params] if isinstance(params, MyTensor) else list(_iterable(params, name))
        names = [item[0] for item in params if isinstance(item, tuple)]
        if names and len(names) != len(params):
            raise ValueError(f"{name}: {len(names)} of {len(params)} parameters have names; wanted all or none")
        if names:
            params = [item[1] for item in params]
            param_group["param_names"] = names
        for p in params:
            if not isinstance(p, MyTensor):
                raise TypeError(f"{name}: wanted tensors as parameters, got {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError(f"{name}: cannot optimize what is not a leaf ({describe(p)}, by {p.grad_fn!r})")
        if len(set(params)) != len(params):
            warnings.warn(f"{name}: a parameter group has the same parameter twice", UserWarning, stacklevel=3)
        for group in self.param_groups:
            if ("param_names" in group) != ("param_names" in param_group):
                raise ValueError(f"{name}: parameter groups with names and groups without cannot be mixed")
            if not set(group["params"]).isdisjoint(params):
                raise ValueError(f"{name}: some parameters appear in more than one parameter group")
        param_group["params"] = params
        for key, value in self.defaults.items():
            if param_group.setdefault(key, value) is required:
                raise ValueError(f"{name}: wanted {key} in the parameter group, got {', '.join(param_group)}")
        self.param_groups.append(param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or with `set_to_none=False` fill them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                    continue
                if p.grad is None:
                    continue
                if p.grad.grad_fn is not None:
                    p.grad = p.grad.detach()
                p.grad.array[...] = 0
                p.grad._version[0] += 1

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update the parameters once; `closure`, where given, computes the loss and its gradients anew."""
        raise NotImplementedError(f"{type(self).__name__} defines no step")

    # Saving and loading -------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return {key: self.__dict__[key] for key in ("defaults", "state", "param_groups")}

    def state_dict(self) -> dict[str, Any]:
        """Options and state, in PyTorch's layout.

            {"state": {number: {name: tensor}}, "param_groups": [{option: value, "params": [number, …]}]}

        Parameters are numbered through all groups. The tensors are the optimizer's own, not copies.
        """
        numbers: dict[Any, int] = {}
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(p, len(numbers))
        groups = []
        for group in self.param_groups:
            packed = {key: value for key, value in group.items() if key != "params"}
            groups.append({**packed, "params": [numbers[p] for p in group["params"]]})
        return {"state": {numbers.get(p, p): value for p, value in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take options and state from another optimizer's `state_dict`, mydl's or PyTorch's, copying them.

        Tensors, arrays and numbers are accepted; those of a floating parameter are cast to its dtype (step
        counts keep theirs) and moved to its device.

        Raises:
            ValueError: it has another number of groups, or a group of another number of parameters.
        """
        name = type(self).__name__
        saved = copy.deepcopy(state_dict["param_groups"])
        found, wanted = ([len(group["params"]) for group in groups] for groups in (saved, self.param_groups))
        if found != wanted:
            raise ValueError(f"{name}: the loaded state has groups of {found} parameters, this optimizer of {wanted}")
        by_number: dict[Any, Any] = {}
        for new, group in zip(saved, self.param_groups, strict=True):
            by_number.update(zip(new["params"], group["params"], strict=True))
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
            for key, value in self.defaults.items():  # options that came after the state was saved
                new.setdefault(key, value)
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            p = by_number.get(number)
            if p is None:
                state[number] = copy.deepcopy(values)
            else:
                state[p] = {key: self._loaded(p, key, value) for key, value in values.items()}
        self.__setstate__({"state": state, "param_groups": saved})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def _loaded(self, p: MyTensor, name: str, value: Any) -> Any:
        """One value of a loaded state as parameter `p` needs it: a copy, of its dtype and on its device."""
        if isinstance(value, MyTensor):
            value = value.array
        elif name in self.scalar_state and isinstance(value, (int, float)):
            value = np.asarray(value, np.float32)
        elif not is_array(value):
            if not hasattr(value, "__array__"):
                return copy.deepcopy(value)
            value = np.asarray(value)
        dtype = p.dtype if name != "step" and p.is_floating_point() else value.dtype
        where = "cpu" if name in self.scalar_state else device_of(p.array)
        return tensor_of(on_device(value, where).astype(dtype))
