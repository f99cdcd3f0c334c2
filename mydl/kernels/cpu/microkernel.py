"""The innermost loops of the convolutions, on explicit vectors.

LLVM's own vectoriser keeps neither of the two blocks below in registers, so that their code is written out
here, in LLVM's language, through `numba.extending.intrinsic`. Addresses (of float32) are plain integers;
strides, offsets and counts are in elements. Nothing is checked and nothing needs to be aligned.

A *tile* is CHANNELS channels by TILE successive pixels: CHANNELS × VECTORS running sums (CHANNELS × TAPS for
the weight gradient), which with the operands of one step stay in the vector registers of the CPU.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from mydl.kernels.cpu.vectors import (
    I64,
    LANES,
    VECTOR,
    element,
    floats,
    integers,
    keep_order,
    load,
    loop,
    multiply_add,
    splat,
    store,
    sum_lanes,
)  # fmt: skip

__all__ = ["CHANNELS", "TAPS", "TILE", "VECTORS", "convolve_tile", "correlate_tile"]

CHANNELS = 4 if LANES == 8 else 8  # AVX2 has 16 vector registers, AVX-512 and NEON have 32
VECTORS = 2
TAPS = 3
TILE = VECTORS * LANES


@intrinsic
def convolve_tile(
    typingctx, out, out_stride, x, positions, w, w_stride, b, b_stride, channels, x_offsets, w_offsets, taps
):
    """out[o, v] = b[o] + Σ_k w[o, w_offsets[k]] · x[positions[v] + x_offsets[k]].

    Here o < CHANNELS, v < VECTORS and k < taps; out[o, v] and the pixels from x are vectors. Where fewer
    channels exist, rows of `out` from `channels` on repeat the last one. Positions and offsets are int64
    arrays.
    """

    def generate(context, builder, signature, args):
        out, out_stride, x, positions, w, w_stride, b, b_stride, channels, x_offsets, w_offsets, taps = args
        x, out = floats(builder, x), floats(builder, out)
        positions, x_offsets, w_offsets = (integers(builder, a) for a in (positions, x_offsets, w_offsets))
        places = [builder.gep(x, [element(builder, positions, I64(v))]) for v in range(VECTORS)]
        last = builder.sub(channels, I64(1))
        rows, start = [], []
        for o in range(CHANNELS):
            row = builder.select(builder.icmp_signed("<", I64(o), last), I64(o), last)
            rows.append(builder.gep(floats(builder, w), [builder.mul(row, w_stride)]))
            bias = builder.load(builder.gep(floats(builder, b), [builder.mul(row, b_stride)]))
            start += [splat(builder, bias)] * VECTORS

        def step(k, sums):
            keep_order(builder)
            offset = element(builder, x_offsets, k)
            vectors = [load(builder, builder.gep(place, [offset])) for place in places]
            offset = element(builder, w_offsets, k)
            for o in range(CHANNELS):
                weight = splat(builder, builder.load(builder.gep(rows[o], [offset])))
                for v in range(VECTORS):
                    sums[o * VECTORS + v] = multiply_add(builder, weight, vectors[v], sums[o * VECTORS + v])
            return sums

        sums = loop(builder, taps, start, step)
        for o in range(CHANNELS):
            row = builder.gep(out, [builder.mul(I64(o), out_stride)])
            for v in range(VECTORS):
                store(builder, sums[o * VECTORS + v], row, v * LANES)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 12), generate


@intrinsic
def correlate_tile(typingctx, out, grad, grad_stride, x, positions, offsets, vectors):
    """out[k, o] += Σ_v grad[o, v] · x[positions[v] + offsets[k]] for k < TAPS, o < CHANNELS, v < vectors.

    grad[o, v] and the pixels from x are vectors, whose products are summed over the lanes too. Positions and
    offsets are int64 arrays.
    """

    def generate(context, builder, signature, args):
        out, grad, grad_stride, x, positions, offsets, vectors = args
        positions, offsets = integers(builder, positions), integers(builder, offsets)
        rows = [builder.gep(floats(builder, grad), [builder.mul(I64(o), grad_stride)]) for o in range(CHANNELS)]
        x = floats(builder, x)
        taps = [builder.gep(x, [element(builder, offsets, I64(k))]) for k in range(TAPS)]

        def step(v, sums):
            keep_order(builder)
            position = element(builder, positions, v)
            pixels = [load(builder, builder.gep(tap, [position])) for tap in taps]
            p = builder.mul(v, I64(LANES))
            for o in range(CHANNELS):
                g = load(builder, builder.gep(rows[o], [p]))
                for k in range(TAPS):
                    sums[k * CHANNELS + o] = multiply_add(builder, g, pixels[k], sums[k * CHANNELS + o])
            return sums

        zero = ir.Constant(VECTOR, [0.0] * LANES)
        sums = loop(builder, vectors, [zero] * (TAPS * CHANNELS), step)
        out = floats(builder, out)
        for k in range(TAPS):
            position = k * CHANNELS
            for total in sum_lanes(builder, sums[k * CHANNELS : (k + 1) * CHANNELS]):
                before = load(builder, out, position, total.type.count)
                store(builder, builder.fadd(before, total), out, position)
                position += total.type.count
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), generate
