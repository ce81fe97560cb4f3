"""Scaling: how the cost of one gate grows with T, H or B, one line per implementation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import Filters
from dashboard.loading import Store
from dashboard.raw_samples import show_samples
from dashboard.slices import Slice, choose_implementations, choose_slice, commands_to_measure, compare_command
from gatebench.analyze.ceilings import ceiling_shares
from gatebench.analyze.compare import choose_baseline, compare
from gatebench.analyze.scaling import LEAST_SIZES, crossovers, fitted_exponents
from gatebench.report.figures.scaling import scaling_figure
from gatebench.report.names import natural
from gatebench.report.scaling import AXES, PER, scaling_points
from gatebench.report.scaling_tables import (
    AXIS_WORDS,
    LINES,
    ceilings_in_words,
    crossover_table,
    growth,
    growth_note,
    no_crossovers,
    numbers,
    reasons,
    shown_data,
    timed_rows,
)

CASE = "case"  # the pick of a point
PER_WORDS = {
    "call": "time per call", "step": "time per step", "token": "time per token", "flop": "time per FLOP",
    "byte": "time per byte", "ceiling": "share of the ceiling", "baseline": "speed-up over the baseline",
}  # fmt: skip
# What is held fixed beside B, which the sidebar asks for anyway: filter, its label, column.
FIXED = {"hidden_size": ("fixed_h", "H (fixed)"), "seq_len": ("fixed_t", "T (fixed)")}


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar, then show title, figure, growth, crossovers, numbers and command."""
    picked = choose(store, filters)
    elements.header("Scaling", filters.notes)
    if picked is None:
        elements.nothing("No run in this store has a measurement.", "gatebench run quick" + elements.store_option())
    else:
        show(filters, *picked)


def choose(store: Store, filters: Filters) -> tuple[Slice, str, str, str | None] | None:
    """Let the sidebar choose the axis, what is shown, the slice, and the baseline."""
    axis = filters.one("axis", "Against", list(AXES), words=AXIS_WORDS)
    per = filters.one("per", "Show", list(PER), words=PER_WORDS)
    chosen = choose_slice(filters, store, along=axis)
    if chosen is None:
        return None
    rows, fixed = chosen.rows, []
    for column, (key, label) in FIXED.items():
        if column != axis:
            rows = filters.slice(rows, key, label, column, always=True, order=_most_sizes(rows, column, axis))
            fixed.append(f"{AXIS_WORDS[column]} = {rows[column].iloc[0]}")
    chosen = replace(chosen, rows=rows, words=[*chosen.words[:-3], *fixed, *chosen.words[-3:]])
    chosen = choose_implementations(filters, chosen)
    timed = chosen.rows[chosen.rows["time_ns"].notna()]
    names = sorted(set(timed["implementation"]))
    default = choose_baseline(timed)
    baseline = filters.one("baseline", "Baseline", sorted(names, key=lambda name: name != default)) if names else None
    return chosen, axis, per, baseline


def _most_sizes(rows: pd.DataFrame, column: str, axis: str) -> Callable[[str], tuple]:
    """Sort the values of `column` by how many sizes of the axis have a time there, the most first."""
    counts = rows[rows["time_ns"].notna()].groupby(column)[axis].nunique().to_dict()
    return lambda value: (-counts.get(int(value), 0), natural(value))


def show(filters: Filters, chosen: Slice, axis: str, per: str, baseline: str | None) -> None:
    """Show the figure, how fast time grows, crossovers, numbers, a case's samples, what is missing, and the ways out."""
    st.caption(elements.plain(chosen.caption))
    blocks = chosen.blocks()
    compared = compare(chosen.rows, blocks, baseline)
    rows = compared.join(ceiling_shares(compared, chosen.environment())) if per == "ceiling" else compared
    points = scaling_points(rows, axis, per)
    crossings = crossovers(chosen.rows, blocks, axis)
    elements.figure(
        scaling_figure(rows, axis, per, crossings),
        "scaling",
        f"{PER[per].title} against {AXES[axis]}, a line per implementation",
        (CASE, case_of),
    )
    st.caption(explanation(chosen, per))
    if compared["time_ns"].notna().any():
        show_growth(chosen, blocks, crossings, axis)
        st.subheader("Numbers", anchor=False)
        timed = timed_rows(compared, axis)
        elements.table(numbers(timed, points, axis, per, baseline), pick=(CASE, list(timed["case_id"])))
        show_raw_samples(filters, chosen, timed)
    show_missing(points[points["value"].isna()], axis)
    show_more_sizes(chosen, axis)
    command = compare_command(chosen, **_fixed(chosen, axis), baseline=baseline)
    elements.ways_out(command, shown_data(compared, points, axis, per), "scaling", filters)


def case_of(point: dict[str, Any]) -> str | None:
    """Return the case of a clicked point; crossovers and what has no value have none."""
    data = point.get("customdata")
    return data[1] if isinstance(data, list) else None


def show_raw_samples(filters: Filters, chosen: Slice, timed: pd.DataFrame) -> None:
    """Show the raw samples of the case that was picked: by a click on its point or row, or in the box."""
    case = filters.pick(CASE, "Raw samples of a case (or click on its point or row)", list(timed["case_id"]))
    if case is not None:
        show_samples(chosen.run, case, str(timed.set_index("case_id").loc[case, "side"]))


def explanation(chosen: Slice, per: str) -> str:
    """Say what the lines and bands are, and what a share is held against."""
    if per == "baseline":
        return LINES.replace("mean over blocks of the block medians", "speed-ups from paired blocks")
    if per != "ceiling":
        return LINES
    first = chosen.rows.iloc[0]
    measured = ceilings_in_words(dict(chosen.environment()), first["dtype"], first["device"])
    held = f"Ceiling: the least time that the gate's model FLOPs and bytes take here; {measured}." if measured else (
        f"Not measured in this run: the speed of a matrix product in {first['dtype']} on {first['device']}, or of its memory. "
        "A new `gatebench run` measures both."
    )  # fmt: skip
    return f"{LINES} {held}"


def show_growth(chosen: Slice, blocks: pd.DataFrame, crossings: pd.DataFrame, axis: str) -> None:
    """Show exponents and crossovers, or that there are none."""
    st.subheader(f"Growth with {AXIS_WORDS[axis]}", anchor=False)
    elements.wrapped(growth(fitted_exponents(chosen.rows, blocks, axis), axis))
    st.caption(growth_note(axis))
    if crossings.empty:
        st.markdown(no_crossovers(axis))
    else:
        elements.wrapped(crossover_table(crossings, axis))


def show_missing(without: pd.DataFrame, axis: str) -> None:
    """List who has no value, and why."""
    if len(without):
        st.markdown("Without a value:")
        elements.wrapped(reasons(without, axis))


def show_more_sizes(chosen: Slice, axis: str) -> None:
    """Give the command that measures more sizes where too few have a time for a slope."""
    sizes = sorted(set(chosen.rows.loc[chosen.rows["time_ns"].notna(), axis]))
    if len(sizes) >= LEAST_SIZES:
        return
    last = int(max(chosen.rows[axis]))
    first = chosen.rows.iloc[0]
    asked = [
        tuple(size if column == axis else int(first[column]) for column in ("seq_len", "hidden_size", "batch"))
        for size in sorted({*map(int, sizes), 2 * last, 4 * last})
    ]
    word = AXIS_WORDS[axis]
    st.markdown(
        f"{len(sizes)} {word} {'has' if len(sizes) == 1 else 'have'} a time; a slope needs {LEAST_SIZES}. To measure more in one run:"
    )
    for command in commands_to_measure(chosen, asked):
        elements.command(command)


def _fixed(chosen: Slice, axis: str) -> dict[str, str]:
    """Return the sizes that stay fixed, as case ids write them."""
    first = chosen.rows.iloc[0]
    words = {"seq_len": ("size", "T"), "hidden_size": ("hidden", "H"), "batch": ("batch", "B")}
    return {name: f"{letter}{'*' if column == axis else first[column]}" for column, (name, letter) in words.items()}
