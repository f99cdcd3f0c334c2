"""Apple's GPUs, which mydl does not use.

>>> from mydl.backends import mps
>>> mps.is_available()
False
"""


def is_available() -> bool:
    """False: mydl does not use Apple's GPUs."""
    return False


def is_built() -> bool:
    """False, as `is_available`."""
    return False
