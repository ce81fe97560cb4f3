"""What Overview asks the index: the newest measurement of each case, how old it is, the newest runs, the last A/Bs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.loading import Store
from gatebench.analyze.blocks import INCONCLUSIVE_ABOVE
from gatebench.analyze.two_runs import changes
from gatebench.analyze.verdicts import JUDGED, controls, summary
from gatebench.cases import COMMAND_LINE_SUITE
from gatebench.errors import StoreError
from gatebench.query.content import BLOCKS_SCHEMA
from gatebench.query.questions import Questions
from gatebench.report.runs import news
from gatebench.store.read import read_run
from gatebench.store.schema import FAILURES

STALE_DAYS = 30  # the newest measurement of a gate by an implementation is stale from then on
MOST_PAIRS = 20  # of runs that are compared with the ones before them, the newest first
MOST_ASKED = 5  # runs without a suite that are listed
MOST_ABS = 10  # A/B runs whose verdicts are read, the newest first
_NO_BLOCKS = BLOCKS_SCHEMA.empty_table().to_pandas()
_ALIKE = ["place", "suite", "harness", "purpose"]  # of runs that do the same on the same machine

# Rows that say something of somebody's code: no base of an A/B, and none of its own controls (gatebench.run.ab.controls).
_CODE = "side IS DISTINCT FROM 'base' AND gate IS NOT NULL AND implementation IS NOT NULL AND implementation <> 'gatebench:control'"
# The newest run that measured each case on each machine; of two versions the head counts.
_NEWEST = f"""
    WITH placed AS (SELECT run_id, place, purpose FROM runs),
    newest AS (
        SELECT place, purpose, case_id, run_id FROM (
            SELECT place, case_id, max(run_id) AS run_id
            FROM measurements JOIN placed USING (run_id)
            WHERE {_CODE} GROUP BY ALL
        ) JOIN placed USING (run_id, place)
    )
"""
_FAILED = f"""
    {_NEWEST}
    SELECT place, status, implementation, coalesce(nullif(reason, ''), 'no reason given') AS reason, gate, dtype,
           count(*) AS cases, max(run_id) AS run_id, string_agg(DISTINCT mode, ', ' ORDER BY mode) AS modes
    FROM measurements JOIN newest USING (run_id, case_id)
    WHERE side IS DISTINCT FROM 'base' AND status IN (SELECT unnest(?)) GROUP BY ALL
    ORDER BY cases DESC, place, gate, implementation, dtype, reason
"""
_DISTURBED = f"""
    {_NEWEST}
    SELECT place, run_id, count(*) AS timed, count(*) FILTER (share > ?) AS disturbed FROM (
        SELECT place, run_id, case_id, sum(disturbed) / sum(measured) AS share
        FROM blocks JOIN newest USING (run_id, case_id) WHERE purpose <> 'ab' AND side IS DISTINCT FROM 'base' GROUP BY ALL
    ) GROUP BY ALL ORDER BY disturbed DESC, run_id DESC
"""
_PAIRS = f"""
    SELECT place, gate, implementation, max(run_id) AS run_id,
           count(DISTINCT case_id) AS cases, bool_or(purpose = 'run' AND git_sha IS NOT DISTINCT FROM ?) AS at_newest
    FROM measurements JOIN (SELECT run_id, place, git_sha, purpose FROM runs) USING (run_id)
    WHERE {_CODE}
          AND status NOT IN ('unsupported', 'unavailable') GROUP BY ALL
    ORDER BY run_id, gate, implementation
"""


@dataclass(frozen=True)
class Ab:
    """An A/B run: its row of Store.runs, its verdicts without those of controls, and what they sum up to.

    found: analyze.verdicts.summary. unfit: what is wrong with the controls. sides: base and head as the plan names them.
    problem: why there is no plan; then nothing is known of the rest.
    """

    run: Any
    verdicts: pd.DataFrame
    found: Mapping[str, Any] = field(default_factory=dict)
    unfit: tuple[str, ...] = ()
    sides: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def listed_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `newest_runs`, and the newest of those that were asked for without a suite: each of them asks something else."""
    asked = runs["suite"] == COMMAND_LINE_SUITE
    return runs[~runs.duplicated([*_ALIKE, "folder"]) | (asked & (asked.cumsum() <= MOST_ASKED))]


def newest_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the newest run of each machine, suite, harness and purpose, committed ones apart; runs: newest first."""
    return runs.drop_duplicates([*_ALIKE, "folder"])


def failed_cases(store: Store, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the cases whose newest measurement on a machine is wrong or failed, alike ones in one row.

    Columns: machine, status, implementation, reason, gate, dtype, modes, cases (how many), run_id (the newest), date.
    """
    return _of_machines(_failed(store.questions.index.state, store.questions), runs)


def disturbed_cases(store: Store, runs: pd.DataFrame) -> pd.DataFrame:
    """Return per run how many cases it is the newest to have timed, and of how many others disturbed over a fifth of the samples.

    Columns: machine, run_id, timed, disturbed. A/B runs are left out: their verdicts say what could not be decided.
    """
    return _of_machines(_disturbed(store.questions.index.state, store.questions), runs)


def pairs(store: Store, runs: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Return when each gate was measured last by each implementation on each machine, the oldest first.

    Columns: machine, gate, implementation, cases, run_id, date, git_sha, days (whole ones until now), stale, at_newest
    (whether any ordinary run of the machine measured it at `newest_commit`).
    """
    found = _of_machines(_pairs(store.questions.index.state, newest_commit(runs), store.questions), runs)
    created = pd.to_datetime(found["created_utc"], utc=True, format="ISO8601", errors="coerce")
    days = (pd.Timestamp(now) - created).dt.days.clip(lower=0)
    return found.assign(days=days, stale=days >= STALE_DAYS)


def newest_commit(runs: pd.DataFrame) -> str | None:
    """Return the commit of the newest ordinary run that tells it; runs: newest first.

    An A/B says nothing of it: its head is any revision that somebody named, an old release too, and where the head is the
    working tree, that is of a change that is still being judged.
    """
    told = runs.loc[(runs["purpose"] == "run") & runs["git_sha"].notna(), "git_sha"]
    return str(told.iloc[0]) if len(told) else None


def longer_than_before(store: Store, runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row per newest run that shares timed cases with the one before it of its machine, suite and harness: what took longer.

    Columns: run_id, before, machine, suite, label, label_before, compared (cases with a time in both), slower, faster (how
    many have a 95 % interval above 0, below 0), median (change of those cases); the cases that others disturbed count in
    `compared` only. compared_once, slower_once: without cases that a newer row of the same machine and harness compares.
    No verdict: two jobs differ by more than two versions do.
    """
    measured = runs[(runs["purpose"] == "run") & (runs["timed"] > 0)]
    lines = [line for _, line in measured.groupby(_ALIKE, sort=False, dropna=False) if len(line) > 1][:MOST_PAIRS]
    compared = [(line.iloc[0], line.iloc[1]) for line in lines]
    counts = _changed(
        store.questions.index.state,
        tuple((new["run_id"], old["run_id"], _place(new)) for new, old in compared),
        store.questions,
    )
    described = [
        (new["run_id"], old["run_id"], new["machine"], new["suite"], new["label"], old["label"])
        for new, old in compared
    ]
    names = [
        "run_id", "before", "machine", "suite", "label", "label_before", "compared", "slower", "faster", "median",
        "compared_once", "slower_once",
    ]  # fmt: skip
    rows = [(*about, *found) for about, found in zip(described, counts, strict=True)]
    table = pd.DataFrame(rows, columns=pd.Index(names))
    return table[table["compared"] > 0]


def judged_once(abs_: list[Ab], verdict: str) -> list[int]:
    """Return of each A/B how many cases have this verdict in any quantity; those that a newer one judged count there only.

    abs_: the newest first. Cases are told apart by machine and harness, not by suite: two suites may hold the same case.
    """
    seen: set[tuple[str, str]] = set()
    counts = []
    for ab in abs_:
        place = _place(ab.run._asdict())
        judged = {(place, str(case)) for case in ab.verdicts["case_id"]}
        found = {(place, str(case)) for case in ab.verdicts.loc[ab.verdicts["verdict"] == verdict, "case_id"]}
        counts.append(len(found - seen))
        seen |= judged
    return counts


def last_abs(store: Store, runs: pd.DataFrame) -> list[Ab]:
    """Return the newest A/B run of each machine and suite, the newest first."""
    newest = newest_runs(runs[runs["purpose"] == "ab"]).head(MOST_ABS)
    return [_ab(store, run) for run in newest.itertuples()]


def what_is_new(store: Store, run: Any) -> list[str]:
    """Return what a run (a row of Store.runs) holds that no earlier one of its machine held, a sentence each."""
    return _news(store.questions.index.state, run.run_id, store, run)


def _place(run: Mapping[Any, Any] | pd.Series) -> str:
    """Return what two runs share whose cases are the same: machine and harness."""
    return f"{run['place']} {run['harness']}"


def _ab(store: Store, run: Any) -> Ab:
    found = store.rows("verdicts", run.run_id)
    try:
        plan = read_run(Path(run.path)).plan()
    except StoreError as error:
        return Ab(run, found.iloc[:0], problem=str(error))
    if found.empty:
        return Ab(run, found, problem=f"run {run.run_id}: its verdicts cannot be read, or it was cut before it had any")
    judged = found[~found["case_id"].isin(list(plan["controls"]))]
    judged = judged.assign(decided=judged["verdict"].isin(JUDGED))
    return Ab(run, judged, summary(found, plan), tuple(controls(plan, found)), plan["sides"])


def _of_machines(found: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose machine is one of those of `runs`, with what is known of their run."""
    known = runs[["run_id", "machine", "label", "date", "created_utc", "git_sha", "git_dirty"]]
    here = found[found["place"].isin(set(runs["place"]))]
    return here.merge(known, on="run_id").drop(columns="place")


@st.cache_resource(show_spinner=False, max_entries=2)
def _failed(state: str, _questions: Questions) -> pd.DataFrame:
    return _questions.frame(_FAILED, [list(FAILURES)])


@st.cache_resource(show_spinner=False, max_entries=2)
def _disturbed(state: str, _questions: Questions) -> pd.DataFrame:
    return _questions.frame(_DISTURBED, [INCONCLUSIVE_ABOVE])


@st.cache_resource(show_spinner=False, max_entries=2)
def _pairs(state: str, commit: str | None, _questions: Questions) -> pd.DataFrame:
    return _questions.frame(_PAIRS, [commit])


@st.cache_resource(show_spinner=False, max_entries=24)
def _news(state: str, run_id: str, _store: Store, _run: Any) -> list[str]:
    return news(_store.runs, pd.concat([_store.last_outcomes(_run), _store.rows("measurements", run_id)]), run_id)


@st.cache_resource(show_spinner=False, max_entries=12)
def _changed(
    state: str, compared: tuple[tuple[str, str, str], ...], _questions: Questions
) -> list[tuple[int, int, int, float, int, int]]:
    """Return for each (run, the one before, where) how many cases both timed, took longer and less long, the median change.

    Then how many cases, and longer ones, are in no earlier entry of the same place.
    """
    ids = [run for new, old, _ in compared for run in (new, old)]
    tables = [
        dict(iter(_questions.frame(f"SELECT * FROM {table} WHERE run_id IN (SELECT unnest(?))", [ids]).groupby("run_id")))
        for table in ("measurements", "blocks")
    ]  # fmt: skip
    counts, seen = [], {place: set() for _, _, place in compared}
    for new, old, place in compared:
        # A run whose samples cannot be read has times and no blocks.
        before, after = ((tables[0][run], tables[1].get(run, _NO_BLOCKS)) for run in (old, new))
        found = changes(before, after)
        told = found[found["change"].notna() & ~found["change_inconclusive"]]
        slower, faster = (told["change_low"] > 0).sum(), (told["change_high"] < 0).sum()
        timed, longer = (
            set(rows["case_id"]) for rows in (found[found["change"].notna()], told[told["change_low"] > 0])
        )
        once = len(timed - seen[place]), len(longer - seen[place])
        seen[place] |= timed
        median = float(told["change"].median())
        counts.append((int(found["change"].notna().sum()), int(slower), int(faster), median, *once))
    return counts
