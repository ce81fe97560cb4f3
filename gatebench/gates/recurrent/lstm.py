"""Long short-term memory: as in torch, with coupled gates, with a projected output."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import Tensors
from gatebench.gates.recurrent.base import Recurrent, State
from gatebench.options import Option
from gatebench.shape import Shape

PROJ_SIZE = Option(0, int, (0, 65536), "width P of the projected output, at most H; 0: half of H, at least 1")


class LSTM(Recurrent):
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


class LSTMCoupled(LSTM):
    """LSTM with coupled gates: what is forgotten is what is written, i = 1 - f.

        f, o = σ(W x_t + b + U h_{t-1} + c)      g = tanh(W x_t + b + U h_{t-1} + c)
        c_t = f ⊙ c_{t-1} + (1 - f) ⊙ g          h_t = o ⊙ tanh(c_t)

    Blocks f, g, o. Greff et al. 2015 keep the input gate's weights and set f = 1 - i (and keep peepholes): negating
    that block's weights turns one into the other, since σ(-a) = 1 - σ(a).
    """

    name = "lstm_coupled"
    equation = (
        r"f,o = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh}),\quad g = \tanh(W x_t + b_{ih} + U h_{t-1} + b_{hh})"
        r"\\ c_t = f \odot c_{t-1} + (1 - f) \odot g,\quad h_t = o \odot \tanh(c_t)"
    )
    source = "Greff et al. 2015, arXiv 1503.04069 (CIFG, there with peepholes); ONNX LSTM (input_forget=1)"
    letters = ("f", "g", "o")
    transcendental_forward = 4
    reserve = 4  # f, g, o, c
    nonlinearities: ClassVar[Mapping[str, str]] = {"f": "sigmoid", "g": "tanh", "o": "sigmoid"}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(3, dim=-1)
        f, g, o = torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c + (1 - f) * g
        h = o * torch.tanh(c)
        return (h, c), {"f": f, "g": g, "o": o}


class LSTMProjected(LSTM):
    """LSTM whose output is projected to P <= H values before it is fed back: h_t = W_hr (o ⊙ tanh(c_t)).

        i, f, o = σ(W x_t + b + U h_{t-1} + c)      g = tanh(W x_t + b + U h_{t-1} + c)
        c_t = f ⊙ c_{t-1} + i ⊙ g                   h_t = W_hr (o ⊙ tanh(c_t))

    h (B, P), c (B, H), U (4H, P), W_hr (P, H) without bias. Raises gatebench.Unsupported for P > H.
    Sak et al. 2014 have peepholes too; this is torch's form, which wants P < H.
    """

    name = "lstm_projected"
    equation = (
        r"i,f,o = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh}),\quad g = \tanh(W x_t + b_{ih} + U h_{t-1} + b_{hh})"
        r"\\ c_t = f \odot c_{t-1} + i \odot g,\quad h_t = W_{hr} (o \odot \tanh(c_t))"
    )
    source = "Sak, Senior & Beaufays 2014, arXiv 1402.1128; torch.nn.LSTM(proj_size=P)"
    options: ClassVar[Mapping[str, Option]] = {"proj_size": PROJ_SIZE}

    def projected_size(self, shape: Shape) -> int:
        """Return P, the width of h."""
        return self["proj_size"] or max(1, shape.hidden_size // 2)

    def check_shape(self, shape: Shape) -> None:
        if self.projected_size(shape) > shape.hidden_size:
            raise Unsupported(
                f"{self.name}: proj_size = {self['proj_size']} at hidden_size = {shape.hidden_size}; "
                f"accepted: 0 to {shape.hidden_size}"
            )

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        P, H = self.projected_size(shape), shape.hidden_size
        return {**super().parameters(shape), "weight_hh": (4 * H, P), "weight_hr": (P, H)}

    def state(self, shape: Shape) -> dict[str, int]:
        return {"h": self.projected_size(shape), "c": shape.hidden_size}

    def split_state(self, params: Tensors, state: Tensor) -> State:
        return state.split(list(params["weight_hr"].shape), dim=-1)

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(4, dim=-1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c + i * g
        h = F.linear(o * torch.tanh(c), params["weight_hr"])
        return (h, c), {"i": i, "f": f, "g": g, "o": o}
