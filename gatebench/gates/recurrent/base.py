"""What recurrent gates share: parameters, unrolling, step and cost follow from one `cell`.

Layouts: x (T, B, I), output (T, B, H), states (B, H). Weights act as y = x Wᵀ, blocks stacked along the first axis.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Tensors
from gatebench.shape import Shape

State = tuple[Tensor, ...]


class Recurrent(Gate):
    """A gate with time: subclasses write one `cell`; unrolling, step and costs follow from it."""

    family = "recurrent"
    stackable = True
    letters: ClassVar[tuple[str, ...]]  # blocks of weight_ih, weight_hh, bias_ih, bias_hh, in order
    parts: ClassVar[tuple[str, ...]] = ("h",)
    transcendental_forward: ClassVar[int]  # per (b, t, h)
    transcendental_backward: ClassVar[int] = 0
    reserve: ClassVar[int] = 0  # values per (b, t, h) that the backward needs and the forward must keep

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        """Advance one step from the projected input W x_t + b_ih (B, G·H) -> new state parts, gate values by letter."""
        raise NotImplementedError(f"gate {self.name} does not define cell")

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        rows = len(self.letters) * shape.hidden_size
        return {
            "weight_ih": (rows, shape.input_size),
            "weight_hh": (rows, shape.hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }

    def state(self, shape: Shape) -> dict[str, int]:
        return dict.fromkeys(self.parts, shape.hidden_size)

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return self.letters

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        projected = F.linear(inputs["x"], params["weight_ih"], params["bias_ih"])  # all steps in one product
        state = tuple(inputs[f"{part}0"] for part in self.parts)
        outputs = []
        for projected_t in projected.unbind(0):
            state, _ = self.cell(params, projected_t, state)
            outputs.append(state[0])
        return {"output": torch.stack(outputs), **dict(zip(self.parts, state, strict=True))}

    def step(self, params: Tensors, x_t: Tensor, state: Tensor) -> Tensor:
        return torch.cat(self._cell_of(params, x_t, state)[0], dim=-1)

    def activations(self, params: Tensors, x_t: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Return the gates' values at one step by letter, (B, H) each."""
        return self._cell_of(params, x_t, state)[1]

    def _cell_of(self, params: Tensors, x_t: Tensor, state: Tensor) -> tuple[State, dict[str, Tensor]]:
        projected = F.linear(x_t, params["weight_ih"], params["bias_ih"])
        return self.cell(params, projected, state.chunk(len(self.parts), dim=-1))

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work: matrix products 2BT·G·H(I+H) FLOP forward, twice that backward.

        Bytes, s per element: forward s[BTI + GH(I+H+2) + BTH + 2BS], weights read once;
        backward s[2BTI + 2BTH + R·BTH + 2GH(I+H+2)] with the reserve R; in forward_backward the forward also
        writes the reserve.
        """
        B, T, I, H = shape.batch, shape.seq_len, shape.input_size, shape.hidden_size
        G, s = len(self.letters), DTYPE_BYTES[dtype]
        weights, reserve = G * H * (I + H + 2), self.reserve * B * T * H
        forward = Cost(
            2 * B * T * G * H * (I + H),
            self.transcendental_forward * B * T * H,
            s * (B * T * I + weights + B * T * H + 2 * B * H * len(self.parts)),
        )
        if mode == "forward":
            return forward
        backward = Cost(
            2 * forward.flops,
            self.transcendental_backward * B * T * H,
            s * (2 * B * T * I + 2 * B * T * H + reserve + 2 * weights),
        )
        return backward if mode == "backward" else forward + backward + Cost(0, 0, s * reserve)
