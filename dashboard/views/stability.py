"""Stability: gradients by lag, half-lives, exponents, sweeps, spectra, training, saturation; gates side by side."""

import pandas as pd
import streamlit as st

from dashboard import elements, loading, stability_sections
from dashboard.filters import Filters, text
from dashboard.loading import Store
from dashboard.slices import choose_run
from dashboard.stability_command import command
from dashboard.stability_rows import Chosen, choose


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar, then show title, numbers, figures and command."""
    runs = store.runs[store.runs["stability_rows"] > 0]
    run = choose_run(filters, runs) if len(runs) else None
    found = store.rows("stability", run["run_id"]) if run is not None else pd.DataFrame()
    chosen = choose(filters, found) if len(found) else Chosen(found)
    elements.header("Stability", filters.notes)
    if run is None:
        elements.nothing(
            "No run in this store has looked at gradients.", "gatebench stability lstm gru" + elements.store_option()
        )
    elif chosen.rows.empty:
        st.info("This run has no stability values for what is chosen.", icon=":material/info:")
    else:
        show(run, chosen)
        drawn = chosen.here("train_step", "probe", *([chosen.axis] if chosen.axis else []))
        again = command(drawn, loading.stability_asked(store, run["run_id"]))
        # As they are stored: the page words gates and inits its own way.
        elements.ways_out(again, found.loc[drawn.index], "stability", filters)


def show(run: pd.Series, chosen: Chosen) -> None:
    """Show what the figures hold fixed, and a section for each thing that was measured."""
    rows = chosen.here()
    st.caption(elements.plain(" · ".join([*fixed(chosen), run["label"], run["machine"]])))
    summary = stability_sections.summary_of(rows)
    stability_sections.gradients(summary, rows, chosen.told())
    stability_sections.norms(rows)
    stability_sections.half_lives(summary)
    stability_sections.precision(rows, chosen.told())
    stability_sections.sweep(chosen)
    stability_sections.spectra(chosen.here("probe"), chosen.told())
    stability_sections.training(chosen.here("train_step", "probe"), chosen.told())
    stability_sections.saturation(chosen.here("probe"))


def fixed(chosen: Chosen) -> list[str]:
    """Return what all rows of the first sections share, and what is not as it usually is."""
    first, at = chosen.rows.iloc[0], chosen.at
    words = [] if "init" in chosen.told() else [f"init {first['init']}"]
    words += [] if "dtype" in chosen.told() else [first["dtype"]]
    words += [f"T = {at['seq_len']}", f"H = {at['hidden_size']}"]
    if text(first["inputs"]) not in ("normal", "task"):
        words.append(f"inputs {first['inputs']}")
    if at["probe"] not in ("ones", "none"):
        words.append(f"probe {at['probe']}")
    if text(first["task"]) != "none":
        steps = chosen.rows["train_step"].max()
        words.append(f"{first['task']} task, after {at['train_step']} of {text(steps)} steps of training")
    return words
