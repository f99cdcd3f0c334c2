"""The engine: gradient modes, the graph's vertices, the walk back, and numeric checks. It knows no op by name."""

from mydl.autograd import functional
from mydl.autograd.function import Function
from mydl.autograd.gradcheck import gradcheck, gradgradcheck
from mydl.autograd.gradients import backward, grad
from mydl.autograd.gradients import variable as Variable
from mydl.autograd.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_anomaly_enabled,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)

__all__ = [
    "Function", "Variable", "backward", "detect_anomaly", "enable_grad", "functional", "grad", "gradcheck",
    "gradgradcheck", "inference_mode", "is_anomaly_enabled", "is_grad_enabled", "no_grad", "set_detect_anomaly",
    "set_grad_enabled",
]  # fmt: skip
