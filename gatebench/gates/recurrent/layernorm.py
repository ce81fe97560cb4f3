"""LSTM with layer normalisation."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import Tensors
from gatebench.gates.recurrent.base import State
from gatebench.gates.recurrent.lstm import LSTM
from gatebench.options import Option
from gatebench.shape import Shape

EPS = Option(1e-5, float, (0.0, 1.0), "added to the variance; 1e-5 as in torch.nn.LayerNorm")
AFFINE = Option(True, bool, (False, True), "each normalisation has a gain and a shift")
CELL_NORM = Option(True, bool, (False, True), "normalise c_t before the output's tanh")


class LSTMLayerNorm(LSTM):
    """LSTM with layer normalisation of both products, and of the cell where it is put out.

        i, f, g, o before activation: LN_ih(W x_t) + LN_hh(U h_{t-1}) + b
        i, f, o = σ(·), g = tanh(·)      c_t = f ⊙ c_{t-1} + i ⊙ g      h_t = o ⊙ tanh(LN_c(c_t))
        LN(a) = gain ⊙ (a - mean(a)) / sqrt(var(a) + eps) + shift

    LN_ih and LN_hh run over all 4H values at once, LN_c over H; gains ln_*_weight, shifts ln_*_bias, drawn as 1 and 0
    as in torch.nn.LayerNorm; one `bias` (4H,). c_t itself goes on unnormalised. Scaling W x_t or U h_{t-1} changes
    nothing but for eps, so gradients have no part along them. Raises gatebench.Unsupported where LN_c would see one
    value alone (H = 1), of which only rounding would be left.
    """

    name = "lstm_layernorm"
    equation = (
        r"(i,f,g,o)_{\mathrm{pre}} = \mathrm{LN}(W x_t) + \mathrm{LN}(U h_{t-1}) + b"
        r"\\ i,f,o = \sigma(\cdot),\quad g = \tanh(\cdot),\quad c_t = f \odot c_{t-1} + i \odot g,\quad "
        r"h_t = o \odot \tanh(\mathrm{LN}(c_t))"
    )
    source = "Ba, Kiros & Hinton 2016, arXiv 1607.06450, eqs. 20 to 22"
    options: ClassVar[Mapping[str, Option]] = {"eps": EPS, "affine": AFFINE, "cell_norm": CELL_NORM}
    reserve = 13  # i, f, g, o, c, and both products, normalised
    memory_biases = ("bias", "ln_ih_bias", "ln_hh_bias")

    def check_shape(self, shape: Shape) -> None:
        if self["cell_norm"] and shape.hidden_size == 1:
            raise Unsupported(f"{self.name}: hidden_size = 1; accepted: 2 and more, or cell_norm = False")

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        rows, H = len(self.letters) * shape.hidden_size, shape.hidden_size
        widths = {"ih": rows, "hh": rows} | ({"c": H} if self["cell_norm"] else {})
        norms = {f"ln_{key}_{kind}": (width,) for key, width in widths.items() for kind in ("weight", "bias")}
        return {
            "weight_ih": (rows, shape.input_size),
            "weight_hh": (rows, H),
            "bias": (rows,),
            **(norms if self["affine"] else {}),
        }

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return () if parameter.startswith("ln_c_") else self.letters

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw one parameter by PyTorch's rules: gains 1, shifts 0, the others U(-1/sqrt(H), 1/sqrt(H))."""
        if name.startswith("ln_"):
            size = self.parameters(shape)[name]
            return torch.full(size, 1.0 if name.endswith("_weight") else 0.0, dtype=torch.float64)
        return super().draw_parameter(shape, seed, name)

    def normalize(self, params: Tensors, key: str, a: Tensor) -> Tensor:
        """Compute LN_key(a) over the last axis, any shape."""
        return F.layer_norm(a, a.shape[-1:], params.get(f"ln_{key}_weight"), params.get(f"ln_{key}_bias"), self["eps"])

    def project(self, params: Tensors, x: Tensor) -> Tensor:
        """Compute LN_ih(W x) + b, (..., I) -> (..., 4H)."""
        return self.normalize(params, "ih", F.linear(x, params["weight_ih"])) + params["bias"]

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, f, g, o = (projected + self.normalize(params, "hh", F.linear(h, params["weight_hh"]))).chunk(4, dim=-1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c + i * g
        h = o * torch.tanh(self.normalize(params, "c", c) if self["cell_norm"] else c)
        return (h, c), {"i": i, "f": f, "g": g, "o": o}
