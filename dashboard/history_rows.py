"""What the History page reads: the runs of one suite on one machine, and the rows of one gate in one mode."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from gatebench.analyze.history import changes, failures, history, series
from gatebench.errors import StoreError, UserError
from gatebench.report.history import environment_changes, of_suite, run_facts, without_controls
from gatebench.store.read import Results, read_run

_READ = ("manifest.json", "measurements.parquet", "samples.parquet", "verdicts.parquet")


@dataclass(frozen=True)
class SuiteRuns:
    """Runs of a suite on one machine: facts (a row per run), measurements, environments, and what could not be read."""

    key: tuple  # changes with what is read
    results: Results
    facts: pd.DataFrame
    measurements: pd.DataFrame
    environments: list[dict[str, Any]]
    problems: list[str]


@dataclass(frozen=True)
class Lines:
    """The history of one gate in one mode: points, changes, failures, and a row per line (`series`)."""

    points: pd.DataFrame
    changed: pd.DataFrame
    failed: pd.DataFrame
    series: pd.DataFrame


def read_suite(runs: pd.DataFrame, suite: str) -> SuiteRuns | None:
    """Read the runs (rows of Store.runs) of a suite; None where none of them has a history."""
    return _read_suite(tuple(runs["path"].sort_values()), suite, _stamps(runs))


def read_lines(suite: SuiteRuns, gate: str, mode: str, baseline: str | None) -> Lines:
    """Return the history of one gate in one mode; baseline: what times are divided by, None for native or eager."""
    return _read_lines(suite.key, suite, gate, mode, baseline)


def _stamps(runs: pd.DataFrame) -> tuple[int, ...]:
    """Return when each run's files changed: a run that was replaced, or a file that broke, is read anew."""
    return tuple(_changed(Path(path) / name) for path in runs["path"].sort_values() for name in _READ)


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@st.cache_resource(show_spinner="Reading the suite's runs …", max_entries=3)
def _read_suite(paths: tuple[str, ...], suite: str, stamps: tuple[int, ...]) -> SuiteRuns | None:
    found, problems = [], []
    for path in paths:
        try:
            found.append(read_run(Path(path)))
        except StoreError as error:
            problems.append(str(error))
    found.sort(key=lambda run: run.run_id)
    try:
        results = of_suite(Results(tuple(found), problems), suite)
    except UserError:  # calibrations only, or runs of two versions without a plan
        return None
    # No git here: commits are ordered by when they were measured.
    facts = run_facts(results.folders, lambda commits: {})
    measurements = without_controls(results)
    return SuiteRuns(
        (paths, suite, stamps), results, facts, measurements, environment_changes(results.folders), results.problems
    )


@st.cache_resource(show_spinner="Looking for changes …", max_entries=12)
def _read_lines(key: tuple, _suite: SuiteRuns, gate: str, mode: str, baseline: str | None) -> Lines:
    rows = _suite.measurements
    rows = rows[(rows["gate"] == gate) & (rows["mode"] == mode)]
    samples = _suite.results.samples
    samples = samples[samples["case_id"].isin(set(rows["case_id"]))]
    points = history(_suite.facts, rows, samples, _suite.results.verdicts, baseline)
    changed = changes(points)
    return Lines(points, changed, failures(_suite.facts, rows), series(points, changed))
