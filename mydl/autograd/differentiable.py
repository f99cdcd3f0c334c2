"""A tensor's side of differentiation: whether it wants a gradient, where that is kept, and which hooks are told of it.

`loss.backward()` begins here: it calls `gradients.backward`, that calls `engine.run_backward`, and the engine ends at
each leaf's `accumulate`.
"""

from __future__ import annotations

import sys
import warnings
import weakref
from typing import Any, TypeVar

from mydl.autograd import gradients
from mydl.autograd.engine import Variable
from mydl.autograd.op import alike, describe, tensor_of
from mydl.backend import array_module
from mydl.errors import DtypeError, ShapeError

__all__ = ["Differentiable", "HookHandle"]

Self = TypeVar("Self", bound="Differentiable")


class Differentiable(Variable):
    """The part of a tensor that has to do with its gradient; `MyTensor` adds the rest."""

    retains_grad = False
    _buffer_taken = False  # this backward pass writes straight into _grad_buffer
    _buffer_references = 0  # how many references to _grad_buffer there are while nobody else holds it

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is wanted for it, or flows through it."""
        return self.vertex() is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and self.array.dtype.kind not in "fc":
            raise RuntimeError(f"requires_grad: only floating tensors can require a gradient, this one is {self.dtype}")
        if self._node is not None:
            if not wanted:
                raise RuntimeError("requires_grad: it can be switched off on leaf tensors only; use .detach()")
            return
        self._requires_grad = bool(wanted)

    @property
    def grad(self) -> Any:
        """The gradient that backward passes have added up here, a MyTensor; None before the first.

        Only leaves get one, and what `retain_grad` was called on; looked for elsewhere it is None, with a warning.
        """
        grad = self.__dict__.get("grad")
        if grad is None and self._node is not None and not self.__dict__.get("retains_grad"):
            warnings.warn(
                f"grad: this tensor, {self.shape} {self.dtype}, is not a leaf but a result, of {self._node.name()}, "
                "and keeps no gradient; call .retain_grad() on it before backward, or read the gradient of a leaf",
                stacklevel=2,
            )
        return grad

    @grad.setter
    def grad(self, grad: Any) -> None:
        if grad is not None and (not isinstance(grad, Variable) or grad.array.shape != self.array.shape):
            raise (ShapeError if isinstance(grad, Variable) else TypeError)(
                f"grad: wanted None or a tensor of shape {self.shape}, got {describe(grad)}"
            )
        if grad is not None and grad.array.dtype != self.array.dtype:
            raise DtypeError(f"grad: wanted a gradient of {self.dtype}, as the tensor is, got {describe(grad)}")
        self.__dict__["grad"] = grad

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Set requires_grad; returns the tensor itself."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user and not by a recorded operation."""
        return self.vertex() is None or self._node is None

    @property
    def grad_fn(self) -> Any:
        """The node of the graph that made it; None for a leaf."""
        return self._node if self._base is None else self._current_node()

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add the gradient of this tensor to the `.grad` of the leaves it was computed from.

        `gradient` is dL/d(this tensor), 1 by default where it has one element. `retain_graph` keeps what a second
        backward through the same graph needs; `create_graph` records this one, so that it can be differentiated.
        """
        gradients.backward(self, gradient, retain_graph, create_graph, inputs)

    def accumulate(self, grad: Any) -> None:
        """Add a gradient to `.grad`, after the hooks; the engine calls this once for each backward pass."""
        if isinstance(grad, Variable):
            self.grad = grad if self.grad is None else self.grad + grad
        elif self.grad is not None:
            if self.grad._node is not None:
                self.grad = self.grad.detach() + tensor_of(grad)
            else:
                self.grad.array += grad
                self.grad._version[0] += 1
        else:
            self.grad = tensor_of(self._own(grad))
        self._buffer_taken = False
        if self.after_hooks is not None:
            for hook in list(self.after_hooks):
                hook(self)

    def _own(self, grad: Any) -> Any:
        """The gradient in memory of its own: the optimizer's buffer where that is free, otherwise a copy."""
        buffer = self._grad_buffer
        if grad is buffer:
            return grad
        if buffer is None or not alike(buffer, self.array) or sys.getrefcount(buffer) > self._buffer_references:
            return array_module(grad).array(grad)
        buffer[...] = grad
        return buffer

    def detach_(self: Self) -> Self:
        """Take this tensor out of its graph; returns the tensor itself."""
        if self._base is not None:
            raise RuntimeError("detach_: a view cannot be detached in place; use .detach()")
        self._node = None
        self._requires_grad = False
        return self

    def register_post_accumulate_grad_hook(self, hook: Any) -> HookHandle:
        """Call `hook(tensor)` after a gradient has been added to this leaf's `.grad`; returns a removable handle."""
        if self.vertex() is not self:
            raise RuntimeError("register_post_accumulate_grad_hook: wanted a leaf tensor that requires a gradient")
        if self.after_hooks is None:
            self.after_hooks = []
        self.after_hooks.append(hook)
        return HookHandle(self.after_hooks, hook)

    def register_hook(self, hook: Any) -> HookHandle:
        """Call `hook(grad)` when its gradient is computed; a tensor that it returns replaces the gradient.

        Returns a handle whose `remove()` takes the hook away.
        """
        vertex = self.vertex()
        if vertex is None:
            raise RuntimeError("register_hook: this tensor does not require a gradient")
        if vertex.hooks is None:
            vertex.hooks = []
        # retain_grad keeps the gradient that the other hooks leave, so its own hook stays the last.
        keeps = bool(vertex.hooks) and hasattr(vertex.hooks[-1], "keeps_for")
        vertex.hooks.insert(len(vertex.hooks) - keeps, hook)
        return HookHandle(vertex.hooks, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf in its `.grad` too."""
        vertex = self.vertex()
        if vertex is None:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        if vertex is self or self.retains_grad:
            return
        self.retains_grad = True
        this = weakref.ref(self)  # the graph must not keep its results alive

        def keep(grad: Any) -> None:
            tensor = this()
            if tensor is not None:
                tensor.grad = grad.clone() if tensor.grad is None else tensor.grad + grad

        keep.keeps_for = this  # type: ignore[attr-defined]
        self.register_hook(keep)

    def _move_to(self, node: Any) -> None:
        """Take another place in the graph; the gradient that `retain_grad` keeps is from now on the one there."""
        hooks = self._node.hooks if self.retains_grad and self._node is not None else None
        self._node = node
        if hooks and node is not None and getattr(hooks[-1], "keeps_for", lambda: None)() is self:
            self.register_hook(hooks.pop())


class HookHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: list, hook: Any) -> None:
        self._hooks = hooks
        self._hook = hook

    def remove(self) -> None:
        """Take the hook away; doing it twice is harmless, and a function that was registered twice stays once."""
        for index, hook in enumerate(self._hooks):
            if hook is self._hook:
                del self._hooks[index]
                break
        self._hooks = []
