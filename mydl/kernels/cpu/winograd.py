"""The 3×3 convolution with a quarter of the multiplications.

A tile of 4×4 results takes 36 products for each pair of channels where the definition takes 144: of the 6×6 pixels
d that it reads and of a kernel g, y = Aᵀ [Σ (G g Gᵀ) · (Bᵀ d B)] A, the sum being over the input's channels and the
dot element by element (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015). A, B and G take
polynomials by their values at 0, ±3/4, ±3/2 and infinity, points that round little: with 64 channels the error is
2.5 times that of the plain sum, a millionth of the results' deviation. It is relative to the largest pixel of a tile.
A value that is not finite would spread over its tile, so then the result is of no use.

A vector holds the same pixel of LANES images (see `planes.py`), so it takes batches of about LANES images.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from mydl.kernels.cpu.compiler import compile_parallel, compile_serial
from mydl.kernels.cpu.direct import address, plain, scratch_memory, tasks_for
from mydl.kernels.cpu.microkernel import CHANNELS, VECTORS, convolve_tile
from mydl.kernels.cpu.moves import images_to_lanes, lanes_to_images, prefetch, prefetch_results, zero
from mydl.kernels.cpu.parallel import LINE, PARALLEL_FROM, claim, launch
from mydl.kernels.cpu.planes import skewed
from mydl.kernels.cpu.vectors import I64, LANES, VECTOR, floats, load, multiply_add, splat, store

__all__ = ["KERNEL_TO_PRODUCTS", "PRODUCTS", "READ", "TILE", "convolve", "spread", "tile_plan", "transform_pixels"]

_P, _Q = 9 / 16, 9 / 4  # the squares of the points
_FACTORS = (_P, 0.5 / _P / (_P - _Q)), (_Q, 0.5 / _Q / (_Q - _P))  # of a kernel at ± a point
_G = np.array(
    [[1 / (_P * _Q), 0, 0]] + [[f, sign * f * s**0.5, f * s] for s, f in _FACTORS for sign in (1, -1)] + [[0, 0, 1]]
)
KERNEL_TO_PRODUCTS = np.kron(_G, _G).astype(np.float32)  # (36, 9)
TILE, READ = 4, 6
PRODUCTS = READ * READ
_BAND = 256  # tiles of a piece of work times channels: their transforms then fit the second-level cache


class _Plan(NamedTuple):
    """What the compiled driver needs to know besides the arrays; places and offsets in elements, int64.

    sizes, units, scratch, operations: as in `planes.Plan`.
    pack, put: the place of each pixel of a band in a plane, and of each result in a channel's results.
    corners: the first place of each tile in a plane, and in a channel's results.
    lanes, x_offsets, u_offsets: positions and offsets for `convolve_tile`, by vector and by channel.
    """

    sizes: tuple[int, ...]
    pack: np.ndarray
    put: np.ndarray
    corners: np.ndarray
    lanes: np.ndarray
    x_offsets: np.ndarray
    u_offsets: np.ndarray
    units: int
    scratch: int
    operations: int


@lru_cache(maxsize=512)
def tile_plan(x_shape, w_shape, stride, padding, dilation, groups) -> _Plan | None:
    """How to convolve by tiles; None where they do not apply, or where what they waste costs more than they save."""
    (n, _, height, width), (out_channels, channels, *kernel) = x_shape, w_shape
    if kernel != [3, 3] or not stride == dilation == (1, 1) or min(padding) < 0 or 3 * n <= LANES:
        return None
    out_channels //= groups
    rows, cols = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
    tile_rows, tile_cols, blocks = -(-rows // TILE), -(-cols // TILE), -(-n // LANES)
    waste = blocks * LANES * tile_rows * tile_cols * TILE**2 / (n * rows * cols)
    if waste * (0.25 + 3 / channels + 3 / out_channels) > 0.8:
        return None
    bands = -(-tile_rows // max(1, round(_BAND / channels / tile_cols)))
    band = -(-tile_rows // bands)
    tiles = -(-band * tile_cols // VECTORS) * VECTORS
    lines, pitch, out_pitch = band * TILE + 2, tile_cols * TILE + 2, tile_cols * TILE
    plane, result = lines * pitch * LANES, skewed(band * TILE * out_pitch * LANES)
    in_stride, out_stride = skewed(channels * tiles * LANES), skewed(PRODUCTS * VECTORS * LANES)
    line, column = np.ogrid[:lines, :width]
    pack = ((line * pitch + column + padding[1]) * LANES).ravel()
    line, column = np.ogrid[: band * TILE, :cols]
    put = ((line * out_pitch + column) * LANES).ravel()
    line, column = np.divmod(np.arange(band * tile_cols), tile_cols)
    corners = np.array([line * pitch + column, line * out_pitch + column]) * (TILE * LANES)
    return _Plan(
        (
            n, groups, channels, out_channels, height, width, rows, cols, padding[0], tile_rows, tile_cols, band, pitch,
            plane, result, in_stride, out_stride,
        ),
        pack, put, corners,
        np.arange(VECTORS) * LANES, np.arange(channels) * VECTORS * LANES, np.arange(channels) * CHANNELS,
        groups * blocks * bands,
        plane + CHANNELS * result + PRODUCTS * in_stride + CHANNELS * out_stride + 2 * LANES,
        2 * 9 * n * groups * out_channels * channels * rows * cols,
    )  # fmt: skip


def convolve(
    plan: _Plan, x: np.ndarray, w: np.ndarray, turned: bool, b: np.ndarray, b_stride: int, y: np.ndarray
) -> bool:
    """Fill y with the convolution of x with w (output channels, channels / groups, 3, 3), and say if it is finite.

    With `turned` w is (channels, output channels / groups, 3, 3), and its kernels are turned by 180°: what takes a
    gradient back. The bias of output channel o is b[o · b_stride].

    >>> x, w, y = (np.ones(shape, np.float32) for shape in ((16, 16, 6, 6), (16, 16, 3, 3), (16, 16, 4, 4)))
    >>> plan = tile_plan(x.shape, (16, 16, 3, 3), (1, 1), (0, 0), (1, 1), 1)
    >>> convolve(plan, x, w, False, np.zeros(1, np.float32), 0, y), y[0, 0, 0].round(3)
    (True, array([144., 144., 144., 144.], dtype=float32))
    """
    _, groups, channels, out_channels = plan.sizes[:4]
    tasks = tasks_for(plan, plan.units)
    # of every block of CHANNELS output channels the products' factors and, below them, the kernels that they come from
    u = np.empty(
        (groups * -(-out_channels // CHANNELS), PRODUCTS + 9, -(-channels * CHANNELS // LANES) * LANES), np.float32
    )
    return launch(
        _convolve_tasks, (tasks - 1) * PARALLEL_FROM, tasks, y, plain(x), u, plain(w).reshape(-1), turned, plain(b),
        b_stride, scratch_memory(LINE + tasks * plan.scratch), plan.scratch, plan.units, plan.sizes, plan[1:7],
        np.zeros((tasks, LANES), np.float32),
    )  # fmt: skip


@compile_parallel(fastmath=False)
def _convolve_tasks(tasks, y, x, u, w, turned, b, b_stride, scratch, each, units, sizes, tables, sums):
    zero(scratch, LINE)
    for i in prange(len(u)):
        _transform_kernels(u[i], w, turned, np.int64(i), sizes)
    for task in prange(tasks):
        plane = scratch + 4 * (LINE + np.int64(task) * each)
        _convolve_units(scratch, y, x, u, b, b_stride, plane, units, sizes, tables, sums[task])
    finite = True
    for task in range(tasks):
        for lane in range(LANES):
            finite &= sums[task, lane] - sums[task, lane] == 0
    return finite


@compile_serial()
def _transform_kernels(u, w, turned, block, sizes):
    """Rows k < PRODUCTS of u: G g Gᵀ, element k, of a block's kernels g by (channel, place in the block)."""
    channels, out_channels = sizes[2:4]
    blocks = -(-out_channels // CHANNELS)
    first = block % blocks * CHANNELS
    group = w[block // blocks * out_channels * channels * 9 :]
    stride, c_stride, start, step = (9, out_channels * 9, 8, -1) if turned else (channels * 9, 9, 0, 1)
    for place in range(CHANNELS):
        for c in range(channels):
            for t in range(9):
                value = np.float32(0)
                if first + place < out_channels:
                    value = group[(first + place) * stride + c * c_stride + start + t * step]
                u[PRODUCTS + t, c * CHANNELS + place] = value
    row = u.shape[1]
    for j in range(0, row, LANES):
        _transform_kernel(address(u) + 4 * j, row, address(u) + 4 * (PRODUCTS * row + j))


@compile_serial()
def _convolve_units(counter, y_array, x_array, u, b_array, b_stride, plane_, units, sizes, tables, sums):
    """One unit (group, block of images, band of tiles) after another, as claimed; to `sums` all results are added."""
    y, x, b = address(y_array), address(x_array), address(b_array)
    (
        n, groups, in_channels, out_channels, height, width, rows, cols, padding, tile_rows, tile_cols, band, pitch,
        plane, result, in_stride, out_stride,
    ) = sizes  # fmt: skip
    pack, put, corners, lanes, x_offsets, u_offsets = tables
    blocks, out_blocks = -(-n // LANES), -(-out_channels // CHANNELS)
    results = plane_ + 4 * plane
    inner = results + 4 * CHANNELS * result
    outer = inner + 4 * PRODUCTS * in_stride
    spare = outer + 4 * CHANNELS * out_stride
    total = address(sums)
    zero(spare, 2 * LANES)
    zero(inner, PRODUCTS * in_stride)
    unit = claim(counter)
    while unit < units:
        # Bands of an image share a line where they meet: two threads that wrote them at once would wait for each other.
        group, image, tile_row = unit // blocks % groups, unit % blocks * LANES, unit // blocks // groups * band
        images, tile_lines = min(LANES, n - image), min(tile_rows - tile_row, band)
        tiles = tile_lines * tile_cols
        top, row = tile_row * TILE - padding, tile_row * TILE
        first, last = max(0, top), min(height, top + tile_lines * TILE + 2)
        image_size, pixels = groups * in_channels * height * width, max(0, last - first) * width
        zero(plane_, plane)
        for c in range(in_channels):
            source = x + 4 * (((image * groups + group) * in_channels + c) * height + first) * width
            images_to_lanes(
                plane_, address(pack) + 8 * (first - top) * width, source, image_size, images, pixels, spare
            )
            for t in range(tiles):
                for j in range(images * t // tiles, images * (t + 1) // tiles):  # while it computes, the next channel
                    ahead = source + 4 * (j * image_size + height * width)
                    prefetch(ahead, ahead + 4 * pixels)
                transform_pixels(
                    inner + 4 * (t // VECTORS * in_channels * VECTORS + c * VECTORS + t % VECTORS) * LANES, in_stride,
                    plane_ + 4 * corners[0, t], pitch * LANES,
                )  # fmt: skip
        for o in range(out_blocks):
            channels = min(CHANNELS, out_channels - o * CHANNELS)
            channel = group * out_channels + o * CHANNELS
            target = y + 4 * ((image * groups * out_channels + channel) * rows + row) * cols
            target_size, pixels = groups * out_channels * rows * cols, (min(rows, row + tile_lines * TILE) - row) * cols
            for t in range(0, tiles, VECTORS):
                for k in range(PRODUCTS):
                    prefetch_results(
                        target, target_size, images, rows * cols, channels, pixels,
                        t // VECTORS * PRODUCTS + k, -(-tiles // VECTORS) * PRODUCTS,
                    )  # fmt: skip
                    convolve_tile(
                        outer + 4 * k * VECTORS * LANES, out_stride,
                        inner + 4 * (k * in_stride + t * in_channels * LANES), address(lanes),
                        address(u[group * out_blocks + o, k]), 1,
                        spare, 0, CHANNELS, address(x_offsets), address(u_offsets), in_channels,
                    )  # fmt: skip
                for i in range(channels):
                    for v in range(min(VECTORS, tiles - t)):
                        _transform_products(
                            results + 4 * (i * result + corners[1, t + v]), tile_cols * TILE * LANES,
                            outer + 4 * (i * out_stride + v * LANES), b + 4 * b_stride * (channel + i), total,
                        )  # fmt: skip
            for i in range(channels):
                lanes_to_images(
                    target + 4 * i * rows * cols, target_size, images, results + 4 * i * result, address(put), pixels,
                    spare + 4 * LANES,
                )  # fmt: skip
        unit = claim(counter)


@intrinsic
def _transform_kernel(typingctx, out, stride, g):
    """out[6 r + c] = (G g Gᵀ)[r, c] of a 3×3 kernel g[3 i + j]; all are vectors, and rows of both `stride` apart."""

    def generate(context, builder, signature, args):
        out, stride, g = args
        out, g = floats(builder, out), floats(builder, g)
        taps = [load(builder, builder.gep(g, [builder.mul(I64(t), stride)])) for t in range(9)]
        columns = [_g(builder, taps[j::3]) for j in range(3)]
        for r in range(READ):
            for c, value in enumerate(_g(builder, [column[r] for column in columns])):
                store(builder, value, builder.gep(out, [builder.mul(I64(READ * r + c), stride)]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


@intrinsic
def transform_pixels(typingctx, out, out_stride, x, pitch):
    """out[6 r + c] = (Bᵀ d B)[r, c] of the 6×6 pixels d[i, j] = x[i, j]; all are vectors."""

    def generate(context, builder, signature, args):
        out, out_stride, x, pitch = args
        out, x = floats(builder, out), floats(builder, x)
        lines = [builder.gep(x, [builder.mul(I64(r), pitch)]) for r in range(READ)]
        for rows in ((0,), (1, 2), (3, 4), (5,)):  # as many as the vector registers hold
            wanted = [_b(builder, lambda i, c=c: load(builder, lines[i], c * LANES), rows) for c in range(READ)]
            for r, row in zip(rows, zip(*wanted)):
                for c, value in enumerate(_b(builder, row.__getitem__, range(READ))):
                    store(builder, value, builder.gep(out, [builder.mul(I64(READ * r + c), out_stride)]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def _transform_products(typingctx, out, pitch, x, b, total):
    """out[i, j] = (Aᵀ m A)[i, j] + b[0] for m[r, c] = x[6 r + c, 0], i, j < 4; total += their sum. All are vectors."""

    def generate(context, builder, signature, args):
        out, pitch, x, b, total = args
        out, x, total = floats(builder, out), floats(builder, x), floats(builder, total)
        bias, sum_ = splat(builder, builder.load(floats(builder, b))), load(builder, total)
        m = [load(builder, x, k * VECTORS * LANES) for k in range(PRODUCTS)]
        columns = [_a(builder, m[c::READ]) for c in range(READ)]
        for r in range(TILE):
            line = builder.gep(out, [builder.mul(I64(r), pitch)])
            for c, value in enumerate(_a(builder, [column[r] for column in columns])):
                value = builder.fadd(value, bias)
                sum_ = builder.fadd(sum_, value)
                store(builder, value, line, c * LANES)
        store(builder, sum_, total)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


def _constant(value: float):
    return ir.Constant(VECTOR, [value] * LANES)


def _g(builder, g):
    """G g, of a column g of 3 vectors."""
    values = [builder.fmul(_constant(1 / (_P * _Q)), g[0])]
    for square, factor in _FACTORS:
        even = builder.fmul(_constant(factor), multiply_add(builder, _constant(square), g[2], g[0]))
        values += [multiply_add(builder, _constant(sign * factor * square**0.5), g[1], even) for sign in (1, -1)]
    return [*values, g[2]]


def _b(builder, d, rows):
    """Those rows of Bᵀ d, d(i) being a vector of a column of 6."""

    def plus(i, factor, j):
        return multiply_add(builder, _constant(factor), d(j), d(i))

    values = {}
    if 0 in rows:
        values[0] = multiply_add(builder, _constant(_P * _Q), d(0), plus(4, -_P - _Q, 2))
    for first, here, other in ((1, _P, _Q), (3, _Q, _P)):
        if first in rows:
            even, odd = plus(4, -other, 2), plus(3, -other, 1)
            for sign in (1, -1):
                values[first + (sign < 0)] = multiply_add(builder, _constant(sign * here**0.5), odd, even)
    if 5 in rows:
        values[5] = multiply_add(builder, _constant(_P * _Q), d(1), plus(5, -_P - _Q, 3))
    return [values[r] for r in rows]


def _a(builder, m):
    """Aᵀ m, of a column m of 6 vectors."""

    def times(factor, a, b_factor, b):
        return multiply_add(builder, _constant(factor), a, builder.fmul(_constant(b_factor), b))

    sum_p, sum_q = builder.fadd(m[1], m[2]), builder.fadd(m[3], m[4])
    gap_p, gap_q = builder.fsub(m[1], m[2]), builder.fsub(m[3], m[4])
    return [
        builder.fadd(builder.fadd(m[0], sum_p), sum_q),
        times(_P**0.5, gap_p, _Q**0.5, gap_q),
        times(_P, sum_p, _Q, sum_q),
        builder.fadd(times(_P**1.5, gap_p, _Q**1.5, gap_q), m[5]),
    ]


def spread(builder, g):
    """A g, of a column g of 4 vectors: the transpose of `_a`, which takes results back."""

    def signs(square):
        even = multiply_add(builder, _constant(square), g[2], g[0])
        odd = multiply_add(builder, _constant(square), g[3], g[1])
        return [multiply_add(builder, _constant(sign * square**0.5), odd, even) for sign in (1, -1)]

    return [g[0], *signs(_P), *signs(_Q), g[3]]
