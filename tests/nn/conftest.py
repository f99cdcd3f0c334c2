"""Running the same layer or function in mydl and in PyTorch, in float64, forwards, backwards and twice backwards."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import mydl
from mydl import nn

TOLERANCE = {"rtol": 1e-7, "atol": 1e-10}  # PyTorch computes hardsigmoid with a 1/6 in single precision


def _numbers(name: str, *shape: int) -> np.ndarray:
    """Normal numbers that depend on the name and the shape alone."""
    return np.random.default_rng(zlib.crc32(f"{name}{shape}".encode())).standard_normal(shape)


def flat(value) -> list:
    """The tensors in nested tuples, without None."""
    if isinstance(value, (tuple, list)):
        return [tensor for part in value for tensor in flat(part)]
    return [] if value is None else [value]


def host(tensor) -> np.ndarray:
    return tensor.detach().numpy(force=True)


def check(ours: list, theirs: list, what: str) -> None:
    assert len(ours) == len(theirs), what
    for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a is None or b is None:
            # PyTorch says None, or zeros, where mydl says the other
            other = b if a is None else a
            assert other is None or not host(other).any(), f"{what} {index}"
            continue
        assert host(a).shape == host(b).shape, f"{what} {index}"
        assert host(a).dtype == host(b).dtype, f"{what} {index}"
        np.testing.assert_allclose(host(a), host(b), err_msg=f"{what} {index}", **TOLERANCE)


def is_float(tensor) -> bool:
    return host(tensor).dtype.kind == "f"


def derivatives(library, outputs: list, leaves: list, seed: str, twice: bool, from_array) -> tuple[list, list]:
    """The gradients of a random combination of the outputs, and those of a random combination of the gradients."""
    outputs = [y for y in outputs if is_float(y) and y.requires_grad]
    total = sum((y * from_array(_numbers(f"{seed}{i}", *y.shape))).sum() for i, y in enumerate(outputs))
    first = library.autograd.grad(total, leaves, create_graph=twice, allow_unused=True)
    if not twice:
        return list(first), []
    pairs = [(i, g) for i, g in enumerate(first) if g is not None and g.requires_grad]
    if not pairs:
        return list(first), [None] * len(leaves)
    total = sum((g * from_array(_numbers(f"{seed}g{i}", *g.shape))).sum() for i, g in pairs)
    return list(first), list(library.autograd.grad(total, leaves, allow_unused=True))


@pytest.fixture
def numbers():
    return _numbers


@pytest.fixture
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    # PyTorch's fused attention has no second derivative
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield torch


@pytest.fixture
def compare_function(torch):
    """Check that `call(library, functional, *inputs)` gives the same in both: results, first and second derivatives."""

    def compare(call, arrays: list, seed: str = "", twice: bool = True, gradients: bool = True) -> None:
        results = []
        for library, functional, make in (
            (mydl, nn.functional, mydl.tensor),
            (torch, torch.nn.functional, torch.tensor),
        ):
            inputs = [make(array) for array in arrays]
            leaves = [x.requires_grad_() for x in inputs if is_float(x)] if gradients else []
            outputs = flat(call(library, functional, *inputs))
            found = derivatives(library, outputs, leaves, seed, twice, make) if leaves else ([], [])
            results.append((outputs, *found))
        for ours, theirs, what in zip(*results, ("output", "gradient", "second derivative"), strict=True):
            check(ours, theirs, what)

    return compare


@pytest.fixture
def compare_layer(torch):
    """Check a layer of both libraries with the same weights: outputs, derivatives, buffers, evaluation, repr."""

    def compare(make, arrays: list, call=None, twice: bool = True, evaluate: bool = True) -> None:
        call = call or (lambda layer, *inputs: layer(*inputs))
        theirs, ours = make(torch.nn).double(), make(nn).double()
        plain = repr(theirs).replace("NonDynamicallyQuantizable", "")
        assert repr(ours).replace("Conv2D", "Conv2d") == plain
        values = {key: _numbers(key, *value.shape) * 0.5 for key, value in theirs.named_parameters()}
        state = {
            key: torch.tensor(values[key]) if key in values else value.clone()
            for key, value in theirs.state_dict().items()
        }
        theirs.load_state_dict(state)
        assert ours.load_state_dict(theirs.state_dict()) == ([], [])
        assert list(ours.state_dict()) == list(theirs.state_dict())
        results = []
        for library, layer, from_array in ((mydl, ours, mydl.tensor), (torch, theirs, torch.tensor)):
            inputs = [from_array(array) for array in arrays]
            leaves = [x.requires_grad_() for x in inputs if is_float(x)] + list(layer.parameters())
            outputs = flat(call(layer, *inputs))
            first, second = derivatives(library, outputs, leaves, "", twice, from_array)
            later = []
            if evaluate:
                layer.eval()
                with library.no_grad():
                    later = flat(call(layer, *inputs))
            results.append((outputs, first, second, list(layer.buffers()), later))
        names = ("output", "gradient", "second derivative", "buffer", "output in evaluation")
        for mine, other, what in zip(*results, names, strict=True):
            check(mine, other, what)

    return compare
