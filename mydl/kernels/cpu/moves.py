"""Copies between images and planes on explicit vectors, for kernels that Numba compiles.

Addresses (of float32) are plain integers; strides, offsets and counts are in elements.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mydl.kernels.cpu.compiler import compile_serial
from mydl.kernels.cpu.vectors import F32, I32, I64, LANES, element, floats, integers, load, store, transpose

__all__ = [
    "copy_row", "gather_row", "images_to_lanes", "lanes_to_images", "prefetch", "prefetch_results",
    "scatter_row", "sum_chunks", "zero",
]  # fmt: skip


@intrinsic
def _transpose_in(typingctx, out, positions, x, stride, images, spare):
    """out[positions[i]] = the vector of x[j, i] over j, for i, j < LANES; `spare` is x[j] for j ≥ images."""

    def generate(context, builder, signature, args):
        out, positions, x, stride, images, spare = args
        vectors = [load(builder, p) for p in _image_rows(builder, x, stride, images, spare)]
        out, positions = floats(builder, out), integers(builder, positions)
        for i, vector in enumerate(transpose(builder, vectors)):
            store(builder, vector, builder.gep(out, [element(builder, positions, I64(i))]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@intrinsic
def _transpose_out(typingctx, out, stride, images, spare, x, positions):
    """out[j, i] = lane j of the vector x[positions[i]], i, j < LANES; `spare` is out[j] for j ≥ images."""

    def generate(context, builder, signature, args):
        out, stride, images, spare, x, positions = args
        x, positions = floats(builder, x), integers(builder, positions)
        places = [builder.gep(x, [element(builder, positions, I64(i))]) for i in range(LANES)]
        vectors = transpose(builder, [load(builder, place) for place in places])
        rows = _image_rows(builder, out, stride, images, spare)
        for row, vector in zip(rows, vectors, strict=True):
            store(builder, vector, row)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@compile_serial()
def images_to_lanes(out, positions, x, stride, images, count, spare):
    """Lane j of the vector out[positions[i]] = x[j, i] for i < count, or 0 for j ≥ images.

    `spare` is the address of LANES zeros.
    """
    if count >= LANES:
        for i in range(0, count - LANES, LANES):
            _transpose_in(out, positions + 8 * i, x + 4 * i, stride, images, spare)
        i = count - LANES  # overlaps the block before
        _transpose_in(out, positions + 8 * i, x + 4 * i, stride, images, spare)
    else:
        for i in range(count):
            place = out + 4 * _load_integer(positions + 8 * i)
            for j in range(LANES):
                _store_1(place + 4 * j, _load_1(x + 4 * (j * stride + i)) if j < images else np.float32(0))


@compile_serial()
def lanes_to_images(out, stride, images, x, positions, count, spare):
    """out[j, i] = lane j of the vector x[positions[i]] for i < count, j < images.

    `spare` is the address of room for LANES elements.
    """
    if count >= LANES:
        for i in range(0, count - LANES, LANES):
            _transpose_out(out + 4 * i, stride, images, spare, x, positions + 8 * i)
        i = count - LANES  # overlaps the block before
        _transpose_out(out + 4 * i, stride, images, spare, x, positions + 8 * i)
    else:
        for i in range(count):
            place = x + 4 * _load_integer(positions + 8 * i)
            for j in range(images):
                _store_1(out + 4 * (j * stride + i), _load_1(place + 4 * j))


@compile_serial()
def copy_row(out, x, count):
    """out[i] = x[i] for i < count, in the widest vectors that fit; the last one overlaps the one before."""
    if count >= 16:
        for i in range(0, count - 16, 16):
            _copy_16(out + 4 * i, x + 4 * i)
        _copy_16(out + 4 * (count - 16), x + 4 * (count - 16))
    elif count >= 8:
        _copy_8(out, x)
        _copy_8(out + 4 * (count - 8), x + 4 * (count - 8))
    elif count >= 4:
        _copy_4(out, x)
        _copy_4(out + 4 * (count - 4), x + 4 * (count - 4))
    else:
        for i in range(count):
            _store_1(out + 4 * i, _load_1(x + 4 * i))


@compile_serial()
def gather_row(out, x, step, count):
    """out[i] = x[i · step] for i < count."""
    for i in range(count):
        _store_1(out + 4 * i, _load_1(x + 4 * i * step))


@compile_serial()
def scatter_row(out, step, x, count):
    """out[i · step] = x[i] for i < count."""
    for i in range(count):
        _store_1(out + 4 * i * step, _load_1(x + 4 * i))


@compile_serial()
def zero(out, count):
    """out[i] = 0 for i < count."""
    for i in range(0, count - 15, 16):
        _zero_16(out + 4 * i)
    for i in range(count // 16 * 16, count):
        _store_1(out + 4 * i, np.float32(0))


@compile_serial()
def sum_chunks(out, count, x, step, chunk_step, chunks):
    """out[i] = Σ_j x[i · step + j · chunk_step] for i < count, in the order of j < chunks."""
    for i in range(count):
        total = np.float32(0)
        for j in range(chunks):
            total += _load_1(x + 4 * (i * step + j * chunk_step))
        _store_1(out + 4 * i, total)


@compile_serial()
def prefetch(first, end):
    """Ask for the memory from address `first` to `end`, without waiting for it; return `end`."""
    for address in range(first, end, 64):
        _prefetch_to_read(address)
    return end


@compile_serial()
def prefetch_results(out, image_size, images, channel_size, channels, count, part, parts):
    """Ask for a part of the memory that will be written: the first `count` elements of each channel of each image."""
    runs = images * channels
    for run in range(runs * part // parts, runs * (part + 1) // parts):
        first = out + 4 * (run // channels * image_size + run % channels * channel_size)
        for address in range(first, first + 4 * count, 64):
            _prefetch_to_write(address)


def _prefetcher(write: int, level: int):
    """The intrinsic that brings the cache line of an address to the second-level cache, or (level 3) to the first."""

    @intrinsic
    def prefetch_line(typingctx, address):
        def generate(context, builder, signature, args):
            byte = ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
            function = builder.module.globals.get("llvm.prefetch")
            if function is None:
                function = ir.Function(builder.module, kind, "llvm.prefetch")
            data = I32(1)
            builder.call(function, [builder.inttoptr(args[0], byte), I32(write), I32(level), data])
            return context.get_dummy_value()

        return types.void(types.int64), generate

    return prefetch_line


_prefetch_to_read, _prefetch_to_write = _prefetcher(0, 2), _prefetcher(1, 3)


@intrinsic
def _load_1(typingctx, x):
    """The float32 at an address."""

    def generate(context, builder, signature, args):
        return builder.load(floats(builder, args[0]))

    return types.float32(types.int64), generate


@intrinsic
def _load_integer(typingctx, x):
    """The int64 at an address."""

    def generate(context, builder, signature, args):
        return builder.load(integers(builder, args[0]))

    return types.int64(types.int64), generate


@intrinsic
def _store_1(typingctx, out, value):
    """Write a float32 to an address."""

    def generate(context, builder, signature, args):
        builder.store(args[1], floats(builder, args[0]))
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), generate


@intrinsic
def _zero_16(typingctx, out):
    """Write 16 zeros to an address."""

    def generate(context, builder, signature, args):
        store(builder, ir.Constant(ir.VectorType(F32, 16), [0.0] * 16), floats(builder, args[0]))
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _copier(lanes: int):
    """The intrinsic that copies so many float32 from the second address to the first."""

    @intrinsic
    def copy(typingctx, out, x):
        def generate(context, builder, signature, args):
            out, x = (floats(builder, a) for a in args)
            store(builder, load(builder, x, 0, lanes), out)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return copy


_copy_4, _copy_8, _copy_16 = (_copier(lanes) for lanes in (4, 8, 16))


def _image_rows(builder, address, stride, images, spare):
    """Pointers to rows of LANES images, `stride` apart, of which those from `images` on are `spare`."""
    first, spare = floats(builder, address), floats(builder, spare)
    rows = [builder.gep(first, [builder.mul(I64(j), stride)]) for j in range(LANES)]
    return [builder.select(builder.icmp_signed("<", I64(j), images), row, spare) for j, row in enumerate(rows)]
