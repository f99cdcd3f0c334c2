"""The matrix product: panels of the second factor under register tiles.

A *panel* is WIDTH columns of the second factor, copied so that their rows follow one another; a *tile* of the result is
ROWS rows of a panel's columns. Each sum is one thread's, in the order of the first factor's columns, so that its bits
depend neither on the threads nor on the other rows. (Goto and van de Geijn, "Anatomy of High-Performance Matrix
Multiplication", 2008.)
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from mydl import backend
from mydl.kernels.cpu.compiler import compile_parallel, compile_serial
from mydl.kernels.cpu.direct import address, scratch_memory
from mydl.kernels.cpu.moves import copy_row, images_to_lanes, zero
from mydl.kernels.cpu.parallel import LINE, PARALLEL_FROM, claim, launch
from mydl.kernels.cpu.vectors import I64, LANES, VECTOR, floats, keep_order, load, loop, multiply_add, splat, store

__all__ = ["matmul"]

# The ROWS · VECTORS running sums, the VECTORS of a panel's row and a factor fit the registers: AVX2 has 16, AVX-512 32.
ROWS, VECTORS = (8, 3) if LANES == 16 else (6, 2)
WIDTH = VECTORS * LANES
_DEPTH = 512  # rows of a panel at a time: they stay in the second-level cache
_PIECES = 4  # of work for each thread, so that all end at about the same time
# Below that many rows the copy of the panels costs more than BLAS does, and below that many multiplications BLAS works
# on the caller's thread, as fast as this. Above, its other threads would go on waiting for work when it has ended, and
# take the cores from the kernels that follow.
_FEWEST_ROWS = 32
_FEWEST_COLUMNS = LANES  # fewer leave lanes of the vectors empty
_FEWEST_PRODUCTS = 1_000_000
_WIDE_ENOUGH = LANES > 4  # for vectors of four BLAS has better code
_MOST_COPIED = 2**22  # elements of a first factor that lies by columns; a larger one is read where it is
_NO_BIAS = np.empty(0, np.float32)


def matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None, bias: np.ndarray | None = None) -> np.ndarray:
    """a @ b + bias; see `reference.matmul`.

    >>> a, b = np.ones((40, 100), np.float32), np.ones((100, 300), np.float32)
    >>> matmul(a, b)[39, 299]
    np.float32(100.0)
    """
    if a.size >= _FEWEST_ROWS**2:  # what follows would cost as much as a smaller product
        if a.ndim > 2 and b.ndim == 2 and out is None and a.flags.c_contiguous:
            lines = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
            return matmul(lines, b, None, bias).reshape(*a.shape[:-1], b.shape[1])
        if _served(a, b, out, bias):
            return _by_tiles(a, b, out, _NO_BIAS if bias is None else bias)
    y = np.matmul(a, b, out)
    if bias is not None:
        y += bias
    return y


def _by_tiles(a: np.ndarray, b: np.ndarray, out: np.ndarray | None, bias: np.ndarray) -> np.ndarray:
    """a @ b, and to every row the bias where there is one."""
    (rows, depth), columns = a.shape, b.shape[1]
    (a_flat, a_turned), (b_flat, b_turned) = _in_order(a), _in_order(b)
    if out is None:
        out = np.empty((rows, columns), np.float32)
    threads, panels = backend.get_num_threads(), -(-columns // WIDTH)
    pieces = min(-(-threads * _PIECES // panels), -(-rows // _FEWEST_ROWS))
    tasks = min(threads, panels * pieces)
    starts = _row_starts(-(-depth // -(-depth // _DEPTH)))
    each = (len(starts) + ROWS + 2) * WIDTH
    copied = -(-rows // ROWS) * ROWS * depth if a_turned and a.size <= _MOST_COPIED else 0
    scratch = scratch_memory(LINE + tasks * each + copied)
    work = (tasks - 1) * PARALLEL_FROM
    copy, steps = 0, (1, 1, rows) if a_turned else (depth, depth, 1)
    if copied:
        copy, steps = scratch + 4 * (LINE + tasks * each), (depth, 1, ROWS)
        launch(_copy_by_blocks, work, copy, a_flat, rows, depth)
    launch(
        _product, work, tasks, out.reshape(-1), a_flat, copy, *steps, b_flat, b_turned, bias, rows, columns, depth,
        starts, pieces, scratch, each,
    )  # fmt: skip
    return out


def _served(a: np.ndarray, b: np.ndarray, out: np.ndarray | None, bias: np.ndarray | None) -> bool:
    """Whether the kernel takes the arrays, and is not slower than BLAS."""
    if not (_WIDE_ENOUGH and a.dtype == b.dtype == np.float32 and a.ndim == b.ndim == 2 and a.shape[1] == len(b)):
        return False
    if len(a) < _FEWEST_ROWS or b.shape[1] < _FEWEST_COLUMNS or a.size * b.shape[1] < _FEWEST_PRODUCTS:
        return False
    if bias is not None and not (bias.dtype == np.float32 and bias.flags.carray and bias.shape == b.shape[1:]):
        return False
    return out is None or (out.dtype == np.float32 and out.flags.carray and out.shape == (len(a), b.shape[1]))


def _in_order(a: np.ndarray) -> tuple[np.ndarray, bool]:
    """(the matrix's elements in the order of memory, whether that is by columns), writable as the kernel wants them.

    They are those of a copy where the matrix is contiguous neither by rows nor by columns, or read-only.
    """
    for matrix, turned in ((a, False), (a.T, True)):
        if matrix.flags.carray:
            return matrix.reshape(-1), turned
    return np.array(a, order="C").reshape(-1), False


@lru_cache(maxsize=64)
def _row_starts(depth: int) -> np.ndarray:
    """Where the rows of a panel begin."""
    return np.arange(depth) * WIDTH


@compile_parallel(fastmath=False)
def _copy_by_blocks(copy, a, rows, depth):
    """Copy a matrix that lies by columns so that tiles find what they need in a row: ROWS rows' elements, by columns.

    A tile that walked along the rows themselves would begin a new line, if not a new page, at every step.
    """
    for group in prange(-(-depth // LANES)):
        first = np.int64(group) * LANES
        for row in range(0, rows, ROWS):
            for k in range(first, min(first + LANES, depth)):
                copy_row(copy + 4 * (row * depth + k * ROWS), address(a) + 4 * (k * rows + row), min(ROWS, rows - row))


@compile_parallel(fastmath=False)
def _product(
    tasks, out, a, copy, a_block, a_row, a_step, b, b_turned, bias, rows, columns, depth, starts, pieces, scratch, each
):  # fmt: skip
    """Row r of the tiles from row i on is at a_block · i + a_row · r of a or its copy, its columns a_step apart."""
    zero(scratch, LINE)
    for task in prange(tasks):
        panel = scratch + 4 * (LINE + np.int64(task) * each)
        _multiply_units(
            scratch, out, copy if copy else address(a), a_block, a_row, a_step, b, b_turned, bias, rows, columns, depth,
            starts, pieces, panel,
        )  # fmt: skip


@compile_serial()
def _multiply_units(
    counter, out, a, a_block, a_row, a_step, b, b_turned, bias, rows, columns, depth, starts, pieces, panel
):  # fmt: skip
    """One unit (panel, piece of the rows) after another, as claimed."""
    zeros = panel + 4 * len(starts) * WIDTH
    first = zeros + 4 * WIDTH  # what the sums of a panel begin with: its part of the bias
    edge = first + 4 * WIDTH  # the tiles of a panel that is not full are computed here
    zero(zeros, 2 * WIDTH)
    blocks = -(-rows // ROWS)
    units = -(-columns // WIDTH) * pieces
    unit = claim(counter)
    while unit < units:
        column, piece = unit // pieces * WIDTH, unit % pieces
        width = min(WIDTH, columns - column)
        if len(bias):
            copy_row(first, address(bias) + 4 * column, width)
        for k in range(0, depth, len(starts)):
            deep = min(len(starts), depth - k)
            _pack(panel, address(b), k, deep, column, width, columns, depth, b_turned, address(starts), zeros)
            for block in range(blocks * piece // pieces, blocks * (piece + 1) // pieces):
                row = block * ROWS
                lines = min(ROWS, rows - row)
                place = address(out) + 4 * (row * columns + column)
                target, pitch = (place, columns) if width == WIDTH else (edge, WIDTH)
                if k and width < WIDTH:
                    for r in range(lines):
                        copy_row(edge + 4 * r * WIDTH, place + 4 * r * columns, width)
                before, before_pitch = (target, pitch) if k else (first, 0)
                factors = a + 4 * (row * a_block + k * a_step)
                if width > 2 * LANES:
                    _wide_tile(target, pitch, before, before_pitch, factors, a_row, a_step, lines, panel, deep)
                elif width > LANES:
                    _middle_tile(target, pitch, before, before_pitch, factors, a_row, a_step, lines, panel, deep)
                else:
                    _narrow_tile(target, pitch, before, before_pitch, factors, a_row, a_step, lines, panel, deep)
                if width < WIDTH:
                    for r in range(lines):
                        copy_row(place + 4 * r * columns, edge + 4 * r * WIDTH, width)
        unit = claim(counter)


@compile_serial()
def _pack(panel, b, k, deep, column, width, columns, depth, b_turned, starts, zeros):
    """Copy rows k to k + deep and `width` columns of b to a panel, and zeros to the rest of the vectors."""
    if b_turned:
        for v in range(0, width, LANES):
            source = b + 4 * ((column + v) * depth + k)
            images_to_lanes(panel + 4 * v, starts, source, depth, min(LANES, width - v), deep, zeros)
        return
    if width < WIDTH:
        zero(panel, deep * WIDTH)
    for i in range(deep):
        copy_row(panel + 4 * i * WIDTH, b + 4 * ((k + i) * columns + column), width)


def _tile(vectors: int):
    """The intrinsic that computes so many vectors of ROWS rows."""

    @intrinsic
    def tile(typingctx, out, pitch, before, before_pitch, a, a_row, a_step, lines, panel, depth):
        """out[r, v] = before[r, v] + Σ_k a[r, k] · panel[k, v] for r < ROWS, k < depth; all but a's are vectors.

        Rows from `lines` on are the last one once more.
        """

        def generate(context, builder, signature, args):
            out, pitch, before, before_pitch, a, a_row, a_step, lines, panel, depth = args
            out, before, a, panel = (floats(builder, address) for address in (out, before, a, panel))
            last = builder.sub(lines, I64(1))
            rows = [builder.select(builder.icmp_signed("<", I64(r), last), I64(r), last) for r in range(ROWS)]
            factors, starts, results = (
                [builder.gep(pointer, [builder.mul(row, step)]) for row in rows]
                for pointer, step in ((a, a_row), (before, before_pitch), (out, pitch))
            )

            def step(k, sums):
                keep_order(builder)
                line = builder.gep(panel, [builder.mul(k, I64(WIDTH))])
                columns = [load(builder, line, v * LANES) for v in range(vectors)]
                place = builder.mul(k, a_step)
                for r in range(ROWS):
                    factor = splat(builder, builder.load(builder.gep(factors[r], [place])))
                    for v in range(vectors):
                        sums[r * vectors + v] = multiply_add(builder, factor, columns[v], sums[r * vectors + v])
                return sums

            sums = loop(builder, depth, [ir.Constant(VECTOR, [0.0] * LANES)] * (ROWS * vectors), step)
            # All are loaded before any is stored: a row may be there twice.
            before = [load(builder, start, v * LANES) for start in starts for v in range(vectors)]
            totals = [builder.fadd(*pair) for pair in zip(before, sums, strict=True)]
            for r in range(ROWS):
                for v in range(vectors):
                    store(builder, totals[r * vectors + v], results[r], v * LANES)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), generate

    return tile


_wide_tile, _middle_tile, _narrow_tile = _tile(VECTORS), _tile(2), _tile(1)
