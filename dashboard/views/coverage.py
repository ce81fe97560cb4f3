"""Coverage: what was measured of each gate by each implementation, what is not right and why, and how exact it is."""

import shlex

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import Filters, ordered
from dashboard.loading import Store
from dashboard.slices import DTYPES, MODES, command_of_run
from gatebench.report.coverage import (
    counts,
    coverage_cells,
    implementations,
    newest_cases,
    not_measured,
    nowhere_available,
    reasons,
)
from gatebench.report.figures.coverage import coverage_figure, tile_key
from gatebench.report.figures.errors import error_cells, error_figure
from gatebench.report.quantities import is_missing, significant
from gatebench.report.run_commands import run_commands

ALL_RUNS, ALL_MODES = "all runs", "all modes"
MOST_COMMANDS = 3
LONGEST_NAME = 160  # letters of a gate and an implementation in a line
TILE = "tile"  # the pick of a gate and an implementation


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar, then show the grid, the reasons, what is missing, and the errors of one gate."""
    cases, where = choose_cases(store, filters)
    rows, narrowing = choose_gate(filters, cases) if len(cases) else (cases, [])
    elements.header("Coverage", filters.notes)
    if cases.empty:
        elements.nothing("No run in this store has a measurement.", "gatebench run quick" + elements.store_option())
        return
    st.caption(elements.plain(where))
    show_grid(cases)
    show_tile(filters, cases)
    show_reasons(cases)
    show_missing(cases)
    show_cells(rows)
    show_errors(store, rows)
    elements.ways_out(command(store, rows, narrowing), rows, "coverage", filters)


def choose_cases(store: Store, filters: Filters) -> tuple[pd.DataFrame, str]:
    """Let the sidebar choose a machine and its runs; returns the newest row of each case with `date`, and words for it."""
    measured = store.runs[store.runs["cases"] > 0]
    if measured.empty:
        return pd.DataFrame(), ""
    machine = filters.one("on_machine", "Machine", list(dict.fromkeys(measured["machine"])))
    runs = measured[measured["machine"] == machine]
    words = dict(zip(runs["run_id"], runs["label"], strict=True))
    run_id = filters.one("of_run", "Run", [ALL_RUNS, *runs["run_id"]], words=words)
    if run_id == ALL_RUNS:
        where = f"{machine}: the newest measurement of each case, from {len(runs)} run{'s' if len(runs) > 1 else ''}"
    else:
        runs, where = runs[runs["run_id"] == run_id], f"{machine}: {words[run_id]}"
    cases = newest_cases(store.newest_rows(tuple(runs["run_id"])))
    return cases.assign(date=cases["run_id"].map(dict(zip(runs["run_id"], runs["date"], strict=True)))), where


def choose_gate(filters: Filters, cases: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Let the sidebar choose the gate, dtype, mode and implementations of the lower half; returns rows and options of `compare`."""
    rows = filters.slice(cases, "gate", "Gate", "gate", always=True)
    rows = filters.slice(rows, "dtype", "Dtype", "dtype", always=True, order=DTYPES)
    modes = sorted(set(rows["mode"].dropna()), key=MODES)
    mode = filters.one("errors_mode", "Mode", [ALL_MODES, *modes])
    rows = rows if mode == ALL_MODES else rows[rows["mode"] == mode]
    every = implementations(rows)
    kept = filters.many("implementation", "Implementations", every)
    first = rows.iloc[0]
    words = ["-g", first["gate"]] + ([] if is_missing(first["dtype"]) else ["-k", f"*/{first['dtype']}/*"])
    words += [] if mode == ALL_MODES else ["-m", mode]
    words += [word for name in kept for word in ("-i", name)] if len(kept) < len(every) else []
    return rows[rows["implementation"].isin(kept)], words


def show_grid(cases: pd.DataFrame) -> None:
    """Show gate x implementation."""
    cells = coverage_cells(cases)
    alt = "status of each gate by each implementation"
    elements.figure(coverage_figure(cells), "coverage", alt, (TILE, lambda point: point["customdata"][1]))
    st.caption(
        "The symbol is the worst status in a tile, the numbers are cases. Hatched: other implementations were measured in "
        "cases of this gate that this one was not. Of two versions, the head counts. Gates that no run in this store has "
        "measured are not listed; `gatebench list` shows all."
    )


def show_tile(filters: Filters, cases: pd.DataFrame) -> None:
    """Let a click on a tile or the box choose a gate and an implementation; show its cases, with reasons in full."""
    pairs = coverage_cells(cases)
    keys = [tile_key(*pair) for pair in zip(pairs["gate"], pairs["implementation"], strict=True)]
    picked = filters.pick(TILE, "Reasons of a gate by an implementation (or click on its tile)", keys)
    if picked is None:
        return
    tile = pairs.iloc[keys.index(picked)]
    own = cases[(cases["gate"] == tile["gate"]) & (cases["implementation"] == tile["implementation"])]
    st.markdown(f"**{elements.plain(picked[:LONGEST_NAME])}**: {', '.join(counts(tile)) or 'no case'}.")
    if (own["status"] != "ok").any():
        table = reasons(own)[["status", "reason", "cases", "last"]]
        table["status"] = table["status"].str.replace("_", " ")
        elements.wrapped(table.rename(columns={"last": "last measured (UTC)"}))
        elements.table(_not_ok(own))
    missing = not_measured(cases[cases["gate"] == tile["gate"]])
    show_commands(missing[missing["implementation"] == tile["implementation"]], "that others have and this one lacks")
    elements.gate_links([tile["gate"]])


def show_reasons(cases: pd.DataFrame) -> None:
    """List what is not ok with its reasons."""
    st.subheader("What is not right, and why", anchor=False)
    table = reasons(cases)
    if table.empty:
        st.markdown(f"Nothing: all {len(cases)} measured cases are ok.")
        return
    table["status"] = table["status"].str.replace("_", " ")
    elements.wrapped(table.rename(columns={"last": "last measured (UTC)"}))


def show_missing(cases: pd.DataFrame) -> None:
    """Count the cases that an implementation lacks, and give the commands that measure them."""
    st.subheader("What has not been measured", anchor=False)
    missing, absent = not_measured(cases), nowhere_available(cases)
    for name, reason in absent.items():
        st.caption(elements.plain(f"{name} is unavailable on this machine ({reason}): left out here."))
    missing = missing[~missing["implementation"].isin(set(absent))]
    if missing.empty:
        st.markdown("Nothing: every implementation has every case that any other one of the gate has.")
    tried = missing["tried"]
    show_commands(missing[tried], "of gates that the implementation was already measured with")
    show_commands(
        missing[~tried], "of gates that the implementation has never been tried with here, and may not support"
    )


def show_commands(missing: pd.DataFrame, which: str) -> None:
    """Show the commands that measure these cases, the largest first."""
    if missing.empty:
        return
    commands, without = run_commands(missing)
    st.markdown(f"{len(missing)} case{'s' if len(missing) > 1 else ''} {which}:")
    for words, _ in commands[:MOST_COMMANDS]:
        elements.command(shlex.join(words) + elements.store_option())
    notes = [f"{sum(count for _, count in commands[MOST_COMMANDS:])} cases need {len(commands) - MOST_COMMANDS} more commands: choose one run to see fewer."] if len(commands) > MOST_COMMANDS else []  # fmt: skip
    notes += [f"{without} need a suite: another cache, launch or seed, or sizes that are not known."] if without else []
    notes += ["Plugins (`vendor:name`) also need `--plugin FILE`."] if missing[["gate", "implementation"]].stack().str.contains(":").any() else []  # fmt: skip
    if notes:
        st.caption("  \n".join(notes))


def show_cells(rows: pd.DataFrame) -> None:
    """Show the cases of the chosen gate by implementation, and each case that is not ok with its reason."""
    first = rows.iloc[0]
    st.subheader(
        elements.plain(", ".join([first["gate"][:80], *([] if is_missing(first["dtype"]) else [first["dtype"]])])),
        anchor=False,
    )
    cells = coverage_cells(rows)
    lines = [f"- {elements.plain(row['implementation'][:80])}: {', '.join(counts(row))}" for _, row in cells.iterrows()]
    st.markdown("\n".join(lines))
    elements.gate_links([first["gate"]])
    if (rows["status"] != "ok").any():
        elements.table(_not_ok(rows))


def _not_ok(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the cases that are not ok as text, each with its reason."""
    shown = cases.loc[cases["status"] != "ok", ["case_id", "status", "reason", "date"]]
    shown = shown.fillna({"reason": "no reason given"})
    shown["status"] = shown["status"].str.replace("_", " ")
    shown = shown.sort_values("status", key=lambda column: column.map(ordered("wrong", "failed")))
    return shown.rename(columns={"case_id": "case", "date": "measured (UTC)"})


def show_errors(store: Store, rows: pd.DataFrame) -> None:
    """Show how close each tensor comes to its limit, as heatmap and table."""
    st.subheader("Errors by tensor and gate block", anchor=False)
    cells = error_cells(stored_errors(store, rows), rows)
    elements.figure(error_figure(cells), "errors", "error ratio of each tensor by implementation, against its limit")
    if cells.empty:
        return
    st.caption(
        "In a cell: the largest error ratio of the cases, which is the largest absolute error against the float64 reference, "
        "divided by that of eager in the same dtype (or by the rounding of the largest value, where that is more). "
        "Colour: the error ratio as a share of its limit. ✗: wrong. @first and @last: the first and the last step, where errors have grown least and most."
    )
    elements.table(error_table(cells))


def stored_errors(store: Store, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy rows of these cases."""
    wanted = rows[["run_id", "case_id"]].drop_duplicates()
    sql = """
        SELECT accuracy.* FROM accuracy
        WHERE (run_id, case_id) IN (SELECT unnest(?), unnest(?))
    """
    return store.questions.frame(sql, [wanted["run_id"].tolist(), wanted["case_id"].tolist()])


def error_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the heatmap as text."""
    numbers = {
        "error ratio": "error_ratio", "limit": "limit_ratio", "relative error": "relative_error",
        "largest absolute error": "max_abs_error",
    }  # fmt: skip
    text = {
        name: ["–" if is_missing(value) else significant(value) for value in cells[column]]
        for name, column in numbers.items()
    }
    verdict = ["not judged" if passed is None else "right" if passed else "wrong" for passed in cells["passed"]]
    return pd.DataFrame(
        {"tensor": cells["tensor"], "implementation": cells["competitor"], "verdict": verdict, **text,
         "returned as": cells["dtype"], "cases": cells["cases"], "worst case": cells["case_id"]}
    )  # fmt: skip


def command(store: Store, rows: pd.DataFrame, narrowing: list[str]) -> str:
    """Return the command that prints the errors of the chosen cases, from the newest run that holds some."""
    newest = store.runs[store.runs["run_id"] == rows["run_id"].max()].iloc[0]
    return command_of_run(newest, *narrowing, "--long", "--metrics", "error") + elements.store_option()
