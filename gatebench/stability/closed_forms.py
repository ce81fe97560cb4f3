"""Jacobians of one step in closed form: what autograd would find, from a few products of what the gates let through.

Each function takes parameters, the inputs x (n, I) and states (n, S) of n independent rows, and returns J = ds'/ds of
every row. Primes are the state before the step: h', c'. φ' of a gate comes from its value: g(1-g) for σ, 1-g² for tanh.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Gate
from gatebench.gates.recurrent.gru import GRU, GRUResetBefore, GRUTextbook
from gatebench.gates.recurrent.layers import Layered
from gatebench.gates.recurrent.lstm import LSTM, LSTMCoupled
from gatebench.gates.recurrent.peephole import LSTMPeephole, LSTMPeepholeFull
from gatebench.gates.recurrent.rnn import RNNLinear, RNNReLU, RNNTanh
from gatebench.stability.linear_maps import Blocks, Diagonal, Identity, LinearMap, Shared

Params = Mapping[str, Tensor]
ClosedForm = Callable[[Gate, Params, Tensor, Tensor], LinearMap]


def closed_form(gate: Gate | None) -> ClosedForm | None:
    """Return the closed form of a gate's Jacobian, None where there is none.

    A subclass may compute something else, so the class itself must be known; of a gate with layers, one layer in one
    direction.
    """
    return None if gate is None or is_stack(gate) else _CLOSED_FORMS.get(type(gate))


def is_stack(gate: Gate) -> bool:
    """Say whether a gate has several layers or directions, each with weights of its own."""
    return isinstance(gate, Layered) and not gate.single


# --- plain recurrences: J = diag(φ') U


def _rnn_linear(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    return Diagonal(torch.ones_like(state)) @ Shared(params["weight_hh"])


def _rnn_tanh(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    h = gate.step(params, x, state)
    return Diagonal(1 - h * h) @ Shared(params["weight_hh"])


def _rnn_relu(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    h = gate.step(params, x, state)
    return Diagonal(torch.where(h.isnan(), h, (h > 0).to(h))) @ Shared(params["weight_hh"])


# --- LSTM forms: first the cell, (h', c') -> (h', c), then the output, (h', c) -> (h, c)


def _lstm(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    """K = diag(c' f(1-f)) U_f + diag(g i(1-i)) U_i + diag(i(1-g²)) U_g;  dc = K dh' + f dc'."""
    h, c = state.chunk(2, dim=-1)
    i, f, g, o = gate.activations(params, x, state).values()
    U_i, U_f, U_g, U_o = map(Shared, params["weight_hh"].chunk(4))
    K = Diagonal(c * f * (1 - f)) @ U_f + Diagonal(g * i * (1 - i)) @ U_i + Diagonal(i * (1 - g * g)) @ U_g
    return _output(h, f * c + i * g, o, U_o) @ _cell(h, K, Diagonal(f))


def _lstm_coupled(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    """K = diag((c' - g) f(1-f)) U_f + diag((1-f)(1-g²)) U_g;  dc = K dh' + f dc'."""
    h, c = state.chunk(2, dim=-1)
    f, g, o = gate.activations(params, x, state).values()
    U_f, U_g, U_o = map(Shared, params["weight_hh"].chunk(3))
    K = Diagonal((c - g) * f * (1 - f)) @ U_f + Diagonal((1 - f) * (1 - g * g)) @ U_g
    return _output(h, f * c + (1 - f) * g, o, U_o) @ _cell(h, K, Diagonal(f))


def _lstm_peephole(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    """dc = K dh' + D dc', D = diag(f + c' f(1-f) p_f + g i(1-i) p_i); dh sees c through p_o as well."""
    h, c = state.chunk(2, dim=-1)
    i, f, g, o = gate.activations(params, x, state).values()
    K, U_o, by_f, by_i = _peephole_terms(params, i, f, g, c)
    D = Diagonal(f + by_f * params["weight_cf"] + by_i * params["weight_ci"])
    new = f * c + i * g
    return _output(h, new, o, U_o, Diagonal(torch.tanh(new) * o * (1 - o) * params["weight_co"])) @ _cell(h, K, D)


def _lstm_peephole_full(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    """As with diagonal peepholes; D = diag(f) + diag(c' f(1-f)) P_f + diag(g i(1-i)) P_i."""
    h, c = state.chunk(2, dim=-1)
    i, f, g, o = gate.activations(params, x, state).values()
    K, U_o, by_f, by_i = _peephole_terms(params, i, f, g, c)
    D = Diagonal(f) + Diagonal(by_f) @ Shared(params["weight_cf"]) + Diagonal(by_i) @ Shared(params["weight_ci"])
    new = f * c + i * g
    return _output(h, new, o, U_o, Diagonal(torch.tanh(new) * o * (1 - o)) @ Shared(params["weight_co"])) @ _cell(
        h, K, D
    )


def _peephole_terms(
    params: Params, i: Tensor, f: Tensor, g: Tensor, c: Tensor
) -> tuple[LinearMap, Shared, Tensor, Tensor]:
    """Return K, U_o, and how much c follows the pre-activations of f and of i: c' f(1-f), g i(1-i)."""
    U_i, U_f, U_g, U_o = map(Shared, params["weight_hh"].chunk(4))
    by_f, by_i = c * f * (1 - f), g * i * (1 - i)
    return Diagonal(by_f) @ U_f + Diagonal(by_i) @ U_i + Diagonal(i * (1 - g * g)) @ U_g, U_o, by_f, by_i


def _cell(h: Tensor, K: LinearMap, D: LinearMap) -> Blocks:
    return Blocks([[Identity(h), None], [K, D]])


def _output(h: Tensor, c: Tensor, o: Tensor, U_o: Shared, peephole: LinearMap | None = None) -> Blocks:
    """dh = diag(tanh(c) o(1-o)) U_o dh' + diag(o(1-tanh²(c))) dc, and what o sees of c."""
    squashed = torch.tanh(c)
    through = Diagonal(o * (1 - squashed * squashed))
    by_c = through + peephole if peephole else through
    return Blocks([[Diagonal(squashed * o * (1 - o)) @ U_o, by_c], [None, Identity(h)]])


# --- GRU forms; k is what the mix keeps of h'


def _gru(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    """diag(z) + diag((h'-n) z(1-z)) U_z + diag((1-z)(1-n²) r) U_n + diag((1-z)(1-n²) v_n r(1-r)) U_r."""
    r, z, n = gate.activations(params, x, state).values()
    U_r, U_z, U_n = map(Shared, params["weight_hh"].chunk(3))
    v_n = F.linear(state, U_n.weight, params["bias_hh"].chunk(3)[2])
    by_n = (1 - z) * (1 - n * n)
    return (
        Diagonal(z)
        + Diagonal((state - n) * z * (1 - z)) @ U_z
        + Diagonal(by_n * r) @ U_n
        + Diagonal(by_n * v_n * r * (1 - r)) @ U_r
    )


def _gru_reset_before(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    """diag(z) + diag((h'-n) z(1-z)) U_z + diag((1-z)(1-n²)) U_n (diag(r) + diag(h' r(1-r)) U_r)."""
    r, z, n = gate.activations(params, x, state).values()
    return _reset_before(params, state, r, z, n, z * (1 - z))


def _gru_textbook(gate: Gate, params: Params, x: Tensor, state: Tensor) -> LinearMap:
    """As with reset before, z adds: 1-z keeps, and its derivative has the other sign."""
    r, z, n = gate.activations(params, x, state).values()
    return _reset_before(params, state, r, 1 - z, n, -z * (1 - z))


def _reset_before(params: Params, h: Tensor, r: Tensor, k: Tensor, n: Tensor, slope: Tensor) -> LinearMap:
    U_r, U_z, U_n = map(Shared, params["weight_hh"].chunk(3))
    reset = Diagonal(r) + Diagonal(h * r * (1 - r)) @ U_r
    return Diagonal(k) + Diagonal((h - n) * slope) @ U_z + Diagonal((1 - k) * (1 - n * n)) @ (U_n @ reset)


_CLOSED_FORMS: dict[type[Gate], ClosedForm] = {
    RNNLinear: _rnn_linear,
    RNNTanh: _rnn_tanh,
    RNNReLU: _rnn_relu,
    LSTM: _lstm,
    LSTMCoupled: _lstm_coupled,
    LSTMPeephole: _lstm_peephole,
    LSTMPeepholeFull: _lstm_peephole_full,
    GRU: _gru,
    GRUResetBefore: _gru_reset_before,
    GRUTextbook: _gru_textbook,
}
