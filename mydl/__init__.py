"""mydl: a PyTorch-style deep-learning framework on NumPy and CuPy, small enough to read in an afternoon."""

from mydl import blas_core  # first: it must run before NumPy loads its BLAS
from mydl import autograd
from mydl.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from mydl.backend import Generator, device, get_default_dtype, get_num_threads, manual_seed, set_default_dtype, set_num_threads
from mydl.creation import arange, ones, zeros
from mydl.tensor import MyTensor, tensor

Tensor = MyTensor
