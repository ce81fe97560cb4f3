"""Sections of the stability page: each shows a figure or a table with what its lines, bands and numbers are."""

import math

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.stability_rows import Chosen, in_order, orders
from gatebench.report.figures.curves import MOST_GATES
from gatebench.report.figures.saturation import saturation_figure
from gatebench.report.figures.stability import norm_figure, summary_figure
from gatebench.report.figures.stability_series import AXES, spectrum_figure, sweep_figure, training_figure
from gatebench.report.names import coarseness
from gatebench.report.quantities import is_missing, range_text
from gatebench.report.stability import case_summary, norm_curves, not_ok, saturation_table
from gatebench.report.stability_blocks import NOTHING, precision_cells, spectrum_cells, training_cells
from gatebench.report.stability_ends import precision_table, spectra_table, training_ends
from gatebench.report.stability_series import spectrum_table, sweep_table, training_table
from gatebench.words import counted

MOST_NAMED = 5  # cases in a sentence
VALUES = ["label", "half_life", "reach", "lyapunov"]
# What stands below the first table, by the column of `case_summary` that it is about.
BELOW = {
    "half_life": "Half-life, in brackets: deciles over seeds and batch rows.",
    "reach": "Reach: the largest lag at which the norm is still 1/1000 of that at lag 0.",
    "lyapunov": "Exponent, in brackets: 95 % interval (one seed: two standard errors).",
    "label": "Class: that of the worst seed and row. Vanished: below the rounding of the dtype at lag T; vanishing: below 1/1000; exploding: above 1000; underflow: 0 where float64 is not.",
}
BOUNDS = {
    "bound": "Dotted: the bound, no gradient grows faster.",
    "weight_bound": "Sparser dots: what the weights alone say.",
}
BARS = {
    "half_life": "Half-life: median, bars from lower to upper decile over seeds and batch rows.",
    "lyapunov": "Lyapunov exponent: mean over seeds, 95 % interval (one seed: two standard errors); below 0, neighbouring "
    "states meet, and gradients vanish.",
}
# What theory says, by the column of `sweep_table` that holds it.
THEORY = {
    "predicted_half_life": "Dotted: theory, ln 2 / -ln σ(b), a gate that its bias b alone holds open.",
    "predicted_lyapunov": "Dotted: theory, mean field, an infinitely wide tanh network.",
    "predicted_edge": "Vertical: the gain above which the state 0 is unstable in an infinitely wide network.",
}


def summary_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the line per case that has a value, in the order of the rows."""
    return case_summary(rows).dropna(subset=VALUES, how="all")


def gradients(summary: pd.DataFrame, rows: pd.DataFrame, told: list[str]) -> None:
    """Show the line per case, with the columns `told` that say which, and what has no value."""
    without = not_ok(rows)
    if summary.empty and without.empty:
        return
    st.subheader("What gradients do", anchor=False)
    if len(summary):
        if answer := longest(summary, told):
            st.markdown(answer)
        elements.numbers(numbers(summary, told), "gradients")
        st.caption(" ".join(words for column, words in BELOW.items() if summary[column].notna().any()))
    if len(without):
        st.markdown("Without a value:")
        elements.wrapped(without)


def longest(summary: pd.DataFrame, told: list[str]) -> str:
    """Say of several cases which keeps its gradients longest, and which cannot be told from it, as Markdown; else nothing.

    Cases of the finest dtype compete: a coarser one says what its rounding does, too.
    """
    finest = min(summary["dtype"], key=coarseness, default=None)
    cases = (
        summary[summary["dtype"] == finest]
        .dropna(subset=["half_life"])
        .sort_values("half_life", ascending=False, kind="stable")
    )
    if len(cases) < 2:
        return ""
    names = [elements.plain(", ".join(map(str, case))) for case in cases[told].itertuples(index=False)]
    best = cases.iloc[0]
    alike = [
        name
        for name, high in zip(names[1:], cases["half_life_high"].iloc[1:], strict=True)
        if high >= best["half_life_low"]
    ]
    half_life = range_text(best["half_life"], best["half_life_low"], best["half_life_high"], "infinite")
    reach = "" if is_missing(best["reach"]) else f", reach {best['reach']:g} steps"
    unsure = f" Not told from it, for the deciles overlap: {', '.join(alike[:MOST_NAMED])}" if alike else ""
    more = f" and {len(alike) - MOST_NAMED} more" if len(alike) > MOST_NAMED else ""
    gates = cases["gate"].nunique()
    competing = f"{gates} gates" if gates == len(cases) else f"{len(cases)} cases of {counted(gates, 'gate')}"
    return f"**Of {competing} gradients last longest in {names[0]}**: half-life {half_life} steps{reach}.{unsure}{more}{'.' if alike else ''}"


def norms(rows: pd.DataFrame) -> None:
    """Show gradient norms by lag, where there are any."""
    curves = norm_curves(rows)
    if curves["norm"].isna().all():
        return
    st.subheader("Gradient norm by lag", anchor=False)
    curves = in_order(curves, orders(rows))
    elements.figure(norm_figure(curves), "norms", "gradient norm relative to the last step against the lag")
    st.caption(" ".join([
        f"Lines: median over {_count(curves['seeds'], 'seed')} of the batch mean of logs. Ribbons: lowest lower to highest "
        "upper decile of the batch over seeds.",
        *(words for column, words in BOUNDS.items() if curves[column].notna().any()),
        "A cross: exactly 0, or not finite, from there on.",
    ]))  # fmt: skip
    if (curves["kind"] == "layer").any():
        stacks = ", ".join(dict.fromkeys(curves.loc[curves["kind"] == "layer", "gate"]))
        st.caption(
            f"{elements.plain(stacks)}: a stack of blocks without residual connections, norms by layer; T and the words "
            "steps and lag do not apply."
        )
    _say_first_gates(curves)


def half_lives(summary: pd.DataFrame) -> None:
    """Show half-lives and largest Lyapunov exponents per gate, where there are any."""
    if summary[["half_life", "lyapunov"]].isna().all(axis=None):
        return
    st.subheader("Half-life and Lyapunov exponent", anchor=False)
    elements.figure(summary_figure(summary), "summary", "half-life and largest Lyapunov exponent per gate")
    st.caption(" ".join(words for column, words in BARS.items() if summary[column].notna().any()))


def precision(rows: pd.DataFrame, told: list[str]) -> None:
    """Show what a low precision makes of the gradient, a line per case below float64, where that was measured."""
    cases = precision_table(rows)
    if cases.empty:
        return
    st.subheader("Low precision", anchor=False)
    table = _table(cases, told, precision_cells(cases))
    names = {"false plateau": "false plateau, steps", "half-life (float64)": "half-life in float64, steps"}
    elements.numbers(table.rename(columns=names), "precision")
    st.caption(
        "Beside float64 at the same rounded weights. Error: of the gradient at lag T, relative. Underflow: share of its entries "
        "that are 0 where float64's are not. False plateau: the most lags at the end over which float64's norm falls to half or "
        "less and this one hardly, so that the half-life above says too much. Loss scale: the largest power of two that keeps "
        "every gradient finite. Medians over seeds and rows."
    )


def sweep(chosen: Chosen) -> None:
    """Show half-lives and exponents against a number, where the rows hold several."""
    if chosen.axis is None:
        return
    table = sweep_table(chosen.sweep(), chosen.axis)
    against = AXES.get(chosen.axis, chosen.axis)
    st.subheader(f"Half-life and exponent against {elements.plain(against)}", anchor=False)
    elements.figure(sweep_figure(table), "sweep", f"half-life and largest Lyapunov exponent against {against}")
    rows = table.loc[table["half_life"].notna(), "rows"]
    st.caption(" ".join([
        f"Half-life: median over {_count(table['seeds'], 'seed')} and their batch rows ({_count(rows, 'row')} a point), band "
        "from lower to upper decile. Lyapunov exponent: mean over seeds, band the 95 % interval (one seed: two standard "
        "errors).",
        *(words for column, words in THEORY.items() if table[column].notna().any()),
    ]))  # fmt: skip


def spectra(rows: pd.DataFrame, told: list[str]) -> None:
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
    elements.numbers(_table(cases, told, spectrum_cells(cases)), "spectra")
    st.caption(
        "λ: first and last Lyapunov exponent, nats/step. D_KY: Kaplan-Yorke dimension. ln σ and ln|det|: singular values "
        "(first and last) and determinant of ds_T/ds_0, nats. Medians over seeds."
    )


def training(rows: pd.DataFrame, told: list[str]) -> None:
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
    table = _table(cases, told, training_cells(cases))
    table = table.rename(columns={"half-life": "half-life, steps", "not finite": "steps not finite"})
    elements.numbers(table, "training_ends")
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
    _say_first_gates(table)


def numbers(summary: pd.DataFrame, told: list[str]) -> pd.DataFrame:
    """Return one line per case as text: class, half-life, reach, Lyapunov exponent, those measured, with intervals and n."""
    rows = list(summary.itertuples())
    cells = {
        "class": list(summary["label"].fillna(NOTHING)),
        "half-life, steps": [
            # Where no row shrinks, the deciles say no more.
            "never"
            if row.half_life_low == math.inf
            else range_text(row.half_life, row.half_life_low, row.half_life_high, "never")
            for row in rows
        ],
        "reach, steps": [NOTHING if is_missing(value) else f"{value:g}" for value in summary["reach"]],
        "Lyapunov, nats/step": [range_text(row.lyapunov, row.lyapunov_low, row.lyapunov_high) for row in rows],
    }
    return _table(summary, told, cells)


def _table(cases: pd.DataFrame, told: list[str], cells: dict[str, list[str]]) -> pd.DataFrame:
    """Return names, numbers and n of each case, without columns in which nothing was measured."""
    filled = {name: texts for name, texts in cells.items() if any(text != NOTHING for text in texts)}
    return cases[told].assign(**filled, seeds=cases["seeds"])


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
