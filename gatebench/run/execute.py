"""One run from suite to folder: plan, measure into the journal, publish."""

import secrets
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatebench.catalogue import Catalogue
from gatebench.errors import SuiteError
from gatebench.run.environment import environment_class, git_state, shared_memory_bytes
from gatebench.run.machine_lock import said_where_another_measures
from gatebench.run.own_files import places, recorded, settle
from gatebench.run.plan import Plan
from gatebench.run.progress import Progress
from gatebench.run.publish import describe_package, describe_plugin, publish
from gatebench.run.runner import Runner
from gatebench.store.journal import Journal
from gatebench.suites import Narrowing, Suite, expand, expand_stability


@dataclass(frozen=True)
class Request:
    """What a user asked for: a suite, what is left of it, and files beside it."""

    suite: Suite
    narrowing: Narrowing = field(default_factory=Narrowing)
    plugins: tuple[Path, ...] = ()
    named: tuple[str, ...] = ()  # implementations asked for by name, whose refusal is a failure

    def all_plugins(self) -> tuple[Path, ...]:
        """Return the suite's plugins and those of the command line."""
        return tuple(dict.fromkeys(path.resolve() for path in (*self.suite.plugins, *self.plugins)))


@dataclass(frozen=True)
class Outcome:
    """Where a run was published, and whether it was interrupted."""

    folder: Path
    interrupted: bool
    named: tuple[str, ...] = ()


def make_plan(request: Request, catalogue: Catalogue) -> Plan:
    """Expand and check everything that a request names; raises UserError."""
    cases = expand(request.suite, catalogue, request.narrowing)
    stability = expand_stability(request.suite, catalogue, request.narrowing)
    suite = request.suite
    narrowing = request.narrowing
    if suite.cases and narrowing.chooses:
        # Who looks at one gate's cases does not wait for the others' stability.
        left = {case.gate for case in cases}
        stability = [entry for entry in stability if entry["gate"] in left]
    stability = settle(f"{suite.file}: stability", stability)
    if not suite.cases:
        stability = [entry for entry in stability if narrowing.keeps_request(entry)]
    if not cases and not stability:
        raise SuiteError(suite.file, "leaves nothing to measure", "at least one case is needed", "widen -g")
    return Plan(tuple(cases), tuple(stability), suite.measure, catalogue, shared_memory_bytes(), suite.seed)


def new_run_id(now: datetime | None = None) -> str:
    """Return UTC time and a random suffix, sortable: 20261120T231502Z-4f1c."""
    return (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ-") + secrets.token_hex(2)


def start(request: Request, store: Path, plan: Plan, progress: Progress) -> Outcome:
    """Measure a planned request into a new run folder."""
    journal = Journal(store, new_run_id())
    header = make_header(request, plan)
    journal.write_header(header)
    return measure(store, journal, plan, header, progress)


def measure(store: Path, journal: Journal, plan: Plan, header: Mapping[str, Any], progress: Progress) -> Outcome:
    """Run and publish; Ctrl-C and SIGTERM publish what there is as partial."""
    runner = Runner(plan, journal, progress)

    def work() -> None:
        with said_where_another_measures():
            runner.run()

    def to_folder(interrupted: bool, seconds: float) -> Path:
        elapsed = {"total_s": seconds, "compile_s": runner.compile_s}
        return publish(store, journal, "partial" if interrupted else "complete", {**header, "elapsed": elapsed})

    folder, interrupted = conduct(journal, work, to_folder)
    return Outcome(folder, interrupted, tuple(header["request"]["named"]))


def conduct(journal: Journal, work: Callable[[], None], to_folder: Callable[[bool, float], Path]) -> tuple[Path, bool]:
    """Measure into a journal, then publish it; returns the folder, and whether Ctrl-C or SIGTERM ended the work.

    to_folder(interrupted, seconds) publishes. Where anything else goes wrong, what was measured stays in staging.
    """
    started, interrupted = time.monotonic(), False
    try:
        try:
            with terminations_interrupt():
                work()
        except KeyboardInterrupt:
            interrupted = True
        with no_interrupts():
            return to_folder(interrupted, time.monotonic() - started), interrupted
    except BaseException:
        journal.close()  # for `--resume`
        raise


@contextmanager
def terminations_interrupt() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Let a second Ctrl-C wait: publishing takes a moment, and is what keeps the results."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)


def make_header(request: Request, plan: Plan) -> dict[str, Any]:
    """Return what a journal keeps of a request: all that publishing and resuming need."""
    suite, catalogue = request.suite, plan.catalogue
    gates = {case.gate for case in plan.cases} | {entry["gate"] for entry in plan.stability}
    described = {name: catalogue.gates[name] for name in sorted(gates)}
    names = gates | {case.implementation for case in plan.cases}
    files = request.all_plugins()
    return {
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "suite": {"name": suite.name, "file": suite.file, "sha256": suite.sha256, "text": suite.text},
        # What was asked for as it was read, so that resuming needs no file of the suite again.
        "request": {
            "narrowing": asdict(request.narrowing),
            "named": list(request.named),
            "why": suite.why,
            "cases": list(suite.cases),
            "stability": recorded(suite.stability, plan.stability),
        },
        "own_files": places(plan.stability),
        "git": git_state(Path(__file__).resolve().parents[2]),
        "plugins": [
            *(describe_plugin(_names(catalogue, path) or path.stem, path) for path in files),
            *(describe_package(name, catalogue.packages[name]) for name in sorted(names & catalogue.packages.keys())),
        ],
        "environment": dict(catalogue.environment),
        "environment_class": environment_class(catalogue.environment),
        "seed": suite.seed,
        "measure": asdict(suite.measure),
        "gates": list(described.values()),
        "gates_by_name": {name: {"family": entry["family"]} for name, entry in described.items()},
    }


def _names(catalogue: Catalogue, path: Path) -> str:
    return ", ".join(name for name, files in catalogue.files.items() if path in files)
