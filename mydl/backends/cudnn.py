"""cuDNN's switches, to be set as in PyTorch. Nothing reads them: mydl has one algorithm for each operation.

>>> from mydl.backends import cudnn
>>> cudnn.is_available()
False
"""

enabled = False
benchmark = False
deterministic = False
allow_tf32 = False


def is_available() -> bool:
    """False: mydl does not use cuDNN."""
    return False
