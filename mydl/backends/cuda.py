"""PyTorch's switch for matrix products on a GPU, to be set as there. Nothing reads it: see `mydl.cuda.allow_tf32`.

>>> from mydl.backends import cuda
>>> cuda.matmul.allow_tf32
False
"""

from types import SimpleNamespace

matmul = SimpleNamespace(allow_tf32=False)
