"""Gated linear units, pointwise. Layouts: value, gate, output (B, T, H); packed: one x (B, T, 2H), value first, as torch's F.glu wants it."""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Tensors
from gatebench.options import Option
from gatebench.shape import Shape

PACKED = Option(False, bool, (False, True), "take one x (B, T, 2H), value first, instead of value and gate")
BETA = Option(1.0, float, (0.0, 100.0), "slope of Swish_β(u) = u σ(βu); 1 is SiLU, as in Llama")


def swish(u: Tensor, beta: float) -> Tensor:
    """Compute Swish_β(u) = u σ(βu), any shape. Ramachandran et al. 2017; β = 1 is SiLU."""
    return u * torch.sigmoid(u if beta == 1.0 else beta * u)


def slope(activate: Callable[[Tensor], Tensor], a: Tensor) -> Tensor:
    """Compute the derivative of an elementwise function, any shape."""
    leaf = a.detach().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(activate(leaf).sum(), leaf)[0]


class PointwiseGLU(Gate):
    """output = value ⊙ act(gate); subclasses name the activation. It has no parameters."""

    family = "glu"
    options: ClassVar[Mapping[str, Option]] = {"packed": PACKED}
    activation_flops: ClassVar[int] = 0  # beyond the transcendental, per element
    transcendental: ClassVar[int] = 1  # per element
    backward_flops: ClassVar[int] = 5

    def activate(self, gate: Tensor) -> Tensor:
        """Apply the gate's activation, any shape."""
        raise NotImplementedError(f"gate {self.name} does not define activate")

    def combine(self, value: Tensor, gate: Tensor) -> Tensor:
        """Gate the value, any shape."""
        return value * self.activate(gate)

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {}

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        B, T, H = shape.batch, shape.seq_len, shape.hidden_size
        return {"x": (B, T, 2 * H)} if self["packed"] else {"value": (B, T, H), "gate": (B, T, H)}

    def time_axis(self, tensor: str) -> int | None:
        return 1 if tensor in ("x", "value", "gate", "output") else None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        return {"output": self.combine(*self.value_and_gate(inputs))}

    def value_and_gate(self, inputs: Tensors) -> tuple[Tensor, Tensor]:
        """Return (value, gate), split from x where packed."""
        if self["packed"]:
            value, gate = inputs["x"].chunk(2, dim=-1)
            return value, gate
        return inputs["value"], inputs["gate"]

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"gate": act(gate)} (B, T, H)."""
        return {"gate": self.activate(self.value_and_gate(inputs)[1])}

    def slopes(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"gate": act'(gate)} (B, T, H) of an activation that is not monotonic."""
        if self.nonlinearities["gate"] not in ("swish", "gelu"):
            return {}
        return {"gate": slope(self.activate, self.value_and_gate(inputs)[1])}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work of n = B·T·H elements: 3n values moved forward, 5n backward."""
        n, s = shape.batch * shape.seq_len * shape.hidden_size, DTYPE_BYTES[dtype]
        transcendental = self.transcendental * n
        forward = Cost((1 + self.activation_flops) * n, transcendental, 3 * n * s)
        backward = Cost(self.backward_flops * n, transcendental, 5 * n * s)
        return Cost.of(mode, forward, backward)


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


class Bilinear(PointwiseGLU):
    """Bilinear unit: output = value ⊙ gate, a GLU without the sigmoid. Mnih & Hinton 2007; Shazeer 2020, eq. 4."""

    name = "bilinear"
    equation = r"y = \mathrm{value} \odot \mathrm{gate}"
    source = "Shazeer 2020, arXiv 2002.05202, eq. 4; Mnih & Hinton 2007"
    transcendental = 0
    backward_flops = 2
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "identity"}

    def activate(self, gate: Tensor) -> Tensor:
        return gate


class ReGLU(PointwiseGLU):
    """ReLU-gated linear unit: output = value ⊙ max(0, gate). Shazeer 2020, eq. 5."""

    name = "reglu"
    equation = r"y = \mathrm{value} \odot \max(0, \mathrm{gate})"
    source = "Shazeer 2020, arXiv 2002.05202, eq. 5"
    transcendental = 0
    activation_flops = 1
    backward_flops = 4
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "relu"}

    def activate(self, gate: Tensor) -> Tensor:
        return torch.relu(gate)


class GEGLU(PointwiseGLU):
    """GELU-gated linear unit: output = value ⊙ GELU(gate), GELU(u) = u Φ(u), by the error function as in torch."""

    name = "geglu"
    equation = r"y = \mathrm{value} \odot \mathrm{GELU}(\mathrm{gate}),\quad \mathrm{GELU}(u) = u\,\Phi(u)"
    source = "Shazeer 2020, arXiv 2002.05202, eq. 5; GELU: Hendrycks & Gimpel 2016; torch F.gelu(approximate='none')"
    activation_flops = 4
    backward_flops = 9
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "gelu"}

    def activate(self, gate: Tensor) -> Tensor:
        return 0.5 * gate * (1 + torch.erf(gate * 0.5**0.5))


class GEGLUTanh(PointwiseGLU):
    """GEGLU by the tanh approximation of GELU, as in JAX and GPT-2: 0.5 u (1 + tanh(√(2/π) (u + 0.044715 u³))).

    It differs from `geglu`'s activation by up to 4.7e-4, at |u| = 2.7: they are two gates.
    """

    name = "geglu_tanh"
    equation = (
        r"y = \mathrm{value} \odot \tfrac12 u \left(1 + \tanh\!\left(\sqrt{2/\pi}\,(u + 0.044715\,u^3)\right)\right),"
        r"\quad u = \mathrm{gate}"
    )
    source = "Hendrycks & Gimpel 2016, arXiv 1606.08415, section 2; torch F.gelu(approximate='tanh')"
    activation_flops = 8
    backward_flops = 16
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "gelu"}

    def activate(self, gate: Tensor) -> Tensor:
        inner = (2 / math.pi) ** 0.5 * (gate + 0.044715 * gate * gate * gate)
        return 0.5 * gate * (1 + torch.tanh(inner))


class GTU(PointwiseGLU):
    """Gated tanh unit: output = tanh(value) ⊙ σ(gate). Van den Oord et al. 2016, eq. 2 (PixelCNN), WaveNet."""

    name = "gtu"
    equation = r"y = \tanh(\mathrm{value}) \odot \sigma(\mathrm{gate})"
    source = "van den Oord et al. 2016, arXiv 1606.05328, eq. 2; WaveNet, arXiv 1609.03499, eq. 2"
    transcendental = 2
    backward_flops = 8
    nonlinearities: ClassVar[Mapping[str, str]] = {"value": "tanh", "gate": "sigmoid"}

    def activate(self, gate: Tensor) -> Tensor:
        return torch.sigmoid(gate)

    def combine(self, value: Tensor, gate: Tensor) -> Tensor:
        return torch.tanh(value) * torch.sigmoid(gate)

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"value": tanh(value), "gate": σ(gate)} (B, T, H)."""
        value, gate = self.value_and_gate(inputs)
        return {"value": torch.tanh(value), "gate": torch.sigmoid(gate)}
