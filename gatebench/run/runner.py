"""The runner: blocks of fresh workers, problems whose cases compete in shuffled rounds, a journal of what is done.

It computes nothing. Everything measured comes from workers; everything derived comes later, from the journal.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gatebench.cases import Case
from gatebench.contract import Failure
from gatebench.run import steps
from gatebench.run.fleet import Fleet, Start, competitor
from gatebench.run.plan import COMPILE_S, START_S, Entry, Plan
from gatebench.run.process import STARTING_S, WorkerProcess, WorkerSettings
from gatebench.run.progress import Progress, Silent
from gatebench.run.schedule import round_orders
from gatebench.run.stability_rows import StabilityRunner
from gatebench.store.journal import Journal

__all__ = ["Entry", "Plan", "Runner"]


class Runner:
    """One run of a plan into a journal; `run` may be called again on what an earlier process left."""

    def __init__(
        self, plan: Plan, journal: Journal, progress: Progress | None = None, start: Start = WorkerProcess
    ) -> None:
        self.plan = plan
        self.journal = journal
        self.progress = progress or Silent()
        self._start = start
        self._order = {case.case_id: number for number, case in enumerate(plan.cases)}
        self._done: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._failed: dict[str, str] = {}
        self._settled = steps.Settled()
        self._alone: set[str] = set()
        self._processes = itertools.count()  # numbers worker processes over all blocks
        self.compile_s = 0.0  # spent in first calls of what compiles, before anything is timed

    def run(self) -> None:
        """Measure what the journal does not hold yet; raises KeyboardInterrupt through, with all workers ended."""
        self._recall()
        self.progress.start(self.plan.expected_seconds())
        try:
            self._refuse()
            measurable = [case for case in self.plan.cases if self.plan.catalogue.refusal(case) is None]
            for block in range(self.plan.measure.blocks):
                self._block(block, measurable)
            StabilityRunner(self.plan, self.journal, self.progress, self._start).run()
        finally:
            self.progress.stop()

    # --- what an earlier process left

    def _recall(self) -> None:
        for entry in self.journal.entries("case"):
            case_id = entry["case_id"]
            self._done[case_id, entry["block"]] = entry
            if entry["status"] != "ok":
                self._failed[case_id] = entry["status"]
            if entry["facts"].get("loops"):
                self._settled.loops.setdefault(case_id, entry["facts"]["loops"])
            if entry["facts"].get("alone"):
                self._alone.add(case_id)

    def _refuse(self) -> None:
        """Give every case that cannot run its row, with the reason."""
        for case in self.plan.cases:
            refused = self.plan.catalogue.refusal(case)
            if refused is not None and (case.case_id, 0) not in self._done:
                entry = Entry(case, 0, self._order[case.case_id])
                entry.fail(Failure(*refused))
                self._finish(entry)

    # --- one block

    def _block(self, block: int, cases: list[Case]) -> None:
        problems = [list(group) for _, group in itertools.groupby(_by_problem(cases), key=lambda case: case.problem_id)]
        todo = [problem for problem in problems if not self._complete(problem, block)]
        self.progress.advance(self._ahead(problems) - self._ahead(todo))
        if not todo:
            self.progress.advance(self.plan.block_seconds(cases) - self._ahead(problems))
            return
        fleet = self._fleet([case for problem in todo for case in problem])
        try:
            self.progress.say(f"block {block + 1}/{self.plan.measure.blocks}: starting workers")
            fleet.start(
                case for problem in todo for case in problem
                if case.case_id not in self._alone and case.case_id not in self._failed
            )  # fmt: skip
            self.progress.advance(START_S * len({competitor(case) for problem in todo for case in problem}))
            facts = self._compile([case for problem in todo for case in problem], block, fleet)
            for problem in todo:
                self._problem(problem, block, fleet, facts)
                self.progress.advance(self._ahead([problem]))
        finally:
            fleet.close()

    def _ahead(self, problems: Iterable[list[Case]]) -> float:
        """Return roughly how long these problems take in one block, in seconds."""
        return sum(self.plan.case_seconds(case) for problem in problems for case in problem)

    def _complete(self, problem: list[Case], block: int) -> bool:
        """Say whether all cases of a problem are done in a block; a problem is measured whole or not at all."""
        return all((case.case_id, block) in self._done or case.case_id in self._failed for case in problem)

    def _fleet(self, cases: list[Case], alone: bool = False) -> Fleet:
        workers = 1 if alone else len({competitor(case) for case in cases})
        limit = self.plan.measure.memory_mb << 20 or self.plan.memory_bytes // max(workers, 1)
        plugins: dict[Any, tuple[str, ...]] = {}
        for case in cases:
            files = tuple(str(file) for file in self.plan.catalogue.plugin_files(case))
            plugins[competitor(case)] = tuple(dict.fromkeys((*plugins.get(competitor(case), ()), *files)))

        def settings(case: Case) -> WorkerSettings:
            return WorkerSettings(case.implementation, plugins[competitor(case)], case.threads, limit, case.device)

        return Fleet(settings, STARTING_S, self._start, self._processes)

    def _compile(self, cases: Iterable[Case], block: int, fleet: Fleet) -> dict[str, dict[str, Any]]:
        """Make the first call of all cases that compile, before anything is timed; returns facts by case."""
        facts: dict[str, dict[str, Any]] = {}
        started = time.monotonic()
        for case in cases:
            if not self.plan.compiles(case):
                continue
            self.progress.advance(COMPILE_S)
            if case.case_id in self._failed or case.case_id in self._alone:
                continue
            self.progress.say(f"compiling {case.gate} {case.mode} with {case.implementation}")
            try:
                with fleet.turn(case, prepared=False) as worker:
                    facts[case.case_id] = worker.request("prepare", self.plan.measure.timeout_s, case=case.to_json())
            except Failure as failure:
                if failure.status == "out_of_memory":
                    self._alone.add(case.case_id)  # its problem tries it once more, alone
                else:
                    entry = Entry(case, block, self._order[case.case_id])
                    entry.fail(failure)
                    self._finish(entry)
        self.compile_s += time.monotonic() - started
        return facts

    # --- one problem

    def _problem(self, problem: list[Case], block: int, fleet: Fleet, compiled: Mapping[str, dict[str, Any]]) -> None:
        competing = [case for case in problem if case.case_id not in self._failed and case.case_id not in self._alone]
        entries = self._compete(competing, block, fleet, compiled)
        for case in problem:
            starved = case.case_id in entries and entries[case.case_id].status == "out_of_memory"
            if starved or (case.case_id in self._alone and case.case_id not in self._failed):
                entries[case.case_id] = self._measure_alone(case, block, fleet)
        for entry in entries.values():
            self._finish(entry)

    def _measure_alone(self, case: Case, block: int, fleet: Fleet) -> Entry:
        """Try a case that ran out of memory once more, with no other worker alive and the whole allowance."""
        fleet.close()
        self._alone.add(case.case_id)
        alone = self._fleet([case], alone=True)
        try:
            entry = self._compete([case], block, alone, {})[case.case_id]
        finally:
            alone.close()
        entry.facts["alone"] = True
        return entry

    def _compete(
        self, cases: list[Case], block: int, fleet: Fleet, compiled: Mapping[str, dict[str, Any]]
    ) -> dict[str, Entry]:
        """Verify, warm, time in shuffled rounds, profile and close all cases of one problem."""
        entries = {case.case_id: Entry(case, block, self._order[case.case_id]) for case in cases}
        for case in cases:
            self.progress.say(f"block {block + 1}/{self.plan.measure.blocks}: {case.gate} {case.mode} {case.shape}")
            self._attempt(
                fleet, entries[case.case_id], lambda worker, entry: self._make_ready(worker, entry, fleet, compiled),
                prepared=False,
            )  # fmt: skip
        self._rounds(block, fleet, list(entries.values()))
        for case in cases:
            self._attempt(fleet, entries[case.case_id], self._wrap_up)
        return entries

    def _attempt(
        self, fleet: Fleet, entry: Entry, action: Callable[[WorkerProcess, Entry], None], prepared: bool = True
    ) -> None:
        """Let the case's worker do something, unless the case failed; what goes wrong is the case's own failure."""
        if entry.status != "ok":
            return
        try:
            with fleet.turn(entry.case, prepared=prepared) as worker:
                action(worker, entry)
        except Failure as failure:
            entry.fail(failure)

    def _make_ready(
        self, worker: WorkerProcess, entry: Entry, fleet: Fleet, compiled: Mapping[str, dict[str, Any]]
    ) -> None:
        measure, case, first = self.plan.measure, entry.case, entry.block == 0
        steps.prepare(worker, entry, measure)
        entry.facts |= compiled.get(case.case_id, {})
        entry.facts |= {"import_ns": fleet.import_ns(case), "process": fleet.process_number(case)}
        if first:
            steps.verify(worker, entry, measure)
        steps.warm(worker, entry, measure, self._settled, first)

    def _rounds(self, block: int, fleet: Fleet, entries: list[Entry]) -> None:
        """Take shuffled rounds of the cases that compete."""
        measure = self.plan.measure
        seed = f"{self.plan.seed}/{block}/{entries[0].case.problem_id if entries else ''}"
        orders = round_orders(entries, steps.most_rounds(measure.rounds), seed)
        steps.take_rounds(
            orders, measure.rounds, lambda entry, action: self._attempt(fleet, entry, action), measure.timeout_s
        )

    def _wrap_up(self, worker: WorkerProcess, entry: Entry) -> None:
        steps.wrap_up(worker, entry, self.plan.measure, profiled=entry.block == 0)

    def _finish(self, entry: Entry) -> None:
        if entry.status != "ok":
            self._failed[entry.case.case_id] = entry.status
        record = entry.to_json()
        self.journal.write("case", f"{entry.case.case_id} block {entry.block}", record)
        self._done[entry.case.case_id, entry.block] = record


def _by_problem(cases: list[Case]) -> list[Case]:
    """Return the cases with those of one problem together, problems in the order of their first case."""
    first: dict[str, int] = {}
    for number, case in enumerate(cases):
        first.setdefault(case.problem_id, number)
    return sorted(cases, key=lambda case: first[case.problem_id])
