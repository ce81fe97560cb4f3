"""What lines with bands share: values that can be drawn, bands, logarithmic axes, entries of the legend."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.report.colours import translucent
from gatebench.report.figures.layout import MUTED
from gatebench.report.quantities import is_missing, log_ticks, significant

DASHES = ("solid", "dash", "dashdot", "longdash")


def add_band(figure: go.Figure, x: Sequence[float], low: np.ndarray, high: np.ndarray, colour: str, cell: dict) -> None:
    """Draw a band between two series, over the points where both are finite."""
    inside = np.isfinite(low) & np.isfinite(high)
    if not inside.any():
        return
    at = np.asarray(x, dtype=float)[inside]
    figure.add_scatter(
        x=[*at, *at[::-1]], y=[*low[inside], *high[inside][::-1]], fill="toself", mode="lines", line={"width": 0},
        fillcolor=translucent(colour, 0.18), hoverinfo="skip", showlegend=False, **cell,
    )  # fmt: skip


def add_entries(figure: go.Figure, entries: list[tuple[str, dict]]) -> None:
    """Add legend entries (name, line) that stand for no data of their own."""
    for name, line in entries:
        figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=name, row=1, col=1)


def dtype_dashes(dtypes: pd.Series) -> dict[str, str]:
    """Return a dash per dtype, the widest first."""
    order = ("float64", "float32", "bfloat16", "float16")
    names = sorted(set(dtypes), key=lambda name: (order.index(name) if name in order else len(order), name))
    return {name: DASHES[number % len(DASHES)] for number, name in enumerate(names)}


def dtype_entries(dashes: dict[str, str]) -> list[tuple[str, dict]]:
    """Return the entries of dtypes, none where there is one."""
    return (
        [(name, {"color": MUTED, "dash": dash, "width": 2}) for name, dash in dashes.items()] if len(dashes) > 1 else []
    )


def never_at(half_lives: pd.DataFrame) -> float | None:
    """Return where half-lives that are infinite are drawn, well above all others; None where none is infinite."""
    values = half_lives.to_numpy(dtype=float)
    if not np.isposinf(values).any():
        return None
    known = values[np.isfinite(values)]
    return float(known.max()) * 3 if len(known) else 1e3


def set_decades(figure: go.Figure, values: pd.DataFrame, cell: dict, never: float | None = None) -> None:
    """Give a panel a logarithmic axis of what it draws; never: where a dotted line says that gradients do not shrink."""
    numbers = values.to_numpy(dtype=float)
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (1.0, 100.0)
    pad = max(0.04, 0.06 * math.log10(high / low))
    # Above the line there is room for its words, and no tick.
    ends = math.log10(low) - pad, math.log10(high) + pad if never is None else math.log10(never) + 2 * pad
    ticks, labels = log_ticks(10 ** ends[0], 10 ** ends[1] if never is None else never * 0.9)
    figure.update_yaxes(type="log", tickvals=ticks, ticktext=labels, range=ends, **cell)
    if never is not None:
        figure.add_hline(y=never, line={"color": MUTED, "width": 1, "dash": "dot"}, **cell)
        # Not the line's own annotation: on a logarithmic axis plotly takes its place for an exponent.
        figure.add_annotation(
            text="does not shrink", x=0, xref="x domain", xanchor="left", y=math.log10(never), yanchor="bottom",
            showarrow=False, **cell,
        )  # fmt: skip


def drawable(values: pd.Series, never: float | None = None) -> np.ndarray:
    """Return numbers with nothing in place of what is not finite; with `never`, that in place of what is infinite."""
    numbers = values.to_numpy(dtype=float)
    numbers = np.where(np.isposinf(numbers), np.nan if never is None else never, numbers)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def number_text(value: float) -> str:
    """Return a number of a hover text."""
    if is_missing(value):
        return "not known"
    return significant(float(value)) if math.isfinite(value) else ("0" if value < 0 else "∞")
