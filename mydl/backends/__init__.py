"""Switches of PyTorch's that model files set or ask for. They can be set; nothing in mydl reads them."""

from mydl.backends import cuda, cudnn, mps
