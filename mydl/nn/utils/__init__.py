"""Gradients clipped, parameters as one vector, normalised weights, sequences padded to one length."""

from mydl.nn.utils import rnn
from mydl.nn.utils.parameters import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)
from mydl.nn.utils.reparametrized import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
