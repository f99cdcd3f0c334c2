"""The definition of every kernel, in plain array operations that NumPy and CuPy share.

Slower than `mydl.kernels.cpu` and meant to be read first: whatever is faster must agree with it.
"""

from __future__ import annotations

from mydl.kernels.reference.convolution import conv2d, conv2d_input_grad, conv2d_weight_grad
from mydl.kernels.reference.elementwise import add, dropout, erf, erfc, relu, relu_backward
from mydl.kernels.reference.linalg import matmul
from mydl.kernels.reference.loss import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from mydl.kernels.reference.normalization import batch_norm, batch_norm_backward, batch_norm_eval, move_statistics
from mydl.kernels.reference.optimizer import adam_step, sgd_step
from mydl.kernels.reference.pooling import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from mydl.kernels.reference.random import dropout_draws, philox_words
from mydl.kernels.reference.reduction import sum_axes

__all__ = [
    "adam_step", "add", "avg_pool2d", "avg_pool2d_backward", "batch_norm", "batch_norm_backward", "batch_norm_eval",
    "conv2d", "conv2d_input_grad", "conv2d_weight_grad", "cross_entropy", "cross_entropy_backward", "dropout",
    "dropout_draws", "erf", "erfc", "log_softmax", "log_softmax_backward", "matmul", "max_pool2d",
    "max_pool2d_backward", "move_statistics", "philox_words", "relu", "relu_backward", "sgd_step", "softmax",
    "softmax_backward", "sum_axes",
]  # fmt: skip
