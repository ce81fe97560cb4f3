"""One run from suite to folder: plan, measure into the journal, publish; resume what was interrupted."""

import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatebench.catalogue import Catalogue
from gatebench.errors import StoreError, UserError
from gatebench.run.discover import discover
from gatebench.run.environment import environment_class, git_state, shared_memory_bytes
from gatebench.run.progress import Progress
from gatebench.run.publish import describe_plugin, publish
from gatebench.run.republish import recall_into
from gatebench.run.runner import Plan, Runner
from gatebench.store.journal import Journal, staged_runs
from gatebench.store.read import Run, find_run
from gatebench.suites import Measure, Narrowing, Suite, expand, expand_stability, suite_from_text


@dataclass(frozen=True)
class Request:
    """What a user asked for: a suite, what is left of it, and files beside it."""

    suite: Suite
    narrowing: Narrowing = field(default_factory=Narrowing)
    plugins: tuple[Path, ...] = ()

    def all_plugins(self) -> tuple[Path, ...]:
        """Return the suite's plugins and those of the command line."""
        return tuple(dict.fromkeys(path.resolve() for path in (*self.suite.plugins, *self.plugins)))


@dataclass(frozen=True)
class Outcome:
    """Where a run was published, and whether it was interrupted."""

    folder: Path
    interrupted: bool


def make_plan(request: Request, catalogue: Catalogue) -> Plan:
    """Expand and check everything that a request names; raises UserError."""
    cases = expand(request.suite, catalogue, request.narrowing)
    stability = expand_stability(request.suite, catalogue, request.narrowing)
    suite = request.suite
    return Plan(tuple(cases), tuple(stability), suite.measure, catalogue, shared_memory_bytes(), suite.seed)


def new_run_id(now: datetime | None = None) -> str:
    """Return UTC time and a random suffix, sortable: 20261120T231502Z-4f1c."""
    return (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ-") + secrets.token_hex(2)


def start(request: Request, store: Path, catalogue: Catalogue, progress: Progress) -> Outcome:
    """Measure a request into a new run folder."""
    plan = make_plan(request, catalogue)
    journal = Journal(store, new_run_id())
    header = make_header(request, plan)
    journal.write_header(header)
    return _measure(store, journal, plan, header, progress)


def resume(store: Path, name: str | None, progress: Progress) -> Outcome:
    """Go on with a run: one left in staging (SIGKILL, full disk), or a published partial one, as a new folder.

    Raises UserError where there is nothing to resume, the environment class or a plugin differs.
    """
    staged = [run_id for run_id in staged_runs(store) if name is None or name in run_id]
    if staged:
        journal = Journal(store, staged[-1])
        header = journal.header()
    else:
        run = _partial_run(store, name)
        journal = Journal(store, new_run_id())
        header = _header_of(run)
        recall_into(journal, run)
        journal.write_header(header)
    request = _request_of(header)
    catalogue = discover(request.all_plugins())
    _check_same(header, catalogue, request)
    return _measure(store, journal, make_plan(request, catalogue), header, progress)


def _measure(store: Path, journal: Journal, plan: Plan, header: Mapping[str, Any], progress: Progress) -> Outcome:
    """Run and publish; Ctrl-C and SIGTERM publish what there is as partial."""
    interrupted = False
    try:
        with _terminations_interrupt():
            Runner(plan, journal, progress).run()
    except KeyboardInterrupt:
        interrupted = True
    except BaseException:
        journal.close()  # what was measured stays in staging, for `--resume`
        raise
    with _no_interrupts():
        folder = publish(store, journal, "partial" if interrupted else "complete", header)
    return Outcome(folder, interrupted)


@contextmanager
def _terminations_interrupt() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _no_interrupts() -> Iterator[None]:
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
    files = request.all_plugins()
    return {
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "suite": {"name": suite.name, "file": suite.file, "sha256": suite.sha256, "text": suite.text},
        "request": {"narrowing": asdict(request.narrowing)},
        "directory": str(suite.plugins[0].parent) if suite.plugins else ".",
        "extra_plugins": [str(path.resolve()) for path in request.plugins],
        "git": git_state(Path(__file__).resolve().parents[2]),
        "plugins": [describe_plugin(_names(catalogue, path) or path.stem, path) for path in files],
        "environment": dict(catalogue.environment),
        "environment_class": environment_class(catalogue.environment),
        "seed": suite.seed,
        "measure": asdict(suite.measure),
        "gates": list(described.values()),
        "gates_by_name": {name: {"family": entry["family"]} for name, entry in described.items()},
    }


def _names(catalogue: Catalogue, path: Path) -> str:
    return ", ".join(name for name, files in catalogue.files.items() if path in files)


# --- resuming


def _partial_run(store: Path, name: str | None) -> Run:
    run = find_run(store, name or "latest")
    if run.manifest["status"] != "partial":
        raise StoreError(f"run {run.run_id}", "is complete", "a partial run, or one left in staging", "start a new run")
    return run


def _header_of(run: Run) -> dict[str, Any]:
    manifest = run.manifest
    keep = ("created_utc", "suite", "request", "git", "plugins", "environment", "environment_class", "seed", "measure")
    gates = run.gates()
    return {
        **{name: manifest[name] for name in keep},
        "resumes": run.run_id,
        "directory": ".",
        "extra_plugins": [],
        "gates": gates,
        "gates_by_name": {gate["name"]: {"family": gate["family"]} for gate in gates},
    }


def _request_of(header: Mapping[str, Any]) -> Request:
    suite = header["suite"]
    parsed = suite_from_text(suite["text"], suite["file"], Path(header["directory"]))
    narrowing: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in header["request"]["narrowing"].items()
    }
    parsed = Suite(**{**parsed.__dict__, "measure": Measure(**header["measure"])})
    return Request(parsed, Narrowing(**narrowing), tuple(Path(path) for path in header["extra_plugins"]))


def _check_same(header: Mapping[str, Any], catalogue: Catalogue, request: Request) -> None:
    """Refuse to mix machines or versions of a plugin in one run."""
    found = environment_class(catalogue.environment)
    if found != header["environment_class"]:
        raise UserError("--resume", f"environment class {found} is not the run's {header['environment_class']}",
                        "the machine and libraries that began it are accepted", "start a new run")  # fmt: skip
    known = {plugin["file"]: plugin["sha256"] for plugin in header["plugins"]}
    for path in request.all_plugins():
        now = describe_plugin("", path)["sha256"] if path.is_file() else "missing"
        if known.get(path.name) != now:
            raise UserError("--resume", f"plugin {path.name} has changed since the run began", "", "start a new run")
