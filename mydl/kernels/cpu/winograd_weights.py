"""The gradient of a 3×3 convolution's weights with a quarter of the multiplications.

By the tiles of `winograd.py`: where y = Aᵀ [Σ (G w Gᵀ) · (Bᵀ d B)] A, the gradient is dw = Gᵀ [Σ (A g Aᵀ) · (Bᵀ d B)] G
for the tiles g of the output's gradient, the sum being over tiles and images. Inside the brackets stand 36 products of
matrices, (channels, tiles) by (tiles, output channels).

A vector holds LANES channels of one pixel, so it takes channels in numbers that LANES divides, or nearly.
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
from mydl.kernels.cpu.microkernel import CHANNELS, VECTORS
from mydl.kernels.cpu.moves import images_to_lanes, zero
from mydl.kernels.cpu.parallel import LINE, PARALLEL_FROM, claim, launch
from mydl.kernels.cpu.planes import skewed
from mydl.kernels.cpu.vectors import (
    I64,
    LANES,
    VECTOR,
    element,
    floats,
    keep_order,
    load,
    loop,
    multiply_add,
    splat,
    store,
)
from mydl.kernels.cpu.winograd import KERNEL_TO_PRODUCTS, PRODUCTS, READ, TILE, spread, transform_pixels

__all__ = ["correlate", "tile_plan"]

_BYTES = 512 * 1024  # of transformed tiles that a thread works on at a time, to stay in the second-level cache
_TILES = 28  # at a time, at least: fewer are not worth to load and store the sums for
_CHUNKS = 16  # partial sums, whatever the number of threads, so that the bits are the same
_FEW_CHUNKS = 4  # where that many sums take more memory than this:
_PARTIAL_BYTES = 5 * 2**20
_MOST_BYTES = 64 * 2**20  # what they may take at all


class _Plan(NamedTuple):
    """What the compiled driver needs to know besides the arrays; places and offsets in elements, int64.

    sizes, units, scratch, operations: as in `planes.Plan`.
    x_pack, grad_pack: the place of each pixel of a band in a plane of x, and of the output's gradient.
    corners: the first place of each tile in a plane of x, and of the gradient.
    chunks: how many partial sums, of `partial` elements each.
    """

    sizes: tuple[int, ...]
    x_pack: np.ndarray
    grad_pack: np.ndarray
    corners: np.ndarray
    units: int
    scratch: int
    operations: int
    chunks: int
    partial: int


@lru_cache(maxsize=512)
def tile_plan(x_shape, w_shape, stride, padding, dilation, groups) -> _Plan | None:
    """How to compute by tiles; None where they do not apply, or where what they waste costs more than they save."""
    (n, _, height, width), (out_channels, channels, *kernel) = x_shape, w_shape
    if kernel != [3, 3] or not stride == dilation == (1, 1):
        return None
    out_channels //= groups
    rows, cols = height + 2 * padding[0] - 2, width + 2 * padding[1] - 2
    tile_rows, tile_cols = -(-rows // TILE), -(-cols // TILE)
    x_lanes, grad_lanes = (-(-c // LANES) * LANES for c in (channels, out_channels))
    waste = x_lanes * grad_lanes * tile_rows * tile_cols * TILE**2 / (channels * out_channels * rows * cols)
    if waste * (0.25 + 3 / channels + 3 / out_channels) > 0.8:
        return None
    held = max(tile_cols, _TILES, _BYTES // (4 * PRODUCTS * (x_lanes + grad_lanes)))
    images = max(1, min(n, held // (tile_rows * tile_cols)))
    bands = 1 if images > 1 else -(-tile_rows // (held // tile_cols))
    band = -(-tile_rows // bands)
    tiles = images * band * tile_cols
    x_pitch, grad_pitch = (tile_cols * TILE + 2) * LANES, tile_cols * TILE * LANES
    x_stride, grad_stride = skewed(tiles * x_lanes), skewed(tiles * grad_lanes)
    plane = (band * TILE + 2) * x_pitch
    line, column = np.ogrid[: band * TILE + 2, :width]
    x_pack = (line * x_pitch + (column + padding[1]) * LANES).ravel()
    line, column = np.ogrid[: band * TILE, :cols]
    grad_pack = (line * grad_pitch + column * LANES).ravel()
    line, column = np.divmod(np.arange(band * tile_cols), tile_cols)
    corners = np.array([line * x_pitch + column * LANES, line * grad_pitch + column * LANES]) * TILE
    units = groups * -(-n // images) * bands
    partial = PRODUCTS * x_lanes * grad_lanes
    chunks = max(_FEW_CHUNKS, 1 << max(0, (_PARTIAL_BYTES // (4 * partial)).bit_length() - 1))
    chunks = min(_CHUNKS, chunks, units // groups)
    if 4 * chunks * groups * partial > _MOST_BYTES:
        return None
    return _Plan(
        (
            n, groups, channels, out_channels, height, width, rows, cols, padding[0], tile_rows, tile_cols, band,
            images, x_pitch, grad_pitch, x_lanes, grad_lanes, x_stride, grad_stride, plane,
        ),
        x_pack, grad_pack, corners,
        units, plane + PRODUCTS * (x_stride + grad_stride) + LANES,
        2 * 9 * n * groups * out_channels * channels * rows * cols,
        chunks, groups * partial,
    )  # fmt: skip


def correlate(plan: _Plan, grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The gradient of the weights, (output channels, channels, 3, 3), from the output's and from the input.

    >>> x, grad = np.ones((16, 16, 6, 6), np.float32), np.ones((16, 16, 4, 4), np.float32)
    >>> plan = tile_plan(x.shape, (16, 16, 3, 3), (1, 1), (0, 0), (1, 1), 1)
    >>> correlate(plan, grad, x)[0, 0].round(3)
    array([[256., 256., 256.],
           [256., 256., 256.],
           [256., 256., 256.]], dtype=float32)
    """
    _, groups, channels, out_channels, *_ = plan.sizes
    x_lanes, grad_lanes = plan.sizes[15:17]
    tasks = tasks_for(plan, plan.chunks)
    products = np.empty((groups, PRODUCTS, x_lanes, grad_lanes), np.float32)
    launch(
        _correlate_tasks, (tasks - 1) * PARALLEL_FROM, tasks, products.reshape(-1), plain(grad), plain(x),
        scratch_memory(LINE + tasks * plan.scratch + plan.chunks * plan.partial), plan.scratch, plan.chunks,
        plan.partial, plan.units // groups, plan.sizes, plan[1:4],
    )  # fmt: skip
    with np.errstate(all="ignore"):  # NaN and inf go through
        # A product a channel: one of all would be large enough for BLAS to share it among its threads, which then keep
        # the cores for 0.4 ms.
        dw = KERNEL_TO_PRODUCTS.T @ products.transpose(0, 2, 1, 3)[:, :channels, :, :out_channels]
    return dw.transpose(0, 3, 1, 2).reshape(groups * out_channels, channels, 3, 3)


@compile_parallel(fastmath=False)
def _correlate_tasks(tasks, products, grad, x, scratch, each, chunks, partial, units, sizes, tables):
    zero(scratch, LINE)
    partials = scratch + 4 * (LINE + np.int64(tasks) * each)
    for task in prange(tasks):
        plane = scratch + 4 * (LINE + np.int64(task) * each)
        _correlate_chunks(scratch, chunks, grad, x, plane, partials, partial, units, sizes, tables)
    for k in prange(PRODUCTS):
        size = products.size // PRODUCTS
        for i in range(np.int64(k) * size, np.int64(k + 1) * size, LANES):
            _sum_vectors(address(products) + 4 * i, partials + 4 * i, partial, chunks)


@compile_serial()
def _correlate_chunks(counter, chunks, grad_array, x_array, plane_, partials, partial, units, sizes, tables):
    """Chunks, as claimed: fixed shares of the units (block of images, band of tiles) with sums of their own."""
    grad, x = address(grad_array), address(x_array)
    (
        n, groups, in_channels, out_channels, height, width, rows, cols, padding, tile_rows, tile_cols, band, block,
        x_pitch, grad_pitch, x_lanes, grad_lanes, x_stride, grad_stride, plane,
    ) = sizes  # fmt: skip
    x_pack, grad_pack, corners = tables
    bands = -(-tile_rows // band)
    x_tiles = plane_ + 4 * plane
    grad_tiles = x_tiles + 4 * PRODUCTS * x_stride
    spare = grad_tiles + 4 * PRODUCTS * grad_stride
    zero(spare, LANES)
    chunk = claim(counter)
    while chunk < chunks:
        sums = partials + 4 * chunk * partial
        zero(sums, partial)
        for unit in range(units * chunk // chunks, units * (chunk + 1) // chunks):
            image, tile_row = unit // bands * block, unit % bands * band
            images, tile_lines = min(block, n - image), min(tile_rows - tile_row, band)
            tiles = tile_lines * tile_cols
            top, row = tile_row * TILE - padding, tile_row * TILE
            first, last = max(0, top), min(height, top + tile_lines * TILE + 2)
            row_end = min(rows, row + tile_lines * TILE)
            for group in range(groups):
                zero(plane_, plane)
                for j in range(images):
                    for c in range(0, in_channels, LANES):
                        channel = ((image + j) * groups + group) * in_channels + c
                        images_to_lanes(
                            plane_, address(x_pack) + 8 * (first - top) * width,
                            x + 4 * (channel * height + first) * width, height * width,
                            min(LANES, in_channels - c), max(0, last - first) * width, spare,
                        )  # fmt: skip
                        for t in range(tiles):
                            transform_pixels(
                                x_tiles + 4 * ((j * tiles + t) * x_lanes + c), x_stride, plane_ + 4 * corners[0, t],
                                x_pitch,
                            )  # fmt: skip
                zero(plane_, plane)
                for j in range(images):
                    for c in range(0, out_channels, LANES):
                        channel = ((image + j) * groups + group) * out_channels + c
                        images_to_lanes(
                            plane_, address(grad_pack), grad + 4 * (channel * rows + row) * cols, rows * cols,
                            min(LANES, out_channels - c), (row_end - row) * cols, spare,
                        )  # fmt: skip
                        for t in range(tiles):
                            _transform_grads(
                                grad_tiles + 4 * ((j * tiles + t) * grad_lanes + c), grad_stride,
                                plane_ + 4 * corners[1, t], grad_pitch,
                            )  # fmt: skip
                for k in range(PRODUCTS):
                    _multiply(
                        sums + 4 * (group * PRODUCTS + k) * x_lanes * grad_lanes, x_tiles + 4 * k * x_stride, x_lanes,
                        grad_tiles + 4 * k * grad_stride, grad_lanes, images * tiles,
                    )  # fmt: skip
        chunk = claim(counter)


@compile_serial()
def _multiply(out, x, x_lanes, grad, grad_lanes, tiles):
    """out[c, o] += Σ_t x[t, c] · grad[t, o]."""
    for o in range(0, grad_lanes, VECTORS * LANES):
        if grad_lanes - o >= VECTORS * LANES:
            for c in range(0, x_lanes, CHANNELS):
                _multiply_wide(out + 4 * (c * grad_lanes + o), x + 4 * c, x_lanes, grad + 4 * o, grad_lanes, tiles)
        else:
            for c in range(0, x_lanes, CHANNELS * VECTORS):
                _multiply_high(out + 4 * (c * grad_lanes + o), x + 4 * c, x_lanes, grad + 4 * o, grad_lanes, tiles)


def _multiplier(height: int, vectors: int):
    """The intrinsic for `height` channels of x by so many vectors of the gradient, all sums in registers."""

    @intrinsic
    def multiply(typingctx, out, x, x_stride, grad, grad_stride, count):
        def generate(context, builder, signature, args):
            out, x, x_stride, grad, grad_stride, count = args
            out, x, grad = floats(builder, out), floats(builder, x), floats(builder, grad)
            rows = [builder.gep(out, [builder.mul(I64(c), grad_stride)]) for c in range(height)]

            def step(t, sums):
                keep_order(builder)
                factors = builder.gep(x, [builder.mul(t, x_stride)])
                place = builder.gep(grad, [builder.mul(t, grad_stride)])
                others = [load(builder, place, v * LANES) for v in range(vectors)]
                for c in range(height):
                    factor = splat(builder, element(builder, factors, I64(c)))
                    for v in range(vectors):
                        sums[c * vectors + v] = multiply_add(builder, factor, others[v], sums[c * vectors + v])
                return sums

            start = [ir.Constant(VECTOR, [0.0] * LANES)] * (height * vectors)
            for i, total in enumerate(loop(builder, count, start, step)):
                row, v = rows[i // vectors], i % vectors * LANES
                store(builder, builder.fadd(load(builder, row, v), total), row, v)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), generate

    return multiply


_multiply_wide, _multiply_high = _multiplier(CHANNELS, VECTORS), _multiplier(CHANNELS * VECTORS, 1)


@intrinsic
def _transform_grads(typingctx, out, out_stride, grad, pitch):
    """out[6 r + c] = (A g Aᵀ)[r, c] of the 4×4 gradients g[i, j] = grad[i, j]; all are vectors."""

    def generate(context, builder, signature, args):
        out, out_stride, grad, pitch = args
        out, grad = floats(builder, out), floats(builder, grad)
        lines = [builder.gep(grad, [builder.mul(I64(r), pitch)]) for r in range(TILE)]
        columns = [spread(builder, [load(builder, line, c * LANES) for line in lines]) for c in range(TILE)]
        for r in range(READ):
            for c, value in enumerate(spread(builder, [column[r] for column in columns])):
                store(builder, value, builder.gep(out, [builder.mul(I64(READ * r + c), out_stride)]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@intrinsic
def _sum_vectors(typingctx, out, x, step, count):
    """out[0] = Σ_j x[j · step] for j < count, in this order; all are vectors."""

    def generate(context, builder, signature, args):
        out, x, step, count = args
        out, x = floats(builder, out), floats(builder, x)

        def add(j, sums):
            return [builder.fadd(sums[0], load(builder, builder.gep(x, [builder.mul(j, step)])))]

        store(builder, loop(builder, count, [ir.Constant(VECTOR, [0.0] * LANES)], add)[0], out)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate
