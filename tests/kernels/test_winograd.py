"""Convolutions by tiles against a sum over taps in double precision, and where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from mydl import backend
from mydl.kernels import reference

pytest.importorskip("numba")

from mydl.kernels.cpu import conv2d, conv2d_input_grad, conv2d_weight_grad, winograd_weights
from mydl.kernels.cpu.winograd import tile_plan

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
WEIGHTS = {
    "planes of 28": (33, 16, 28, 28, 16, (1, 1), 1),
    "planes of 14": (37, 32, 14, 14, 32, (1, 1), 1),
    "planes of 7": (45, 64, 7, 7, 64, (1, 1), 1),
    "one image": (1, 16, 28, 28, 32, (1, 1), 1),
    "channels to spare": (5, 30, 12, 16, 47, (1, 1), 1),
    "groups": (4, 96, 9, 12, 144, (2, 0), 3),
    "wide padding": (3, 32, 3, 9, 32, (5, 4), 1),
    "bands": (2, 48, 45, 37, 32, (0, 1), 1),
    "a wide band": (1, 64, 6, 150, 64, (1, 1), 1),
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


def exact(kernel, *arguments):
    """The reference's result in double precision."""
    return kernel(*(a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in arguments))


def output_grad(x, w, rest):
    rows, cols = (x.shape[2 + a] + 2 * rest[1][a] - 2 for a in range(2))
    return np.random.default_rng(1).standard_normal((len(x), len(w), rows, cols)).astype(np.float32)


def assert_close(actual, wanted):
    assert actual.shape == wanted.shape
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=4e-6 * np.abs(wanted).max(initial=0))


@pytest.mark.parametrize("name", TILED)
def test_tiles(name):
    x, w, b, rest = random_case(TILED[name])
    assert tile_plan(x.shape, w.shape, *rest)
    copies = [a.copy() for a in (x, w, b)]
    wanted = exact(reference.conv2d, x, w, b, *rest)
    assert_close(conv2d(x, w, b, *rest), wanted)
    assert_close(conv2d(x, w, None, *rest), wanted - b[:, None, None])
    backwards = [a[..., ::-1].copy()[..., ::-1] for a in (x, w, b)]
    assert_close(conv2d(*backwards, *rest), wanted)
    for array, copy in zip((x, w, b), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("name", TILED)
def test_input_grad(name):
    x, w, _, (stride, padding, dilation, groups) = random_case(TILED[name])
    rest = stride, padding, dilation, groups
    grad = output_grad(x, w, rest)
    turned = groups * w.shape[1], len(w) // groups, 3, 3
    tiled = tile_plan(grad.shape, turned, stride, tuple(2 - p for p in padding), dilation, groups)
    assert bool(tiled) == (name not in ("wide padding", "no padding"))  # no convolution; tiles that are half empty
    wanted = exact(reference.conv2d_input_grad, grad, w, x.shape, *rest)
    assert_close(conv2d_input_grad(grad, w, x.shape, *rest), wanted)
    backwards = [a[..., ::-1].copy()[..., ::-1] for a in (grad, w)]
    assert_close(conv2d_input_grad(*backwards, x.shape, *rest), wanted)


def test_an_input_with_a_line_that_no_output_belongs_to():
    x, w, _, rest = random_case(TILED["planes of 14"])
    grad = output_grad(x, w, rest)
    larger = conv2d_input_grad(grad, w, (*x.shape[:2], 15, 15), *rest)
    assert_close(larger[:, :, :14, :14], exact(reference.conv2d_input_grad, grad, w, x.shape, *rest))


@pytest.mark.parametrize("name", WEIGHTS)
def test_weight_grad(name):
    x, w, _, rest = random_case(WEIGHTS[name])
    grad = output_grad(x, w, rest)
    assert winograd_weights.tile_plan(x.shape, w.shape, *rest)
    wanted = exact(reference.conv2d_weight_grad, grad, x, w.shape, *rest)
    assert_close(conv2d_weight_grad(grad, x, w.shape, *rest), wanted)
    backwards = [a[..., ::-1].copy()[..., ::-1] for a in (grad, x)]
    assert_close(conv2d_weight_grad(*backwards, w.shape, *rest), wanted)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_no_work_for_tiles(name):
    x, w, b, rest = random_case(ELSEWHERE[name])
    grad = output_grad(x, w, rest)
    assert x.size == 0 or not tile_plan(x.shape, w.shape, *rest)
    assert_close(conv2d(x, w, b, *rest), exact(reference.conv2d, x, w, b, *rest))
    assert_close(
        conv2d_weight_grad(grad, x, w.shape, *rest), exact(reference.conv2d_weight_grad, grad, x, w.shape, *rest)
    )


@pytest.mark.parametrize("change", [{"stride": (2, 1)}, {"dilation": (1, 2)}, {"kernel": (3, 2)}])
def test_other_convolutions(change):
    x, w, _, (stride, padding, dilation, groups) = random_case(TILED["planes of 7"])
    w = w[:, :, :, : change.pop("kernel", (3, 3))[1]]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, **change}
    for ways in (tile_plan, winograd_weights.tile_plan):
        assert not ways(x.shape, w.shape, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
@pytest.mark.parametrize("where", ["x", "w", "b"])
def test_what_is_not_finite_stays_where_the_definition_has_it(bad, where):
    x, w, b, rest = random_case(TILED["unfinished tiles"] if where == "w" else WEIGHTS["planes of 7"])
    grad = output_grad(x, w, rest)
    {"x": x, "w": w, "b": b}[where].flat[-1] = bad
    if where == "x":
        grad.flat[-1] = bad
    for actual, wanted in (
        (conv2d(x, w, b, *rest), reference.conv2d(x, w, b, *rest)),
        (conv2d_input_grad(grad, w, x.shape, *rest), reference.conv2d_input_grad(grad, w, x.shape, *rest)),
        (conv2d_weight_grad(grad, x, w.shape, *rest), reference.conv2d_weight_grad(grad, x, w.shape, *rest)),
    ):
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
        np.testing.assert_array_equal(actual[np.isinf(wanted)], wanted[np.isinf(wanted)])


def test_same_bits_for_any_number_of_threads():
    x, w, b, rest = random_case(WEIGHTS["planes of 14"])
    x = np.concatenate([x] * 3)
    grad = output_grad(x, w, rest)
    before, results = backend.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            backend.set_num_threads(threads)
            results.append(
                (
                    conv2d(x, w, b, *rest),
                    conv2d_input_grad(grad, w, x.shape, *rest),
                    conv2d_weight_grad(grad, x, w.shape, *rest),
                )
            )
    finally:
        backend.set_num_threads(before)
    for other in results[1:]:
        for mine, first in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(mine, first)


@pytest.mark.slow
@pytest.mark.parametrize("features", ["+avx,+avx2,+fma", ""])
def test_shorter_vectors(features, on_other_cpu):
    """What other CPUs run: the kernels compiled for them, which this one understands too."""
    on_other_cpu(features, "-k", "test_tiles or grad or threads", __file__)
