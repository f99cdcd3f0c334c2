"""Switches of PyTorch's that model files set or ask for; mydl computes with none of these libraries."""

from mydl.backends import cuda, cudnn, mps
