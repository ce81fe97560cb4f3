"""What the History page reads from the index: the runs of one suite on one machine, and the rows of one gate in one mode."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.loading import Store
from gatebench.analyze.history import MEASURED, changes, failures, history, series
from gatebench.errors import StoreError
from gatebench.query.questions import Questions
from gatebench.report.history import environments_of, version_facts
from gatebench.store.read import read_run

_NAMED = "gate IS NOT NULL AND mode IS NOT NULL AND implementation IS NOT NULL"  # an imported file may name none


@dataclass(frozen=True)
class SuiteRuns:
    """Runs of a suite on one machine: facts (a row per run), the gates, modes and implementations measured, environments.

    controls: (run_id, case_id) of what an A/B measured to check itself. problems: runs left out, a line each.
    """

    key: tuple  # changes with what is read
    facts: pd.DataFrame
    measured: pd.DataFrame
    controls: frozenset[tuple[str, str]]
    environments: list[dict[str, Any]]
    problems: list[str]


@dataclass(frozen=True)
class Lines:
    """The history of one gate in one mode: points, changes, failures, and a row per line (`series`)."""

    points: pd.DataFrame
    changed: pd.DataFrame
    failed: pd.DataFrame
    series: pd.DataFrame


def runs_with_history(store: Store) -> pd.DataFrame:
    """Return the rows of Store.runs that belong to a suite and measured a gate in a mode, well or not.

    Without calibrations: both sides of theirs are the same code.
    """
    measured = _measured_runs(store.questions.index.state, store.questions)
    runs = store.runs
    return runs[
        runs["suite"].notna() & ~runs["unreadable"] & (runs["purpose"] != "calibrate") & runs["run_id"].isin(measured)
    ]


def read_suite(store: Store, runs: pd.DataFrame) -> SuiteRuns | None:
    """Return what is known of these runs (of `runs_with_history`) of one suite; None where none of them can be read."""
    runs = runs.sort_values("run_id")
    return _read_suite(store.questions.index.state, tuple(runs["run_id"]), runs, store.questions)


def read_lines(store: Store, suite: SuiteRuns, gate: str, mode: str, baseline: str | None) -> Lines:
    """Return the history of one gate in one mode; baseline: what times are divided by, None for native or eager."""
    return _read_lines(suite.key, gate, mode, baseline, suite, store.questions)


@st.cache_resource(show_spinner=False, max_entries=2)
def _measured_runs(state: str, _questions: Questions) -> frozenset[str]:
    return frozenset(_questions.frame(f"SELECT DISTINCT run_id FROM measurements WHERE {_NAMED}")["run_id"])


@st.cache_resource(show_spinner="Reading the suite's runs …", max_entries=6)
def _read_suite(state: str, run_ids: tuple[str, ...], _runs: pd.DataFrame, _questions: Questions) -> SuiteRuns | None:
    plans, problems = {}, []
    for run in _runs[_runs["purpose"] == "ab"].itertuples():
        try:
            plans[run.run_id] = read_run(Path(str(run.path))).plan()
        except StoreError as error:
            problems.append(str(error))
    runs = _runs[(_runs["purpose"] != "ab") | _runs["run_id"].isin(set(plans))]
    kept = list(runs["run_id"])
    sql = (
        f"SELECT DISTINCT gate, mode, implementation FROM measurements WHERE run_id IN (SELECT unnest(?)) AND {_NAMED}"
    )
    measured = _questions.frame(sql, [kept])
    if measured.empty:
        return None
    plugins = _plugins(_questions, kept)
    # No git here: commits are ordered by when they were measured.
    facts = pd.DataFrame([_facts(run, plugins.get(run["run_id"], []), plans.get(run["run_id"], {})) for run in runs.to_dict("records")])  # fmt: skip
    controls = frozenset((run_id, case) for run_id, plan in plans.items() for case in plan["controls"])
    return SuiteRuns((state, *run_ids), facts, measured, controls, _environments(_questions, runs), problems)


def _facts(run: Mapping[str, Any], plugins: list[Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    git = {"sha": run["git_sha"], "dirty": run["git_dirty"]}
    about = {"created_utc": run["created_utc"], "git": git, "environment_class": run["place"], "plugins": plugins}  # fmt: skip
    return version_facts(run["run_id"], about, plan)


def _plugins(questions: Questions, run_ids: list[str]) -> dict[str, list[Any]]:
    """Return what the manifests of those of these runs that had plugins say of them."""
    found = questions.from_manifests("plugins", run_ids)
    return {row.run_id: json.loads(row.value) for row in found.itertuples() if isinstance(row.value, str)}


def _environments(questions: Questions, runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the environment classes, oldest first; of each only the first run's manifest is read."""
    counts = runs["place"].value_counts()
    first = runs.drop_duplicates("place")
    return environments_of(
        (row.run_id, json.loads(questions.manifest(str(row.run_id))), int(counts[row.place])) for row in first.itertuples()
    )  # fmt: skip


@st.cache_resource(show_spinner="Looking for changes …", max_entries=12)
def _read_lines(
    key: tuple, gate: str, mode: str, baseline: str | None, _suite: SuiteRuns, _questions: Questions
) -> Lines:
    # All implementations: what times are divided by is one of them.
    chosen = "SELECT {} FROM measurements WHERE run_id IN (SELECT unnest(?)) AND gate = ? AND mode = ?"
    asked = [list(_suite.facts["run_id"]), gate, mode]
    rows = _questions.frame(chosen.format(", ".join(MEASURED)), asked)
    if _suite.controls:
        keys = zip(rows["run_id"], rows["case_id"], strict=True)
        rows = rows.loc[[key not in _suite.controls for key in keys]]
    blocks, verdicts = (
        _questions.frame(f"SELECT {table}.* FROM {table} SEMI JOIN ({chosen.format('run_id, case_id')}) USING (run_id, case_id)", asked)
        for table in ("blocks", "verdicts")
    )  # fmt: skip
    points = history(_suite.facts, rows, blocks, verdicts, baseline)
    changed = changes(points)
    return Lines(points, changed, failures(_suite.facts, rows), series(points, changed))
