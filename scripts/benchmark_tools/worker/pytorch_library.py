"""The benchmark's workloads in PyTorch, with the models of `models/` written for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

Step = Callable[[], Any]


class BasicBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


def resnet(channels: Sequence[int] = (16, 32, 64), blocks: int = 2) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(1, channels[0], 3, 1, 1, bias=False), nn.BatchNorm2d(channels[0]), nn.ReLU()
    ]  # fmt: skip
    before = channels[0]
    for stage, size in enumerate(channels):
        for block in range(blocks):
            layers.append(BasicBlock(before, size, 2 if stage > 0 and block == 0 else 1))
            before = size
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def mlp(hidden: Sequence[int] = (600, 100), dropout: float = 0.3) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    before = 784
    for size in hidden:
        layers += [nn.Linear(before, size), nn.ReLU(), nn.Dropout(dropout)]
        before = size
    return nn.Sequential(*layers, nn.Linear(before, 10))


class Library:
    """PyTorch as it comes; "channels_last" with it and fused Adam; "compile" with compiled models.

    On a GPU in full float32 (no TF32); "graphs" replays a training step that was captured as a CUDA graph.
    """

    def __init__(self, variant: str, threads: int, device: str) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        self.variant = variant
        self.device = device

    def describe(self) -> dict[str, str]:
        return {"version": torch.__version__, "configuration": torch.__config__.show()}

    def train(self, model: str, batch: int, repeat: int = 1, **options: Any) -> Step:
        network = self._model(model, **options)
        more = {"channels_last": {"fused": True}, "graphs": {"capturable": True}}.get(self.variant, {})
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, **more)
        x, target = self._batch(batch)

        def train_step() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(network(x), target)
            loss.backward()
            optimizer.step()
            return loss

        if self.variant == "graphs":
            train_step = self._captured(train_step, x, target)

        def step() -> None:
            for _ in range(repeat):
                loss = train_step()
            loss.item()

        return step

    @staticmethod
    def _captured(train_step: Callable[[], torch.Tensor], *batch: torch.Tensor) -> Callable[[], torch.Tensor]:
        """The step as PyTorch's documentation captures it; the batch is copied to it before each replay."""
        given = [part.clone() for part in batch]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                train_step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = train_step()

        def replay() -> torch.Tensor:
            for held, part in zip(batch, given, strict=True):
                held.copy_(part)
            graph.replay()
            return loss

        return replay

    def infer(self, model: str, batch: int, **options: Any) -> Step:
        network = self._model(model, **options).eval()
        x, _ = self._batch(batch)

        def step() -> None:
            with torch.no_grad():
                network(x).cpu()

        return step

    def tiny_ops(self, pairs: int) -> Step:
        y0 = torch.ones(8, device=self.device)
        a = torch.ones(8, device=self.device, requires_grad=True)
        b = torch.zeros(8, device=self.device, requires_grad=True)

        def step() -> None:
            y = y0
            for _ in range(pairs):
                y = y * a + b
            a.grad = b.grad = None
            y.sum().backward()
            a.grad.cpu()

        return step

    def _model(self, name: str, **options: Any) -> nn.Module:
        network = {"mlp": mlp, "resnet": resnet}[name](**options).to(self.device)
        if self.variant == "channels_last":
            network = network.to(memory_format=torch.channels_last)
        return torch.compile(network) if self.variant == "compile" else network

    def _batch(self, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(batch, 1, 28, 28, device=self.device)
        if self.variant == "channels_last":
            x = x.contiguous(memory_format=torch.channels_last)
        return x, torch.randint(0, 10, (batch,), device=self.device)
