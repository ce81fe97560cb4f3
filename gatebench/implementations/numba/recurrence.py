"""The loops over time, forward and backward: one for all recurrent gates, split over threads by hidden units.

A part of a step is one parallel region: a thread multiplies its panels and then does their units' pointwise part, so
that its share of U stays in its own cache. A step has one part, or two where one product needs the other's outcome.
"""

from typing import Any

from numba import njit, prange
from numba.extending import overload

from gatebench.implementations.numba.cells import STEPS, Remembering
from gatebench.implementations.numba.kernels import kernel
from gatebench.implementations.numba.simd import INLINE, lanes_of, load, load_blocks, store_blocks
from gatebench.implementations.numba.tiles import product2, product3, product4

PRODUCTS = {1: product4, 2: product2, 3: product3, 4: product4}  # by blocks; one block is packed four registers wide


@kernel
def run_forward(sequence: Any, panels: Any, then: Any, then_panels: Any, workers: int) -> None:
    """Run all steps of `sequence` (see cells) with U packed in panels (N, H, V·L); `then` is a second part, or None."""
    for t in range(sequence.gates.shape[0]):
        for worker in prange(workers):
            advance_share(sequence, t, panels, worker, workers)
        if then is not None:
            for worker in prange(workers):
                advance_share(then, t, then_panels, worker, workers)


@kernel
def run_backward(
    sequence: Any, flow: Any, panels: Any, then: Any, then_flow: Any, then_panels: Any, workers: int
) -> None:
    """Run all steps back with Uᵀ packed in panels (M, V·H, 4L); flow.carry comes as dh_T and leaves as dh_0.

    One region holds a product and the pointwise part that takes its outcome. So the first part's Uᵀ, of step t, goes
    with the last part of step t - 1; and where a step has two, the second one's Uᵀ with the first part of that step.
    """
    steps = sequence.gates.shape[0]
    for t in range(steps, -1, -1):
        for worker in prange(workers):
            if t < steps:
                carry_share(flow, t, panels, 0, worker, workers)
            if t > 0:
                if then is None:
                    retreat_share(sequence, flow, t - 1, panels, worker, workers)
                else:
                    retreat_share(then, flow, t - 1, panels, worker, workers)
        if then is not None:  # numba leaves the branch out where it is, so nothing may be joined to this condition
            for worker in prange(workers if t > 0 else 0):
                block = flow.recurrent.shape[2] * flow.recurrent.shape[3] - then_panels.shape[1]  # its blocks are last
                carry_share(then_flow, t - 1, then_panels, block, worker, workers)
                retreat_share(sequence, then_flow, t - 1, then_panels, worker, workers)


@njit(error_model="numpy")
def advance_share(sequence: Any, t: int, panels: Any, worker: int, workers: int) -> None:
    """Compute one worker's panels and units of a part of step t."""
    count, width = panels.shape[0], sequence.states.shape[2]
    first, last, units = count * worker // workers, count * (worker + 1) // workers, sequence.product.shape[2] // count
    multiply(sequence, t, panels, first, last)
    advance(sequence, t, first * units, min(last * units, width))


@njit(error_model="numpy")
def carry_share(flow: Any, t: int, panels: Any, block: int, worker: int, workers: int) -> None:
    """Compute one worker's panels of Uᵀ d into flow.carry; d stands in step t's gradients, from flat `block` on."""
    (_, B, G, H), count, units = flow.recurrent.shape, panels.shape[0], panels.shape[2]
    first, last = count * worker // workers, count * (worker + 1) // workers
    start, row = t * B * G * H + block, flow.carry.shape[1]
    product4(flow.recurrent, start, G * H, B, panels, first, last, flow.carry, 0, row, units, units // 4)


@njit(error_model="numpy")
def retreat_share(sequence: Any, flow: Any, t: int, panels: Any, worker: int, workers: int) -> None:
    """Compute one worker's units of the gradients of a part of step t."""
    count, units, width = panels.shape[0], panels.shape[2], sequence.states.shape[2]
    first, last = count * worker // workers, count * (worker + 1) // workers
    retreat(sequence, flow, t, first * units, min(last * units, width))


def multiply(sequence: Any, t: int, panels: Any, first: int, last: int) -> None:
    """Write U · operand of the panels first <= p < last into sequence.product."""


def advance(sequence: Any, t: int, first: int, last: int) -> None:
    """Compute gates and states of step t for the units first <= j < last, all rows of the batch."""


def retreat(sequence: Any, flow: Any, t: int, first: int, last: int) -> None:
    """Compute the gradients of step t's gates for the units first <= j < last from those of h_t."""


def states_at(sequence: Any, t: int, at: int, count: int) -> None:
    """Return packs of the states (h,) or (h, memory) before step t; at is the flat index into one step's (B, H)."""


def set_states(sequence: Any, t: int, at: int, count: int, values: Any) -> None:
    """Write packs of the states before step t."""


def _lanes(sequence: Any) -> int:
    return lanes_of(sequence[0].dtype.bitwidth // 8)


@overload(multiply)
def _multiply(sequence: Any, t: int, panels: Any, first: int, last: int) -> Any:
    kind, lanes = sequence.instance_class, _lanes(sequence)
    V, place = STEPS[kind].products, kind._fields.index(STEPS[kind].operand)
    product, packed = PRODUCTS[V], V == 1

    def multiply(sequence: Any, t: int, panels: Any, first: int, last: int) -> None:
        left, (B, _, width) = sequence[place], sequence.product.shape
        H = left.shape[2]
        start, units, step = (
            min(t, left.shape[0] - 1) * B * H,
            (4 * lanes if packed else lanes),
            (lanes if packed else width),
        )
        product(left, start, H, B, panels, first, last, sequence.product, 0, V * width, units, step)

    return multiply


@overload(advance)
def _advance(sequence: Any, t: int, first: int, last: int) -> Any:
    step, lanes = STEPS[sequence.instance_class], _lanes(sequence)
    G, V, E, forward = step.blocks, step.products, step.weights, step.forward

    def advance(sequence: Any, t: int, first: int, last: int) -> None:
        gates, (B, H) = sequence.gates, sequence.states.shape[1:]
        span, width = gates.shape[3], sequence.product.shape[2]
        for b in range(B):
            row, sums, state = (t * B + b) * G * span, b * V * width, b * H
            for j in range(first, last, lanes):
                count = last - j  # gates and product are padded, so that a pack may always be read whole
                u = load_blocks(G, gates, row + j, span, lanes)
                v = load_blocks(V, sequence.product, sums + j, width, lanes)
                w = load_blocks(E, sequence.weights, j, H, count)
                kept, after = forward(u, v, w, states_at(sequence, t, state + j, count))
                store_blocks(kept, gates, row + j, span, lanes)
                set_states(sequence, t + 1, state + j, count, after)

    return advance


@overload(retreat)
def _retreat(sequence: Any, flow: Any, t: int, first: int, last: int) -> Any:
    step, lanes = STEPS[sequence.instance_class], _lanes(sequence)
    G, E, backward = step.blocks, step.weights, step.backward

    def retreat(sequence: Any, flow: Any, t: int, first: int, last: int) -> None:
        gates, (B, H) = sequence.gates, sequence.states.shape[1:]
        span, width = gates.shape[3], flow.carry.shape[1]
        for b in range(B):
            row, state = (t * B + b) * G, b * H
            for j in range(first, last, lanes):
                count = last - j
                kept = load_blocks(G, gates, row * span + j, span, lanes)
                w = load_blocks(E, sequence.weights, j, H, count)
                before = states_at(sequence, t, state + j, count)
                after = states_at(sequence, t + 1, state + j, count)
                d_output = load(flow.output, (t * B + b) * H + j, count)
                carry, past = load(flow.carry, b * width + j, lanes), load(flow.past, state + j, count)
                d_u, d_v, left = backward(kept, w, before, after, d_output, carry, past)
                store_blocks(d_u, flow.input, row * H + j, H, count)
                store_blocks(d_v, flow.recurrent, row * H + j, H, count)
                store_blocks(left, flow.past, state + j, H, count)

    return retreat


@overload(states_at, jit_options=INLINE)
def _states_at(sequence: Any, t: int, at: int, count: int) -> Any:
    def alone(sequence: Any, t: int, at: int, count: int) -> Any:
        _, B, H = sequence.states.shape
        return (load(sequence.states, t * B * H + at, count),)

    def both(sequence: Any, t: int, at: int, count: int) -> Any:
        (_, B, H), slot = sequence.states.shape, min(t, sequence.memory.shape[0] - 1)
        return load(sequence.states, t * B * H + at, count), load(sequence.memory, slot * B * H + at, count)

    return both if issubclass(sequence.instance_class, Remembering) else alone


@overload(set_states, jit_options=INLINE)
def _set_states(sequence: Any, t: int, at: int, count: int, values: Any) -> Any:
    def alone(sequence: Any, t: int, at: int, count: int, values: Any) -> None:
        _, B, H = sequence.states.shape
        store_blocks(values, sequence.states, t * B * H + at, 0, count)

    def both(sequence: Any, t: int, at: int, count: int, values: Any) -> None:
        (_, B, H), slot = sequence.states.shape, min(t, sequence.memory.shape[0] - 1)
        store_blocks((values[0],), sequence.states, t * B * H + at, 0, count)
        store_blocks((values[1],), sequence.memory, slot * B * H + at, 0, count)

    return both if issubclass(sequence.instance_class, Remembering) else alone
