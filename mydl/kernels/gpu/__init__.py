"""The kernels for CuPy arrays: fused ones in CUDA (kernels.cu), convolution by cuDNN, and the reference's for the rest.

Not yet run on a GPU. The CUDA kernels are tested compiled for the host.
"""

from __future__ import annotations

from typing import Any

from mydl.kernels import reference
from mydl.kernels.gpu.blas import matmul
from mydl.kernels.gpu.convolution import conv2d, conv2d_input_grad, conv2d_weight_grad
from mydl.kernels.gpu.elementwise import dropout, dropout_draws, move_statistics, philox_words, relu_backward
from mydl.kernels.gpu.loss import cross_entropy, cross_entropy_backward
from mydl.kernels.gpu.normalization import batch_norm, batch_norm_backward
from mydl.kernels.gpu.optimizer import adam_step, sgd_step


def __getattr__(name: str) -> Any:
    """The other kernels: those of `mydl.kernels.reference`."""
    return getattr(reference, name)
