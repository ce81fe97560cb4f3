"""Scaling: time against T or H for one gate, one line per implementation."""

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import Filters
from dashboard.loading import Store
from dashboard.slices import Slice, choose_implementations, choose_slice, compare_command
from gatebench.analyze.compare import choose_baseline, compare
from gatebench.report.figures.scaling import AXES, PER, scaling_figure, scaling_points
from gatebench.report.names import competitors
from gatebench.report.quantities import estimate_text, times_text

AXIS_WORDS = {"seq_len": "T", "hidden_size": "H"}
FIXED = {"seq_len": ("fixed_h", "H (fixed)", "hidden_size"), "hidden_size": ("fixed_t", "T (fixed)", "seq_len")}


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar, then show title, figure, numbers and command."""
    picked = choose(store, filters)
    elements.header("Scaling", filters.notes)
    if picked is None:
        elements.nothing("No run in this store has a measurement.", "gatebench run quick" + elements.store_option())
    else:
        show(*picked)


def choose(store: Store, filters: Filters) -> tuple[Slice, str, str, str | None] | None:
    """Let the sidebar choose the slice, the axis, what the time is divided by, and the baseline of the table."""
    chosen = choose_slice(filters, store)
    if chosen is None:
        return None
    axis = filters.one("axis", "Against", list(AXES), words=AXIS_WORDS)
    per = filters.one("per", "Time per", list(PER))
    key, label, column = FIXED[axis]
    rows = filters.slice(chosen.rows, key, label, column, always=True)
    words = [*chosen.words[:5], f"{AXIS_WORDS[column]} = {rows[column].iloc[0]}", *chosen.words[5:]]
    chosen = choose_implementations(filters, Slice(chosen.run, rows, words))
    timed = chosen.rows[chosen.rows["time_ns"].notna()]
    names = sorted(set(timed["implementation"]))
    default = choose_baseline(timed)
    baseline = filters.one("baseline", "Baseline", sorted(names, key=lambda name: name != default)) if names else None
    return chosen, axis, per, baseline


def show(chosen: Slice, axis: str, per: str, baseline: str | None) -> None:
    """Show the figure, its numbers, and the command."""
    st.caption(elements.plain(chosen.caption))
    chart = scaling_figure(chosen.rows, axis, per)
    elements.figure(chart, "scaling", f"{PER[per]} against {AXES[axis]}, a line per implementation")
    st.caption(
        "Lines: mean over blocks of the block medians. Bands: 95 % intervals, Student's t over blocks of fresh processes."
    )
    if chosen.rows["time_ns"].notna().any():
        elements.table(numbers(chosen, axis, baseline))
    without = scaling_points(chosen.rows, axis).query("value_ns.isna()")
    if len(without):
        st.markdown("Without a time:")
        elements.wrapped(reasons(without, AXIS_WORDS[axis]))
    value = chosen.rows["hidden_size" if axis == "seq_len" else "seq_len"].iloc[0]
    fixed = {"hidden": f"H{value}"} if axis == "seq_len" else {"size": f"T{value}"}
    elements.same_query(compare_command(chosen, **fixed, baseline=baseline))


def numbers(chosen: Slice, axis: str, baseline: str | None) -> pd.DataFrame:
    """Return what the figure shows as text: time per call, interval, n, speed-up; rows with a time only."""
    compared = compare(chosen.rows, chosen.samples(), baseline).assign(competitor=competitors(chosen.rows))
    compared = compared[compared["time_ns"].notna()].sort_values([axis, "time_ns"])
    return pd.DataFrame(
        {
            AXIS_WORDS[axis]: compared[axis],
            "implementation": compared["competitor"],
            "time of one call (95 %)": [
                estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns) for row in compared.itertuples()
            ],
            "blocks": compared["blocks"],
            "samples": compared["samples"],
            f"speed-up over {baseline or 'the baseline'} (95 %)": [
                "–"
                if row.case_id == row.baseline_case_id
                else times_text(row.speedup, row.speedup_low, row.speedup_high)
                for row in compared.itertuples()
            ],
        }
    )


def reasons(without: pd.DataFrame, axis_word: str) -> pd.DataFrame:
    """Return who has no time, at which sizes, and why."""
    gathered = without.fillna({"reason": ""}).groupby(["competitor", "status", "reason"], sort=False)
    table = gathered["size"].agg(lambda sizes: ", ".join(map(str, sorted(sizes)))).reset_index()
    table["status"] = table["status"].str.replace("_", " ")
    return table.rename(columns={"competitor": "implementation", "size": f"at {axis_word}"})[
        ["implementation", f"at {axis_word}", "status", "reason"]
    ]
