"""What a run is to measure, and what one block found for one case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatebench.cases import Case
from gatebench.catalogue import Catalogue
from gatebench.contract import Failure
from gatebench.run.fleet import competitor
from gatebench.run.protocol import finite
from gatebench.run.scrub import scrub
from gatebench.suites import Measure

# Expected costs in seconds, caches warm, as measured on two cores; they weigh the progress bar.
START_S = 0.6  # starting a worker, beside another one
COMPILE_S = 0.3  # a first call that compiles
_STABILITY_S = 0.25  # a stability request
_TRAINING_S = 2e-4  # one step in time of one step of training
_CASE_S, _SAMPLE_S = 0.2, 0.005  # what a case costs in a block beside warm-up and samples; a sample beside its calls
_UNTIMED_CALLS = 10  # verify in float64, warm-up, finding the number of calls
_LONGER = 1.5  # doubling the calls makes a sample this much longer than asked for, on average

# A side of an A/B that breaks down is tried again in another block, with fresh processes; what breaks down this often
# has failed.
BREAKDOWNS = ("failed", "timeout", "out_of_memory")
STRIKES = 2


@dataclass(frozen=True)
class Plan:
    """What a run is to measure, all names and options checked."""

    cases: tuple[Case, ...]
    stability: tuple[Mapping[str, Any], ...]
    measure: Measure
    catalogue: Catalogue
    memory_bytes: int  # for all workers together
    seed: int = 0

    def expected_seconds(self) -> float:
        """Return roughly how long measuring takes, compile caches warm."""
        measurable = [case for case in self.cases if self.catalogue.refusal(case) is None]
        return self.measure.blocks * self.block_seconds(measurable) + sum(map(stability_seconds, self.stability))

    def block_seconds(self, cases: Sequence[Case]) -> float:
        """Return roughly how long these cases take in one block."""
        compiled = sum(1 for case in cases if self.compiles(case))
        workers = len({competitor(case) for case in cases})
        return sum(map(self.case_seconds, cases)) + workers * START_S + compiled * COMPILE_S

    def case_seconds(self, case: Case) -> float:
        """Return roughly how long one case takes in one block."""
        call_s = self._call_seconds(case)
        sample_s = max(_LONGER * max(self.measure.sample_ms, 1.0) / 1e3, call_s) + _SAMPLE_S
        return _CASE_S + self.measure.warmup_s + self.measure.rounds * sample_s + _UNTIMED_CALLS * call_s

    def _call_seconds(self, case: Case) -> float:
        """Return roughly how long one call takes: matrix products at 30 GFLOP/s a thread, else bytes at 5 GB/s."""
        shape, gate = case.shape, self.catalogue.gates[case.gate]
        # Matrices of the gate in units of H x I: a catalogue shows the parameters at I = H = 2.
        matrices = sum(size[0] * size[1] for size in gate.get("parameters", {}).values() if len(size) == 2) / 4
        tokens, passes = shape.batch * shape.seq_len, 1 if case.mode == "forward" else 3
        if case.device == "cuda":
            return passes * tokens * 1e-9
        if not matrices:
            return passes * tokens * shape.hidden_size * 12 / 5e9
        width = shape.hidden_size * (shape.input_size + shape.hidden_size) / 2
        return passes * 2 * tokens * matrices * width / (30e9 * case.threads)

    def compiles(self, case: Case) -> bool:
        """Say whether a case's first call compiles."""
        return bool(self.catalogue.implementations[case.implementation].get("compiles"))


def stability_seconds(request: Mapping[str, Any]) -> float:
    """Return roughly how long one stability request takes."""
    return _STABILITY_S + _TRAINING_S * request["seq_len"] * request.get("after_steps", 0)


@dataclass
class Entry:
    """What one block found for one case. Mutable while the block runs."""

    case: Case
    block: int
    order: int
    side: str = "run"
    stage: str = "run"
    status: str = "ok"
    reason: str | None = None
    samples: list[dict[str, Any]] = field(default_factory=list)
    accuracy: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def fail(self, failure: Failure) -> None:
        """Note why the case came to nothing; the first reason stays."""
        if self.status == "ok":
            where = f" ({scrub(failure.where)})" if failure.where and failure.where != "worker process" else ""
            self.status, self.reason = failure.status, scrub(failure.reason) + where

    def to_json(self) -> dict[str, Any]:
        """Return the journal's entry."""
        return finite({**self.__dict__, "case": self.case.to_json(), "case_id": self.case.case_id})
