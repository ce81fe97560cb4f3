"""Gates around attention. Layouts: sequences (B, T, ·), with I the model width; images (B, C, H, W)."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import DTYPE_BYTES, WIDTH, Cost, Gate, Tensors
from gatebench.gates.draw import draw_tensor
from gatebench.options import Option
from gatebench.shape import Shape

CAUSAL = Option(True, bool, (False, True), "a token sees itself and what is before it, and nothing later")


class Attention(Gate):
    """What these gates share: draws by fan-in, and bytes from what is read, written and kept."""

    family = "attention"
    stackable = True

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw by torch.nn.Linear's rule, U(-1/sqrt(fan_in), 1/sqrt(fan_in)); a bias has its weight's fan_in."""
        sizes = self.parameters(shape)
        weight = sizes[name.replace("bias", "weight")]
        return draw_tensor(sizes[name], seed, name, "uniform") * math.prod(weight[1:]) ** -0.5

    def _cost(
        self, shape: Shape, mode: str, dtype: str, flops: int, transcendental: int, kept: int, again: tuple[int, int]
    ) -> Cost:
        """Sum up the work: twice the FLOPs backward, and the FLOPs and transcendental calls that it makes `again`.

        Bytes: forward reads inputs and parameters and writes the output, which has x's shape; backward reads inputs,
        parameters, dy and what is kept, and writes the gradients of inputs and parameters; in forward_backward the forward
        also writes what is kept.
        """
        s = DTYPE_BYTES[dtype]
        sizes = self.input_shapes(shape)
        inputs, output = sum(math.prod(size) for size in sizes.values()), math.prod(sizes["x"])
        weights = sum(math.prod(size) for size in self.parameters(shape).values())
        forward = Cost(flops, transcendental, s * (inputs + weights + output))
        backward = Cost(2 * flops + again[0], again[1], s * (2 * inputs + 2 * weights + output + kept))
        return Cost.of(mode, forward, backward, s * kept)


class AttentionGate(Attention):
    """Additive attention gate of Attention U-Net: a coarse signal g says where to look at a skip connection x.

        q = max(0, W_x x + W_g g + b_g)      α = σ(ψ q + b_ψ)      output = W (x ⊙ ↑α) + b

    x (B, I, H, W) and g (B, C_g, H // s, W // s), as coarse as q; W_x is a convolution with kernel and stride s (of an image
    that is smaller, its own size), the other weights are 1 x 1. ↑ interpolates bilinearly to x's size, with
    align_corners = False; the authors interpolate W_g g to q's size, too, which here it has. hidden_size is the width of q.
    As in their grid attention, without its batch normalisation after W, which would couple the rows of the batch.
    """

    name = "attention_gate"
    equation = (
        r"q = \max(0, W_x x + W_g g + b_g),\quad \alpha = \sigma(\psi^\top q + b_\psi),\quad "
        r"y = W (x \odot \uparrow\!\alpha) + b"
    )
    source = (
        "Oktay et al. 2018, arXiv 1804.03999, eqs. 1 and 2; "
        "ozan-oktay/Attention-Gated-Networks models/layers/grid_attention_layer.py"
    )
    options: ClassVar[Mapping[str, Option]] = {
        "stride": Option(2, int, (1, 64), "s, how much coarser the attention and g are than x"),
        "gating_channels": Option(0, int, (0, 65536), "C_g, channels of g; 0: as many as x has"),
        "width": WIDTH,
    }
    nonlinearities: ClassVar[Mapping[str, str]] = {"alpha": "sigmoid", "q": "relu"}

    def _size(self, shape: Shape) -> tuple[int, int]:
        return shape.seq_len, self["width"] or shape.seq_len

    def _patch(self, shape: Shape) -> tuple[int, int]:
        height, width = self._size(shape)
        return min(self["stride"], height), min(self["stride"], width)

    def _coarse(self, shape: Shape) -> tuple[int, int]:
        (height, width), (rows, columns) = self._size(shape), self._patch(shape)
        return height // rows, width // columns

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        channels = self["gating_channels"] or shape.input_size
        return {
            "x": (shape.batch, shape.input_size, *self._size(shape)),
            "g": (shape.batch, channels, *self._coarse(shape)),
        }

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H = shape.input_size, shape.hidden_size
        return {
            "theta_weight": (H, I, *self._patch(shape)),
            "phi_weight": (H, self["gating_channels"] or I, 1, 1),
            "phi_bias": (H,),
            "psi_weight": (1, H, 1, 1),
            "psi_bias": (1,),
            "out_weight": (I, I, 1, 1),
            "out_bias": (I,),
        }

    def time_axis(self, tensor: str) -> int | None:
        return None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        x, alpha = inputs["x"], self.activations(params, inputs)["alpha"]
        alpha = F.interpolate(alpha, size=x.shape[2:], mode="bilinear", align_corners=False)
        return {"output": F.conv2d(alpha * x, params["out_weight"], params["out_bias"])}

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"q": (B, H, h, w), "alpha": (B, 1, h, w)}, both coarse."""
        theta = F.conv2d(inputs["x"], params["theta_weight"], stride=params["theta_weight"].shape[2:])
        phi = F.conv2d(inputs["g"], params["phi_weight"], params["phi_bias"])
        q = torch.relu(theta + phi)
        return {"q": q, "alpha": torch.sigmoid(F.conv2d(q, params["psi_weight"], params["psi_bias"]))}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the work of the four convolutions: 2n'(s² I + C_g + 1) H + 2n I² FLOP at n fine and n' coarse positions.

        What is kept: q and α, coarse.
        """
        I, H = shape.input_size, shape.hidden_size
        fine, coarse = (shape.batch * math.prod(size) for size in (self._size(shape), self._coarse(shape)))
        channels = math.prod(self._patch(shape)) * I + (self["gating_channels"] or I) + 1
        flops = 2 * coarse * channels * H + 2 * fine * I * I
        return self._cost(shape, mode, dtype, flops, coarse, kept=coarse * (H + 1), again=(0, 0))


class GatedAttention(Attention):
    """Softmax attention whose heads' outputs pass a sigmoid gate that sees the query's own token.

        Q, K, V = x Wᵀ per head      Y = softmax(Q Kᵀ / √d) V      output = (Y ⊙ σ(x W_gᵀ)) W_oᵀ

    granularity "head": one gate per token and head, gate_weight (heads, I); "element": one per element, (H, I). H is the
    width of all heads together, d = H / heads. in_proj_weight (3H, I) has the blocks q, k, v, as torch.nn.MultiheadAttention.
    Without biases, position encodings and grouped keys, which are not the gate.
    """

    name = "gated_attention"
    equation = (
        r"Y = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt d}\right) V,\quad "
        r"y = (Y \odot \sigma(x W_g^\top))\, W_o^\top"
    )
    source = "Qiu et al. 2025, arXiv 2505.06708, section 2 (gate after the attention); qiuzh20/gated_attention"
    options: ClassVar[Mapping[str, Option]] = {
        "heads": Option(1, int, (1, 1024), "heads, each d = H / heads wide"),
        "granularity": Option("element", str, ("head", "element"), "one gate per head, or one per element"),
        "causal": CAUSAL,
    }
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "sigmoid"}

    def check_shape(self, shape: Shape) -> None:
        if shape.hidden_size % self["heads"]:
            raise Unsupported(
                f"gated_attention: hidden_size {shape.hidden_size} is no multiple of heads = {self['heads']}"
            )

    def _gates(self, shape: Shape) -> int:
        return self["heads"] if self["granularity"] == "head" else shape.hidden_size

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H = shape.input_size, shape.hidden_size
        return {"in_proj_weight": (3 * H, I), "gate_weight": (self._gates(shape), I), "out_proj_weight": (I, H)}

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return ("q", "k", "v") if parameter == "in_proj_weight" else ()

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"x": (shape.batch, shape.seq_len, shape.input_size)}

    def time_axis(self, tensor: str) -> int | None:
        return 1 if tensor in ("x", "output") else None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        products = F.linear(inputs["x"], params["in_proj_weight"]).chunk(3, dim=-1)
        q, k, v = (
            product.unflatten(-1, (self["heads"], -1)).transpose(1, 2) for product in products
        )  # (B, heads, T, d)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        if self["causal"]:
            scores = scores.masked_fill(_later(scores), -math.inf)
        y = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2)  # (B, T, heads, d)
        gate = self.activations(params, inputs)["gate"].unflatten(-1, (self["heads"], -1))
        return {"output": F.linear((y * gate).flatten(-2), params["out_proj_weight"])}

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"gate": σ(x W_gᵀ)}, (B, T, heads) or (B, T, H)."""
        return {"gate": torch.sigmoid(F.linear(inputs["x"], params["gate_weight"]))}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the work for n = B·T tokens: 2n·I·(4H + gates) + 4n·T·H FLOP, half of the last where causal.

        What is kept: q, k, v, the attention's output, the gates, and a logarithm per query and head; scores and their exp
        are computed again.
        """
        n, T, I, H = shape.batch * shape.seq_len, shape.seq_len, shape.input_size, shape.hidden_size
        pairs = n * T // (2 if self["causal"] else 1)
        gates = self._gates(shape)
        flops = 2 * n * I * (4 * H + gates) + 4 * pairs * H
        transcendental = n * gates + pairs * self["heads"]
        kept = n * (4 * H + gates + self["heads"])
        return self._cost(shape, mode, dtype, flops, transcendental, kept, again=(2 * pairs * H, pairs * self["heads"]))


class GatedAttentionUnit(Attention):
    """Gated attention unit (GAU) of FLASH: a gated linear unit whose value is mixed over tokens by relu² attention.

        U, V = φ(x W_uᵀ), φ(x W_vᵀ)      Z = φ(x W_zᵀ)      Q, K = γ ⊙ Z + β (one row of γ, β each)      φ = SiLU
        A = max(0, Q Kᵀ / T)²      output = (U ⊙ A V) W_oᵀ

    hidden_size is e, the width of U and V (the paper has e = 2I), key_size s that of Z. weight_uv (2H, I) has the blocks u, v;
    gamma, beta (2, s) the rows q, k. Without the paper's relative position bias in A, its normalisation of x and
    the residual path around it. A causal token's scores are divided by T all the same, as in the authors' code.
    """

    name = "gated_attention_unit"
    equation = (
        r"U,V = \phi(x W^\top),\quad Z = \phi(x W_z^\top),\quad Q,K = \gamma \odot Z + \beta"
        r"\\ A = \max(0, Q K^\top / T)^2,\quad y = (U \odot A V)\, W_o^\top,\quad \phi = \mathrm{SiLU}"
    )
    source = "Hua et al. 2022, arXiv 2202.10447, the gated attention unit"
    options: ClassVar[Mapping[str, Option]] = {
        "key_size": Option(128, int, (1, 4096), "s, width of the keys and queries"),
        "causal": CAUSAL,
    }
    nonlinearities: ClassVar[Mapping[str, str]] = {"u": "swish"}

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H, s = shape.input_size, shape.hidden_size, self["key_size"]
        return {"weight_uv": (2 * H, I), "weight_z": (s, I), "gamma": (2, s), "beta": (2, s), "weight_o": (I, H)}

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return {"weight_uv": ("u", "v"), "gamma": ("q", "k"), "beta": ("q", "k")}.get(parameter, ())

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw weights as torch.nn.Linear, γ around 1 and β around 0, so that about half of the scores are positive.

        The authors' γ, N(0, 0.02²), and β, 0, leave A all but 0 before training.
        """
        if name not in ("gamma", "beta"):
            return super().draw_parameter(shape, seed, name)
        uniform = draw_tensor(self.parameters(shape)[name], seed, name, "uniform")
        return 1 + uniform / 2 if name == "gamma" else uniform * self["key_size"] ** -0.5

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"x": (shape.batch, shape.seq_len, shape.input_size)}

    def time_axis(self, tensor: str) -> int | None:
        return 1 if tensor in ("x", "output") else None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        x = inputs["x"]
        u, v = F.silu(F.linear(x, params["weight_uv"])).chunk(2, dim=-1)
        z = F.silu(F.linear(x, params["weight_z"]))
        q, k = (z * gamma + beta for gamma, beta in zip(params["gamma"], params["beta"], strict=True))
        scores = torch.relu(q @ k.transpose(-1, -2) / x.shape[1]).square()
        if self["causal"]:
            scores = scores.masked_fill(_later(scores), 0.0)
        return {"output": F.linear(u * (scores @ v), params["weight_o"])}

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"u": SiLU(x W_uᵀ)} (B, T, H)."""
        return {"u": F.silu(F.linear(inputs["x"], params["weight_uv"].chunk(2)[0]))}

    def slopes(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"u": SiLU'(x W_uᵀ)} (B, T, H): σ(a)(1 + a(1 - σ(a)))."""
        a = F.linear(inputs["x"], params["weight_uv"].chunk(2)[0])
        s = torch.sigmoid(a)
        return {"u": s * (1 + a * (1 - s))}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the work for n = B·T tokens: 2n·I·(3H + s) + 2n·T·(s + H) FLOP, half of the last where causal.

        What is kept: the products with W before their activation (2H + s) and A V (H); activations and scores are computed
        again.
        """
        n, T, I, H, s = (
            shape.batch * shape.seq_len,
            shape.seq_len,
            shape.input_size,
            shape.hidden_size,
            self["key_size"],
        )
        pairs = n * T // (2 if self["causal"] else 1)
        flops = 2 * n * I * (3 * H + s) + 2 * pairs * (s + H)
        calls = n * (2 * H + s)
        return self._cost(shape, mode, dtype, flops, calls, kept=n * (3 * H + s), again=(2 * pairs * s, calls))


def _later(scores: Tensor) -> Tensor:
    """Return which keys are later than the query, (T, T)."""
    return torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
