"""The step of each recurrent gate on SIMD packs, forward and backward: all in which the recurrences differ.

A sequence is a named tuple of its arrays. Its type says which step it takes, and `recurrence` compiles for it.
Layouts: gates (T, B, G, Hp): W x, then overwritten by what the backward needs of the gates; Hp is H padded to whole
panels; product (B, V, ·): U h of the current step; weights (E·H,): what each unit has of its own, the blocks' biases
(both of them, added up) first; states (T + 1, B, H): h from h0 on; memory (T + 1, B, H): what a step keeps beside h,
or (1, B, H) where only the last is kept.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from gatebench.implementations.numba.activations import sigmoid, tanh
from gatebench.implementations.numba.simd import on_packs, where_positive


class Sequence(NamedTuple):
    """Arrays of a recurrence whose step keeps nothing but the gates and h."""

    gates: Any
    product: Any
    weights: Any
    states: Any


class Remembering(NamedTuple):
    """Arrays of a recurrence with a memory beside h."""

    gates: Any
    product: Any
    weights: Any
    states: Any
    memory: Any


class RNNLinear(Sequence):
    """h = a."""


class RNNTanh(Sequence):
    """h = tanh(a)."""


class RNNReLU(Sequence):
    """h = max(0, a)."""


class LSTM(Remembering):
    """Blocks i, f, g, o; the memory is c."""


class PeepholeLSTM(Remembering):
    """LSTM with the peepholes p_i, p_f, p_o behind the biases."""


class CoupledLSTM(Remembering):
    """LSTM with i = 1 - f: blocks f, g, o."""


class GRU(Remembering):
    """Blocks r, z, n, and c_n behind the biases, as it acts inside r ⊙ (U_n h + c_n), which is the memory."""


class Reset(Remembering):
    """First half of a GRU with the reset before the product: r, z and, as the memory, r ⊙ h."""


class Candidate(Remembering):
    """Second half of a GRU with the reset before the product: n = tanh(W_n x + U_n (r ⊙ h) + b_n) and h."""


class Flow(NamedTuple):
    """Gradients of a sequence while time runs back.

    output     (T, B, H): of the outputs
    recurrent  (T, B, G, H): of U h + c
    input      (T, B, G, H): of W x + b; the same array where the gate adds the two
    carry      (B, Hq): of what U multiplies, from the product with Uᵀ; H padded to whole panels
    past       (B, H): of the last step's state, past the product: of c (LSTM), of h (GRU), unused (RNN)
    """

    output: Any
    recurrent: Any
    input: Any
    carry: Any
    past: Any


@dataclass(frozen=True)
class Step:
    """How a kind of sequence takes a step; u, v, w, kept and all gradients are tuples of packs, one per block.

        forward(u, v, w, before) -> kept, after
        backward(kept, w, before, after, d_output, carry, past) -> d_u, d_v, past

    u = W x, v = U · operand, w = weights; before and after are the states (h,) or (h, memory) around the step; kept
    goes where u was. d_v is () where it is d_u. past is () or one pack. None leaves what stands in its place.

    blocks    G, of gates                weights  E, rows of weights
    products  V, blocks of the product   operand  what the step's U multiplies: `states` or `memory`
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    blocks: int
    products: int
    weights: int
    operand: str = "states"


def plain(forward: Callable[..., Any], backward: Callable[..., Any]) -> Step:
    """Return the step of a plain recurrence; forward is φ(a), backward d_h ⊙ φ'(a) in terms of h."""

    @on_packs
    def advance(u: Any, v: Any, w: Any, before: Any) -> Any:
        return (), (forward(u[0] + v[0] + w[0]),)

    @on_packs
    def retreat(kept: Any, w: Any, before: Any, after: Any, d_output: Any, carry: Any, past: Any) -> Any:
        return (backward(after[0], d_output + carry),), (), ()

    return Step(advance, retreat, blocks=1, products=1, weights=1)


@on_packs
def identity(a: Any) -> Any:
    return a


@on_packs
def identity_back(h: Any, d_h: Any) -> Any:
    return d_h


@on_packs
def tanh_forward(a: Any) -> Any:
    return tanh(a)


@on_packs
def tanh_back(h: Any, d_h: Any) -> Any:
    return d_h * (1.0 - h * h)


@on_packs
def relu(a: Any) -> Any:
    return where_positive(a, a, 0.0)


@on_packs
def relu_back(h: Any, d_h: Any) -> Any:
    return where_positive(h, d_h, 0.0)


@on_packs
def lstm(u: Any, v: Any, w: Any, before: Any) -> Any:
    i, f = sigmoid(u[0] + v[0] + w[0]), sigmoid(u[1] + v[1] + w[1])
    g, o = tanh(u[2] + v[2] + w[2]), sigmoid(u[3] + v[3] + w[3])
    c = f * before[1] + i * g
    return (i, f, g, o), (o * tanh(c), c)


@on_packs
def lstm_back(kept: Any, w: Any, before: Any, after: Any, d_output: Any, carry: Any, past: Any) -> Any:
    i, f, g, o = kept
    squashed, d_h = tanh(after[1]), d_output + carry
    d_c = past + d_h * o * (1.0 - squashed * squashed)
    d_i, d_f = d_c * g * (i * (1.0 - i)), d_c * before[1] * (f * (1.0 - f))
    d_g, d_o = d_c * i * (1.0 - g * g), d_h * squashed * (o * (1.0 - o))
    return (d_i, d_f, d_g, d_o), (), (d_c * f,)


@on_packs
def peephole(u: Any, v: Any, w: Any, before: Any) -> Any:
    i, f = sigmoid(u[0] + v[0] + w[0] + w[4] * before[1]), sigmoid(u[1] + v[1] + w[1] + w[5] * before[1])
    g = tanh(u[2] + v[2] + w[2])
    c = f * before[1] + i * g
    o = sigmoid(u[3] + v[3] + w[3] + w[6] * c)
    return (i, f, g, o), (o * tanh(c), c)


@on_packs
def peephole_back(kept: Any, w: Any, before: Any, after: Any, d_output: Any, carry: Any, past: Any) -> Any:
    o, squashed, d_h = kept[3], tanh(after[1]), d_output + carry
    d_o = d_h * squashed * (o * (1.0 - o))
    gates, _, (d_c,) = lstm_back(kept, w, before, after, d_output, carry, past + w[6] * d_o)
    return gates, (), (d_c + w[4] * gates[0] + w[5] * gates[1],)


@on_packs
def coupled(u: Any, v: Any, w: Any, before: Any) -> Any:
    f, g, o = sigmoid(u[0] + v[0] + w[0]), tanh(u[1] + v[1] + w[1]), sigmoid(u[2] + v[2] + w[2])
    c = f * before[1] + (1.0 - f) * g
    return (f, g, o), (o * tanh(c), c)


@on_packs
def coupled_back(kept: Any, w: Any, before: Any, after: Any, d_output: Any, carry: Any, past: Any) -> Any:
    f, g, o = kept
    (d_i, d_f, d_g, d_o), d_v, past = lstm_back((1.0 - f, f, g, o), w, before, after, d_output, carry, past)
    return (d_f - d_i, d_g, d_o), d_v, past


@on_packs
def gru(u: Any, v: Any, w: Any, before: Any) -> Any:
    r, z = sigmoid(u[0] + v[0] + w[0]), sigmoid(u[1] + v[1] + w[1])
    inner = v[2] + w[3]
    n = tanh(u[2] + w[2] + r * inner)
    return (r, z, n), ((1.0 - z) * n + z * before[0], inner)


@on_packs
def gru_back(kept: Any, w: Any, before: Any, after: Any, d_output: Any, carry: Any, past: Any) -> Any:
    r, z, n = kept
    d_h = d_output + carry + past
    d_n = d_h * (1.0 - z) * (1.0 - n * n)
    d_z = d_h * (before[0] - n) * (z * (1.0 - z))
    d_r = d_n * after[1] * (r * (1.0 - r))
    return (d_r, d_z, d_n), (d_r, d_z, d_n * r), (d_h * z,)


@on_packs
def reset(u: Any, v: Any, w: Any, before: Any) -> Any:
    r, z = sigmoid(u[0] + v[0] + w[0]), sigmoid(u[1] + v[1] + w[1])
    return (r, z), (None, r * before[0])


@on_packs
def reset_back(kept: Any, w: Any, before: Any, after: Any, d_output: Any, carry: Any, past: Any) -> Any:
    r = kept[0]  # carry: the gradient of r ⊙ h, by the product of the same step
    return (carry * before[0] * (r * (1.0 - r)),), (), (past + carry * r,)


@on_packs
def candidate(u: Any, v: Any, w: Any, before: Any) -> Any:
    z, n = u[1], tanh(u[2] + v[0] + w[2])  # z as `reset` left it
    return (None, None, n), ((1.0 - z) * n + z * before[0], None)


@on_packs
def candidate_back(kept: Any, w: Any, before: Any, after: Any, d_output: Any, carry: Any, past: Any) -> Any:
    z, n = kept[1], kept[2]
    d_h = d_output + carry + past
    d_z, d_n = d_h * (before[0] - n) * (z * (1.0 - z)), d_h * (1.0 - z) * (1.0 - n * n)
    return (None, d_z, d_n), (), (d_h * z,)


STEPS: dict[type, Step] = {
    RNNLinear: plain(identity, identity_back),
    RNNTanh: plain(tanh_forward, tanh_back),
    RNNReLU: plain(relu, relu_back),
    LSTM: Step(lstm, lstm_back, blocks=4, products=4, weights=4),
    PeepholeLSTM: Step(peephole, peephole_back, blocks=4, products=4, weights=7),
    CoupledLSTM: Step(coupled, coupled_back, blocks=3, products=3, weights=3),
    GRU: Step(gru, gru_back, blocks=3, products=3, weights=4),
    Reset: Step(reset, reset_back, blocks=3, products=2, weights=3),
    Candidate: Step(candidate, candidate_back, blocks=3, products=1, weights=3, operand="memory"),
}
