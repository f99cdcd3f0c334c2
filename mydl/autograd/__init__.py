"""The engine: gradient modes, the graph's vertices, the walk back, and numeric checks. It knows no op by name."""

from mydl.autograd.functional import backward, grad
from mydl.autograd.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled

__all__ = ["backward", "enable_grad", "grad", "inference_mode", "is_grad_enabled", "no_grad", "set_grad_enabled"]
