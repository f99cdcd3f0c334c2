"""Layers, losses and containers. PyTorch's names for the course's are aliases of the same objects, given here.

Each file is a family of layers, and its `__all__` says which of its names are public.
"""

from mydl.nn import functional, init, utils
from mydl.nn.activation import *
from mydl.nn.attention import *
from mydl.nn.cell import *
from mydl.nn.container import *
from mydl.nn.convolution import *
from mydl.nn.convolution import Conv2D
from mydl.nn.distance import *
from mydl.nn.dropout import *
from mydl.nn.embedding import *
from mydl.nn.linear import *
from mydl.nn.loss import *
from mydl.nn.margin import *
from mydl.nn.module import NeuralNetwork
from mydl.nn.normalization import *
from mydl.nn.padding import *
from mydl.nn.pooling import *
from mydl.nn.recurrent import *
from mydl.nn.softmax import *
from mydl.nn.transformer import *
from mydl.nn.vision import *
from mydl.tensor import Parameter

Module = NeuralNetwork
Conv2d = Conv2D
