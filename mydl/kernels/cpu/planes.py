"""How convolutions lay out images in scratch memory, and which taps of a kernel read where.

A channel is copied to a *plane* in which zeros stand for the padding, so that a tap reads at a fixed distance
from its output's place, whichever output that is. Outputs are computed a vector at a time, in one of two
layouts:

- *images in lanes*: a vector holds the same pixel of LANES images. No lane is wasted whatever the size and
  stride of the image, but it takes batches of at least about LANES images, and a transposition to get there
  and back.
- *pixels in lanes*: a vector holds LANES successive pixels. Rows follow one another with a gap of zeros that
  is the right padding of one and the left padding of the next, likewise images; what is computed in the gaps
  is dropped. A step (stride) of more than 1 is made 1 by splitting an image into its phases x[a::s, b::s], a
  plane each.

Along one axis output i of a convolution with stride s reads x[i·s + t] at tap k; t = k·dilation − padding.
The input gradient turns this round: with (shift, phase) = divmod(t, s), dx[phase::s] at i takes
grad[i − shift].
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mydl.kernels.cpu.microkernel import CHANNELS, TAPS, TILE, VECTORS
from mydl.kernels.cpu.vectors import LANES

__all__ = ["SIZES", "Plan", "Tables", "forward_plan", "input_grad_plan"]

Pair = tuple[int, int]

SIZES = 27  # how many integers `_sizes` gives
_RUN = 1024  # pixels of a piece of work: CHANNELS rows of results then fit the first-level cache
_PIECES = 4  # of work at least, where there are rows enough, for as many threads
_PLANES = 512 * 1024  # bytes of planes that a thread works on at a time, to stay in the second-level cache


class Tables(NamedTuple):
    """int64 arrays for the compiled drivers; offsets and positions in elements.

    phases: a row per source plane of a channel: vertical phase, horizontal phase, rows, columns.
    passes: a row per phase of the result: first tap, end of taps, vertical phase, horizontal phase, rows,
        columns.
    x_offsets, w_offsets: per tap, where its pixels lie from an output's place, and its factor in the weights.
    x_positions: per vector of results, its place in a plane.
    pack, store: with images in lanes, the place in a plane of each pixel of the source, and the vector of
        each pixel of the result.
    """

    phases: np.ndarray
    passes: np.ndarray
    x_offsets: np.ndarray
    w_offsets: np.ndarray
    x_positions: np.ndarray
    pack: np.ndarray
    store: np.ndarray


class Plan(NamedTuple):
    """What the compiled drivers need to know besides the arrays.

    sizes: integers that `direct.py` unpacks by name, in the order of `_sizes`.
    packed: `sizes`, the place of the end of each table, and the tables: one array, since each costs time to hand over.
    units: how many pieces of work there are.
    scratch: float32 elements of a thread's planes.
    operations: multiplications and additions altogether.
    efficiency: share of the computed outputs that are wanted.
    """

    sizes: tuple[int, ...]
    tables: Tables
    packed: np.ndarray
    units: int
    scratch: int
    operations: int
    efficiency: float


class _Problem(NamedTuple):
    """A sum over the taps of each phase: result[phase + i·target_step] = Σ w · source[i·source_step + t].

    taps: per phase of the result a list of (position in the kernel, vertical t, horizontal t).
    weight_strides: by group, by result channel and by source channel.
    """

    images: int
    groups: int
    in_channels: int
    out_channels: int
    source_size: Pair
    source_step: Pair
    target_size: Pair
    target_step: Pair
    taps: dict[Pair, list[tuple[int, int, int]]]
    weight_strides: tuple[int, int, int]

    def results(self) -> Pair:
        """Rows and columns of the largest phase of the result."""
        return tuple(-(-self.target_size[a] // self.target_step[a]) for a in range(2))

    def reach(self, axis: int) -> Pair:
        """The least and the greatest t along an axis."""
        along = [tap[1 + axis] for taps in self.taps.values() for tap in taps]
        return min(along), max(along)


@lru_cache(maxsize=512)
def forward_plan(x_shape, w_shape, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Plan | None:
    """For y from x, and dw from grad and x; None where less than a fifth of the work would be of use."""
    (n, c, *size), (o, _, *kernel) = x_shape, w_shape
    along = _taps_along(kernel, padding, dilation)
    result = [(size[a] - 1 + padding[a] - along[a][-1]) // stride[a] + 1 for a in range(2)]
    taps = [(k * kernel[1] + l, v, h) for k, v in enumerate(along[0]) for l, h in enumerate(along[1])]
    strides = (o // groups * (c // groups) * len(taps), c // groups * len(taps), len(taps))
    problem = _Problem(n, groups, c // groups, o // groups, size, stride, result, (1, 1), {(0, 0): taps}, strides)
    return _better(problem)


@lru_cache(maxsize=512)
def input_grad_plan(x_shape, w_shape, y_size: Pair, stride, padding, dilation, groups: int) -> Plan | None:
    """For dx, of shape `x_shape`, from the gradient by y, whose planes have `y_size`; None as above."""
    (n, c, *size), (o, _, *kernel) = x_shape, w_shape
    if 16 * math.prod(y_size) * math.prod(stride) <= math.prod(size):
        return None  # dx is far larger than the gradient by y, and most factors would be zeros around that one
    along = _taps_along(kernel, padding, dilation)
    taps: dict[Pair, list] = {(a, b): [] for a in range(stride[0]) for b in range(stride[1])}
    for k, (shift_v, phase_v) in enumerate(divmod(t, stride[0]) for t in along[0]):
        for l, (shift_h, phase_h) in enumerate(divmod(t, stride[1]) for t in along[1]):
            taps[phase_v, phase_h].append((k * kernel[1] + l, -shift_v, -shift_h))
    area = kernel[0] * kernel[1]
    strides = (o // groups * (c // groups) * area, area, c // groups * area)
    problem = _Problem(n, groups, o // groups, c // groups, y_size, (1, 1), size, stride, taps, strides)
    return _better(problem)


def _taps_along(kernel, padding: Pair, dilation: Pair) -> list[list[int]]:
    """t of every tap, along each axis."""
    return [[k * dilation[a] - padding[a] for k in range(kernel[a])] for a in range(2)]


def _better(problem: _Problem) -> Plan | None:
    """The plan that wastes less; transposing images counts as 8% of the work, splitting phases as 30%."""
    images, pixels = _images_in_lanes(problem), _pixels_in_lanes(problem)
    phases = max(*problem.source_step, *problem.target_step) > 1
    plan = images if 0.92 * images.efficiency > (0.7 if phases else 1.0) * pixels.efficiency else pixels
    return plan if plan.efficiency >= 0.2 else None


def _images_in_lanes(problem: _Problem) -> Plan:
    """A place of a plane is a vector; a piece of work is LANES images by a band of result rows."""
    rows, cols = problem.results()
    (height, width), (step_v, step_h) = problem.source_size, problem.source_step
    (low_v, high_v), (low_h, high_h) = problem.reach(0), problem.reach(1)
    before, after = max(0, -low_h), max(0, (cols - 1) * step_h + high_h - (width - 1))
    pitch = width + max(before, after)
    blocks = -(-problem.images // LANES)
    lines_wanted = _PLANES // (4 * LANES * pitch * problem.in_channels)
    band_wanted = max(1, (lines_wanted - (high_v - low_v + 1)) // step_v + 1)
    bands = max(-(-rows // band_wanted), min(rows, -(-_PIECES // (blocks * problem.groups))))
    band = -(-rows // bands)
    lines = (band - 1) * step_v + high_v - low_v + 1
    plane = skewed((before + lines * pitch) * LANES)
    run_stride = skewed((band * cols + VECTORS) * LANES)

    def place(line, column):
        return (before + line * pitch + column) * LANES

    target_v, target_h = problem.target_step
    line, column = np.ogrid[: band * target_v, : problem.target_size[1]]
    passes = (line % target_v) * target_h + column % target_h
    store = passes * (CHANNELS * run_stride) + (line // target_v * cols + column // target_h) * LANES
    r, c = np.ogrid[:band, :cols]
    positions = ((r * step_v * pitch + c * step_h) * LANES).ravel()
    line, column = np.ogrid[:lines, :width]
    computed = blocks * LANES * (rows * cols + (VECTORS - 1) * -(-rows // band))
    return _plan(
        problem,
        _sizes(problem, True, pitch, lines, 0, plane, LANES, band, height, low_v, high_v, run_stride),
        [(0, 0, height, width)],
        lambda v, h: place(v - low_v, h),
        positions,
        (place(line, column).ravel(), store.ravel()),
        computed,
    )


def _pixels_in_lanes(problem: _Problem) -> Plan:
    """A place of a plane is a pixel; a piece of work is some images, or a band of rows of one."""
    rows, cols = problem.results()
    steps = problem.source_step
    used = sorted({(v % steps[0], h % steps[1]) for taps in problem.taps.values() for _, v, h in taps})
    axes = []  # per axis: elements held, zeros before the first, distance between lines
    for a, results in enumerate((rows, cols)):
        low, high = (t // steps[a] for t in problem.reach(a))
        longest = max(-(-(problem.source_size[a] - phase[a]) // steps[a]) for phase in used)
        held = max(0, min(longest, results + high))
        before, after = max(0, -low), max(0, results + high - held)
        axes.append((held, before, max(held + max(before, after), results)))
    (held, before_v, lines), (held_h, before_h, pitch) = axes
    low_v, high_v = (t // steps[0] for t in problem.reach(0))
    high_h = problem.reach(1)[1] // steps[1]
    run_wanted = min(_RUN, max(256, _PLANES // (4 * problem.in_channels * len(used))))
    block = 1
    if lines * pitch <= 2 * rows * cols:  # several images in one piece, but leave work for several threads
        block = max(1, min(run_wanted // (lines * pitch), problem.images // 8))
    bands = min(-(-_PIECES // (problem.images * problem.groups)), -(-rows * pitch // TILE))
    band = rows if block > 1 else max(1, min(-(-rows // bands), run_wanted // pitch))
    run = ((block - 1) * lines + band - 1) * pitch + cols
    vectors = -(-run // TILE) * VECTORS
    origin = before_v * pitch + before_h
    filled = ((block - 1) * lines + max(held, band + high_v)) * pitch
    plane = skewed(origin + max(filled, vectors * LANES + high_v * pitch + high_h))

    def place(v, h):
        phase = used.index((v % steps[0], h % steps[1]))
        return phase * plane + origin + v // steps[0] * pitch + h // steps[1]

    phases = [
        (a, b, min(held, -(-(problem.source_size[0] - a) // steps[0])),
         min(held_h, -(-(problem.source_size[1] - b) // steps[1]))) for a, b in used
    ]  # fmt: skip
    nowhere = np.zeros(1, np.int64)
    run_stride = skewed((vectors + 1) * LANES)
    return _plan(
        problem,
        _sizes(problem, False, pitch, lines, origin, plane, block, band, held, low_v, high_v, run_stride),
        phases,
        place,
        np.arange(vectors) * LANES,
        (nowhere, nowhere),
        -(-problem.images // block) * -(-rows // band) * vectors * LANES,
    )


def _sizes(problem: _Problem, in_lanes, pitch, lines, origin, plane, block, band, held, low, high, run_stride):
    """The integers for the drivers."""
    return (
        int(in_lanes), problem.images, problem.groups, problem.in_channels, problem.out_channels,
        *problem.source_size, *problem.source_step, *problem.target_size, *problem.target_step,
        *problem.weight_strides[:2], pitch, lines, origin, plane, block, band, *problem.results(), held, low,
        high, run_stride,
    )  # fmt: skip


def _plan(problem: _Problem, sizes, phases, place, positions, pack_store, computed: int) -> Plan:
    """What the two layouts have in common; for the first output, a tap with these t reads place(v, h)."""
    plane, block, band, rows, cols = sizes[18:23]
    channel = len(phases) * plane
    offsets, passes = [], []
    for phase, taps in problem.taps.items():
        first = len(offsets)
        offsets += [
            (c * channel + place(v, h), c * problem.weight_strides[2] + position)
            for c in range(problem.in_channels)
            for position, v, h in taps
        ]
        extent = [-(-(problem.target_size[a] - phase[a]) // problem.target_step[a]) for a in range(2)]
        passes.append((first, len(offsets), *phase, *extent))
    offsets += offsets[-1:] * (-len(offsets) % TAPS)  # so that `correlate_tile` can take TAPS at a time
    x_offsets, w_offsets = np.array(offsets, np.int64).reshape(-1, 2).T.copy()
    pixels = problem.images * rows * cols
    vectors = np.append(positions, positions[-1:].repeat(-len(positions) % VECTORS))
    tables = Tables(np.array(phases, np.int64), np.array(passes, np.int64), x_offsets, w_offsets, vectors, *pack_store)
    ends = SIZES + len(tables) + np.cumsum([table.size for table in tables])
    return Plan(
        sizes,
        tables,
        np.concatenate([sizes, ends, *map(np.ravel, tables)], dtype=np.int64),
        units=problem.groups * -(-problem.images // block) * -(-rows // band),
        scratch=problem.in_channels * channel,
        operations=2 * pixels * problem.groups * problem.out_channels * (len(offsets) or 1),
        efficiency=pixels / computed,
    )


def skewed(length: int) -> int:
    """Distance between rows of `length` elements.

    It is an odd number of cache lines, so that rows do not compete for the same places in the cache.
    """
    return (math.ceil(length / 32) * 2 + 1) * 16
