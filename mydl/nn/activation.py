"""Activation layers. Those without options (but `inplace`) can be called on the class: `nn.ReLU.forward(x)`."""

from __future__ import annotations

import functools
from typing import Any

from mydl.nn import functional as F
from mydl.nn.linear import new_parameter
from mydl.nn.module import NeuralNetwork
from mydl.tensor import MyTensor

__all__ = [
    "ELU", "GELU", "GLU", "SELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid",
    "LogSoftmax", "Mish", "PReLU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "Softmax", "Softplus",
    "Step", "Tanh",
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

    @staticmethod
    def forward(input: MyTensor, inplace: bool = False) -> MyTensor:
        """max(x, 0)."""
        return F.relu(input, inplace)


class ReLU6(_MaybeInPlace):
    """min(max(x, 0), 6).

    >>> import mydl
    >>> ReLU6()(mydl.tensor([-1.0, 8.0]))
    tensor([0., 6.])
    """

    @staticmethod
    def forward(input: MyTensor, inplace: bool = False) -> MyTensor:
        """min(max(x, 0), 6)."""
        return F.relu6(input, inplace)


class SELU(_MaybeInPlace):
    """1.0507 elu(x, 1.6733) (Klambauer et al., 2017).

    >>> import mydl
    >>> SELU()(mydl.tensor([1.0]))
    tensor([1.0507])
    """

    @staticmethod
    def forward(input: MyTensor, inplace: bool = False) -> MyTensor:
        """1.0507 elu(x, 1.6733)."""
        return F.selu(input, inplace)


class SiLU(_MaybeInPlace):
    """x sigmoid(x) (Elfwing, Uchibe and Doya, 2018).

    >>> import mydl
    >>> SiLU()(mydl.tensor([1.0]))
    tensor([0.7311])
    """

    @staticmethod
    def forward(input: MyTensor, inplace: bool = False) -> MyTensor:
        """x sigmoid(x)."""
        return F.silu(input, inplace)


class Mish(_MaybeInPlace):
    """x tanh(softplus(x)) (Misra, 2019).

    >>> import mydl
    >>> Mish()(mydl.tensor([1.0]))
    tensor([0.8651])
    """

    @staticmethod
    def forward(input: MyTensor, inplace: bool = False) -> MyTensor:
        """x tanh(softplus(x))."""
        return F.mish(input, inplace)


class Hardswish(_MaybeInPlace):
    """x min(max(x + 3, 0), 6) / 6 (Howard et al., 2019).

    >>> import mydl
    >>> Hardswish()(mydl.tensor([3.0]))
    tensor([3.])
    """

    @staticmethod
    def forward(input: MyTensor, inplace: bool = False) -> MyTensor:
        """x min(max(x + 3, 0), 6) / 6."""
        return F.hardswish(input, inplace)


class Hardsigmoid(_MaybeInPlace):
    """min(max(x + 3, 0), 6) / 6.

    >>> import mydl
    >>> Hardsigmoid()(mydl.tensor([0.0]))
    tensor([0.5000])
    """

    @staticmethod
    def forward(input: MyTensor, inplace: bool = False) -> MyTensor:
        """min(max(x + 3, 0), 6) / 6."""
        return F.hardsigmoid(input, inplace)


class Sigmoid(NeuralNetwork):
    """1 / (1 + exp(-x)).

    >>> import mydl
    >>> Sigmoid.forward(mydl.tensor([0.0]))
    tensor([0.5000])
    """

    @staticmethod
    def forward(input: MyTensor) -> MyTensor:
        """1 / (1 + exp(-x))."""
        return F.sigmoid(input)


class Tanh(NeuralNetwork):
    """The hyperbolic tangent.

    >>> import mydl
    >>> Tanh.forward(mydl.tensor([1.0]))
    tensor([0.7616])
    """

    @staticmethod
    def forward(input: MyTensor) -> MyTensor:
        """tanh(x)."""
        return F.tanh(input)


class LogSigmoid(NeuralNetwork):
    """ln sigmoid(x).

    >>> import mydl
    >>> LogSigmoid()(mydl.tensor([0.0]))
    tensor([-0.6931])
    """

    @staticmethod
    def forward(input: MyTensor) -> MyTensor:
        """ln sigmoid(x)."""
        return F.logsigmoid(input)


class Step(NeuralNetwork):
    """1 where x >= 0, else 0 (Heaviside); its gradient is 0, so nothing before it learns.

    >>> import mydl
    >>> Step()(mydl.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 1., 1.])
    """

    @staticmethod
    def forward(input: MyTensor) -> MyTensor:
        """1 where x >= 0, else 0."""
        return F.step(input)


class LeakyReLU(NeuralNetwork):
    """x where x > 0, else negative_slope x (Maas et al., 2013).

    >>> import mydl
    >>> LeakyReLU(0.5)(mydl.tensor([-1.0, 2.0]))
    tensor([-0.5000,  2.0000])
    """

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or negative_slope x."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class PReLU(NeuralNetwork):
    """x where x > 0, else weight x, with one learnt weight, or one for each of num_parameters channels (He, 2015).

    >>> import mydl
    >>> PReLU()(mydl.tensor([[-1.0, 2.0]])).shape
    (1, 2)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = new_parameter((num_parameters,), device, dtype, init)

    def reset_parameters(self) -> None:
        """Set the weights to `init` again."""
        self.weight.data.fill_(self.init)

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or weight x."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """The number of weights."""
        return f"num_parameters={self.num_parameters}"


class ELU(NeuralNetwork):
    """x where x > 0, else alpha (exp(x) - 1) (Clevert, Unterthiner and Hochreiter, 2016).

    >>> import mydl
    >>> ELU()(mydl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: MyTensor) -> MyTensor:
        """x, or alpha (exp(x) - 1)."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class GELU(NeuralNetwork):
    """x P(x), P the normal cumulative distribution; approximate="tanh" takes its tanh formula.

    >>> import mydl
    >>> GELU()(mydl.tensor([1.0]))
    tensor([0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: MyTensor) -> MyTensor:
        """x P(x)."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """The option."""
        return f"approximate={self.approximate!r}"


class Softplus(NeuralNetwork):
    """ln(1 + exp(beta x)) / beta, and x itself where beta x > threshold.

    >>> import mydl
    >>> Softplus()(mydl.tensor([0.0]))
    tensor([0.6931])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: MyTensor) -> MyTensor:
        """ln(1 + exp(beta x)) / beta."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The options."""
        return f"beta={self.beta}, threshold={self.threshold}"


class Hardtanh(NeuralNetwork):
    """x held within [min_val, max_val].

    >>> import mydl
    >>> Hardtanh()(mydl.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace

    def forward(self, input: MyTensor) -> MyTensor:
        """x within its bounds."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """The options."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class GLU(NeuralNetwork):
    """a sigmoid(b), a and b the two halves of the input along `dim` (Dauphin et al., 2017).

    >>> import mydl
    >>> GLU()(mydl.tensor([2.0, 0.0]))
    tensor([1.])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: MyTensor) -> MyTensor:
        """a sigmoid(b)."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"


class _OnClassToo:
    """A method that can also be called on the class, `nn.Softmax.forward(x)`: it then gets None as its module."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, module: Any, owner: type) -> Any:
        return functools.partial(self._function, module)


class Softmax(NeuralNetwork):
    """exp(x) / Σ exp(x) along `dim`; `Softmax.forward(x)` on the class takes the last dimension.

    >>> import mydl
    >>> Softmax(dim=1)(mydl.zeros(1, 2)), Softmax.forward(mydl.zeros(1, 2))
    (tensor([[0.5000, 0.5000]]), tensor([[0.5000, 0.5000]]))
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    @_OnClassToo
    def forward(self, input: MyTensor) -> MyTensor:
        """exp(x) / Σ exp(x)."""
        return F.softmax(input, -1 if self is None else self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"


class LogSoftmax(NeuralNetwork):
    """x - ln Σ exp(x) along `dim`.

    >>> import mydl
    >>> LogSoftmax(dim=0)(mydl.zeros(2))
    tensor([-0.6931, -0.6931])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: MyTensor) -> MyTensor:
        """x - ln Σ exp(x)."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"
