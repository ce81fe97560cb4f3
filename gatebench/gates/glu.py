"""The GLU family: a value multiplied by an activated gate, pointwise or as a feed-forward block.

Layouts: value, gate, output (B, T, H); packed: one x (B, T, 2H), value first, as torch's F.glu wants it.
Feed-forward blocks: x (B, T, I) -> (B, T, I), with hidden width H.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Tensors
from gatebench.gates.draw import draw_tensor
from gatebench.options import Option
from gatebench.shape import Shape

PACKED = Option(False, bool, (False, True), "take one x (B, T, 2H), value first, instead of value and gate")
BETA = Option(1.0, float, (0.0, 100.0), "slope of Swish_β(u) = u σ(βu); 1 is SiLU, as in Llama")


def swish(u: Tensor, beta: float) -> Tensor:
    """Compute Swish_β(u) = u σ(βu), any shape. Ramachandran et al. 2017; β = 1 is SiLU."""
    return u * torch.sigmoid(u if beta == 1.0 else beta * u)


class PointwiseGLU(Gate):
    """output = value ⊙ act(gate); subclasses name the activation. It has no parameters."""

    family = "glu"
    options: ClassVar[Mapping[str, Option]] = {"packed": PACKED}
    activation_flops: ClassVar[int] = 0  # beyond the transcendental, per element
    backward_flops: ClassVar[int] = 5

    def activate(self, gate: Tensor) -> Tensor:
        """Apply the gate's activation, any shape."""
        raise NotImplementedError(f"gate {self.name} does not define activate")

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {}

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        B, T, H = shape.batch, shape.seq_len, shape.hidden_size
        return {"x": (B, T, 2 * H)} if self["packed"] else {"value": (B, T, H), "gate": (B, T, H)}

    def time_axis(self, tensor: str) -> int | None:
        return 1 if tensor in ("x", "value", "gate", "output") else None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        value, gate = self.value_and_gate(inputs)
        return {"output": value * self.activate(gate)}

    def value_and_gate(self, inputs: Tensors) -> tuple[Tensor, Tensor]:
        """Return (value, gate), split from x where packed."""
        if self["packed"]:
            value, gate = inputs["x"].chunk(2, dim=-1)
            return value, gate
        return inputs["value"], inputs["gate"]

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"gate": act(gate)} (B, T, H)."""
        return {"gate": self.activate(self.value_and_gate(inputs)[1])}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work of n = B·T·H elements: 3n values moved forward, 5n backward."""
        n, s = shape.batch * shape.seq_len * shape.hidden_size, DTYPE_BYTES[dtype]
        forward = Cost((1 + self.activation_flops) * n, n, 3 * n * s)
        backward = Cost(self.backward_flops * n, n, 5 * n * s)
        return {"forward": forward, "backward": backward}.get(mode, forward + backward)


class GLU(PointwiseGLU):
    """Gated linear unit: output = value ⊙ σ(gate). Dauphin et al. 2017, eq. 1; torch F.glu (value first)."""

    name = "glu"
    equation = r"y = \mathrm{value} \odot \sigma(\mathrm{gate})"
    source = "Dauphin et al. 2017, arXiv 1612.08083, eq. 1; torch.nn.functional.glu"
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "sigmoid"}

    def activate(self, gate: Tensor) -> Tensor:
        return torch.sigmoid(gate)


class SwiGLU(PointwiseGLU):
    """Swish-gated linear unit: output = value ⊙ Swish_β(gate), Swish_β(u) = u σ(βu). Shazeer 2020, eq. 5."""

    name = "swiglu"
    equation = r"y = \mathrm{value} \odot \mathrm{Swish}_\beta(\mathrm{gate}),\quad \mathrm{Swish}_\beta(u) = u\,\sigma(\beta u)"
    source = "Shazeer 2020, arXiv 2002.05202, eq. 5; Swish: Ramachandran et al. 2017"
    options: ClassVar[Mapping[str, Option]] = {"packed": PACKED, "beta": BETA}
    activation_flops = 1
    backward_flops = 7
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "swish"}

    def activate(self, gate: Tensor) -> Tensor:
        return swish(gate, self["beta"])


class SwiGLUFFN(Gate):
    """SwiGLU feed-forward block: output = (Swish_β(x Wᵀ) ⊙ (x Vᵀ)) W2ᵀ, without biases. Shazeer 2020, eq. 6.

    W, V (H, I) and W2 (I, H) in torch.nn.Linear's layout; W is Llama's gate_proj, V its up_proj, W2 its down_proj.
    """

    name = "swiglu_ffn"
    family = "glu"
    stackable = True
    equation = r"y = (\mathrm{Swish}_\beta(x W^\top) \odot x V^\top)\, W_2^\top"
    source = "Shazeer 2020, arXiv 2002.05202, eq. 6; Llama's feed-forward block"
    options: ClassVar[Mapping[str, Option]] = {"beta": BETA}
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "swish"}

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H = shape.input_size, shape.hidden_size
        return {"W": (H, I), "V": (H, I), "W2": (I, H)}

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw one weight by torch.nn.Linear's rule: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
        size = self.parameters(shape)[name]
        return draw_tensor(size, seed, name, "uniform") * size[1] ** -0.5

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"x": (shape.batch, shape.seq_len, shape.input_size)}

    def time_axis(self, tensor: str) -> int | None:
        return 1 if tensor in ("x", "output") else None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        x = inputs["x"]
        hidden = swish(F.linear(x, params["W"]), self["beta"]) * F.linear(x, params["V"])
        return {"output": F.linear(hidden, params["W2"])}

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"gate": Swish_β(x Wᵀ)} (B, T, H)."""
        return {"gate": swish(F.linear(inputs["x"], params["W"]), self["beta"])}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work for n = B·T tokens: 6n·I·H FLOP forward, 12n·I·H backward.

        Bytes: forward reads x and the weights and writes y; backward reads x, u, v, dy and the weights and
        writes dx and their gradients; in forward_backward the forward also writes u and v.
        """
        n, I, H, s = shape.batch * shape.seq_len, shape.input_size, shape.hidden_size, DTYPE_BYTES[dtype]
        weights, kept = 3 * I * H, 2 * n * H
        forward = Cost(6 * n * I * H, n * H, s * (2 * n * I + weights))
        backward = Cost(12 * n * I * H, n * H, s * (3 * n * I + kept + 2 * weights))
        if mode == "forward":
            return forward
        return backward if mode == "backward" else forward + backward + Cost(0, 0, s * kept)
