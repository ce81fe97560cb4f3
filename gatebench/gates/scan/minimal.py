"""minGRU and minLSTM: the GRU and the LSTM with all that hinders a parallel scan taken out."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Tensors
from gatebench.gates.scan.base import Scan, State, Work
from gatebench.shape import Shape


class MinGRU(Scan):
    """minGRU: the update gate sees the input alone, no reset, no tanh; z adds the new.

        z = σ(W_z x_t + b_z)      n = W_n x_t + b_n      h_t = (1 - z) ⊙ h_{t-1} + z ⊙ n

    Blocks z, n. The authors' log-space form passes n through g(n) = n + ½ (n ≥ 0), σ(n) (n < 0): another gate.
    """

    name = "mingru"
    equation = r"z = \sigma(W_z x_t + b_z),\quad n = W_n x_t + b_n\\ h_t = (1 - z) \odot h_{t-1} + z \odot n"
    source = "Feng et al. 2024, arXiv 2410.01201, section 3.1 (there h̃ for n)"
    letters: ClassVar[Mapping[str, tuple[str, ...]]] = {"weight_ih": ("z", "n"), "bias_ih": ("z", "n")}
    memory_block = "z"
    memory_sign = -1  # what keeps the state is 1 - z
    nonlinearities: ClassVar[Mapping[str, str]] = {"z": "sigmoid", "n": "identity"}

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"weight_ih": (2 * shape.hidden_size, shape.input_size), "bias_ih": (2 * shape.hidden_size,)}

    def project(self, params: Tensors, x: Tensor) -> dict[str, Tensor]:
        z, n = F.linear(x, params["weight_ih"], params["bias_ih"]).chunk(2, dim=-1)
        return {"z": torch.sigmoid(z), "n": n}

    def cell(self, params: Tensors, values: Tensors, state: State) -> tuple[Tensor, State]:
        (h,), z = state, values["z"]
        h = (1 - z) * h + z * values["n"]
        return h, (h,)

    def work(self, shape: Shape) -> Work:
        I, H = shape.input_size, shape.hidden_size
        return Work(flops=4 * I * H, transcendental=H, kept=3 * H, written=2 * H)  # z, n; h is the output


class MinLSTM(Scan):
    """minLSTM, normalised: forget and input gate see the input alone and are scaled to add up to 1.

        f, i = σ(W x_t + b)      g = W_g x_t + b_g
        h_t = f / (f + i) ⊙ h_{t-1} + i / (f + i) ⊙ g

    Blocks f, i, g.
    """

    name = "minlstm"
    equation = (
        r"f,i = \sigma(W x_t + b),\quad g = W_g x_t + b_g,\quad f' = \frac{f}{f + i},\quad i' = \frac{i}{f + i}"
        r"\\ h_t = f' \odot h_{t-1} + i' \odot g"
    )
    source = "Feng et al. 2024, arXiv 2410.01201, section 3.2 (there h̃ for g)"
    letters: ClassVar[Mapping[str, tuple[str, ...]]] = {"weight_ih": ("f", "i", "g"), "bias_ih": ("f", "i", "g")}
    memory_block = "f"
    nonlinearities: ClassVar[Mapping[str, str]] = {"f": "sigmoid", "i": "sigmoid", "g": "identity"}

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"weight_ih": (3 * shape.hidden_size, shape.input_size), "bias_ih": (3 * shape.hidden_size,)}

    def project(self, params: Tensors, x: Tensor) -> dict[str, Tensor]:
        f, i, g = F.linear(x, params["weight_ih"], params["bias_ih"]).chunk(3, dim=-1)
        # f / (f + i) is σ(ln f - ln i); as a quotient it would be 0 / 0 where both gates are shut.
        return {"kept": torch.sigmoid(F.logsigmoid(f) - F.logsigmoid(i)), "g": g}

    def cell(self, params: Tensors, values: Tensors, state: State) -> tuple[Tensor, State]:
        (h,), kept = state, values["kept"]
        h = kept * h + (1 - kept) * values["g"]
        return h, (h,)

    def activations(self, params: Tensors, x_t: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Return f and i as they are before they are scaled, and g, (B, H) each."""
        f, i, g = F.linear(x_t, params["weight_ih"], params["bias_ih"]).chunk(3, dim=-1)
        return {"f": torch.sigmoid(f), "i": torch.sigmoid(i), "g": g}

    def work(self, shape: Shape) -> Work:
        I, H = shape.input_size, shape.hidden_size
        return Work(flops=6 * I * H, transcendental=2 * H, kept=4 * H, written=3 * H)  # f, i, g; h is the output
