"""Layers as functions of their inputs and weights: PyTorch's torch.nn.functional, a family a file."""

from mydl.functions.elementwise import sigmoid, tanh
from mydl.nn.functional.activation import (
    celu,
    elu,
    gelu,
    glu,
    gumbel_softmax,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    relu_,
    selu,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    step,
    tanhshrink,
    threshold,
)
from mydl.nn.functional.attention import scaled_dot_product_attention
from mydl.nn.functional.classification import cross_entropy, cross_entropy_from_probs, nll_loss
from mydl.nn.functional.convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from mydl.nn.functional.distance import cosine_similarity, normalize, pairwise_distance
from mydl.nn.functional.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d
from mydl.nn.functional.embedding import embedding, embedding_bag, one_hot
from mydl.nn.functional.linear import bilinear, linear
from mydl.nn.functional.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from mydl.nn.functional.margin import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
)
from mydl.nn.functional.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    local_response_norm,
    rms_norm,
)
from mydl.nn.functional.padding import pad
from mydl.nn.functional.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    full_average_pool2d,
    max_pool1d,
    max_pool2d,
)
from mydl.nn.functional.vision import fold, interpolate, pixel_shuffle, pixel_unshuffle, unfold
