"""One case in this process, a sample at a time: for callers that keep the loop over rounds, as pytest-benchmark does."""

from typing import Any

from gatebench.cases import Case
from gatebench.contract import Failure
from gatebench.registry import Registry
from gatebench.run.inline import InlineWorker
from gatebench.run.plan import Entry
from gatebench.run.process import WorkerSettings
from gatebench.run.runner import disturbed
from gatebench.suites import Measure

_REPEATS = 0.5  # disturbed samples are taken again, at most this share of the rounds: a busier machine will not do
_DISTURBED_LIMIT = 0.2  # share of disturbed samples above which a case is unsteady


class OneCase:
    """A case under way; `entry` is what it found so far. Each step raises Failure where the case comes to nothing.

    The steps are those of a block of `gatebench.run.runner`, for a case without competitors: `verify`, `warm`, `sample`
    as often as there are rounds, `close`.
    """

    def __init__(self, case: Case, measure: Measure, registry: Registry, order: int) -> None:
        self.entry = Entry(case, 0, order)
        self._measure = measure
        self._worker = InlineWorker(WorkerSettings(case.implementation, (), case.threads), registry)
        self._repeats = max(1, int(_REPEATS * measure.rounds))

    def verify(self) -> None:
        """Prepare the case and compare its outputs and gradients with the reference; raises Failure where they are wrong."""
        self.entry.facts |= self._ask("prepare", case=self.entry.case.to_json())
        self.entry.facts["process"] = 0
        found = self._ask("verify", error_limit=self._measure.error_limit)
        self.entry.accuracy = found["accuracy"]
        if found["wrong"]:
            raise Failure("wrong", found["wrong"])

    def warm(self) -> None:
        """Warm up until the case settles, and find how many calls make a sample."""
        warmed = self._ask("warm", warmup_s=self._measure.warmup_s, sample_ms=self._measure.sample_ms)
        self.entry.facts |= {name: warmed.get(name) for name in ("loops", "unsteady", "recompiles")}

    def sample(self) -> float:
        """Take one sample and return the time of one call in ns; one that something foreign disturbed is taken again.

        Where too many are disturbed, there is nothing quiet to prefer: they stay, and the case is unsteady.
        """
        while True:
            row = self._ask("sample", loops=self.entry.facts["loops"])
            reason = disturbed([row])
            again = reason is not None and self._repeats > 0
            self._repeats -= again
            place = {"round": len(self.entry.samples), "position": 0, "process": 0}
            self.entry.samples.append({**row, **place, "dropped": again, "reason": reason})
            if not again:
                return row["wall_ns"] if row["event_ns"] is None else row["event_ns"]

    def close(self) -> None:
        """Profile one call and compare a timed call's output with the reference; raises Failure where it is wrong."""
        self.entry.facts |= self._ask("profile")
        closed = self._ask("close", error_limit=self._measure.error_limit)
        if closed["wrong"]:
            raise Failure("wrong", f"a timed call differs from the verified result: {closed['wrong']}")
        self.entry.facts |= {key: closed[key] for key in ("observed_threads", "rss_peak_bytes", "flops", "bytes_min")}
        noisy = sum(row["reason"] is not None for row in self.entry.samples)
        self.entry.facts["unsteady"] |= noisy > _DISTURBED_LIMIT * len(self.entry.samples)

    def _ask(self, verb: str, **args: Any) -> dict[str, Any]:
        return self._worker.request(verb, self._measure.timeout_s, **args)
