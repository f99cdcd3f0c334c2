"""ONNX export: a model as a file that other programs and runtimes read. The package onnx is imported at first use."""

from __future__ import annotations

import os
from typing import Any

from mydl import nn
from mydl.autograd.op import describe
from mydl.files import atomic_write
from mydl.onnx.graph import Graph, translate
from mydl.onnx.trace import traces
from mydl.tensor import MyTensor

__all__ = ["export"]

_OPSET = 20  # the lowest that the rules are written for
_LIMIT = 2**31 - 1  # bytes of a protobuf message


def export(model: nn.NeuralNetwork, example: Any, path: str | os.PathLike[str], opset: int = _OPSET) -> None:
    """Write a model, as it computes in evaluation mode, to an ONNX file; the size of the batch stays open.

    The file has the inputs "input" (or "input_0", "input_1", …) and the outputs "output" (or "output_0", …; nested
    tuples are flattened). Its weights have their names in `state_dict`. ONNX's own checker has passed it. The model
    runs twice, on the example and on a larger batch of other values; Python's `if` and `for` in a `forward` are
    written down as they went.

    Args:
        model: any module whose operations have a translation. All layers have but adaptive max pooling, Fold and
            Unfold; recurrent layers need batch_first, since the number of steps is fixed. It is left as it was.
        example: an input, or a tuple of inputs: tensors with the batch as their first axis.
        path: where to; an existing file is replaced, once the new one is complete.
        opset: the version of ONNX's operators, 20 or later.

    Raises:
        ImportError: the package onnx is missing.
        NotImplementedError: an operation that has no translation, or a value that is not computed by operations but
            depends on the input or on the size of the batch; the error names the operation.
        TypeError, ValueError: a model, example or opset that does not fit the above.
        OSError: `path` cannot be written.

    Example:
        >>> import pathlib, tempfile, mydl
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.onnx"
        >>> export(nn.Linear(3, 2), mydl.zeros(1, 3), path)
        >>> path.stat().st_size > 0
        True
    """
    onnx = _package()
    newest = onnx.defs.onnx_opset_version()
    if not isinstance(opset, int) or not _OPSET <= opset <= newest:
        raise ValueError(f"onnx.export: wanted an opset from {_OPSET} to {newest} (this onnx's newest), got {opset!r}")
    if not isinstance(model, nn.NeuralNetwork):
        raise TypeError(f"onnx.export: wanted a NeuralNetwork, got {type(model).__name__}")
    graph = Graph(onnx, model)
    translate(graph, *traces(model, _inputs(example)))
    if sum(tensor.ByteSize() for tensor in graph.initializers) > _LIMIT:
        raise ValueError("onnx.export: an ONNX file holds at most 2 GiB, and the model's parameters need more")
    made = graph.model(opset)
    onnx.checker.check_model(made, full_check=True)
    with atomic_write(path) as file:
        file.write(made.SerializeToString(deterministic=True))


def _package() -> Any:
    """The onnx package."""
    try:
        import onnx
        import onnx.checker
        import onnx.defs
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError(f"onnx.export needs the package onnx: `pip install onnx` ({error})") from error
    return onnx


def _inputs(example: Any) -> tuple[MyTensor, ...]:
    inputs = tuple(example) if isinstance(example, (tuple, list)) else (example,)
    for value in inputs:
        if not isinstance(value, MyTensor):
            raise TypeError(f"onnx.export: wanted a tensor or a tuple of tensors as example, got {value!r}")
    if not inputs or any(x.ndim == 0 or x.numel() == 0 for x in inputs) or len({x.shape[0] for x in inputs}) > 1:
        got = ", ".join(map(describe, inputs)) or "nothing"
        raise ValueError(f"onnx.export: wanted inputs with elements and one batch as their first axis, got {got}")
    return inputs
