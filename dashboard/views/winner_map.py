"""Winner map: what to use at one (T, H), and the fastest implementation at each of one gate, its margin, ties, what is missing."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import Filters
from dashboard.loading import Store
from dashboard.slices import Slice, choose_implementations, choose_slice, commands_to_measure, compare_command
from dashboard.winner_answer import Question, ask, show_answer, show_evidence
from gatebench.report.figures.winner_map import winner_map_figure
from gatebench.report.winner_tables import explanation, numbers
from gatebench.words import counted

MOST_COMMANDS = 3
SIZES = ("ask_t", "ask_h", "ask_b")  # the boxes of the question


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar, then show title, question and answer, map, numbers, what is missing, and the command."""
    picked = choose_slice(filters, store)
    if picked is not None:
        picked = choose_implementations(filters, picked)
    elements.header("Winner map", filters.notes)
    if picked is None:
        elements.nothing("No run in this store has a measurement.", "gatebench run quick" + elements.store_option())
    else:
        show(filters, picked)


def show(filters: Filters, chosen: Slice) -> None:
    """Show question and answer, the map, its numbers, what is missing with the command that measures it, and the query."""
    st.caption(elements.plain(chosen.caption))
    with st.container(horizontal=True):
        elements.gate_links([chosen.rows["gate"].iloc[0]], dict(chosen.run))
        elements.link("views/stability.py", "Which gate keeps its gradients longest?", {}, ":material/trending_down:")
    question = ask(filters, chosen)
    show_answer(chosen, question)
    st.subheader(f"Every T and H at B = {chosen.rows['batch'].iloc[0]}", anchor=False)
    cells = question.cells(chosen.rows, chosen.blocks())
    show_map(cells, int(chosen.rows["batch"].iloc[0]))
    st.caption(explanation(question.calls, question.cap_bytes))
    show_evidence(filters, chosen, question)
    st.subheader("Numbers", anchor=False)
    batch = str(chosen.rows["batch"].iloc[0])
    sizes = [(str(row.seq_len), str(row.hidden_size), batch) for row in cells.itertuples()]
    elements.table(numbers(cells), pick=(SIZES, sizes))
    show_missing(chosen, cells, question)
    elements.ways_out(compare_command(chosen), shown_data(chosen, cells), "winner_map", filters)


def show_map(cells: pd.DataFrame, batch: int) -> None:
    """Show the map; a click on a cell asks about its T, H and B, as typing them does."""
    alt = "fastest implementation at each T and H"
    elements.figure(winner_map_figure(cells), "winner_map", alt, (SIZES, lambda point: sizes_of(point, batch)))


def sizes_of(point: dict[str, Any], batch: int) -> tuple[str, str, str] | None:
    """Return T, H and B of a clicked cell, as the boxes of the question have them."""
    data = point.get("customdata")
    return (str(int(data[1])), str(int(data[2])), str(batch)) if data else None


def shown_data(chosen: Slice, cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells as rows to download: times in ns, memory in bytes; what was chosen with each."""
    same = ["run_id", "gate", "gate_options", "mode", "dtype", "device", "threads", "batch"]
    alike = {name: chosen.rows[name].iloc[0] for name in same}
    return cells.drop(columns="outcomes").assign(**alike)


def show_missing(chosen: Slice, cells: pd.DataFrame, question: Question) -> None:
    """Count cells without an answer, and answers with a doubt; give the commands that measure what was not measured."""
    failed, absent, barred = (
        cells[cells["state"].isin(states)] for states in (("failed", "no time"), ("not measured",), ("left out",))
    )
    won = cells[cells["winner"].notna()]
    single = (won["state"] == "won") & ~won["margin_low"].astype(float).map(math.isfinite)
    unknown = won["peak_bytes"].isna() if question.cap_bytes is not None else pd.Series(dtype=bool)
    counts = [
        f"{len(failed)} of {len(cells)} cells have no time." if len(failed) else "",
        f"In {len(barred)} of {len(cells)} cells nothing is left that may compete." if len(barred) else "",
        f"{counted(int(single.sum()), 'winner')} without an interval: one block, or none in common with the next."
        if single.any()
        else "",
        f"Of {int(unknown.sum())} winners the memory was not measured: the cap is not known to hold."
        if unknown.any()
        else "",
        f"{len(absent)} of {len(cells)} cells were not measured." if len(absent) else "",
    ]
    if not any(counts):
        return
    st.markdown(" ".join(text for text in counts if text) + (" To measure them:" if len(absent) else ""))
    batch = int(chosen.rows["batch"].iloc[0])
    sizes = [(int(row.seq_len), int(row.hidden_size), batch) for row in absent.itertuples()]
    commands = commands_to_measure(chosen, sizes)
    for command in commands[:MOST_COMMANDS]:
        elements.command(command)
    if len(commands) > MOST_COMMANDS:
        st.caption(f"and {len(commands) - MOST_COMMANDS} more commands for smaller groups of cells")
