"""The minimal RNN: one gate between an embedded input and the old state."""

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

EMBEDDING = Option(
    "tanh", str, ("tanh", "none"), "z_t = tanh(W_x x_t + b_x), or x_t itself, which needs input_size = hidden_size"
)


class MinimalRNN(Recurrent):
    """Minimal RNN: the state moves towards the embedded input z_t as far as the update gate u lets it.

        z_t = tanh(W_x x_t + b_x)      u = σ(W h_{t-1} + V z_t + b)      h_t = u ⊙ h_{t-1} + (1 - u) ⊙ z_t

    W_x, b_x are weight_ih (H, I), bias_ih; W is weight_hh, V is weight_zh (H, H), b is bias_hh. With embedding "none"
    z_t = x_t, the form of Chen, Pennington & Schoenholz 2018, and there are no W_x, b_x; raises gatebench.Unsupported
    where input_size is not hidden_size.
    """

    name = "minimal_rnn"
    equation = (
        r"z_t = \tanh(W_x x_t + b_x),\quad u = \sigma(W h_{t-1} + V z_t + b)"
        r"\\ h_t = u \odot h_{t-1} + (1 - u) \odot z_t"
    )
    source = "Chen 2017, arXiv 1711.06788; embedding none: Chen, Pennington & Schoenholz 2018, arXiv 1806.05394"
    options: ClassVar[Mapping[str, Option]] = {"embedding": EMBEDDING}
    letters = ("u",)
    memory_block = "u"
    memory_biases = ("bias_hh",)
    nonlinearities: ClassVar[Mapping[str, str]] = {"u": "sigmoid", "z": "tanh"}

    def check_shape(self, shape: Shape) -> None:
        if self["embedding"] == "none" and shape.input_size != shape.hidden_size:
            raise Unsupported(
                f"{self.name}: input_size = {shape.input_size}, hidden_size = {shape.hidden_size}; "
                "accepted with embedding 'none': equal sizes"
            )

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H = shape.input_size, shape.hidden_size
        embedding: dict[str, tuple[int, ...]] = {"weight_ih": (H, I), "bias_ih": (H,)}
        gate: dict[str, tuple[int, ...]] = {"weight_hh": (H, H), "weight_zh": (H, H), "bias_hh": (H,)}
        return {**(embedding if self["embedding"] == "tanh" else {}), **gate}

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return ("z",) if parameter in ("weight_ih", "bias_ih") else self.letters

    def project(self, params: Tensors, x: Tensor) -> Tensor:
        """Compute z and V z + b side by side, (..., I) -> (..., 2H)."""
        z = torch.tanh(F.linear(x, params["weight_ih"], params["bias_ih"])) if self["embedding"] == "tanh" else x
        return torch.cat((z, F.linear(z, params["weight_zh"], params["bias_hh"])), dim=-1)

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        (h,) = state
        z, v = projected.chunk(2, dim=-1)
        u = torch.sigmoid(F.linear(h, params["weight_hh"]) + v)
        h = u * h + (1 - u) * z
        return (h,), {"u": u, "z": z} if self["embedding"] == "tanh" else {"u": u}

    def pointwise_work(self) -> tuple[int, int, int]:
        return (2, 0, 2) if self["embedding"] == "tanh" else (1, 0, 1)  # kept: u, and z where it is not x
