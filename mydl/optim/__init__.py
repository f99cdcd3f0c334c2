"""Optimizers, which change parameters by their gradients, and schedules of their learning rates."""

from mydl.optim import lr_scheduler
from mydl.optim.adam import Adam, AdamW, NAdam, RAdam
from mydl.optim.adaptive import Adadelta, Adagrad, RMSprop
from mydl.optim.optimizer import Optimizer
from mydl.optim.sgd import SGD, Momentum

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Momentum",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "lr_scheduler",
]
