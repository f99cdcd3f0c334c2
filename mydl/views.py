"""Views and changes in place: tensors that share memory, and the graph following what happens to it.

A view knows its base and the chain of view ops that leads from there. A change in place counts up the version that
all of them share; the base's place in the graph becomes that of the changed memory, and a view makes its own anew,
by its chain of ops, when it is next asked for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.modes import mode, set_grad_enabled
from mydl.autograd.op import alike, tensor_of
from mydl.backend import on_device
from mydl.functions.conversion import as_array, filling
from mydl.functions.shape import expand
from mydl.ops.elementwise import Clone
from mydl.ops.indexing import PutView

__all__ = ["Shared", "category"]


class Shared(Variable):
    """The part of a tensor that has to do with shared memory; `MyTensor` adds the rest."""

    _views: tuple = ()  # for a view: the view ops, with their options, that lead from the base to it
    _seen = 0  # for a view: the version at which its node was made

    def _show(self, source: Any, op: Any, options: dict) -> None:
        """Make this tensor a view of `source`, sharing its version; Op.apply calls this."""
        self._version = source._version
        if mode.grad or source.vertex() is None:
            own = source._base is None or source._requires_grad  # a leaf may itself show part of a constant
            self._base = source if own else source._base
            self._views = ((op, options),) if own else (*source._views, (op, options))
            self._seen = self._version[0]

    def _root(self) -> Any:
        """A view's base. Where that has itself become a view, of what it was before, by a change of its shape, that."""
        if self._base._base is not None and not self._base._requires_grad:
            self._base = self._base._base
        return self._base

    def _current_node(self) -> Any:
        """A view's node, made anew after its base has been changed in place."""
        if self._seen != self._version[0] and mode.grad and self._root().vertex() is not None:
            fresh = self._base
            for op, options in self._views:
                fresh = op.apply(fresh, **options)
            if self.array.size and (fresh.data_ptr(), fresh.stride()) != (self.data_ptr(), self.stride()):
                raise RuntimeError("in-place: a view's base has been given another shape in place; take the view anew")
            self._seen = self._version[0]
            self._move_to(fresh._node)
        return self._node

    def _snapshot(self) -> Any:
        """This tensor's value and place in the graph as they are before a change in place."""
        if not mode.grad:
            return self
        before = tensor_of(self.array.copy())
        vertex = self.vertex()
        if vertex is not None and vertex is not self:
            before._node = vertex
        return before

    def _refuse_leaf(self) -> None:
        """An error where this is (a view of) a leaf that wants a gradient, and changes are being recorded."""
        if mode.grad:
            base = self if self._base is None else self._root()
            own = self._node is None and self._requires_grad  # a leaf itself, though it may show part of a constant
            if own or (base._node is None and base._requires_grad):
                what = "a leaf tensor" if own else "a view of a leaf tensor"
                raise RuntimeError(
                    f"in-place: {what} of shape {self.shape} that requires a gradient cannot be changed in place while "
                    "recording; do it under mydl.no_grad(), or on a clone"
                )

    def _take_shape(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Become the view of itself that `function` gives, in the graph too; returns the tensor itself."""
        self._refuse_leaf()
        with set_grad_enabled(self._node is not None or self._base is not None):
            shown = function(self, *args, **kwargs)
            if self._base is not None:
                self._views = shown._views
            elif self._node is not None:  # what it was until now is the base from now on
                self._base, self._views = self._snapshot_node(), shown._views
                self._base._version = self._version
            self._seen = self._version[0]
            self._move_to(shown._node)
        self.array = shown.array
        return self

    def _become(self, result: Any) -> Any:
        """Take `result`'s value into this tensor's memory and its place in the graph; returns the tensor itself."""
        self._refuse_leaf()
        if result.shape != self.shape:
            raise RuntimeError(
                f"in-place: a result of shape {result.shape} does not fit a tensor of shape {self.shape}"
            )
        if result.dtype != self.dtype:
            if category(result.dtype) > category(self.dtype):
                raise RuntimeError(f"in-place: a {result.dtype} result cannot be stored in a {self.dtype} tensor")
            result = result.to(self.dtype)
        was_recorded = mode.grad and self.vertex() is not None
        before = self._root()._snapshot_node() if was_recorded and self._base is not None else None
        if (
            self._base is not None
            and self.array.size
            and any(s == 0 and n > 1 for s, n in zip(self.array.strides, self.array.shape))
        ):
            raise RuntimeError(
                f"in-place: elements of an expanded tensor of shape {self.shape} share memory; clone it first"
            )
        try:
            self.array[...] = result.array
        except ValueError as error:  # of a read-only array, such as a part of an expanded tensor
            raise RuntimeError(f"in-place: {error}; clone the tensor of shape {self.shape} first") from None
        self._version[0] += 1
        if not mode.grad or not (was_recorded or result.requires_grad):
            return self
        if self._base is None:
            # What is overwritten by constants stays in the graph, with a gradient of 0, as in PyTorch.
            kept = result if result.requires_grad else PutView.apply(self._snapshot_node(), result, views=())
            self._move_to(kept.grad_fn)
            return self
        base = self._root()
        if before is None:
            before = base._snapshot_node()
        base._move_to(PutView.apply(before, result, views=self._views)._node)
        self._seen = -1
        self._current_node()
        return self

    def _may_be_overwritten(self, *others: Any) -> bool:
        """Whether an op of this tensor and `others` can write its result straight into this tensor's memory."""
        if self._base is not None and mode.grad:
            return False  # the graph of its base has to follow
        for other in others:
            if not isinstance(other, Variable) or not alike(self.array, other.array):
                return False
        flags = self.array.flags
        return flags.c_contiguous and getattr(flags, "writeable", True)  # CuPy's arrays are never read-only

    def _overwrite(self, op: Any, *others: Any) -> Any:
        """`op` of this tensor and `others`, computed in this tensor's memory; returns the tensor itself.

        Without the two copies of `_become(op.apply(_snapshot(), …))`, for an op whose backward does not need the
        value that is lost, and a tensor that `_may_be_overwritten`.
        """
        array = self.array
        if not mode.grad:
            op.apply(self, *others, out=array)
            self._version[0] += 1
            return self
        self._refuse_leaf()
        before = tensor_of(array[...])  # an object apart: whether an op saves its input or its output is known by it
        before._node = self._node
        node = op.apply(before, *others, out=array)._node
        self._version[0] += 1
        if node is not None:
            self._move_to(node)
            # the output that it saved is this tensor's memory from now on
            node.guards = [(self._version, self._version[0], *where) for _, _, *where in node.guards]
        return self

    def _snapshot_node(self) -> Any:
        """This tensor's memory and place in the graph, as a tensor of its own."""
        same = tensor_of(self.array)
        same._node = self._node
        return same

    def copy_(self, source: Any, non_blocking: bool = False) -> Any:
        """Take another tensor's elements, broadcast and cast to this one; returns the tensor itself."""
        source = source if isinstance(source, Variable) else tensor_of(as_array(source, self.dtype))
        if source.device != self.device:
            source = tensor_of(on_device(source.array, self.device))
        if source.dtype != self.dtype:
            source = source.to(self.dtype)
        if source.shape != self.shape:
            try:
                source = expand(source, self.shape)
            except RuntimeError:
                raise RuntimeError(f"copy_: shape {source.shape} does not broadcast to {self.shape}") from None
        if mode.grad and source.requires_grad:
            source = Clone.apply(source)  # this tensor's own place in the graph, apart from the source's
        return self._become(source)

    def fill_(self, value: Any) -> Any:
        """Set every element to a number, or to a 0-d tensor; returns the tensor itself."""
        if isinstance(value, Variable):
            if value.ndim:
                raise RuntimeError(f"fill_: wanted a number or a 0-d tensor, got shape {value.shape}")
            return self.copy_(value)
        return self.copy_(filling(value, self.dtype, "fill_"))

    def fill_diagonal_(self, fill_value: Any, wrap: bool = False) -> Any:
        """Set the elements whose indices are all equal to a number; returns the tensor itself."""
        if wrap:
            raise NotImplementedError("fill_diagonal_: wrap=True is not supported")
        if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
            raise RuntimeError(f"fill_diagonal_: wanted a matrix, or equal sizes, got shape {self.shape}")
        self[(self.xp.arange(min(self.shape)),) * self.ndim] = filling(fill_value, self.dtype, "fill_diagonal_")
        return self

    def zero_(self) -> Any:
        """Set every element to 0; returns the tensor itself."""
        return self.copy_(0)


def category(dtype: np.dtype) -> int:
    """The order of what a dtype holds, booleans, integers, floats, complex numbers: none goes into one before it.

    >>> category(np.dtype(np.uint8)) < category(np.dtype(np.float16))
    True
    """
    return "bifc".index(dtype.kind.replace("u", "i"))
