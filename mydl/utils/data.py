"""All of `mydl.data` under PyTorch's path.

>>> from mydl.utils.data import DataLoader
>>> len(DataLoader(range(10), batch_size=4))
3
"""

from mydl.data import *  # noqa: F403
