"""What a run is to measure, and what one block found for one case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatebench.cases import Case
from gatebench.catalogue import Catalogue
from gatebench.contract import Failure
from gatebench.run.fleet import Fleet
from gatebench.run.protocol import finite
from gatebench.run.scrub import scrub
from gatebench.suites import Measure

# Expected costs in seconds, caches warm, as measured on two cores; they weigh the progress bar.
START_S = 0.6  # starting a worker, beside another one
COMPILE_S = 0.3  # a first call that compiles
STABILITY_S = 0.25  # a stability request
_CASE_S, _SAMPLE_S = 0.2, 0.005  # what a case costs in a block beside warm-up and samples; a sample beside its calls
_LONGER = 1.5  # doubling the calls makes a sample this much longer than asked for, on average


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
        return self.measure.blocks * self.block_seconds(measurable) + STABILITY_S * len(self.stability)

    def block_seconds(self, cases: Sequence[Case]) -> float:
        """Return roughly how long these cases take in one block."""
        compiled = sum(1 for case in cases if self.compiles(case))
        workers = len({Fleet.key(case) for case in cases})
        return len(cases) * self.case_seconds() + workers * START_S + compiled * COMPILE_S

    def case_seconds(self) -> float:
        """Return roughly how long one case takes in one block."""
        sample_s = _LONGER * max(self.measure.sample_ms, 1.0) / 1e3 + _SAMPLE_S
        return _CASE_S + self.measure.warmup_s + self.measure.rounds * sample_s

    def compiles(self, case: Case) -> bool:
        """Say whether a case's first call compiles."""
        return bool(self.catalogue.implementations[case.implementation].get("compiles"))


@dataclass
class Entry:
    """What one block found for one case. Mutable while the block runs."""

    case: Case
    block: int
    order: int
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
