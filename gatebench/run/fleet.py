"""The workers of one block: one live process per competitor; once they have started, only one runs at a time."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from gatebench.cases import Case
from gatebench.contract import Failure
from gatebench.run.process import WorkerProcess, WorkerSettings

Key = tuple[Any, ...]
Start = Callable[[WorkerSettings, float], WorkerProcess]

_MAX_DEATHS = 20  # of one worker within a block: a worker that dies in case after case is given up in the end


def competitor(case: Case) -> Key:
    """Return which worker a case belongs to: one per implementation, its options, device and thread count."""
    return (case.implementation, case.implementation_options, case.device, case.threads)


class Fleet:
    """Workers by competitor. A worker that died is started again when it is next asked for."""

    def __init__(
        self,
        settings_of: Callable[[Case], WorkerSettings],
        timeout_s: float,
        start: Start = WorkerProcess,
        numbers: Iterator[int] | None = None,
        key: Callable[[Case], Key] | None = None,
    ) -> None:
        """numbers: where the numbers of worker processes come from, so that they are unique within a run.

        key: which cases share a worker; `competitor` unless given.
        """
        self._key = key or competitor
        self._settings_of = settings_of
        self._timeout_s = timeout_s
        self._start = start
        self._workers: dict[Key, WorkerProcess] = {}
        self._deaths: dict[Key, int] = {}  # by competitor, of those that share a worker
        self._refused: dict[Key, Failure] = {}
        self._numbers: dict[int, int] = {}
        self._count = numbers or itertools.count()

    def start(self, cases: Iterable[Case]) -> None:
        """Start the workers of these cases side by side, a core each, and stop them again.

        One that cannot start has no say here: the first turn that asks for it tries again, or repeats why.
        """
        missing = {self._key(case): case for case in cases if self._key(case) not in self._workers}
        waiting, cores = list(missing.values()), len(os.sched_getaffinity(0))
        for first in range(0, len(waiting), cores):
            together = waiting[first : first + cores]
            for case in together:
                self.spawn(case)
            for case in together:
                self.settle(case)

    def settle(self, case: Case) -> None:
        """Wait until a spawned worker can be asked, and stop it; where it never can, the case's own turn says so."""
        try:
            self._greet(case).stop()
        except Failure:
            return  # noted by _greet

    @contextmanager
    def turn(self, case: Case, *, prepared: bool) -> Iterator[WorkerProcess]:
        """Let the case's worker run, and stop it again at the end; all others are stopped meanwhile.

        prepared: it must have the case at hand; where it died since its last turn, raises Failure with the reason.
        Otherwise a dead worker is replaced by a new one.
        """
        worker = self._survivor(case) if prepared else self._worker(case)
        worker.resume()
        try:
            yield worker
        finally:
            if worker.alive:
                worker.stop()
            else:
                self._forget(case)

    def process_number(self, case: Case) -> int | None:
        """Return the number of the case's worker process within the run."""
        worker = self._workers.get(self._key(case))
        return self._numbers.get(id(worker)) if worker else None

    def import_ns(self, case: Case) -> int | None:
        """Return how long the case's worker took to start."""
        worker = self._workers.get(self._key(case))
        return worker.import_ns if worker else None

    def retire(self, case: Case) -> None:
        """End the case's worker, if it has one; the next turn gets a new one."""
        worker = self._workers.pop(self._key(case), None)
        if worker is not None:
            worker.resume()
            worker.close()

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers.values():
            worker.resume()
            worker.close()
        self._workers.clear()

    def _worker(self, case: Case) -> WorkerProcess:
        key = self._key(case)
        worker = self._workers.get(key)
        if worker is not None and worker.alive:
            return worker
        self._forget(case)
        if key in self._refused:
            raise self._refused[key]
        if self._deaths.get(competitor(case), 0) >= _MAX_DEATHS:
            raise Failure("failed", f"the worker of {case.implementation} died {_MAX_DEATHS} times in this block")
        self.spawn(case)
        return self._greet(case)

    def spawn(self, case: Case) -> None:
        """Start the case's worker without waiting for it; `settle` waits."""
        worker = self._start(self._settings_of(case), self._timeout_s)
        self._workers[self._key(case)] = worker
        self._numbers[id(worker)] = next(self._count)

    def _greet(self, case: Case) -> WorkerProcess:
        """Wait until a spawned worker can be asked; raises Failure where it never can."""
        key = self._key(case)
        try:
            return greeted(self._workers[key])
        except Failure as failure:
            del self._workers[key]
            self._died(case)
            if failure.status == "unavailable":
                self._refused[key] = failure
            raise

    def _survivor(self, case: Case) -> WorkerProcess:
        worker = self._workers.get(self._key(case))
        if worker is None:
            raise Failure("failed", "the worker that held the case has ended")
        if not worker.alive:
            death = worker.death()
            self._forget(case)
            raise death
        return worker

    def _forget(self, case: Case) -> None:
        worker = self._workers.pop(self._key(case), None)
        if worker is not None:
            self._died(case)
            worker.close()

    def _died(self, case: Case) -> None:
        self._deaths[competitor(case)] = self._deaths.get(competitor(case), 0) + 1


def start_worker(settings: WorkerSettings, timeout_s: float, start: Start = WorkerProcess) -> WorkerProcess:
    """Start a worker; raises Failure where it dies, or greets with a reason why it cannot work."""
    return greeted(start(settings, timeout_s))


def greeted(worker: WorkerProcess) -> WorkerProcess:
    """Return a worker once it has greeted; raises Failure where it dies, or says why it cannot work."""
    availability = worker.greeting.get("availability", {})
    if availability.get("status", "ok") != "ok":
        worker.close()
        raise Failure(availability["status"], availability.get("reason", ""), availability.get("where", ""))
    return worker
