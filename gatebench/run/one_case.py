"""One case in this process, a sample at a time: for callers that keep the loop over rounds, as pytest-benchmark does."""

from gatebench.cases import Case
from gatebench.registry import Registry
from gatebench.run import steps
from gatebench.run.inline import InlineWorker
from gatebench.run.plan import Entry
from gatebench.run.process import WorkerSettings
from gatebench.suites import Measure


class OneCase:
    """A case under way; `entry` is what it found so far. Each step raises Failure where the case comes to nothing.

    A block of a run (gatebench.run.steps) for a case without competitors: `verify`, `warm`, `sample` as often as there are
    rounds, `close`.
    """

    def __init__(self, case: Case, measure: Measure, registry: Registry, order: int) -> None:
        self.entry = Entry(case, 0, order)
        self._measure = measure
        self._worker = InlineWorker(WorkerSettings(case.implementation, (), case.threads), registry)
        self._repeats = steps.most_rounds(measure.rounds) - measure.rounds

    def verify(self) -> None:
        """Prepare the case and compare its outputs and gradients with the reference; raises Failure where they are wrong."""
        steps.prepare(self._worker, self.entry, self._measure)
        self.entry.facts["process"] = 0
        steps.verify(self._worker, self.entry, self._measure)

    def warm(self) -> None:
        """Warm up until the case settles, and find how many calls make a sample."""
        steps.warm(self._worker, self.entry, self._measure, steps.Settled(), first=True)

    def sample(self) -> float:
        """Take one sample and return the time of one call in ns; one that something foreign disturbed is taken again.

        Where too many are disturbed, there is nothing quiet to prefer: they stay, and the case is unsteady.
        """
        while True:
            row = self._worker.request("sample", self._measure.timeout_s, loops=self.entry.facts["loops"])
            reason = steps.disturbed([row])
            again = reason is not None and self._repeats > 0
            self._repeats -= again
            place = {"round": len(self.entry.samples), "position": 0, "process": 0}
            self.entry.samples.append({**row, **place, "dropped": again, "reason": reason})
            if not again:
                return row["wall_ns"] if row["event_ns"] is None else row["event_ns"]

    def close(self) -> None:
        """Profile one call and compare a timed call's output with the reference; raises Failure where it is wrong."""
        steps.wrap_up(self._worker, self.entry, self._measure, profiled=True)
        noisy = sum(row["reason"] is not None for row in self.entry.samples)
        self.entry.facts["unsteady"] |= noisy > steps.DROPPED_LIMIT * len(self.entry.samples)
