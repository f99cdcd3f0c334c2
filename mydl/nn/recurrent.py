"""Recurrent layers: RNN, LSTM, GRU."""

from __future__ import annotations

import math
import warnings
from typing import Any

from mydl.autograd.op import describe
from mydl.errors import ShapeError
from mydl.nn import functional as F
from mydl.nn import init
from mydl.nn.linear import new_parameter
from mydl.nn.module import NeuralNetwork
from mydl.nn.options import differing
from mydl.ops.elementwise import ReLU, Tanh
from mydl.ops.recurrent import GRUStep, LSTMStep
from mydl.ops.shape import Concatenate, Stack, Unbind
from mydl.tensor import MyTensor

__all__ = ["GRU", "LSTM", "RNN"]


class _Recurrent(NeuralNetwork):
    """What the recurrent layers share: the weights of each layer and direction, and the walk over them.

    Layer k, backwards with `_reverse` at the end, has weight_ih_l{k} (gates · hidden, input), weight_hh_l{k}
    (gates · hidden, state), bias_ih_l{k} and bias_hh_l{k}, and with proj_size weight_hr_l{k} (proj_size, hidden). All
    start uniform within 1 / sqrt(hidden_size).
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        device: Any,
        dtype: Any,
        proj_size: int = 0,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if min(input_size, hidden_size, num_layers) < 1:
            sizes = f"{input_size}, {hidden_size} and {num_layers}"
            raise ShapeError(f"{name}: wanted input_size, hidden_size and num_layers above 0, got {sizes}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: wanted dropout between 0 and 1, got {dropout!r}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: wanted proj_size from 0 to below hidden_size {hidden_size}, got {proj_size}")
        if dropout and num_layers == 1:
            warnings.warn(f"{name}: dropout acts between layers, and there is only one", UserWarning, stacklevel=3)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self._state_size = proj_size or hidden_size
        self._endings = [
            f"_l{layer}{ending}"
            for layer in range(num_layers)
            for ending in (("", "_reverse") if bidirectional else ("",))
        ]
        rows = self.gates * hidden_size
        for index, ending in enumerate(self._endings):
            first = index < len(self._endings) // num_layers
            columns = input_size if first else self._state_size * (2 if bidirectional else 1)
            setattr(self, f"weight_ih{ending}", new_parameter((rows, columns), device, dtype))
            setattr(self, f"weight_hh{ending}", new_parameter((rows, self._state_size), device, dtype))
            if bias:
                setattr(self, f"bias_ih{ending}", new_parameter((rows,), device, dtype))
                setattr(self, f"bias_hh{ending}", new_parameter((rows,), device, dtype))
            if proj_size:
                setattr(self, f"weight_hr{ending}", new_parameter((proj_size, hidden_size), device, dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    @property
    def all_weights(self) -> list[list[MyTensor]]:
        """The parameters of each layer and direction: weight_ih, weight_hh, bias_ih, bias_hh and weight_hr."""
        groups: dict[str, list[MyTensor]] = {}
        for name, parameter in self.named_parameters():
            groups.setdefault(name[name.index("_l") :], []).append(parameter)
        return list(groups.values())

    def flatten_parameters(self) -> None:
        """Nothing: PyTorch's models call it to lay weights out for cuDNN."""

    def _step(self, ending: str, a: MyTensor, state: tuple[MyTensor, ...]) -> tuple[MyTensor, ...]:
        """The state after one step, from the input's part of the gates (N, gates · hidden) and the state before."""
        raise NotImplementedError(f"{type(self).__name__}: one step is its subclass's to define")

    def _from_state(self, ending: str, h: MyTensor) -> MyTensor:
        """The state's part of the gates."""
        return F.linear(h, getattr(self, f"weight_hh{ending}"), getattr(self, f"bias_hh{ending}", None))

    def _walk(self, ending: str, x: MyTensor, state: tuple[MyTensor, ...]) -> tuple[MyTensor, tuple[MyTensor, ...]]:
        """One layer in one direction over x (T, N, features): (outputs, last state)."""
        backwards = ending.endswith("_reverse")
        a = F.linear(x, getattr(self, f"weight_ih{ending}"), getattr(self, f"bias_ih{ending}", None))
        outputs = []
        steps = Unbind.apply(a, axis=0)
        for at_t in reversed(steps) if backwards else steps:
            state = self._step(ending, at_t, state)
            outputs.append(state[0])
        return Stack.apply(*(reversed(outputs) if backwards else outputs), axis=0), state

    def _run(self, input: MyTensor, states: tuple[MyTensor, ...]) -> tuple[MyTensor, tuple[MyTensor, ...]]:
        """All layers over input (T, N, features) from states (layers · directions, N, size)."""
        directions = 2 if self.bidirectional else 1
        by_layer = [Unbind.apply(state, axis=0) for state in states]
        last: list[tuple[MyTensor, ...]] = []
        x = input
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for place in range(layer * directions, (layer + 1) * directions):
                y, state = self._walk(self._endings[place], x, tuple(part[place] for part in by_layer))
                outputs.append(y)
                last.append(state)
            x = outputs[0] if directions == 1 else Concatenate.apply(*outputs, axis=2)
        return x, tuple(Stack.apply(*parts, axis=0) for parts in zip(*last))

    def _forward(self, input: MyTensor, given: tuple[MyTensor, ...] | None, sizes: tuple[int, ...]) -> tuple:
        """Outputs and last states, with the batch dimension where it was; `sizes` are those of the states."""
        name = type(self).__name__
        if not isinstance(input, MyTensor):
            raise NotImplementedError(
                f"{name}: wanted a tensor, got {type(input).__name__}; packed sequences are not supported"
            )
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: wanted an input (T, N, {self.input_size}), (N, T, {self.input_size}) with batch_first, or "
                f"(T, {self.input_size}), got {describe(input)}"
            )
        batched = input.ndim == 3
        x = (input.transpose(0, 1) if self.batch_first else input) if batched else input.unsqueeze(1)
        if x.shape[0] == 0:
            raise ShapeError(f"{name}: wanted at least one step, got {describe(input)}")
        count = len(self._endings)
        if given is None:
            zeros = [x.xp.zeros((count, x.shape[1], size), x.dtype) for size in sizes]
            states = tuple(MyTensor(array) for array in zeros)
        else:
            wanted = [(count, x.shape[1], size) if batched else (count, size) for size in sizes]
            for state, shape in zip(given, wanted):
                if state.shape != shape:
                    raise ShapeError(f"{name}: wanted a state of shape {shape}, got {describe(state)}")
            states = given if batched else tuple(state.unsqueeze(1) for state in given)
        y, last = self._run(x, states)
        if not batched:
            return y.squeeze(1), tuple(state.squeeze(1) for state in last)
        return (y.transpose(0, 1) if self.batch_first else y), last

    def extra_repr(self) -> str:
        """Sizes, and the options that are not the default."""
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        return f"{self.input_size}, {self.hidden_size}" + differing(self, **defaults, bidirectional=False)


class RNN(_Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or relu, in num_layers layers, each fed by the one before.

    forward(x, h0) takes x (T, N, input_size), (N, T, input_size) with `batch_first` or (T, input_size), and states
    (num_layers · directions, N, hidden_size), zeros by default; it returns the last layer's outputs and last states.

    >>> import mydl
    >>> y, h = RNN(3, 4)(mydl.ones(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'RNN: wanted "tanh" or "relu" as nonlinearity, got {nonlinearity!r}')
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)
        self.nonlinearity = nonlinearity

    def _step(self, ending: str, a: MyTensor, state: tuple[MyTensor, ...]) -> tuple[MyTensor, ...]:
        op = Tanh if self.nonlinearity == "tanh" else ReLU
        return (op.apply(a + self._from_state(ending, state[0])),)

    def forward(self, input: MyTensor, hx: MyTensor | None = None) -> tuple[MyTensor, MyTensor]:
        """(outputs, last states)."""
        y, (h,) = self._forward(input, None if hx is None else (hx,), (self.hidden_size,))
        return y, h


class LSTM(_Recurrent):
    """Long short-term memory: i, f, o = sigmoid(…), g = tanh(…), c' = f c + i g, h' = o tanh(c'); shapes as in `RNN`.

    forward(x, (h0, c0)) returns the outputs and (last h, last c). With `proj_size` h is W_hr h', of that size.
    Hochreiter and Schmidhuber, "Long short-term memory", 1997; Sak et al., 2014, for the projection.

    >>> import mydl
    >>> y, (h, c) = LSTM(3, 4, batch_first=True)(mydl.ones(2, 5, 3))
    >>> y.shape, h.shape, c.shape
    ((2, 5, 4), (1, 2, 4), (1, 2, 4))
    """

    gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype, proj_size
        )

    def _step(self, ending: str, a: MyTensor, state: tuple[MyTensor, ...]) -> tuple[MyTensor, ...]:
        h, c = LSTMStep.apply(a + self._from_state(ending, state[0]), state[1])
        return (F.linear(h, getattr(self, f"weight_hr{ending}")) if self.proj_size else h), c

    def forward(
        self, input: MyTensor, hx: tuple[MyTensor, MyTensor] | None = None
    ) -> tuple[MyTensor, tuple[MyTensor, MyTensor]]:
        """(outputs, (last h, last c))."""
        return self._forward(input, None if hx is None else tuple(hx), (self._state_size, self.hidden_size))


class GRU(_Recurrent):
    """Gated recurrent unit: r, z = sigmoid(…), n = tanh(x part + r · h part), h' = (1 - z) n + z h; shapes as in `RNN`.

    Cho et al., "Learning phrase representations using RNN encoder-decoder", 2014.

    >>> import mydl
    >>> y, h = GRU(3, 4, bidirectional=True)(mydl.ones(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 8), (2, 2, 4))
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype)

    def _step(self, ending: str, a: MyTensor, state: tuple[MyTensor, ...]) -> tuple[MyTensor, ...]:
        return (GRUStep.apply(a, self._from_state(ending, state[0]), state[0]),)

    def forward(self, input: MyTensor, hx: MyTensor | None = None) -> tuple[MyTensor, MyTensor]:
        """(outputs, last states)."""
        y, (h,) = self._forward(input, None if hx is None else (hx,), (self.hidden_size,))
        return y, h
