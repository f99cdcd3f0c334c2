"""Hooks of a module: functions that are called before and after its forward pass, and on its backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mydl.autograd.engine import Variable
from mydl.autograd.op import Op, tensor_of

__all__ = ["Hooks", "call_with_hooks", "under_observation"]

Entries: TypeAlias = list[tuple[Callable[..., Any], bool]]  # a function, and whether it takes keyword arguments


@dataclass(eq=False)
class Hooks:
    """The hooks of one module, a list for each moment.

    >>> Hooks().forward
    []
    """

    forward_pre: Entries = field(default_factory=list)
    forward: Entries = field(default_factory=list)
    backward_pre: Entries = field(default_factory=list)
    backward: Entries = field(default_factory=list)
    save_pre: Entries = field(default_factory=list)
    save: Entries = field(default_factory=list)
    load_pre: Entries = field(default_factory=list)
    load: Entries = field(default_factory=list)


@contextmanager
def under_observation(model: Any) -> Iterator[None]:
    """Within, the model is in evaluation mode. Afterwards its modules' modes and hooks are what they were.

    >>> from mydl import nn
    >>> net = nn.Sequential(nn.ReLU())
    >>> with under_observation(net):
    ...     handle, mode = net[0].register_forward_hook(print), net.training
    >>> mode, net.training, net[0]._hooks
    (False, True, None)
    """
    before = [(module, module.training, module._hooks) for module in model.modules()]
    for module, _, hooks in before:
        if hooks is not None:
            module.__dict__["_hooks"] = Hooks(*map(list, vars(hooks).values()))
    try:
        model.eval()
        yield
    finally:
        for module, training, hooks in before:
            module.training = training
            if hooks is None:  # a module without hooks is called without looking for any
                module.__dict__.pop("_hooks", None)
            else:
                module.__dict__["_hooks"] = hooks


def call_with_hooks(module: Any, args: tuple, kwargs: dict) -> Any:
    """`module.forward(*args, **kwargs)` with its hooks around it; what a hook returns replaces what it was shown.

    >>> import mydl
    >>> from mydl import nn
    >>> layer = nn.ReLU()
    >>> handle = layer.register_forward_hook(lambda module, args, output: output + 1)
    >>> call_with_hooks(layer, (mydl.tensor([-1.0]),), {})
    tensor([1.])
    """
    hooks: Hooks = module._hooks
    for hook, with_kwargs in list(hooks.forward_pre):
        changed = hook(module, args, kwargs) if with_kwargs else hook(module, args)
        if changed is None:
            continue
        if not with_kwargs:
            args = changed if isinstance(changed, tuple) else (changed,)
        elif isinstance(changed, tuple) and len(changed) == 2:
            args, kwargs = changed
        else:
            raise RuntimeError(
                f"forward_pre_hook: with_kwargs=True wants None or (args, kwargs) back, got {type(changed).__name__}"
            )
    watch = _Watch(module) if hooks.backward or hooks.backward_pre else None
    if watch is not None:
        args = watch.enter(args)
    output = module.forward(*args, **kwargs)
    for hook, with_kwargs in list(hooks.forward):
        changed = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        if changed is not None:
            output = changed
    return output if watch is None else watch.leave(output)


class _Passage(Op):
    """Its inputs as they are; on the way back their gradients pass through `watch`, which may replace them."""

    @staticmethod
    def forward(ctx: Any, *values: Any, watch: Any) -> Any:
        ctx.watch = watch
        return values

    @staticmethod
    def backward(ctx: Any, grads: Any) -> Any:
        shown = tuple(None if grad is None else tensor_of(grad) for grad in grads)
        passed = ctx.watch(shown)
        if ctx.recording:
            return passed
        return tuple(None if grad is None else grad.array for grad in passed)


def _are_tensors(values: tuple) -> tuple[bool, ...]:
    return tuple(isinstance(value, Variable) for value in values)


def _led(values: tuple, watch: Any) -> tuple:
    """The tuple with its tensors led through a `_Passage`; they share memory, and so the count of changes in place."""
    passed = _Passage.apply(*(value for value in values if isinstance(value, Variable)), watch=watch)
    results = iter(passed)
    led = tuple(next(results) if isinstance(value, Variable) else value for value in values)
    for before, after in zip(values, led):
        if before is not after:
            after._version = before._version
    return led


def _spread(grads: tuple, places: tuple[bool, ...]) -> tuple:
    """The tensors' gradients at their places among all the values, None beside what is no tensor."""
    rest = iter(grads)
    return tuple(next(rest) if is_tensor else None for is_tensor in places)


def _gathered(grads: tuple, places: tuple[bool, ...]) -> tuple:
    """The inverse of `_spread`."""
    return tuple(grad for grad, is_tensor in zip(grads, places) if is_tensor)


def _replaced(changed: Any, shown: tuple, name: str) -> tuple:
    """What a hook returned, as a tuple, in the place of what it was shown."""
    if changed is None:
        return shown
    changed = changed if isinstance(changed, tuple) else (changed,)
    if len(changed) != len(shown):
        raise RuntimeError(f"{name}: a hook returned {len(changed)} gradients, wanted {len(shown)}")
    return changed


class _Watch:
    """One call of a module that has backward hooks: sees the gradients of its outputs, then those of its inputs."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.hooks: Hooks = module._hooks
        self.reaches_inputs = False
        self.grad_output: tuple = ()

    def enter(self, args: tuple) -> tuple:
        """The arguments, watched if one of them wants a gradient."""
        self.inputs = _are_tensors(args)
        self.reaches_inputs = any(is_tensor and arg.requires_grad for is_tensor, arg in zip(self.inputs, args))
        return _led(args, self._at_inputs) if self.reaches_inputs else args

    def leave(self, output: Any) -> Any:
        """The output, watched if it has a gradient."""
        values = output if isinstance(output, tuple) else (output,)
        self.outputs = _are_tensors(values)
        if not any(is_tensor and value.requires_grad for is_tensor, value in zip(self.outputs, values)):
            return output
        led = _led(values, self._at_outputs)
        return led if isinstance(output, tuple) else led[0]

    def _at_outputs(self, grads: tuple) -> tuple:
        shown = _spread(grads, self.outputs)
        for hook, _ in list(self.hooks.backward_pre):
            shown = _replaced(hook(self.module, shown), shown, "full_backward_pre_hook")
        self.grad_output = shown
        if not self.reaches_inputs:  # no gradient will arrive at the inputs: this is the moment
            for hook, _ in list(self.hooks.backward):
                hook(self.module, (None,) * len(self.inputs), shown)
        return _gathered(shown, self.outputs)

    def _at_inputs(self, grads: tuple) -> tuple:
        if not self.grad_output:  # a second derivative came past the outputs: PyTorch calls no hook then
            return grads
        shown = _spread(grads, self.inputs)
        for hook, _ in list(self.hooks.backward):
            shown = _replaced(hook(self.module, shown, self.grad_output), shown, "full_backward_hook")
        self.grad_output = ()
        return _gathered(shown, self.inputs)
