"""Sections of the stability page: each shows a figure or a table with what its lines, bands and numbers are."""

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import ordered
from dashboard.slices import DTYPES
from dashboard.stability_rows import Chosen
from gatebench.report.figures.stability import MOST_GATES, norm_figure, saturation_figure, summary_figure
from gatebench.report.figures.stability_series import AXES, spectrum_figure, sweep_figure, training_figure
from gatebench.report.quantities import is_missing, range_text
from gatebench.report.stability import case_summary, norm_curves, not_ok, saturation_table
from gatebench.report.stability_blocks import NOTHING, spectrum_cells, training_cells
from gatebench.report.stability_ends import spectra_table, training_ends
from gatebench.report.stability_series import spectrum_table, sweep_table, training_table

CLASSES = "Vanished: below the rounding of the dtype at lag T; vanishing: below 1/1000; exploding: above 1000; underflow: 0 where float64 is not."
CASE = ["gate", "init", "dtype"]
# What theory says, by the column of `sweep_table` that holds it.
THEORY = {
    "predicted_half_life": "Dotted: theory, ln 2 / -ln σ(b), a gate that its bias b alone holds open.",
    "predicted_lyapunov": "Dotted: theory, mean field, an infinitely wide tanh network.",
    "predicted_edge": "Vertical: the gain above which the state 0 is unstable in an infinitely wide network.",
}


def summary_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the line per case, gates as the run lists them."""
    orders = {"gate": _gate_order(rows), "init": ordered("torch"), "dtype": DTYPES}
    return case_summary(rows).sort_values(list(orders), key=lambda column: column.map(orders[column.name]))


def gradients(summary: pd.DataFrame, rows: pd.DataFrame) -> None:
    """Show the line per case, and what has no value."""
    st.subheader("What gradients do", anchor=False)
    elements.wrapped(numbers(summary))
    st.caption(
        "In brackets: deciles over seeds and batch rows for the half-life, 95 % interval for the exponent. " + CLASSES
    )
    without = not_ok(rows)
    if len(without):
        st.markdown("Without a value:")
        elements.wrapped(without)


def norms(rows: pd.DataFrame) -> None:
    """Show gradient norms by lag."""
    st.subheader("Gradient norm by lag", anchor=False)
    curves = norm_curves(rows)
    curves = curves.sort_values("gate", key=lambda names: names.map(_gate_order(rows)), kind="stable")
    elements.figure(norm_figure(curves), "norms", "gradient norm relative to the last step against the lag")
    st.caption(
        f"Lines: median over {_count(curves['seeds'], 'seed')} of the batch mean of logs. Ribbons: lowest lower to highest "
        "upper decile of the batch over seeds. Dotted: the bound, no gradient grows faster; sparser dots: what the weights "
        "alone say. A cross: exactly 0, or not finite, from there on."
    )
    if (curves["kind"] == "layer").any():
        stacks = ", ".join(dict.fromkeys(curves.loc[curves["kind"] == "layer", "gate"]))
        st.caption(
            f"{elements.plain(stacks)}: a stack of blocks without residual connections, norms by layer; T and the words "
            "steps and lag do not apply."
        )
    _say_first_gates(rows)


def half_lives(summary: pd.DataFrame) -> None:
    """Show half-lives and largest Lyapunov exponents per gate."""
    st.subheader("Half-life and Lyapunov exponent", anchor=False)
    elements.figure(summary_figure(summary), "summary", "half-life and largest Lyapunov exponent per gate")
    st.caption(
        "Half-life: median, bars from lower to upper decile over seeds and batch rows. Lyapunov exponent: mean over "
        "seeds, 95 % interval (one seed: two standard errors); below 0, neighbouring states meet, and gradients vanish."
    )


def sweep(chosen: Chosen) -> None:
    """Show half-lives and exponents against a number, where the rows hold several."""
    if chosen.axis is None:
        return
    table = sweep_table(chosen.sweep(), chosen.axis)
    against = AXES.get(chosen.axis, chosen.axis)
    st.subheader(f"Half-life and exponent against {against}", anchor=False)
    elements.figure(sweep_figure(table), "sweep", f"half-life and largest Lyapunov exponent against {against}")
    rows = table.loc[table["half_life"].notna(), "rows"]
    st.caption(" ".join([
        f"Half-life: median over {_count(table['seeds'], 'seed')} and their batch rows ({_count(rows, 'row')} a point), band "
        "from lower to upper decile. Lyapunov exponent: mean over seeds, band the 95 % interval (one seed: two standard "
        "errors).",
        *(words for column, words in THEORY.items() if table[column].notna().any()),
    ]))  # fmt: skip


def spectra(rows: pd.DataFrame) -> None:
    """Show Lyapunov exponents and singular values by index, where they were measured."""
    cases = spectra_table(rows)
    if cases.empty:
        return
    st.subheader("Spectra", anchor=False)
    table = spectrum_table(rows)
    if len(table):
        elements.figure(spectrum_figure(table), "spectrum", "Lyapunov exponents and singular values by index")
        st.caption(
            f"nats/step; lines: median over {_count(table['seeds'], 'seed')}, bands from lower to upper decile over seeds. "
            "Solid: Lyapunov exponents after T/4 steps of burn-in. Dotted: ln σ / T of the Jacobian ds_T/ds_0; both meet "
            "as T grows. Hollow: not resolved in float64. A line ends where all else is 0."
        )
        _say_first_gates(table)
    elements.wrapped(_table(cases, spectrum_cells(cases)))
    st.caption(
        "λ: first and last Lyapunov exponent, nats/step. D_KY: Kaplan-Yorke dimension. ln σ and ln|det|: singular values "
        "(first and last) and determinant of ds_T/ds_0, nats. Medians over seeds."
    )


def training(rows: pd.DataFrame) -> None:
    """Show loss, gradient norm, clip rate and half-life by step, where a task was trained."""
    table = training_table(rows)
    if table.empty:
        return
    st.subheader("What training does", anchor=False)
    elements.figure(
        training_figure(table), "training", "loss, gradient norm, clip rate and half-life by step of training"
    )
    st.caption(
        f"Lines: median over {_count(table['seeds'], 'seed')}, bands from lower to upper decile over seeds. Clip rate: share "
        "of steps whose gradient was clipped, in the window that ends at the mark. Half-life: of held-out sequences, median "
        "over the batch. A gap: not finite."
    )
    cases = training_ends(rows)
    table = _table(cases, training_cells(cases))
    elements.wrapped(table.rename(columns={"half-life": "half-life, steps", "not finite": "steps not finite"}))
    st.caption(
        "Loss: of the first step, and the mean over the last tenth. Half-life: before and after. Norms of gradients before "
        "clipping. Steps not finite changed nothing, those of all seeds are counted. All else: medians over seeds."
    )


def saturation(rows: pd.DataFrame) -> None:
    """Show saturated shares per letter, where there are any."""
    table = saturation_table(rows)
    if table.empty:
        return
    st.subheader("Saturation by gate letter", anchor=False)
    if table["share"].max() == 0:
        st.markdown("No letter has a value at an end of its range.")
        return
    elements.figure(saturation_figure(table), "saturation", "saturated share of each gate letter")
    st.caption(
        f"Share of a letter's values over all steps, rows and units; mean over {_count(table['seeds'], 'seed')}. Where a "
        "sigmoid or tanh is at its end, its derivative is nearly 0."
    )


def numbers(summary: pd.DataFrame) -> pd.DataFrame:
    """Return one line per case as text: class, half-life, reach, Lyapunov exponent, with intervals and n."""
    return pd.DataFrame(
        {
            "gate": summary["gate"],
            "init": summary["init"],
            "dtype": summary["dtype"],
            "class": summary["label"].fillna("–"),
            "half-life, steps": [
                range_text(row.half_life, row.half_life_low, row.half_life_high, "never")
                for row in summary.itertuples()
            ],
            "reach, steps": ["–" if is_missing(value) else f"{value:g}" for value in summary["reach"]],
            "Lyapunov, nats/step": [
                range_text(row.lyapunov, row.lyapunov_low, row.lyapunov_high) for row in summary.itertuples()
            ],
            "seeds": summary["seeds"],
        }
    )


def _table(cases: pd.DataFrame, cells: dict[str, list[str]]) -> pd.DataFrame:
    """Return names, numbers and n of each case, without columns in which nothing was measured."""
    filled = {name: texts for name, texts in cells.items() if any(text != NOTHING for text in texts)}
    return cases[CASE].assign(**filled, seeds=cases["seeds"])


def _gate_order(rows: pd.DataFrame):
    """Sort gates as the run lists them."""
    return ordered(*dict.fromkeys(rows["gate"]))


def _say_first_gates(rows: pd.DataFrame) -> None:
    count = rows["gate"].nunique()
    if count > MOST_GATES:
        st.caption(f"The first {MOST_GATES} of {count} gates are drawn; choose others in the sidebar.")


def _count(values: pd.Series, what: str) -> str:
    """Return how many there are of something, e.g. `4 seeds` or `2 to 4 seeds`."""
    known = values.dropna()
    if known.empty:
        return f"{what}s"
    low, high = int(known.min()), int(known.max())
    return f"{low if low == high else f'{low} to {high}'} {what}{'' if high == 1 else 's'}"
