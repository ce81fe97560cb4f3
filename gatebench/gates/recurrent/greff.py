"""The search space of Greff et al. 2015: the LSTM with diagonal peepholes, with one thing changed each.

Two of their variants stand elsewhere: coupled gates are `lstm_coupled` (without peepholes), no peepholes is `lstm`.
Each cell is written out, so that what is absent costs nothing.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Role, Tensors
from gatebench.gates.recurrent.base import State
from gatebench.gates.recurrent.peephole import GATES, LSTMPeephole
from gatebench.shape import Shape

_SOURCE = "Greff et al. 2015, arXiv 1503.04069, LSTM: A Search Space Odyssey"
_A = r"W x_t + b_{ih} + U h_{t-1} + b_{hh}"
_I = rf"i = \sigma({_A} + p_i \odot c_{{t-1}}),\quad "
_F = rf"f = \sigma({_A} + p_f \odot c_{{t-1}}),\quad "
_G = rf"g = \tanh({_A})"
_O = rf"o = \sigma({_A} + p_o \odot c_t),\quad "


class LSTMNoInputGate(LSTMPeephole):
    """LSTM with peepholes without input gate (NIG): i = 1, so c_t = f ⊙ c_{t-1} + g.

    Blocks f, g, o; peepholes weight_cf, weight_co.
    """

    name = "lstm_no_input_gate"
    equation = rf"{_F}{_G}\\ c_t = f \odot c_{{t-1}} + g,\quad {_O}h_t = o \odot \tanh(c_t)"
    source = f"{_SOURCE} (NIG)"
    letters = ("f", "g", "o")
    transcendental_forward = 4
    reserve = 4  # f, g, o, c
    nonlinearities: ClassVar[Mapping[str, str]] = {"f": "sigmoid", "g": "tanh", "o": "sigmoid"}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(3, dim=-1)
        f = torch.sigmoid(f + params["weight_cf"] * c)
        g = torch.tanh(g)
        c = f * c + g
        o = torch.sigmoid(o + params["weight_co"] * c)
        h = o * torch.tanh(c)
        return (h, c), {"f": f, "g": g, "o": o}


class LSTMNoForgetGate(LSTMPeephole):
    """LSTM with peepholes without forget gate (NFG): f = 1, so c_t = c_{t-1} + i ⊙ g.

    Blocks i, g, o; peepholes weight_ci, weight_co. The cell never forgets: with U = 0 and p = 0, dc_T/dc_0 = I. So
    did Hochreiter & Schmidhuber's of 1997. No block keeps the state, so no initialisation sets one's bias.
    """

    name = "lstm_no_forget_gate"
    equation = rf"{_I}{_G}\\ c_t = c_{{t-1}} + i \odot g,\quad {_O}h_t = o \odot \tanh(c_t)"
    source = f"{_SOURCE} (NFG)"
    letters = ("i", "g", "o")
    transcendental_forward = 4
    reserve = 4  # i, g, o, c
    memory_block = None
    nonlinearities: ClassVar[Mapping[str, str]] = {"i": "sigmoid", "g": "tanh", "o": "sigmoid"}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(3, dim=-1)
        i = torch.sigmoid(i + params["weight_ci"] * c)
        g = torch.tanh(g)
        c = c + i * g
        o = torch.sigmoid(o + params["weight_co"] * c)
        h = o * torch.tanh(c)
        return (h, c), {"i": i, "g": g, "o": o}


class LSTMNoOutputGate(LSTMPeephole):
    """LSTM with peepholes without output gate (NOG): o = 1, so h_t = tanh(c_t).

    Blocks i, f, g; peepholes weight_ci, weight_cf.
    """

    name = "lstm_no_output_gate"
    equation = rf"{_I}{_F}{_G}\\ c_t = f \odot c_{{t-1}} + i \odot g,\quad h_t = \tanh(c_t)"
    source = f"{_SOURCE} (NOG)"
    letters = ("i", "f", "g")
    transcendental_forward = 4
    transcendental_backward = 0  # tanh(c_t) is the output
    reserve = 4  # i, f, g, c
    nonlinearities: ClassVar[Mapping[str, str]] = {"i": "sigmoid", "f": "sigmoid", "g": "tanh"}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, f, g = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(3, dim=-1)
        i = torch.sigmoid(i + params["weight_ci"] * c)
        f = torch.sigmoid(f + params["weight_cf"] * c)
        g = torch.tanh(g)
        c = f * c + i * g
        h = torch.tanh(c)
        return (h, c), {"i": i, "f": f, "g": g}


class LSTMNoInputActivation(LSTMPeephole):
    """LSTM with peepholes without input activation (NIAF): g = W x_t + b + U h_{t-1} + c."""

    name = "lstm_no_input_activation"
    equation = rf"{_I}{_F}g = {_A}\\ c_t = f \odot c_{{t-1}} + i \odot g,\quad {_O}h_t = o \odot \tanh(c_t)"
    source = f"{_SOURCE} (NIAF)"
    transcendental_forward = 4
    nonlinearities: ClassVar[Mapping[str, str]] = {"i": "sigmoid", "f": "sigmoid", "g": "identity", "o": "sigmoid"}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(4, dim=-1)
        i = torch.sigmoid(i + params["weight_ci"] * c)
        f = torch.sigmoid(f + params["weight_cf"] * c)
        c = f * c + i * g
        o = torch.sigmoid(o + params["weight_co"] * c)
        h = o * torch.tanh(c)
        return (h, c), {"i": i, "f": f, "g": g, "o": o}


class LSTMNoOutputActivation(LSTMPeephole):
    """LSTM with peepholes without output activation (NOAF): h_t = o ⊙ c_t."""

    name = "lstm_no_output_activation"
    equation = rf"{_I}{_F}{_G}\\ c_t = f \odot c_{{t-1}} + i \odot g,\quad {_O}h_t = o \odot c_t"
    source = f"{_SOURCE} (NOAF)"
    transcendental_forward = 4
    transcendental_backward = 0

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(4, dim=-1)
        i = torch.sigmoid(i + params["weight_ci"] * c)
        f = torch.sigmoid(f + params["weight_cf"] * c)
        g = torch.tanh(g)
        c = f * c + i * g
        o = torch.sigmoid(o + params["weight_co"] * c)
        h = o * c
        return (h, c), {"i": i, "f": f, "g": g, "o": o}


class LSTMGateRecurrence(LSTMPeephole):
    """LSTM with peepholes whose gates also see all gates of the step before (FGR): nine more matrices H x H.

        i = σ(W x_t + b + U h_{t-1} + c + p_i ⊙ c_{t-1} + R_ii i_{t-1} + R_if f_{t-1} + R_io o_{t-1})
        f and o likewise, o with p_o ⊙ c_t      g = tanh(W x_t + b + U h_{t-1} + c)
        c_t = f ⊙ c_{t-1} + i ⊙ g               h_t = o ⊙ tanh(c_t)

    The nine are one weight_gates (3H, 3H): rows are the gates that see, columns those that are seen, i, f, o.
    State (h, c, i, f, o). With weight_gates = 0 it is `lstm_peephole`.
    """

    name = "lstm_gate_recurrence"
    equation = (
        rf"i = \sigma({_A} + p_i \odot c_{{t-1}} + R_i [i; f; o]_{{t-1}}),\quad "
        rf"f = \sigma({_A} + p_f \odot c_{{t-1}} + R_f [i; f; o]_{{t-1}}),\quad {_G}\\ "
        r"c_t = f \odot c_{t-1} + i \odot g,\quad "
        rf"o = \sigma({_A} + p_o \odot c_t + R_o [i; f; o]_{{t-1}}),\quad h_t = o \odot \tanh(c_t)"
    )
    source = f"{_SOURCE} (FGR)"
    parts = ("h", "c", *GATES)

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        rows = len(GATES) * shape.hidden_size
        return {**super().parameters(shape), "weight_gates": (rows, rows)}

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return GATES if parameter == "weight_gates" else super().blocks(parameter)

    def role(self, parameter: str) -> Role:
        return "recurrent" if parameter == "weight_gates" else super().role(parameter)

    def grid(self, parameter: str) -> tuple[int, int]:
        return (len(GATES), len(GATES)) if parameter == "weight_gates" else super().grid(parameter)

    def inputs(self, shape: Shape, seed: int, kind: str = "normal") -> dict[str, Tensor]:
        """Draw inputs and initial states; gates lie in (0, 1): σ of N(0, 1), or 0 for kind "zero"."""
        drawn = super().inputs(shape, seed, kind)
        gates = {} if kind == "zero" else {f"{gate}0": torch.sigmoid(drawn[f"{gate}0"]) for gate in GATES}
        return {**drawn, **gates}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c, *gates = state
        i, f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(4, dim=-1)
        r_i, r_f, r_o = F.linear(torch.cat(gates, dim=-1), params["weight_gates"]).chunk(3, dim=-1)
        i = torch.sigmoid(i + params["weight_ci"] * c + r_i)
        f = torch.sigmoid(f + params["weight_cf"] * c + r_f)
        g = torch.tanh(g)
        c = f * c + i * g
        o = torch.sigmoid(o + params["weight_co"] * c + r_o)
        h = o * torch.tanh(c)
        return (h, c, i, f, o), {"i": i, "f": f, "g": g, "o": o}
