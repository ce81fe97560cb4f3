"""Run: what exactly happened in one run: facts, raw samples, environment beside another run's, plugins, suite, files."""

import json
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import elements, loading
from dashboard.filters import Filters
from dashboard.loading import Store
from dashboard.raw_samples import show_samples
from dashboard.slices import choose_run
from gatebench.errors import StoreError
from gatebench.report.run_facts import (
    DECIDES,
    environment_differences,
    environment_table,
    file_table,
    gradients_only,
    part,
    plugins,
    run_facts,
    stored_rows,
    suite_text,
)
from gatebench.store.exchange import csv_text
from gatebench.store.read import read_run
from gatebench.store.schema import TABLES
from gatebench.words import counted

LONGEST_CODE = 100_000  # letters of a text that a page shows; the downloads have all of it


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar for a run, then show everything that its folder holds."""
    run = choose_run(filters, store.runs)
    elements.header("Run", filters.notes)
    st.caption(elements.plain(f"{run['label']} · {run['machine']}"))
    manifest = loading.manifest(run["path"])
    if manifest is None:
        return
    stability = store.rows("stability", run["run_id"])
    show_facts(run, manifest, stability)
    shown = show_raw(run, manifest, filters)
    show_environment(store, run, manifest, filters)
    show_texts(manifest)
    show_files(run, manifest)
    name, rows = "samples", shown
    if rows is None:
        name, rows = "measurements", store.rows("measurements", run["run_id"])
    if rows.empty:
        name, rows = "stability", stability
    elements.ways_out(command(run), rows, name, filters)


def show_facts(run: pd.Series, manifest: dict[str, Any], stability: pd.DataFrame) -> None:
    """Show what the manifest says, and how many cases came to what."""
    rows = [*run_facts(manifest), ("outcome", _outcome(run, stability))]
    elements.wrapped(pd.DataFrame(rows, columns=pd.Index(["what", "value"])))


def _outcome(run: pd.Series, stability: pd.DataFrame) -> str:
    """Return how many rows there are of cases and of gradients, each with what they came to."""
    told = []
    if run["unreadable"]:
        told.append("cases that cannot be read")
    elif run["cases"]:
        counts = [
            f"{run[name]} {name.replace('_', ' ')}"
            for name in ("ok", "wrong", "failed", "timeout", "out_of_memory", "unsupported", "unavailable")
            if run[name]
        ]
        told.append(", ".join([f"{run['cases']} rows", *counts]))
    if run["stability_rows"] and stability.empty:
        told.append("gradients that cannot be read")
    elif len(stability):
        counts = [f"{n} {str(status).replace('_', ' ')}" for status, n in stability["status"].value_counts().items()]
        told.append(", ".join([f"{counted(len(stability), 'row')} of gradients", *counts]))
    return "; ".join(told) or "nothing was measured"


def show_raw(run: pd.Series, manifest: dict[str, Any], filters: Filters) -> pd.DataFrame | None:
    """Let the page choose a case, and show its raw samples; returns them, None where no case is chosen."""
    st.subheader("Raw samples", anchor=False)
    samples = loading.table(run["path"], "samples")
    timed = list(dict.fromkeys(samples.loc[samples["quantity"] == "time", "case_id"])) if len(samples) else []
    if not timed:
        lost = samples.empty and stored_rows(manifest, "samples") != 0
        nothing = f"Nothing was timed in this run{': it looked at gradients only' if gradients_only(manifest) else ''}."
        st.markdown("The samples of this run cannot be read." if lost else nothing)
        return None
    case = filters.pick("case", f"Case ({len(timed)} have samples)", sorted(timed))
    if case is None:
        st.caption("Choose a case to see its samples in the order they were measured.")
        return None
    show_samples(run, case)
    return samples[samples["case_id"] == case]


def show_environment(store: Store, run: pd.Series, manifest: dict[str, Any], filters: Filters) -> None:
    """Show in what this run's environment differs from another's, and all of it."""
    st.subheader("Environment", anchor=False)
    others = store.runs[store.runs["run_id"] != run["run_id"]]
    other = filters.pick("other_run", "Compare with run", list(others["run_id"]), dict(zip(others["run_id"], others["label"], strict=True)))  # fmt: skip
    if other is not None:
        path = others.loc[others["run_id"] == other, "path"].iloc[0]
        there = loading.manifest(path)
        if there is not None:
            _show_differences(environment_differences(manifest, there))
    with st.expander("All of this run's environment", expanded=other is None):
        elements.wrapped(environment_table(manifest))


def _show_differences(table: pd.DataFrame) -> None:
    if table.empty:
        st.markdown("The environments are the same in everything that was recorded.")
        return
    decisive = int((table["so"] == DECIDES).sum())
    if decisive:
        st.markdown(f"The environment classes differ by {decisive} of these facts: **{DECIDES}**.")
    else:
        st.markdown("The environment class is the same: times are comparable, though the environments differ in:")
    elements.wrapped(table if decisive else table.drop(columns="so"))


def show_texts(manifest: dict[str, Any]) -> None:
    """Show the suite, what was asked for, and the plugins, as code."""
    st.subheader("What was asked for", anchor=False)
    text = suite_text(manifest)
    if text:
        _code("Suite", text, "toml")
    else:
        st.markdown("The run had no suite file: the command line's options said what to measure.")
    request = part(manifest, "request")
    if request:
        _code("Request: the suite as it was read, with the options of the command line", json.dumps(request, indent=1, ensure_ascii=False), "json")  # fmt: skip
    found = plugins(manifest)
    if not found:
        st.markdown("No plugin was loaded.")
    for plugin in found:
        st.markdown(f"Plugin {elements.plain(plugin['name'])}: {elements.plain(plugin['source'])}")
        if plugin["text"]:
            _code("Its text", plugin["text"], "python")
        else:
            st.caption("Its text was not kept: it is a package, or larger than 64 KiB.")


def _code(title: str, text: str, language: str) -> None:
    with st.expander(title):
        st.code(text[:LONGEST_CODE], language=language)
        if len(text) > LONGEST_CODE:
            st.caption(f"The first {LONGEST_CODE:,} of {len(text):,} letters.")


def show_files(run: pd.Series, manifest: dict[str, Any]) -> None:
    """List the files with sizes and rows, and offer each table that has rows as CSV and as the file itself."""
    st.subheader("Files", anchor=False)
    folder = Path(run["path"])
    elements.wrapped(file_table(folder, manifest))
    there = [name for name in TABLES if stored_rows(manifest, name) != 0]
    for name, columns in zip(there, [st.columns([2, 1, 1]) for _ in there], strict=True):
        columns[0].markdown(name)
        # Callables: a file is read when it is asked for, not for each click on the page.
        columns[1].download_button(
            "CSV", partial(_csv, folder, name), f"{run['run_id']}-{name}.csv", "text/csv", key=f"csv_{name}",
            on_click="ignore", help=f"{name} as text, null as an empty cell",
        )  # fmt: skip
        columns[2].download_button(
            "Parquet", partial(_bytes, folder / f"{name}.parquet"), f"{run['run_id']}-{name}.parquet",
            "application/vnd.apache.parquet", key=f"parquet_{name}", on_click="ignore", help="the file itself",
        )  # fmt: skip


def _csv(folder: Path, table: str) -> str:
    """Return a table as CSV; where it cannot be read any more, why, for a download cannot fail in words otherwise."""
    try:
        return csv_text(read_run(folder), table)
    except StoreError as error:
        return f"{error}\n"


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return f"{path.name}: {error.strerror}\n".encode()


def command(run: pd.Series) -> str:
    """Return the command that prints this run."""
    return shlex.join(["gatebench", "compare", run["run_id"], "--long"]) + elements.store_option()
