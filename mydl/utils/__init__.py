"""PyTorch's path to the data tools: `mydl.utils.data` is `mydl.data`, for code that says torch.utils.data in full."""

from mydl.utils import data
