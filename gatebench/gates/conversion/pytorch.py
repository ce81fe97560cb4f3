"""torch.nn.RNN, LSTM and GRU, whose names and layout the gates share; and feed-forward blocks of its model libraries."""

import re

from torch import Tensor

from gatebench.errors import UserError
from gatebench.gates.base import Gate
from gatebench.gates.conversion.given import Given
from gatebench.gates.conversion.layout import canonical_shapes

# gate, up and down projection: Llama and Gemma; T5 1.1. Llama's own w1, w3, w2 are left out: in xFormers' SwiGLU
# the same names mean gate, output, up.
PROJECTIONS = (("gate_proj", "up_proj", "down_proj"), ("wi_0", "wi_1", "wo"))
RECURRENT = ("rnn_tanh", "rnn_relu", "lstm", "lstm_projected", "gru")
FEED_FORWARD = ("glu_ffn", "bilinear_ffn", "reglu_ffn", "geglu_ffn", "geglu_tanh_ffn", "swiglu_ffn", "gtu_ffn")
GATES = (*RECURRENT, *FEED_FORWARD)


def read(gate: Gate, given: Given) -> dict[str, Tensor]:
    """Return the parameters of one layer and direction of a recurrent module, or of a feed-forward block."""
    return _feed_forward(gate, given) if gate.name in FEED_FORWARD else _recurrent(gate, given)


def _recurrent(gate: Gate, given: Given) -> dict[str, Tensor]:
    suffix = f"_l{given.layer or 0}" + ("_reverse" if given.direction == "reverse" else "")
    names = {name: name + suffix for name in canonical_shapes(gate, 1, 1)}
    biases = [names["bias_ih"], names["bias_hh"]]
    weights = [name for name in names.values() if name not in biases]
    others: set[str] = set()

    def foreign(name: str) -> bool:
        """Say whether a name is another layer's or direction's, of a stack one that it has too, or a submodule's."""
        end = re.search(r"_l\d+(_reverse)?$", name)
        if "." in name or end is None or end.group() == suffix:
            return "." in name
        others.add(end.group().removeprefix("_"))
        return not given.passes or end.group() in given.passes

    module = given.module(weights, biases, foreign)
    if given.layer is None and given.direction is None and others:
        what = f"layers and directions l0, {', '.join(sorted(others))}"
        raise UserError(given.where, what, "accepted: layer and direction of one", "or gates.get with num_layers, bidirectional for all")  # fmt: skip
    if sum(name in module for name in biases) == 1:
        raise UserError(given.where, f"only one of {' and '.join(biases)}", "accepted: both, or none (bias=False)")
    hidden = module.size(names["weight_hh"], 0, 2) // len(gate.blocks("weight_hh"))
    shapes = canonical_shapes(gate, module.size(names["weight_ih"], 1, 2), max(hidden, 1))
    found = module.checked({names[name]: shape for name, shape in shapes.items()})
    return {name: found[names[name]] for name in shapes}


def _feed_forward(gate: Gate, given: Given) -> dict[str, Tensor]:
    present = [names for names in PROJECTIONS if any(name.endswith(f"{names[0]}.weight") for name in given.params)]
    gated, linear, down = present[0] if present else PROJECTIONS[0]
    theirs = {"W": f"{gated}.weight", "V": f"{linear}.weight", "W2": f"{down}.weight"}
    theirs |= {"b": f"{gated}.bias", "c": f"{linear}.bias"} if gate["bias"] else {}
    module = given.module(list(theirs.values()))
    hidden, width = (module.size(theirs["W"], axis, 2) for axis in (0, 1))
    found = module.checked({theirs[name]: shape for name, shape in canonical_shapes(gate, width, hidden).items()})
    return {name: found[foreign] for name, foreign in theirs.items()}
