"""Weight and spectral normalisation, trained beside PyTorch's from the same state."""

from __future__ import annotations

import numpy as np
import pytest

import mydl
from mydl import nn

torch = pytest.importorskip("torch")

LAYERS = [
    ("Linear", (4, 3), (5, 4)),
    ("Conv2d", (2, 3, 3), (2, 2, 5, 5)),
    ("ConvTranspose2d", (2, 3, 3), (2, 2, 4, 4)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda row: row[0])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("weight_norm", {}), ("weight_norm", {"dim": None}), ("spectral_norm", {"n_power_iterations": 3}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_training(layer, kind, options, numbers):
    name, args, shape = layer
    theirs = getattr(torch.nn.utils, kind)(getattr(torch.nn, name)(*args).double(), **options)
    ours = getattr(nn.utils, kind)(getattr(nn, name)(*args).double(), **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    results = []
    for library, module in ((mydl, ours), (torch, theirs)):
        optimizer = library.optim.SGD(module.parameters(), lr=0.1)
        found = []
        for step in range(3):
            optimizer.zero_grad()
            y = module(library.tensor(numbers(f"x{step}", *shape)))
            (y * y).mean().backward()
            optimizer.step()
            found.append(y.detach().numpy())
        module.eval()
        found.append(module(library.tensor(numbers("x", *shape))).detach().numpy())
        results.append((*found, *(value.numpy() for value in module.state_dict().values())))
    for mine, reference in zip(*results, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-8, atol=1e-12)
    before = ours(mydl.tensor(numbers("x", *shape)))
    getattr(nn.utils, f"remove_{kind}")(ours)
    assert sorted(ours.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(ours(mydl.tensor(numbers("x", *shape))).detach().numpy(), before.detach().numpy())


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_changes_between_passes():
    """What is initialised before the first pass, and what a removal after the last step leaves."""
    x, start = np.full((1, 3), 0.5), np.arange(6.0).reshape(2, 3) - 1
    found = []
    for library in (mydl, torch):
        utils = library.nn.utils
        lengths = utils.weight_norm(library.nn.Linear(3, 2).double())
        spectral = utils.spectral_norm(library.nn.Linear(3, 2, bias=False).double())
        lengths.weight_v.data.copy_(library.tensor(start))
        library.nn.init.constant_(lengths.bias, 0.0)
        spectral.weight.data.copy_(library.tensor(start))  # as `model.apply(initialise)` does
        spectral.weight_u.copy_(library.ones(2) / 2**0.5)
        y = spectral(library.tensor(x))
        y.sum().backward()
        lengths.weight_g.data.fill_(2.0)
        utils.remove_weight_norm(lengths)
        spectral.weight_orig.data.mul_(3)
        vector = spectral.weight_u.clone()
        utils.remove_spectral_norm(spectral)
        found.append([v.detach().numpy() for v in (lengths.weight, y, vector, spectral.weight)])
    for mine, reference in zip(*found, strict=True):
        np.testing.assert_allclose(mine, reference, rtol=1e-6, atol=1e-12)


def test_refusals():
    layer = nn.utils.weight_norm(nn.Linear(2, 3))
    with pytest.raises(RuntimeError, match="already"):
        nn.utils.weight_norm(layer)
    with pytest.raises(ValueError, match="no spectral_norm"):
        nn.utils.remove_spectral_norm(layer)
    with pytest.raises(ValueError, match="n_power_iterations"):
        nn.utils.spectral_norm(nn.Linear(2, 3), n_power_iterations=0)
