"""Real-gated linear recurrent unit."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import Tensors
from gatebench.gates.draw import draw_tensor
from gatebench.gates.scan.base import Scan, State, Work
from gatebench.options import Option
from gatebench.shape import Shape

DECAY = 8.0  # the paper's c: how fast an open gate r forgets
RADIUS = (0.9, 0.999)  # of the decay at r = 1/8, drawn so that its square is uniform (recurrentgemma)


class RGLRU(Scan):
    """Real-gated linear recurrent unit of Griffin: the gate r sets the decay, and the input is scaled to match.

        r, i = σ(W x_t + b)      ln a = -8 r ⊙ softplus(Λ)      h_t = a ⊙ h_{t-1} + √(1 - a²) ⊙ (i ⊙ x_t)

    Blocks r, i. Option num_blocks makes each W block-diagonal: weight_ih (2H, H / num_blocks), row j of a block of rows
    sees the slice of x that j lies in. Where I ≠ H, x is weight_in x_t (H) throughout.

    Λ has recurrentgemma's sign (softplus(Λ); the paper's Λ is its negative) and is drawn as there: exp(-softplus(Λ)), which
    is a at r = 1/8, has its square uniform in [0.9², 0.999²]. (The paper means a at r = 1 to lie in [0.9, 0.999].)
    There is no first step of another form: recurrentgemma starts a sequence with h_1 = i ⊙ x_1, without the root,
    here h_0 is an input like any other. Init forget_bias=b gives r the bias -b; it sets no time scale, since Λ has a part
    in that, and chrono is refused. Its root's derivative is clipped at 1000, here it is exact, and 0 at a = 1.
    """

    name = "rg_lru"
    equation = (
        r"r,i = \sigma(W x_t + b),\quad \ln a = -8\, r \odot \mathrm{softplus}(\Lambda)"
        r"\\ h_t = a \odot h_{t-1} + \sqrt{1 - a^2} \odot (i \odot x_t)"
    )
    source = "De et al. 2024 (Griffin), arXiv 2402.19427, eqs. 1 to 4; google-deepmind/recurrentgemma torch/layers.py"
    options: ClassVar[Mapping[str, Option]] = {
        "num_blocks": Option(1, int, (1, 1024), "blocks on the diagonal of each gate's weight; 1 is a full matrix")
    }
    letters: ClassVar[Mapping[str, tuple[str, ...]]] = {"weight_ih": ("r", "i"), "bias_ih": ("r", "i")}
    memory_block = "r"
    memory_sign = -1  # r = 0 keeps the state
    memory_shares = False  # Λ sets the time scale: a = exp(-8 σ(-b) softplus(Λ)) at bias -b of r
    nonlinearities: ClassVar[Mapping[str, str]] = {"r": "sigmoid", "i": "sigmoid"}

    def check_shape(self, shape: Shape) -> None:
        if shape.hidden_size % self["num_blocks"]:
            raise Unsupported(
                f"rg_lru: hidden_size {shape.hidden_size} is no multiple of num_blocks = {self['num_blocks']}"
            )

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H = shape.input_size, shape.hidden_size
        first: dict[str, tuple[int, ...]] = {} if I == H else {"weight_in": (H, I)}
        return {"weight_ih": (2 * H, H // self["num_blocks"]), **first, "bias_ih": (2 * H,), "Lambda": (H,)}

    def grid(self, parameter: str) -> tuple[int, int]:
        return (2 * self["num_blocks"], 1) if parameter == "weight_ih" else super().grid(parameter)

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        if name != "Lambda":
            return super().draw_parameter(shape, seed, name)
        low, high = (radius**2 for radius in RADIUS)
        square = low + (high - low) * (draw_tensor((shape.hidden_size,), seed, name, "uniform") + 1) / 2
        return torch.log(torch.expm1(-square.log() / 2))  # softplus(Λ) = -ln(radius)

    def project(self, params: Tensors, x: Tensor) -> dict[str, Tensor]:
        x = F.linear(x, params["weight_in"]) if "weight_in" in params else x
        weight = params["weight_ih"].unflatten(0, (2, self["num_blocks"], -1))  # (gate, block, row, column)
        blocks = x.unflatten(-1, (self["num_blocks"], -1))
        products = torch.einsum("...bc,gbrc->...gbr", blocks, weight).flatten(-3)
        r, i = torch.sigmoid(products + params["bias_ih"]).chunk(2, dim=-1)
        log_a = -DECAY * r * F.softplus(params["Lambda"])
        return {"r": r, "i": i, "a": torch.exp(log_a), "input": root(-torch.expm1(2 * log_a)) * (i * x)}

    def cell(self, params: Tensors, values: Tensors, state: State) -> tuple[Tensor, State]:
        (h,) = state
        h = values["a"] * h + values["input"]
        return h, (h,)

    def work(self, shape: Shape) -> Work:
        I, H = shape.input_size, shape.hidden_size
        first = 0 if I == H else H
        return Work(
            flops=4 * H * H // self["num_blocks"] + 2 * I * first,
            transcendental=4 * H,  # r, i, a, and the root
            kept=3 * H + first,  # r, i, h (the output), and the projected input
            written=2 * H + first,
            transcendental_backward=2 * H,
        )


def root(square: Tensor) -> Tensor:
    """Compute √square, any shape, with derivative 0 at 0: there r is 0, too, and r(1 - r)/√r goes to 0."""
    positive = square > 0
    return torch.where(positive, torch.sqrt(torch.where(positive, square, 1.0)), square.detach())
