"""MyTensor: an array, what there is to know of it, and the ways from it to Python, NumPy and other tensors.

What it computes stands in operators.py, methods.py and functions/, its gradient in autograd/differentiable.py, and
changes in place and views in views.py.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from mydl.autograd.differentiable import Differentiable
from mydl.autograd.engine import Variable
from mydl.autograd.modes import mode
from mydl.autograd.op import bind, tensor_of
from mydl.backend import array_module, device, device_of, get_default_dtype, on_device, to_host
from mydl.errors import ShapeError
from mydl.functions.arguments import Size, note_range, shape_of
from mydl.functions.conversion import as_array, as_dtype, check_memory_format, contiguous_format, filling
from mydl.functions.joining import unbind
from mydl.methods import Methods
from mydl.operators import Operators
from mydl.ops import recorded
from mydl.ops.shape import Permute
from mydl.printing import text_of
from mydl.views import Shared

__all__ = ["MyTensor", "Parameter", "tensor"]

# What ties a tensor to its graph, its hooks and its optimizer: copies and pickles are free of all that.
_NOT_COPIED = {
    "array", "hooks", "after_hooks", "retains_grad", "_version", "_node", "_base", "_range", "_views", "_seen", "_slot",
    "_grad_buffer", "_buffer_taken", "_buffer_references",
}  # fmt: skip


class MyTensor(Operators, Methods, Shared, Differentiable):
    """An array that remembers how it was computed.

    `MyTensor(data)` shares the memory of an array and keeps its dtype; lists of Python numbers become the default
    dtype, float32 (`mydl.tensor` makes int64 of ints). `MyTensor(2, 3)` is a tensor of these sizes to be filled
    (zeros for now), as `mydl.empty(2, 3)` is. With `requires_grad=True` (floating dtypes only) whatever is
    computed from it can be differentiated: `y.backward()` adds dy/dx to `x.grad`.

    >>> x = MyTensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    _range: Any = None  # of integers on a GPU, (version, smallest, largest); see integer_range
    _slot: Any = None  # its place in an optimizer's flat buffers, a mydl.optim.buffers.Slot

    def __init__(
        self, data: Any = (), dtype: Any = None, *sizes: Any, device: Any = None, requires_grad: bool = False
    ) -> None:
        if isinstance(dtype, (int, np.integer)) or (dtype is None and type(data) in (int, Size)):
            sizes = (data,) if dtype is None else (data, dtype, *sizes)
            array = np.zeros(shape_of(sizes, "MyTensor", least=0), get_default_dtype())
        elif sizes:
            raise TypeError(f"MyTensor: wanted data and a dtype, or sizes, got {sizes} after {dtype}")
        else:
            array = as_array(data, dtype)
            if dtype is None and isinstance(data, (list, tuple)) and array.dtype.kind in "biu":
                array = array.astype(get_default_dtype())
        self.array = array if device is None else on_device(array, device)
        self._version = [0]
        if device is not None:
            note_range(self, array)
        if requires_grad:
            self.requires_grad = True

    # Its shape -------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of its dimensions."""
        return Size(self.array.shape)

    def size(self, dim: int | None = None) -> Any:
        """Its shape, or its size along `dim`."""
        return self.shape if dim is None else self.shape[dim]

    @property
    def ndim(self) -> int:
        """The number of its dimensions."""
        return self.array.ndim

    def dim(self) -> int:
        """The number of its dimensions."""
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of its elements."""
        return int(self.array.size)

    nelement = numel

    def is_same_size(self, other: MyTensor) -> bool:
        """Whether another tensor has its shape."""
        return self.shape == other.shape

    def __len__(self) -> int:
        if not self.array.shape:
            raise TypeError("len() of a tensor of zero dimensions")
        return self.array.shape[0]

    def __iter__(self) -> Iterator[MyTensor]:
        if not self.array.shape:
            raise TypeError("iteration over a tensor of zero dimensions")
        return iter(unbind(self, 0))

    def __reversed__(self) -> MyTensor:
        return self.flip(0) if self.array.ndim else self

    # Its elements ----------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> np.dtype:
        """The type of its elements, a NumPy dtype such as `mydl.float32`."""
        return self.array.dtype

    def is_floating_point(self) -> bool:
        """Whether its elements are floats."""
        return self.array.dtype.kind == "f"

    def is_complex(self) -> bool:
        """Whether its elements are complex numbers."""
        return self.array.dtype.kind == "c"

    def is_signed(self) -> bool:
        """Whether its dtype has negative numbers."""
        return self.array.dtype.kind in "ifc"

    @property
    def itemsize(self) -> int:
        """The bytes of one element."""
        return self.array.dtype.itemsize

    def element_size(self) -> int:
        """The bytes of one element."""
        return self.array.dtype.itemsize

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).array.any())

    def __repr__(self) -> str:
        return text_of(self)

    def __format__(self, spec: str) -> str:
        number = self.array.ndim == 0 and (spec or type(self) is MyTensor)
        return format(self.item(), spec) if number else format(repr(self), spec)

    # Its memory and device -------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """The bytes of all its elements."""
        return int(self.array.nbytes)

    def stride(self, dim: int | None = None) -> Any:
        """How many elements apart neighbours along each dimension (or along `dim`) lie in memory."""
        strides = tuple(n // self.array.dtype.itemsize for n in self.array.strides)
        return strides if dim is None else strides[dim]

    def is_contiguous(self, memory_format: str = contiguous_format) -> bool:
        """Whether its memory is in C order; of (N, C, H, W) with the channels last, for mydl.channels_last."""
        check_memory_format(memory_format, "is_contiguous")
        array = self.array
        if memory_format == "channels_last":
            return array.ndim == 4 and bool(array.transpose(0, 2, 3, 1).flags.c_contiguous)
        return bool(array.flags.c_contiguous)

    def data_ptr(self) -> int:
        """The address of its first element."""
        return int(self.array.ctypes.data) if isinstance(self.array, np.ndarray) else int(self.array.data.ptr)

    def pin_memory(self) -> MyTensor:
        """Itself: host memory is not pinned here, and copies to a GPU work all the same."""
        return self

    @property
    def xp(self) -> Any:
        """NumPy or CuPy, whichever its array belongs to."""
        return array_module(self.array)

    @property
    def device(self) -> device:
        """Where its array lives."""
        return device_of(self.array)

    def get_device(self) -> int:
        """The number of its GPU; -1 on the CPU."""
        return -1 if self.is_cpu else self.device.index or 0

    @property
    def is_cuda(self) -> bool:
        """Whether its array lives on a GPU."""
        return not isinstance(self.array, np.ndarray)

    is_cpu = property(lambda self: isinstance(self.array, np.ndarray), doc="Whether its array is on the host.")

    is_sparse = is_quantized = is_meta = False  # there are no such tensors here; optimisers written for PyTorch ask

    # Transposed and summed -------------------------------------------------------------------------------------

    @property
    def T(self) -> MyTensor:
        """Its dimensions in reverse order."""
        return Permute.apply(self, axes=tuple(range(self.array.ndim))[::-1])

    @property
    def mT(self) -> MyTensor:
        """Its last two dimensions exchanged."""
        if self.array.ndim == 1:
            raise RuntimeError(f"mT: wanted at least 2 dimensions, got shape {self.shape}")
        return self.transpose(-1, -2) if self.array.ndim else self

    mH = mT  # of real numbers

    @property
    def H(self) -> MyTensor:
        """The transpose of a matrix."""
        if self.array.ndim not in (0, 2):
            raise RuntimeError(f"H: wanted a matrix, got shape {self.shape}; use .mH")
        return self.mT

    def sum_to_size(self, *size: Any) -> MyTensor:
        """Its sums over the dimensions along which a tensor of shape `size` would broadcast to it."""
        wanted = shape_of(size, "sum_to_size")
        spare = self.ndim - len(wanted)
        if spare < 0 or any(n not in (1, m) for n, m in zip(wanted, self.shape[spare:])):
            raise RuntimeError(f"sum_to_size: shape {wanted} does not broadcast to {self.shape}")
        dims = tuple(i for i in range(self.ndim) if i < spare or wanted[i - spare] != self.shape[i])
        return (self.sum(dims, keepdim=True) if dims else self).reshape(wanted)

    # As Python numbers and NumPy arrays ------------------------------------------------------------------------

    def item(self) -> Any:
        """Its one element as a Python number; ShapeError if it has more or none."""
        if self.array.size != 1:
            raise ShapeError(f"item: a tensor of shape {self.shape} has {self.array.size} elements; wanted one")
        return self.array.item()

    def tolist(self) -> Any:
        """Its elements as nested lists of Python numbers (one number for zero dimensions)."""
        return to_host(self.array).tolist()

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

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Its array on the host, sharing memory on the CPU. With a gradient to track that takes `force`."""
        if self.requires_grad and not force and mode.grad:
            raise RuntimeError("numpy: this tensor requires a gradient; use .detach().numpy()")
        return to_host(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    # Tensors made from it --------------------------------------------------------------------------------------

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
        array = value.array if isinstance(value, Variable) else as_array(value, None)
        if array.dtype.kind not in "fc" and self.requires_grad:
            raise RuntimeError(f"data: a tensor that requires a gradient wants floating numbers, got {array.dtype}")
        self.array = array
        self._range = None

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """In `dtype`, also given as `mydl.LongTensor` or "torch.LongTensor"; without an argument, the dtype itself."""
        old = re.fullmatch(r"torch\.(Bool|Byte|Char|Short|Int|Long|Half|Float|Double)Tensor", str(dtype))
        if old:
            return getattr(self, old[1].lower())()
        return self.dtype if dtype is None else self.to(np.dtype(getattr(dtype, "dtype", dtype)))

    def astype(self, dtype: Any) -> MyTensor:
        """In `dtype`, by NumPy's name."""
        return self.to(np.dtype(dtype))

    def new(self, *data: Any) -> MyTensor:
        """PyTorch's older name for `new_empty(*sizes)` and `new_tensor(data)`."""
        sizes = not data or isinstance(data[0], (int, np.integer, Size))
        return self.new_empty(*(data or (0,))) if sizes else self.new_tensor(*data)

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> MyTensor:
        """A tensor with a copy of `data`, in this one's dtype and on its device by default."""
        array = as_array(data, as_dtype(dtype) or self.dtype).copy()
        return MyTensor(array, device=device or self.device, requires_grad=requires_grad)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
    ) -> MyTensor:
        """A tensor of shape `size` filled with a number, in this one's dtype and on its device by default."""
        value = filling(fill_value, as_dtype(dtype) or self.dtype, "new_full")
        array = np.full(shape_of((size,), "new_full", least=0), value)
        return MyTensor(array, device=device or self.device, requires_grad=requires_grad)

    def new_zeros(self, *size: Any, **options: Any) -> MyTensor:
        """Zeros of shape `size`, in this one's dtype and on its device by default."""
        named = {"size": options.pop("size")} if "size" in options else None
        return self.new_full(shape_of(size, "new_zeros", named, "size"), 0, **options)

    def new_ones(self, *size: Any, **options: Any) -> MyTensor:
        """Ones of shape `size`, in this one's dtype and on its device by default."""
        named = {"size": options.pop("size")} if "size" in options else None
        return self.new_full(shape_of(size, "new_ones", named, "size"), 1, **options)

    def new_empty(self, *size: Any, **options: Any) -> MyTensor:
        """A tensor of shape `size` to be filled (zeros for now), in this one's dtype and on its device by default."""
        named = {"size": options.pop("size")} if "size" in options else None
        return self.new_full(shape_of(size, "new_empty", named, "size"), 0, **options)

    def __getstate__(self) -> dict[str, Any]:
        """What `copy.copy` and pickles take along: neither graph, hooks nor gradient, as in PyTorch."""
        kept = {name: value for name, value in self.__dict__.items() if name not in _NOT_COPIED | {"grad"}}
        return kept | {"array": self.array, "_version": self._version, "_requires_grad": self.requires_grad}

    def __deepcopy__(self, memo: dict) -> MyTensor:
        if self._node is not None:
            raise RuntimeError(
                "deepcopy: only leaf tensors can be copied with their gradient; use .clone() or .detach()"
            )
        made = object.__new__(type(self))
        memo[id(self)] = made
        kept = {name: value for name, value in self.__dict__.items() if name not in _NOT_COPIED}
        made.__dict__.update(copy.deepcopy(kept, memo))
        made.array = self.array.copy()
        made._version = [0]
        return made


class Parameter(MyTensor):
    """A tensor that a module trains: assigned to a `NeuralNetwork`, it is registered as one of its parameters.

    >>> Parameter(MyTensor([1.0])).requires_grad
    True
    """

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        super().__init__(np.zeros(0, get_default_dtype()) if data is None else data, requires_grad=requires_grad)

    def __deepcopy__(self, memo: dict) -> Parameter:
        """A copy starts without a gradient, as in PyTorch."""
        made: Any = super().__deepcopy__(memo)
        made.grad = None
        return made

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> MyTensor:
    """A leaf tensor with a copy of `data`: numbers, nested lists, an array or a tensor.

    >>> tensor([[1, 2], [3, 4]]).sum()
    tensor(10)
    """
    array = as_array(data, None if dtype is None else np.dtype(dtype))
    return MyTensor(array.copy(), device=device, requires_grad=requires_grad)


bind(MyTensor, recorded)
