"""What recurrent gates share: parameters, unrolling, step and cost follow from one `cell`.

Layouts: x (T, B, I), output (T, B, H), states (B, H). Weights act as y = x Wᵀ, blocks stacked along the first axis.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Tensors
from gatebench.shape import Shape

State = tuple[Tensor, ...]
BLOCKED = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # parameters that stack one block per letter


class Recurrent(Gate):
    """A gate with time: subclasses write one `cell`; unrolling, step and costs follow from it."""

    family = "recurrent"
    stackable = True
    letters: ClassVar[tuple[str, ...]]  # blocks of the parameters in BLOCKED, in order
    parts: ClassVar[tuple[str, ...]] = ("h",)
    transcendental_forward: ClassVar[int]  # per (b, t, h)
    transcendental_backward: ClassVar[int] = 0
    reserve: ClassVar[int] = 0  # values per (b, t, h) that the backward needs and the forward must keep

    def project(self, params: Tensors, x: Tensor) -> Tensor:
        """Compute what needs the input alone, for one step or all at once: W x + b_ih, (..., I) -> (..., G·H)."""
        return F.linear(x, params["weight_ih"], params["bias_ih"])

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        """Advance one step from the projected input (B, G·H) -> new state parts, gate values by letter."""
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
        return self.letters if parameter in BLOCKED else ()

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        projected = self.project(params, inputs["x"])  # all steps in one product
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

    def split_state(self, params: Tensors, state: Tensor) -> State:
        """Return the parts of a state (B, S), (B, width) each."""
        return state.chunk(len(self.parts), dim=-1)

    def _cell_of(self, params: Tensors, x_t: Tensor, state: Tensor) -> tuple[State, dict[str, Tensor]]:
        return self.cell(params, self.project(params, x_t), self.split_state(params, state))

    def pointwise_work(self) -> tuple[int, int, int]:
        """Return transcendental calls forward and backward, and values kept for the backward, per (b, t, h)."""
        return self.transcendental_forward, self.transcendental_backward, self.reserve

    def extent(self, shape: Shape) -> tuple[int, int, int, int]:
        """Return the steps of all rows, the recurrences that run over them, the values of the output, and those between."""
        steps = shape.batch * shape.seq_len
        return steps, 1, steps * next(iter(self.state(shape).values())), 0

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work: 2BT FLOP forward for each element of a weight, twice that backward.

        A weight's element is one multiply-add a step and row: 2BT·G·H(I+H) in all for G blocks, and 6BTH more for
        diagonal peepholes. Biases, gains and what is left of a step are pointwise and not counted.
        Bytes, s per element, N parameters, S the width of the state, O that of the output: forward
        s[BTI + N + BTO + 2BS], weights read once; backward s[2BTI + 2BTO + R·BTH + 2N] with the reserve R; in
        forward_backward the forward also writes the reserve.
        """
        s, (n, passes, output, between) = DTYPE_BYTES[dtype], self.extent(shape)
        pointwise, x, dx = (
            n * passes * shape.hidden_size,
            n * shape.input_size,
            shape.batch * shape.seq_len * shape.input_size,
        )
        counts = {name: math.prod(size) for name, size in self.parameters(shape).items()}
        weights = sum(count for name, count in counts.items() if name.startswith("weight"))
        stored, state = sum(counts.values()), shape.batch * sum(self.state(shape).values())
        calls_forward, calls_backward, kept = self.pointwise_work()
        reserve = kept * pointwise + between
        forward = Cost(2 * n * weights, calls_forward * pointwise, s * (x + stored + output + 2 * state))
        backward = Cost(
            2 * forward.flops,
            calls_backward * pointwise,
            s * (x + dx + 2 * output + reserve + 2 * stored),
        )
        return Cost.of(mode, forward, backward, s * reserve)
