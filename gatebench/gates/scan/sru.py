"""Simple recurrent unit."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Tensors
from gatebench.gates.scan.base import Scan, State, Work
from gatebench.options import Option
from gatebench.shape import Shape


class SRU(Scan):
    """Simple recurrent unit, second version: gates look at the last state through a vector, and a highway passes x by.

        x̃ = W x_t      f = σ(W_f x_t + v_f ⊙ c_{t-1} + b_f)      c_t = f ⊙ c_{t-1} + (1 - f) ⊙ x̃
                       r = σ(W_r x_t + v_r ⊙ c_{t-1} + b_r)      h_t = r ⊙ c_t + (1 - r) ⊙ α x_t

    weight_ih has the blocks x, f, r; weight_c (the vectors v) and bias_ih have f, r. Where I ≠ H the highway carries
    W_s x_t, with weight_skip (H, I) and without α, as the authors' code does.
    """

    name = "sru"
    equation = (
        r"\tilde x = W x_t,\quad f = \sigma(W_f x_t + v_f \odot c_{t-1} + b_f),\quad "
        r"r = \sigma(W_r x_t + v_r \odot c_{t-1} + b_r)"
        r"\\ c_t = f \odot c_{t-1} + (1 - f) \odot \tilde x,\quad h_t = r \odot c_t + (1 - r) \odot \alpha x_t"
    )
    source = "Lei et al. 2018, arXiv 1709.02755v5, eqs. 1 to 4; github asappresearch/sru"
    options: ClassVar[Mapping[str, Option]] = {
        "alpha": Option(
            1.0,
            float,
            (0.0, 100.0),
            "scale of x on the highway; the paper has √(1 + 2 exp(b)), √3 at b = 0; of no effect where I ≠ H",
        )
    }
    parts = ("c",)
    letters: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "weight_ih": ("x", "f", "r"), "weight_c": ("f", "r"), "bias_ih": ("f", "r"),
    }  # fmt: skip
    memory_block = "f"
    nonlinearities: ClassVar[Mapping[str, str]] = {"f": "sigmoid", "r": "sigmoid"}

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H = shape.input_size, shape.hidden_size
        skip: dict[str, tuple[int, ...]] = {} if I == H else {"weight_skip": (H, I)}
        return {"weight_ih": (3 * H, I), **skip, "weight_c": (2 * H,), "bias_ih": (2 * H,)}

    def project(self, params: Tensors, x: Tensor) -> dict[str, Tensor]:
        candidate, f, r = F.linear(x, params["weight_ih"]).chunk(3, dim=-1)
        b_f, b_r = params["bias_ih"].chunk(2)
        skip = F.linear(x, params["weight_skip"]) if "weight_skip" in params else self["alpha"] * x
        return {"x": candidate, "f": f + b_f, "r": r + b_r, "skip": skip}

    def cell(self, params: Tensors, values: Tensors, state: State) -> tuple[Tensor, State]:
        (c,), (f, r) = state, self._gates(params, values, state)
        c = f * c + (1 - f) * values["x"]
        return r * c + (1 - r) * values["skip"], (c,)

    def _gates(self, params: Tensors, values: Tensors, state: State) -> State:
        (c,), (v_f, v_r) = state, params["weight_c"].chunk(2)
        return torch.sigmoid(values["f"] + v_f * c), torch.sigmoid(values["r"] + v_r * c)

    def activations(self, params: Tensors, x_t: Tensor, state: Tensor) -> dict[str, Tensor]:
        f, r = self._gates(params, self.project(params, x_t), (state,))
        return {"f": f, "r": r}

    def work(self, shape: Shape) -> Work:
        I, H = shape.input_size, shape.hidden_size
        products, kept = (3, 4 * H) if I == H else (4, 5 * H)  # x̃, f, r, c, and what the highway carries
        return Work(flops=2 * products * I * H, transcendental=2 * H, kept=kept, written=kept)
