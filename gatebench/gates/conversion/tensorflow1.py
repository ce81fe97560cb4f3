"""TensorFlow 1: the cells of tf.nn.rnn_cell, whose kernels act on inputs and state side by side."""

import torch
from torch import Tensor, zeros_like

from gatebench.errors import UserError
from gatebench.gates.base import Gate
from gatebench.gates.conversion.given import Given, Module
from gatebench.gates.conversion.layout import canonical_shapes, reordered

# Blocks in TensorFlow's order by the gates' letters; it calls the LSTM's candidate j, the GRU's z and n u and c.
LETTERS = {
    "rnn_linear": "h",
    "rnn_tanh": "h",
    "rnn_relu": "h",
    "lstm": "igfo",
    "lstm_peephole": "igfo",
    "lstm_projected": "igfo",
    "gru_reset_before": "rzn",
    "gru_textbook": "rzn",
}
# What LSTMCell may have beyond kernel and bias, by the gates' names.
EXTRA = {
    "weight_ci": "w_i_diag",
    "weight_cf": "w_f_diag",
    "weight_co": "w_o_diag",
    "weight_hr": "projection/kernel",
}


def read(gate: Gate, given: Given) -> dict[str, Tensor]:
    """Return kernel (I + H, G·H) and bias (G·H,) of a cell; the GRU's reset acts before the product, z (its u) keeps.

    LSTMCell has w_i_diag, w_f_diag, w_o_diag (H,) with use_peepholes; with num_proj it has projection/kernel (H, P), and
    its kernel is (I + P, 4H). GRUCell has gates/kernel (I + H, 2H), blocks r and u, candidate/kernel (I + H, H), and a
    bias for each. The LSTM cells add forget_bias to f at run time. Source: tensorflow/python/ops/rnn_cell_impl.py.
    """
    letters = LETTERS[gate.name]
    theirs = _gru(given) if "r" in letters else _one_kernel(gate, given)
    if "f" in letters:
        theirs["bias_hh"].chunk(len(letters))[letters.index("f")].fill_(given.forget_bias)
    return {
        name: reordered(value, letters, gate.blocks(name)) if gate.blocks(name) else value
        for name, value in theirs.items()
    }


def _one_kernel(gate: Gate, given: Given) -> dict[str, Tensor]:
    """Return the canonical parameters, blocks still in TensorFlow's order, of a cell with one kernel."""
    extra = {name: EXTRA[name] for name in canonical_shapes(gate, 1, 1) if name in EXTRA}
    module = given.module(("kernel", "bias", *extra.values()))
    hidden = max(module.size("bias", 0, 1) // len(LETTERS[gate.name]), 1)
    ours = canonical_shapes(gate, 1, hidden)
    state = ours["weight_hh"][1]
    inputs = _inputs(module, "kernel", state)
    shapes = {"kernel": (inputs + state, ours["weight_hh"][0]), "bias": ours["bias_ih"]}
    found = module.checked(shapes | {theirs: ours[name][::-1] for name, theirs in extra.items()})
    weight_ih, weight_hh = found["kernel"].T.split([inputs, state], dim=1)
    params = {
        "weight_ih": weight_ih,
        "weight_hh": weight_hh,
        "bias_ih": found["bias"],
        "bias_hh": zeros_like(found["bias"]),
    }
    others = {name: found[theirs] for name, theirs in extra.items()}
    return params | {name: value.T if value.ndim == 2 else value for name, value in others.items()}


def _gru(given: Given) -> dict[str, Tensor]:
    """Return the canonical parameters of GRUCell."""
    module = given.module(("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"))
    hidden = module.size("candidate/bias", 0, 1)
    inputs = _inputs(module, "gates/kernel", hidden)
    rows = inputs + hidden
    shapes = {"gates/kernel": (rows, 2 * hidden), "gates/bias": (2 * hidden,)}
    found = module.checked({**shapes, "candidate/kernel": (rows, hidden), "candidate/bias": (hidden,)})
    kernel = torch.cat((found["gates/kernel"], found["candidate/kernel"]), dim=1)
    bias = torch.cat((found["gates/bias"], found["candidate/bias"]))
    weight_ih, weight_hh = kernel.T.split([inputs, hidden], dim=1)
    return {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias, "bias_hh": zeros_like(bias)}


def _inputs(module: Module, kernel: str, state: int) -> int:
    """Return the input size, which is what a kernel has rows for beyond those of the state."""
    rows = module.size(kernel, 0, 2)
    if rows <= state:
        raise UserError(module.where, f"{kernel} has {rows} rows", f"accepted: more than the state's {state}")
    return rows - state
