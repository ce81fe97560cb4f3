"""The runs of a pytest session, one per suite: what was asked for, what was found, and the folder in the end."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gatebench.cases import Case
from gatebench.catalogue import Catalogue
from gatebench.errors import StoreError
from gatebench.pytest_plugin import LINES, SUITES
from gatebench.run.discover import discover
from gatebench.run.environment import shared_memory_bytes
from gatebench.run.execute import Request, make_header, new_run_id
from gatebench.run.plan import Entry, Plan
from gatebench.run.publish import accuracy_rows, measurement_rows, publish, sample_rows
from gatebench.store.journal import Journal
from gatebench.suites import expand, expand_stability, read_suite

HARNESS = "pytest"
NOWHERE = "none"  # in place of a store
_CATALOGUES = pytest.StashKey[dict[tuple[Path, ...], Catalogue]]()  # by plugin files: asking workers takes seconds


@dataclass
class SuiteRun:
    """One suite of this session, kept in a store unless that is None. Mutable: `entries` grows with each case that ended, in journal form."""

    request: Request
    plan: Plan
    store: Path | None
    entries: list[dict[str, Any]] = field(default_factory=list)
    _journal: Journal | None = None
    _kept: int = 0  # entries that the journal holds

    def ended(self, entry: Entry) -> dict[str, Any]:
        """Note a case that ended, and return its row of `measurements`."""
        self.entries.append(entry.to_json())
        with contextlib.suppress(StoreError):  # `publish` tries again, and says so
            self._keep()
        return self._row(self.entries[-1])

    def publish(self, status: str) -> Path | None:
        """Write the run folder; None where nothing was timed, or nothing is to be kept. Raises StoreError.

        What the journal holds then stays in staging, from where `gatebench run --resume` publishes it.
        """
        self._keep()
        if self._journal is None or self.store is None:
            return None
        try:
            ended = {entry["case_id"] for entry in self.entries}
            header = self._header([case for case in self.plan.cases if case.case_id in ended])
            started = self._journal.header()["created_utc"]
            return publish(self.store, self._journal, status, {**header, "created_utc": started})
        finally:
            self._journal.close()

    def _keep(self) -> None:
        """Write into the journal what it does not hold yet, so that SIGKILL loses no time that was taken."""
        if self.store is None or not any(entry["samples"] for entry in self.entries):
            return
        if self._journal is None:
            journal = Journal(self.store, new_run_id())
            journal.write_header(self._header(self.plan.cases))
            self._journal = journal
        for entry in self.entries[self._kept :]:
            self._journal.write("case", entry["case_id"], entry)
            self._kept += 1

    def _header(self, cases: Sequence[Case]) -> dict[str, Any]:
        return {**make_header(self.request, replace(self.plan, cases=tuple(cases))), "harness": HARNESS}

    def _row(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        catalogue = self.plan.catalogue
        header = {"gates_by_name": catalogue.gates, "environment": catalogue.environment, "harness": HARNESS}
        samples, accuracy = sample_rows("", [entry]), accuracy_rows("", [entry])
        return measurement_rows("", [entry], samples, accuracy, header)[0]


def plan_suite(path: Path, config: pytest.Config) -> SuiteRun:
    """Read a suite and expand its cases; raises UserError. What can be measured is asked of a worker process.

    A store that cannot be written is an error now, better than after everything was measured. Everything runs in this process, so there is one block, and stability is left to `gatebench run`.
    """
    suite = read_suite(path)
    store = store_path(config)
    if store is not None and _may_time(config):
        _check_store(store)
    catalogue = _catalogue(tuple(dict.fromkeys(plugin.resolve() for plugin in suite.plugins)), config)
    expand_stability(suite, catalogue)  # a mistake there is a mistake here
    cases = expand(suite, catalogue) if suite.cases else []
    suite = replace(suite, stability=(), measure=replace(suite.measure, blocks=1))
    plan = Plan(tuple(cases), (), suite.measure, catalogue, shared_memory_bytes(), suite.seed)
    run = SuiteRun(Request(suite), plan, store)
    config.stash.setdefault(SUITES, []).append(run)
    return run


def _catalogue(plugins: tuple[Path, ...], config: pytest.Config) -> Catalogue:
    known = config.stash.setdefault(_CATALOGUES, {})
    if plugins not in known:
        known[plugins] = discover(plugins, ceilings=_may_time(config))
        for path, reason in known[plugins].broken.items():
            config.stash.setdefault(LINES, []).append(f"gatebench: plugin {path.name} cannot be used: {reason}")
    return known[plugins]


def _may_time(config: pytest.Config) -> bool:
    """Say whether anything may be timed in this session, as far as the options tell."""
    chosen = {name: config.getoption(name) for name in ("collectonly", "benchmark_skip", "benchmark_disable")}
    chosen["benchmark_skip"] = chosen["benchmark_skip"] and not config.getoption("benchmark_only")
    chosen["benchmark_disable"] = chosen["benchmark_disable"] and not config.getoption("benchmark_enable")
    return not any(chosen.values())


# --- the folders


def store_path(config: pytest.Config) -> Path | None:
    """Return the store: the option, GATEBENCH_STORE, or results; None for nowhere."""
    given = config.getoption("gatebench_store") or os.environ.get("GATEBENCH_STORE") or "results"
    return None if given == NOWHERE else Path(given)


def _check_store(store: Path) -> None:
    """Raise StoreError where a store cannot be written."""
    there = next(folder for folder in (store.absolute(), *store.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "no folder" if not there.is_dir() else "cannot be written"
        accepted = f"a folder that can be written, or `{NOWHERE}`, is accepted"
        raise StoreError(f"--gatebench-store {store}", what, accepted, "choose another")


def write_runs(session: pytest.Session, exitstatus: int) -> None:
    """Write a run folder per suite of which something was timed; a store that refuses is said, and fails the session."""
    stopped = exitstatus == pytest.ExitCode.INTERRUPTED or bool(session.shouldstop or session.shouldfail)
    lines = session.config.stash.setdefault(LINES, [])
    for run in session.config.stash[SUITES]:
        try:
            folder = run.publish("partial" if stopped else "complete")
        except StoreError as error:
            lines.append(f"gatebench: {error}")
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        else:
            if folder is not None:
                lines.append(f"gatebench: {run.request.suite.name}: stored in {_relative(folder)}")


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path
