"""The GLU family: a value multiplied by an activated gate, pointwise or as a feed-forward block.

Layouts: value, gate, output (B, T, H); packed: one x (B, T, 2H), value first, as torch's F.glu wants it.
Feed-forward blocks: x (B, T, I) -> (B, T, I), with hidden width H.
"""

import math
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
BIAS = Option(False, bool, (False, True), "add biases b to x Wᵀ and c to x Vᵀ")
BETA = Option(1.0, float, (0.0, 100.0), "slope of Swish_β(u) = u σ(βu); 1 is SiLU, as in Llama")


def swish(u: Tensor, beta: float) -> Tensor:
    """Compute Swish_β(u) = u σ(βu), any shape. Ramachandran et al. 2017; β = 1 is SiLU."""
    return u * torch.sigmoid(u if beta == 1.0 else beta * u)


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

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work of n = B·T·H elements: 3n values moved forward, 5n backward."""
        n, s = shape.batch * shape.seq_len * shape.hidden_size, DTYPE_BYTES[dtype]
        transcendental = self.transcendental * n
        forward = Cost((1 + self.activation_flops) * n, transcendental, 3 * n * s)
        backward = Cost(self.backward_flops * n, transcendental, 5 * n * s)
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


class Bilinear(PointwiseGLU):
    """Bilinear unit: output = value ⊙ gate, a GLU without the sigmoid. Mnih & Hinton 2007; Shazeer 2020, eq. 5."""

    name = "bilinear"
    equation = r"y = \mathrm{value} \odot \mathrm{gate}"
    source = "Shazeer 2020, arXiv 2002.05202, eq. 5; Mnih & Hinton 2007"
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


class FeedForward(Gate):
    """Feed-forward block around a pointwise gate: output = combine(value = x Vᵀ, gate = x Wᵀ) W2ᵀ. Shazeer 2020, eq. 6.

    W, V (H, I) and W2 (I, H) in torch.nn.Linear's layout; W is Llama's gate_proj, V its up_proj, W2 its down_proj.
    With option bias: gate = x Wᵀ + b, value = x Vᵀ + c.
    """

    family = "glu"
    stackable = True
    options: ClassVar[Mapping[str, Option]] = {"bias": BIAS}
    pointwise: ClassVar[type[PointwiseGLU]]
    source = "Shazeer 2020, arXiv 2002.05202, eq. 6"

    @property
    def core(self) -> PointwiseGLU:
        """The pointwise gate inside, with this gate's options."""
        shared = {name: self[name] for name in self.options if name in self.pointwise.options}
        return self.pointwise(**shared)

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H = shape.input_size, shape.hidden_size
        biases: dict[str, tuple[int, ...]] = {"b": (H,), "c": (H,)} if self["bias"] else {}
        return {"W": (H, I), "V": (H, I), "W2": (I, H), **biases}

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw one weight or bias by torch.nn.Linear's rule: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
        size = self.parameters(shape)[name]
        fan_in = shape.input_size if len(size) == 1 else size[1]
        return draw_tensor(size, seed, name, "uniform") * fan_in**-0.5

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"x": (shape.batch, shape.seq_len, shape.input_size)}

    def time_axis(self, tensor: str) -> int | None:
        return 1 if tensor in ("x", "output") else None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        gate, value = self.products(params, inputs)
        return {"output": F.linear(self.core.combine(value, gate), params["W2"])}

    def products(self, params: Tensors, inputs: Tensors) -> tuple[Tensor, Tensor]:
        """Return gate x Wᵀ (+ b) and value x Vᵀ (+ c), (B, T, H) each."""
        x = inputs["x"]
        return F.linear(x, params["W"], params.get("b")), F.linear(x, params["V"], params.get("c"))

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return the pointwise gate's activations (B, T, H)."""
        gate, value = self.products(params, inputs)
        return self.core.activations({}, {"value": value, "gate": gate})

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work for n = B·T tokens: 6n·I·H FLOP forward, 12n·I·H backward.

        Bytes: forward reads x and the weights and writes y; backward reads x, u, v, dy and the weights and
        writes dx and their gradients; in forward_backward the forward also writes u and v.
        """
        n, I, H, s = shape.batch * shape.seq_len, shape.input_size, shape.hidden_size, DTYPE_BYTES[dtype]
        weights, kept = 3 * I * H + (2 * H if self["bias"] else 0), 2 * n * H
        transcendental = self.pointwise.transcendental * n * H
        forward = Cost(6 * n * I * H, transcendental, s * (2 * n * I + weights))
        backward = Cost(12 * n * I * H, transcendental, s * (3 * n * I + kept + 2 * weights))
        if mode == "forward":
            return forward
        return backward if mode == "backward" else forward + backward + Cost(0, 0, s * kept)


class GLUFFN(FeedForward):
    """GLU feed-forward block: output = (σ(x Wᵀ) ⊙ x Vᵀ) W2ᵀ. Shazeer 2020, eq. 6."""

    name = "glu_ffn"
    pointwise = GLU
    equation = r"y = (\sigma(x W^\top) \odot x V^\top)\, W_2^\top"
    nonlinearities = GLU.nonlinearities


class BilinearFFN(FeedForward):
    """Bilinear feed-forward block: output = (x Wᵀ ⊙ x Vᵀ) W2ᵀ. Shazeer 2020, eq. 6."""

    name = "bilinear_ffn"
    pointwise = Bilinear
    equation = r"y = (x W^\top \odot x V^\top)\, W_2^\top"
    nonlinearities = Bilinear.nonlinearities


class ReGLUFFN(FeedForward):
    """ReGLU feed-forward block: output = (max(0, x Wᵀ) ⊙ x Vᵀ) W2ᵀ. Shazeer 2020, eq. 6."""

    name = "reglu_ffn"
    pointwise = ReGLU
    equation = r"y = (\max(0, x W^\top) \odot x V^\top)\, W_2^\top"
    nonlinearities = ReGLU.nonlinearities


class GEGLUFFN(FeedForward):
    """GEGLU feed-forward block: output = (GELU(x Wᵀ) ⊙ x Vᵀ) W2ᵀ, by the error function. Shazeer 2020, eq. 6; T5 v1.1."""

    name = "geglu_ffn"
    pointwise = GEGLU
    equation = r"y = (\mathrm{GELU}(x W^\top) \odot x V^\top)\, W_2^\top"
    nonlinearities = GEGLU.nonlinearities


class GEGLUTanhFFN(FeedForward):
    """GEGLU feed-forward block by the tanh approximation: output = (GELU_tanh(x Wᵀ) ⊙ x Vᵀ) W2ᵀ. T5 v1.1 in JAX, Gemma."""

    name = "geglu_tanh_ffn"
    pointwise = GEGLUTanh
    equation = r"y = (\mathrm{GELU}_{\tanh}(x W^\top) \odot x V^\top)\, W_2^\top"
    nonlinearities = GEGLUTanh.nonlinearities


class SwiGLUFFN(FeedForward):
    """SwiGLU feed-forward block: output = (Swish_β(x Wᵀ) ⊙ (x Vᵀ)) W2ᵀ. Shazeer 2020, eq. 6; Llama's, without biases."""

    name = "swiglu_ffn"
    pointwise = SwiGLU
    equation = r"y = (\mathrm{Swish}_\beta(x W^\top) \odot x V^\top)\, W_2^\top"
    source = "Shazeer 2020, arXiv 2002.05202, eq. 6; Llama's feed-forward block"
    options: ClassVar[Mapping[str, Option]] = {"bias": BIAS, "beta": BETA}
    nonlinearities = SwiGLU.nonlinearities


class GTUFFN(FeedForward):
    """Gated tanh feed-forward block: output = (σ(x Wᵀ) ⊙ tanh(x Vᵀ)) W2ᵀ."""

    name = "gtu_ffn"
    pointwise = GTU
    equation = r"y = (\sigma(x W^\top) \odot \tanh(x V^\top))\, W_2^\top"
    source = "the gated tanh unit of van den Oord et al. 2016 in the block of Shazeer 2020, eq. 6"
    nonlinearities = GTU.nonlinearities
