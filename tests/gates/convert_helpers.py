"""What the tests of gates.convert share: a shape, random numbers, and torch's modules."""

import numpy as np
import torch
from torch import nn

from gatebench import Shape

SHAPE = Shape(batch=3, seq_len=6, input_size=5, hidden_size=4)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}
MODULES = {
    "rnn_tanh": nn.RNN,
    "rnn_relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


def random(*shape, seed=0, dtype=np.float64):
    """Return normal numbers from a fixed seed."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def states(gate, seed=1):
    """Return random inputs of the gate and its initial state side by side."""
    inputs = gate.inputs(SHAPE, seed)
    return inputs, torch.cat([inputs[f"{part}0"] for part in gate.state(SHAPE)], dim=-1)


def text(letters, biases=True):
    """Return a text's parameters for I = 2, H = 1, the k-th gate's numbers beginning with k."""
    params = {}
    for k, letter in enumerate(letters, start=1):
        params |= {f"W_{letter}": [[10.0 * k, 10 * k + 1]], f"U_{letter}": [[10.0 * k + 2]]}
        params |= {f"b_{letter}": [10.0 * k + 3]} if biases else {}
    return params
