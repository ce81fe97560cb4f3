"""Overview: the newest runs by machine, what failed and why, what is new."""

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import Filters
from dashboard.loading import Store
from gatebench.report.runs import failures, news
from gatebench.store.read import WORKER
from gatebench.store.schema import FAILURES


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar for machines, then show tiles, news, failures and runs."""
    machines = filters.many("machine", "Machines", list(dict.fromkeys(store.runs["machine"])))
    runs = store.runs[store.runs["machine"].isin(machines)]
    newest = runs.drop_duplicates("machine")
    elements.header("Overview", filters.notes)
    tiles(runs, newest)
    what_is_new(store, newest)
    what_failed(store, newest)
    every_run(runs)
    command = f"gatebench compare {newest['run_id'].iloc[0]}{elements.store_option()}"
    elements.ways_out(command, runs.drop(columns=["path", "run_key"]), "runs", filters)


def tiles(runs: pd.DataFrame, newest: pd.DataFrame) -> None:
    """Count what is in the store, and what failed in the newest run of each machine."""
    bad = int(newest[list(FAILURES)].to_numpy().sum()) if not newest["unreadable"].any() else "unknown"
    columns = st.columns(4)
    columns[0].metric("Runs", len(runs))
    columns[1].metric("Machines", len(newest))
    cases = int(newest["cases"].sum()) if not newest["unreadable"].any() else "unknown"
    columns[2].metric("Newest cases", cases, help="cases in the newest run of each machine")
    columns[3].metric("Wrong or failed", bad, help="of the newest cases: wrong, failed, timed out, out of memory")


def what_is_new(store: Store, newest: pd.DataFrame) -> None:
    """Say per machine what its newest run holds that no earlier one held."""
    st.subheader("What is new", anchor=False)
    for run in newest.itertuples():
        found = news(
            store.runs, pd.concat([store.last_outcomes(run), store.rows("measurements", run.run_id)]), run.run_id
        )
        lines = "\n".join(f"- {elements.plain(line)}" for line in found or ["Nothing new since the run before."])
        st.markdown(f"**{elements.plain(run.machine)}**, {elements.plain(run.label)}\n{lines}")


def what_failed(store: Store, newest: pd.DataFrame) -> None:
    """List the failures of the newest runs with their reasons, by machine; say so where there are none."""
    st.subheader("Failures in the newest runs", anchor=False)
    for run in newest.itertuples():
        table = failures(store.rows("measurements", run.run_id))
        st.markdown(f"**{elements.plain(run.machine)}**, {elements.plain(run.label)}")
        if run.unreadable:
            st.markdown("Unknown: the run's measurements cannot be read.")
            continue
        if not run.cases:
            st.markdown("None: nothing was timed; the page Stability shows the run.")
            continue
        if table.empty:
            st.markdown("None: every case that could run here ran, and its results are right.")
            continue
        table["status"] = table["status"].str.replace("_", " ")
        elements.wrapped(table[["status", "implementation", "reason", "cases", "gates", "modes", "dtypes"]])
    st.caption("Cases that an implementation never supports, or not on this machine, count as no failure.")


def every_run(runs: pd.DataFrame) -> None:
    """List the runs, newest first, by machine, with their counts."""
    st.subheader("Runs", anchor=False)
    for machine in dict.fromkeys(runs["machine"]):
        rows = runs[runs["machine"] == machine]
        st.markdown(f"**{elements.plain(machine)}**")
        shown = pd.DataFrame(
            {
                "date (UTC)": rows["date"],
                "suite": rows["suite"],
                "status": rows["status"].mask(rows["unreadable"], "unreadable"),
                "cases": rows["cases"],
                "ok": rows["ok"],
                "wrong": rows["wrong"],
                "failed": rows[["failed", "timeout", "out_of_memory"]].sum(axis=1),
                "not here": rows[["unsupported", "unavailable"]].sum(axis=1),
                "run": rows["run_id"],
            }
        )
        if (runs["folder"] == "reference").any():
            shown.insert(1, "kind", rows["folder"].map({"reference": "reference"}).fillna("own"))
        if (runs["harness"] != WORKER).any():
            shown.insert(1, "harness", rows["harness"])
        elements.wrapped(shown)
    st.caption("failed: also timed out and out of memory. not here: unsupported, or unavailable on this machine.")
