"""mydl: a PyTorch-style deep-learning framework on NumPy and CuPy, small enough to read in an afternoon."""

from mydl import blas_core  # first: it must run before NumPy loads its BLAS

# isort: split
from math import e, inf, nan, pi

from mydl import autograd, backends, cuda, data, distributed, linalg, nn, onnx, optim, utils
from mydl.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from mydl.backend import (
    Generator,
    default_generator,
    device,
    get_default_dtype,
    get_num_threads,
    manual_seed,
    set_default_dtype,
    set_num_threads,
)
from mydl.configuration import *
from mydl.creation import *
from mydl.dtypes import *
from mydl.functions.arguments import Size
from mydl.functions.arithmetic import *
from mydl.functions.comparison import *
from mydl.functions.conversion import channels_last, clone, contiguous_format, preserve_format
from mydl.functions.einsum import *
from mydl.functions.elementwise import *
from mydl.functions.joining import *
from mydl.functions.linalg import *
from mydl.functions.matrices import det, inverse, logdet, slogdet
from mydl.functions.random import *
from mydl.functions.reduction import *
from mydl.functions.repeating import *
from mydl.functions.scan import *
from mydl.functions.selection import *
from mydl.functions.shape import *
from mydl.functions.softmax import *
from mydl.functions.sorting import *
from mydl.functions.special import *
from mydl.functions.statistics import *
from mydl.functions.triangles import *
from mydl.functions.trigonometry import *
from mydl.inspection import *
from mydl.layer_table import summary
from mydl.nn.functional import (
    adaptive_avg_pool1d,
    avg_pool1d,
    bilinear,
    celu,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    cosine_similarity,
    group_norm,
    layer_norm,
    max_pool1d,
    max_pool2d,
    pairwise_distance,
    pixel_shuffle,
    pixel_unshuffle,
    prelu,
    rms_norm,
    selu,
    threshold,
)
from mydl.optim import swa_utils as _swa_utils  # it stands above optim, whose __init__ cannot import it
from mydl.printing import set_printoptions
from mydl.profiler import profile
from mydl.serialization import load, load_metadata, save
from mydl.tensor import MyTensor, tensor

Tensor = MyTensor  # PyTorch's name for it
newaxis = None

__version__ = "0.1.0"
