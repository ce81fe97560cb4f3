"""Mamba's selective scan (S6)."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Role, Tensors
from gatebench.gates.draw import draw_tensor
from gatebench.gates.scan.base import Scan, State, Work
from gatebench.options import Option
from gatebench.shape import Shape

STEP = (0.001, 0.1)  # range of softplus(bias_delta), log-uniform (mamba-ssm's dt_min, dt_max)


class SelectiveScan(Scan):
    """Selective scan of Mamba (S6): N diagonal states per channel, whose step size, input and output map the input sets.

        Δ = softplus(W_Δ x_t + b_Δ)      B = W_B x_t      C = W_C x_t      A = -exp(A_log)
        h_t = exp(Δ A) ⊙ h_{t-1} + B̄ x_t      y_t = Σ_N C ⊙ h_t + D ⊙ x_t
        B̄ = Δ B (euler, as mamba-ssm has it) or (exp(Δ A) - 1) / A ⊙ B (zoh, the paper's)

    Δ, D, x, y (H); B, C (N); A, h (H, N): a state h (B, H·N), channels first. W_Δ is a full matrix, where Mamba factors it
    through a low rank. Where I ≠ H, x is weight_in x_t (H) throughout. Mamba's convolution and its gate silu(z) are not part
    of it. With N = 1, A = -1, B = C = 1, zoh and no skip, exp(Δ A) = 1 - σ(W_Δ x + b_Δ): the gate is minGRU's.
    """

    name = "selective_scan"
    equation = (
        r"\Delta = \mathrm{softplus}(W_\Delta x_t + b_\Delta),\quad B = W_B x_t,\quad C = W_C x_t,\quad A = -e^{A_{\log}}"
        r"\\ h_t = e^{\Delta A} \odot h_{t-1} + \bar B x_t,\quad y_t = \sum_N C \odot h_t + D \odot x_t"
        r"\\ \mathrm{euler}:\ \bar B = \Delta B,\quad \mathrm{zoh}:\ \bar B = \frac{e^{\Delta A} - 1}{A} \odot B"
    )
    source = "Gu & Dao 2023 (Mamba), arXiv 2312.00752, eq. 4 and algorithm 2; state-spaces/mamba selective_scan_ref"
    options: ClassVar[Mapping[str, Option]] = {
        "d_state": Option(16, int, (1, 1024), "N, states per channel"),
        "discretization": Option("euler", str, ("euler", "zoh"), "how the input enters over a step of length Δ"),
        "skip": Option(True, bool, (False, True), "add D ⊙ x to the output"),
    }

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H, N = shape.input_size, shape.hidden_size, self["d_state"]
        first: dict[str, tuple[int, ...]] = {} if I == H else {"weight_in": (H, I)}
        skip: dict[str, tuple[int, ...]] = {"D": (H,)} if self["skip"] else {}
        weights = {"weight_delta": (H, H), "weight_B": (N, H), "weight_C": (N, H)}
        return {**weights, **first, "bias_delta": (H,), "A_log": (H, N), **skip}

    def role(self, parameter: str) -> Role:
        return "own" if parameter == "bias_delta" else super().role(parameter)  # with A it sets the time scale

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw as mamba-ssm does: A_n = -n, D = 1, softplus(b_Δ) log-uniform in [0.001, 0.1]; weights as torch.nn.Linear."""
        H, N = shape.hidden_size, self["d_state"]
        if name == "A_log":
            return torch.arange(1, N + 1, dtype=torch.float64).log().repeat(H, 1)
        if name == "D":
            return torch.ones(H, dtype=torch.float64)
        if name == "bias_delta":
            low, high = (math.log(end) for end in STEP)
            step = torch.exp(low + (high - low) * (draw_tensor((H,), seed, name, "uniform") + 1) / 2)
            return torch.log(torch.expm1(step))
        return super().draw_parameter(shape, seed, name)

    def state(self, shape: Shape) -> dict[str, int]:
        return {"h": shape.hidden_size * self["d_state"]}

    def project(self, params: Tensors, x: Tensor) -> dict[str, Tensor]:
        x = F.linear(x, params["weight_in"]) if "weight_in" in params else x
        delta = F.softplus(F.linear(x, params["weight_delta"], params["bias_delta"]))
        return {"x": x, "delta": delta, "B": F.linear(x, params["weight_B"]), "C": F.linear(x, params["weight_C"])}

    def cell(self, params: Tensors, values: Tensors, state: State) -> tuple[Tensor, State]:
        A, x, delta = -torch.exp(params["A_log"]), values["x"], values["delta"][..., None]
        B, C = values["B"][..., None, :], values["C"][..., None, :]  # the same for all channels
        written = delta * B if self["discretization"] == "euler" else torch.expm1(delta * A) / A * B
        h = torch.exp(delta * A) * state[0].unflatten(-1, A.shape) + written * x[..., None]
        y = (C * h).sum(-1)
        return (y + params["D"] * x if self["skip"] else y), (h.flatten(1),)

    def activations(self, params: Tensors, x_t: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Return the step sizes Δ, (B, H)."""
        return {"delta": self.project(params, x_t)["delta"]}

    def work(self, shape: Shape) -> Work:
        I, H, N = shape.input_size, shape.hidden_size, self["d_state"]
        first = 0 if I == H else H
        kept = H + 2 * N + first  # Δ, B, C, and the projected input: the states are computed again
        return Work(
            flops=2 * H * (H + 2 * N) + 2 * I * first + 4 * H * N,  # the last: B̄ x is written to h, and C h read
            transcendental=H + H * N,
            kept=kept,
            written=kept,
            transcendental_backward=H + H * N,
            flops_again=2 * H * N,  # h, not C h
        )
