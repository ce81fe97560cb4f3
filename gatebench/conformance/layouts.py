"""Checks of tensors as callers really pass them: strides, offsets, aliases, and what must come back untouched."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from gatebench.conformance.kit import NotApplicable, check, require
from gatebench.conformance.trial import Trial
from gatebench.conformance.values import close
from gatebench.measure.subject import Tensors, differentiable


def _with_inputs(trial: Trial, change: Callable[[Tensor], Tensor]) -> None:
    case = trial.case()
    inputs = {name: change(value) for name, value in trial.inputs(case).items()}
    trial.agree(case, inputs=inputs)


@check(
    "inputs-non-contiguous",
    "Inputs with other strides (a transposed view) give the same results.",
    "Kernels that take data_ptr() and assume rows follow each other: call .contiguous() first, inside the clock.",
    fast=True,
)
def inputs_non_contiguous(trial: Trial) -> None:
    _with_inputs(trial, lambda value: value.transpose(0, -1).contiguous().transpose(0, -1))


@check(
    "inputs-with-an-offset",
    "Inputs that begin inside a larger storage, at an odd element, give the same results.",
    "Kernels that read from the storage's beginning, or assume 32-byte alignment.",
)
def inputs_with_an_offset(trial: Trial) -> None:
    def shift(value: Tensor) -> Tensor:
        larger = torch.full((value.numel() + 3,), 7.0, dtype=value.dtype, device=value.device)
        return larger[3:].copy_(value.flatten()).view(value.shape)

    _with_inputs(trial, shift)


@check(
    "inputs-expanded",
    "Inputs of stride 0 (one row expanded to a batch) give the same results.",
    "Kernels that step by shape and not by stride.",
)
def inputs_expanded(trial: Trial) -> None:
    def expand(value: Tensor) -> Tensor:
        axis = value.dim() - 2  # the batch of x (T, B, I), the time of value (B, T, H), the batch of h0 (B, H)
        return value.narrow(axis, 0, 1).expand(value.shape)

    _with_inputs(trial, expand)


@check(
    "inputs-unchanged",
    "Inputs and parameters come back bit for bit as they were, after forward and backward.",
    "In-place activations on a tensor that the caller owns.",
    fast=True,
)
def inputs_unchanged(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    given: dict[str, Tensor] = {**inputs, **bound.prepared.leaves}
    before = {name: value.detach().clone() for name, value in given.items()}
    outputs = bound(inputs)
    if trial.differentiates:
        bound.gradients(outputs, inputs, trial.cotangents(case, outputs))
    for name, value in given.items():
        require(torch.equal(before[name], value.detach()), f"{name} was changed in place")


@check(
    "outputs-alias-nothing",
    "Outputs share no memory with inputs or parameters.",
    "Returning a view of an input lets the caller's next write change the result.",
)
def outputs_alias_nothing(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    outputs = bound.without_gradients(inputs)
    owners = {_storage(value): name for name, value in {**inputs, **bound.prepared.leaves}.items()}
    for name in trial.output_names(case):
        owner = owners.get(_storage(outputs[name]))
        require(owner is None, f"{name} shares its memory with {owner}")


@check(
    "outputs-stay",
    "The next call leaves the outputs of the last one alone.",
    "An output buffer that is made once and written by every call.",
)
def outputs_stay(trial: Trial) -> None:
    case = trial.case()
    bound = trial.bind(case)
    first = bound.without_gradients(trial.inputs(case))
    kept = {name: value.clone() for name, value in first.items()}
    bound.without_gradients(trial.inputs(case, 1))
    for name in trial.output_names(case):
        require(torch.equal(kept[name], first[name]), f"the next call wrote into {name} of this one")


@check(
    "outputs-are-plain-tensors",
    "Outputs are torch.Tensor itself: no subclass, nothing lazy, with memory on the case's device, in its dtype.",
    "A lazy or fake tensor moves the work behind the clock.",
    fast=True,
)
def outputs_are_plain_tensors(trial: Trial) -> None:
    case = trial.case()
    outputs = trial.bind(case)(trial.inputs(case))
    for name in trial.output_names(case):
        value = outputs[name]
        require(type(value) is Tensor, f"{name} is a {type(value).__name__}")
        require(value.device.type == case.device, f"{name} lies on {value.device}, not on {case.device}")
        require(value.dtype == getattr(torch, case.dtype), f"{name} has dtype {value.dtype}, not {case.dtype}")
        require(value.numel() == 0 or _storage(value) != 0, f"{name} has no memory")


@check(
    "final-state-is-the-last-step",
    "The final h equals the last step of the output.",
    "A state that is returned before the last update, or of the wrong row.",
    time=True,
)
def final_state_is_the_last_step(trial: Trial) -> None:
    case = trial.case()
    outputs = trial.bind(case).without_gradients(trial.inputs(case))
    expected = trial.gate.forward(trial.params(case), trial.inputs(case))
    if "h" not in expected or not torch.equal(expected["h"], expected["output"][-1]):
        raise NotApplicable("the gate's output is not its state")
    require(close(trial, outputs["h"], outputs["output"][-1]), "h is not the last step of output")


@check(
    "batch-rows-are-independent",
    "Changing one row of the batch changes no other row.",
    "Sums or normalisations over the wrong axis; rows that read their neighbour's state.",
)
def batch_rows_are_independent(trial: Trial) -> None:
    axis = 1 if trial.has_time else 0
    _unmoved(trial, lambda value: value.narrow(axis if value.dim() > 2 else 0, 0, 1), axis, "row 0 of the batch")


def _unmoved(trial: Trial, part: Callable[[Tensor], Tensor], axis: int, what: str) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    before = bound.without_gradients(inputs)
    changed: dict[str, Tensor] = {name: value.clone() for name, value in inputs.items()}
    for value in differentiable(changed).values():
        part(value).add_(1.0)
    after = bound.without_gradients(changed)
    for name in trial.output_names(case):
        along = axis if before[name].dim() > 2 else 0
        rest = [value[name].narrow(along, 1, value[name].shape[along] - 1) for value in (before, after)]
        require(close(trial, rest[1], rest[0]), f"{name}: other rows moved when {what} changed")


@check(
    "no-step-sees-the-future",
    "Changing the last input changes no earlier output.",
    "Non-causal padding, a reversed sequence, or normalisation over time.",
    time=True,
)
def no_step_sees_the_future(trial: Trial) -> None:
    if not trial.gate.resumable:
        raise NotApplicable("the gate's sequences cannot be cut")
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    before = bound.without_gradients(inputs)["output"]
    changed: dict[str, Tensor] = {name: value.clone() for name, value in inputs.items()}
    changed["x"][-1] += 1.0
    after = bound.without_gradients(changed)["output"]
    require(close(trial, after[:-1], before[:-1]), "earlier outputs moved when the last input changed")


@check(
    "split-sequence",
    "Running a sequence in two parts, the state handed over, equals running it whole.",
    "A state that is reset, rounded or padded at the boundary.",
    time=True,
)
def split_sequence(trial: Trial) -> None:
    if not trial.gate.resumable:
        raise NotApplicable("the gate's sequences cannot be cut")
    case = trial.case()
    inputs = trial.inputs(case)
    whole = trial.bind(case).without_gradients(inputs)
    middle = case.shape.seq_len // 2
    head = {**inputs, "x": inputs["x"][:middle].clone()}
    first = _part(trial, head)
    second = _part(trial, {"x": inputs["x"][middle:].clone(), **trial.gate.carried(head, first)})
    output = torch.cat((first["output"], second["output"]))
    require(close(trial, output, whole["output"]), "two halves differ from the whole sequence")
    for name in trial.gate.state(case.shape):
        require(close(trial, second[name], whole[name]), f"the final {name} of the second half differs")


def _part(trial: Trial, inputs: Tensors) -> dict[str, Tensor]:
    case = trial.case(shape=replace(trial.shape, seq_len=len(inputs["x"])))
    # The parameters are drawn from the same seed, whatever the length.
    return trial.bind(case, trial.params(trial.case())).without_gradients(inputs)


def _storage(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()
