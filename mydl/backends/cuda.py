"""PyTorch's switch for matrix products on a GPU, to be set as there. Nothing reads it: mydl computes them in full.

>>> from mydl.backends import cuda
>>> cuda.matmul.allow_tf32
False
"""

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False)
