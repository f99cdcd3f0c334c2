"""Layers that put a border around a line or an image; see `functional.pad`."""

from __future__ import annotations

from collections.abc import Sequence

from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn.functional.arguments import sizes_of
from mydl.nn.module import NeuralNetwork
from mydl.tensor import MyTensor

__all__ = [
    "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "ReflectionPad1d", "ReflectionPad2d", "ReplicationPad1d",
    "ReplicationPad2d", "ZeroPad1d", "ZeroPad2d",
]  # fmt: skip


class _Pad(NeuralNetwork):
    """What the paddings share: `padding` is one width for all sides, or (left, right, top, bottom)."""

    spatial = 2
    mode = "constant"
    value: float | None = None

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        padding = padding if isinstance(padding, int) else tuple(padding)
        self.padding = sizes_of(padding, 2 * self.spatial, type(self).__name__, "padding", -(2**31))

    def forward(self, input: MyTensor) -> MyTensor:
        """The input with its border."""
        if input.ndim not in (self.spatial + 1, self.spatial + 2) and self.mode != "constant":
            wanted = f"{self.spatial + 1} or {self.spatial + 2}"
            raise ShapeError(f"{type(self).__name__}: wanted an input of {wanted} dimensions, got {input.shape}")
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class ZeroPad2d(_Pad):
    """A border of zeros, (left, right, top, bottom) or one width.

    >>> import mydl
    >>> ZeroPad2d(1)(mydl.ones(1, 1, 1))
    tensor([[[0., 0., 0.],
             [0., 1., 0.],
             [0., 0., 0.]]])
    """


class ZeroPad1d(_Pad):
    """A border of zeros, (left, right) or one width.

    >>> import mydl
    >>> ZeroPad1d(1)(mydl.ones(1, 1))
    tensor([[0., 1., 0.]])
    """

    spatial = 1


class ConstantPad2d(_Pad):
    """A border of `value`, (left, right, top, bottom) or one width.

    >>> import mydl
    >>> ConstantPad2d((1, 0, 0, 0), 5.0)(mydl.ones(1, 1, 1))
    tensor([[[5., 1.]]])
    """

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        """The widths and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(ConstantPad2d):
    """A border of `value`, (left, right) or one width.

    >>> import mydl
    >>> ConstantPad1d(1, 5.0)(mydl.ones(1, 1))
    tensor([[5., 1., 5.]])
    """

    spatial = 1


class ReflectionPad2d(_Pad):
    """A border that mirrors the image at its edge, which is not repeated.

    >>> import mydl
    >>> ReflectionPad2d((1, 1, 0, 0))(mydl.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[2., 1., 2., 3., 2.]]])
    """

    mode = "reflect"


class ReflectionPad1d(ReflectionPad2d):
    """A border that mirrors the line at its ends, which are not repeated.

    >>> import mydl
    >>> ReflectionPad1d(1)(mydl.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 1., 2., 3., 2.]])
    """

    spatial = 1


class ReplicationPad2d(_Pad):
    """A border that repeats the image's edge.

    >>> import mydl
    >>> ReplicationPad2d((1, 1, 0, 0))(mydl.tensor([[[1.0, 2.0]]]))
    tensor([[[1., 1., 2., 2.]]])
    """

    mode = "replicate"


class ReplicationPad1d(ReplicationPad2d):
    """A border that repeats the line's ends.

    >>> import mydl
    >>> ReplicationPad1d(1)(mydl.tensor([[1.0, 2.0]]))
    tensor([[1., 1., 2., 2.]])
    """

    spatial = 1


class CircularPad2d(_Pad):
    """A border taken from the other side of the image.

    >>> import mydl
    >>> CircularPad2d((1, 1, 0, 0))(mydl.tensor([[[1.0, 2.0, 3.0]]]))
    tensor([[[3., 1., 2., 3., 1.]]])
    """

    mode = "circular"
