"""One profiled call: which operators ran, how much memory was live, what was kept for the backward."""

import itertools
import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatebench.contract import Failure
from gatebench.measure import subject as subjects
from gatebench.measure.nvml import worst_conditions
from gatebench.measure.subject import Subject
from gatebench.torch_private import event_names, memory_deltas

# torch's profiler writes a line to stderr at every start and stop unless it is told not to; it reads this once.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")


@dataclass(frozen=True)
class Profile:
    """What one call did, beside its time. None where it is not known."""

    kernel: str | None
    busy_ns: float | None
    peak_bytes: int | None
    saved_bytes: int | None
    detail: dict[str, Any]


def profile(subject: Subject) -> Profile:
    """Make one profiled call and one that counts saved tensors.

    Raises Failure("failed") where an implementation that must be attested did not run the kernels it claims.
    """
    cuda = subject.case.device == "cuda"
    before = 0
    known = [found for found in subject.conditions if found]
    if cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    # Not torch.profiler.profile: it imports the whole compiler, a second in every worker, and adds schedules alone.
    device = "cuda" if cuda else None
    trace = torch.autograd.profiler.profile(use_device=device, use_kineto=True, profile_memory=not cuda)
    with trace:
        subjects.call(subject, 0)
        subjects.synchronize(subject.case.device)
    names = event_names(trace)
    events = trace.function_events or [] if cuda else []
    kernels = [event for event in events if event.device_type.name == "CUDA" and not event.is_user_annotation]
    if not subject.entry.torch_memory:
        peak = None
    elif cuda:
        # A replayed graph allocates nothing: its memory was taken when it was captured.
        peak = None if subject.graphs else torch.cuda.max_memory_allocated() - before
    else:
        peak = max(itertools.accumulate(memory_deltas(trace), initial=0))
    return Profile(
        kernel=_kernel(subject, names, kernels),
        busy_ns=sum(event.device_time * 1e3 for event in kernels) if cuda else None,
        peak_bytes=peak,
        saved_bytes=saved_bytes(subject) if subject.differentiates else None,
        detail={
            **(subject.prepared.detail() if subject.prepared.detail else {}),
            **({"device_conditions": worst_conditions(known)} if known else {}),
        },
    )


def _kernel(subject: Subject, names: set[str], kernels: list[Any]) -> str | None:
    """Say what really ran: the implementation's own word, the attested CUDA kernel, or an operator that was seen."""
    entry = subject.entry
    if entry.attest is not None:
        matching = [event for event in kernels if entry.attest in event.name.lower()]
        if not matching:
            seen = ", ".join(sorted({event.name[:60] for event in kernels})[:3]) or "none"
            raise Failure("failed", f"not attested: no {entry.attest} kernel ran (seen: {seen})")
        return f"{entry.attest}: {max(matching, key=lambda event: event.device_time).name[:80]}"
    if subject.prepared.kernel is not None:
        return subject.prepared.kernel()
    return next((operator for operator in entry.operators if operator in names), None)


def saved_bytes(subject: Subject) -> int:
    """Count the bytes that the forward keeps for the backward: each storage once, inputs and leaves left out."""
    known = {
        tensor.untyped_storage().data_ptr()
        for tensor in (*subject.buffers[0].values(), *subject.prepared.leaves.values())
    }
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = subjects.forward(subject, 0)
    del outputs
    return sum(storages.values())
