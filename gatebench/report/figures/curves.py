"""What figures of curves share: which series fit in, their colours, bands, and the keys of the legend."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from gatebench.report.colours import series_colours, translucent
from gatebench.report.figures.layout import MOST_MARKS, MUTED
from gatebench.report.figures.panels import Cell, Trace
from gatebench.report.names import coarseness, natural

MOST_GATES = 8  # panels
MOST_SERIES = 16  # more colours than these nobody tells apart
DTYPE_LINES = (("solid", 2), ("dash", 5), ("dashdot", 7), ("longdash", 9))  # dash and width, the finest dtype first
_MARKS_OF_KEYS = 50


def inits_in_order(names: Iterable[str]) -> list[str]:
    """Return names of inits as legends list them: torch's first, the others as people sort them."""
    return sorted(set(names), key=lambda name: (not name.startswith("torch"), natural(name)))


def dtype_lines(dtypes: Iterable[str]) -> dict[str, dict]:
    """Return dash and width of each dtype's lines, the finest dtype first.

    The coarser the wider: where rounding changes nothing, lines of one colour lie on each other, and dashes are still seen
    on both sides of the solid one.
    """
    order = sorted(set(dtypes), key=lambda name: (coarseness(name), name))
    chosen = (DTYPE_LINES[number % len(DTYPE_LINES)] for number in range(len(order)))
    return {name: {"dash": dash, "width": width} for name, (dash, width) in zip(order, chosen, strict=True)}


def styles(rows: pd.DataFrame) -> tuple[dict[str, str], dict[str, dict]]:
    """Return a colour per init and a line per dtype (`dtype_lines`), in the order of the legend."""
    return series_colours(inits_in_order(rows["init"].unique())), dtype_lines(rows["dtype"].unique())


def those_that_fit(rows: pd.DataFrame, column: str, order: list[str]) -> tuple[pd.DataFrame, list[str], int]:
    """Return the rows of the first series in order, as many as have a colour of their own; their names; how many are left out."""
    kept = order[:MOST_SERIES]
    return rows[rows[column].isin(kept)], kept, len(order) - len(kept)


def points_per_line(lines: int, marks: int) -> int:
    """Return how many points each of `lines` may have where each point takes this many marks."""
    return max(2, (MOST_MARKS - _MARKS_OF_KEYS) // (marks * max(1, lines)))


def keys(lines: Mapping[str, dict], left_out: int = 0) -> list[tuple[Cell, Trace]]:
    """Return legend entries that stand for no data of their own, and how many series are not drawn, for `add_traces`."""
    entries = dict(lines)
    if left_out:
        entries[f"({left_out} more not drawn)"] = {"color": MUTED, "width": 0}
    shared = {"type": "scatter", "x": [None], "y": [None], "mode": "lines"}
    return [({"row": 1, "col": 1}, {**shared, "line": line, "name": name}) for name, line in entries.items()]


def bands(x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> list[Trace]:
    """Return traces that fill what lies between two series, a piece each where one of them is not finite in between."""
    # Arrays, here and elsewhere: plotly looks at every element of a list.
    return [
        {
            "type": "scatter", "x": np.concatenate([x[piece], x[piece][::-1]]), "y": np.concatenate([low[piece], high[piece][::-1]]),
            "fill": "toself", "mode": "lines", "line": band_edge(len(piece), colour), "fillcolor": translucent(colour, 0.18),
            "hoverinfo": "skip", "showlegend": False,
        }
        for piece in _pieces(np.isfinite(low) & np.isfinite(high))
    ]  # fmt: skip


def band_edge(points: int, colour: str) -> dict:
    """Return the outline of a band: none, but at a lone point, where without it the band would have no width to be seen."""
    return {"width": 4, "color": translucent(colour, 0.35)} if points == 1 else {"width": 0}


def _pieces(inside: np.ndarray) -> list[np.ndarray]:
    """Return the indices of each run of true values."""
    places = np.flatnonzero(inside)
    return np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(places) else []


def finite(values: Iterable[float]) -> np.ndarray:
    """Return values with NaN, which breaks a line, where they are not finite."""
    numbers = np.asarray(values, dtype=float)
    return np.where(np.isfinite(numbers), numbers, np.nan)
