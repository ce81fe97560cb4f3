"""Long short-term memory."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Tensors
from gatebench.gates.recurrent.base import State
from gatebench.gates.recurrent.layers import Layered


class LSTM(Layered):
    """Long short-term memory with forget gate.

        i, f, o = σ(W x_t + b + U h_{t-1} + c)      g = tanh(W x_t + b + U h_{t-1} + c)
        c_t = f ⊙ c_{t-1} + i ⊙ g                   h_t = o ⊙ tanh(c_t)

    Blocks i, f, g, o; two bias vectors, as in torch and cuDNN. Hochreiter & Schmidhuber 1997 had no f.
    """

    name = "lstm"
    equation = (
        r"i,f,o = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh}),\quad g = \tanh(W x_t + b_{ih} + U h_{t-1} + b_{hh})"
        r"\\ c_t = f \odot c_{t-1} + i \odot g,\quad h_t = o \odot \tanh(c_t)"
    )
    source = "Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000; torch.nn.LSTM"
    letters = ("i", "f", "g", "o")
    parts = ("h", "c")
    transcendental_forward = 5
    transcendental_backward = 1  # tanh(c_t) computed again
    reserve = 5  # i, f, g, o, c
    memory_block = "f"
    nonlinearities: ClassVar[Mapping[str, str]] = {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(4, dim=-1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        return (h, c), {"i": i, "f": f, "g": g, "o": o}
