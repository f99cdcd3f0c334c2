"""Optimizers, which change parameters by their gradients, and schedules of their learning rates."""

from mydl.optim import lr_scheduler
from mydl.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from mydl.optim.adaptive import Adadelta, Adagrad, RMSprop, Rprop
from mydl.optim.lbfgs import LBFGS
from mydl.optim.optimizer import Optimizer
from mydl.optim.sgd import SGD, Momentum
