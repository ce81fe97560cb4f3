"""Gate: what a gate is, what it costs, who computes it fastest, and what its gradients do."""

import shlex

import pandas as pd
import streamlit as st

from dashboard import elements, loading
from dashboard.filters import Filters
from dashboard.gate_gradients import gate_stability, show_gradients
from dashboard.loading import Store
from dashboard.slices import command_of_run
from gatebench.report.gate_facts import NOT_GIVEN, GateFacts, best_by_shape, costs, gate_facts, latex, prose
from gatebench.report.names import natural

LONGEST_NAME = 80  # letters of a gate's name in a heading
LONGEST_CODE = 20_000  # letters of reference code


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar for a gate and a run that has it, then show what the run tells of it."""
    known = loading.gates_of_runs(store)
    run, name, rows = choose(store, filters, known) if len(known) else (None, "", known)
    elements.header("Gate", filters.notes)
    if run is None:
        elements.nothing("No run in this store has measured a gate.", "gatebench run quick" + elements.store_option())
        return
    facts = gate_facts(loading.gates(run["path"]), name)
    show_what(facts, f"{run['label']} · {run['machine']}")
    show_gradients(store, known, run, facts)
    if len(rows):
        show_best(store, run, rows)
        show_cost(rows)
    else:
        st.caption("This run timed no case of the gate: it looked at its gradients.")
    show_tables(facts)
    st.subheader("Reference", anchor=False)
    if facts.reference == NOT_GIVEN:
        st.markdown(f"Code: {NOT_GIVEN}.")
    else:
        st.code(facts.reference[:LONGEST_CODE], language="python")
    again = command_of_run(run, "-g", name) if len(rows) else shlex.join(["gatebench", "report", run["run_id"]])
    shown = rows if len(rows) else gate_stability(store, run["run_id"], name)
    elements.ways_out(again + elements.store_option(), shown, "gate", filters)


def choose(store: Store, filters: Filters, known: pd.DataFrame) -> tuple[pd.Series, str, pd.DataFrame]:
    """Let the sidebar choose a gate, a machine and a run, those with its measurements first, then the newest.

    Returns the run, the gate and its measurements in the run: none where the run only looked at its gradients.
    """
    gate = filters.one("gate", "Gate", sorted(set(known["gate"]), key=natural))
    rows = known[known["gate"] == gate]
    timed = set(rows.loc[rows["measured"], "run_id"])
    runs = store.runs[store.runs["run_id"].isin(set(rows["run_id"]))]
    runs = runs.iloc[(~runs["run_id"].isin(timed)).to_numpy().argsort(kind="stable")]
    machine = filters.one("on_machine", "Machine", list(dict.fromkeys(runs["machine"])))
    runs = runs[runs["machine"] == machine]
    words = dict(zip(runs["run_id"], runs["label"], strict=True))
    run_id = filters.one("gate_run", "Run", list(runs["run_id"]), words=words)
    found = store.rows("measurements", run_id)
    return runs[runs["run_id"] == run_id].iloc[0], gate, found[found["gate"] == gate]


def show_what(facts: GateFacts, where: str) -> None:
    """Show name, family, equation, sentence and source; what the run does not tell is `not given`."""
    st.caption(elements.plain(where))
    st.subheader(elements.plain(facts.name[:LONGEST_NAME]), anchor=False)
    formula = latex(facts.equation)
    if formula is not None:
        st.latex(formula)
    elif facts.equation == NOT_GIVEN:
        st.markdown(f"Equation: {NOT_GIVEN}.")
    else:
        st.code(facts.equation[:LONGEST_CODE], language=None, wrap_lines=True)
    if facts.doc != NOT_GIVEN and formula is None:
        st.text(facts.doc[:LONGEST_CODE])
    elif facts.doc != NOT_GIVEN:
        st.markdown("\n\n".join(map(elements.plain, prose(facts.doc[:LONGEST_CODE]))))
    st.markdown(f"Family: {elements.plain(facts.family[:400])}  \nSource: {elements.plain(facts.source[:400])}")


def show_best(store: Store, run: pd.Series, rows: pd.DataFrame) -> None:
    """Show the fastest implementation at each measured shape."""
    st.subheader("Fastest implementation by shape", anchor=False)
    blocks = store.rows("blocks", run["run_id"])
    table = best_by_shape(rows, blocks) if len(blocks) else pd.DataFrame()
    if table.empty:
        st.markdown("No case of this gate in this run has a time.")
        return
    elements.table(table)
    st.caption(
        "“as fast”: others within 1.5× of the fastest whose 95 % interval over paired blocks contains 1. The page Winner "
        "map draws one mode and dtype; Coverage has the errors."
    )


def show_cost(rows: pd.DataFrame) -> None:
    """Show the compulsory work of one call at each measured shape."""
    st.subheader("Cost by the gate's own model", anchor=False)
    table = costs(rows)
    if table.empty:
        st.markdown(f"Cost: {NOT_GIVEN}.")
    else:
        elements.table(table)


def show_tables(facts: GateFacts) -> None:
    """Show options and parameters."""
    st.subheader("Options and parameters", anchor=False)
    tables = {"Options": facts.options, "Parameters": facts.parameters, "State": facts.state}
    for what, table in tables.items():
        if table.empty:
            st.markdown(f"{what}: none given.")
        else:
            elements.wrapped(table)
    if len(facts.parameters):
        st.caption(
            "This run holds no formulas: shapes are those of a small example (I = H = 2, default options)."
            if facts.by_example
            else "I: input size, H: hidden size; with default options."
        )
