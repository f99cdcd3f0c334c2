"""The recurrent layers' cells: one step of RNN, LSTM and GRU."""

from __future__ import annotations

import math
from typing import Any

from mydl.autograd.op import describe
from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn import init
from mydl.nn.linear import new_parameter
from mydl.nn.module import NeuralNetwork
from mydl.ops.elementwise import ReLU, Tanh
from mydl.ops.recurrent import GRUStep, LSTMStep
from mydl.tensor import MyTensor

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Cell(NeuralNetwork):
    """What the cells share: weight_ih, weight_hh, bias_ih, bias_hh, uniform within 1 / sqrt(hidden_size)."""

    gates = 1
    states = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        rows = self.gates * hidden_size
        self.bias = bias
        self.weight_ih = new_parameter((rows, input_size), device, dtype)
        self.weight_hh = new_parameter((rows, hidden_size), device, dtype)
        self.register_parameter("bias_ih", new_parameter((rows,), device, dtype) if bias else None)
        self.register_parameter("bias_hh", new_parameter((rows,), device, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _read(self, input: MyTensor, given: tuple[MyTensor, ...] | None) -> tuple[MyTensor, tuple[MyTensor, ...]]:
        """(the input's part of the gates, the states), zeros by default."""
        name = type(self).__name__
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ShapeError(f"{name}: wanted (N, {self.input_size}) or ({self.input_size},), got {describe(input)}")
        shape = (*input.shape[:-1], self.hidden_size)
        if given is None:
            given = tuple(MyTensor(input.xp.zeros(shape, input.dtype)) for _ in range(self.states))
        for state in given:
            if state.shape != shape:
                raise ShapeError(f"{name}: wanted a state of shape {shape}, got {describe(state)}")
        return F.linear(input, self.weight_ih, self.bias_ih), given

    def extra_repr(self) -> str:
        """Sizes."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of `RNN`: h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu.

    >>> import mydl
    >>> RNNCell(3, 4)(mydl.ones(2, 3)).shape
    (2, 4)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'RNNCell: wanted "tanh" or "relu" as nonlinearity, got {nonlinearity!r}')
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: MyTensor, hx: MyTensor | None = None) -> MyTensor:
        """The next state."""
        a, (h,) = self._read(input, None if hx is None else (hx,))
        op = Tanh if self.nonlinearity == "tanh" else ReLU
        return op.apply(a + F.linear(h, self.weight_hh, self.bias_hh))


class LSTMCell(_Cell):
    """One step of `LSTM`: (h', c') from x and (h, c).

    >>> import mydl
    >>> h, c = LSTMCell(3, 4)(mydl.ones(2, 3))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    gates = 4
    states = 2

    def forward(self, input: MyTensor, hx: tuple[MyTensor, MyTensor] | None = None) -> tuple[MyTensor, MyTensor]:
        """The next (h, c)."""
        a, (h, c) = self._read(input, None if hx is None else tuple(hx))
        return LSTMStep.apply(a + F.linear(h, self.weight_hh, self.bias_hh), c)


class GRUCell(_Cell):
    """One step of `GRU`.

    >>> import mydl
    >>> GRUCell(3, 4)(mydl.ones(2, 3)).shape
    (2, 4)
    """

    gates = 3

    def forward(self, input: MyTensor, hx: MyTensor | None = None) -> MyTensor:
        """The next state."""
        a, (h,) = self._read(input, None if hx is None else (hx,))
        return GRUStep.apply(a, F.linear(h, self.weight_hh, self.bias_hh), h)
