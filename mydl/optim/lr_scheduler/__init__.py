"""Learning rates that change as training goes on.

A scheduler sets `lr` in the optimizer's groups each time its `step()` is called, after `optimizer.step()`.
Whether its milestones count epochs or iterations is decided by where it is called: once an epoch or once a
batch.
"""

from mydl.optim.lr_scheduler.base import LRScheduler
from mydl.optim.lr_scheduler.composed import ChainedScheduler, SequentialLR
from mydl.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from mydl.optim.lr_scheduler.cyclic import CyclicLR, OneCycleLR
from mydl.optim.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from mydl.optim.lr_scheduler.plateau import ReduceLROnPlateau

_LRScheduler = LRScheduler  # PyTorch's older name for it
