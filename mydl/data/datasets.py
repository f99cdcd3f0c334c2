"""The datasets under the module name that torchvision gives them: `mydl.data.datasets.MNIST`."""

from mydl.data.digits import SyntheticDigits
from mydl.data.folder import ImageFolder
from mydl.data.mnist import MNIST, FashionMNIST

__all__ = ["MNIST", "FashionMNIST", "ImageFolder", "SyntheticDigits"]
