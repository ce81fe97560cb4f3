"""The A/B runner: screening blocks of all cases, then fresh blocks of the suspects; both sides alive in each block.

It computes no verdict. Which cases are suspects, and how many blocks confirm them, it asks gatebench.analyze, which
answers the same from the stored run later.
"""

import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from gatebench.analyze.detection import blocks_in_time, least_to_confirm
from gatebench.analyze.verdicts import suspects
from gatebench.cases import Case
from gatebench.contract import Failure
from gatebench.run import steps
from gatebench.run.ab.blocks import cores_of, rounds_of
from gatebench.run.ab.budget import EXPECTED_S, Budget
from gatebench.run.ab.contest import SIDES, Contest, Runtime
from gatebench.run.fleet import Fleet, Key, Start
from gatebench.run.plan import BREAKDOWNS, STRIKES, Entry
from gatebench.run.process import STARTING_S, WorkerProcess, WorkerSettings
from gatebench.run.progress import Progress, Silent
from gatebench.run.publish import sample_rows
from gatebench.run.schedule import round_orders
from gatebench.store.journal import Journal
from gatebench.store.write import as_table
from gatebench.words import counted

NEW_BLOCKS = 3  # of a case that only the head has: an estimate with an interval, and no verdict
COUNTED_BLOCKS = 2  # blocks in which exact counts are taken, so that one that varies is seen
_PADDING_BYTES = 4096  # the environment's size moves the stack: it is drawn for each worker


class Places(Protocol):
    """Where each side's files lie; they change places between blocks."""

    def place(self, side: str) -> Path:
        """Return where a side's files are at this moment."""
        ...

    def swap(self) -> None:
        """Let the sides change places."""


class AbRunner:
    """One A/B into a journal. Mutable: notes which cases failed, and in plan["not_measured"] what time did not allow."""

    def __init__(
        self, contest: Contest, plan: dict[str, Any], journal: Journal, places: Places, runtimes: Mapping[str, Runtime],
        budget: Budget, progress: Progress | None = None, start: Start = WorkerProcess,
    ) -> None:  # fmt: skip
        self.contest, self.plan, self.journal, self.budget = contest, plan, journal, budget
        self.progress = progress or Silent()
        self._places, self._runtimes, self._start = places, runtimes, start
        self._origins = {side: places.place(side) for side in SIDES}
        self._order = {case.case_id: number for number, case in enumerate(contest.cases)}
        self._settled = steps.Settled()
        self._strikes: dict[tuple[str, str], int] = {}
        self._verified: set[tuple[str, str]] = set()
        self._counted: dict[tuple[str, str], int] = {}
        self._latest: dict[str, int] = {}  # block of each case
        self._processes = itertools.count()
        self._started_blocks = 0

    def run(self) -> None:
        """Screen, then confirm the suspects; raises KeyboardInterrupt through, with all workers ended."""
        try:
            self._screen()
            self._confirm()
        finally:
            self.progress.stop()

    def calibrate(self, blocks: int) -> None:
        """Measure every case in so many blocks, both sides alike, and confirm nothing."""
        self.progress.start(EXPECTED_S * blocks * len(self.contest.cases))
        try:
            for block in range(blocks):
                self._block(block, "calibrate", self.contest.cases, f"calibrating {block + 1}/{blocks}")
        finally:
            self.progress.stop()

    # --- stages

    def _screen(self) -> None:
        wanted = {case.case_id: self._screen_blocks(case) for case in self.contest.cases}
        self.progress.start(EXPECTED_S * sum(wanted.values()))
        for block in range(max(wanted.values())):
            todo = [case for case in self.contest.cases if wanted[case.case_id] > block]
            self._block(block, "screen", todo, f"screening {block + 1}/{max(wanted.values())}")
            left = {case.case_id: wanted[case.case_id] - block - self._ended(case, block) for case in todo}
            going_on = [case for case in self._open(todo) if left[case.case_id]]
            if self.budget.spent("screen", block):
                beyond = going_on
            elif block == 1:  # the first one verified and compiled: what a case costs, this one tells
                beyond = self.budget.beyond_screening(going_on, left, self.contest.worker_of)
            else:
                continue
            self._cut(beyond, self.budget.enough_to_screen(going_on, left, self.contest.worker_of))

    def _confirm(self) -> None:
        entries = self.journal.entries("case")
        found = suspects(self.plan, as_table("samples", sample_rows(self.journal.run_id, entries)).to_pandas())
        asked = dict(zip(found["case_id"].tolist(), found["blocks"].tolist(), strict=True))
        suspected = self._open(case for case in self.contest.cases if case.case_id in asked)
        room = self.budget.room_to_confirm(suspected, asked, self.contest.worker_of, least_to_confirm(self.plan))
        if any(wanted > room for wanted in asked.values()):  # fewer blocks for all tell more than none for the last
            self._leave_room(room)
        blocks = {case_id: blocks_in_time(wanted, self.plan) for case_id, wanted in asked.items()}
        enough_s = self.budget.enough_to_confirm(suspected, asked, self.contest.worker_of)
        self._cut(self.budget.beyond_confirming(suspected, blocks, self.contest.worker_of), enough_s)
        going_on = self._open(suspected)
        if suspected and not going_on:
            self._leave_room(0)
        first, most = self._started_blocks, max((blocks[case.case_id] for case in going_on), default=0)
        self.progress.start(EXPECTED_S * sum(blocks[case.case_id] for case in going_on))
        for number in range(most):
            block, todo = first + number, [case for case in going_on if blocks[case.case_id] > number]
            self._block(block, "confirm", todo, f"confirming {number + 1}/{most}")
            if self.budget.spent("confirm", block):
                missed = [case for case in self._open(todo) if not self._ended(case, block)]
                if missed or any(blocks[case.case_id] > number + 1 for case in self._open(todo)):
                    self._leave_room(number if missed else number + 1)  # what there is, is judged
                if number == 0:
                    self._cut(missed, self.budget.enough_to_confirm(suspected, asked, self.contest.worker_of))
                break

    def _leave_room(self, blocks: int) -> None:
        """Note the blocks that every suspect could have. A plan counts from 1 on; one block confirms nothing, like none."""
        self.plan["confirm_blocks"]["room"] = max(1, blocks)

    def _screen_blocks(self, case: Case) -> int:
        if self.contest.kinds[case.case_id] == "gone":
            return 0
        if self.contest.kinds[case.case_id] == "new":
            return NEW_BLOCKS
        wanted: Mapping[str, int] = self.plan["screen_blocks"]
        return wanted.get(case.case_id, wanted["default"])

    def _open(self, cases: Iterable[Case]) -> list[Case]:
        """Return the cases that are neither decided by a failure nor cut."""
        return [case for case in cases if case.case_id not in self.plan["not_measured"] and not self._over(case)]

    def _over(self, case: Case) -> bool:
        """Say whether a side was given up or refused, and the other one, if it can be asked, is verified."""
        sides = ("head",) if self.contest.kinds[case.case_id] == "new" else SIDES
        asked = [side for side in sides if self._asked(case, side)]
        return len(asked) < len(sides) and all((side, case.case_id) in self._verified for side in asked)

    def _asked(self, case: Case, side: str) -> bool:
        return self.contest.measurable(case, side) and self._strikes.get((side, case.case_id), 0) < STRIKES

    def _ended(self, case: Case, block: int) -> bool:
        """Say whether a case was measured in a block, before its time was over."""
        return self._latest.get(case.case_id) == block

    def _cut(self, cases: Iterable[Case], enough_s: float) -> None:
        for case in cases:
            self.plan["not_measured"][case.case_id] = self.budget.reason(enough_s)

    # --- one block

    def _block(self, block: int, stage: str, cases: Sequence[Case], title: str) -> None:
        self._started_blocks = block + 1
        groups: dict[Key, list[Case]] = {}
        for case in self._open(cases):
            groups.setdefault(self.contest.worker_of(case), []).append(case)
        for key, group in groups.items():
            if not self.budget.spent(stage, block):
                with self.budget.clock_workers(key):
                    self._group(block, stage, key, group, title)
        self._places.swap()

    def _group(self, block: int, stage: str, key: Key, cases: list[Case], title: str) -> None:
        """Measure the cases that share a worker: two workers, one for each side."""
        self.progress.say(f"{title}: {counted(len(cases), 'case')}")
        fleets = {side: self._fleet(side, block, key, cases) for side in SIDES}
        try:
            asked = {side: next((case for case in cases if self._asked(case, side)), None) for side in SIDES}
            for side, case in asked.items():  # they import their libraries side by side, a core each
                if case is not None:
                    fleets[side].spawn(case)
            for side, case in asked.items():
                if case is not None:
                    fleets[side].settle(case)
            for case in cases:
                if self.budget.spent(stage, block):
                    return
                with self.budget.clock(case):
                    self._pair(case, block, stage, fleets, title)
                self.progress.advance(EXPECTED_S)
        finally:
            for fleet in fleets.values():
                fleet.close()

    def _fleet(self, side: str, block: int, key: Key, cases: list[Case]) -> Fleet:
        place, origin = self._places.place(side), self._origins[side]
        padding = random.Random(f"{self.contest.seed}/{block}/{side}/{key}").randrange(_PADDING_BYTES)
        launch = self._runtimes[side].launch(place, padding, cores_of(block, cases[0].threads))
        plugins = dict.fromkeys(path for case in cases for path in self.contest.plugins_of(case, side))
        moved = tuple(
            str(place / path.relative_to(origin) if path.is_relative_to(origin) else path) for path in plugins
        )
        limit = self.contest.measure.memory_mb << 20 or self.contest.memory_bytes // len(SIDES)

        def settings(case: Case) -> WorkerSettings:
            return WorkerSettings("", moved, case.threads, limit, case.device, launch)

        return Fleet(settings, STARTING_S, self._start, self._processes, self.contest.worker_of)

    # --- one case

    def _pair(self, case: Case, block: int, stage: str, fleets: Mapping[str, Fleet], title: str) -> None:
        """Verify, warm, time in shuffled rounds and close one case on both sides."""
        measure = self.contest.measure
        self.progress.say(f"{title}: {case.gate} {case.mode} {case.shape} with {case.implementation}")
        entries: dict[str, Entry] = {}
        # The base fixes the calls per sample in block 0; later the order changes at another pace than the places do.
        for side in SIDES if block // 2 % 2 == 0 else reversed(SIDES):
            if self._asked(case, side):
                entries[side] = Entry(case, block, self._order[case.case_id], side, stage)
            elif case.case_id in self.contest.refused[side] and (side, case.case_id) not in self._strikes:
                refused = Entry(case, block, self._order[case.case_id], side, stage)
                refused.fail(Failure(*self.contest.refused[side][case.case_id]))
                self._finish(refused)

        def attempt(entry: Entry, action: steps.Action, prepared: bool = True) -> None:
            if entry.status != "ok":
                return
            try:
                with fleets[entry.side].turn(case, prepared=prepared) as worker:
                    action(worker, entry)
            except Failure as failure:
                entry.fail(failure)

        def together(entry: Entry, action: steps.Action) -> None:
            if all(other.status == "ok" for other in entries.values()):  # one side alone makes no pair
                attempt(entry, action)

        for entry in entries.values():
            attempt(entry, lambda worker, entry: self._make_ready(worker, entry, fleets[entry.side]), prepared=False)
        if all(entry.status == "ok" for entry in entries.values()) and not self._over(case):
            seed = f"{self.contest.seed}/{block}/{case.case_id}"
            rounds = rounds_of(measure, self._settled.sample_s.get(case.case_id))
            orders = round_orders(list(entries.values()), steps.most_rounds(rounds), seed)
            steps.take_rounds(orders, rounds, together, measure.timeout_s)
        for entry in entries.values():
            attempt(entry, self._wrap_up)
            self._finish(entry)
        if any(entry.status in BREAKDOWNS for entry in entries.values()):
            # What broke down may have left its process broken, too, for the cases that share it. Both sides start afresh,
            # so that what comes after has one history on both.
            for fleet in fleets.values():
                fleet.retire(case)

    def _make_ready(self, worker: WorkerProcess, entry: Entry, fleet: Fleet) -> None:
        measure, key = self.contest.measure, (entry.side, entry.case.case_id)
        first, counted = key not in self._verified, self._counted.get(key, 0) < COUNTED_BLOCKS
        steps.prepare(worker, entry, measure)
        entry.facts |= {"import_ns": fleet.import_ns(entry.case), "process": fleet.process_number(entry.case)}
        if first or counted:
            steps.verify(worker, entry, measure)
        if not first:
            entry.accuracy = []  # one set of rows for each side; the largest ratio is among what is counted twice
        steps.warm(worker, entry, measure, self._settled, first)
        self._verified.add(key)

    def _wrap_up(self, worker: WorkerProcess, entry: Entry) -> None:
        key = (entry.side, entry.case.case_id)
        counted = self._counted.get(key, 0)
        steps.wrap_up(worker, entry, self.contest.measure, profiled=counted < COUNTED_BLOCKS)
        self._counted[key] = counted + 1

    def _finish(self, entry: Entry) -> None:
        """Write what a block found; a failure counts, and what is wrong or refused is so for good."""
        key = (entry.side, entry.case.case_id)
        self._latest[entry.case.case_id] = entry.block
        if entry.status != "ok":
            entry.samples.clear()  # what ran before it broke down makes no block
        if entry.status in BREAKDOWNS:
            self._strikes[key] = self._strikes.get(key, 0) + 1
        elif entry.status != "ok":
            self._strikes[key] = STRIKES
        self.journal.write("case", f"{entry.case.case_id} {entry.side} block {entry.block}", entry.to_json())
