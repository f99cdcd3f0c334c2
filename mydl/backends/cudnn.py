"""cuDNN's switches, to be set as in PyTorch. Nothing reads them: `mydl.cuda` says what convolutions on a GPU use.

>>> from mydl.backends import cudnn
>>> cudnn.is_available()
False
"""

enabled = False
benchmark = False
deterministic = False
allow_tf32 = False


def is_available() -> bool:
    """False, so that no program relies on these switches, whether or not convolutions use cuDNN."""
    return False
