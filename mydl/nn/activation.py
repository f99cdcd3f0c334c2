"""Activation layers. Those without options (but `inplace`) can be called on the class: `nn.ReLU.forward(x)`."""

from __future__ import annotations

import functools
from typing import Any

from mydl.nn import functional as F
from mydl.nn.linear import new_parameter
from mydl.nn.module import NeuralNetwork
from mydl.nn.options import Optioned
from mydl.tensor import MyTensor

__all__ = [
    "CELU", "ELU", "GELU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "Mish", "PReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Step", "Tanh",
    "Tanhshrink", "Threshold",
]  # fmt: skip


class _MaybeInPlace(NeuralNetwork):
    """What the activations share whose only option is `inplace`: forward is static, and bound to the option if set."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace
        if inplace:
            self.__dict__["forward"] = functools.partial(type(self).forward, inplace=True)

    def extra_repr(self) -> str:
        """The option, if set."""
        return "inplace=True" if self.inplace else ""


class ReLU(_MaybeInPlace):
    """max(x, 0).

    >>> import mydl
    >>> ReLU()(mydl.tensor([-1.0, 2.0])), ReLU.forward(mydl.tensor([-1.0, 2.0]))
    (tensor([0., 2.]), tensor([0., 2.]))
    """

    forward = staticmethod(F.relu)


class ReLU6(_MaybeInPlace):
    """min(max(x, 0), 6).

    >>> import mydl
    >>> ReLU6()(mydl.tensor([-1.0, 8.0]))
    tensor([0., 6.])
    """

    forward = staticmethod(F.relu6)


class SELU(_MaybeInPlace):
    """1.0507 elu(x, 1.6733) (Klambauer et al., 2017).

    >>> import mydl
    >>> SELU()(mydl.tensor([1.0]))
    tensor([1.0507])
    """

    forward = staticmethod(F.selu)


class SiLU(_MaybeInPlace):
    """x sigmoid(x) (Elfwing, Uchibe and Doya, 2018).

    >>> import mydl
    >>> SiLU()(mydl.tensor([1.0]))
    tensor([0.7311])
    """

    forward = staticmethod(F.silu)


class Mish(_MaybeInPlace):
    """x tanh(softplus(x)) (Misra, 2019).

    >>> import mydl
    >>> Mish()(mydl.tensor([1.0]))
    tensor([0.8651])
    """

    forward = staticmethod(F.mish)


class Hardswish(_MaybeInPlace):
    """x min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).

    >>> import mydl
    >>> Hardswish()(mydl.tensor([3.0]))
    tensor([3.])
    """

    forward = staticmethod(F.hardswish)


class Hardsigmoid(_MaybeInPlace):
    """min(max(x + 3, 0), 6) / 6.

    >>> import mydl
    >>> Hardsigmoid()(mydl.tensor([0.0]))
    tensor([0.5000])
    """

    forward = staticmethod(F.hardsigmoid)


class Sigmoid(NeuralNetwork):
    """1 / (1 + exp(-x)).

    >>> import mydl
    >>> Sigmoid.forward(mydl.tensor([0.0]))
    tensor([0.5000])
    """

    forward = staticmethod(F.sigmoid)


class Tanh(NeuralNetwork):
    """The hyperbolic tangent.

    >>> import mydl
    >>> Tanh.forward(mydl.tensor([1.0]))
    tensor([0.7616])
    """

    forward = staticmethod(F.tanh)


class Softsign(NeuralNetwork):
    """x / (1 + |x|).

    >>> import mydl
    >>> Softsign()(mydl.tensor([3.0]))
    tensor([0.7500])
    """

    forward = staticmethod(F.softsign)


class Tanhshrink(NeuralNetwork):
    """x - tanh(x).

    >>> import mydl
    >>> Tanhshrink()(mydl.tensor([1.0]))
    tensor([0.2384])
    """

    forward = staticmethod(F.tanhshrink)


class LogSigmoid(NeuralNetwork):
    """ln sigmoid(x).

    >>> import mydl
    >>> LogSigmoid()(mydl.tensor([0.0]))
    tensor([-0.6931])
    """

    forward = staticmethod(F.logsigmoid)


class Step(NeuralNetwork):
    """1 where x >= 0, else 0 (Heaviside); its gradient is 0, so nothing before it learns.

    >>> import mydl
    >>> Step()(mydl.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 1., 1.])
    """

    forward = staticmethod(F.step)


class LeakyReLU(Optioned):
    """x where x > 0, else negative_slope x (Maas et al., 2013).

    >>> import mydl
    >>> LeakyReLU(0.5)(mydl.tensor([-1.0, 2.0]))
    tensor([-0.5000,  2.0000])
    """

    _options = ("negative_slope", "inplace")

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or negative_slope x."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)


class PReLU(Optioned):
    """x where x > 0, else weight x, with one learnt weight, or one for each of num_parameters channels (He, 2015).

    >>> import mydl
    >>> PReLU()(mydl.tensor([[-1.0, 2.0]])).shape
    (1, 2)
    """

    _options = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = new_parameter((num_parameters,), device, dtype, init)

    def reset_parameters(self) -> None:
        """Set the weights to `init` again."""
        self.weight.data.fill_(self.init)

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or weight x."""
        return F.prelu(input, self.weight)


class ELU(Optioned):
    """x where x > 0, else alpha (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016).

    >>> import mydl
    >>> ELU()(mydl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    _options = ("alpha", "inplace")

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha, self.inplace = alpha, inplace

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or alpha (exp(x) - 1)."""
        return F.elu(input, self.alpha, self.inplace)


class CELU(ELU):
    """x where x > 0, else alpha (exp(x / alpha) - 1) (Barron, 2017).

    >>> import mydl
    >>> CELU()(mydl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or alpha (exp(x / alpha) - 1)."""
        return F.celu(input, self.alpha, self.inplace)


class Threshold(Optioned):
    """x where x > threshold, else value.

    >>> import mydl
    >>> Threshold(0.0, 9.0)(mydl.tensor([-1.0, 2.0]))
    tensor([9., 2.])
    """

    _options = ("threshold", "value", "inplace")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or value."""
        return F.threshold(input, self.threshold, self.value, self.inplace)


class Hardshrink(NeuralNetwork):
    """x where |x| > lambd, else 0.

    >>> import mydl
    >>> Hardshrink()(mydl.tensor([-1.0, 0.2]))
    tensor([-1.,  0.])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or 0."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The option."""
        return f"{self.lambd}"


class Softshrink(Hardshrink):
    """x moved by lambd towards 0, and 0 where |x| <= lambd.

    >>> import mydl
    >>> Softshrink()(mydl.tensor([-1.0, 0.2]))
    tensor([-0.5000,  0.0000])
    """

    def forward(self, input: MyTensor) -> MyTensor:
        """x nearer to 0."""
        return F.softshrink(input, self.lambd)


class GELU(Optioned):
    """x P(x), P the normal cumulative distribution; approximate="tanh" takes its tanh formula.

    >>> import mydl
    >>> GELU()(mydl.tensor([1.0]))
    tensor([0.8413])
    """

    _options = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: MyTensor) -> MyTensor:
        """x P(x)."""
        return F.gelu(input, self.approximate)


class Softplus(Optioned):
    """ln(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    >>> import mydl
    >>> Softplus()(mydl.tensor([0.0]))
    tensor([0.6931])
    """

    _options = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: MyTensor) -> MyTensor:
        """ln(1 + exp(beta x)) / beta."""
        return F.softplus(input, self.beta, self.threshold)


class Hardtanh(Optioned):
    """x held within [min_val, max_val].

    >>> import mydl
    >>> Hardtanh()(mydl.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    _options = ("min_val", "max_val", "inplace")

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        min_val = min_val if min_value is None else min_value  # PyTorch's older names
        max_val = max_val if max_value is None else max_value
        if min_val >= max_val:
            raise ValueError(f"Hardtanh: wanted max_val above min_val, got {min_val} and {max_val}")
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: MyTensor) -> MyTensor:
        """x within its bounds."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)
