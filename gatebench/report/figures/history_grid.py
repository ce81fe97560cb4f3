"""History of several cases: small panels beside each other, each relative to its own first point."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.analyze.history import SERIES
from gatebench.report.figures.axes import logarithmic
from gatebench.report.figures.history import FASTER, SLOWER, lines_of
from gatebench.report.figures.layout import MOST_MARKS, dress, empty, thin
from gatebench.report.figures.panels import add_traces, make_panels, rule, set_axes
from gatebench.report.quantities import is_missing

MOST_PANELS = 12
LONGEST_TITLE = 24  # letters of a line above a panel
# Of a point, what a figure draws and tells of it.
_DRAWN = (
    *SERIES, "implementation", "reference", "segment", "git_sha", "git_dirty", "time_utc", "run_id", "runs", "value", "low",
    "high", "time_ns", "verdict", "inconclusive",
)  # fmt: skip


def history_grid(points: pd.DataFrame, changed: pd.DataFrame, cases: list[str], columns: int = 2) -> go.Figure:
    """Draw several cases small, a panel each, in the order of `cases`: lines, bands and changes; at most 12 panels.

    Each panel is relative to its own first point, all share one axis: a panel shows whether it moved, not how large it is.
    """
    known = set(points["case_id"])
    cases = [case for case in cases if case in known][:MOST_PANELS]
    if not cases:
        return empty("No case has a point of history.")
    rows = -(-len(cases) // columns)
    titles = _titles(cases)
    figure = make_panels(
        rows=rows, cols=columns, subplot_titles=titles, shared_yaxes="all", vertical_spacing=0.45 / rows if rows > 1 else 0,
        horizontal_spacing=0.03,
    )  # fmt: skip
    chosen = _in_places(points[points["case_id"].isin(cases)])
    place = dict(zip(zip(chosen["case_id"], chosen["run_id"], strict=True), chosen["place"], strict=True))
    cells = {case: {"row": at // columns + 1, "col": at % columns + 1} for at, case in enumerate(cases)}
    reach, placed = [1.1], []
    for case, drawn in _thinned(chosen, MOST_MARKS // (4 * len(cases))).items():
        first: dict[str, float] = {}
        over = [first.setdefault("" if is_missing(row.reference) else row.reference, row.value) for row in drawn]
        relative = [row.value / divisor for row, divisor in zip(drawn, over, strict=True)]
        reach += [max(relative), 1 / min(relative)]
        lines = lines_of(drawn, {row.run_id: row.place for row in drawn}, over, small=True)
        placed += [(cells[case], trace) for trace in lines]
    add_traces(figure, placed)
    figure.layout.shapes = [
        rule(figure, cells[step.case_id], {"color": SLOWER if step.change > 0 else FASTER, "width": 2}, x=place[step.case_id, step.run_id] - 0.5)
        for step in changed[changed["case_id"].isin(cases)].itertuples()
    ]  # fmt: skip
    dress(figure, 70 + 180 * rows)
    half = np.log10(max(reach) * 1.1)
    set_axes(figure.select_yaxes(), **{**logarithmic([10**-half, 10**half]), "range": [-half, half]})
    set_axes(figure.select_xaxes(), showticklabels=False, showgrid=False)
    above = [title.to_plotly_json() for title in figure.layout.annotations]
    figure.layout.annotations = [{**title, "font": {"size": 10}} for title in above]
    figure.layout.margin.t = 60
    return figure


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
