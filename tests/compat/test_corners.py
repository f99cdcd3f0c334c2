"""Small programs at the edges of what tensors do, run on mydl and on PyTorch: `r` must be the same."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import mydl

torch = pytest.importorskip("torch")

PROGRAMS = [
    # an index of zero dimensions
    "r = m.arange(12.).reshape(3, 4).index_put((m.tensor(2),), m.tensor(9.))",
    "r = m.arange(12.).reshape(3, 4).index_put((m.tensor(2), m.tensor(1)), m.tensor(9.))",
    "r = m.arange(12.).reshape(3, 4).index_put_((m.tensor(2),), m.tensor(9.), accumulate=True)",
    "r = m.arange(6.).reshape(2, 3).index_put((m.tensor(1), m.tensor([0, 2])), m.tensor([8., 9.]))",
    "r = m.arange(4.).scatter(0, m.tensor(3), 9.)",
    "r = m.arange(4.).scatter(0, m.tensor(3), m.tensor(9.))",
    "r = m.arange(4.).scatter_(0, m.tensor(3), 9.)",
    "r = m.arange(4.).scatter_add(0, m.tensor(3), m.tensor(9.))",
    "r = m.arange(4.).scatter_reduce(0, m.tensor(3), m.tensor(9.), 'sum')",
    "r = m.arange(4.).scatter_reduce(0, m.tensor(3), m.tensor(9.), 'amax', include_self=False)",
    "r = m.arange(4.).index_copy(0, m.tensor(3), m.tensor(9.))",
    # results in C order, views and copies
    "r = m.arange(72.).reshape(2, 4, 3, 3)[:, m.tensor([2, 0, 1, 3])].view(2, -1)",
    "r = m.arange(24.).reshape(2, 3, 4)[..., [1, 0]].view(2, -1)",
    "r = m.arange(24.).reshape(2, 3, 4).index_select(1, m.tensor([2, 0])).view(2, -1)",
    "r = m.cat([m.arange(6.).view(2, 3).t(), m.ones(3, 2)], 1).view(-1)",
    "r = m.stack([m.arange(6.).view(2, 3).t(), m.ones(3, 2)]).view(-1)",
    "r = m.arange(6.); r[::2].ravel().zero_()",
    "x = m.zeros(4); x.expand(1, 4).add_(1); r = x",
    "x = m.zeros(3); x.expand(3).add_(1); x.expand_as(x)[0] = 5; r = x",
    "r = m.tensor([1, 2]); x = r; x <<= 3; x >>= 1",
    # dtypes
    "r = m.tensor([1, 2]).cumsum(0, dtype=m.int32)",
    "r = m.tensor([2, 3]).cumprod(0, dtype=m.int16)",
    "r = m.tensor([200, 100]).cumsum(0, dtype=m.uint8)",
    "r = m.tensor([True, True]).cumsum(0)",
    "r = m.logaddexp(m.tensor(1., dtype=m.float64), m.ones(2))",
    "r = m.cat([m.zeros(0, dtype=m.float64), m.zeros(2)])",
    "r = m.cat([m.zeros(0, dtype=m.int32), m.zeros(2)])",
    "r = m.tensor([m.tensor([1.]), m.tensor([2.])])",
    "r = m.tensor([[m.tensor([1]), 2], [3, 4]])",
    "r = F.rms_norm(m.arange(6.).view(2, 3), (3,), m.ones(3, dtype=m.float64))",
    # values
    "r = m.erfc(m.tensor([-1., 0.3, 3., 4., 6.])), m.erfc(m.tensor([10.], dtype=m.float64)), m.erfc(m.tensor([1]))",
    "r = m.logit(m.tensor([2], dtype=m.uint8)), m.logit(m.tensor([True, False]))",
    "r = m.slogdet(m.eye(2) * 3).logabsdet, m.linalg.slogdet(m.eye(2)).sign",
    "r = m.lerp(m.tensor([-float('inf'), 1.]), m.tensor([1., 3.]), .7)",
    # sums of many numbers, one after another in memory or not
    "x = m.arange(300_000) % 7; r = (x.float().view(-1, 3) + 100).sum(0), (x.float().view(-1, 3) + 100).var(0)",
    "x = (m.arange(300_000) % 7).float() / 7; r = x.cumsum(0)[-3:], x.view(-1, 3).t()[:, ::2].sum(1)",
    "r = m.zeros(3, requires_grad=True); (m.arange(300_000).float().view(-1, 3) * r).sum().backward(); r = r.grad",
    # gradients
    "x = m.tensor([[1., 0., 2.]], requires_grad=True); F.multi_margin_loss(x, m.tensor([0])).backward(); r = x.grad",
    "x = m.ones(4, requires_grad=True); w = x * 1; v = w[:2]; w.t_(); v.mul_(2); w.sum().backward(); r = x.grad",
]


@pytest.mark.filterwarnings("ignore:.*Mismatch dtype between input and weight")
@pytest.mark.parametrize("code", PROGRAMS)
def test_same_as_pytorch(code: str) -> None:
    results = []
    for library in (mydl, torch):
        names: dict[str, Any] = {"m": library, "F": library.nn.functional}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            exec(code, names)
        results.append(names["r"] if isinstance(names["r"], tuple) else (names["r"],))
    for mine, theirs in zip(*results, strict=True):
        assert tuple(mine.shape) == tuple(theirs.shape)
        assert str(theirs.dtype) == f"torch.{mine.dtype}"
        np.testing.assert_allclose(mine.detach().numpy(), theirs.detach().numpy(), rtol=2e-6)


REFUSED = [
    "x = m.ones(2, requires_grad=True); x.data = m.tensor([5, 6])",
    "m.nn.functional.layer_norm(m.ones(2, 4), (4,), m.ones(4, dtype=m.float64))",
    "m.empty(3, dtype=m.uint8).random_(0, 300)",
    "m.randint(0, 300, (3,), dtype=m.uint8)",
    "v = m.ones(4)[:2].requires_grad_(); v.mul_(3.)",
    "v = m.ones(4)[:2].requires_grad_(); v[0] = 7.",
    "m.tensor([1], dtype=m.uint8).clamp(max=300)",
]


@pytest.mark.parametrize("code", REFUSED)
def test_refused_as_by_pytorch(code: str) -> None:
    for library in (mydl, torch):
        with pytest.raises(RuntimeError):
            exec(code, {"m": library})
