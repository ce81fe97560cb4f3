"""What a worker answers: one method per verb of the protocol, over one implementation and the case at hand."""

import dataclasses
import gc
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gatebench import gates
from gatebench.cases import Case
from gatebench.contract import Failure, Implementation, Unavailable
from gatebench.measure import catalogue, graphs, profiler, sampling, threads, verify
from gatebench.measure import subject as subjects
from gatebench.measure.caches import flush_buffer
from gatebench.measure.reference import ReferenceCache
from gatebench.measure.subject import Subject
from gatebench.measure.tolerance import TensorError
from gatebench.registry import Registry, check_available, default_registry
from gatebench.torch_private import CompileCounters, compile_counters
from gatebench.words import counted

if TYPE_CHECKING:
    from gatebench.conformance import Trial

Answer = dict[str, Any]

_SOON_COLLECTED = 2_000  # objects whose collection before each sample takes less than 0.1 ms


class Service:
    """State of a worker: the prepared case, if there is one, and the references of the latest problems."""

    def __init__(
        self, implementation: str, plugins: list[str], thread_count: int, registry: Registry | None = None
    ) -> None:
        threads.set_threads(thread_count)
        # float32 means float32, in the backward too, which runs outside an implementation's own calls.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
        _load_autograd()
        self.implementation = implementation
        self.registry = registry or default_registry()
        for plugin in plugins:
            self.registry.add_file(Path(plugin))
        if implementation:
            self.registry.implementations(implementation)
        _freeze_what_stays()
        self.thread_count, self.plugins = thread_count, tuple(plugins)
        self.trial: tuple[object, Trial] | None = None  # of the check before
        self.references = ReferenceCache()
        self.subject: Subject | None = None
        self.frozen_with_case = False
        self.counters: CompileCounters | None = None
        self.graphs: dict[object, int] = {}  # per compiled function and grad mode, which several cases may share

    def greeting(self) -> Answer:
        """Return what the worker says of itself."""
        return {"versions": catalogue.versions(), "availability": {"status": "ok"}}

    def verbs(self) -> dict[str, Callable[..., Answer]]:
        """Return the verbs that carry work."""
        return {
            "describe": self.describe,
            "prepare": self.prepare,
            "verify": self.verify,
            "warm": self.warm,
            "sample": self.sample,
            "stability": self.stability,
            "profile": self.profile,
            "close": self.close,
            "check": self.check,
        }

    def describe(self, names: list[str], ceilings: bool = False) -> Answer:
        """Describe gates, the implementations in `names`, and the environment."""
        return catalogue.describe(self.registry, names, ceilings)

    def prepare(self, case: Mapping[str, Any]) -> Answer:
        """Draw the case's numbers, let the implementation prepare, make the first call."""
        self.subject = self.counters = None  # those of a case that broke down, and so was never closed
        if self.frozen_with_case:
            gc.unfreeze()
            self.frozen_with_case = False
        _freeze_what_stays()
        wanted = Case.from_json(case)
        entry = self._entry(wanted)
        counters = compile_counters() if wanted.implementation == "compile" else None
        self.subject = subjects.prepare(wanted, entry)
        first_call_ns = subjects.first_call(self.subject)
        answer: Answer = {"prepare_ns": self.subject.prepare_ns, "first_call_ns": first_call_ns}
        if counters is not None:
            self.counters = compile_counters()
            found = self.counters - counters
            self.graphs[self._compiled_key()] = found.graphs or self.graphs.get(self._compiled_key(), 0)
            answer |= _compile_facts(found, self.graphs[self._compiled_key()], first_call_ns)
        return answer

    def verify(self, error_limit: float | None = None) -> Answer:
        """Verify outputs and gradients; a wrong result is an answer with its rows, not a failure."""
        return _accuracy(verify.verify(self._prepared(), self.references, error_limit))

    def warm(self, warmup_s: float, sample_ms: float, loops: int | None = None, limit_s: float | None = None) -> Answer:
        """Warm up; find the calls per sample where they are not given."""
        subject = self._prepared()
        if subject.case.launch == "graph" and not subject.graphs:
            graphs.capture(subject)
        found = asdict(sampling.warm(subject, warmup_s, sample_ms, loops, limit_s))
        if len(gc.get_objects()) > _SOON_COLLECTED:
            _freeze_what_stays()
            # To be thawed with the next case: a cycle of this one's own would hold its tensors for good.
            self.frozen_with_case = True
        if self.counters is not None:
            now = compile_counters()  # from here on nothing may be compiled
            found["recompiles"] = (now - self.counters).graphs
            self.counters = now
        return found

    def sample(self, loops: int) -> Answer:
        """Take one sample; a recompile inside it fails the case."""
        subject = self._prepared()
        row = sampling.sample(subject, loops, flush_buffer(subject.case))
        if self.counters is not None and (compile_counters() - self.counters).graphs:
            raise Failure("failed", "recompiled inside the timed part")
        return row

    def profile(self) -> Answer:
        """Profile one call: kernel, busy time, memory."""
        subject = self._prepared()
        found = asdict(profiler.profile(subject))
        if self.counters is not None:
            count, chunk = self.graphs[self._compiled_key()], found["detail"].get("chunk")
            found["kernel"] = f"inductor: {counted(count, 'graph')}" + (f", chunk {chunk}" if chunk else "")
        return found

    def close(self, check: bool = True, error_limit: float | None = None) -> Answer:
        """Check the kept output of a timed call, say how many threads were seen, and free the case."""
        subject, self.subject, self.counters = self._prepared(), None, None
        sampling.check_streams(subject)
        answer = _accuracy(verify.check_kept(subject, self.references, error_limit) if check else [])
        cost = subject.gate.cost(subject.case.shape, subject.case.mode, subject.case.dtype)
        return answer | {
            "observed_threads": threads.observed(subject.prepared),
            "rss_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "flops": cost.flops if cost else None,
            "bytes_min": cost.bytes_min if cost else None,
        }

    def stability(self, request: Mapping[str, Any]) -> Answer:
        """Measure gradient stability of one gate, init, dtype, shape and seed."""
        from gatebench.stability.measure import measure

        started = time.perf_counter()
        rows = measure(request)
        return {"rows": rows, "seconds": time.perf_counter() - started}

    def check(
        self, gate: str, check: str, options: Mapping[str, Mapping[str, Any]] | None = None, device: str = "cpu",
        implementation: str | None = None,
    ) -> Answer:  # fmt: skip
        """Run one check of the conformance kit, on this worker's implementation unless another is named.

        options: those of the "gate" and of the "implementation", by name.
        """
        from gatebench.conformance import Trial, run_check

        self.subject = None
        name, given = implementation or self.implementation, {"gate": {}, "implementation": {}, **(options or {})}
        own = tuple(sorted(given["implementation"].items()))
        key = (name, gate, tuple(sorted(given["gate"].items())), own, device)
        if self.trial is None or self.trial[0] != key:
            entry = self.registry.implementation(name, gate)
            if entry is None:
                raise Failure("unsupported", f"{name} does not do {gate}")
            bound = gates.get(gate, **given["gate"])
            self.trial = key, Trial(entry, bound, device, self.thread_count, self.plugins, own)
        return run_check(self.trial[1], check).to_json()

    def _prepared(self) -> Subject:
        if self.subject is None:
            raise Failure("failed", "no case is prepared")
        return self.subject

    def _compiled_key(self) -> object:
        subject = self._prepared()
        case = dataclasses.replace(subject.case, mode="forward", seed=0, cache="hot", launch="eager")
        return (case, subject.differentiates)

    def _entry(self, case: Case) -> Implementation:
        entry = self.registry.implementation(case.implementation, case.gate)
        if entry is None:
            raise Failure("unsupported", f"{case.implementation} does not do {case.gate}")
        try:
            check_available(entry, case.device)
        except Unavailable as reason:
            raise Failure("unavailable", str(reason)) from reason
        refusal = entry.refusal(case.device, case.dtype, case.mode)
        if refusal:
            raise Failure("unsupported", refusal)
        return entry


def _freeze_what_stays() -> None:
    """Collect what was left, and take all that lives on out of later collections.

    Traversing torch's two hundred thousand objects takes 0.1 s, many times a sample, and throws the case's data out of the
    caches. The next case's own are few, unless it compiles or imports: that shows once it is warm.
    """
    gc.collect()
    gc.freeze()


def _load_autograd() -> None:
    """Make one backward: torch imports half a second of modules in its first, which is no case's first call."""
    leaf = torch.ones(1, requires_grad=True)
    torch.autograd.grad(2 * leaf, [leaf], torch.ones(1))


def _accuracy(errors: list[TensorError]) -> Answer:
    return {"accuracy": [error.to_json() for error in errors], "wrong": verify.wrong_reason(errors)}


def _compile_facts(found: CompileCounters, graphs: int, first_call_ns: int) -> Answer:
    """Say what the first call compiled; nothing new (another mode compiled it) gives neither cold nor warm."""
    facts: Answer = {"graphs": graphs, "graph_breaks": found.graph_breaks}
    if found.graphs:
        facts["compile_cold_ns" if found.cache_misses else "compile_warm_ns"] = first_call_ns
    return facts
