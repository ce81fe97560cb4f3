"""The pointwise step of each recurrent gate, forward and backward: all in which the recurrences differ.

A sequence is a named tuple of its arrays. Its type says which gate it is, and `advance` and `retreat` compile for it.
Layouts: gates (T, B, G, Hp): W x, then overwritten by the activated gates; Hp is H padded to whole panels;
product (B, G, Hp): U h of the current step; states (T + 1, B, H) from h0 on; bias (G·H,): both biases, added up.
"""

from typing import Any, NamedTuple

from numba.extending import overload

from gatebench.implementations.numba.activations import sigmoid, tanh
from gatebench.implementations.numba.simd import INLINE, lanes_of, load, store
from gatebench.implementations.numba.tiles import product3, product4


class RNN(NamedTuple):
    """Arrays of a plain recurrent network; its one gate is the state, so the backward needs no other."""

    gates: Any
    product: Any
    states: Any
    bias: Any


class LSTM(NamedTuple):
    """Arrays of an LSTM; memory (T + 1, B, H) from c0 on, or (1, B, H) where only the last is kept."""

    gates: Any
    product: Any
    states: Any
    bias: Any
    memory: Any


class GRU(NamedTuple):
    """Arrays of a GRU; hidden (T, B, H): U_n h + c_n, or (1, B, H) where none is kept; bias (4H,): r, z, n, c_n."""

    gates: Any
    product: Any
    states: Any
    bias: Any
    hidden: Any


class Flow(NamedTuple):
    """Gradients of a sequence while time runs back.

    output     (T, B, H): of the outputs
    recurrent  (T, B, G, H): of U h + c
    input      (T, B, G, H): of W x + b; the same array where the gate adds the two
    carry      (B, Hq): of the state, from the product with U; H padded to whole panels
    state      (B, H): of the state, past the product: of c (LSTM), of h through z (GRU), unused (RNN)
    """

    output: Any
    recurrent: Any
    input: Any
    carry: Any
    state: Any


def multiply(sequence: Any, t: int, panels: Any, first: int, last: int) -> None:
    """Write U h_{t-1} of the panels first <= p < last into sequence.product."""


def advance(sequence: Any, t: int, first: int, last: int) -> None:
    """Compute gates and states of step t for the units first <= j < last, all rows of the batch."""


def retreat(sequence: Any, flow: Any, t: int, first: int, last: int) -> None:
    """Compute the gradients of step t's gates for the units first <= j < last from those of h_t."""


def _is(sequence: Any, kind: type) -> bool:
    return getattr(sequence, "instance_class", None) is kind


def _lanes(sequence: Any) -> int:
    return lanes_of(sequence[0].dtype.bitwidth // 8)


@overload(multiply)
def _multiply(sequence: Any, t: int, panels: Any, first: int, last: int) -> Any:
    lanes = _lanes(sequence)

    def consecutive(sequence: Any, t: int, panels: Any, first: int, last: int) -> None:
        (B, _, span), H = sequence.product.shape, sequence.states.shape[2]
        product4(sequence.states, t * B * H, B, panels, first, last, sequence.product, 0, span, 4 * lanes, lanes)

    def three(sequence: Any, t: int, panels: Any, first: int, last: int) -> None:
        (B, _, span), H = sequence.product.shape, sequence.states.shape[2]
        product3(sequence.states, t * B * H, B, panels, first, last, sequence.product, 0, 3 * span, lanes, span)

    def four(sequence: Any, t: int, panels: Any, first: int, last: int) -> None:
        (B, _, span), H = sequence.product.shape, sequence.states.shape[2]
        product4(sequence.states, t * B * H, B, panels, first, last, sequence.product, 0, 4 * span, lanes, span)

    return {RNN: consecutive, GRU: three, LSTM: four}[sequence.instance_class]


def preactivation(sequence: Any, at: int, u: int, bias: int) -> Any:
    """Return W x + U h + b of a pack: at, u and bias are flat indices into gates, product and bias."""


@overload(preactivation, jit_options=INLINE)
def _preactivation(sequence: Any, at: int, u: int, bias: int) -> Any:
    lanes = _lanes(sequence)

    def add_up(sequence: Any, at: int, u: int, bias: int) -> Any:
        # gates and product are padded, so that a pack may always be read whole; bias ends where it ends.
        left = sequence.bias.size - bias
        return load(sequence.gates, at, lanes) + load(sequence.product, u, lanes) + load(sequence.bias, bias, left)

    return add_up


@overload(advance)
def _advance_rnn(sequence: Any, t: int, first: int, last: int) -> Any:
    if not _is(sequence, RNN):
        return None
    lanes = _lanes(sequence)

    def advance(sequence: Any, t: int, first: int, last: int) -> None:
        states = sequence.states
        B, H, span = states.shape[1], states.shape[2], sequence.product.shape[2]
        for b in range(B):
            for j in range(first, last, lanes):
                h = tanh(preactivation(sequence, (t * B + b) * span + j, b * span + j, j))
                store(h, states, ((t + 1) * B + b) * H + j, last - j)

    return advance


@overload(retreat)
def _retreat_rnn(sequence: Any, flow: Any, t: int, first: int, last: int) -> Any:
    if not _is(sequence, RNN):
        return None
    lanes = _lanes(sequence)

    def retreat(sequence: Any, flow: Any, t: int, first: int, last: int) -> None:
        states = sequence.states
        B, H, span = states.shape[1], states.shape[2], flow.carry.shape[1]
        for b in range(B):
            row = (t * B + b) * H
            for j in range(first, last, lanes):
                count = last - j
                h = load(states, row + B * H + j, count)
                d_h = load(flow.output, row + j, count) + load(flow.carry, b * span + j, count)
                store(d_h * (1.0 - h * h), flow.recurrent, row + j, count)

    return retreat


@overload(advance)
def _advance_lstm(sequence: Any, t: int, first: int, last: int) -> Any:
    if not _is(sequence, LSTM):
        return None
    lanes = _lanes(sequence)

    def advance(sequence: Any, t: int, first: int, last: int) -> None:
        gates, states, memory = sequence.gates, sequence.states, sequence.memory
        B, H, span = states.shape[1], states.shape[2], sequence.product.shape[2]
        before, after = min(t, memory.shape[0] - 1) * B * H, min(t + 1, memory.shape[0] - 1) * B * H
        for b in range(B):
            row, sums, state = (t * B + b) * 4 * span, b * 4 * span, b * H
            for j in range(first, last, lanes):
                count, at, u = last - j, row + j, sums + j
                i = sigmoid(preactivation(sequence, at, u, j))
                f = sigmoid(preactivation(sequence, at + span, u + span, H + j))
                g = tanh(preactivation(sequence, at + 2 * span, u + 2 * span, 2 * H + j))
                o = sigmoid(preactivation(sequence, at + 3 * span, u + 3 * span, 3 * H + j))
                c = f * load(memory, before + state + j, count) + i * g
                store(i, gates, at, lanes)
                store(f, gates, at + span, lanes)
                store(g, gates, at + 2 * span, lanes)
                store(o, gates, at + 3 * span, lanes)
                store(c, memory, after + state + j, count)
                store(o * tanh(c), states, (t + 1) * B * H + state + j, count)

    return advance


@overload(retreat)
def _retreat_lstm(sequence: Any, flow: Any, t: int, first: int, last: int) -> Any:
    if not _is(sequence, LSTM):
        return None
    lanes = _lanes(sequence)

    def retreat(sequence: Any, flow: Any, t: int, first: int, last: int) -> None:
        gates, memory, out = sequence.gates, sequence.memory, flow.recurrent
        B, H, span, width = memory.shape[1], memory.shape[2], gates.shape[3], flow.carry.shape[1]
        for b in range(B):
            row = (t * B + b) * H
            for j in range(first, last, lanes):
                count, at, kept = last - j, 4 * row + j, (t * B + b) * 4 * span + j
                i, f = load(gates, kept, lanes), load(gates, kept + span, lanes)
                g, o = load(gates, kept + 2 * span, lanes), load(gates, kept + 3 * span, lanes)
                squashed = tanh(load(memory, row + B * H + j, count))
                d_h = load(flow.output, row + j, count) + load(flow.carry, b * width + j, lanes)
                d_c = load(flow.state, b * H + j, count) + d_h * o * (1.0 - squashed * squashed)
                store(d_c * g * (i * (1.0 - i)), out, at, count)
                store(d_c * load(memory, row + j, count) * (f * (1.0 - f)), out, at + H, count)
                store(d_c * i * (1.0 - g * g), out, at + 2 * H, count)
                store(d_h * squashed * (o * (1.0 - o)), out, at + 3 * H, count)
                store(d_c * f, flow.state, b * H + j, count)

    return retreat


@overload(advance)
def _advance_gru(sequence: Any, t: int, first: int, last: int) -> Any:
    if not _is(sequence, GRU):
        return None
    lanes = _lanes(sequence)

    def advance(sequence: Any, t: int, first: int, last: int) -> None:
        gates, states, hidden = sequence.gates, sequence.states, sequence.hidden
        B, H, span = states.shape[1], states.shape[2], sequence.product.shape[2]
        slot = min(t, hidden.shape[0] - 1) * B * H
        for b in range(B):
            row, sums, state = (t * B + b) * 3 * span, b * 3 * span, (t * B + b) * H
            for j in range(first, last, lanes):
                count, at, u = last - j, row + j, sums + j
                r = sigmoid(preactivation(sequence, at, u, j))
                z = sigmoid(preactivation(sequence, at + span, u + span, H + j))
                v = load(sequence.product, u + 2 * span, lanes) + load(sequence.bias, 3 * H + j, count)
                n = tanh(load(gates, at + 2 * span, lanes) + load(sequence.bias, 2 * H + j, count) + r * v)
                store(r, gates, at, lanes)
                store(z, gates, at + span, lanes)
                store(n, gates, at + 2 * span, lanes)
                store(v, hidden, slot + b * H + j, count)
                store((1.0 - z) * n + z * load(states, state + j, count), states, state + B * H + j, count)

    return advance


@overload(retreat)
def _retreat_gru(sequence: Any, flow: Any, t: int, first: int, last: int) -> Any:
    if not _is(sequence, GRU):
        return None
    lanes = _lanes(sequence)

    def retreat(sequence: Any, flow: Any, t: int, first: int, last: int) -> None:
        gates, states, hidden, out = sequence.gates, sequence.states, sequence.hidden, flow.recurrent
        B, H, span, width = states.shape[1], states.shape[2], gates.shape[3], flow.carry.shape[1]
        for b in range(B):
            row, state = (t * B + b) * H, b * H
            for j in range(first, last, lanes):
                count, at, kept = last - j, 3 * row + j, (t * B + b) * 3 * span + j
                r, z, n = load(gates, kept, lanes), load(gates, kept + span, lanes), load(gates, kept + 2 * span, lanes)
                d_h = load(flow.output, row + j, count) + load(flow.carry, b * width + j, lanes)
                d_h = d_h + load(flow.state, state + j, count)
                d_n = d_h * (1.0 - z) * (1.0 - n * n)
                d_z = d_h * (load(states, row + j, count) - n) * (z * (1.0 - z))
                d_r = d_n * load(hidden, row + j, count) * (r * (1.0 - r))
                for target in (out, flow.input):
                    store(d_r, target, at, count)
                    store(d_z, target, at + H, count)
                store(d_n * r, out, at + 2 * H, count)
                store(d_n, flow.input, at + 2 * H, count)
                store(d_h * z, flow.state, state + j, count)

    return retreat
