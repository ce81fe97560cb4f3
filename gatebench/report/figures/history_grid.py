"""History of several cases: small panels beside each other, each relative to its own first point."""

from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.analyze.history import SERIES
from gatebench.report.figures.axes import logarithmic
from gatebench.report.figures.history import FASTER, SLOWER, add_lines
from gatebench.report.figures.layout import MOST_MARKS, dress, empty, thin
from gatebench.report.figures.panels import add_rule, make_panels, set_axes
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
    reach, most = [1.1], MOST_MARKS // (4 * len(cases))
    by_case = _by_case(points, cases)
    for number, case in enumerate(cases):
        cell = {"row": number // columns + 1, "col": number % columns + 1}
        own = by_case[case]
        versions = sorted({(row.time_utc, row.run_id) for row in own}, key=_when)
        place = {run_id: at for at, (_, run_id) in enumerate(versions)}
        own = [own[at] for at in thin(len(own), most)]
        first: dict[str, float] = {}
        over = [first.setdefault("" if is_missing(row.reference) else row.reference, row.value) for row in own]
        relative = [row.value / divisor for row, divisor in zip(own, over, strict=True)]
        reach += [max(relative), 1 / min(relative)]
        add_lines(figure, own, place, over, cell, small=True)
        for step in changed[changed["case_id"] == case].itertuples():
            colour = SLOWER if step.change > 0 else FASTER
            add_rule(figure, cell, {"color": colour, "width": 2}, x=place[step.run_id] - 0.5)
    dress(figure, 70 + 180 * rows)
    half = np.log10(max(reach) * 1.1)
    set_axes(figure.select_yaxes(), **{**logarithmic([10**-half, 10**half]), "range": [-half, half]})
    set_axes(figure.select_xaxes(), showticklabels=False, showgrid=False)
    above = [title.to_plotly_json() for title in figure.layout.annotations]
    figure.layout.annotations = [{**title, "font": {"size": 10}} for title in above]
    figure.layout.margin.t = 60
    return figure


def _when(version: tuple[Any, str]) -> tuple:
    """Return a sort key for (time_utc, run_id): what has no time comes last, as in the large figure."""
    time_utc, run_id = version
    return (True, run_id) if is_missing(time_utc) else (False, time_utc, run_id)


def _by_case(points: pd.DataFrame, cases: list[str]) -> dict[str, list[Any]]:
    """Return the rows of each case, in their order."""
    found: dict[str, list[Any]] = {case: [] for case in cases}
    for row in points.loc[points["case_id"].isin(cases), list(_DRAWN)].itertuples():
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
