"""Instructions on vectors of float32, put together in LLVM's language for Numba's intrinsics.

Everything here takes an `ir.IRBuilder` and values, and appends instructions. Addresses are plain integers to
Numba; strides, offsets and counts are in elements. Nothing is checked and nothing needs to be aligned.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core.registry import cpu_target

__all__ = [
    "F32", "I32", "I64", "LANES", "VECTOR", "element", "floats", "integers", "keep_order", "load", "loop",
    "multiply_add", "splat", "store", "sum_lanes", "transpose",
]  # fmt: skip


def _vector_lanes() -> int:
    """How many float32 fit one vector register of the CPU that Numba compiles for."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    if "+avx512f" in features:
        return 16
    return 8 if "+avx2" in features and "+fma" in features else 4


LANES = _vector_lanes()
F32, I32, I64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR = ir.VectorType(F32, LANES)


def floats(builder, address):
    """The address as a pointer to float32."""
    return builder.inttoptr(address, F32.as_pointer())


def integers(builder, address):
    """The address as a pointer to int64."""
    return builder.inttoptr(address, I64.as_pointer())


def element(builder, pointer, index):
    return builder.load(builder.gep(pointer, [index]))


def load(builder, pointer, offset: int = 0, lanes: int = LANES):
    vector = ir.VectorType(F32, lanes).as_pointer()
    return builder.load(builder.bitcast(builder.gep(pointer, [I64(offset)]), vector), align=4)


def store(builder, value, pointer, offset: int = 0) -> None:
    builder.store(value, builder.bitcast(builder.gep(pointer, [I64(offset)]), value.type.as_pointer()), align=4)


def splat(builder, scalar):
    """A vector whose lanes all hold the scalar."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, scalar, I32(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, LANES), [0] * LANES))


def multiply_add(builder, a, b, c):
    """a · b + c, rounded once where the CPU can."""
    name = f"llvm.fmuladd.v{LANES}f32"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(VECTOR, [VECTOR] * 3), name)
    return builder.call(function, [a, b, c])


def keep_order(builder) -> None:
    """No load moves across this point: if LLVM loads operands early, sums are put away to memory."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", (), True)


def loop(builder, count, start, step):
    """Values after `values = step(i, values)` for i in range(count), from the values `start`."""
    before = builder.block
    head, body, done = (builder.append_basic_block(name) for name in ("head", "body", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(I64)
    values = [builder.phi(value.type) for value in start]
    builder.cbranch(builder.icmp_signed("<", i, count), body, done)
    builder.position_at_end(body)
    after = step(i, list(values))
    following = builder.add(i, I64(1))
    for phi, first, next_ in zip([i, *values], [I64(0), *start], [following, *after], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_, builder.block)
    builder.branch(head)
    builder.position_at_end(done)
    return values


def sum_lanes(builder, vectors):
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
            ir.Constant(ir.VectorType(I32, lanes // 2), list(range(first, lanes, 2))),
        )
        for first in (0, 1)
    )
    return builder.fadd(even, odd)


def transpose(builder, vectors):
    """Vector i of the result holds lane i of every vector: blocks of 1, 2, 4, … lanes change places."""
    vectors, block = list(vectors), 1
    while block < LANES:
        lanes = range(LANES)
        low = [lane + LANES - block if lane & block else lane for lane in lanes]
        high = [lane + LANES if lane & block else lane + block for lane in lanes]
        for i in (i for i in lanes if not i & block):
            a, b = vectors[i], vectors[i + block]
            vectors[i], vectors[i + block] = (
                builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, LANES), mask)) for mask in (low, high)
            )
        block *= 2
    return vectors
