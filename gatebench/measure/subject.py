"""A subject: one case with its numbers drawn and its implementation prepared, ready to be called."""

import functools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from gatebench import gates
from gatebench.cases import Case
from gatebench.contract import Failure, Implementation, Prepared
from gatebench.gates import Gate
from gatebench.gates.draw import draw_tensor
from gatebench.shape import Shape

BUFFERS = 4  # inputs rotate over this many buffers with different values, so that no result can be replayed
_KEPT_ELEMENTS = 1 << 22  # of a buffer: its float64 draw is kept for the next case up to 32 MiB
_BUFFER_SEED_STRIDE = 1_000_003  # keeps buffers' seeds apart from those of neighbouring cases

Tensors = dict[str, Tensor]


@dataclass
class Subject:
    """One case in this process. Mutable: warm-up finds `loops`, the timed calls leave `kept`."""

    case: Case
    gate: Gate
    entry: Implementation
    params: Tensors
    buffers: list[Tensors]
    prepared: Prepared
    prepare_ns: int
    cotangents: Tensors = field(default_factory=dict)
    targets: list[list[Tensor]] = field(default_factory=list)  # per buffer: what the backward differentiates
    graphs: "list[tuple[torch.cuda.CUDAGraph, Tensors]]" = field(default_factory=list)  # launch = graph: one per buffer
    beside_ns: list[float] = field(default_factory=list)  # CUDA, per sample: host time that the events do not explain
    conditions: list[dict[str, Any] | None] = field(default_factory=list)  # CUDA, after each sample: clock, power, ...
    calls_made: int = 0
    kept: tuple[int, Tensors] | None = None  # buffer and outputs of a random timed call
    kept_of: int = 0  # timed calls that could have been kept so far

    @property
    def differentiates(self) -> bool:
        """Say whether the case's mode has a backward."""
        return self.case.mode != "forward"


def draw_problem(gate: Gate, case: Case, index: int) -> Tensors:
    """Draw the inputs of buffer `index`, rounded to the case's dtype, on its device."""
    seed = case.seed + index * _BUFFER_SEED_STRIDE
    elements = sum(math.prod(size) for size in gate.input_shapes(case.shape).values())
    if elements > _KEPT_ELEMENTS:
        forget_draws()  # a large problem needs the room
        drawn = gate.inputs(case.shape, seed)
    else:
        drawn = _draw_once(gate, case.shape, seed)
    return {name: place(value, case) for name, value in drawn.items()}


@functools.lru_cache(maxsize=BUFFERS)
def _draw_once(gate: Gate, shape: Shape, seed: int) -> Tensors:
    """Draw inputs, or recall them: the modes and dtypes of one gate and shape follow each other and share theirs."""
    return gate.inputs(shape, seed)


def forget_draws() -> None:
    """Free the inputs that are kept for the next case."""
    _draw_once.cache_clear()


def place(value: Tensor, case: Case) -> Tensor:
    """Round to the case's dtype and copy to its device; the copy is the case's own.

    Integers (the lengths of rows) stay as they are, on the CPU: torch's own packing wants them there.
    """
    if not value.is_floating_point():
        return value.clone()
    return value.to(getattr(torch, case.dtype), copy=True).to(case.device)


def differentiable(tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors that have gradients: those of floating point."""
    return {name: value for name, value in tensors.items() if value.is_floating_point()}


def draw_cotangents(case: Case, outputs: Mapping[str, Tensor]) -> Tensors:
    """Draw one upstream gradient per output, N(0, 1), in the case's dtype."""
    return {
        name: place(draw_tensor(tuple(value.shape), case.seed, f"cotangent:{name}", "normal"), case)
        for name, value in outputs.items()
    }


def prepare(case: Case, entry: Implementation) -> Subject:
    """Draw the numbers of a case and let its implementation prepare; prepare_ns is the implementation's part."""
    gate = gates.get(case.gate, **dict(case.gate_options))
    params = {name: place(value, case) for name, value in gate.draw(case.shape, case.seed).items()}
    buffers = [draw_problem(gate, case, index) for index in range(BUFFERS)]
    started = time.perf_counter_ns()
    prepared = entry.prepare(gate, case, {name: value.clone() for name, value in params.items()})
    synchronize(case.device)
    prepare_ns = time.perf_counter_ns() - started
    if entry.layout == "batch_first":
        prepared, buffers = _batch_first(gate, prepared), [swap_time_and_batch(gate, buffer) for buffer in buffers]
    subject = Subject(case, gate, entry, params, buffers, prepared, prepare_ns)
    if subject.differentiates:
        for tensor in prepared.leaves.values():
            tensor.requires_grad_(True)
        for buffer in buffers:
            for tensor in differentiable(buffer).values():
                tensor.requires_grad_(True)
    subject.targets = [[*prepared.leaves.values(), *differentiable(buffer).values()] for buffer in buffers]
    return subject


def first_call(subject: Subject) -> int:
    """Make the first call of the case's mode, compilation included; returns its time in ns.

    The cotangents are drawn between forward and backward, outside the clock: they take the outputs' shapes.
    """
    before = guarded_copies(subject)
    started = time.perf_counter_ns()
    with torch.set_grad_enabled(subject.differentiates):
        outputs = forward(subject, 0)
    synchronize(subject.case.device)
    elapsed = time.perf_counter_ns() - started
    check_unchanged(subject, before)
    if not isinstance(outputs, Mapping):
        expected = ", ".join(("output", *subject.gate.state(subject.case.shape)))
        raise Failure("wrong", f"returns a {type(outputs).__name__}; expected a dict with {expected}")
    if "output" not in outputs:
        raise Failure("wrong", f"returns {', '.join(outputs) or 'nothing'}, without 'output'")
    if subject.differentiates:
        if not outputs["output"].requires_grad:
            raise Failure("wrong", "output cannot be differentiated: autograd does not follow it")
        known = ("output", *subject.gate.state(subject.case.shape))
        subject.cotangents = draw_cotangents(subject.case, {n: outputs[n] for n in known if n in outputs})
        started = time.perf_counter_ns()
        backward(subject, 0, outputs)
        synchronize(subject.case.device)
        elapsed += time.perf_counter_ns() - started
    return elapsed


def guarded_copies(subject: Subject) -> Tensors:
    """Copy what an implementation must leave as it is: the first buffer and the leaves."""
    return {
        name: value.detach().clone() for name, value in (subject.buffers[0] | dict(subject.prepared.leaves)).items()
    }


def check_unchanged(subject: Subject, before: Mapping[str, Tensor]) -> None:
    """Raise Failure("wrong") where an input or a leaf differs from its copy."""
    for name, value in (subject.buffers[0] | dict(subject.prepared.leaves)).items():
        if not torch.equal(before[name], value.detach()):
            raise Failure("wrong", f"changes its input {name} in place")


def swap_time_and_batch(gate: Gate, tensors: Mapping[str, Tensor]) -> Tensors:
    """Swap time and batch of every tensor that has a time axis at 0."""
    return {
        name: value.transpose(0, 1).contiguous() if gate.time_axis(name) == 0 else value
        for name, value in tensors.items()
    }


def _batch_first(gate: Gate, prepared: Prepared) -> Prepared:
    """Hand a batch-first implementation its own layout; its output is viewed in the gate's, without a copy."""

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensors:
        outputs = prepared.forward(leaves, inputs)
        return {
            name: value.transpose(0, 1) if gate.time_axis(name) == 0 and value.dim() > 1 else value
            for name, value in outputs.items()
        }

    return replace(prepared, forward=forward)


# --- the three modes


def forward(subject: Subject, index: int) -> Mapping[str, Tensor]:
    """Call the implementation on buffer `index`, in the caller's grad mode."""
    return subject.prepared.forward(subject.prepared.leaves, subject.buffers[index])


def backward(subject: Subject, index: int, outputs: Mapping[str, Tensor]) -> tuple[Tensor | None, ...]:
    """Differentiate `output` with the seed's cotangent; gradients are returned, never accumulated."""
    return torch.autograd.grad(
        outputs["output"], subject.targets[index], subject.cotangents["output"], allow_unused=True
    )


def call(subject: Subject, index: int) -> Mapping[str, Tensor]:
    """Make one whole call in the case's mode on buffer `index` and return its outputs; a captured one is replayed."""
    if subject.graphs:
        graph, outputs = subject.graphs[index]
        graph.replay()
        return outputs
    if not subject.differentiates:
        with torch.no_grad():
            return forward(subject, index)
    outputs = forward(subject, index)
    backward(subject, index, outputs)
    return outputs


def synchronize(device: str) -> None:
    """Wait for the device; the CPU needs no waiting."""
    if device == "cuda":
        torch.cuda.synchronize()
