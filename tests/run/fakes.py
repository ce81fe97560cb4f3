"""A fake worker that answers at once and remembers who ran when: order tests become exact and fast."""

from collections.abc import Callable
from typing import Any

from run_helpers import plan, run

from gatebench.catalogue import Catalogue
from gatebench.contract import Failure
from gatebench.run.process import WorkerSettings

THREE = ("first", "second", "third")


def catalogue(*names: str, compiles: tuple[str, ...] = (), unavailable: tuple[str, ...] = ()) -> Catalogue:
    """Return a catalogue of implementations that do glu in float32 on the CPU."""
    entry = {"gates": ["glu"], "devices": ["cpu"], "dtypes": ["float32"], "modes": ["forward"]}
    return Catalogue(
        {"glu": {"name": "glu", "family": "glu", "options": {}}},
        {
            name: {
                "compiles": name in compiles,
                "options": {},
                "entries": [entry],
                "unavailable": {"cpu": "it is not here"} if name in unavailable else {},
            }
            for name in names
        },
        {"cores": 2, "device_name": "a processor", "versions": {"python": "3.11.0"}},
    )


class Lab:
    """Starts fake workers. `log` holds what happened, in order; `script` decides answers and failures.

    script(worker, verb, args) may raise Failure, return an answer, or return None for the usual one. A Failure whose
    reason begins with "dies" leaves the worker dead.
    """

    def __init__(self, script: Callable[["FakeWorker", str, dict[str, Any]], dict[str, Any] | None] | None = None):
        self.script = script or (lambda worker, verb, args: None)
        self.log: list[tuple[Any, ...]] = []
        self.workers: list[FakeWorker] = []
        self.most_running = 0  # at once, while one of them was asked

    def __call__(self, settings: WorkerSettings, timeout_s: float) -> "FakeWorker":
        """Start a worker, as the runner does."""
        worker = FakeWorker(self, settings, len(self.workers))
        self.workers.append(worker)
        self.note("start", worker)
        return worker

    def note(self, what: str, worker: "FakeWorker", *more: Any) -> None:
        """Remember an event."""
        self.log.append((what, worker.settings.implementation, *more))

    def said(self, *verbs: str) -> list[tuple[Any, ...]]:
        """Return (verb, implementation, seq_len) of the requests with these verbs, in order."""
        return [event for event in self.log if event[0] in verbs]


class FakeWorker:
    """Looks like a WorkerProcess; a started worker runs until it is stopped or closed."""

    import_ns = 5

    def __init__(self, lab: Lab, settings: WorkerSettings, number: int) -> None:
        self.lab, self.settings, self.number = lab, settings, number
        self.alive = self.running = True
        self.case: dict[str, Any] = {}
        self.greeting = {"availability": {"status": "ok"}}

    def request(self, verb: str, timeout_s: float, **args: Any) -> dict[str, Any]:
        """Answer at once; only a worker that runs may be asked."""
        assert self.alive
        assert self.running
        if verb == "prepare":
            self.case = args["case"]
        running = sum(other.running for other in self.lab.workers)
        self.lab.most_running = max(self.lab.most_running, running)
        self.lab.note(verb, self, self.case["shape"]["seq_len"] if self.case else None)
        try:
            answer = self.lab.script(self, verb, args)
        except Failure as failure:
            if failure.reason.startswith("dies"):
                self.alive = self.running = False
            raise
        return self.usual(verb, args) if answer is None else answer

    def usual(self, verb: str, args: dict[str, Any]) -> dict[str, Any]:
        """Return what a healthy worker would say."""
        return {
            "prepare": {"prepare_ns": 1, "first_call_ns": 2},
            "verify": {"accuracy": [], "wrong": None},
            "warm": {"loops": args.get("loops") or 8, "seconds": 0.1, "unsteady": False},
            "sample": {"loops": 8, "wall_ns": 100.0, "steal_ratio": 0.0},
            "profile": {"kernel": "fake"},
            "close": {"wrong": None, "observed_threads": 1, "rss_peak_bytes": 1, "flops": 1, "bytes_min": 1},
            "stability": {"rows": [{"metric": "class", "status": "ok", "reason": None}]},
        }[verb]

    def stop(self) -> None:
        """Note that the worker is stopped."""
        self.running = False
        self.lab.note("stopped", self)

    def resume(self) -> None:
        """Note that the worker goes on."""
        self.running = self.alive
        self.lab.note("resumed", self)

    def death(self) -> Failure:
        """Say how a dead worker ended."""
        self.close()
        return Failure("out_of_memory", "the machine ran out of memory, and its kernel killed the worker")

    def close(self) -> None:
        """Note the end."""
        if self.alive:
            self.alive = self.running = False
            self.lab.note("ended", self)


def measured(folder, cases, script=None, names=THREE, wanted=None, **measure):
    """Run cases with fake workers; returns (lab, entries)."""
    lab = Lab(script)
    wanted = wanted or plan(catalogue(*names), cases, **measure)
    return lab, run(folder, wanted, start=lab)


def status_of(entries):
    return {(entry["case"]["implementation"], entry["case"]["shape"]["seq_len"]): entry["status"] for entry in entries}


def fails(status, reason, verb, implementation, seq_len=None):
    """Return a script in which one request of one implementation fails."""

    def script(worker, asked, args):
        here = seq_len is None or worker.case["shape"]["seq_len"] == seq_len
        if (asked, worker.settings.implementation) == (verb, implementation) and here:
            raise Failure(status, reason)

    return script
