"""The three convolutions of both implementations against a sum over taps in double precision."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mydl import backend, kernels
from mydl.kernels import reference

# images, channels, height, width, output channels, kernel, stride, padding, dilation, groups
CASES = {
    "first layer": (3, 1, 28, 28, 16, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "planes of 28": (2, 16, 28, 28, 16, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "planes of 14": (33, 5, 14, 14, 17, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "planes of 7": (40, 17, 7, 7, 5, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "stride 2": (5, 3, 28, 28, 9, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "stride 2, many images": (19, 5, 15, 14, 8, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "shortcut": (5, 16, 9, 8, 17, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "shortcut, many images": (16, 3, 9, 8, 5, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "uneven": (2, 6, 9, 11, 9, (5, 3), (3, 2), (2, 0), (1, 2), 3),
    "uneven, many images": (17, 6, 9, 11, 9, (5, 3), (3, 2), (2, 0), (1, 2), 3),
    "depthwise": (4, 8, 10, 10, 8, (3, 3), (1, 1), (1, 1), (1, 1), 8),
    "pixels": (2, 3, 1, 1, 4, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "pixels, many images": (18, 3, 1, 1, 4, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "one row": (2, 3, 1, 37, 4, (1, 5), (1, 1), (0, 2), (1, 1), 1),
    "large planes in bands": (1, 17, 60, 61, 5, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "large planes in bands, stride 2": (2, 3, 71, 66, 4, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    "bands, many images": (16, 40, 20, 21, 3, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "more padding than kernel": (2, 3, 8, 8, 4, (3, 3), (1, 1), (4, 5), (2, 2), 1),
    "padding only around 1x1": (3, 2, 4, 5, 3, (1, 1), (1, 1), (2, 2), (1, 1), 1),
    "kernel like the image": (2, 3, 7, 7, 4, (7, 7), (1, 1), (0, 0), (1, 1), 1),
    "kernel as wide as the image": (3, 2, 9, 20, 5, (3, 20), (1, 1), (0, 0), (1, 1), 1),
    "stride over kernel": (3, 2, 8, 8, 3, (2, 2), (3, 3), (0, 0), (1, 1), 1),
    "dilation": (2, 4, 13, 12, 6, (3, 2), (1, 1), (2, 3), (3, 4), 2),
}


@pytest.fixture(params=["reference", "cpu"])
def implementation(request):
    if request.param == "cpu":
        pytest.importorskip("numba")
    with kernels.use(request.param):
        yield kernels.of(np.zeros(1))


def random_case(name, dtype=np.float32, seed=0):
    """x, w, b and the rest of the arguments."""
    n, c, h, width, o, kernel, *rest = CASES[name]
    rng = np.random.default_rng(seed)
    shapes = (n, c, h, width), (o, c // rest[-1], *kernel), (o,)
    return *(rng.standard_normal(shape).astype(dtype) for shape in shapes), tuple(rest)


def taps(x_shape, w_shape, y_size, stride, padding, dilation):
    """(k, l, the part of the padded x that this tap sees as slices) for every tap."""
    for k in range(w_shape[2]):
        for l in range(w_shape[3]):
            first = k * dilation[0], l * dilation[1]
            yield (
                k,
                l,
                tuple(slice(f, f + s * (m - 1) + 1, s) for f, s, m in zip(first, stride, y_size, strict=True)),
            )


def expected(x, w, b, grad, stride, padding, dilation, groups):
    """y, dx and dw by definition, a tap and a group at a time, in double precision."""
    x, w, b, grad = (a.astype(np.float64) for a in (x, w, b, grad))
    (p, q), (h, width) = padding, x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
    y, dx, dw = np.zeros(grad.shape) + b[:, None, None], np.zeros(padded.shape), np.zeros(w.shape)
    for g in range(groups):
        cs = slice(g * w.shape[1], (g + 1) * w.shape[1])
        os_ = slice(g * len(w) // groups, (g + 1) * len(w) // groups)
        for k, l, seen in taps(x.shape, w.shape, grad.shape[2:], stride, padding, dilation):
            pixels = padded[(slice(None), cs, *seen)]
            y[:, os_] += np.einsum("oc,nchw->nohw", w[os_, :, k, l], pixels)
            dx[(slice(None), cs, *seen)] += np.einsum("oc,nohw->nchw", w[os_, :, k, l], grad[:, os_])
            dw[os_, :, k, l] = np.einsum("nohw,nchw->oc", grad[:, os_], pixels)
    return y, dx[:, :, p : p + h, q : q + width], dw


def output_size(x, w, stride, padding, dilation):
    return tuple(
        (x.shape[2 + a] + 2 * padding[a] - dilation[a] * (w.shape[2 + a] - 1) - 1) // stride[a] + 1 for a in range(2)
    )


def all_three(kernel, x, w, b, grad, rest):
    return (
        kernel.conv2d(x, w, b, *rest),
        kernel.conv2d_input_grad(grad, w, x.shape, *rest),
        kernel.conv2d_weight_grad(grad, x, w.shape, *rest),
    )


def gradient_for(x, w, rest, seed=1):
    shape = (len(x), len(w), *output_size(x, w, *rest[:3]))
    return np.random.default_rng(seed).standard_normal(shape).astype(x.dtype)


def assert_close(actual, wanted, tolerance):
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_definition(implementation, name, dtype):
    x, w, b, rest = random_case(name, dtype)
    grad = gradient_for(x, w, rest)
    copies = [a.copy() for a in (x, w, b, grad)]
    results = all_three(implementation, x, w, b, grad, rest)
    for actual, wanted in zip(results, expected(x, w, b, grad, *rest), strict=True):
        assert actual.dtype == dtype
        assert_close(actual, wanted, 2e-6 if dtype == np.float32 else 1e-13)
    for array, copy in zip((x, w, b, grad), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert_close(implementation.conv2d(x, w, None, *rest), results[0] - b[:, None, None], 1e-6)  # no bias


def test_half_precision_keeps_its_dtype(implementation):
    x, w, b, rest = random_case("uneven", np.float16)
    grad = gradient_for(x, w, rest)
    for actual, wanted in zip(
        all_three(implementation, x, w, b, grad, rest), expected(x, w, b, grad, *rest), strict=True
    ):
        assert actual.dtype == np.float16
        assert_close(actual, wanted, 4e-3)


@pytest.mark.parametrize("name", ["planes of 28", "planes of 14", "uneven"])
def test_layout_in_memory_does_not_matter(implementation, name):
    x, w, b, rest = random_case(name)
    grad = gradient_for(x, w, rest)
    wanted = all_three(implementation, x, w, b, grad, rest)
    backwards = [a[..., ::-1].copy()[..., ::-1] for a in (x, w, b, grad)]
    channels_last = [x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2), w, b, np.asfortranarray(grad)]
    read_only = [a.copy() for a in (x, w, b, grad)]
    for array in read_only:
        array.flags.writeable = False
    for arrays in (backwards, channels_last, read_only):
        for actual, result in zip(all_three(implementation, *arrays, rest), wanted, strict=True):
            assert_close(actual, result, 1e-6)


def test_no_images(implementation):
    x, w, b, rest = random_case("stride 2")
    x = x[:0]
    y, dx, dw = all_three(implementation, x, w, b, gradient_for(x, w, rest), rest)
    assert (y.shape, dx.shape) == ((0, 9, 14, 14), x.shape)
    np.testing.assert_array_equal(dw, np.zeros_like(w))


@pytest.mark.parametrize("name", ["planes of 14", "planes of 7", "stride 2", "large planes in bands"])
def test_same_bits_for_any_number_of_threads(name):
    pytest.importorskip("numba")
    x, w, b, rest = random_case(name)
    x = np.concatenate([x] * 3)
    grad = gradient_for(x, w, rest)
    before, results = backend.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            backend.set_num_threads(threads)
            with kernels.use("cpu"):
                results.append(all_three(kernels.of(x), x, w, b, grad, rest))
    finally:
        backend.set_num_threads(before)
    for other in results[1:]:
        for first, again in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", ["planes of 28", "planes of 14", "uneven", "shortcut, many images"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["x", "w", "grad"])
def test_what_is_not_finite_spreads_as_in_the_reference(name, bad, where):
    pytest.importorskip("numba")
    x, w, b, rest = random_case(name)
    grad = gradient_for(x, w, rest)
    {"x": x, "w": w, "grad": grad}[where].flat[0] = bad
    with np.errstate(invalid="ignore"):
        wanted = all_three(reference, x, w, b, grad, rest)
        with kernels.use("cpu"):
            results = all_three(kernels.of(x), x, w, b, grad, rest)
    for actual, result in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(result))
        np.testing.assert_array_equal(actual[np.isinf(result)], result[np.isinf(result)])


def test_against_pytorch(implementation):
    torch = pytest.importorskip("torch")
    for name in ("uneven", "planes of 14", "dilation"):
        x, w, b, rest = random_case(name)
        grad = gradient_for(x, w, rest)
        # In float64, so that the difference is our rounding alone.
        xt, wt, bt = (torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, w, b))
        y = torch.nn.functional.conv2d(xt, wt, bt, *rest)
        y.backward(torch.tensor(grad, dtype=torch.float64))
        wanted = y.detach().numpy(), xt.grad.numpy(), wt.grad.numpy()
        for actual, result in zip(all_three(implementation, x, w, b, grad, rest), wanted, strict=True):
            assert_close(actual, result, 2e-6)


def run(program: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a Python program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


COMPARE = """
import numpy as np
from mydl.kernels import cpu, reference
from mydl.kernels.cpu.vectors import LANES
rng = np.random.default_rng(0)
once = (1, 1)
cases = ((17, 5, 14, 14), 9, (1, 1)), ((3, 8, 28, 28), 16, (2, 2)), ((4, 3, 7, 7), 8, (1, 1))
for shape, out, stride in cases:
    x = rng.standard_normal(shape).astype(np.float32)
    w = rng.standard_normal((out, shape[1], 3, 3)).astype(np.float32)
    rest = (stride, once, once, 1)
    y = reference.conv2d(x, w, None, *rest)
    np.testing.assert_allclose(cpu.conv2d(x, w, None, *rest), y, atol=1e-4)
    for name, a, b in (("conv2d_input_grad", w, x), ("conv2d_weight_grad", x, w)):
        wanted = getattr(reference, name)(y, a, b.shape, *rest)
        got = getattr(cpu, name)(y, a, b.shape, *rest)
        np.testing.assert_allclose(got, wanted, atol=2e-6 * np.abs(wanted).max())
"""

FOUR_THREADS = """
import threading
import numba
import numpy as np
from mydl.kernels import cpu
rng = np.random.default_rng(0)
x = rng.standard_normal((24, 16, 14, 14)).astype(np.float32)
w = rng.standard_normal((16, 16, 3, 3)).astype(np.float32)
rest = ((1, 1), (1, 1), (1, 1), 1)

def work(i, results):
    for _ in range(20):
        y = cpu.conv2d(x + i, w, None, *rest)
        dx, dw = cpu.conv2d_input_grad(y, w, x.shape, *rest), cpu.conv2d_weight_grad(y, x, w.shape, *rest)
        results[i] = y, dx, dw

alone, together = [None] * 4, [None] * 4
for i in range(4):
    work(i, alone)
threads = [threading.Thread(target=work, args=(i, together)) for i in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
for a, b in zip(alone, together, strict=True):
    assert all((p == q).all() for p, q in zip(a, b, strict=True))
print(numba.threading_layer())
"""


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_four_python_threads_at_once(layer):
    pytest.importorskip("numba")
    done = run(FOUR_THREADS, NUMBA_THREADING_LAYER=layer)
    assert done.returncode == 0, done.stderr
    assert layer in ("default", done.stdout.strip())


@pytest.mark.slow
@pytest.mark.parametrize("features, lanes", [("+avx,+avx2,+fma", 8), ("", 4)])
def test_shorter_vectors(features, lanes, tmp_path):
    """What other CPUs run: the kernels compiled for them, which this one understands too."""
    pytest.importorskip("numba")
    import platform

    if platform.machine() != "x86_64":
        pytest.skip("names features of x86 CPUs")
    name = "haswell" if features else "x86-64"
    program = COMPARE + f"assert LANES == {lanes}, LANES\n"
    done = run(program, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features, NUMBA_CACHE_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_a_result_beyond_memory_is_refused_at_once(implementation):
    x, w = np.ones((1, 1, 8, 8), np.float32), np.ones((4, 1, 3, 3), np.float32)
    with pytest.raises((MemoryError, ValueError)):
        implementation.conv2d(x, w, None, (1, 1), (10**9, 10**9), (1, 1), 1)
