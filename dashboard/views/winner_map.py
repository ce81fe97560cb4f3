"""Winner map: the fastest implementation at each (T, H) of one gate, its margin, ties, and what is missing."""

import math

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import Filters
from dashboard.loading import Store
from dashboard.slices import Slice, choose_implementations, choose_slice, commands_to_measure, compare_command
from gatebench.report.figures.winner_map import winner_cells, winner_map_figure
from gatebench.report.quantities import estimate_text, is_missing, times_text

MOST_COMMANDS = 3


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar, then show title, map, numbers, what is missing, and the command."""
    picked = choose_slice(filters, store)
    if picked is not None:
        picked = choose_implementations(filters, picked)
    elements.header("Winner map", filters.notes)
    if picked is None:
        elements.nothing("No run in this store has a measurement.", "gatebench run quick" + elements.store_option())
    else:
        show(picked)


def show(chosen: Slice) -> None:
    """Show the map, its numbers, what is missing with the command that measures it, and the query as a command."""
    st.caption(elements.plain(chosen.caption))
    cells = winner_cells(chosen.rows, chosen.samples())
    elements.figure(winner_map_figure(cells), "winner_map", "fastest implementation at each T and H")
    st.caption(
        "In a tile: the fastest, and how many times faster it is than the next. “=”: others are as fast, as far as can "
        "be told: within 1.5×, and the 95 % interval over paired blocks contains 1. “?”: one block, no interval."
    )
    elements.table(numbers(cells))
    show_missing(chosen, cells)
    elements.same_query(compare_command(chosen))


def numbers(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells as text: winner, time, interval, n, margin with interval, ties."""
    return pd.DataFrame(
        {
            "T": cells["seq_len"],
            "H": cells["hidden_size"],
            "fastest": [row.state if is_missing(row.winner) else row.winner for row in cells.itertuples()],
            "time of one call (95 %)": [
                estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns) for row in cells.itertuples()
            ],
            "blocks": ["–" if is_missing(value) else str(int(value)) for value in cells["blocks"]],
            "next": cells["runner_up"].fillna("–"),
            "margin (95 %)": [times_text(row.margin, row.margin_low, row.margin_high) for row in cells.itertuples()],
            "as fast": [tied if isinstance(tied, str) else "" for tied in cells["tied"]],
        }
    )


def show_missing(chosen: Slice, cells: pd.DataFrame) -> None:
    """Count failed and unmeasured cells; give the commands that measure the latter."""
    failed, absent = (cells[cells["state"] == state] for state in ("failed", "not measured"))
    single = (cells["state"] == "won") & ~cells["margin_low"].astype(float).map(math.isfinite)
    counts = [
        f"{len(failed)} of {len(cells)} cells have no time." if len(failed) else "",
        f"{int(single.sum())} winners rest on one block and have no interval." if single.any() else "",
        f"{len(absent)} of {len(cells)} cells were not measured." if len(absent) else "",
    ]
    if not any(counts):
        return
    st.markdown(" ".join(text for text in counts if text) + (" To measure them:" if len(absent) else ""))
    batch = int(chosen.rows["batch"].iloc[0])
    commands = commands_to_measure(
        chosen, [(int(row.seq_len), int(row.hidden_size), batch) for row in absent.itertuples()]
    )
    for command in commands[:MOST_COMMANDS]:
        elements.command(command)
    if len(commands) > MOST_COMMANDS:
        st.caption(f"and {len(commands) - MOST_COMMANDS} more commands for the smaller groups of cells")
