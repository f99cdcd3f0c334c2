"""Innermost loops on explicit vectors, for kernels that Numba compiles.

LLVM's own vectoriser keeps neither of the two blocks below in registers, so that their code is written out here, in
LLVM's language, through `numba.extending.intrinsic`. All of them take addresses (of float32) as plain integers;
strides, offsets and counts are in elements. Nothing is checked and nothing needs to be aligned.

A *tile* is CHANNELS channels by TILE successive pixels: CHANNELS × VECTORS running sums, which together with the
operands of one step just fill the vector registers of the CPU.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from mydl.kernels.cpu.parallel import compile_serial

__all__ = [
    "CHANNELS",
    "LANES",
    "TAPS",
    "TILE",
    "VECTORS",
    "convolve_tile",
    "copy_row",
    "correlate_tile",
    "gather_row",
    "images_to_lanes",
    "lanes_to_images",
    "prefetch",
    "scatter_row",
    "sum_chunks",
    "zero",
]


def _vector_lanes() -> int:
    """How many float32 fit one vector register of the CPU that Numba compiles for."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    if "+avx512f" in features:
        return 16
    return 8 if "+avx2" in features and "+fma" in features else 4


LANES = _vector_lanes()
CHANNELS = 4 if LANES == 8 else 8  # AVX2 has 16 vector registers, AVX-512 and NEON have 32
VECTORS = 2
TAPS = 3
TILE = VECTORS * LANES

_F32, _I32, _I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_F32, LANES)


@intrinsic
def convolve_tile(
    typingctx, out, out_stride, x, positions, w, w_stride, b, b_stride, channels, x_offsets, w_offsets, taps
):
    """out[o, v] = b[o] + Σ_k w[o, w_offsets[k]] · x[positions[v] + x_offsets[k]] for o < CHANNELS, v < VECTORS, k < taps.

    out[o, v] and the pixels from x are vectors. Where fewer channels exist, rows of `out` from `channels` on repeat
    the last one. Positions and offsets are int64 arrays.
    """

    def generate(context, builder, signature, args):
        out, out_stride, x, positions, w, w_stride, b, b_stride, channels, x_offsets, w_offsets, taps = args
        x, out = _floats(builder, x), _floats(builder, out)
        positions, x_offsets, w_offsets = (_integers(builder, a) for a in (positions, x_offsets, w_offsets))
        places = [builder.gep(x, [_element(builder, positions, _I64(v))]) for v in range(VECTORS)]
        last = builder.sub(channels, _I64(1))
        rows, start = [], []
        for o in range(CHANNELS):
            row = builder.select(builder.icmp_signed("<", _I64(o), last), _I64(o), last)
            rows.append(builder.gep(_floats(builder, w), [builder.mul(row, w_stride)]))
            bias = builder.load(builder.gep(_floats(builder, b), [builder.mul(row, b_stride)]))
            start += [_splat(builder, bias)] * VECTORS

        def step(k, sums):
            _keep_order(builder)
            offset = _element(builder, x_offsets, k)
            vectors = [_load(builder, builder.gep(place, [offset])) for place in places]
            offset = _element(builder, w_offsets, k)
            for o in range(CHANNELS):
                weight = _splat(builder, builder.load(builder.gep(rows[o], [offset])))
                for v in range(VECTORS):
                    sums[o * VECTORS + v] = _multiply_add(builder, weight, vectors[v], sums[o * VECTORS + v])
            return sums

        sums = _loop(builder, taps, start, step)
        for o in range(CHANNELS):
            row = builder.gep(out, [builder.mul(_I64(o), out_stride)])
            for v in range(VECTORS):
                _store(builder, sums[o * VECTORS + v], row, v * LANES)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 12), generate


@intrinsic
def correlate_tile(typingctx, out, grad, grad_stride, x, positions, offsets, vectors):
    """out[k, o] += Σ_v grad[o, v] · x[positions[v] + offsets[k]] for k < TAPS, o < CHANNELS, v < vectors.

    grad[o, v] and the pixels from x are vectors, whose products are summed over the lanes too. Positions and offsets
    are int64 arrays.
    """

    def generate(context, builder, signature, args):
        out, grad, grad_stride, x, positions, offsets, vectors = args
        positions, offsets = _integers(builder, positions), _integers(builder, offsets)
        rows = [
            builder.gep(_floats(builder, grad), [builder.mul(_I64(o), grad_stride)]) for o in range(CHANNELS)
        ]
        x = _floats(builder, x)
        taps = [builder.gep(x, [_element(builder, offsets, _I64(k))]) for k in range(TAPS)]

        def step(v, sums):
            _keep_order(builder)
            position = _element(builder, positions, v)
            pixels = [_load(builder, builder.gep(tap, [position])) for tap in taps]
            p = builder.mul(v, _I64(LANES))
            for o in range(CHANNELS):
                g = _load(builder, builder.gep(rows[o], [p]))
                for k in range(TAPS):
                    sums[k * CHANNELS + o] = _multiply_add(builder, g, pixels[k], sums[k * CHANNELS + o])
            return sums

        zero = ir.Constant(_VECTOR, [0.0] * LANES)
        sums = _loop(builder, vectors, [zero] * (TAPS * CHANNELS), step)
        out = _floats(builder, out)
        for k in range(TAPS):
            position = k * CHANNELS
            for total in _sum_lanes(builder, sums[k * CHANNELS : (k + 1) * CHANNELS]):
                before = _load(builder, out, position, total.type.count)
                _store(builder, builder.fadd(before, total), out, position)
                position += total.type.count
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), generate


@intrinsic
def _transpose_in(typingctx, out, positions, x, stride, images, spare):
    """out[positions[i]] = the vector of x[j, i] over j < LANES, for i < LANES; `spare` stands for x[j] from `images` on."""

    def generate(context, builder, signature, args):
        out, positions, x, stride, images, spare = args
        vectors = [_load(builder, p) for p in _image_rows(builder, x, stride, images, spare)]
        out, positions = _floats(builder, out), _integers(builder, positions)
        for i, vector in enumerate(_transpose(builder, vectors)):
            _store(builder, vector, builder.gep(out, [_element(builder, positions, _I64(i))]))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6), generate


@intrinsic
def _transpose_out(typingctx, out, stride, images, spare, x, positions):
    """out[j, i] = lane j of the vector x[positions[i]], for i, j < LANES; `spare` stands for out[j] from `images` on."""

    def generate(context, builder, signature, args):
        out, stride, images, spare, x, positions = args
        x, positions = _floats(builder, x), _integers(builder, positions)
        places = [builder.gep(x, [_element(builder, positions, _I64(i))]) for i in range(LANES)]
        vectors = _transpose(builder, [_load(builder, place) for place in places])
        rows = _image_rows(builder, out, stride, images, spare)
        for row, vector in zip(rows, vectors, strict=True):
            _store(builder, vector, row)
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
    """out[j, i] = lane j of the vector x[positions[i]] for i < count, j < images; `spare` has room for LANES."""
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
    for i in range(count):
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
    """Ask for the memory from address `first` to `end`, a cache line at a time, without waiting for it; return `end`."""
    for address in range(first, end, 64):
        _prefetch(address)
    return end


@intrinsic
def _prefetch(typingctx, address):
    """Bring the cache line of an address to the second-level cache."""

    def generate(context, builder, signature, args):
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, _I32, _I32, _I32])
        function = builder.module.globals.get("llvm.prefetch")
        if function is None:
            function = ir.Function(builder.module, kind, "llvm.prefetch")
        read, second_level, data = _I32(0), _I32(2), _I32(1)
        builder.call(function, [builder.inttoptr(args[0], byte), read, second_level, data])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@intrinsic
def _load_1(typingctx, x):
    """The float32 at an address."""

    def generate(context, builder, signature, args):
        return builder.load(_floats(builder, args[0]))

    return types.float32(types.int64), generate


@intrinsic
def _load_integer(typingctx, x):
    """The int64 at an address."""

    def generate(context, builder, signature, args):
        return builder.load(_integers(builder, args[0]))

    return types.int64(types.int64), generate


@intrinsic
def _store_1(typingctx, out, value):
    """Write a float32 to an address."""

    def generate(context, builder, signature, args):
        builder.store(args[1], _floats(builder, args[0]))
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), generate


def _copier(lanes: int):
    """The intrinsic that copies so many float32 from the second address to the first."""

    @intrinsic
    def copy(typingctx, out, x):
        def generate(context, builder, signature, args):
            out, x = (_floats(builder, a) for a in args)
            _store(builder, _load(builder, x, 0, lanes), out)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return copy


_copy_4, _copy_8, _copy_16 = (_copier(lanes) for lanes in (4, 8, 16))


def _floats(builder, address):
    """The address as a pointer to float32."""
    return builder.inttoptr(address, _F32.as_pointer())


def _integers(builder, address):
    """The address as a pointer to int64."""
    return builder.inttoptr(address, _I64.as_pointer())


def _element(builder, pointer, index):
    return builder.load(builder.gep(pointer, [index]))


def _image_rows(builder, address, stride, images, spare):
    """Pointers to rows of LANES images, `stride` apart, of which those from `images` on are `spare`."""
    first, spare = _floats(builder, address), _floats(builder, spare)
    rows = [builder.gep(first, [builder.mul(_I64(j), stride)]) for j in range(LANES)]
    return [
        builder.select(builder.icmp_signed("<", _I64(j), images), row, spare) for j, row in enumerate(rows)
    ]


def _transpose(builder, vectors):
    """Vector i of the result holds lane i of every vector: exchange blocks of 1, 2, 4, … lanes between pairs."""
    vectors, block = list(vectors), 1
    while block < LANES:
        lanes = range(LANES)
        low = [lane + LANES - block if lane & block else lane for lane in lanes]
        high = [lane + LANES if lane & block else lane + block for lane in lanes]
        for i in (i for i in lanes if not i & block):
            a, b = vectors[i], vectors[i + block]
            vectors[i], vectors[i + block] = (
                builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, LANES), mask))
                for mask in (low, high)
            )
        block *= 2
    return vectors


def _load(builder, pointer, offset: int = 0, lanes: int = LANES):
    vector = ir.VectorType(_F32, lanes).as_pointer()
    return builder.load(builder.bitcast(builder.gep(pointer, [_I64(offset)]), vector), align=4)


def _store(builder, value, pointer, offset: int = 0) -> None:
    builder.store(
        value, builder.bitcast(builder.gep(pointer, [_I64(offset)]), value.type.as_pointer()), align=4
    )


def _splat(builder, scalar):
    """A vector whose lanes all hold the scalar."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, _I32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES))


def _multiply_add(builder, a, b, c):
    """a · b + c, rounded once where the CPU can."""
    name = f"llvm.fmuladd.v{LANES}f32"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), name)
    return builder.call(function, [a, b, c])


def _keep_order(builder) -> None:
    """No load moves across this point: LLVM would load every operand early, and the sums would spill to memory."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", (), True)


def _loop(builder, count, start, step):
    """Values after `values = step(i, values)` for i in range(count), from the values `start`."""
    before = builder.block
    head, body, done = (builder.append_basic_block(name) for name in ("head", "body", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(_I64)
    values = [builder.phi(value.type) for value in start]
    builder.cbranch(builder.icmp_signed("<", i, count), body, done)
    builder.position_at_end(body)
    after = step(i, list(values))
    following = builder.add(i, _I64(1))
    for phi, first, next_ in zip([i, *values], [_I64(0), *start], [following, *after], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, builder.block)
    builder.branch(head)
    builder.position_at_end(done)
    return values


def _sum_lanes(builder, vectors):
    """The sum over the lanes of each vector, the sums side by side in as few vectors as hold them.

    Neighbouring lanes of two vectors are added and the halves put in one vector, until every lane is a sum.
    """
    lanes_each = LANES
    while lanes_each > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True) if len(vectors) > 1 else [(vectors[0], None)]
        vectors = [_add_neighbours(builder, a, b) for a, b in pairs]
        lanes_each //= 2
    return vectors


def _add_neighbours(builder, a, b):
    """[a0 + a1, a2 + a3, …, b0 + b1, b2 + b3, …]; without b only the first half."""
    lanes = a.type.count * (1 if b is None else 2)
    even, odd = (
        builder.shuffle_vector(
            a,
            ir.Constant(a.type, ir.Undefined) if b is None else b,
            ir.Constant(ir.VectorType(_I32, lanes // 2), list(range(first, lanes, 2))),
        )
        for first in (0, 1)
    )
    return builder.fadd(even, odd)
