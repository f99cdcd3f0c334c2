"""The datasets under the module name that torchvision gives them: `mydl.data.datasets.MNIST`."""

from .digits import SyntheticDigits
from .folder import ImageFolder
from .mnist import MNIST, FashionMNIST

__all__ = ["MNIST", "FashionMNIST", "ImageFolder", "SyntheticDigits"]
