"""Verify: is this result right? Outputs and every gradient against the float64 reference, before any timing."""

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from gatebench.contract import Failure
from gatebench.measure import subject as subjects
from gatebench.measure.reference import Reference, ReferenceCache, compute, named_tensors, worst_eager
from gatebench.measure.subject import Subject
from gatebench.measure.tolerance import RELATIVE_LIMIT, TensorError, judge, largest_value

_M_PERTURB = -6  # glibc's mallopt: fill what malloc hands out
_POISON = 0x80  # malloc'd bytes become 0x7f: 3.4e38 in float32, 1.4e306 in float64
_CUDA_POISON_BYTES = 1 << 28
# One element's error is one draw from a heavy tail (bfloat16 weight gradients: largest of 60 is 5 medians).
_FEW_ELEMENTS = 64
_MORE_DRAWS_OF_FEW = 16


def verify(subject: Subject, references: ReferenceCache, error_limit: float | None) -> list[TensorError]:
    """Return one TensorError per tensor of the case's mode.

    Raises Failure("wrong") for missing outputs, changed inputs, or gradients that autograd cannot follow, and
    Failure("unsupported", "ill-conditioned ...") where eager itself exceeds its limit.
    """
    limit = _limit(subject, error_limit)
    before = subjects.guarded_copies(subject)
    with poisoned_memory(subject.case.device):
        outputs = _forward(subject)
    _check_outputs(subject, outputs)
    outputs = {name: outputs[name] for name in ("output", *subject.gate.state(subject.case.shape))}
    cotangents = {name: subject.cotangents[name] for name in outputs} if subject.differentiates else {}
    reference = _reference(subject, references, 0, cotangents)
    gradients = _gradients(subject, outputs) if subject.differentiates else {}
    subjects.check_unchanged(subject, before)
    found = named_tensors(subject.gate, {name: value.detach() for name, value in outputs.items()}, gradients)
    return _judge(subject, found, reference, references, cotangents, limit)


def check_kept(subject: Subject, references: ReferenceCache, error_limit: float | None) -> list[TensorError]:
    """Check the outputs of the random timed call that sampling kept; [] where none was kept."""
    if subject.kept is None:
        return []
    index, outputs = subject.kept
    reference = _reference(subject, references, index, {})
    found = named_tensors(subject.gate, {name: value.detach() for name, value in outputs.items()}, {})
    return _judge(subject, found, reference, references, {}, _limit(subject, error_limit))


def _judge(
    subject: Subject,
    found: Mapping[str, Tensor],
    reference: Reference,
    references: ReferenceCache,
    cotangents: Mapping[str, Tensor],
    limit: float | None,
) -> list[TensorError]:
    """Judge every tensor of the reference; one that `found` lacks is a Failure.

    In a tensor of few elements eager's error may be small by luck, and a correct result would look bad beside it:
    before anything is called wrong, eager's error is the largest over further draws of the problem.
    """
    missing = [name for name in reference.tensors if name not in found]
    if missing:
        raise Failure("wrong", f"{missing[0]} has another shape than the reference")
    _check_conditioning(subject, reference)
    errors = _judge_all(subject, found, reference, limit)
    if all(error.passed for error in errors):
        return errors
    few = all(error.passed or found[error.tensor].numel() <= _FEW_ELEMENTS for error in errors)
    draws = range(_MORE_DRAWS_OF_FEW if few else subjects.BUFFERS)
    more = [_reference(subject, references, index, cotangents) for index in draws]
    reference = Reference(reference.tensors, worst_eager([reference, *more]))
    _check_conditioning(subject, reference)
    return _judge_all(subject, found, reference, limit)


def _judge_all(
    subject: Subject, found: Mapping[str, Tensor], reference: Reference, limit: float | None
) -> list[TensorError]:
    return [
        judge(name, found[name], value, reference.eager_errors[name], subject.case.dtype, limit)
        for name, value in reference.tensors.items()
    ]


def wrong_reason(errors: list[TensorError]) -> str | None:
    """Say in one line what is wrong, worst tensor first; None where all passed."""
    failed = sorted((error for error in errors if not error.passed), key=lambda error: -error.error_ratio)
    if not failed:
        return None
    worst = failed[0]
    more = f", and {len(failed) - 1} more tensors" if len(failed) > 1 else ""
    return (
        f"{worst.tensor}: error ratio {worst.error_ratio:.3g} (limit {worst.limit_ratio:g}), "
        f"relative error {worst.relative_error:.2g}{more}"
    )


@contextmanager
def poisoned_memory(device: str) -> Iterator[None]:
    """Fill memory that is handed out with huge values, so that reading what was never written shows."""
    libc = ctypes.CDLL(None)
    perturb = getattr(libc, "mallopt", None)  # glibc only
    if perturb is not None:
        perturb(_M_PERTURB, _POISON)
    if device == "cuda":
        torch.full((_CUDA_POISON_BYTES // 4,), float("nan"), device=device)  # freed at once, reused by the allocator
    try:
        yield
    finally:
        if perturb is not None:
            perturb(_M_PERTURB, 0)


def _limit(subject: Subject, error_limit: float | None) -> float | None:
    limits = [limit for limit in (error_limit, subject.entry.error_limit) if limit is not None]
    return min(limits) if limits else None


def _forward(subject: Subject) -> Mapping[str, Tensor]:
    with torch.set_grad_enabled(subject.differentiates):
        outputs = subjects.forward(subject, 0)
    subjects.synchronize(subject.case.device)
    return outputs


def _check_outputs(subject: Subject, outputs: Mapping[str, Tensor]) -> None:
    expected = ["output", *subject.gate.state(subject.case.shape)]
    for name in expected:
        if not isinstance(outputs.get(name), Tensor):
            raise Failure("wrong", f"returns {', '.join(outputs) or 'nothing'}; expected: {', '.join(expected)}")


def _reference(subject: Subject, references: ReferenceCache, index: int, cotangents: Mapping[str, Tensor]) -> Reference:
    case = subject.case
    key = (case.gate, case.gate_options, case.shape, case.dtype, case.device, case.seed, index, bool(cotangents))
    return references.get(
        key, lambda: compute(subject.gate, subject.params, subjects.draw_problem(subject.gate, case, index), cotangents)
    )


def _gradients(subject: Subject, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Differentiate all outputs with the seed's cotangents; by the gate's own names and layouts."""
    buffer, leaves = subjects.differentiable(subject.buffers[0]), subject.prepared.leaves
    targets = [*buffer.values(), *leaves.values()]
    detached = [name for name in outputs if not outputs[name].requires_grad]
    if detached:
        raise Failure("wrong", f"{', '.join(detached)} cannot be differentiated: autograd does not follow it")
    with poisoned_memory(subject.case.device):
        found = torch.autograd.grad(
            list(outputs.values()),
            targets,
            [subject.cotangents[name] for name in outputs],
            allow_unused=True,
            materialize_grads=True,
        )
        subjects.synchronize(subject.case.device)
    by_input = dict(zip(buffer, found[: len(buffer)], strict=True))
    by_leaf = dict(zip(leaves, found[len(buffer) :], strict=True))
    if subject.entry.layout == "batch_first":
        by_input = subjects.swap_time_and_batch(subject.gate, by_input)
    return {**by_input, **subject.prepared.canonical(by_leaf)}


def _check_conditioning(subject: Subject, reference: Reference) -> None:
    limit: dict[str, Any] = RELATIVE_LIMIT
    for name, value in reference.tensors.items():
        magnitude = largest_value(value)
        if reference.eager_errors[name] > limit[subject.case.dtype] * magnitude:
            raise Failure(
                "unsupported", f"ill-conditioned: eager's own relative error of {name} in {subject.case.dtype} "
                f"is {reference.eager_errors[name] / magnitude if magnitude else float('inf'):.2g}"
            )  # fmt: skip
