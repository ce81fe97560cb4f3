"""What figures of curves share: which series fit in, their names, colours, bands, and the keys of the legend."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from gatebench.report.colours import series_colours, translucent
from gatebench.report.figures.layout import MOST_MARKS, MUTED
from gatebench.report.figures.panels import Cell, Trace
from gatebench.report.names import coarseness, natural, shown
from gatebench.report.quantities import is_missing, significant
from gatebench.words import counted

MOST_GATES = 8  # panels
MOST_SERIES = 16  # more colours than these nobody tells apart
LONGEST_SERIES = 90  # letters of a series in the legend: an init, and all that cases differ in
LONGEST_TITLE = 36  # letters above a panel, half a page wide, or beside a lane
DTYPE_LINES = (("solid", 2), ("dash", 5), ("dashdot", 7), ("longdash", 9))  # dash and width, the finest dtype first
MARKS_OF_KEYS = 50


def inits_in_order(names: Iterable[str]) -> list[str]:
    """Return names of inits as legends list them: torch's first, the others as people sort them."""
    return sorted(set(names), key=lambda name: (not name.startswith("torch"), natural(name)))


def labels(names: Iterable[str], most: int = LONGEST_SERIES) -> dict[str, str]:
    """Return each name from a store as a figure may show it (`shown`); those that are alike when cut are numbered."""
    found: dict[str, str] = {}
    alike: Counter[str] = Counter()
    for name in dict.fromkeys(names):
        text = shown(name, most)
        alike[text] += 1
        found[name] = text if alike[text] == 1 else f"{text} ({alike[text]})"
    return found


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


def those_that_fit(
    rows: pd.DataFrame, column: str, order: list[str], most: int | None = None
) -> tuple[pd.DataFrame, list[str], int]:
    """Return the rows of the first series in order, as many as have a colour of their own; their names; how many are left out.

    most: of rows, where each takes a mark and none can be thinned; one series is there in any case.
    """
    kept = order[:MOST_SERIES]
    if most is not None:
        marks = rows[column].value_counts().reindex(kept).cumsum()
        kept = kept[: max(1, int((marks <= most).sum()))]
    return rows[rows[column].isin(kept)], kept, len(order) - len(kept)


def points_per_line(lines: int, marks: int) -> int:
    """Return how many points each of `lines` may have where each point takes this many marks."""
    return max(2, (MOST_MARKS - MARKS_OF_KEYS) // (marks * max(1, lines)))


def not_drawn(series: int = 0, **others: int) -> list[str]:
    """Return how many series are left out, and of what else how many, as legends say it: `(2 more not drawn)`, `(4 gates not drawn)`."""
    words = [f"({series} more not drawn)"] if series else []
    return words + [f"({counted(count, noun)} not drawn)" for noun, count in others.items() if count]


def keys(lines: Mapping[str, dict], left_out: Sequence[str] = ()) -> list[tuple[Cell, Trace]]:
    """Return legend entries that stand for no data of their own, and what is not drawn (`not_drawn`), for `add_traces`."""
    entries = dict(lines) | {words: {"color": MUTED, "width": 0} for words in left_out}
    shared = {"type": "scatter", "x": [None], "y": [None], "mode": "lines"}
    return [({"row": 1, "col": 1}, {**shared, "line": line, "name": name}) for name, line in entries.items()]


def exponent_interval(seeds: int) -> str:
    """Return what the interval of a largest Lyapunov exponent is, as gatebench.report.stability.case_summary takes it."""
    return "± 2 standard errors" if seeds == 1 else "95 % interval"


def interval_words(name: str, low: float, high: float, unit: str) -> str:
    """Return an interval as hover texts say it, e.g. `deciles: 1.20 to 3.40 steps`; `no interval` where there is none."""
    if is_missing(low) or is_missing(high):
        return "no interval"
    return f"{name}: {significant(low)} to {significant(high)} {unit}".rstrip()


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
