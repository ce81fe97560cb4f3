"""Reading the store for pages: through its index, cached by what is in it, so that a store that grew or changed is read anew."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from gatebench.errors import StoreError
from gatebench.query.index import Index, discard_index, is_indexed, stamp, update_index
from gatebench.query.questions import Questions
from gatebench.report.runs import labelled
from gatebench.store.read import FOLDERS, load, read_run

# Pages go through small frames value by value: out of Arrow each takes much longer.
pd.set_option("mode.string_storage", "python")
_WORTH_A_BAR = 100  # new runs
# A new or deleted folder is seen at once; each file of all folders is looked at after so many seconds, not for each click, and
# seldom enough to take a five-hundredth of the time: one look takes half a second for 10,000 folders.
_LOOK_AGAIN_S, _AT_LAST_S = 5.0, 60.0
_LOOKING_SHARE = 0.002


@dataclass(frozen=True)
class Store:
    """What pages share: runs (newest first: label, machine, path, counts), what can be asked, what is broken."""

    runs: pd.DataFrame
    questions: Questions
    problems: list[str]

    def rows(self, table: str, run_id: str) -> pd.DataFrame:
        """Return the rows of one run in measurements, accuracy, stability, verdicts or blocks; pages read them only."""
        return _rows(self.questions.index.state, table, run_id, self.questions)

    def newest_rows(self, run_ids: tuple[str, ...]) -> pd.DataFrame:
        """Return the measurements of the newest of these runs that holds each case, all its sides."""
        return _newest_rows(self.questions.index.state, run_ids, self.questions)

    def last_outcomes(self, run: Any) -> pd.DataFrame:
        """Return each case and side of earlier runs of a run's machine and harness, as the last of them had it.

        run: a row of `runs`. Columns: case_id, side, run_id, status, gate, implementation.
        """
        return _last_outcomes(self.questions.index.state, run.run_id, run.place, run.harness, self.questions)


def store_path(arguments: Sequence[str] | None = None) -> Path:
    """Return the store: --store among the script's arguments, the command line's unless given; else GATEBENCH_STORE, else results."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--store")
    given = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)[0].store
    return Path(given or os.environ.get("GATEBENCH_STORE") or "results")


def open_ahead(path: Path) -> Store | None:
    """Open a store before a page asks for it; None where its index has to be built: the page itself shows how far that is."""
    return _open_store(path) if is_indexed(path) else None


def open_store() -> Store:
    """Return the store as it is now; raises StoreError where there is no such folder, or no place for its index."""
    return _open_store(store_path())


def _open_store(path: Path) -> Store:
    looks = _looks_at(str(path))
    if time.monotonic() >= looks.again_at:
        looks.count, looks.again_at = looks.count + 1, time.monotonic() + _LOOK_AGAIN_S
    index = _index(str(path), tuple(_listed(path / name) for name in FOLDERS), looks.count, looks)
    return _open(index.state, str(path), index)


def look_anew(rebuild: bool) -> None:
    """Let the next `open_store` look at every file again; rebuild: and make its index anew."""
    if rebuild:
        discard_index(store_path())
    _looks_at(str(store_path())).again_at = 0.0


def _listed(folder: Path) -> int:
    """Return a number that changes when a run comes to a folder or goes; 0 for a folder that is not there."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def table(run_path: str, name: str, told: bool = True) -> pd.DataFrame:
    """Read one table of one run's own file; what cannot be read comes back empty and, unless `told` is off, said on the page."""
    frame, problems = _read_table(run_path, name, stamp(Path(run_path)))
    for problem in problems if told else ():
        st.warning(problem, icon=":material/broken_image:")
    return frame


def gates(run_path: str) -> Any:
    """Return a run's gates.json; None where it cannot be read, which the page says."""
    try:
        return read_run(Path(run_path)).gates()
    except StoreError as error:
        st.warning(str(error), icon=":material/broken_image:")
        return None


def manifest(run_path: str) -> dict[str, Any] | None:
    """Return a run's manifest; None where it cannot be read any more, which the page says."""
    try:
        return dict(read_run(Path(run_path)).manifest)
    except StoreError as error:
        st.warning(str(error), icon=":material/broken_image:")
        return None


def gates_of_runs(store: Store) -> pd.DataFrame:
    """Return which run holds what of which gate: run_id, gate, measured (it has cases), half_lives (of its gradients)."""
    return _gates_of_runs(store.questions.index.state, store.questions)


def looks_at_gradients(store: Store, gate: str, run_ids: tuple[str, ...]) -> pd.DataFrame:
    """Return what came of looking at a gate's gradients in these runs, newest first: run_id, status, reason, plain, layers.

    plain: without a choice of init, inputs, task or options; layers: norms through a stack were measured.
    """
    return _looks_at_gradients(store.questions.index.state, gate, run_ids, store.questions)


def stability_asked(store: Store, run_id: str) -> list[dict[str, Any]]:
    """Return the [stability] parts that a run was asked for, keys as in a suite; none where its manifest holds none."""
    request = json.loads(store.questions.manifest(run_id)).get("request")
    parts = request.get("stability") if isinstance(request, dict) else None
    return [part for part in parts or [] if isinstance(part, dict)]


@dataclass
class _Looks:
    """How often the files of a store were looked at, and when that is due again, by the monotonic clock. Mutable."""

    count: int = 0
    again_at: float = 0.0


@st.cache_resource(show_spinner=False, max_entries=2)
def _looks_at(path: str) -> _Looks:
    return _Looks()


@st.cache_resource(show_spinner=False, max_entries=2)
def _index(path: str, listed: tuple[int, ...], look: int, _looks: _Looks) -> Index:
    began, bars = time.monotonic(), []

    def show(done: int, total: int) -> None:
        if total > _WORTH_A_BAR:
            bars[:] = bars or [st.empty()]
            bars[0].progress(done / total, f"Reading {total} new runs: {done} done")

    try:
        found = update_index(Path(path), show)
    finally:
        for bar in bars:
            bar.empty()
    now = time.monotonic()
    _looks.again_at = now + min(_AT_LAST_S, max(_LOOK_AGAIN_S, (now - began) / _LOOKING_SHARE))
    return found


# cache_resource, not cache_data: pages only read these frames, and copying a large store for each click takes seconds.
@st.cache_resource(show_spinner=False, max_entries=2)
def _open(state: str, path: str, _index: Index) -> Store:
    questions = Questions(_index)
    runs = labelled(questions.frame("SELECT * FROM runs"))
    root = Path(path)
    runs["path"] = [str(root / name) for name in runs["path"]]
    return Store(runs, questions, list(_index.problems))


@st.cache_resource(show_spinner=False, max_entries=12)
def _rows(state: str, table: str, run_id: str, _questions: Questions) -> pd.DataFrame:
    return _questions.frame(f"SELECT * FROM {table} WHERE run_id = ?", [run_id])


@st.cache_resource(show_spinner=False, max_entries=6)
def _newest_rows(state: str, run_ids: tuple[str, ...], _questions: Questions) -> pd.DataFrame:
    sql = """
        SELECT * FROM measurements WHERE (case_id, run_id) IN (
            SELECT case_id, max(run_id) FROM measurements WHERE run_id IN (SELECT unnest(?)) GROUP BY case_id
        )
    """
    return _questions.frame(sql, [list(run_ids)])


@st.cache_resource(show_spinner=False, max_entries=12)
def _last_outcomes(state: str, run_id: str, place: str, harness: str, _questions: Questions) -> pd.DataFrame:
    sql = """
        SELECT case_id, side, max(run_id) AS run_id, arg_max(measurements.status, run_id) AS status,
               any_value(gate) AS gate, any_value(implementation) AS implementation
        FROM measurements JOIN runs USING (run_id)
        WHERE place = ? AND runs.harness = ? AND run_id < ?
        GROUP BY case_id, side
    """
    return _questions.frame(sql, [place, harness, run_id])


@st.cache_resource(show_spinner=False, max_entries=2)
def _gates_of_runs(state: str, _questions: Questions) -> pd.DataFrame:
    sql = """
        SELECT run_id, gate, bool_or(measured) AS measured, bool_or(half_lives) AS half_lives FROM (
            SELECT run_id, gate, true AS measured, false AS half_lives FROM measurements
            UNION ALL SELECT run_id, gate, false, metric = 'half_life' AND value IS NOT NULL FROM stability
        ) WHERE gate IS NOT NULL GROUP BY run_id, gate
    """
    return _questions.frame(sql)


@st.cache_resource(show_spinner=False, max_entries=6)
def _looks_at_gradients(state: str, gate: str, run_ids: tuple[str, ...], _questions: Questions) -> pd.DataFrame:
    sql = """
        SELECT run_id, status, reason,
               bool_or(init = 'torch' AND inputs = 'normal' AND task IS NULL AND options = '{}') AS plain,
               bool_or(metric = 'log_depth_gradient_norm' AND value IS NOT NULL) AS layers
        FROM stability WHERE gate = ? AND run_id IN (SELECT unnest(?))
        GROUP BY run_id, status, reason ORDER BY run_id DESC, reason
    """
    found = _questions.frame(sql, [gate, list(run_ids)])
    return found.astype({"plain": bool, "layers": bool})


@st.cache_resource(show_spinner="Reading the run …", max_entries=12)
def _read_table(run_path: str, name: str, seen: str) -> tuple[pd.DataFrame, list[str]]:
    try:
        results = load(run_path)
        return getattr(results, name), results.problems
    except StoreError as error:
        return pd.DataFrame(), [str(error)]
