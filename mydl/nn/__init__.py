"""Layers, losses and containers. PyTorch's names for the course's are aliases of the same objects, given here."""

from mydl.nn import functional, init, utils
from mydl.nn.activation import (
    ELU,
    GELU,
    GLU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Step,
    Tanh,
)
from mydl.nn.attention import MultiheadAttention, TransformerEncoder, TransformerEncoderLayer
from mydl.nn.cell import GRUCell, LSTMCell, RNNCell
from mydl.nn.container import ModuleDict, ModuleList, ParameterList, Sequential
from mydl.nn.convolution import Conv1d, Conv2D, ConvTranspose1d, ConvTranspose2d
from mydl.nn.dropout import Dropout, Dropout1d, Dropout2d
from mydl.nn.embedding import Embedding
from mydl.nn.linear import Bilinear, Flatten, Identity, Linear, Unflatten
from mydl.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from mydl.nn.module import NeuralNetwork
from mydl.nn.normalization import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    LayerNorm,
    RMSNorm,
)
from mydl.nn.padding import (
    CircularPad2d,
    ConstantPad1d,
    ConstantPad2d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    ZeroPad1d,
    ZeroPad2d,
)
from mydl.nn.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    FullAveragePool2d,
    MaxPool1d,
    MaxPool2d,
)
from mydl.nn.recurrent import GRU, LSTM, RNN
from mydl.nn.vision import Fold, PixelShuffle, PixelUnshuffle, Unfold, Upsample
from mydl.tensor import Parameter

Module = NeuralNetwork
Conv2d = Conv2D
