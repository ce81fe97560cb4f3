"""Textbooks and lecture notes: a matrix per gate and input, one bias per gate."""

import torch
from torch import Tensor, zeros_like

from gatebench.gates.base import Gate
from gatebench.gates.conversion.given import Given
from gatebench.gates.conversion.layout import canonical_shapes, negated

GATES = (
    "rnn_linear",
    "rnn_tanh",
    "rnn_relu",
    "lstm",
    "lstm_coupled",
    "lstm_peephole",
    "lstm_peephole_full",
    "gru",
    "gru_reset_before",
    "gru_textbook",
)
CANDIDATES = {"g": "c", "n": "h"}  # what many texts call them


def read(gate: Gate, given: Given) -> dict[str, Tensor]:
    """Return W_k (H, I), U_k (H, H) and b_k (H,) of the gates k = σ or tanh(W_k x + U_k h + b_k); z keeps.

    Column vectors, as in Graves 2013 and Wikipedia's "Long short-term memory": where a text writes x W, as Dive into
    Deep Learning and Wikipedia's "Gating mechanism" do, transpose its matrices first. The candidate is g or c in the
    LSTM, n or h in the GRU. Peepholes are p_i, p_f, p_o (H,), as in Greff et al. 2015, or matrices P_i, P_f, P_o (H, H)
    for `lstm_peephole_full`. Missing biases and peepholes are zero. `lstm_coupled` takes f, with i = 1 - f. `gru` resets after the product: n = tanh(W_n x + b_n + r ⊙ (U_n h)).

    Texts differ in the GRU's z. It keeps the old state in Dive into Deep Learning and "Gating mechanism", and adds the
    new one in Chung et al. 2014, eq. 4, and lecture notes after it: `update_gate` says which. Where gate and text
    differ, the block z is negated.
    """
    letters = {letter: _called(given, letter) for letter in gate.blocks("weight_ih")}
    weights = [f"{kind}_{letter}" for kind in "WU" for letter in letters.values()]
    biases = [f"b_{letter}" for letter in letters.values()]
    module = given.module(weights, [*biases, *_peepholes(gate, 1, 1)])
    inputs, hidden = module.size(weights[0], 1, 2), module.size(weights[0], 0, 2)
    size = {"W": (hidden, inputs), "U": (hidden, hidden), "b": (hidden,)}
    found = module.checked({name: size[name[0]] for name in (*weights, *biases)})
    peepholes = module.checked(_peepholes(gate, inputs, hidden))

    def stacked(kind: str, parameter: str) -> Tensor:
        return torch.cat([found[f"{kind}_{letters[letter]}"] for letter in gate.blocks(parameter)])

    bias = stacked("b", "bias_ih")
    ours = {
        "weight_ih": stacked("W", "weight_ih"),
        "weight_hh": stacked("U", "weight_hh"),
        "bias_ih": bias,
        "bias_hh": zeros_like(bias),
    }
    if given.update_gate == "adds" or (given.update_gate is None and gate.memory_sign < 0):
        ours = {name: negated(value, gate.blocks(name), "z") for name, value in ours.items()}
    return ours | {f"weight_c{name[-1]}": value for name, value in peepholes.items()}


def _called(given: Given, letter: str) -> str:
    """Return what the text calls a gate's letter, by the weights that are there."""
    other = CANDIDATES.get(letter, letter)
    name = f"W_{other}"
    return other if any(found == name or found.endswith((f".{name}", f"/{name}")) for found in given.params) else letter


def _peepholes(gate: Gate, inputs: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Return the text's name -> shape of each peephole: a vector p, or a matrix P."""
    sizes = canonical_shapes(gate, inputs, hidden)
    peepholes = {name[-1]: size for name, size in sizes.items() if name.startswith("weight_c")}
    return {f"{'p' if len(size) == 1 else 'P'}_{letter}": size for letter, size in peepholes.items()}
