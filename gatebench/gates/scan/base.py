"""What scan gates share: everything that needs the input alone comes first, for all steps; then the plain recurrence.

Layouts: x (T, B, I), output (T, B, H), states (B, width). Weights act as y = x Wᵀ, blocks stacked along the first axis.
`forward` is the sequential definition. How an implementation scans (in chunks, in log space, in parallel) is its own affair.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Tensors
from gatebench.gates.draw import draw_tensor
from gatebench.shape import Shape

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class Work:
    """Work per step and row of the batch.

    flops                    of the matrix products, forward; of a memory with several values per channel 2 for each that
                             is written and 2 for each that is read (a multiply-add with v kᵀ, with q); decay is pointwise
    transcendental           calls of exp, tanh, ... in the forward
    transcendental_backward  those that the backward makes again, because their results are not kept
    kept                     values that the backward reads beside x, the output's gradient and the weights
    written                  those of them that the forward writes for it alone (the output is written anyway)
    flops_again              of computing the states again in the backward, which then reads the initial ones, too
    """

    flops: int
    transcendental: int
    kept: int
    written: int
    transcendental_backward: int = 0
    flops_again: int = 0


class Scan(Gate):
    """A gate with time whose gates do not see its output: subclasses write `project`, `cell` and `work`."""

    family = "scan"
    stackable = True
    parts: ClassVar[tuple[str, ...]] = ("h",)
    letters: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # parameter -> its blocks, in order
    memory_biases: ClassVar[tuple[str, ...]] = ("bias_ih",)

    def project(self, params: Tensors, x: Tensor) -> dict[str, Tensor]:
        """Compute what needs the input alone, for one step or all at once: (..., I) -> (..., width) each, by letter.

        x is what `step_inputs` gives.
        """
        raise NotImplementedError(f"gate {self.name} does not define project")

    def project_all(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Compute what needs the input alone for every step of a sequence, in one product: (T, B, width) each, by letter."""
        return self.project(params, self.step_inputs(inputs))

    def cell(self, params: Tensors, values: Tensors, state: State) -> tuple[Tensor, State]:
        """Advance one step from what `project` gave for it -> output (B, H), new parts of the state."""
        raise NotImplementedError(f"gate {self.name} does not define cell")

    def work(self, shape: Shape) -> Work:
        """Count the work per step and row."""
        raise NotImplementedError(f"gate {self.name} does not define work")

    def state(self, shape: Shape) -> dict[str, int]:
        return dict.fromkeys(self.parts, shape.hidden_size)

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return self.letters.get(parameter, ())

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw one parameter by torch.nn.Linear's rule, U(-1/sqrt(fan_in), 1/sqrt(fan_in)); vectors by the first weight's."""
        sizes = self.parameters(shape)
        weight = sizes[name] if len(sizes[name]) > 1 else next(iter(sizes.values()))
        return draw_tensor(sizes[name], seed, name, "uniform") * math.prod(weight[1:]) ** -0.5

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        projected = self.project_all(params, inputs)
        state = tuple(inputs[f"{part}0"] for part in self.parts)
        outputs = []
        for values in zip(*(value.unbind(0) for value in projected.values()), strict=True):
            output, state = self.cell(params, dict(zip(projected, values, strict=True)), state)
            outputs.append(output)
        return {"output": torch.stack(outputs), **dict(zip(self.parts, state, strict=True))}

    def step(self, params: Tensors, x_t: Tensor, state: Tensor) -> Tensor:
        _, parts = self.cell(params, self.project(params, x_t), self.split_state(params, state))
        return torch.cat(parts, dim=-1)

    def split_state(self, params: Tensors, state: Tensor) -> State:
        """Return the parts of a state (B, S), (B, width) each."""
        return state.chunk(len(self.parts), dim=-1)

    def activations(self, params: Tensors, x_t: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Return the gates' values at one step by letter, (B, H) each."""
        projected = self.project(params, x_t)
        return {letter: projected[letter] for letter in self.nonlinearities if letter in projected}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work of n = B·T steps: `work` per step; twice its FLOPs backward, and those made again.

        Bytes: forward reads the inputs, the states and the weights and writes output and states; backward reads
        inputs, weights, dy and what is kept, and the initial states where it computes the states again, and writes the
        gradients of inputs and weights; in forward_backward the forward also writes what is kept for the backward alone.
        """
        n, s, work = shape.batch * shape.seq_len, DTYPE_BYTES[dtype], self.work(shape)
        states = shape.batch * sum(self.state(shape).values())
        inputs = sum(math.prod(size) for size in self.input_shapes(shape).values()) - states
        weights = sum(math.prod(size) for size in self.parameters(shape).values())
        output = n * shape.hidden_size
        forward = Cost(n * work.flops, n * work.transcendental, s * (inputs + weights + output + 2 * states))
        initial = states if work.flops_again else 0
        backward = Cost(
            n * (2 * work.flops + work.flops_again),
            n * work.transcendental_backward,
            s * (2 * inputs + initial + 2 * weights + output + n * work.kept),
        )
        return Cost.of(mode, forward, backward, s * n * work.written)
