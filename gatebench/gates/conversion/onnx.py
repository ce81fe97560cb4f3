"""ONNX: the inputs W, R, B and P of the operators RNN, LSTM and GRU."""

from torch import Tensor

from gatebench.errors import UserError
from gatebench.gates.base import Gate
from gatebench.gates.conversion.given import Given
from gatebench.gates.conversion.layout import negated, reordered

# Blocks in ONNX' order by the gates' letters; ONNX calls the candidate c in the LSTM and h in the GRU.
LETTERS = {
    "rnn_linear": "h",
    "rnn_tanh": "h",
    "rnn_relu": "h",
    "lstm": "iofg",
    "lstm_peephole": "iofg",
    "lstm_coupled": "fo-g",  # input_forget=1 ignores f and keeps i, which is the gate's f negated
    "gru": "zrn",
    "gru_reset_before": "zrn",
    "gru_textbook": "zrn",
}
PEEPHOLES = "iof"


def read(gate: Gate, given: Given) -> dict[str, Tensor]:
    """Return one direction of W (D, G·H, I), R (D, G·H, H), B (D, 2·G·H: W's, then R's), P (D, 3H); z keeps.

    LSTM with input_forget=1 is `lstm_coupled`: f = 1 - i, by onnx/onnx pull request 149 and onnxruntime's CPU kernel; the
    specification says only that the two are coupled. Source: the operators' specification.
    """
    letters, peephole = LETTERS[gate.name], gate.name == "lstm_peephole"
    module = given.module(("W", "R"), ("B", "P") if peephole else ("B",))
    directions, inputs, hidden = module.size("W", 0, 3), module.size("W", 2, 3), module.size("R", 2, 3)
    if directions > 2:
        raise UserError(given.where, f"W has {directions} directions", "accepted: 1 or 2 along the first axis")
    if given.passes and directions != len(given.passes):
        raise UserError(given.where, f"W has {directions} direction", f"accepted: {len(given.passes)}, as the gate has")
    if not given.passes and directions == 2 and given.direction is None:
        raise UserError(given.where, "W has 2 directions", "accepted: direction of one", "or gates.get with bidirectional for both")  # fmt: skip
    rows = len(letters) * hidden
    shapes = {"W": (rows, inputs), "R": (rows, hidden), "B": (2 * rows,)}
    shapes |= {"P": (len(PEEPHOLES) * hidden,)} if peephole else {}
    found = module.checked({name: (directions, *shape) for name, shape in shapes.items()})
    found = {name: value[-1 if given.direction == "reverse" else 0] for name, value in found.items()}
    bias_ih, bias_hh = found["B"].chunk(2)
    theirs = {"weight_ih": found["W"], "weight_hh": found["R"], "bias_ih": bias_ih, "bias_hh": bias_hh}
    if gate.name == "lstm_coupled":
        theirs = {name: negated(value, letters, "f") for name, value in theirs.items()}
    ours = {name: reordered(value, letters, gate.blocks(name)) for name, value in theirs.items()}
    if peephole:
        ours |= {f"weight_c{letter}": p for letter, p in zip(PEEPHOLES, found["P"].chunk(3), strict=True)}
    return ours
