"""A numba type for one SIMD register of floats, `Pack`, with arithmetic, loads and stores.

LLVM's loop vectoriser gives up on recurrent cells (a dozen arrays that might overlap) and, without Intel's SVML,
on every call of exp or tanh. Here the kernels say what is a vector, so nothing depends on a heuristic. LLVM turns
the vectors into AVX-512, AVX, SSE or NEON.
"""

import operator
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import extending, njit, types
from numba.core import cgutils
from numba.extending import models, overload, register_model

intrinsic: Any = extending.intrinsic  # type checkers would count the typing context among a call's arguments
INLINE: Any = {"forceinline": True, "error_model": "numpy"}  # a call would spill every register
on_packs: Any = njit(**INLINE)  # decorates functions of packs


def vector_bytes() -> int:
    """Return the width in bytes of this machine's SIMD registers."""
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx") else 16


VECTOR_BYTES = vector_bytes()


def lanes_of(item_bytes: int) -> int:
    """Return how many floats of `item_bytes` bytes one register holds."""
    return VECTOR_BYTES // item_bytes


class Pack(types.Type):
    """One SIMD register of floats of type dtype (numba float32 or float64)."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.lanes = lanes_of(dtype.bitwidth // 8)
        super().__init__(name=f"Pack({dtype} x {self.lanes})")


@register_model(Pack)
class PackModel(models.PrimitiveModel):
    """A Pack is an LLVM vector."""

    def __init__(self, manager: Any, pack: Pack) -> None:
        super().__init__(manager, pack, vector_type(pack))


def scalar_type(dtype: Any) -> Any:
    """Return the LLVM type of a numba float type."""
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def vector_type(pack: Pack) -> Any:
    """Return the LLVM vector type of a Pack."""
    return ir.VectorType(scalar_type(pack.dtype), pack.lanes)


def bits_type(pack: Pack) -> Any:
    """Return the LLVM vector of integers as wide as a Pack's floats."""
    return ir.VectorType(ir.IntType(pack.dtype.bitwidth), pack.lanes)


def constant(pack: Pack, value: float) -> Any:
    """Return the LLVM constant that holds `value` in every lane."""
    return ir.Constant(vector_type(pack), [ir.Constant(scalar_type(pack.dtype), value)] * pack.lanes)


def bits_constant(pack: Pack, value: int) -> Any:
    """Return the LLVM constant that holds the integer `value` in every lane."""
    return ir.Constant(bits_type(pack), [ir.Constant(bits_type(pack).element, value)] * pack.lanes)


def splat(builder: Any, scalar: Any, vector: Any) -> Any:
    """Return a vector with `scalar` in every lane."""
    zero = ir.Constant(ir.IntType(32), 0)
    single = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, zero)
    mask = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [zero] * vector.count)
    return builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), mask)


def pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Return the address of element `offset` (flat) of a C-contiguous array; raises TypeError for another."""
    if array_type.layout != "C":
        raise TypeError(f"the kernels take C-contiguous arrays, not {array_type}")
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def load_vector(builder: Any, address: Any, vector: Any) -> Any:
    """Load a vector from an address that is aligned to its elements only."""
    return builder.load(builder.bitcast(address, vector.as_pointer()), align=element_bytes(vector))


def store_vector(builder: Any, value: Any, address: Any) -> None:
    """Store a vector at an address that is aligned to its elements only."""
    builder.store(value, builder.bitcast(address, value.type.as_pointer()), align=element_bytes(value.type))


def element_bytes(vector: Any) -> int:
    """Return the bytes of one element of an LLVM vector of floats."""
    return 4 if isinstance(vector.element, ir.FloatType) else 8


def _pack_of(*operands: Any) -> Any:
    return next((operand for operand in operands if isinstance(operand, Pack)), None)


def _lift(context: Any, builder: Any, value: Any, value_type: Any, pack: Pack) -> Any:
    if isinstance(value_type, Pack):
        return value
    return splat(builder, context.cast(builder, value, value_type, pack.dtype), vector_type(pack))


def _arithmetic(operation: Any, emit: str) -> None:
    """Give Pack one operator, between two packs or a pack and a number."""

    @intrinsic
    def combine(typingctx: Any, left: Any, right: Any) -> Any:
        pack = _pack_of(left, right)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            operands = [
                _lift(context, builder, value, kind, pack) for value, kind in zip(args, signature.args, strict=True)
            ]
            # contract: a·b + c may round once. NaN, Inf and signed zeros keep their meaning.
            return getattr(builder, emit)(*operands, flags=("contract",))

        return pack(left, right), codegen

    @overload(operation, jit_options=INLINE)
    def resolve(left: Any, right: Any) -> Any:
        if _pack_of(left, right) is None:
            return None

        def implement(left: Any, right: Any) -> Any:
            return combine(left, right)

        return implement


for _operation, _emit in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_operation, _emit)


@intrinsic
def broadcast(typingctx: Any, scalar: Any) -> Any:
    """Return a Pack with the scalar in every lane."""
    pack = Pack(scalar)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat(builder, args[0], vector_type(pack))

    return pack(scalar), codegen


@intrinsic
def clamp(typingctx: Any, value: Any, low: Any, high: Any) -> Any:
    """Return min(max(value, low), high) lane by lane; NaN stays NaN."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        low, high = (
            _lift(context, builder, bound, kind, value)
            for bound, kind in zip(args[1:], signature.args[1:], strict=True)
        )
        # Ordered comparisons are false for NaN, which therefore passes.
        result = builder.select(builder.fcmp_ordered("<", args[0], low), low, args[0])
        return builder.select(builder.fcmp_ordered(">", result, high), high, result)

    return value(value, low, high), codegen


@intrinsic
def copy_sign(typingctx: Any, magnitude: Any, sign: Any) -> Any:
    """Return the first argument with the sign of the second."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        top = bits_constant(magnitude, 1 << (magnitude.dtype.bitwidth - 1))
        bits = [builder.bitcast(value, bits_type(magnitude)) for value in args]
        kept = builder.and_(bits[0], builder.not_(top))
        return builder.bitcast(builder.or_(kept, builder.and_(bits[1], top)), vector_type(magnitude))

    return magnitude(magnitude, sign), codegen


@intrinsic
def where_positive(typingctx: Any, sign: Any, value: Any, other: Any) -> Any:
    """Return value where sign > 0 or sign is NaN, else other, whatever value is; where_positive(x, x, 0.0) is ReLU."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        other = _lift(context, builder, args[2], signature.args[2], value)
        return builder.select(builder.fcmp_ordered("<=", args[0], constant(value, 0.0)), other, args[1])

    return value(sign, value, other), codegen


@intrinsic
def absolute(typingctx: Any, value: Any) -> Any:
    """Return |value| lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        top = bits_constant(value, 1 << (value.dtype.bitwidth - 1))
        bits = builder.and_(builder.bitcast(args[0], bits_type(value)), builder.not_(top))
        return builder.bitcast(bits, vector_type(value))

    return value(value), codegen


@intrinsic
def load(typingctx: Any, array: Any, offset: Any, count: Any) -> Any:
    """Return `count` elements of a C-contiguous array from flat index `offset`, at most a Pack; zeros beyond."""
    pack = Pack(array.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load(builder, pack, pointer(context, builder, array, args[0], args[1]), args[2])

    return pack(array, types.intp, types.intp), codegen


@intrinsic(prefer_literal=True)
def load_blocks(typingctx: Any, number: Any, array: Any, offset: Any, stride: Any, count: Any) -> Any:
    """Return a tuple of `number` (a constant) Packs as `load` does, from flat index `offset` on, `stride` apart."""
    packs = types.UniTuple(Pack(array.dtype), number.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = pointer(context, builder, array, args[1], args[2])
        values = [_load(builder, packs.dtype, _block(builder, first, args[3], k), args[4]) for k in range(packs.count)]
        return context.make_tuple(builder, packs, values)

    return packs(number, array, types.intp, types.intp, types.intp), codegen


@intrinsic
def store(typingctx: Any, value: Any, array: Any, offset: Any, count: Any) -> Any:
    """Write the first `count` lanes of a Pack, all of them at most, to a C-contiguous array from flat `offset`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _store(builder, value, args[0], pointer(context, builder, array, args[1], args[2]), args[3])
        return context.get_dummy_value()

    return types.void(value, array, types.intp, types.intp), codegen


@intrinsic
def store_blocks(typingctx: Any, packs: Any, array: Any, offset: Any, stride: Any, count: Any) -> Any:
    """Write the first `count` lanes of each Pack of a tuple, `stride` apart; where None stands nothing is written."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = pointer(context, builder, array, args[1], args[2])
        for k, pack in enumerate(packs):
            if isinstance(pack, Pack):
                address = _block(builder, first, args[3], k)
                _store(builder, pack, builder.extract_value(args[0], k), address, args[4])
        return context.get_dummy_value()

    return types.void(packs, array, types.intp, types.intp, types.intp), codegen


def _block(builder: Any, first: Any, stride: Any, number: int) -> Any:
    return builder.gep(first, [builder.mul(stride, ir.Constant(stride.type, number))])


def _load(builder: Any, pack: Pack, address: Any, count: Any) -> Any:
    with builder.if_else(_is_full(builder, count, pack)) as (full, part):
        with full:
            whole, whole_block = load_vector(builder, address, vector_type(pack)), builder.block
        with part:
            buffer = cgutils.alloca_once_value(builder, constant(pack, 0.0))
            builder.store(constant(pack, 0.0), buffer)  # alloca_once_value stores at the function's entry only
            _copy(builder, address, _first_lane(builder, buffer, pack), count)
            some, some_block = builder.load(buffer), builder.block
    result = builder.phi(vector_type(pack))
    result.add_incoming(whole, whole_block)
    result.add_incoming(some, some_block)
    return result


def _store(builder: Any, pack: Pack, value: Any, address: Any, count: Any) -> None:
    with builder.if_else(_is_full(builder, count, pack)) as (full, part):
        with full:
            store_vector(builder, value, address)
        with part:
            source = cgutils.alloca_once_value(builder, value)
            _copy(builder, _first_lane(builder, source, pack), address, count)


def _is_full(builder: Any, count: Any, pack: Pack) -> Any:
    return builder.icmp_signed(">=", count, ir.Constant(count.type, pack.lanes))


def _first_lane(builder: Any, address: Any, pack: Pack) -> Any:
    return builder.bitcast(address, scalar_type(pack.dtype).as_pointer())


def _copy(builder: Any, source: Any, target: Any, count: Any) -> None:
    # One by one: LLVM's masked loads change their signature from one version to the next, and this is the tail only.
    with cgutils.for_range(builder, count) as loop:
        element = builder.load(builder.gep(source, [loop.index]))
        builder.store(element, builder.gep(target, [loop.index]))
