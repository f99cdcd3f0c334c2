"""Fast kernels for NumPy arrays, compiled by Numba.

Names and signatures are those of `mydl.kernels.reference`.
"""

from __future__ import annotations

from mydl.kernels.cpu.convolution import conv2d, conv2d_input_grad, conv2d_weight_grad
from mydl.kernels.cpu.elementwise import add, dropout, erf, relu, relu_backward
from mydl.kernels.cpu.loss import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    softmax,
    softmax_backward,
)
from mydl.kernels.cpu.normalization import batch_norm, batch_norm_backward, batch_norm_eval
from mydl.kernels.cpu.optimizer import adam_step, sgd_step
from mydl.kernels.cpu.pooling import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from mydl.kernels.cpu.product import matmul
from mydl.kernels.cpu.random import dropout_draws, philox_words
from mydl.kernels.cpu.reduction import sum_axes
from mydl.kernels.reference.elementwise import erfc
from mydl.kernels.reference.normalization import move_statistics

__all__ = [
    "adam_step", "add", "avg_pool2d", "avg_pool2d_backward", "batch_norm", "batch_norm_backward", "batch_norm_eval",
    "conv2d", "conv2d_input_grad", "conv2d_weight_grad", "cross_entropy", "cross_entropy_backward", "dropout",
    "dropout_draws", "erf", "erfc", "log_softmax", "log_softmax_backward", "matmul", "max_pool2d",
    "max_pool2d_backward", "move_statistics", "philox_words", "relu", "relu_backward", "sgd_step", "softmax",
    "softmax_backward", "sum_axes",
]  # fmt: skip
