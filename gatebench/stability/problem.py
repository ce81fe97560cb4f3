"""One request of plain data with its names looked up: what is drawn, rounded and asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatebench import gates
from gatebench.forms import DEFAULT_METRICS
from gatebench.gates.draw import generator
from gatebench.shape import Shape
from gatebench.stability.checks import check_dtype
from gatebench.stability.own_network import inputs_of, own_parameters
from gatebench.stability.trajectory import Trajectory

DEFAULT_LAYERS = 8
LAYER_SEED_STRIDE = 1_000_003  # a layer's seed is seed + stride · layer: no layer repeats another seed's

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Lesson:
    """What to train on, before and while the gate is measured."""

    task: str
    steps: int
    clip: float | None
    learning_rate: float | None


@dataclass(frozen=True)
class Problem:
    """One request, with its names looked up."""

    gate: gates.Gate
    shape: Shape
    dtype: torch.dtype
    seed: int
    init: str
    inputs: str
    layers: int
    metrics: tuple[str, ...]
    probes: int
    lesson: Lesson | None
    own: Mapping[str, Any]  # files of one's own in place of init and inputs: weights, inputs_file

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "Problem":
        """Look up a request's names; raises UserError for what does not exist."""
        sizes = {name: request[name] for name in ("batch", "seq_len", "input_size", "hidden_size")}
        gate = gates.get(request["gate"], **request.get("gate_options", {}))
        dtype = check_dtype("stability", request["dtype"])
        layers = request.get("layers", DEFAULT_LAYERS)
        task, lesson = request.get("task"), None
        if task is not None:
            lesson = Lesson(task, request["after_steps"], request.get("clip"), request.get("learning_rate"))
        own = {name: request[name] for name in ("weights", "inputs_file") if name in request}
        return cls(
            gate, Shape(**sizes), dtype, request["seed"], request["init"], request["inputs"], layers,
            tuple(request.get("metrics", DEFAULT_METRICS)), request.get("probes", 0), lesson, own,
        )  # fmt: skip

    def draw_layer(self, layer: int = 0) -> Tensors:
        """Draw one layer's parameters, or read one's own; float64."""
        if "weights" in self.own:
            return own_parameters(self.gate, self.own["weights"], self.shape)
        return self.gate.draw(self.shape, self.seed + LAYER_SEED_STRIDE * layer, init=self.init)

    def draw_inputs(self) -> Tensors:
        """Draw the inputs, or read one's own; float64."""
        return inputs_of(self.gate, self.shape, self.seed, self.inputs, self.own)

    def rounded(self, tensors: Tensors) -> Tensors:
        """Round to the problem's dtype."""
        return {name: value.to(self.dtype) for name, value in tensors.items()}

    def draw_probe(self, trajectory: Trajectory, number: int) -> Tensor:
        """Draw a cotangent on s_T, N(0, 1) on part h (the whole state where there is none), 0 elsewhere -> (B, S)."""
        drawn = torch.zeros(trajectory.batch, trajectory.size, dtype=torch.float64)
        part = trajectory.parts.get("h", slice(None))
        size = drawn[:, part].shape
        drawn[:, part] = torch.randn(size, generator=generator(self.seed, f"probe{number}"), dtype=torch.float64)
        return drawn.to(trajectory.states)
