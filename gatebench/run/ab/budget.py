"""Time of an A/B: what a case costs in a block, and what a time limit cuts from the end of the order."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from gatebench.cases import Case

# Shares of the limit: the first block may take so much before what it has not reached is cut, the screening so much.
_FIRST_BLOCK = 0.3
_SCREENING = 0.75
_CONFIRMING = 0.95  # what sizes the confirmation: an estimate that proves too low by a little then cuts nothing
_WORKERS_S = 2.5  # starting and ending the two workers of one origin in a block, before that was timed
EXPECTED_S = 0.6  # a case in a block before one was timed: two warm-ups, two preparations, samples


class Budget:
    """Clock of one job. limit_s None: everything is measured."""

    def __init__(self, limit_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_s = limit_s
        self._now = clock
        self._started = clock()
        self._latest: dict[str, float] = {}  # seconds that a case took in its latest block
        self._cases_s = 0.0  # seconds that all cases took in all blocks
        self._workers: dict[Any, float] = {}  # what an origin's workers took in their latest block, beside cases

    def reason(self, enough_s: float) -> str:
        """Say why a case was cut. enough_s: a limit that would have done."""
        return f"the time limit of {duration(self.limit_s or 0.0)} leaves no room for it, {duration(_rounded_up(enough_s))} would do"

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the job began."""
        return self._now() - self._started

    @contextmanager
    def clock(self, case: Case) -> Iterator[None]:
        """Note how long a case takes in a block."""
        started = self._now()
        yield
        self._latest[case.case_id] = self._now() - started
        self._cases_s += self._latest[case.case_id]

    @contextmanager
    def clock_workers(self, key: Any) -> Iterator[None]:
        """Note how long the workers of one origin take in a block, beside the cases that are timed meanwhile."""
        started, cases_s = self._now(), self._cases_s
        yield
        self._workers[key] = self._now() - started - (self._cases_s - cases_s)

    def cost(self, case: Case) -> float:
        """Return the seconds that a case took in its latest block; of one that was never reached, what others took."""
        others_s = statistics.mean(self._latest.values()) if self._latest else EXPECTED_S
        return self._latest.get(case.case_id, others_s)

    def spent(self, stage: str, block: int) -> bool:
        """Say whether the time that this block may take is over."""
        if self.limit_s is None:
            return False
        share = _FIRST_BLOCK if stage == "screen" and block == 0 else 1.0
        return self.elapsed_s > share * self.limit_s

    def beyond_screening(
        self, cases: Sequence[Case], blocks: Mapping[str, int], key: Callable[[Case], Any]
    ) -> list[Case]:
        """Return the cases at the end of the order whose screening would not end in time."""
        return self._beyond(_SCREENING, cases, blocks, key)

    def beyond_confirming(
        self, cases: Sequence[Case], blocks: Mapping[str, int], key: Callable[[Case], Any]
    ) -> list[Case]:
        """Return the suspects at the end of the order whose confirmation would not end in time."""
        return self._beyond(1.0, cases, blocks, key)

    def room_to_confirm(
        self, cases: Sequence[Case], blocks: Mapping[str, int], key: Callable[[Case], Any], least: int
    ) -> int:
        """Return the most blocks up to which all suspects can be confirmed in time; `least` where not even those can."""
        most = max(blocks.values(), default=least)
        for room in range(most, least, -1):
            if not self._beyond(_CONFIRMING, cases, {name: min(wanted, room) for name, wanted in blocks.items()}, key):
                return room
        return least

    def enough_to_screen(self, cases: Sequence[Case], blocks: Mapping[str, int], key: Callable[[Case], Any]) -> float:
        """Return the seconds of a limit in which so many more blocks of screening would end in time."""
        return (self.elapsed_s + max(self._ends(cases, blocks, key), default=0.0)) / _SCREENING

    def enough_to_confirm(self, cases: Sequence[Case], blocks: Mapping[str, int], key: Callable[[Case], Any]) -> float:
        """Return the seconds of a limit in which so many more blocks of confirmation would end in time."""
        return (self.elapsed_s + max(self._ends(cases, blocks, key), default=0.0)) / _CONFIRMING

    def _beyond(
        self, share: float, cases: Sequence[Case], blocks: Mapping[str, int], key: Callable[[Case], Any]
    ) -> list[Case]:
        if self.limit_s is None:
            return []
        left = share * self.limit_s - self.elapsed_s
        ends = self._ends(cases, blocks, key)
        return [case for case, end in zip(cases, ends, strict=True) if end > left]  # ends only grow

    def _ends(self, cases: Sequence[Case], blocks: Mapping[str, int], key: Callable[[Case], Any]) -> list[float]:
        """Return the seconds until all blocks of each case and of those before it are measured."""
        started: dict[Any, int] = {}  # blocks for which the workers of an origin are started anyway
        costs = []
        for case in cases:
            wanted = blocks[case.case_id]
            more = max(0, wanted - started.get(key(case), 0))
            costs.append(wanted * self.cost(case) + more * self._workers.get(key(case), _WORKERS_S))
            started[key(case)] = max(wanted, started.get(key(case), 0))
        return list(itertools.accumulate(costs))


def _rounded_up(seconds: float) -> float:
    """Return tens of seconds, or whole minutes from two on: an estimate knows no more."""
    step = 10.0 if seconds <= 110 else 60.0
    return math.ceil(seconds / step) * step


def duration(seconds: float) -> str:
    """Return a time limit as a user writes it: 90 s, 10 min."""
    return f"{seconds:g} s" if seconds < 120 or seconds % 60 else f"{seconds / 60:g} min"
