"""Matrix products on packed panels, in register tiles, for the small left sides that a recurrence has.

A panel holds a few registers' worth of columns of the right side, row by row, so that a product reads memory in
order and once per tile. Panels (N, K, V·L): N panels of V registers with L lanes each.
"""

from typing import Any

from llvmlite import ir
from numba import njit, types

from gatebench.implementations.numba.simd import (
    Pack,
    constant,
    intrinsic,
    load_vector,
    pointer,
    splat,
    store_vector,
    vector_type,
)

DEPTH = 256  # steps summed in one go; longer sums are added up from such parts, as rounding grows with the length
CHAINS = 8  # sums in flight per tile at least: a multiply-add takes 4 cycles, and one or two start in each


@intrinsic(prefer_literal=True)
def tile(
    typingctx: Any,
    rows: Any,
    vectors: Any,
    left: Any,
    left_offset: Any,
    left_stride: Any,
    panels: Any,
    panel_offset: Any,
    depth: Any,
    result: Any,
    result_offset: Any,
    row_stride: Any,
    vector_stride: Any,
    add: Any,
) -> Any:
    """Multiply `rows` rows of the left side by one panel of `vectors` registers; add to the result where add is 1.

    left    (>= rows, depth) at flat left_offset, rows left_stride apart
    panel   (depth, vectors·L) at flat panel_offset
    result  register v of row m goes to flat result_offset + m·row_stride + v·vector_stride
    """
    pack = Pack(left.dtype)
    M, V = rows.literal_value, vectors.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        (left_at, stride), (panel_at, K), (result_at, row_step, vector_step) = args[3:5], args[6:8], args[9:12]
        left_pointer = pointer(context, builder, left, args[2], left_at)
        panel_pointer = pointer(context, builder, panels, args[5], panel_at)
        steps = _Steps(builder, pack, M, V, left_pointer, stride, panel_pointer)
        sums = steps.run(K)
        target = pointer(context, builder, result, args[8], result_at)
        adds, zero = builder.icmp_signed("!=", args[12], _index(0)), constant(pack, 0.0)
        for m in range(M):
            for v in range(V):
                shift = builder.add(builder.mul(row_step, _index(m)), builder.mul(vector_step, _index(v)))
                address = builder.gep(target, [shift])
                before = builder.select(adds, load_vector(builder, address, zero.type), zero)
                store_vector(builder, builder.fadd(before, sums[m * V + v]), address)
        return context.get_dummy_value()

    index = types.intp
    return types.void(
        rows, vectors, left, index, index, panels, index, index, result, index, index, index, index
    ), codegen


def _index(value: int) -> Any:
    return ir.Constant(ir.IntType(64), value)


class _Steps:
    """Emits the loop over the depth of a tile; `ways` steps at once where one has too few sums."""

    def __init__(self, builder: Any, pack: Pack, rows: int, vectors: int, left: Any, stride: Any, panel: Any) -> None:
        self.builder, self.pack, self.rows, self.vectors = builder, pack, rows, vectors
        self.left, self.stride, self.panel = left, stride, panel
        self.count = rows * vectors
        self.ways = max(1, CHAINS // self.count)

    def run(self, depth: Any) -> list[Any]:
        """Emit the whole sum over `depth` steps; returns rows·vectors registers."""
        builder = self.builder
        zeros = [constant(self.pack, 0.0)] * (self.count * self.ways)
        whole = builder.mul(builder.sdiv(depth, _index(self.ways)), _index(self.ways))
        sums = self._loop(_index(0), whole, self.ways, zeros)
        while len(sums) > self.count:
            half = len(sums) // 2
            sums = [builder.fadd(a, b) for a, b in zip(sums[:half], sums[half:], strict=True)]
        return self._loop(whole, depth, 1, sums) if self.ways > 1 else sums

    def _loop(self, start: Any, stop: Any, ways: int, initial: list[Any]) -> list[Any]:
        builder, before = self.builder, self.builder.block
        head, body, after = (builder.append_basic_block(f"tile.{name}") for name in ("head", "body", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        k = builder.phi(start.type)
        sums = [builder.phi(vector_type(self.pack)) for _ in initial]
        builder.cbranch(builder.icmp_signed("<", k, stop), body, after)
        builder.position_at_end(body)
        added = [
            value
            for way in range(ways)
            for value in self._step(builder.add(k, _index(way)), sums[way * self.count : (way + 1) * self.count])
        ]
        following = builder.add(k, _index(ways))
        builder.branch(head)
        for phi, first, value in zip([k, *sums], [start, *initial], [following, *added], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(value, body)
        builder.position_at_end(after)
        return sums

    def _step(self, k: Any, sums: list[Any]) -> list[Any]:
        builder, vector = self.builder, vector_type(self.pack)
        row = builder.gep(self.panel, [builder.mul(k, _index(self.vectors * self.pack.lanes))])
        weights = [
            load_vector(builder, builder.gep(row, [_index(v * self.pack.lanes)]), vector) for v in range(self.vectors)
        ]
        added = []
        for m in range(self.rows):
            address = builder.gep(self.left, [builder.add(builder.mul(self.stride, _index(m)), k)])
            value = splat(builder, builder.load(address), vector)
            for v, weight in enumerate(weights):
                product = builder.fmul(value, weight, flags=("contract",))
                added.append(builder.fadd(sums[m * self.vectors + v], product, flags=("contract",)))
        return added


def _product(vectors: int) -> Any:
    """Return the product with panels of `vectors` registers; one compilation each."""

    @njit(error_model="numpy")
    def product(
        left: Any,
        start: int,
        pitch: int,
        rows: int,
        panels: Any,
        first: int,
        last: int,
        out: Any,
        to: int,
        row: int,
        span: int,
        step: int,
    ) -> None:
        """Multiply `rows` rows at flat `start` of left, `pitch` apart, by the panels first <= p < last.

        Row m's register v for panel p goes to flat to + m·row + p·span + v·step of out.
        """
        K, width = panels.shape[1], panels.shape[2]
        for p in range(first, last):
            for k in range(0, K, DEPTH):
                panel, depth, x, y, add = (p * K + k) * width, min(DEPTH, K - k), start + k, to + p * span, min(k, 1)
                m = 0
                while m + 4 <= rows:
                    tile(4, vectors, left, x + m * pitch, pitch, panels, panel, depth, out, y + m * row, row, step, add)
                    m += 4
                if m + 2 <= rows:
                    tile(2, vectors, left, x + m * pitch, pitch, panels, panel, depth, out, y + m * row, row, step, add)
                    m += 2
                if m < rows:
                    tile(1, vectors, left, x + m * pitch, pitch, panels, panel, depth, out, y + m * row, row, step, add)

    return product


product2, product3, product4 = _product(2), _product(3), _product(4)
