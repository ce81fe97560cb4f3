"""History: one case over commits, its intervals, where it moved, where the environment changed, where it failed."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.analyze.history import SERIES
from gatebench.report.colours import STATUS, STATUS_SYMBOLS, implementation_colour, implementation_marker
from gatebench.report.figures.axes import logarithmic
from gatebench.report.figures.curves import bands, finite
from gatebench.report.figures.keys import click_key
from gatebench.report.figures.layout import LINE, MOST_MARKS, dress, empty, seat_legend, thin
from gatebench.report.figures.panels import Trace, make_panels
from gatebench.report.names import date_label
from gatebench.report.quantities import is_missing, significant, time_text, time_unit

HEIGHT, STRIP = 400, 46  # pixels of the panel, and of the strip of failures below it
MOST_TICKS = 4  # two lines of text each, in a window of 400 pixels
MOST_ENVIRONMENTS = 12  # changes of environment that get a line
SHORT_SHA = 7
LONGEST = 160  # letters of a reason in a hover text
SLOWER, FASTER = STATUS["wrong"], STATUS["ok"]
KINDS = {
    "relative": "time / time of {reference} in the same run",
    "ab": "time of head / time of base in the same job",
    "time": "time of one call",
}


def change_words(change: float, low: float, high: float) -> str:
    """Return a change with its interval in words, e.g. `slower by 12 % (10 to 14)`."""
    if is_missing(change):
        return "–"
    word, sign = ("slower", 100) if change > 0 else ("faster", -100)
    ends = sorted((sign * low, sign * high))
    interval = (
        "" if any(is_missing(end) for end in ends) else f" ({significant(ends[0], 2)} to {significant(ends[1], 2)})"
    )
    return f"{word} by {significant(sign * change, 2)} %{interval}"


def value_words(kind: str, value: float, low: float, high: float) -> str:
    """Return the value of a point with its 95 % interval: a time, or a share of the reference's."""
    if kind == "time":
        texts = [time_text(number) for number in (value, low, high)]
    else:
        texts = ["–" if is_missing(number) else significant(number) for number in (value, low, high)]
    return f"{texts[0]} (no interval)" if is_missing(low) else f"{texts[0]} ({texts[1]} to {texts[2]})"


def version(sha: object, run_id: str, dirty: object = None) -> str:
    """Return how a point is called: its commit's first digits, `+` where there were changes beside it, else its run."""
    if not isinstance(sha, str) or not sha:
        return f"run {run_id[-4:]}"
    return escape(sha[:SHORT_SHA]) + ("+" if dirty is True else "")


def in_places(points: pd.DataFrame, failed: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Give points and failures of one case their places 0, 1, ... in the order of time: a place per run that either names.

    Returns points and failures with the column `place`, and the places: place, run_id, time_utc, git_sha, git_dirty,
    environment_class.
    """
    columns = ["run_id", "time_utc", "git_sha", "git_dirty", "environment_class"]
    parts = [part[columns].astype({"git_dirty": object}) for part in (points, failed) if len(part)]
    if not parts:
        return points.assign(place=0), failed.assign(place=0), pd.DataFrame(columns=pd.Index(["place", *columns]))
    every = pd.concat(parts).drop_duplicates("run_id").sort_values(["time_utc", "run_id"], ignore_index=True)
    every["place"] = np.arange(len(every))
    place = dict(zip(every["run_id"], every["place"], strict=True))
    return points.assign(place=points["run_id"].map(place)), failed.assign(place=failed["run_id"].map(place)), every


def place_label(place) -> str:
    """Return what stands below a place: commit and date; place: a row of `in_places`' places."""
    return f"{version(place.git_sha, place.run_id, place.git_dirty)}<br>{date_label(str(place.time_utc))[:10]}"


def history_figure(points: pd.DataFrame, changed: pd.DataFrame, failed: pd.DataFrame) -> go.Figure:
    """Draw one case over its versions, oldest left.

    points, changed, failed: the case's rows of gatebench.analyze.history's history (of one kind), changes and failures. Bands:
    95 % intervals. Vertical lines: changes, with their size in words; dashed: a new environment class, across which no
    change is looked for. Hollow: inconclusive. A strip below holds the runs in which the case was wrong or failed. At most
    5,000 marks: points are thinned evenly, those around changes kept, and the axis says so. A point's customdata is its
    hover text, run_id and the click_key of its case_id.
    """
    if points.empty and failed.empty:
        return empty("This case has no point of history.")
    points, failed, places = in_places(points, failed)
    drawn = _thinned(points, changed)
    rows = 2 if len(failed) else 1
    figure = make_panels(
        rows=rows, cols=1, shared_xaxes=True, vertical_spacing=0.03, row_heights=[HEIGHT, STRIP] if rows == 2 else [1]
    )
    scale, title = _unit(points)
    place = dict(zip(points["run_id"], points["place"], strict=True))
    figure.add_traces(lines_of(list(drawn.itertuples()), place, [scale] * len(drawn)), rows=1, cols=1)
    _add_changes(figure, points, changed)
    _add_environments(figure, places)
    _add_failures(figure, failed)
    dress(figure, HEIGHT + 150 + (STRIP if rows == 2 else 0))
    figure.update_yaxes(title_text=title, row=1, col=1, **_value_axis(points, scale))
    _set_places(figure, places, len(drawn), len(points), rows)
    return seat_legend(figure, titled=False)


def _unit(points: pd.DataFrame) -> tuple[float, str]:
    """Return what values are divided by, and the title of their axis."""
    if points.empty:
        return 1.0, "time"
    newest = points.iloc[-1]
    if newest["kind"] == "time":
        scale, unit = time_unit(float(points["value"].median()))
        return scale, f"{KINDS['time']} ({unit})"
    references = ", ".join(dict.fromkeys(escape(str(name)[:20]) for name in points["reference"].dropna()))
    return 1.0, KINDS[newest["kind"]].format(reference=references or "the reference")


def _value_axis(points: pd.DataFrame, scale: float) -> dict:
    """Return range and ticks of the logarithmic axis of values: around the points, intervals cut at 1.5 times beyond them."""
    if points.empty:
        return {"showticklabels": False}
    values = points["value"] / scale
    low, high = float(values.min()) / 1.5, float(values.max()) * 1.5
    ends = [(points[name] / scale).clip(low, high) for name in ("low", "high")]
    return logarithmic([*values, *ends[0].dropna(), *ends[1].dropna()])


def _thinned(points: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """Return as many points as fit into the marks, a point and two ends of its band each."""
    most = MOST_MARKS // 4
    if len(points) <= most:
        return points
    around = {*changed["run_id"], *changed["before_run_id"]}
    kept = np.flatnonzero(points["run_id"].isin(around))[: most // 2]
    return points.iloc[sorted({*kept, *thin(len(points), most - len(kept))})]


def lines_of(drawn: Sequence[Any], place: Mapping[str, int], over: Sequence[float], small: bool = False) -> list[Trace]:
    """Return the traces of a line per series and segment; keys of the legend once for each kind of point.

    drawn: rows of points; over: what the values of each are divided by; place: of each run; small: of a panel of many.
    """
    lines: dict[tuple, list[tuple[Any, float]]] = {}
    for row, divisor in zip(drawn, over, strict=True):
        lines.setdefault((*(getattr(row, name) for name in SERIES), row.segment), []).append((row, divisor))
    traces: list[Trace] = []
    shown = set()
    for line in lines.values():
        name = str(line[0][0].implementation)
        colour, symbol = implementation_colour(name), implementation_marker(name)
        at = np.array([place[row.run_id] for row, _ in line])
        value, low, high = (
            finite([getattr(row, key) / divisor for row, divisor in line]) for key in ("value", "low", "high")
        )
        traces += bands(at, low, high, colour)
        traces.append({
            "type": "scatter", "x": at, "y": value, "mode": "lines", "line": {"color": colour, "width": 1.5},
            "hoverinfo": "skip", "showlegend": False,
        })  # fmt: skip
        doubtful = np.array([bool(row.inconclusive) for row, _ in line])
        for words, chosen, mark in (
            ("point", ~doubtful, symbol), ("inconclusive: disturbed by others", doubtful, f"{symbol}-open"),
        ):  # fmt: skip
            if not chosen.any():
                continue
            facts = [
                (_hover(row, row.value / divisor if small else None), row.run_id, click_key(row.case_id))
                for row, divisor in (line[number] for number in np.flatnonzero(chosen))
            ]
            traces.append({
                "type": "scatter", "x": at[chosen], "y": value[chosen], "mode": "markers", "name": words, "legendgroup": words,
                "showlegend": not small and words not in shown, "customdata": _as_array(facts),
                "marker": {"symbol": mark, "size": 5 if small else 8, "color": colour},
                "hovertemplate": "%{customdata[0]}<extra></extra>",
            })  # fmt: skip
            shown.add(words)
    return traces


def _as_array(rows: list[tuple]) -> np.ndarray:
    return np.array(rows, dtype=object)


def _hover(row, relative: float | None = None) -> str:
    """Return what is told of a point; relative: its value / that of the first point of a small panel, which tells less."""
    words = [
        f"<b>{value_words(row.kind, row.value, row.low, row.high)}</b>",
        f"{version(row.git_sha, row.run_id, row.git_dirty)}, {date_label(str(row.time_utc))}",
    ]
    if relative is None:
        words.append(f"n = {row.runs} run{'' if row.runs == 1 else 's'}, the newest {escape(row.run_id)}")
        words += [] if row.kind == "time" else [f"time of one call {time_text(row.time_ns)}"]
    else:
        words.append(f"{significant(relative)} of this panel's first point")
    words += [] if is_missing(row.verdict) else [f"verdict: {escape(str(row.verdict))}"]
    words += ["inconclusive: others disturbed over a fifth of its samples"] if row.inconclusive else []
    return "<br>".join(words)


def _add_changes(figure: go.Figure, points: pd.DataFrame, changed: pd.DataFrame) -> None:
    """Mark each change between the two versions that it lies between, with its size in words, in turn higher and lower."""
    place = dict(zip(points["run_id"], points["place"], strict=True))
    for number, step in enumerate(changed.sort_values("position").itertuples()):
        at = (place[step.run_id] + place[step.before_run_id]) / 2
        colour = SLOWER if step.change > 0 else FASTER
        figure.add_shape(
            type="line", x0=at, x1=at, y0=0, y1=1, xref="x", yref="y domain", line={"color": colour, "width": 2}
        )  # fmt: skip
        middle = at < (points["place"].max() + points["place"].min()) / 2
        figure.add_annotation(
            x=at, y=1 - 0.08 * (number % 4), xref="x", yref="y domain", xanchor="left" if middle else "right", yanchor="top",
            showarrow=False, text=f" {change_words(step.change, step.low, step.high)} ", font={"color": colour, "size": 13},
        )  # fmt: skip


def _add_environments(figure: go.Figure, places: pd.DataFrame) -> None:
    """Draw a dashed line where the environment class is another than at the place before."""
    classes = places["environment_class"].fillna("")
    fresh = places[(classes != classes.shift()) & (places["place"] > 0)]
    if fresh.empty or len(fresh) > MOST_ENVIRONMENTS:
        return
    for row in fresh.itertuples():
        figure.add_shape(
            type="line", x0=row.place - 0.5, x1=row.place - 0.5, y0=0, y1=1, xref="x", yref="y domain",
            line={"color": LINE, "width": 2, "dash": "dash"},
        )  # fmt: skip
    figure.add_scatter(
        x=[None], y=[None], mode="lines", line={"color": LINE, "dash": "dash"}, name="new environment", row=1, col=1
    )


def _add_failures(figure: go.Figure, failed: pd.DataFrame) -> None:
    for status, rows in failed.groupby("status", sort=False):
        colour = STATUS.get(str(status), LINE)
        kept = rows.iloc[thin(len(rows), 200)]
        figure.add_scatter(
            x=kept["place"], y=[0] * len(kept), mode="markers", name=str(status).replace("_", " "), row=2, col=1,
            marker={"symbol": STATUS_SYMBOLS.get(str(status), "x"), "size": 10, "color": colour, "line": {"width": 2, "color": colour}},
            customdata=[
                (f"<b>{str(row.status).replace('_', ' ')}</b>, {version(row.git_sha, row.run_id, row.git_dirty)}<br>{_reason(row)}", row.run_id, click_key(row.case_id))
                for row in kept.itertuples()
            ],
            hovertemplate="%{customdata[0]}<extra></extra>",
        )  # fmt: skip


def _reason(row) -> str:
    text = "no reason given" if is_missing(row.reason) else str(row.reason)
    return escape(text if len(text) <= LONGEST else text[:LONGEST] + " …")


def _set_places(figure: go.Figure, places: pd.DataFrame, drawn: int, points: int, rows: int) -> None:
    ticks = thin(len(places), MOST_TICKS)
    note = "" if drawn == points else f"<br>{drawn:,} of {points:,} points drawn, spread evenly"
    labels = [place_label(place) for place in places.iloc[ticks].itertuples()]
    figure.update_xaxes(range=[-0.6, len(places) - 0.4], tickvals=ticks, ticktext=labels, tickangle=0, showgrid=False)
    figure.update_xaxes(title_text=f"commits, in the order of their runs{note}", row=rows, col=1)
    if rows == 2:
        figure.update_xaxes(showticklabels=False, row=1, col=1)
        figure.update_yaxes(tickvals=[0], ticktext=["no time"], range=[-1, 1], showgrid=False, row=2, col=1)
