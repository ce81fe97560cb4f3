"""Gates on channels. Layouts: x (B, C, L) or (B, C, H, W), output likewise; input_size and hidden_size are channels in and out."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import DTYPE_BYTES, WIDTH, Cost, Gate, Role, Tensors
from gatebench.gates.draw import draw_tensor
from gatebench.options import Option
from gatebench.shape import Shape

EPSILON = 1e-5  # torch.nn.BatchNorm2d's
GRID = 64  # thresholds lie on the first 64 odd multiples of half a grid step, which every dtype holds exactly


class ChannelGate(Gate):
    """Channel gating: a part of the input channels decides, activation by activation, whether the others are added.

        Y_p = W_p * x_p      d = [norm(Y_p) > Δ]      y = Y_p + d ⊙ (W_r * x_r)

    x_p are the first C_in // p channels (at least one), x_r the others; Δ has one value per output channel; d is 0 or 1 per
    activation, and 0 at equality. Stride 1, zero padding that keeps the size, no bias.

    The gradient is a surrogate, as in the authors' code: forward d, backward the derivative of σ(α (norm(Y_p) - Δ)); with
    sparse_bp it is 0 where d is 0. norm "folded" takes norm(Y_p) = Y_p: at inference the normalisation is part of Δ, which
    is then mean + Δ·std. norm "batch" is batch normalisation without affine parameters over rows and positions, as in
    training. Grouping and shuffling of channels, and the loss that drives Δ, are not part of the gate.

    A step has no tolerance: a sum that lands on the other side of Δ in another order of summation would be another result.
    So x_p is drawn as whole numbers, W_p as whole multiples of a power of two and Δ half-way between two of them: partial
    sums are exact, and with norm "folded" every dtype finds the same d. With "batch" mean and deviation are rounded, and
    where eager itself then decides otherwise than float64, verify says `ill-conditioned`.
    """

    name = "channel_gate"
    family = "channel"
    equation = r"Y_p = W_p * x_p,\quad d = [\mathrm{norm}(Y_p) > \Delta_c],\quad y = Y_p + d \odot (W_r * x_r)"
    source = "Hua et al. 2019, arXiv 1805.12549, section 3; cornell-zhang/dnn-gating utils/cg_utils.py"
    stackable = True
    surrogate_gradient = True
    options: ClassVar[Mapping[str, Option]] = {
        "kernel_size": Option(3, int, (1, 63), "k, width and height of the filters, odd"),
        "p": Option(4, int, (1, 1024), "one part in p of the input channels decides"),
        "alpha": Option(2.0, float, (0.0, 1000.0), "α, steepness of the surrogate"),
        "norm": Option("folded", str, ("folded", "batch"), "normalisation of Y_p: part of Δ, or over the batch"),
        "sparse_bp": Option(False, bool, (False, True), "no surrogate gradient where the gate is shut"),
        "width": WIDTH,
    }

    nonlinearities: ClassVar[Mapping[str, str]] = {"d": "step"}

    def check_shape(self, shape: Shape) -> None:
        if self["kernel_size"] % 2 == 0:
            raise Unsupported(f"channel_gate: kernel_size {self['kernel_size']} is even, and the size must stay")
        if self._base(shape) >= shape.input_size:
            raise Unsupported(f"channel_gate: {shape.input_size} input channels at p = {self['p']} leave none to gate")
        if self["norm"] == "batch" and math.prod(self.input_shapes(shape)["x"]) == shape.input_size:
            raise Unsupported("channel_gate: one row of one position has no deviation; norm = batch wants more values")

    def _base(self, shape: Shape) -> int:
        return max(1, shape.input_size // self["p"])

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        k, base, out = self["kernel_size"], self._base(shape), shape.hidden_size
        return {"weight_p": (out, base, k, k), "weight_r": (out, shape.input_size - base, k, k), "threshold": (out,)}

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"x": (shape.batch, shape.input_size, shape.seq_len, self["width"] or shape.seq_len)}

    def time_axis(self, tensor: str) -> int | None:
        return None

    def role(self, parameter: str) -> Role:
        return "own" if parameter == "weight_p" else super().role(parameter)  # it lies on a grid

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw weights by torch.nn.Conv2d's rule, W_p on a grid; Δ between grid points, so that about half the gates open.

        The authors' code starts at Δ = -6, where all are open.
        """
        size = self.parameters(shape)[name]
        fan_in = shape.input_size * self["kernel_size"] ** 2
        if name == "weight_r":
            return draw_tensor(size, seed, name, "uniform") * fan_in**-0.5
        step = 2.0 ** math.floor(math.log2(fan_in**-0.5 / 2))
        if name == "weight_p":
            return step * torch.round(2.5 * draw_tensor(size, seed, name, "uniform"))  # -2 .. 2 steps
        spread = (2 * self._base(shape) * self["kernel_size"] ** 2) ** 0.5  # of Y_p in steps: weights of variance 2
        uniform = draw_tensor(size, seed, name, "uniform") * min(spread, GRID)
        between = step * (torch.floor(uniform) + 0.5)
        return between if self["norm"] == "folded" else between / (step * spread)

    def inputs(self, shape: Shape, seed: int, kind: str = "normal") -> dict[str, Tensor]:
        """Draw x; the channels that decide are rounded to whole numbers."""
        x = super().inputs(shape, seed, kind)["x"]
        base = self._base(shape)
        return {"x": torch.cat((x[:, :base].round(), x[:, base:]), dim=1)}

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        base, gate = self._base_and_gate(params, inputs["x"])
        rest = inputs["x"][:, params["weight_p"].shape[1] :]
        return {"output": base + gate * F.conv2d(rest, params["weight_r"], padding="same")}

    def _base_and_gate(self, params: Tensors, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return Y_p and d, which carries the surrogate's gradient, (B, C_out, H, W) each."""
        base = F.conv2d(x[:, : params["weight_p"].shape[1]], params["weight_p"], padding="same")
        normed = base if self["norm"] == "folded" else F.batch_norm(base, None, None, training=True, eps=EPSILON)
        above = normed - params["threshold"][:, None, None]
        opened = (above > 0).to(x.dtype)
        soft = torch.sigmoid(self["alpha"] * above)
        slope = soft - soft.detach()  # 0 in value; NaN where the input is
        return base, opened + (opened * slope if self["sparse_bp"] else slope)

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"d": the gates' decisions, 0 or 1} (B, C_out, H, W); their mean is the density ρ."""
        return {"d": self._base_and_gate(params, inputs["x"])[1].detach()}

    def flops(self, shape: Shape, density: float) -> float:
        """Return the forward's FLOPs where a share ρ of the gates is open: 2n·k²·C_out·(C_p + ρ·C_r) at n positions."""
        n = math.prod(self.input_shapes(shape)["x"]) // shape.input_size
        base = self._base(shape)
        channels = base + density * (shape.input_size - base)
        return 2 * n * self["kernel_size"] ** 2 * shape.hidden_size * channels

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the work with every gate open, as dense code computes it; `flops` says what open gates alone cost.

        Bytes: forward reads x, weights and Δ and writes y; backward reads x, Y_p, W_r * x_r, dy and the parameters and
        writes their gradients; in forward_backward the forward also writes both sums.
        """
        s, x = DTYPE_BYTES[dtype], math.prod(self.input_shapes(shape)["x"])
        y = x // shape.input_size * shape.hidden_size
        weights = sum(math.prod(size) for size in self.parameters(shape).values())
        forward = Cost(int(self.flops(shape, 1.0)), 0, s * (x + weights + y))
        backward = Cost(2 * forward.flops, y, s * (2 * x + 3 * y + 2 * weights))
        return Cost.of(mode, forward, backward, s * 2 * y)


class SqueezeExcite(Gate):
    """Squeeze and excitation: each channel is scaled by a gate that sees the mean of every channel.

        s = mean of x over positions      z = max(0, W_1 s + b_1)      output = x ⊙ σ(W_2 z + b_2)

    weight_1 (C // r, C), at least one row, weight_2 (C, C // r).
    """

    name = "squeeze_excite"
    family = "channel"
    equation = r"y = x \odot \sigma(W_2 \max(0, W_1 s + b_1) + b_2),\quad s = \frac{1}{HW}\sum_{i,j} x_{ij}"
    source = "Hu, Shen & Sun 2018, arXiv 1709.01507, eqs. 2 to 4"
    stackable = True
    options: ClassVar[Mapping[str, Option]] = {
        "reduction": Option(16, int, (1, 4096), "r, how many times narrower the middle is than the channels"),
        "dimensions": Option(2, int, (1, 2), "1: x (B, C, L); 2: x (B, C, H, W), H = seq_len"),
        "width": WIDTH,
    }
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "sigmoid", "z": "relu"}

    def check_shape(self, shape: Shape) -> None:
        if self["dimensions"] == 1 and self["width"]:
            raise Unsupported(
                f"squeeze_excite: width = {self['width']} at dimensions = 1, where x has none; accepted: 0"
            )
        if shape.input_size != shape.hidden_size:
            raise Unsupported(
                f"squeeze_excite keeps its channels: input_size {shape.input_size} is not hidden_size {shape.hidden_size}"
            )

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        C, narrow = shape.hidden_size, max(1, shape.hidden_size // self["reduction"])
        return {"weight_1": (narrow, C), "weight_2": (C, narrow), "bias_1": (narrow,), "bias_2": (C,)}

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw one weight or bias by torch.nn.Linear's rule: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
        sizes = self.parameters(shape)
        return draw_tensor(sizes[name], seed, name, "uniform") * sizes[name.replace("bias", "weight")][1] ** -0.5

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        positions = (shape.seq_len, self["width"] or shape.seq_len)[: self["dimensions"]]
        return {"x": (shape.batch, shape.input_size, *positions)}

    def time_axis(self, tensor: str) -> int | None:
        return 2 if self["dimensions"] == 1 and tensor in ("x", "output") else None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        x, gate = inputs["x"], self.activations(params, inputs)["gate"]
        return {"output": x * gate.reshape(*gate.shape, *(1,) * (x.dim() - 2))}

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"z": (B, C // r), "gate": (B, C)}."""
        squeezed = inputs["x"].flatten(2).mean(-1)
        z = torch.relu(F.linear(squeezed, params["weight_1"], params["bias_1"]))
        return {"z": z, "gate": torch.sigmoid(F.linear(z, params["weight_2"], params["bias_2"]))}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work: 4B·C·(C/r) FLOP forward, three times that backward.

        Nothing is kept: the backward computes the gates again. Bytes: forward reads x (once, although it is needed twice)
        and the parameters and writes y; backward reads x, dy and the parameters and writes their gradients.
        """
        s, x = DTYPE_BYTES[dtype], math.prod(self.input_shapes(shape)["x"])
        sizes = self.parameters(shape)
        weights = sum(math.prod(size) for size in sizes.values())
        gates = shape.batch * shape.hidden_size
        forward = Cost(4 * shape.batch * math.prod(sizes["weight_1"]), gates, s * (2 * x + weights))
        backward = Cost(3 * forward.flops, gates, s * (3 * x + 2 * weights))
        return Cost.of(mode, forward, backward)
