"""Keras 3: SimpleRNN, LSTM and GRU, weights acting as y = x W, blocks along the last axis."""

from torch import Tensor, zeros_like

from gatebench.gates.base import Gate
from gatebench.gates.conversion.given import Given
from gatebench.gates.conversion.layout import reordered

# Blocks in Keras' order by the gates' letters; Keras calls the candidate c in the LSTM and h in the GRU.
LETTERS = {
    "rnn_linear": "h",
    "rnn_tanh": "h",
    "rnn_relu": "h",
    "lstm": "ifgo",
    "gru": "zrn",
    "gru_reset_before": "zrn",
    "gru_textbook": "zrn",
}


def read(gate: Gate, given: Given) -> dict[str, Tensor]:
    """Return kernel, recurrent_kernel and bias of a layer or cell; z keeps.

    With reset_after=True the bias is (2, 3H): the input's, then the recurrent one. Source: keras/src/layers/rnn.
    """
    letters, two = LETTERS[gate.name], gate.name == "gru"
    module = given.module(("recurrent_kernel", "kernel"), ("bias",))
    hidden, inputs = module.size("recurrent_kernel", 0, 2), module.size("kernel", 0, 2)
    columns = len(letters) * hidden
    shapes = {
        "kernel": (inputs, columns),
        "recurrent_kernel": (hidden, columns),
        "bias": (2, columns) if two else (columns,),
    }
    next_step = "reset_after=True is `gru`, reset_after=False `gru_reset_before`" if gate.name.startswith("gru") else ""
    found = module.checked(shapes, next_step)
    bias_ih, bias_hh = found["bias"] if two else (found["bias"], zeros_like(found["bias"]))
    theirs = {
        "weight_ih": found["kernel"].T,
        "weight_hh": found["recurrent_kernel"].T,
        "bias_ih": bias_ih,
        "bias_hh": bias_hh,
    }
    return {name: reordered(value, letters, gate.blocks(name)) for name, value in theirs.items()}
