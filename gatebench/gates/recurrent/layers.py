"""Stacked, bidirectional and ragged recurrences, in the conventions of torch's own modules.

A pass is one recurrence over time: layer by layer, and in each layer forward, then backward in time. Passes follow each
other along the last axis of the states, (B, D·L·H), and in the parameters' names: weight_ih, weight_ih_reverse,
weight_ih_l1, weight_ih_l1_reverse, ...
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import Gate, Tensors
from gatebench.gates.draw import generator
from gatebench.gates.recurrent.base import Recurrent, State
from gatebench.options import Option
from gatebench.shape import ONES, Shape


class Pass(NamedTuple):
    """One recurrence over time within a stack."""

    layer: int
    reverse: bool

    @property
    def suffix(self) -> str:
        """What its parameters' names end in."""
        return (f"_l{self.layer}" if self.layer else "") + ("_reverse" if self.reverse else "")


# Parameters of one pass, x (T, B, ·), first state, reverse, inside (T, B, 1) or None -> outputs (T, B, H), last state.
RunPass = Callable[[Tensors, Tensor, State, bool, Tensor | None], tuple[Tensor, State]]


class Layered(Recurrent):
    """A recurrence that may be stacked, run in both directions, and end at each row's own length."""

    options: ClassVar[Mapping[str, Option]] = {
        "num_layers": Option(1, int, (1, 64), "layers; each takes the outputs of the one below"),
        "bidirectional": Option(
            False, bool, (False, True), "a second pass in each layer, backward in time, its outputs beside the first's"
        ),
        "lengths": Option(
            False, bool, (False, True),
            "a further input lengths (B,): outputs are zero beyond a row's end, the final state is its last step's",
        ),
    }  # fmt: skip

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        cls.options = {**Layered.options, **cls.options}  # a subclass's own options come beside these

    @property
    def passes(self) -> tuple[Pass, ...]:
        """The passes in torch's order."""
        directions = (False, True) if self["bidirectional"] else (False,)
        return tuple(Pass(layer, reverse) for layer in range(self["num_layers"]) for reverse in directions)

    @property
    def single(self) -> bool:
        """Whether this is one layer in one direction with rows of full length: every option at its default."""
        return len(self.passes) == 1 and not self["lengths"]

    @property
    def resumable(self) -> bool:
        return not (self["bidirectional"] or self["lengths"])

    # --- what the gate is made of

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for each in self.passes:
            own = super().parameters(replace(shape, input_size=self._width(shape, each)))
            found |= {name + each.suffix: size for name, size in own.items()}
        return found

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return super().blocks(re.sub(r"(_l\d+)?(_reverse)?$", "", parameter))

    @property
    def suffixes(self) -> tuple[str, ...]:
        return tuple(each.suffix for each in self.passes)

    def _width(self, shape: Shape, of: Pass) -> int:
        """Return the width of a pass's input."""
        return shape.input_size if of.layer == 0 else shape.hidden_size * (2 if self["bidirectional"] else 1)

    def state(self, shape: Shape) -> dict[str, int]:
        return {part: width * len(self.passes) for part, width in super().state(shape).items()}

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {**super().input_shapes(shape), **({"lengths": (shape.batch,)} if self["lengths"] else {})}

    def series(self, shape: Shape) -> tuple[tuple[str, ...], ...]:
        return tuple(names for names in super().series(shape) if names != ("lengths",))

    def inputs(self, shape: Shape, seed: int, kind: str = "normal") -> dict[str, Tensor]:
        """Draw inputs; lengths are integers spread evenly from T/B to T, in an order drawn from the seed."""
        drawn = super().inputs(shape, seed, kind)
        if self["lengths"]:
            order = torch.randperm(shape.batch, generator=generator(seed, "lengths"))
            drawn["lengths"] = self._lengths(shape)[order]
        return drawn

    @staticmethod
    def _lengths(shape: Shape) -> Tensor:
        """Return ⌈T (b + 1) / B⌉ for b = 0..B-1, all T where T or B is 1: the sum, and so the work, is the same for any seed."""
        rows = torch.arange(1, shape.batch + 1)
        return -(-shape.seq_len * rows // max(shape.batch, 1))

    # --- what it computes

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        return super().forward(params, inputs) if self.single else self.forward_by(self.run_pass, params, inputs)

    def forward_by(self, run_pass: RunPass, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Compute forward pass by pass, each by `run_pass`: the gate's own, or one that does the same another way."""
        inside, x = None, inputs["x"]
        if self["lengths"]:
            steps = torch.arange(len(x), device=x.device)
            inside = (steps[:, None] < inputs["lengths"].to(x.device))[..., None]  # (T, B, 1)
            x = x.where(inside, 0)  # whatever stands beyond a row's end, even NaN, reaches no gradient
        starts = [inputs[f"{part}0"].chunk(len(self.passes), dim=-1) for part in self.parts]
        finals: list[State] = []
        for layer in range(self["num_layers"]):
            outputs = []
            for each in self.passes:
                if each.layer == layer:
                    start = tuple(part[len(finals)] for part in starts)
                    output, final = run_pass(self._own(params, each), x, start, each.reverse, inside)
                    outputs.append(output)
                    finals.append(final)
            x = torch.cat(outputs, dim=-1)
        return {"output": x, **self._by_part(finals)}

    def run_pass(
        self, params: Tensors, x: Tensor, state: State, reverse: bool, inside: Tensor | None
    ) -> tuple[Tensor, State]:
        """Run one pass over x (T, B, ·): outputs (T, B, H), zero beyond a row's end, and the last state."""
        projected = self.project(params, x)
        steps = range(len(x))
        outputs: list[Tensor] = [projected.new_empty(0)] * len(x)
        for t in reversed(steps) if reverse else steps:
            new, _ = self.cell(params, projected[t], state)
            if inside is None:
                state, outputs[t] = new, new[0]
                continue
            state = tuple(after.where(inside[t], before) for after, before in zip(new, state, strict=True))
            outputs[t] = new[0].where(inside[t], 0)
        return torch.stack(outputs), state

    def step(self, params: Tensors, x_t: Tensor, state: Tensor) -> Tensor:
        """Advance all layers by one step; raises Unsupported where a step depends on more than the past."""
        return torch.cat(list(self._by_part(self._climb(params, x_t, state)[0]).values()), dim=-1)

    def activations(self, params: Tensors, x_t: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Return the gates' values at one step by letter, (B, L·H) each, layer by layer."""
        values = self._climb(params, x_t, state)[1]
        return {letter: torch.cat([value[letter] for value in values], dim=-1) for letter in values[0]}

    def _climb(self, params: Tensors, x_t: Tensor, state: Tensor) -> tuple[list[State], list[dict[str, Tensor]]]:
        """Compute one step layer by layer -> new states and gate values of each layer."""
        if not self.resumable:
            option = "bidirectional" if self["bidirectional"] else "lengths"
            raise Unsupported(f"{self.name} with {option}=True has no step: it sees more than the state before")
        parts = [part.chunk(len(self.passes), dim=-1) for part in state.chunk(len(self.parts), dim=-1)]
        states, values = [], []
        for number, each in enumerate(self.passes):
            own = self._own(params, each)
            new, value = self.cell(own, self.project(own, x_t), tuple(part[number] for part in parts))
            states.append(new)
            values.append(value)
            x_t = new[0]
        return states, values

    def _own(self, params: Tensors, of: Pass) -> dict[str, Tensor]:
        """Return the parameters of one pass by their names without suffix."""
        return {name: params[name + of.suffix] for name in super().parameters(ONES)}

    def _by_part(self, states: list[State]) -> dict[str, Tensor]:
        return {
            part: torch.cat(values, dim=-1) for part, values in zip(self.parts, zip(*states, strict=True), strict=True)
        }

    def extent(self, shape: Shape) -> tuple[int, int, int, int]:
        # The backward needs the outputs of every layer; those below the top are not among the gate's own.
        steps = int(self._lengths(shape).sum()) if self["lengths"] else shape.batch * shape.seq_len
        width = shape.hidden_size * (2 if self["bidirectional"] else 1)
        return steps, len(self.passes), shape.batch * shape.seq_len * width, (self["num_layers"] - 1) * steps * width


def require_single(gate: Gate, implementation: str) -> None:
    """Raise Unsupported where a gate's options ask for more than one layer, in one direction, of full rows."""
    if isinstance(gate, Layered) and not gate.single:
        raise Unsupported(f"{implementation} does one layer, one direction, and rows of full length")
