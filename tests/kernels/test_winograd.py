"""`conv2d_eval` against a sum over taps in double precision, where it computes by tiles and where it does not."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import mydl
from mydl import backend, kernels, nn
from mydl.kernels import reference

pytest.importorskip("numba")

from mydl.kernels.cpu import conv2d, conv2d_eval
from mydl.kernels.cpu.winograd import _plan

# images, channels, height, width, output channels, padding, groups
TILED = {
    "planes of 28": (16, 16, 28, 28, 16, (1, 1), 1),
    "planes of 14": (30, 24, 14, 14, 37, (1, 1), 1),
    "planes of 7": (47, 33, 7, 7, 64, (1, 1), 1),
    "unfinished tiles": (32, 40, 11, 10, 40, (1, 0), 1),
    "groups": (16, 48, 9, 12, 72, (2, 0), 3),
    "wide padding": (16, 17, 3, 5, 33, (5, 3), 1),
    "no padding": (16, 16, 6, 6, 16, (0, 0), 1),
    "one band of many rows": (16, 20, 41, 6, 20, (0, 1), 1),
}
ELSEWHERE = {
    "one image": (1, 16, 28, 28, 16, (1, 1), 1),
    "few channels": (16, 3, 28, 28, 16, (1, 1), 1),
    "no images": (0, 16, 28, 28, 16, (1, 1), 1),
    "a batch and one": (17, 16, 14, 14, 16, (1, 1), 1),
}


def random_case(case, dtype=np.float32):
    n, c, height, width, o, padding, groups = case
    rng = np.random.default_rng(n + c)
    shapes = (n, c, height, width), (o, c // groups, 3, 3), (o,)
    return *(rng.standard_normal(shape).astype(dtype) for shape in shapes), ((1, 1), padding, (1, 1), groups)


def exact(x, w, b, rest):
    return reference.conv2d(*(a.astype(np.float64) for a in (x, w, b)), *rest)


def tiled(x, w, rest) -> bool:
    return _plan(x.shape, w.shape, rest[1], rest[3]) is not None


def assert_close(actual, wanted):
    assert actual.shape == wanted.shape
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=4e-6 * np.abs(wanted).max(initial=0))


@pytest.mark.parametrize("name", TILED)
def test_tiles(name):
    x, w, b, rest = random_case(TILED[name])
    assert tiled(x, w, rest)
    copies = [a.copy() for a in (x, w, b)]
    wanted = exact(x, w, b, rest)
    assert_close(conv2d_eval(x, w, b, *rest), wanted)
    assert_close(conv2d_eval(x, w, None, *rest), wanted - b[:, None, None])
    backwards = [a[..., ::-1].copy()[..., ::-1] for a in (x, w, b)]
    assert_close(conv2d_eval(*backwards, *rest), wanted)
    for array, copy in zip((x, w, b), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_no_work_for_tiles(name):
    x, w, b, rest = random_case(ELSEWHERE[name])
    assert x.size == 0 or not tiled(x, w, rest)
    np.testing.assert_array_equal(conv2d_eval(x, w, b, *rest), conv2d(x, w, b, *rest))


@pytest.mark.parametrize("change", [{"stride": (2, 1)}, {"dilation": (1, 2)}, {"dtype": np.float64}])
def test_other_convolutions(change):
    x, w, b, (stride, padding, dilation, groups) = random_case(TILED["planes of 7"], change.pop("dtype", np.float32))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, **change}
    np.testing.assert_array_equal(conv2d_eval(x, w, b, **options), conv2d(x, w, b, **options))


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
@pytest.mark.parametrize("where", ["x", "w", "b"])
def test_what_is_not_finite_stays_where_the_definition_has_it(bad, where):
    x, w, b, rest = random_case(TILED["unfinished tiles"])
    {"x": x, "w": w, "b": b}[where].flat[-1] = bad
    wanted = conv2d(x, w, b, *rest)
    actual = conv2d_eval(x, w, b, *rest)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
    np.testing.assert_array_equal(actual[np.isinf(wanted)], wanted[np.isinf(wanted)])


def test_same_bits_for_any_number_of_threads():
    x, w, b, rest = random_case(TILED["planes of 14"])
    x = np.concatenate([x] * 3)
    before, results = backend.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            backend.set_num_threads(threads)
            results.append(conv2d_eval(x, w, b, *rest))
    finally:
        backend.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_without_gradients_a_layer_gives_the_same_up_to_rounding():
    torch = pytest.importorskip("torch")
    layer = nn.Conv2D(16, 24, 3, padding=1)
    x = mydl.randn(32, 16, 12, 12)
    recorded = layer(x)
    with mydl.no_grad():
        y = layer(x)
    wanted = torch.nn.functional.conv2d(
        *(torch.tensor(a.numpy()) for a in (x, layer.weight.detach(), layer.bias.detach())), padding=1
    )
    assert recorded.requires_grad and not y.requires_grad
    assert (y.numpy() != recorded.detach().numpy()).any()  # it went by tiles
    assert_close(y.numpy(), wanted.numpy())
    with kernels.use("reference"), mydl.no_grad():
        assert_close(layer(x).numpy(), wanted.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("features", ["+avx,+avx2,+fma", ""])
def test_shorter_vectors(features, tmp_path):
    """What other CPUs run: the kernels compiled for them, which this one understands too."""
    import platform

    if platform.machine() != "x86_64":
        pytest.skip("names features of x86 CPUs")
    name = "haswell" if features else "x86-64"
    settings = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-k", "test_tiles or threads", __file__]
    done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
