"""Gated linear units as feed-forward blocks: x (B, T, I) -> (B, T, I), with hidden width H."""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Role, Tensors
from gatebench.gates.draw import draw_tensor
from gatebench.gates.glu.pointwise import BETA, GEGLU, GLU, GTU, Bilinear, GEGLUTanh, PointwiseGLU, ReGLU, SwiGLU
from gatebench.options import Option
from gatebench.shape import Shape

BIAS = Option(False, bool, (False, True), "add biases b to x Wᵀ and c to x Vᵀ")


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

    def role(self, parameter: str) -> Role:
        return "bias" if parameter in ("b", "c") else "input"

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

    def slopes(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return the derivative of an activation that is not monotonic (B, T, H)."""
        gate, value = self.products(params, inputs)
        return self.core.slopes({}, {"value": value, "gate": gate})

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
        return Cost.of(mode, forward, backward, s * kept)


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
