"""Reading the store for pages: cached by what is in it, so that a store that grew or changed is read anew."""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from gatebench.errors import StoreError
from gatebench.report.runs import machine_labels, run_table
from gatebench.store.read import load, read_run, run_folders

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Store:
    """What pages share: runs (newest first: label, machine, path, counts), all measurements, what is broken."""

    runs: pd.DataFrame
    measurements: pd.DataFrame
    problems: list[str]


def store_path() -> Path:
    """Return the store: --store after `--` on the command line, else GATEBENCH_STORE, else results."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--store")
    given = parser.parse_known_args(sys.argv[1:])[0].store
    return Path(given or os.environ.get("GATEBENCH_STORE") or "results")


def open_store() -> Store:
    """Read runs and measurements of the store; raises StoreError where there is no such folder."""
    path = store_path()
    fingerprint = tuple(entry for folder in run_folders(path) for entry in _fingerprint(folder))
    return _read_store(str(path), fingerprint)


def table(run_path: str, name: str) -> pd.DataFrame:
    """Read one table of one run; what cannot be read comes back empty, and said on the page."""
    frame, problems = _read_table(run_path, name, _fingerprint(Path(run_path)))
    for problem in problems:
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


def stability_asked(run_path: str) -> list[dict[str, Any]]:
    """Return the [stability] parts that a run was asked for, keys as in a suite; none where its manifest holds none."""
    try:
        request = read_run(Path(run_path)).manifest.get("request")
    except StoreError:
        return []
    parts = request.get("stability") if isinstance(request, dict) else None
    return [part for part in parts or [] if isinstance(part, dict)]


def _fingerprint(folder: Path) -> Fingerprint:
    """Return (path, mtime, size) of a run folder's files; a folder that just went away has none."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        return tuple((entry.path, entry.stat().st_mtime_ns, entry.stat().st_size) for entry in entries)
    except OSError:
        return ()


# cache_resource, not cache_data: pages only read these frames, and copying a large store for each click takes seconds.
@st.cache_resource(show_spinner="Reading the store …", max_entries=2)
def _read_store(path: str, fingerprint: Fingerprint) -> Store:
    results = load(path)
    measurements = results.measurements
    runs = run_table(results.runs, measurements)
    found = {run.run_id: run for run in results.folders}
    runs["machine"] = machine_labels(runs)
    runs["path"] = [str(found[run_id].path) for run_id in runs["run_id"]]
    files = [found[run_id].manifest["files"] for run_id in runs["run_id"]]
    # Readable as a folder, and not as a table: no count of such a run says anything.
    runs["unreadable"] = [
        _rows(entry, "measurements.parquet") > 0 and cases == 0
        for entry, cases in zip(files, runs["cases"], strict=True)
    ]
    runs["stability_rows"] = [_rows(entry, "stability.parquet") for entry in files]
    return Store(runs, measurements, results.problems)


def _rows(files: dict, name: str) -> int:
    entry = files.get(name)
    return int(entry.get("rows") or 0) if isinstance(entry, dict) else 0


@st.cache_resource(show_spinner="Reading the run …", max_entries=12)
def _read_table(run_path: str, name: str, fingerprint: Fingerprint) -> tuple[pd.DataFrame, list[str]]:
    try:
        results = load(run_path)
        return getattr(results, name), results.problems
    except StoreError as error:
        return pd.DataFrame(), [str(error)]
