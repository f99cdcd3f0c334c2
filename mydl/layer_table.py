"""`summary`: a table of a model's layers, with the output shape, parameters, multiply-adds and memory of each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mydl import nn
from mydl.autograd.modes import no_grad
from mydl.backend import get_default_dtype
from mydl.creation import zeros
from mydl.nn.hooks import under_observation
from mydl.tensor import MyTensor

__all__ = ["Layer", "LayerTable", "summary"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2D)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
_WITH_RUNNING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.InstanceNorm1d, nn.InstanceNorm2d)
_WITHOUT_RUNNING = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_RECURRENT = (nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)


@dataclass
class Layer:
    """One call of one module.

    Attributes:
        name: its dotted path in the model, "" for the model itself.
        kind: the name of its class.
        depth: how many modules it was called from inside of.
        output_shape: a shape, a tuple of shapes where there are several outputs, None where it was never called.
        parameters: the elements of its own parameters, without its sub-modules'; one that is shared counts where it
            comes first.
        multiply_adds: its own, without its sub-modules'; see `summary`.
        activation_bytes: the memory of its output, and of what its `forward` computes with functions and hands to a
            sub-module; a view of memory that another row counts adds nothing.
    """

    name: str
    kind: str
    depth: int
    output_shape: Any = None
    parameters: int = 0
    multiply_adds: int = 0
    activation_bytes: int = 0


class LayerTable:
    """The rows of `summary`, in the order of the calls: a sequence of `Layer` that prints as a table.

    >>> table = summary(nn.Linear(3, 2), (1, 3))
    >>> len(table), table[0].output_shape, table.parameters, table.multiply_adds, table.activation_bytes
    (1, (1, 2), 8, 6, 8)
    """

    def __init__(self, rows: list[Layer], trainable_parameters: int) -> None:
        self.rows = rows
        self.trainable_parameters = trainable_parameters

    @property
    def parameters(self) -> int:
        """The elements of all parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Those of all layers, for the batch that was shown."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """The memory of all layers' outputs, for the batch that was shown."""
        return sum(row.activation_bytes for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __repr__(self) -> str:
        head = ("layer", "output shape", "parameters", "multiply-adds", "activations")
        lines = [head, *map(_cells, self.rows)]
        total = ("total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", _size(self.activation_bytes))
        widths = [max(len(line[column]) for line in (*lines, total)) for column in range(len(head))]
        texts = [_aligned(line, widths) for line in lines]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        texts = [texts[0], rule, *texts[1:], rule, _aligned(total, widths)]
        frozen = self.parameters - self.trainable_parameters
        return "\n".join(texts) + (f"\n{frozen:,} of the parameters are frozen" if frozen else "")


def _cells(row: Layer) -> tuple[str, ...]:
    label = f"{row.name.rpartition('.')[2]}: {row.kind}" if row.name else row.kind
    shape = "not called" if row.output_shape is None else str(row.output_shape)
    numbers = (f"{n:,}" if n else "-" for n in (row.parameters, row.multiply_adds))
    return ("  " * row.depth + label, shape, *numbers, _size(row.activation_bytes))


def _aligned(line: tuple[str, ...], widths: list[int]) -> str:
    texts = [text.ljust(width) for text, width in zip(line[:2], widths)]
    return "  ".join(texts + [text.rjust(width) for text, width in zip(line[2:], widths[2:])])


def _size(count: int) -> str:
    """Bytes with a unit: 1 kB is 1000 bytes."""
    if count < 1000:
        return f"{count} B" if count else "-"
    for unit, size in (("kB", 1e3), ("MB", 1e6)):
        if count < 999.95 * size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e9:.1f} GB"


def summary(model: nn.NeuralNetwork, example: Any) -> LayerTable:
    """Run a model once and list its layers, with what each gives out, holds and costs.

    Multiply-adds are those of matrix products and convolutions (a Linear: outputs × in_features; a convolution:
    outputs × in_channels / groups × kernel; a transposed one the same with its inputs and out_channels), of attention,
    and of normalisation: one an element for each of squaring, scaling and the affine part, where batch normalisation
    in evaluation has only one in all. Additions alone, comparisons and functions such as exp count nothing, and nor
    does what a module's `forward` computes with operators and functions such as `F.linear`: layers are modules. A
    backward pass costs about twice as many again.

    The model runs in evaluation mode and without gradients, and is left as it was.

    Args:
        model: any module.
        example: its input: a tensor, or a shape, the batch included, for zeros in the dtype of the model's parameters;
            for a model of several inputs a tuple or list of tensors and shapes. All figures are for the whole
            batch that is given: a batch of 1 gives them for one example.

    Raises:
        TypeError: `model` is no module, or `example` is none of these.

    Example:
        >>> summary(nn.Sequential(nn.Conv2D(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)), (1, 1, 4, 4))
        layer         output shape  parameters  multiply-adds  activations
        ------------------------------------------------------------------
        Sequential    (1, 2)                 -              -            -
          0: Conv2D   (1, 4, 2, 2)          40            144         64 B
          1: ReLU     (1, 4, 2, 2)           -              -         64 B
          2: Flatten  (1, 16)                -              -            -
          3: Linear   (1, 2)                34             32          8 B
        ------------------------------------------------------------------
        total                               74            176        136 B
    """
    if not isinstance(model, nn.NeuralNetwork):
        raise TypeError(f"summary: wanted a NeuralNetwork, got {type(model).__name__}")
    inputs = _inputs(model, example)
    watch = _Watch(model, inputs)
    with under_observation(model), no_grad():
        for module in model.modules():
            module.register_forward_pre_hook(watch.enter, with_kwargs=True)
            module.register_forward_hook(watch.leave, with_kwargs=True)
        model(*inputs)
    watch.add_those_not_called(model)
    return LayerTable(watch.rows, sum(p.numel() for p in model.parameters() if p.requires_grad))


def _inputs(model: nn.NeuralNetwork, example: Any) -> tuple[MyTensor, ...]:
    """The example as tensors, a shape as zeros."""
    several = isinstance(example, (tuple, list)) and not _is_shape(example)
    parts = tuple(example) if several else (example,)
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    dtype, device = (get_default_dtype(), None) if first is None else (first.dtype, first.device)
    inputs = []
    for part in parts:
        if not isinstance(part, MyTensor) and not _is_shape(part):
            raise TypeError(f"summary: wanted a tensor or a shape (or several) as example, got {part!r}")
        inputs.append(part if isinstance(part, MyTensor) else zeros(*part, dtype=dtype, device=device))
    return tuple(inputs)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) > 0 and all(isinstance(n, (int, np.integer)) for n in value)


class _Watch:
    """The rows of a run, which the hooks before and after each module's call fill in."""

    def __init__(self, model: nn.NeuralNetwork, inputs: tuple[MyTensor, ...]) -> None:
        self.rows: list[Layer] = []
        self.names = {module: name for name, module in model.named_modules()}
        self.called: set[nn.NeuralNetwork] = set()
        self.inside: list[Layer] = []  # the calls that have not returned, the innermost last
        self.counted: set[MyTensor] = set()  # the parameters that a row has
        # The arrays that own memory which has been counted, or is the caller's; held, so that no id comes twice.
        self.owners = {
            id(owner): owner for owner in (_owner(t.array) for t in (*inputs, *model.parameters(), *model.buffers()))
        }

    def enter(self, module: nn.NeuralNetwork, args: tuple, kwargs: dict) -> None:
        """A call begins: its row stands before those of the modules that it calls."""
        if self.inside:  # what no module has given out, the caller has computed with functions of its own
            self._count(self.inside[-1], _tensors((args, kwargs)))
        self.inside.append(self._row(module, len(self.inside)))

    def _row(self, module: nn.NeuralNetwork, depth: int) -> Layer:
        own = [p for p in module.parameters(recurse=False) if p not in self.counted]
        self.counted.update(own)
        row = Layer(self.names[module], type(module).__name__, depth, parameters=sum(p.numel() for p in own))
        self.called.add(module)
        self.rows.append(row)
        return row

    def leave(self, module: nn.NeuralNetwork, args: tuple, kwargs: dict, output: Any) -> None:
        """A call ends."""
        row = self.inside.pop()
        outputs = _tensors(output)
        shapes = tuple(tensor.shape for tensor in outputs)
        row.output_shape = shapes[0] if isinstance(output, MyTensor) else shapes
        row.multiply_adds = _multiply_adds(module, _tensors((args, kwargs)), outputs)
        self._count(row, outputs)

    def _count(self, row: Layer, tensors: list[MyTensor]) -> None:
        """Add the memory of those tensors that is not counted yet."""
        for tensor in tensors:
            owner = _owner(tensor.array)
            if id(owner) not in self.owners:
                self.owners[id(owner)] = owner
                row.activation_bytes += tensor.nbytes

    def add_those_not_called(self, model: nn.NeuralNetwork) -> None:
        """A row for each module that has parameters and was not called, so that the column adds up."""
        for name, module in model.named_modules():
            if module not in self.called and any(p not in self.counted for p in module.parameters(recurse=False)):
                self._row(module, name.count(".") + 1)


def _tensors(value: Any) -> list[MyTensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in _tensors(part)]
    return [value] if isinstance(value, MyTensor) else []


def _owner(array: Any) -> Any:
    """The array that owns the memory which `array` shows."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


def _multiply_adds(module: nn.NeuralNetwork, inputs: list[MyTensor], outputs: list[MyTensor]) -> int:
    """What one call of a layer costs, without the modules that it calls; 0 for a layer that multiplies nothing."""
    if not inputs or not outputs:
        return 0
    given, made = inputs[0].numel(), outputs[0].numel()
    if isinstance(module, nn.Linear):
        return made * module.in_features
    if isinstance(module, nn.Bilinear):  # x1ᵀ W, then the product with x2
        return made * module.in2_features * (module.in1_features + 1)
    if isinstance(module, _TRANSPOSED):
        return given * (module.out_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, _CONVOLUTIONS):
        return made * (module.in_channels // module.groups) * math.prod(module.kernel_size)
    if isinstance(module, _WITH_RUNNING) and module.running_mean is not None:
        return made
    if isinstance(module, (*_WITH_RUNNING, *_WITHOUT_RUNNING)):
        return made * (2 if module.weight is None else 3)
    if isinstance(module, _RECURRENT):  # every weight matrix once for each step of each sequence
        matrices = sum(p.numel() for p in module.parameters() if p.ndim == 2)
        return given // module.input_size * matrices
    if isinstance(module, nn.MultiheadAttention):
        return _of_attention(module, inputs)
    return 0


def _of_attention(module: nn.MultiheadAttention, inputs: list[MyTensor]) -> int:
    """Projections of queries, keys and values, scores, and weighted sums; `out_proj` has a row of its own."""
    query, key, value = inputs[:3]
    projections = module.embed_dim * (query.numel() + key.numel() + value.numel())
    time = 1 if module.batch_first and query.ndim == 3 else 0
    keys = key.shape[time] + (module.bias_k is not None) + module.add_zero_attn
    return projections + 2 * query.numel() * keys
