"""MyTensor: an array, its gradient and its place in the graph. Operators and methods call the functions and ops."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from mydl.autograd.engine import Variable
from mydl.autograd.modes import mode
from mydl.autograd.op import bind, tensor_of
from mydl.backend import array_module, device, device_of, get_default_dtype, is_array, on_device, to_host
from mydl.functions import arithmetic, comparison, elementwise, indexing, reduction
from mydl.functions import shape as shaping
from mydl.ops import arithmetic as arithmetic_ops
from mydl.ops import recorded
from mydl.ops.casting import Cast
from mydl.ops.elementwise import Clone
from mydl.ops.indexing import PutView
from mydl.ops.linalg import MatMul
from mydl.ops.shape import Permute

__all__ = ["MyTensor", "Parameter", "tensor"]


def _as_array(data: Any, dtype: Any) -> Any:
    """`data` as an array: arrays and tensors keep their dtype, Python floats get the default one."""
    if isinstance(data, Variable):
        data = data.array
    if is_array(data):
        return data if dtype is None else data.astype(dtype, copy=False)
    if isinstance(data, (list, tuple)):
        data = _without_tensors(data)
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise ValueError(f"tensor: the nested lists do not make a rectangular array ({error})") from error
    if array.dtype.kind not in "biufc":
        raise TypeError(f"tensor: wanted numbers, nested lists of them or an array, got {type(data).__name__}")
    if dtype is None and not isinstance(data, np.generic):
        if array.dtype.kind == "f":
            dtype = get_default_dtype()
        elif array.dtype.kind == "c":
            dtype = np.complex64 if get_default_dtype() == np.float32 else np.complex128
    return array if dtype is None else array.astype(dtype, copy=False)


def _without_tensors(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_without_tensors(item) for item in data]
    return data.numpy() if isinstance(data, Variable) else data


def _in_place(function: Any) -> Any:
    """The method that computes `function` of the tensor and takes the result into the tensor's own memory."""

    def method(self: MyTensor, *args: Any, **kwargs: Any) -> MyTensor:
        return self._become(function(self._snapshot(), *args, **kwargs))

    method.__name__ = method.__qualname__ = f"{function.__name__}_"
    method.__doc__ = f"`{function.__name__}` in place; returns the tensor itself."
    return method


class MyTensor(Variable):
    """An array that remembers how it was computed.

    `MyTensor(data)` shares the memory of an array and keeps its dtype; Python floats become the default dtype,
    float32, and ints int64. With `requires_grad=True` (floating dtypes only) whatever is computed from it can be
    differentiated: `y.backward()` adds dy/dx to `x.grad`.

    >>> x = MyTensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    # NumPy arrays leave `array * tensor` to the tensor's operators.
    __array_ufunc__ = None

    _views: tuple = ()  # for a view: the view ops, with their options, that lead from the base to it
    _seen = 0  # for a view: the version at which its node was made
    _buffer_taken = False  # this backward pass writes straight into _grad_buffer
    _buffer_references = 0  # how many references to _grad_buffer there are while nobody else holds it

    def __init__(self, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> None:
        array = _as_array(data, dtype)
        self.array = array if device is None else on_device(array, device)
        self._version = [0]
        if requires_grad:
            self.requires_grad = True

    # What it is ----------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its dimensions."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of its elements, a NumPy dtype such as `mydl.float32`."""
        return self.array.dtype

    @property
    def ndim(self) -> int:
        """The number of its dimensions."""
        return self.array.ndim

    @property
    def device(self) -> device:
        """Where its array lives."""
        return device_of(self.array)

    @property
    def xp(self) -> Any:
        """NumPy or CuPy, whichever its array belongs to."""
        return array_module(self.array)

    def size(self, dim: int | None = None) -> Any:
        """Its shape, or its size along `dim`."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of its dimensions."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of its elements."""
        return int(self.array.size)

    def is_floating_point(self) -> bool:
        """Whether its elements are floats."""
        return self.array.dtype.kind == "f"

    def __len__(self) -> int:
        if not self.array.shape:
            raise TypeError("len() of a tensor of zero dimensions")
        return self.array.shape[0]

    def __iter__(self) -> Iterator[MyTensor]:
        if not self.array.shape:
            raise TypeError("iteration over a tensor of zero dimensions")
        return (self[i] for i in range(self.array.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).array.any())

    def __repr__(self) -> str:
        array = to_host(self.array)
        options = {"precision": 4, "threshold": 1000, "edgeitems": 3, "suppress_small": _plain_range(array)}
        if array.dtype.kind == "f":
            options["formatter"] = {"float_kind": _float_format(array)}
        text = np.array2string(array, separator=", ", prefix="tensor(", **options)
        notes = []
        if array.size == 0 and array.ndim > 1:
            notes.append(f"size={array.shape}")
        if array.dtype not in (get_default_dtype(), np.dtype(np.int64), np.dtype(bool)):
            notes.append(f"dtype={array.dtype}")
        if self.device.type != "cpu":
            notes.append(f"device='{self.device}'")
        if self._node is not None:
            notes.append(f"grad_fn={self.grad_fn!r}")
        elif self._requires_grad:
            notes.append("requires_grad=True")
        return f"tensor({', '.join([text, *notes])})"

    # Leaving the graph and the device ------------------------------------------------------------------------

    def item(self) -> Any:
        """Its one element as a Python number; RuntimeError if it has more or none."""
        if self.array.size != 1:
            raise RuntimeError(f"item: a tensor of shape {self.shape} has {self.array.size} elements; wanted one")
        return self.array.item()

    def tolist(self) -> Any:
        """Its elements as nested lists of Python numbers (one number for zero dimensions)."""
        return to_host(self.array).tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Its array on the host, sharing memory on the CPU. A tensor that requires a gradient is detached first."""
        if self.requires_grad and not force and mode.grad:
            raise RuntimeError("numpy: this tensor requires a gradient; use .detach().numpy()")
        return to_host(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def detach(self) -> MyTensor:
        """A tensor of the same memory that is in no graph; an in-place change of it is noticed by backward."""
        other = tensor_of(self.array)
        other._version = self._version
        return other

    @property
    def data(self) -> MyTensor:
        """A tensor of the same memory that is in no graph; backward does not notice what is done to it."""
        return tensor_of(self.array)

    @data.setter
    def data(self, value: Any) -> None:
        self.array = value.array if isinstance(value, Variable) else _as_array(value, None)

    def to(self, *args: Any, **kwargs: Any) -> MyTensor:
        """In another dtype, on another device, or like another tensor: `to(mydl.float64)`, `to("cuda")`, `to(other)`.

        The tensor itself is returned where nothing changes and `copy=True` is not given.
        """
        where, dtype, copy = read_to(args, kwargs)
        result = self
        if dtype is not None and result.dtype != dtype:
            result = Cast.apply(result, dtype=dtype)
        if where is not None and not _same_place(where, result.device):
            moved = tensor_of(on_device(result.array, where))
            if mode.grad and result.requires_grad:
                raise NotImplementedError("to: moving a tensor that requires a gradient between devices; detach it first")
            result = moved
        return self.clone() if copy and result is self else result

    def cpu(self) -> MyTensor:
        """On the host."""
        return self.to("cpu")

    def cuda(self, index: int | None = None) -> MyTensor:
        """On a GPU; RuntimeError in one line where there is none."""
        return self.to(device("cuda", index))

    def type(self, dtype: Any = None) -> Any:
        """In `dtype`; without an argument, the dtype itself."""
        return self.dtype if dtype is None else self.to(np.dtype(dtype))

    def astype(self, dtype: Any) -> MyTensor:
        """In `dtype`, by NumPy's name."""
        return self.to(np.dtype(dtype))

    def float(self) -> MyTensor:
        """In float32."""
        return self.to(np.dtype(np.float32))

    def double(self) -> MyTensor:
        """In float64."""
        return self.to(np.dtype(np.float64))

    def half(self) -> MyTensor:
        """In float16."""
        return self.to(np.dtype(np.float16))

    def long(self) -> MyTensor:
        """In int64."""
        return self.to(np.dtype(np.int64))

    def int(self) -> MyTensor:
        """In int32."""
        return self.to(np.dtype(np.int32))

    def bool(self) -> MyTensor:
        """In bool: False where it is 0."""
        return self.to(np.dtype(np.bool_))

    def clone(self) -> MyTensor:
        """A copy in memory of its own; the gradient flows through."""
        return Clone.apply(self)

    def contiguous(self) -> MyTensor:
        """Itself if its memory is in C order, else a copy that is."""
        return self if self.array.flags.c_contiguous else self.clone()

    # Gradients -----------------------------------------------------------------------------------------------

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

    def requires_grad_(self, requires_grad: bool = True) -> MyTensor:
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
        from mydl.autograd.functional import backward

        backward(self, gradient, retain_graph, create_graph, inputs)

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
        if buffer is None or buffer.shape != grad.shape or sys.getrefcount(buffer) > self._buffer_references:
            return array_module(grad).array(grad)
        buffer[...] = grad
        return buffer

    def register_hook(self, hook: Any) -> Any:
        """Call `hook(grad)` when its gradient is computed; a tensor that it returns replaces the gradient.

        Returns a handle whose `remove()` takes the hook away.
        """
        vertex = self.vertex()
        if vertex is None:
            raise RuntimeError("register_hook: this tensor does not require a gradient")
        if vertex.hooks is None:
            vertex.hooks = []
        vertex.hooks.append(hook)
        return HookHandle(vertex.hooks, hook)

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that is not a leaf in its `.grad` too."""
        vertex = self.vertex()
        if vertex is None:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        if vertex is self or self.retains_grad:
            return
        import weakref

        self.retains_grad = True
        this = weakref.ref(self)  # the graph must not keep its results alive

        def keep(grad: MyTensor) -> None:
            tensor = this()
            if tensor is not None:
                tensor.grad = grad.clone() if tensor.grad is None else tensor.grad + grad

        self.register_hook(keep)

    retains_grad = False

    # In place ------------------------------------------------------------------------------------------------

    def _show(self, source: MyTensor, op: Any, rest: tuple, options: dict) -> None:
        """Make this tensor a view of `source`, sharing its version; Op.apply calls this."""
        self._version = source._version
        if mode.grad or source.vertex() is None:
            self._base = source if source._base is None else source._base
            self._views = (*source._views, (op, options))
            self._seen = self._version[0]

    def _current_node(self) -> Any:
        """A view's node, made anew after its base has been changed in place."""
        if self._seen != self._version[0] and mode.grad and self._base.vertex() is not None:
            fresh = self._base
            for op, options in self._views:
                fresh = op.apply(fresh, **options)
            self._node = fresh._node
            self._seen = self._version[0]
        return self._node

    def _snapshot(self) -> MyTensor:
        """This tensor's value and place in the graph as they are before a change in place."""
        if not mode.grad:
            return self
        before = tensor_of(self.array.copy())
        vertex = self.vertex()
        if vertex is not None and vertex is not self:
            before._node = vertex
        return before

    def _become(self, result: MyTensor) -> MyTensor:
        """Take `result`'s value into this tensor's memory and its place in the graph; returns the tensor itself."""
        if mode.grad:
            base = self if self._base is None else self._base
            if base._node is None and base._requires_grad:
                what = "a leaf tensor" if base is self else "a view of a leaf tensor"
                raise RuntimeError(
                    f"in-place: {what} of shape {self.shape} that requires a gradient cannot be changed in place while "
                    "recording; do it under mydl.no_grad(), or on a clone"
                )
        if result.shape != self.shape:
            raise RuntimeError(f"in-place: a result of shape {result.shape} does not fit a tensor of shape {self.shape}")
        if result.dtype != self.dtype:
            if _category(result.dtype) > _category(self.dtype):
                raise RuntimeError(f"in-place: a {result.dtype} result cannot be stored in a {self.dtype} tensor")
            result = result.to(self.dtype)
        was_recorded = mode.grad and self.vertex() is not None
        before = self._base._snapshot_node() if was_recorded and self._base is not None else None
        self.array[...] = result.array
        self._version[0] += 1
        if not mode.grad or not (was_recorded or result.requires_grad):
            return self
        if self._base is None:
            self._node = result.grad_fn
            return self
        base = self._base
        if before is None:
            before = base._snapshot_node()
        base._node = PutView.apply(before, result, views=self._views)._node
        self._seen = -1
        self._current_node()
        return self

    def _snapshot_node(self) -> MyTensor:
        """This tensor's memory and place in the graph, as a tensor of its own."""
        same = tensor_of(self.array)
        same._node = self._node
        return same

    def copy_(self, source: Any) -> MyTensor:
        """Take another tensor's elements, broadcast and cast to this one; returns the tensor itself."""
        source = source if isinstance(source, Variable) else tensor_of(_as_array(source, self.dtype))
        if source.device != self.device:
            source = tensor_of(on_device(source.array, self.device))
        if source.dtype != self.dtype:
            source = source.to(self.dtype)
        if source.shape != self.shape:
            try:
                source = shaping.expand(source, self.shape)
            except RuntimeError:
                raise RuntimeError(f"copy_: shape {source.shape} does not broadcast to {self.shape}") from None
        return self._become(source)

    def fill_(self, value: Any) -> MyTensor:
        """Set every element to `value`; returns the tensor itself."""
        return self.copy_(value)

    def zero_(self) -> MyTensor:
        """Set every element to 0; returns the tensor itself."""
        return self.copy_(0)

    # Operators -----------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Add.apply(self, other)

    def __radd__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Add.apply(self, other)

    def __sub__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Sub.apply(self, other)

    def __rsub__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Sub.apply(tensor_beside(other, self), self)

    def __mul__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Mul.apply(self, other)

    def __rmul__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Mul.apply(self, other)

    def __truediv__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Div.apply(self, other)

    def __rtruediv__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Div.apply(tensor_beside(other, self), self)

    def __pow__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Pow.apply(self, other)

    def __rpow__(self, other: Any) -> MyTensor:
        return arithmetic_ops.Pow.apply(tensor_beside(other, self), self)

    def __matmul__(self, other: Any) -> MyTensor:
        return MatMul.apply(self, other)

    def __rmatmul__(self, other: Any) -> MyTensor:
        return MatMul.apply(tensor_of(other), self)

    __iadd__ = add_ = _in_place(arithmetic.add)
    __isub__ = sub_ = _in_place(arithmetic.sub)
    __imul__ = mul_ = _in_place(arithmetic.mul)
    __itruediv__ = div_ = _in_place(arithmetic.div)
    __ipow__ = pow_ = _in_place(arithmetic.pow)
    clamp_ = _in_place(elementwise.clamp)
    relu_ = _in_place(elementwise.relu)

    def __neg__(self) -> MyTensor:
        return arithmetic_ops.Neg.apply(self)

    def __pos__(self) -> MyTensor:
        return self

    def __abs__(self) -> MyTensor:
        return elementwise.abs(self)

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise RuntimeError(f"bool: the truth of a tensor of shape {self.shape} is ambiguous; use .any() or .all()")
        return bool(self.array.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.array.dtype.kind not in "biu" or self.array.size != 1:
            raise TypeError(f"index: wanted one integer, got a tensor of shape {self.shape} and dtype {self.dtype}")
        return int(self.array.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.array.ndim == 0 else format(repr(self), spec)

    __eq__ = comparison.eq
    __ne__ = comparison.ne
    __lt__ = comparison.lt
    __le__ = comparison.le
    __gt__ = comparison.gt
    __ge__ = comparison.ge
    __hash__ = object.__hash__  # by identity: defining == would take it away

    __getitem__ = indexing.get_item
    __setitem__ = indexing.set_item

    @property
    def T(self) -> MyTensor:
        """Its dimensions in reverse order."""
        return Permute.apply(self, axes=tuple(range(self.array.ndim))[::-1])

    # Methods that are functions of the tensor ----------------------------------------------------------------

    eq = comparison.eq
    ne = comparison.ne
    lt = comparison.lt
    le = comparison.le
    gt = comparison.gt
    ge = comparison.ge

    add = arithmetic.add
    sub = arithmetic.sub
    mul = arithmetic.mul
    div = arithmetic.div
    pow = arithmetic.pow
    neg = arithmetic.neg
    maximum = arithmetic.maximum
    minimum = arithmetic.minimum

    exp = elementwise.exp
    log = elementwise.log
    sqrt = elementwise.sqrt
    abs = elementwise.abs
    tanh = elementwise.tanh
    sigmoid = elementwise.sigmoid
    relu = elementwise.relu
    clamp = elementwise.clamp

    sum = reduction.sum
    mean = reduction.mean
    var = reduction.var
    max = reduction.max
    min = reduction.min
    argmax = reduction.argmax
    argmin = reduction.argmin

    reshape = shaping.reshape
    view = shaping.view
    permute = shaping.permute
    transpose = shaping.transpose
    squeeze = shaping.squeeze
    unsqueeze = shaping.unsqueeze
    expand_dims = shaping.unsqueeze
    flatten = shaping.flatten
    expand = shaping.expand
    split = shaping.split


class HookHandle:
    """Takes a hook away again."""

    def __init__(self, hooks: list, hook: Any) -> None:
        self._hooks = hooks
        self._hook = hook

    def remove(self) -> None:
        """Take the hook away; doing it twice is harmless."""
        self._hooks[:] = [hook for hook in self._hooks if hook is not self._hook]


class Parameter(MyTensor):
    """A tensor that a module trains: assigned to a `NeuralNetwork`, it is registered as one of its parameters.

    >>> Parameter(MyTensor([1.0])).requires_grad
    True
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        super().__init__(np.zeros(0, get_default_dtype()) if data is None else data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> MyTensor:
    """A leaf tensor with a copy of `data`: numbers, nested lists, an array or a tensor.

    >>> tensor([[1, 2], [3, 4]]).sum()
    tensor(10)
    """
    array = _as_array(data, None if dtype is None else np.dtype(dtype))
    return MyTensor(array.copy(), device=device, requires_grad=requires_grad)


def tensor_beside(value: Any, other: MyTensor) -> MyTensor:
    """The left operand of a reflected operator as a tensor: a number in the dtype it has beside `other`."""
    if is_array(value):
        return tensor_of(value)
    if isinstance(value, (bool, int, float, complex, np.generic)):
        from mydl.ops.casting import result_dtype

        return tensor_of(other.xp.asarray(value, dtype=result_dtype(other.array, value)))
    raise TypeError(f"wanted a tensor, an array or a number beside a tensor, got {type(value).__name__}")


def read_to(args: tuple, kwargs: dict) -> tuple[Any, Any, bool]:
    """(device or None, dtype or None, copy) from the arguments of `to`."""
    where, dtype, copy = kwargs.pop("device", None), kwargs.pop("dtype", None), bool(kwargs.pop("copy", False))
    kwargs.pop("non_blocking", None)
    if kwargs:
        raise TypeError(f"to: unknown argument {next(iter(kwargs))!r}")
    for value in args:
        if isinstance(value, Variable):
            where, dtype = value.device, value.dtype
        elif isinstance(value, (str, device)):
            where = device(value)
        elif isinstance(value, (np.dtype, type)):
            dtype = np.dtype(value)
        elif isinstance(value, bool):
            copy = copy or value
        elif value is not None:
            raise TypeError(f"to: wanted a dtype, a device or a tensor, got {value!r}")
    return (None if where is None else device(where)), (None if dtype is None else np.dtype(dtype)), copy


def _same_place(wanted: device, have: device) -> bool:
    return wanted.type == have.type and wanted.index in (None, have.index)


def _category(dtype: np.dtype) -> int:
    return "biufc".index(dtype.kind) if dtype.kind != "u" else 1


def _plain_range(array: np.ndarray) -> bool:
    """Whether all values print well without an exponent."""
    if array.dtype.kind != "f" or array.size == 0:
        return True
    finite = np.abs(array[np.isfinite(array) & (array != 0)])
    return finite.size == 0 or bool(finite.max() < 1e8 and finite.min() >= 1e-4 and finite.max() / finite.min() < 1e3)


def _float_format(array: np.ndarray) -> Any:
    """How each element is printed: `1.` where all are whole, four decimals, or an exponent for wide ranges."""
    finite = array[np.isfinite(array)].astype(np.float64)
    magnitudes = np.abs(finite[finite != 0])
    whole = bool((finite == np.round(finite)).all())
    wide = magnitudes.size > 0 and (
        magnitudes.max() >= 1e8 or (not whole and (magnitudes.max() / magnitudes.min() > 1e3 or magnitudes.min() < 1e-4))
    )

    def plain(x: float) -> str:
        if not np.isfinite(x):
            return str(float(x))
        return f"{x:.4e}" if wide else f"{x:.0f}." if whole else f"{x:.4f}"

    width = max((len(plain(x)) for x in array.flat), default=0) if array.size <= 1000 else 0
    return lambda x: plain(x).rjust(width)


bind(MyTensor, recorded)
