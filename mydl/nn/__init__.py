"""Layers, losses and containers. PyTorch's names for the course's are aliases of the same objects, given here."""

from mydl.nn import functional, init, utils
from mydl.nn.activation import (
    CELU,
    ELU,
    GELU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Softshrink,
    Softsign,
    Step,
    Tanh,
    Tanhshrink,
    Threshold,
)
from mydl.nn.attention import MultiheadAttention
from mydl.nn.cell import GRUCell, LSTMCell, RNNCell
from mydl.nn.container import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from mydl.nn.convolution import Conv1d, Conv2D, ConvTranspose1d, ConvTranspose2d
from mydl.nn.dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d, Dropout3d
from mydl.nn.embedding import Embedding, EmbeddingBag
from mydl.nn.linear import Bilinear, Flatten, Identity, Linear, Unflatten
from mydl.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    GaussianNLLLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    PoissonNLLLoss,
    SmoothL1Loss,
)
from mydl.nn.margin import (
    CosineEmbeddingLoss,
    CosineSimilarity,
    HingeEmbeddingLoss,
    MarginRankingLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    PairwiseDistance,
    SoftMarginLoss,
    TripletMarginLoss,
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
    LocalResponseNorm,
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
from mydl.nn.softmax import GLU, LogSoftmax, Softmax, Softmax2d, Softmin
from mydl.nn.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from mydl.nn.vision import (
    Fold,
    PixelShuffle,
    PixelUnshuffle,
    Unfold,
    Upsample,
    UpsamplingBilinear2d,
    UpsamplingNearest2d,
)
from mydl.tensor import Parameter

Module = NeuralNetwork
Conv2d = Conv2D
