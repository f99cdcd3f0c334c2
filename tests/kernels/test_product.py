"""The matrix product on register tiles against float64, over sizes that leave part of a tile, a panel or a depth."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from mydl.kernels.cpu import product
from mydl.kernels.cpu.product import matmul


@pytest.fixture
def every_size(monkeypatch):
    """Small products too, and no way out to BLAS."""
    monkeypatch.setattr(product, "_FEWEST_ROWS", 1)
    monkeypatch.setattr(product, "_FEWEST_COLUMNS", 1)
    monkeypatch.setattr(product, "_FEWEST_PRODUCTS", 1)
    monkeypatch.setattr(product, "_WIDE_ENOUGH", True)

    def refuse(*arrays):
        raise AssertionError(f"went to BLAS: {[a.shape for a in arrays if a is not None]}")

    monkeypatch.setattr(np, "matmul", refuse)


def close(found, a, b):
    """Within the rounding of sums of so many products."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    np.testing.assert_allclose(found, a @ b, rtol=0, atol=2e-7 * (np.abs(a) @ np.abs(b)).max(initial=1))


def factors(rng, rows, depth, columns, a_turned, b_turned):
    a, b = rng.standard_normal((rows, depth), np.float32), rng.standard_normal((depth, columns), np.float32)
    return np.asfortranarray(a) if a_turned else a, np.asfortranarray(b) if b_turned else b


@pytest.mark.parametrize("a_turned", [False, True])
@pytest.mark.parametrize("b_turned", [False, True])
@pytest.mark.parametrize(
    "rows, depth, columns",
    [
        (1, 1, 1), (1, 7, 33), (2, 15, 16), (5, 16, 17), (6, 17, 31), (7, 3, 32), (8, 2, 34), (9, 100, 63), (13, 1, 64),
        (31, 33, 65), (64, 511, 5), (50, 512, 40), (11, 513, 48), (3, 1025, 70), (257, 20, 3), (100, 1537, 129),
    ],
)  # fmt: skip
def test_all_sizes_and_orders(rng, every_size, monkeypatch, rows, depth, columns, a_turned, b_turned):
    a, b = factors(rng, rows, depth, columns, a_turned, b_turned)
    close(matmul(a, b), a, b)
    monkeypatch.setattr(product, "_MOST_COPIED", 0)
    np.testing.assert_array_equal(matmul(a, b), matmul(np.ascontiguousarray(a), b))
    out = np.full((rows + 2, columns), 7, np.float32)
    assert matmul(a, b, out[1:-1]).base is out
    close(out[1:-1], a, b)
    assert (out[[0, -1]] == 7).all()


def test_what_it_reads_and_writes_ends_with_the_arrays(rng, every_size):
    a, b = factors(rng, 9, 513, 35, False, True)
    framed, inner = np.full(9 * 35 + 200, np.nan, np.float32), slice(100, 100 + 9 * 35)
    for depth in (1, 20, 513):
        memory = np.full(a.size + b.size + 300, np.nan, np.float32)  # NaN around the factors spreads if it is read
        first = memory[100 : 100 + 9 * depth].reshape(9, depth)
        second = memory[200 + 9 * depth : 200 + 44 * depth].reshape(35, depth).T
        first[...], second[...] = a[:, :depth], b[:depth]
        close(matmul(first, second, framed[inner].reshape(9, 35)), first, second)
        assert np.isnan(framed[:100]).all() and np.isnan(framed[inner.stop :]).all()


@pytest.mark.parametrize("rows, depth, columns", [(1, 1, 1), (9, 20, 16), (13, 515, 47), (20, 3, 48), (31, 1030, 113)])
def test_bias(rng, every_size, rows, depth, columns):
    a, b = factors(rng, rows, depth, columns, False, True)
    bias = rng.standard_normal(columns, np.float32)
    found = matmul(a, b, None, bias)
    close(found, np.hstack([a, np.ones((rows, 1), np.float32)]), np.vstack([b, bias]))
    np.testing.assert_array_equal(matmul(a, b, np.empty_like(found), bias), found)
    np.testing.assert_array_equal(matmul(a, b, None, np.zeros(columns, np.float32)), matmul(a, b))
    batch = np.stack([a, a])
    np.testing.assert_array_equal(matmul(batch, b, None, bias)[1], found)


def test_bias_of_what_is_left_to_blas(rng):
    a, b = factors(rng, 100, 200, 300, False, False)
    for dtype in (np.float32, np.float64):
        bias = rng.standard_normal(600).astype(dtype)[::2]
        wanted = a.astype(np.float64) @ b + bias
        for x, y in ((a, b), (a[:5, :], b), (np.stack([a, a])[:, ::2], b)):
            np.testing.assert_allclose(
                matmul(x, y, None, bias), wanted[: len(x)] if x.ndim == 2 else wanted[None, ::2].repeat(2, 0), atol=1e-3
            )


def test_a_batch_of_rows_is_one_product(rng, every_size):
    x, w = rng.standard_normal((3, 5, 20), np.float32), rng.standard_normal((20, 9), np.float32)
    y = matmul(x, w)
    assert y.shape == (3, 5, 9)
    np.testing.assert_array_equal(y.reshape(15, 9), matmul(x.reshape(15, 20), w))


@pytest.mark.parametrize("shape", [(0, 5, 20), (3, 0, 20), (3, 5, 0)])
def test_a_batch_of_nothing(shape):
    assert (matmul(np.ones(shape, np.float32), np.ones((shape[-1], 9), np.float32)) == 0).all()
    assert matmul(np.ones(shape, np.float32), np.ones((shape[-1], 9), np.float32)).shape == (*shape[:-1], 9)


def test_what_is_not_finite_stays_in_its_row_and_column(rng, every_size):
    a, b = factors(rng, 21, 40, 45, False, False)
    a[3, 5], a[20, 0], b[7, 44] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        found, wanted = matmul(a, b), a.astype(np.float64) @ b
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_array_equal(found[np.isinf(wanted)], wanted[np.isinf(wanted)])


def test_same_bits_for_any_number_of_threads_and_beside_any_other_rows(rng, every_size, on_threads):
    for a_turned in (False, True):
        a, b = factors(rng, 301, 1100, 140, a_turned, True)
        one, all_ = on_threads(lambda a=a, b=b: matmul(a, b))
        np.testing.assert_array_equal(one, all_)
        np.testing.assert_array_equal(matmul(np.ascontiguousarray(a[101:199]), b), one[101:199])


def test_same_bits_from_any_layout(rng, every_size):
    a, b = factors(rng, 100, 200, 300, False, False)
    wanted = matmul(a, b)
    read_only = a.copy()
    read_only.flags.writeable = False
    wide = np.zeros((100, 400), np.float32)
    wide[:, ::2] = a
    turned = np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1]
    for x in (read_only, wide[:, ::2], turned, np.asfortranarray(a)):
        np.testing.assert_array_equal(matmul(x, b), wanted)
    np.testing.assert_array_equal(matmul(a[:1].repeat(100, 0), b), matmul(np.broadcast_to(a[:1], a.shape), b))


def test_others_are_left_to_blas(rng):
    a, b = factors(rng, 100, 200, 300, False, False)
    wanted = a.astype(np.float64) @ b
    out = np.empty((100, 600), np.float32)[:, ::2]
    for x, y, to in ((a.astype("f8"), b, None), (a, b, out)):
        np.testing.assert_allclose(matmul(x, y, to), wanted, atol=1e-3)
    np.testing.assert_allclose(out, wanted, atol=1e-3)
    batch = np.stack([a, a])
    np.testing.assert_allclose(matmul(batch, np.stack([b, b]))[1], wanted, atol=1e-3)
    np.testing.assert_allclose(matmul(batch[:, :, ::-1], b[::-1])[1], wanted, atol=1e-3)
    assert matmul(a, b[:, 0]).shape == (100,)
    for x, y, to in ((a, b[1:], None), (a, b, np.empty((100, 299), np.float32)), (batch, b[1:], None)):
        with pytest.raises(ValueError, match="matmul"):
            matmul(x, y, to)


@pytest.mark.slow
@pytest.mark.parametrize("features", ["+avx,+avx2,+fma", ""])
def test_shorter_vectors(features, on_other_cpu):
    """What other CPUs run: the kernel compiled for them, which this one understands too."""
    on_other_cpu(features, "-m", "not slow", __file__)
