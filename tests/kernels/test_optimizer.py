from __future__ import annotations

import numpy as np
import pytest

SIZES = [0, 1, 17, 5003, 70001]
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-12}


def _run_torch(optimizer, p, grads):
    """PyTorch's parameters after a step with each of the gradients."""
    import torch

    parameter = torch.nn.Parameter(torch.from_numpy(p.copy()))
    optimizer = optimizer([parameter])
    for g in grads:
        parameter.grad = torch.from_numpy(g)
        optimizer.step()
    return parameter.detach().numpy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "momentum, dampening, weight_decay, nesterov, maximize",
    [
        (0, 0, 0, False, False),
        (0, 0, 0.1, False, True),
        (0.9, 0, 0, False, False),
        (0.9, 0.3, 0.1, False, True),
        (0.9, 0, 0.01, True, False),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_sgd_is_pytorchs(kernels, rng, size, momentum, dampening, weight_decay, nesterov, maximize, dtype):
    torch = pytest.importorskip("torch")
    p = rng.standard_normal(size).astype(dtype)
    grads = rng.standard_normal((3, size)).astype(dtype)
    expected = _run_torch(
        lambda ps: torch.optim.SGD(
            ps,
            lr=0.1,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        ),
        p,
        grads,
    )
    buffer = np.full(size, np.nan, dtype) if momentum else None  # the first step must not read it
    for k, g in enumerate(grads):
        kept = g.copy()
        kernels.sgd_step(p, g, buffer, 0.1, momentum, dampening, weight_decay, nesterov, k == 0, maximize)
        np.testing.assert_array_equal(g, kept)
    np.testing.assert_allclose(p, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("weight_decay, decoupled", [(0.0, False), (0.1, False), (0.1, True)])
@pytest.mark.parametrize("size", SIZES)
def test_adam_is_pytorchs(kernels, rng, size, weight_decay, decoupled, amsgrad, maximize, dtype):
    torch = pytest.importorskip("torch")
    p = rng.standard_normal(size).astype(dtype)
    grads = (rng.standard_normal((4, size)) * 10.0 ** -np.arange(4)[:, None]).astype(dtype)
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    expected = _run_torch(
        lambda ps: kind(ps, lr=0.01, betas=(0.8, 0.95), weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize),
        p,
        grads,
    )
    m, v = np.zeros((2, size), dtype)
    vmax = np.zeros(size, dtype) if amsgrad else None
    for k, g in enumerate(grads):
        kept = g.copy()
        kernels.adam_step(p, g, m, v, vmax, k + 1, 0.01, 0.8, 0.95, 1e-8, weight_decay, decoupled, maximize)
        np.testing.assert_array_equal(g, kept)
    np.testing.assert_allclose(p, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_a_view_is_updated_in_place_and_nothing_beside_it(kernels, rng):
    for step in (1, 2):
        flat = rng.standard_normal(1000).astype(np.float32)
        before = flat.copy()
        p = flat[100:500:step]
        g = np.ones_like(p)
        kernels.sgd_step(p, g, None, 0.5, 0.0, 0.0, 0.0, False, True, False)
        changed = flat != before
        assert changed[100:500:step].all() and changed.sum() == p.size
        kernels.adam_step(p, g, g * 0, g * 0, None, 1, 0.5, 0.9, 0.999, 1e-8, 0.0, False, False)
        np.testing.assert_allclose(p, before[100:500:step] - 1, atol=1e-6)


def test_amsgrad_keeps_nan_and_the_largest(kernels):
    p, g, m = np.zeros((3, 3), np.float32)
    v = np.array([0.5, np.nan, 2.0], np.float32)
    vmax = np.array([np.nan, 1.0, 1.0], np.float32)
    kernels.adam_step(p, g, m, v, vmax, 1, 0.1, 0.9, 1.0 - 2**-20, 1e-8, 0.0, False, False)
    np.testing.assert_allclose(vmax, [np.nan, np.nan, 2.0], rtol=1e-5)


def test_the_number_of_threads_leaves_the_bits_alone(rng, on_threads):
    cpu = pytest.importorskip("mydl.kernels.cpu")
    start = rng.standard_normal((4, 100_003)).astype(np.float32)

    def steps():
        p, g, m, v = start.copy()
        np.abs(v, out=v)
        cpu.adam_step(p, g, m, v, None, 3, 0.1, 0.9, 0.999, 1e-8, 0.1, False, False)
        cpu.sgd_step(p, g, m, 0.1, 0.9, 0.0, 0.1, True, False, False)
        return p.tobytes(), m.tobytes(), v.tobytes()

    one, all_threads = on_threads(steps)
    assert one == all_threads
