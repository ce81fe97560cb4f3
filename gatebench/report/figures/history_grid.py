"""History of several cases: small panels beside each other, each relative to its own first point."""

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.analyze.history import SERIES
from gatebench.report.figures.axes import logarithmic
from gatebench.report.figures.history import FASTER, SLOWER, lines_of
from gatebench.report.figures.layout import dress, empty, thin
from gatebench.report.figures.panels import joined, set_axes
from gatebench.report.quantities import is_missing

MOST_PANELS = 12
MOST_POINTS = 64  # of a panel: more would lie on each other
GAP, HEIGHT = 0.06, 0.55  # between columns, of the way from one to the next; of a panel, of the way from row to row
LONGEST_TITLE = 24  # letters of a line above a panel
# Of a point, what a figure draws and tells of it.
_DRAWN = (
    *SERIES, "implementation", "reference", "segment", "git_sha", "git_dirty", "time_utc", "run_id", "runs", "value", "low",
    "high", "time_ns", "verdict", "inconclusive",
)  # fmt: skip


def history_grid(points: pd.DataFrame, changed: pd.DataFrame, cases: list[str], columns: int = 2) -> go.Figure:
    """Draw several cases small, a panel each, in the order of `cases`: lines, bands and changes; at most 12 panels.

    Each panel is relative to its own first point, all have one scale: a panel shows whether it moved, not how large it is.
    Panels are places within one pair of axes: a browser draws these in half the time that a pair for each takes.
    """
    known = set(points["case_id"])
    cases = [case for case in cases if case in known][:MOST_PANELS]
    if not cases:
        return empty("No case has a point of history.")
    rows = -(-len(cases) // columns)
    chosen = _in_places(points[points["case_id"].isin(cases)])
    ends = chosen.groupby("case_id")["place"].max().to_dict()
    place = dict(zip(zip(chosen["case_id"], chosen["run_id"], strict=True), chosen["place"], strict=True))
    panels = {case: _Panel(at % columns, at // columns, ends[case]) for at, case in enumerate(cases)}
    reach, placed = [1.1], []
    for case, drawn in _thinned(chosen, MOST_POINTS).items():
        first: dict[str, float] = {}
        over = [first.setdefault("" if is_missing(row.reference) else row.reference, row.value) for row in drawn]
        relative = [row.value / divisor for row, divisor in zip(drawn, over, strict=True)]
        reach += [max(relative), 1 / min(relative)]
        placed += [(panels[case], trace) for trace in lines_of(drawn, {row.run_id: row.place for row in drawn}, over, small=True)]  # fmt: skip
    half = float(np.log10(max(reach) * 1.1))
    figure = go.Figure()
    figure.add_traces(joined({**trace, "x": panel.across(trace["x"]), "y": panel.up(trace["y"], half)} for panel, trace in placed))  # fmt: skip
    figure.layout.shapes = [
        panels[step.case_id].upright(place[step.case_id, step.run_id] - 0.5, {"color": SLOWER if step.change > 0 else FASTER, "width": 2})
        for step in changed[changed["case_id"].isin(cases)].itertuples()
    ]  # fmt: skip
    figure.layout.annotations = [
        {
            "text": title,
            "font": {"size": 10},
            "showarrow": False,
            "x": panel.middle,
            "y": panel.top,
            "yanchor": "bottom",
        }
        for title, panel in zip(_titles(cases), panels.values(), strict=True)
    ]
    dress(figure, 70 + 180 * rows)
    scale = logarithmic([10**-half, 10**half])
    ticks = [(float(up), text) for row in range(rows) for up, text in zip(_Panel(0, row, 0).up(scale["tickvals"], half), scale["ticktext"], strict=True)]  # fmt: skip
    lowest = _Panel(0, rows - 1, 0).top - HEIGHT
    set_axes(
        [figure.layout.xaxis],
        range=[0, columns - GAP],
        showticklabels=False,
        showgrid=False,
        fixedrange=True,
        automargin=False,
    )
    set_axes(
        [figure.layout.yaxis], range=[lowest, 0], tickvals=[up for up, _ in ticks], ticktext=[text for _, text in ticks], fixedrange=True
    )  # fmt: skip
    figure.layout.margin.t, figure.layout.margin.b = 60, 20
    return figure


@dataclass(frozen=True)
class _Panel:
    """Where a panel lies: columns are 1 apart and end GAP before the next, rows are 1 apart downwards and HEIGHT high."""

    column: int
    row: int
    last: int  # the largest place of its points, from 0

    @property
    def top(self) -> float:
        return -float(self.row)

    @property
    def middle(self) -> float:
        return self.column + (1 - GAP) / 2

    def across(self, places: Any) -> np.ndarray:
        """Return where places lie: the first and the last a little within the panel."""
        return self.column + (1 - GAP) * (np.asarray(places, dtype=float) + 1) / (self.last + 2)

    def up(self, ratios: Any, half: float) -> np.ndarray:
        """Return where ratios lie: 1 in the middle, 10 to the power of `half` and what is above at the top; NaN below 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            decades = np.log10(np.asarray(ratios, dtype=float))
        return self.top + HEIGHT * (np.clip(decades / half, -1, 1) - 1) / 2

    def upright(self, place: float, line: dict) -> dict[str, Any]:
        x = float(self.across(place))
        return {"type": "line", "line": line, "x0": x, "x1": x, "y0": self.top - HEIGHT, "y1": self.top}


def _in_places(points: pd.DataFrame) -> pd.DataFrame:
    """Give the points of each case their places 0, 1, ... in the order of time: a place per run, what has no time last."""
    runs = points.drop_duplicates(["case_id", "run_id"]).sort_values(["time_utc", "run_id"])
    place = runs.groupby("case_id", sort=False).cumcount().rename("place")
    placed = runs[["case_id", "run_id"]].join(place)
    return points[list(_DRAWN)].merge(placed, on=["case_id", "run_id"], how="left")


def _thinned(points: pd.DataFrame, most: int) -> dict[str, list[Any]]:
    """Return at most so many rows of each case, evenly spread, in their order."""
    rows = points.groupby("case_id", sort=False).indices
    kept = np.concatenate([own[thin(len(own), most)] for own in rows.values()])
    found: dict[str, list[Any]] = {case: [] for case in rows}
    for row in points.iloc[kept].itertuples():
        found[row.case_id].append(row)
    return found


def _titles(cases: list[str]) -> list[str]:
    """Return the cases' names in short lines: gate and implementation, shape, and what else tells them apart."""
    parts = [[*case.split("/"), "", "", "", "", ""][:6] for case in cases]
    rest = [[*part[3:5], *part[5].partition(";")[::2]] for part in parts]
    told = [place for place in range(len(rest[0])) if len({row[place] for row in rest}) > 1]
    lines = [["/".join(part[:2]), part[2], " ".join(row[place] for place in told)] for part, row in zip(parts, rest, strict=True)]  # fmt: skip
    return ["<br>".join(escape(_short(line)) for line in found if line) for found in lines]


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"
