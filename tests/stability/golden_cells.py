"""The cells of fixture A: which gate each is, and which of the fixture's parameters it takes."""

import json
from pathlib import Path

import torch

from gatebench import Shape, gates

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden_recurrent.json").read_text())
CELLS = tuple(GOLDEN["cells"])
SHAPE = Shape(batch=1, seq_len=5, input_size=2, hidden_size=3)


def golden(cell):
    """Return gate, parameters and inputs of a cell of fixture A, and what is expected of it."""
    gate, params = _VARIANTS.get(cell, _plain)(cell)
    t, j = torch.arange(5, dtype=torch.float64)[:, None], torch.arange(2, dtype=torch.float64)
    inputs = {"x": torch.cos(0.7 * t + 1.3 * j)[:, None]}
    for part in gate.state(SHAPE):
        inputs[f"{part}0"] = torch.tensor([GOLDEN[f"{part}0"]], dtype=torch.float64)
    return gate, params, inputs, GOLDEN["cells"][cell]


def _plain(name):
    """Fill a gate's parameters with p_k = 0.6 sin((k+1)²), k over all of them in order."""
    gate = gates.get(name)
    sizes = gate.parameters(SHAPE)
    counts = [torch.Size(size).numel() for size in sizes.values()]
    flat = 0.6 * torch.sin((torch.arange(sum(counts), dtype=torch.float64) + 1) ** 2)
    parts = zip(sizes.items(), flat.split(counts), strict=True)
    return gate, {name: part.reshape(size) for (name, size), part in parts}


def _coupled(cell):
    """Keep the blocks f, g, o of the LSTM's four."""
    _, params = _plain("lstm")
    return gates.get(cell), {name: value.unflatten(0, (4, 3))[1:].flatten(0, 1) for name, value in params.items()}


def _reset_after_add(cell):
    """Negate the block z: then it adds the new state."""
    gate, params = _plain("gru")
    for value in params.values():
        value[3:6] *= -1
    return gate, params


def _raised(cell):
    gate, params = _plain("rnn_relu")
    return gate, params | {"bias_ih": params["bias_ih"] + 1}


_VARIANTS = {"lstm_coupled": _coupled, "gru_reset_after_add": _reset_after_add, "rnn_relu_bias_plus_1": _raised}
