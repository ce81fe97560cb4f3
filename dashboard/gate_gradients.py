"""What a gate's gradients do, on the page Gate: in lines, or why there are none, or the command that looks."""

import shlex

import pandas as pd
import streamlit as st

from dashboard import elements, loading
from dashboard.loading import Store
from gatebench.report.gate_facts import GateFacts
from gatebench.report.gradient_lines import gradient_lines, stack_lines
from gatebench.report.names import options_label

MOST_REASONS, LONGEST_REASON = 6, 400  # reasons, and letters of one


def gate_stability(store: Store, run_id: str, gate: str) -> pd.DataFrame:
    """Return the stability rows of a gate in one run."""
    rows = store.rows("stability", run_id)
    return rows[rows["gate"] == gate]


def show_gradients(store: Store, known: pd.DataFrame, run: pd.Series, facts: GateFacts) -> None:
    """Show in a line per init what the gate's gradients do, from the newest run of this machine that looked.

    known: from loading.gates_of_runs. Where looking finds nothing, the reason stands in the place of the command that looks.
    """
    st.subheader("Gradients", anchor=False)
    of_gate = known[known["gate"] == facts.name]
    runs = store.runs[(store.runs["machine"] == run["machine"]) & store.runs["run_id"].isin(set(of_gate["run_id"]))]
    with_half_lives = runs["run_id"].isin(set(of_gate.loc[of_gate["half_lives"], "run_id"]))
    for candidate in runs[with_half_lives].to_dict("records"):
        if _show_lines(gradient_lines(gate_stability(store, candidate["run_id"], facts.name)), candidate["label"]):
            return
    looks = loading.looks_at_gradients(store, facts.name, tuple(runs["run_id"]))
    stacked = runs["run_id"].isin(set(looks.loc[looks["layers"], "run_id"]))
    for candidate in runs[stacked].to_dict("records"):
        if _show_lines(stack_lines(gate_stability(store, candidate["run_id"], facts.name)), candidate["label"]):
            return
    refused = looks[looks["status"] != "ok"]
    if len(refused):
        _show_reasons(refused)
    elif not facts.gradients:
        st.markdown(
            "There is nothing to look at: this gate has no state that goes on through time, and no layers of it can be "
            "stacked, so no gradient vanishes or explodes along either."
        )
    # What was refused without any choice of one's own is refused again.
    if facts.gradients and not refused["plain"].any():
        elements.nothing(
            "No run of this machine has followed this gate's gradients.",
            shlex.join(["gatebench", "stability", facts.name]) + elements.store_option(),
        )


def _show_lines(found: dict[tuple[str, str], list[str]], label: str) -> bool:
    """Show lines by (gate, options), and of which run they are; says whether there are any."""
    lines = [
        (f"{options_label(options) or 'defaults'}: " if len(found) > 1 else "") + line.removeprefix("gradient: ")
        for (_, options), of_options in found.items()
        for line in of_options
    ]
    if lines:
        st.markdown("\n".join(f"- {elements.plain(line)}" for line in lines))
        st.caption(elements.plain(f"From {label}. The page Stability shows curves and intervals."))
    return bool(lines)


def _show_reasons(refused: pd.DataFrame) -> None:
    """Show why runs have no gradients of a gate, each reason once, the newest run's first."""
    pairs = zip(refused["status"], refused["reason"].fillna("no reason given"), strict=True)
    reasons = list(
        dict.fromkeys(f"{str(status).replace('_', ' ')}: {reason}"[:LONGEST_REASON] for status, reason in pairs)
    )
    left_out = [f"… and {len(reasons) - MOST_REASONS} more"] if len(reasons) > MOST_REASONS else []
    st.markdown("Runs of this machine looked, and could not follow this gate's gradients:")
    st.markdown("\n".join(f"- {elements.plain(line)}" for line in [*reasons[:MOST_REASONS], *left_out]))
