"""Gated convolutions. Layouts: x (B, C, L) or (B, C, H, W), output likewise; input_size and hidden_size are channels in and out."""

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

KERNEL_SIZE = Option(3, int, (1, 64), "k, width (and height) of the filters")


class GatedConvolution(Gate):
    """Two convolutions of one input, of which one gates the other, computed as one with twice the channels."""

    family = "convolution"
    stackable = True
    transcendental: ClassVar[int] = 1  # per output value

    @property
    def dimensions(self) -> int:
        """1 for x (B, C, L), 2 for x (B, C, H, W)."""
        return 1

    @property
    def dilation(self) -> int:
        """Steps between the inputs that a filter meets."""
        return 1

    def gated(self, value: Tensor, gate: Tensor) -> Tensor:
        """Gate the first half of the channels by the second."""
        raise NotImplementedError(f"gate {self.name} does not define gated")

    def positions(self, shape: Shape) -> tuple[int, ...]:
        """Return (L,) or (H, W)."""
        return (shape.seq_len,) if self.dimensions == 1 else (shape.seq_len, self["width"] or shape.seq_len)

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        kernel = (self["kernel_size"],) * self.dimensions
        return {"weight": (2 * shape.hidden_size, shape.input_size, *kernel), "bias": (2 * shape.hidden_size,)}

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return ("value", "gate") if parameter in ("weight", "bias") else ()

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"x": (shape.batch, shape.input_size, *self.positions(shape))}

    def time_axis(self, tensor: str) -> int | None:
        return 2 if self.dimensions == 1 and tensor in ("x", "output") else None

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw the weight or bias by torch.nn.Conv's rule: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
        sizes = self.parameters(shape)
        return draw_tensor(sizes[name], seed, name, "uniform") * math.prod(sizes["weight"][1:]) ** -0.5

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        return {"output": self.gated(*self._halves(params, inputs))}

    def padding(self) -> tuple[int, int]:
        """Return the zeros before and after the input along each axis; before it alone where the gate is causal."""
        reach = self.dilation * (self["kernel_size"] - 1)
        return (reach, 0) if self.dimensions == 1 else (reach // 2, reach - reach // 2)

    def convolve(self, params: Tensors, inputs: Tensors) -> Tensor:
        """Return both convolutions, (B, 2H, L) or (B, 2H, H, W), value first."""
        padded = F.pad(inputs["x"], self.padding() * self.dimensions)
        if self.dimensions == 1:
            return F.conv1d(padded, params["weight"], params["bias"], dilation=self.dilation)
        return F.conv2d(padded, params["weight"], params["bias"])

    def _halves(self, params: Tensors, inputs: Tensors) -> tuple[Tensor, Tensor]:
        value, gate = self.convolve(params, inputs).chunk(2, dim=1)
        return value, gate

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work at n = B·L (or B·H·W) positions: 4n·k·C_in·C_out FLOP forward (k² in 2-D), 8 backward.

        The padding is counted as data, as dense convolutions compute it. Bytes: forward reads x, weight and bias and
        writes y; backward reads x, both convolutions, dy and the parameters and writes their gradients; in
        forward_backward the forward also writes both convolutions.
        """
        n, s = shape.batch * math.prod(self.positions(shape)), DTYPE_BYTES[dtype]
        sizes = self.parameters(shape)
        weights = sum(math.prod(size) for size in sizes.values())
        x, y = n * shape.input_size, n * shape.hidden_size
        transcendental = self.transcendental * y
        forward = Cost(2 * n * math.prod(sizes["weight"]), transcendental, s * (x + weights + y))
        backward = Cost(2 * forward.flops, transcendental, s * (2 * x + 3 * y + 2 * weights))
        return Cost.of(mode, forward, backward, s * 2 * y)


class GatedConv(GatedConvolution):
    """Gated convolution: output = (W * x + b) ⊙ σ(V * x + c), the GLU over channels.

    dimensions = 1: causal over L, as in gated convolutional language models: k - 1 zeros before the first input.
    dimensions = 2: images, output as large as the input, as in free-form inpainting (there with an activation on the
    value); an even kernel pads one more below and to the right. Blocks value, gate, in F.glu's order.
    """

    name = "gated_conv"
    equation = r"y = (W * x + b) \odot \sigma(V * x + c)"
    source = "Dauphin et al. 2017, arXiv 1612.08083, eq. 1; in 2-D: Yu et al. 2019, arXiv 1806.03589, section 3.1"
    options: ClassVar[Mapping[str, Option]] = {
        "dimensions": Option(1, int, (1, 2), "1: x (B, C, L), causal; 2: x (B, C, H, W), H = seq_len"),
        "kernel_size": KERNEL_SIZE,
        "width": WIDTH,
    }
    nonlinearities: ClassVar[Mapping[str, str]] = {"gate": "sigmoid"}

    def check_shape(self, shape: Shape) -> None:
        if self["dimensions"] == 1 and self["width"]:
            raise Unsupported(f"gated_conv: width = {self['width']} at dimensions = 1, where x has none; accepted: 0")

    @property
    def dimensions(self) -> int:
        return self["dimensions"]

    def gated(self, value: Tensor, gate: Tensor) -> Tensor:
        return value * torch.sigmoid(gate)

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"gate": σ(V * x + c)}, of the output's shape."""
        return {"gate": torch.sigmoid(self._halves(params, inputs)[1])}


class GatedTanhConv(GatedConvolution):
    """WaveNet's gated activation over a causal dilated convolution: output = tanh(W * x + b) ⊙ σ(V * x + c).

    x (B, C, L); a filter meets x_t, x_{t-d}, ..., x_{t-(k-1)d}, zeros before the first. Blocks value, gate.
    """

    name = "gated_tanh_conv"
    equation = r"y = \tanh(W * x + b) \odot \sigma(V * x + c)"
    source = "van den Oord et al. 2016, arXiv 1609.03499 (WaveNet), eq. 2"
    options: ClassVar[Mapping[str, Option]] = {
        "kernel_size": Option(2, int, (1, 64), "k, how many inputs a filter meets"),
        "dilation": Option(1, int, (1, 65536), "d, steps between the inputs that a filter meets"),
    }
    transcendental = 2
    nonlinearities: ClassVar[Mapping[str, str]] = {"value": "tanh", "gate": "sigmoid"}

    @property
    def dilation(self) -> int:
        return self["dilation"]

    def gated(self, value: Tensor, gate: Tensor) -> Tensor:
        return torch.tanh(value) * torch.sigmoid(gate)

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"value": tanh(W * x + b), "gate": σ(V * x + c)}, of the output's shape."""
        value, gate = self._halves(params, inputs)
        return {"value": torch.tanh(value), "gate": torch.sigmoid(gate)}
