"""Analytic gradients of every layer of mydl.nn against central differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import mydl
from mydl import MyTensor, nn
from scripts.experiments.definition import Job, Outcome

__all__ = ["LAYERS", "QUICK", "gradcheck"]

QUICK = {"limit": 12}
STEP = 1e-3

# Every layer that is no container and no loss, and the shapes of its inputs; () stands for class numbers.
LAYERS: list[tuple[Callable[[], nn.NeuralNetwork], tuple[tuple[int, ...], ...]]] = [
    (lambda: nn.Linear(4, 3), ((5, 4),)),
    (lambda: nn.Bilinear(2, 3, 2), ((4, 2), (4, 3))),
    (lambda: nn.Identity(), ((2, 3),)),
    (lambda: nn.Flatten(), ((2, 2, 3),)),
    (lambda: nn.Unflatten(1, (2, 2)), ((2, 4),)),
    (lambda: nn.Embedding(5, 3), ((),)),
    (lambda: nn.EmbeddingBag(5, 3), ((),)),
    (lambda: nn.Conv1d(2, 3, 2, dilation=2), ((1, 2, 6),)),
    (lambda: nn.Conv2D(2, 4, 3, stride=2, padding=1, groups=2), ((2, 2, 4, 5),)),
    (lambda: nn.ConvTranspose1d(2, 3, 2, stride=2), ((1, 2, 3),)),
    (lambda: nn.ConvTranspose2d(2, 2, 2, stride=2, output_padding=1), ((1, 2, 2, 3),)),
    (lambda: nn.BatchNorm1d(3), ((4, 3),)),
    (lambda: nn.BatchNorm2d(2), ((2, 2, 2, 3),)),
    (lambda: nn.BatchNorm3d(2), ((2, 2, 2, 1, 3),)),
    (lambda: nn.GroupNorm(2, 4), ((2, 4, 3),)),
    (lambda: nn.InstanceNorm1d(2, affine=True), ((2, 2, 4),)),
    (lambda: nn.InstanceNorm2d(2, affine=True), ((2, 2, 2, 3),)),
    (lambda: nn.LayerNorm(4), ((3, 4),)),
    (lambda: nn.RMSNorm(4), ((3, 4),)),
    (lambda: nn.LocalResponseNorm(2), ((1, 4, 3),)),
    (lambda: nn.AvgPool1d(2), ((1, 2, 6),)),
    (lambda: nn.AvgPool2d(3, 2, 1), ((1, 2, 4, 5),)),
    (lambda: nn.MaxPool1d(2), ((1, 2, 6),)),
    (lambda: nn.MaxPool2d(2, 1), ((1, 2, 3, 4),)),
    (lambda: nn.AdaptiveAvgPool1d(2), ((1, 2, 5),)),
    (lambda: nn.AdaptiveAvgPool2d(2), ((1, 2, 3, 5),)),
    (lambda: nn.AdaptiveMaxPool1d(2), ((1, 2, 5),)),
    (lambda: nn.AdaptiveMaxPool2d(2), ((1, 2, 3, 5),)),
    (lambda: nn.FullAveragePool2d(), ((2, 3, 2, 2),)),
    (lambda: nn.RNN(2, 3), ((3, 2, 2),)),
    (lambda: nn.LSTM(2, 3), ((3, 2, 2),)),
    (lambda: nn.GRU(2, 3), ((3, 2, 2),)),
    (lambda: nn.RNNCell(2, 3), ((2, 2),)),
    (lambda: nn.LSTMCell(2, 3), ((2, 2),)),
    (lambda: nn.GRUCell(2, 3), ((2, 2),)),
    (lambda: nn.MultiheadAttention(4, 2), ((3, 2, 4), (2, 2, 4), (2, 2, 4))),
    (lambda: nn.TransformerEncoderLayer(4, 2, 5, 0.0), ((3, 2, 4),)),
    (lambda: nn.TransformerDecoderLayer(4, 2, 5, 0.0), ((3, 2, 4), (2, 2, 4))),
    (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 5, 0.0), 2), ((3, 2, 4),)),
    (lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 5, 0.0), 2), ((3, 2, 4), (2, 2, 4))),
    (lambda: nn.Transformer(4, 2, 1, 1, 5, 0.0), ((3, 2, 4), (2, 2, 4))),
    (lambda: nn.CosineSimilarity(), ((3, 4), (3, 4))),
    (lambda: nn.PairwiseDistance(), ((3, 4), (3, 4))),
    (lambda: nn.Fold((3, 4), 2), ((1, 4, 6),)),
    (lambda: nn.Unfold(2), ((1, 2, 3, 4),)),
    (lambda: nn.PixelShuffle(2), ((1, 4, 2, 2),)),
    (lambda: nn.PixelUnshuffle(2), ((1, 1, 4, 4),)),
    (lambda: nn.Upsample((3, 5), mode="bilinear"), ((1, 2, 2, 3),)),
    (lambda: nn.UpsamplingBilinear2d(scale_factor=2), ((1, 2, 2, 3),)),
    (lambda: nn.UpsamplingNearest2d(scale_factor=2), ((1, 2, 2, 3),)),
    *[(lambda pad=pad: pad(1), ((1, 2, 4),)) for pad in (nn.ReflectionPad1d, nn.ReplicationPad1d, nn.ZeroPad1d)],
    *[
        (lambda pad=pad: pad(1), ((1, 2, 3, 3),))
        for pad in (nn.CircularPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.ZeroPad2d)
    ],
    (lambda: nn.ConstantPad1d(1, 2.0), ((1, 2, 4),)),
    (lambda: nn.ConstantPad2d(1, 2.0), ((1, 2, 3, 3),)),
    (lambda: nn.PReLU(2), ((3, 2),)),
    (lambda: nn.Threshold(0.2, 1.0), ((3, 4),)),
    (lambda: nn.Softmax2d(), ((1, 3, 2, 2),)),
    *[(lambda kind=kind: kind(1), ((3, 4),)) for kind in (nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.GLU)],
    *[
        (lambda kind=kind: kind(), ((3, 4),))
        for kind in (
            nn.CELU,
            nn.ELU,
            nn.GELU,
            nn.SELU,
            nn.Hardshrink,
            nn.Hardsigmoid,
            nn.Hardswish,
            nn.Hardtanh,
            nn.LeakyReLU,
            nn.LogSigmoid,
            nn.Mish,
            nn.ReLU,
            nn.ReLU6,
            nn.Sigmoid,
            nn.SiLU,
            nn.Softplus,
            nn.Softshrink,
            nn.Softsign,
            nn.Step,
            nn.Tanh,
            nn.Tanhshrink,
        )
    ],
    *[(lambda kind=kind: kind(0.5).eval(), ((2, 3),)) for kind in (nn.Dropout, nn.AlphaDropout)],
    (lambda: nn.Dropout1d(0.5).eval(), ((2, 3, 2),)),
    (lambda: nn.Dropout2d(0.5).eval(), ((2, 3, 2, 2),)),
    (lambda: nn.Dropout3d(0.5).eval(), ((2, 3, 2, 1, 2),)),
]


def gradcheck(job: Job) -> Outcome:
    """The largest absolute difference of any partial derivative, of all `layers` and of the `dense` one.

    The function is a weighted sum of a layer's outputs, in float64; its derivatives by inputs and parameters are
    compared with (8 (f(x + h) - f(x - h)) - (f(x + 2h) - f(x - 2h))) / 12h, whose error is of order h⁴; h = 0.001.
    """
    differences: dict[str, float] = {}
    for make, shapes in LAYERS[: job.settings.get("limit")]:
        mydl.manual_seed(job.seed)
        layer = make().double()
        rng = np.random.default_rng(job.seed)
        inputs = [_input(rng, shape) for shape in shapes]
        differences[type(layer).__name__] = _difference(layer, inputs, rng)
    return Outcome({
        "max_difference": max(differences.values()), "dense": differences["Linear"],
        "layers": dict(sorted(differences.items())),
    })  # fmt: skip


def _input(rng: np.random.Generator, shape: tuple[int, ...]) -> MyTensor:
    """Numbers 0.11 apart in random order: no two of them so near, and none so near a kink, that a step crosses."""
    if not shape:
        return mydl.tensor(rng.integers(0, 5, (2, 3)))
    count = int(np.prod(shape))
    return mydl.tensor(
        rng.permutation((np.arange(count) - count // 2 + 0.37) * 0.11).reshape(shape), requires_grad=True
    )


def _difference(layer: nn.NeuralNetwork, inputs: list[MyTensor], rng: np.random.Generator) -> float:
    with mydl.no_grad():
        weights = [mydl.tensor(rng.standard_normal(y.shape)) for y in _outputs(layer(*inputs))]

    def value() -> MyTensor:
        return sum(
            ((y * w).sum() for y, w in zip(_outputs(layer(*inputs)), weights)), mydl.zeros((), dtype=mydl.float64)
        )

    total = value()
    if total.requires_grad:
        total.backward()
    largest = 0.0
    for tensor in [*inputs, *layer.parameters()]:
        if not tensor.requires_grad:
            continue
        array = tensor.detach().numpy()
        slopes = np.zeros_like(array) if tensor.grad is None else tensor.grad.numpy()
        for place in np.ndindex(array.shape):
            start, ends = array[place], []
            for step in (1, -1, 2, -2):
                array[place] = start + step * STEP
                with mydl.no_grad():
                    ends.append(value().item())
            array[place] = start
            numeric = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * STEP)
            largest = max(largest, abs(float(slopes[place]) - numeric))
    return largest


def _outputs(result: Any) -> list[MyTensor]:
    """The tensors in nested tuples, such as a recurrent layer gives."""
    if isinstance(result, tuple):
        return [tensor for part in result for tensor in _outputs(part)]
    return [result]
