"""Convolution tap by tap: images packed into planes (`planes.py`), under register tiles (`microkernel.py`)."""

from __future__ import annotations

import threading

import numpy as np
from numba import prange
from numba.np.unsafe.ndarray import to_fixed_tuple

from mydl import backend
from mydl.kernels.cpu.compiler import compile_parallel, compile_serial
from mydl.kernels.cpu.microkernel import CHANNELS, TAPS, VECTORS, convolve_tile, correlate_tile
from mydl.kernels.cpu.moves import (
    copy_row,
    gather_row,
    images_to_lanes,
    lanes_to_images,
    prefetch,
    scatter_row,
    sum_chunks,
    zero,
)  # fmt: skip
from mydl.kernels.cpu.parallel import LINE, PARALLEL_FROM, claim, launch
from mydl.kernels.cpu.planes import SIZES, Plan, Tables
from mydl.kernels.cpu.vectors import LANES

__all__ = ["address", "convolve", "correlate", "plain", "scratch_memory", "tasks_for"]

_TABLES = len(Tables._fields)
_CHUNKS = 16  # partial sums of a weight gradient, whatever the number of threads, so that the bits are the same
_PARTIAL_BYTES = 64 * 2**20  # but no more memory than this for them
_VECTORS_AT_A_TIME = 64  # of the output's gradient: CHANNELS rows of them fit the first-level cache
# Some 15 µs: as long as it takes to share the work with a thread that still waits for some (`parallel._start_threads`)
# and to bring data from its cache, so that two threads with half of that each would win nothing. And a thread whose
# core is busy is waited for in vain.
_OPERATIONS_WORTH_A_THREAD = 1_000_000
_local = threading.local()


def scratch_memory(size: int) -> int:
    """Address of so many float32, aligned to a cache line.

    The memory is the calling thread's own and kept for its next call.
    """
    if getattr(_local, "size", 0) < size:
        _local.memory, _local.size = np.empty(size + 16, np.float32), size
        _local.address = (_local.memory.ctypes.data + 63) // 64 * 64
    return _local.address


def plain(x: np.ndarray) -> np.ndarray:
    """The array, or a copy that is C-contiguous, aligned and writable: kernels are compiled for such ones alone."""
    return x if x.flags.carray else x.copy()


def tasks_for(plan: Plan, pieces: int) -> int:
    """Among how many threads to share the work: one each for what takes at least as long as to wake it.

    Sums in the kernels that are shared so are in their own order (`fastmath=False`): compiled for one thread alone they
    must have the bits that they have on many.
    """
    return max(1, min(backend.get_num_threads(), pieces, plan.operations // _OPERATIONS_WORTH_A_THREAD))


def convolve(plan: Plan, x, w, b, b_stride: int, y) -> None:
    """Fill y according to the plan; the bias of result channel o is b[o · b_stride]."""
    arrays = y, plain(x), plain(w), plain(b), b_stride
    tasks = tasks_for(plan, plan.units)
    each = plan.scratch + len(plan.tables.passes) * CHANNELS * plan.sizes[-1] + 2 * LANES
    scratch = scratch_memory(LINE + tasks * each)
    launch(_convolve_tasks, (tasks - 1) * PARALLEL_FROM, tasks, *arrays, scratch, each, plan.units, plan.packed)


@compile_parallel(fastmath=False)
def _convolve_tasks(tasks, y, x, w, b, b_stride, scratch, each, units, packed):
    zero(scratch, LINE)
    for task in prange(tasks):
        _convolve_units(scratch, y, x, w, b, b_stride, scratch + 4 * (LINE + np.int64(task) * each), units, packed)


@compile_serial()
def address(table):
    """Where a table begins, signed like every other integer here."""
    return np.int64(table.ctypes.data)


@compile_serial()
def _unpacked(packed):
    """(sizes, tables) of a `planes.Plan`, each table flat: to reshape one Numba would import a good part of itself."""
    ends = packed[SIZES : SIZES + _TABLES]
    phases, passes = packed[SIZES + _TABLES : ends[0]], packed[ends[0] : ends[1]]
    x_offsets, w_offsets = packed[ends[1] : ends[2]], packed[ends[2] : ends[3]]
    x_positions, pack, store = packed[ends[3] : ends[4]], packed[ends[4] : ends[5]], packed[ends[5] : ends[6]]
    return to_fixed_tuple(packed, SIZES), (phases, passes, x_offsets, w_offsets, x_positions, pack, store)


@compile_serial()
def _convolve_units(counter, y_array, x_array, w_array, b_array, b_stride, planes, units, packed):
    """One unit (group, block of images, band of rows) after another, as claimed: pack, convolve, store."""
    y, x, w, b = address(y_array), address(x_array), address(w_array), address(b_array)
    sizes, (phases, passes, x_offsets, w_offsets, x_positions, pack, store) = _unpacked(packed)
    in_lanes, n, groups, in_channels, out_channels = sizes[:5]
    w_group, w_channel, pitch, lines, _, plane, block, band, rows, cols, _, _, _, run_stride = sizes[13:]
    bands, blocks = -(-rows // band), -(-n // block)
    held = in_channels * (len(phases) // 4) * plane
    results = planes + 4 * held
    spare = results + 4 * (len(passes) // 6) * CHANNELS * run_stride
    zero(planes, held)
    zero(spare, 2 * LANES)
    unit = claim(counter)
    while unit < units:
        group, image, row = unit // bands // blocks, unit // bands % blocks * block, unit % bands * band
        images, end_row = min(block, n - image), min(rows, row + band)
        _pack(planes, x, group, image, images, row, end_row, spare, sizes, phases, pack)
        if in_lanes:
            vectors = (end_row - row) * cols
        else:
            vectors = -(-(((images - 1) * lines + end_row - row - 1) * pitch + cols) // LANES)
        tiles = -(-vectors // VECTORS) * (len(passes) // 6) * -(-out_channels // CHANNELS)
        ahead, ahead_end, ahead_step = _following(
            x, image + images, images, tiles, in_channels, sizes[5], sizes[6], sizes
        )
        for o in range(0, out_channels, CHANNELS):
            channels = min(CHANNELS, out_channels - o)
            for p in range(len(passes) // 6):
                first, end = passes[6 * p], passes[6 * p + 1]
                for v in range(0, vectors, VECTORS):
                    ahead = prefetch(ahead, min(ahead_end, ahead + ahead_step))
                    convolve_tile(
                        results + 4 * (p * CHANNELS * run_stride + v * LANES), run_stride,
                        planes, address(x_positions) + 8 * v,
                        w + 4 * (group * w_group + o * w_channel), w_channel,
                        b + 4 * b_stride * (group * out_channels + o), b_stride, channels,
                        address(x_offsets) + 8 * first, address(w_offsets) + 8 * first, end - first,
                    )  # fmt: skip
            channel = (image * groups + group) * out_channels + o
            _store(y, results, channel, channels, images, row, end_row, spare, sizes, passes, store)
        unit = claim(counter)


@compile_serial()
def _following(x, image, images, tiles, in_channels, height, width, sizes):
    """What to fetch while so many tiles are computed: (start, end, bytes per tile) of the next images.

    That hides the wait for it. Nothing where pieces of work are not whole images, one after another in
    memory.
    """
    n, groups, band, rows = sizes[1], sizes[2], sizes[20], sizes[21]
    if groups > 1 or band < rows:
        return x, x, 0
    image_size = 4 * in_channels * height * width
    size = max(0, min(images, n - image)) * image_size
    return x + image * image_size, x + image * image_size + size, -(-size // tiles // 64) * 64


@compile_serial()
def _pack(planes, x, group, image, images, row, end_row, spare, sizes, phases, pack):
    """Copy to the planes of a group's channels what result rows `row` to `end_row` read of some images."""
    in_lanes, _, groups, channels, _, height, width, step_v, step_h = sizes[:9]
    pitch, lines, origin, plane, _, band, rows, _, held, low, high, _ = sizes[15:]
    image_size = groups * channels * height * width
    x += 4 * (image * image_size + group * channels * height * width)
    if in_lanes:
        top = row * step_v + low  # the row of the image that the planes' first line is
        end = top + (end_row - row - 1) * step_v + high - low + 1
        first, last = max(0, top), min(height, end)
        for c in range(channels):
            target = planes + 4 * c * plane
            if band < rows:  # else the lines above and below the image have been zero from the start
                for m in range(top, min(first, end)):
                    zero(target + 4 * pack[(m - top) * width], width * LANES)
                for m in range(max(last, top), end):
                    zero(target + 4 * pack[(m - top) * width], width * LANES)
            images_to_lanes(
                target, address(pack) + 8 * (first - top) * width, x + 4 * (c * height + first) * width,
                image_size, images, max(0, last - first) * width, spare,
            )  # fmt: skip
        return
    first, end = (0, held) if band == rows else (row + low, end_row + high)
    for j in range(images):
        for c in range(channels):
            source = x + 4 * (j * image_size + c * height * width)
            for f in range(len(phases) // 4):
                phase_v, phase_h, phase_rows, phase_cols = to_fixed_tuple(phases[4 * f :], 4)
                target = planes + 4 * ((c * (len(phases) // 4) + f) * plane + origin + (j * lines - row) * pitch)
                for r in range(first, end):
                    line = target + 4 * r * pitch
                    if r < 0 or r >= phase_rows:
                        zero(line, phase_cols)
                    elif step_h == 1:
                        copy_row(line, source + 4 * (r * step_v + phase_v) * width, phase_cols)
                    else:
                        gather_row(line, source + 4 * ((r * step_v + phase_v) * width + phase_h), step_h, phase_cols)


@compile_serial()
def _store(y, results, channel, channels, images, row, end_row, spare, sizes, passes, store):
    """Copy the results of a block of channels to y, from `channel` of all images' channels on."""
    in_lanes, _, groups, _, out_channels = sizes[:5]
    height, width, step_v, step_h = sizes[9:13]
    pitch, lines, run_stride = sizes[15], sizes[16], sizes[26]
    image_size = groups * out_channels * height * width
    for c in range(channels):
        source = results + 4 * c * run_stride
        target = y + 4 * (channel + c) * height * width
        if in_lanes:
            first, end = row * step_v, min(end_row * step_v, height)
            lanes_to_images(
                target + 4 * first * width, image_size, images, source, address(store),
                (end - first) * width, spare + 4 * LANES,
            )  # fmt: skip
            continue
        for p in range(len(passes) // 6):
            _, _, phase_v, phase_h, phase_rows, phase_cols = to_fixed_tuple(passes[6 * p :], 6)
            for j in range(images):
                for r in range(row, min(end_row, phase_rows)):
                    line = source + 4 * (p * CHANNELS * run_stride + (j * lines + r - row) * pitch)
                    place = target + 4 * (j * image_size + (r * step_v + phase_v) * width + phase_h)
                    if step_h == 1:
                        copy_row(place, line, phase_cols)
                    else:
                        scatter_row(place, step_h, line, phase_cols)


def correlate(plan: Plan, grad, x, groups: int, dw) -> None:
    """Fill dw, the gradient of the weights, according to the plan."""
    grad, x = plain(grad), plain(x)
    blocks = -(-len(dw) // groups // CHANNELS)
    partial = groups * blocks * len(plan.tables.x_offsets) * CHANNELS
    chunks = max(1, min(_CHUNKS, plan.units // groups, max(4, _PARTIAL_BYTES // (4 * partial))))
    tasks = tasks_for(plan, chunks)
    each = plan.scratch + blocks * CHANNELS * plan.sizes[-1] + 2 * LANES
    scratch = scratch_memory(LINE + tasks * each + chunks * partial)
    launch(
        _correlate_tasks, (tasks - 1) * PARALLEL_FROM, tasks, dw, grad, x, scratch, each, partial, chunks,
        plan.packed,
    )  # fmt: skip


@compile_parallel(fastmath=False)
def _correlate_tasks(tasks, dw, grad, x, scratch, each, partial, chunks, packed):
    zero(scratch, LINE)
    partials = scratch + 4 * (LINE + tasks * each)
    for task in prange(tasks):
        planes = scratch + 4 * (LINE + np.int64(task) * each)
        _correlate_chunks(scratch, chunks, grad, x, planes, partials, partial, packed)
    sizes, tables = _unpacked(packed)
    padded_taps = len(tables[2])
    groups, out_channels = sizes[2], sizes[4]
    blocks, taps = -(-out_channels // CHANNELS), dw.size // (groups * out_channels)
    for i in prange(groups * out_channels):
        channel = np.int64(i)
        group, o = channel // out_channels, channel % out_channels
        first = (group * blocks + o // CHANNELS) * padded_taps * CHANNELS + o % CHANNELS
        sum_chunks(address(dw) + 4 * channel * taps, taps, partials + 4 * first, CHANNELS, partial, chunks)


@compile_serial()
def _correlate_chunks(counter, chunks, grad_array, x_array, planes, partials, partial, packed):
    """Chunks, as claimed: fixed shares of the units (block of images, band of rows) with sums of their own."""
    grad, x = address(grad_array), address(x_array)
    sizes, (phases, _, x_offsets, _, x_positions, pack, store) = _unpacked(packed)
    in_lanes, n, groups, in_channels, out_channels = sizes[:5]
    pitch, lines, _, plane, block, band, rows, cols, _, _, _, run_stride = sizes[15:]
    bands = -(-rows // band)
    units = -(-n // block) * bands
    blocks = -(-out_channels // CHANNELS)
    held = in_channels * (len(phases) // 4) * plane
    grads = planes + 4 * held
    spare = grads + 4 * blocks * CHANNELS * run_stride
    zero(planes, held + blocks * CHANNELS * run_stride + 2 * LANES)
    chunk = claim(counter)
    while chunk < chunks:
        zero(partials + 4 * chunk * partial, partial)
        for unit in range(units * chunk // chunks, units * (chunk + 1) // chunks):
            image, row = unit // bands * block, unit % bands * band
            images, end_row = min(block, n - image), min(rows, row + band)
            run = ((images - 1) * lines + end_row - row - 1) * pitch + cols
            vectors = (end_row - row) * cols if in_lanes else -(-run // LANES)
            for group in range(groups):
                _pack(planes, x, group, image, images, row, end_row, spare, sizes, phases, pack)
                for o in range(out_channels):
                    target = grads + 4 * o * run_stride
                    source = grad + 4 * ((image * groups + group) * out_channels + o) * rows * cols
                    image_size = groups * out_channels * rows * cols
                    if in_lanes:
                        images_to_lanes(
                            target,
                            address(store),
                            source + 4 * row * cols,
                            image_size,
                            images,
                            vectors,
                            spare,
                        )
                        continue
                    for j in range(images):
                        for r in range(row, end_row):
                            line = target + 4 * (j * lines + r - row) * pitch
                            copy_row(line, source + 4 * (j * image_size + r * cols), cols)
                    zero(target + 4 * run, LANES)  # a longer run may have been here before
                tiles = -(-vectors // _VECTORS_AT_A_TIME) * (len(x_offsets) // TAPS) * blocks
                next_x, end_x, step_x = _following(
                    x, image + images, images, tiles, in_channels, sizes[5], sizes[6], sizes
                )
                next_g, end_g, step_g = _following(grad, image + images, images, tiles, out_channels, rows, cols, sizes)
                for o in range(blocks):
                    sums = partials + 4 * (chunk * partial + (group * blocks + o) * len(x_offsets) * CHANNELS)
                    for v in range(0, vectors, _VECTORS_AT_A_TIME):
                        for k in range(0, len(x_offsets), TAPS):
                            next_x = prefetch(next_x, min(end_x, next_x + step_x))
                            next_g = prefetch(next_g, min(end_g, next_g + step_g))
                            correlate_tile(
                                sums + 4 * k * CHANNELS, grads + 4 * (o * CHANNELS * run_stride + v * LANES),
                                run_stride, planes,
                                address(x_positions) + 8 * v, address(x_offsets) + 8 * k,
                                min(_VECTORS_AT_A_TIME, vectors - v),
                            )  # fmt: skip
        chunk = claim(counter)
