"""Highway layers: a transform gate mixes a layer's output with its input. Layout (B, T, H)."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Role, Tensors
from gatebench.gates.draw import draw_tensor
from gatebench.options import Option
from gatebench.shape import Shape

ACTIVATION = Option("tanh", str, ("tanh", "relu"), "φ of the transformed path")
GATE_BIAS = Option(
    -1.0, float, (-100.0, 100.0), "bias that draw gives the transform gate; a carry gate's is its negative"
)


class Highway(Gate):
    """Highway layer, carry and transform coupled: what is not transformed is carried.

        H = φ(x W_Hᵀ + b_H)      T = σ(x W_Tᵀ + b_T)      y = H ⊙ T + x ⊙ (1 - T)

    x, y (B, T, H); W_H, W_T (H, H) in torch.nn.Linear's layout. Raises gatebench.Unsupported where input_size is not
    hidden_size. b_T starts below 0, so that a deep stack first carries its input through.
    """

    name = "highway"
    family = "highway"
    stackable = True
    equation = (
        r"H = \varphi(x W_H^\top + b_H),\quad T = \sigma(x W_T^\top + b_T)"
        r"\\ y = H \odot T + x \odot (1 - T)"
    )
    source = "Srivastava, Greff & Schmidhuber 2015, arXiv 1505.00387, eq. 3"
    options: ClassVar[Mapping[str, Option]] = {"activation": ACTIVATION, "gate_bias": GATE_BIAS}
    paths: ClassVar[tuple[str, ...]] = ("H", "T")  # each has a weight, a bias and one product

    @property
    def nonlinearities(self) -> Mapping[str, str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Letter of `activations` -> kind; that of H is an option."""
        return {path: self["activation"] if path == "H" else "sigmoid" for path in self.paths}

    def check_shape(self, shape: Shape) -> None:
        if shape.input_size != shape.hidden_size:
            raise Unsupported(
                f"{self.name}: input_size = {shape.input_size}, hidden_size = {shape.hidden_size}; accepted: equal sizes"
            )

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        d = shape.hidden_size
        weights: dict[str, tuple[int, ...]] = {f"W_{path}": (d, d) for path in self.paths}
        return {**weights, **{f"b_{path}": (d,) for path in self.paths}}

    def role(self, parameter: str) -> Role:
        if parameter.startswith("W_"):
            return "input"
        return "bias" if parameter == "b_H" else "own"  # the gates' are an option

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw one weight or bias by torch.nn.Linear's rule, U(-1/sqrt(H), 1/sqrt(H)); b_T = gate_bias, b_C = -gate_bias."""
        size = self.parameters(shape)[name]
        if name in ("b_T", "b_C"):
            return torch.full(size, self["gate_bias"] * (1 if name == "b_T" else -1), dtype=torch.float64)
        return draw_tensor(size, seed, name, "uniform") * shape.hidden_size**-0.5

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"x": (shape.batch, shape.seq_len, shape.input_size)}

    def time_axis(self, tensor: str) -> int | None:
        return 1 if tensor in ("x", "output") else None

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        x, (H, T) = inputs["x"], self.activations(params, inputs).values()
        return {"output": H * T + x * (1 - T)}

    def activations(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return {"H": φ(x W_Hᵀ + b_H), "T": σ(x W_Tᵀ + b_T)}, (B, T, H) each, and "C" where there is one."""
        products = {path: F.linear(inputs["x"], params[f"W_{path}"], params[f"b_{path}"]) for path in self.paths}
        squash = torch.tanh if self["activation"] == "tanh" else torch.relu
        return {path: squash(a) if path == "H" else torch.sigmoid(a) for path, a in products.items()}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work for n = B·T tokens, k paths of width d: 2k·n·d² FLOP forward, twice that backward.

        Bytes: forward reads x and the parameters and writes y; backward reads x, dy, the k activated paths and the
        parameters and writes dx and their gradients; in forward_backward the forward also writes the paths.
        """
        n, d, k, s = shape.batch * shape.seq_len, shape.hidden_size, len(self.paths), DTYPE_BYTES[dtype]
        stored, kept = k * (d * d + d), k * n * d
        transcendental = (k if self["activation"] == "tanh" else k - 1) * n * d
        forward = Cost(2 * k * n * d * d, transcendental, s * (2 * n * d + stored))
        backward = Cost(4 * k * n * d * d, 0, s * (3 * n * d + kept + 2 * stored))
        return Cost.of(mode, forward, backward, s * kept)


class HighwayUncoupled(Highway):
    """Highway layer with a carry gate of its own.

        H = φ(x W_Hᵀ + b_H)      T = σ(x W_Tᵀ + b_T)      C = σ(x W_Cᵀ + b_C)      y = H ⊙ T + x ⊙ C

    With W_C = -W_T and b_C = -b_T it is `highway`, since σ(-a) = 1 - σ(a); b_C is drawn as -gate_bias accordingly.
    """

    name = "highway_uncoupled"
    equation = (
        r"H = \varphi(x W_H^\top + b_H),\quad T = \sigma(x W_T^\top + b_T),\quad C = \sigma(x W_C^\top + b_C)"
        r"\\ y = H \odot T + x \odot C"
    )
    source = "Srivastava, Greff & Schmidhuber 2015, arXiv 1505.00387, eq. 2"
    paths = ("H", "T", "C")

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        x, (H, T, C) = inputs["x"], self.activations(params, inputs).values()
        return {"output": H * T + x * C}
