"""PyTorch's path to `Parameter`."""

from mydl.tensor import Parameter

__all__ = ["Parameter"]
