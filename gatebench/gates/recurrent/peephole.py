"""LSTM with peepholes: the gates see the cell, unit by unit or through full matrices."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Role, Tensors
from gatebench.gates.recurrent.base import State
from gatebench.gates.recurrent.lstm import LongShortTermMemory
from gatebench.shape import Shape

GATES = ("i", "f", "o")  # the blocks that have a peephole, each where the gate exists


class LSTMPeephole(LongShortTermMemory):
    """LSTM whose gates see the cell of their own unit: i and f the old one, o the new one.

        i = σ(W x_t + b + U h_{t-1} + c + p_i ⊙ c_{t-1})      f likewise with p_f
        c_t = f ⊙ c_{t-1} + i ⊙ g                             g = tanh(W x_t + b + U h_{t-1} + c)
        o = σ(W x_t + b + U h_{t-1} + c + p_o ⊙ c_t)          h_t = o ⊙ tanh(c_t)

    p_i, p_f, p_o are weight_ci, weight_cf, weight_co (H,). Gers & Schmidhuber 2000; ONNX's P, oneDNN, TensorFlow.
    """

    name = "lstm_peephole"
    equation = (
        r"i = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh} + p_i \odot c_{t-1}),\quad "
        r"f = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh} + p_f \odot c_{t-1}),\quad "
        r"g = \tanh(W x_t + b_{ih} + U h_{t-1} + b_{hh})\\ "
        r"c_t = f \odot c_{t-1} + i \odot g,\quad "
        r"o = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh} + p_o \odot c_t),\quad h_t = o \odot \tanh(c_t)"
    )
    source = "Gers & Schmidhuber 2000, Recurrent nets that time and count; ONNX LSTM (input P)"

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        peepholes = {f"weight_c{gate}": self.peephole_size(shape) for gate in GATES if gate in self.letters}
        return {**super().parameters(shape), **peepholes}

    def peephole_size(self, shape: Shape) -> tuple[int, ...]:
        """Return the shape of one peephole weight."""
        return (shape.hidden_size,)

    def role(self, parameter: str) -> Role:
        return "recurrent" if parameter.startswith("weight_c") else super().role(parameter)

    def peep(self, weight: Tensor, c: Tensor) -> Tensor:
        """Compute what a gate sees of the cell, (B, H): p ⊙ c."""
        return weight * c

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(4, dim=-1)
        i = torch.sigmoid(i + self.peep(params["weight_ci"], c))
        f = torch.sigmoid(f + self.peep(params["weight_cf"], c))
        g = torch.tanh(g)
        c = f * c + i * g
        o = torch.sigmoid(o + self.peep(params["weight_co"], c))
        h = o * torch.tanh(c)
        return (h, c), {"i": i, "f": f, "g": g, "o": o}


class LSTMPeepholeFull(LSTMPeephole):
    """LSTM whose gates see the cells of all units, as lecture notes write peepholes: i and f the old ones, o the new.

        i = σ(W x_t + b + U h_{t-1} + c + P_i c_{t-1})      f likewise with P_f
        c_t = f ⊙ c_{t-1} + i ⊙ g                           g = tanh(W x_t + b + U h_{t-1} + c)
        o = σ(W x_t + b + U h_{t-1} + c + P_o c_t)          h_t = o ⊙ tanh(c_t)

    P_i, P_f, P_o are weight_ci, weight_cf, weight_co (H, H). With diagonal matrices it is `lstm_peephole`.
    The product with c_t waits for c_t: two dependent matrix products a step.
    """

    name = "lstm_peephole_full"
    equation = (
        r"i = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh} + P_i c_{t-1}),\quad "
        r"f = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh} + P_f c_{t-1}),\quad "
        r"g = \tanh(W x_t + b_{ih} + U h_{t-1} + b_{hh})\\ "
        r"c_t = f \odot c_{t-1} + i \odot g,\quad "
        r"o = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh} + P_o c_t),\quad h_t = o \odot \tanh(c_t)"
    )
    source = "Graves 2013, arXiv 1308.0850, eqs. 7 to 11, with full matrices (his are diagonal); no torch operator"

    def peephole_size(self, shape: Shape) -> tuple[int, ...]:
        return (shape.hidden_size, shape.hidden_size)

    def peep(self, weight: Tensor, c: Tensor) -> Tensor:
        return F.linear(c, weight)
