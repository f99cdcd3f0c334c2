"""Layers as functions of their inputs and weights, as in torch.nn.functional: a family a file; `__all__` names it."""

from mydl.functions.elementwise import sigmoid, tanh
from mydl.nn.functional.activation import *
from mydl.nn.functional.attention import *
from mydl.nn.functional.classification import *
from mydl.nn.functional.convolution import *
from mydl.nn.functional.distance import *
from mydl.nn.functional.dropout import *
from mydl.nn.functional.embedding import *
from mydl.nn.functional.linear import *
from mydl.nn.functional.loss import *
from mydl.nn.functional.margin import *
from mydl.nn.functional.normalization import *
from mydl.nn.functional.padding import *
from mydl.nn.functional.pooling import *
from mydl.nn.functional.vision import *
