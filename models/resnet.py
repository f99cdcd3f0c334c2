"""The small residual network for 28×28 images: 16, 32 and 64 channels, about 175,000 parameters."""

from __future__ import annotations

from collections.abc import Sequence

from mydl import MyTensor, nn
from mydl.nn import functional as F


class BasicBlock(nn.NeuralNetwork):
    """relu(bn(conv(relu(bn(conv(x))))) + x), with 3×3 convolutions.

    Where the block changes the shape, a 1×1 convolution and a batch normalisation bring the last x to it.
    (He et al., "Deep Residual Learning for Image Recognition", 2015.)

    >>> import mydl
    >>> BasicBlock(16, 32, stride=2)(mydl.zeros(2, 16, 28, 28)).shape
    (2, 32, 14, 14)
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2D(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2D(out_channels, out_channels, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.NeuralNetwork = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2D(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: MyTensor) -> MyTensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.NeuralNetwork):
    """A 3×3 convolution, stages of residual blocks, global average pooling, a linear layer.

    There is a stage of `blocks` blocks for each size in `channels`; each after the first halves height and
    width.

    >>> import mydl
    >>> ResNet()(mydl.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(
        self, in_channels: int = 1, channels: Sequence[int] = (16, 32, 64), blocks: int = 2, classes: int = 10
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2D(in_channels, channels[0], kernel_size=3, stride=1, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels[0])
        stages = []
        before = channels[0]
        for stage, size in enumerate(channels):
            for block in range(blocks):
                stages.append(BasicBlock(before, size, stride=2 if stage > 0 and block == 0 else 1))
                before = size
        self.stages = nn.Sequential(*stages)
        self.pool = nn.FullAveragePool2d()
        self.linear = nn.Linear(before, classes)

    def forward(self, x: MyTensor) -> MyTensor:
        """Images (N, in_channels, H, W) -> logits (N, classes)."""
        y = F.relu(self.bn(self.conv(x)))
        return self.linear(self.pool(self.stages(y)))
