"""Trade-off: time or speed-up against error, memory or half-life, a point per implementation, the frontier as steps."""

import html
import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.analyze.frontier import on_frontier
from gatebench.report.ci.words import size_text
from gatebench.report.colours import implementation_colour, implementation_marker
from gatebench.report.figures.axes import capped, logarithmic, never_line, ticks_between, time_ticks
from gatebench.report.figures.keys import click_key
from gatebench.report.figures.layout import MUTED, dress, empty, seat_legend
from gatebench.report.names import competitors, gate_names
from gatebench.report.quantities import (
    estimate_text,
    is_missing,
    range_text,
    significant,
    times_text,
)

AGAINST = {  # quantity on the upright axis -> what it is called
    "error_ratio": "error ratio (1: as exact as eager)",
    "peak_bytes": "peak memory of one call",
    "saved_bytes": "memory kept for the backward",
    "half_life": "half-life of gradients, steps",
}
SPEEDS = {"time": "time of one call", "speedup": "speed-up over the baseline"}
_MORE = ("speedup", "half_life")  # of which more is better
_X = {"time": ("time_ns", "ci_low_ns", "ci_high_ns"), "speedup": ("speedup", "speedup_low", "speedup_high")}
_LONGEST = 30  # letters of a name
_BYTE_TICKS = 6
POINTS = [
    "name", "implementation", "case_id", "side", "status", "reason", "blocks", "x", "x_low", "x_high", "y", "y_low", "y_high", "frontier", "missing",
]  # fmt: skip


def trade_off_points(
    compared: pd.DataFrame, against: str, speed: str = "time", half_lives: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return one row per case, columns POINTS.

    compared: from analyze.compare, the cases of one shape, mode, dtype and device; of one gate, but for half-lives.
    half_lives: gate, options, half_life, half_life_low, half_life_high: a half-life is the gate's, whatever computes it.
    x, x_low, x_high are ns, or speed-ups; y is in the quantity's unit, its ends only of half-lives, for errors and
    memory are the same in every block. `missing` says why a case has no point; it is empty where there is one.
    """
    gates = gate_names(compared)
    names = competitors(compared)
    if gates.nunique() > 1:
        names = gates + " by " + names
    points = compared.assign(
        name=names, **{new: compared[old] for new, old in zip(("x", "x_low", "x_high"), _X[speed], strict=True)}
    )
    if against == "half_life":
        points = _with_half_lives(points, half_lives)
    else:
        points = points.assign(y=compared[against].astype(float), y_low=np.nan, y_high=np.nan)
    points["missing"] = [_missing(row, against, speed) for row in points.itertuples()]
    shown = points["missing"] == ""
    x, y = (points[name].astype(float).where(shown) for name in "xy")
    points["frontier"] = on_frontier(x, y, speed in _MORE, against in _MORE)
    return points[POINTS].reset_index(drop=True)


def _with_half_lives(points: pd.DataFrame, half_lives: pd.DataFrame | None) -> pd.DataFrame:
    found = {} if half_lives is None else {(row.gate, row.options): row for row in half_lives.itertuples()}
    rows = [found.get(key) for key in zip(points["gate"], points["gate_options"], strict=True)]
    columns = {"y": "half_life", "y_low": "half_life_low", "y_high": "half_life_high"}
    return points.assign(
        **{
            name: [math.nan if row is None else getattr(row, column) for row in rows]
            for name, column in columns.items()
        }
    )


def _missing(row: Any, against: str, speed: str) -> str:
    if is_missing(row.x):
        if row.status != "ok":
            return f"{row.status.replace('_', ' ')}: {'no reason given' if is_missing(row.reason) else row.reason}"
        return "no time" if is_missing(row.time_ns) else f"no {SPEEDS[speed]}: the baseline has no time here"
    if is_missing(row.y):
        return "no half-life of this gate there" if against == "half_life" else f"{AGAINST[against]}: not measured"
    return ""


def trade_off_figure(points: pd.DataFrame, against: str, speed: str = "time") -> go.Figure:
    """Draw a point per case, its intervals as bars, and the frontier; points: from `trade_off_points`.

    Each point has customdata [hover text, click_key of its case id, side]. Points on the frontier are labelled; what never ends is drawn
    on a line above all others.
    """
    shown = points[points["missing"] == ""]
    if shown.empty:
        return empty("No case here has both numbers; the list below says why.")
    never = never_line(shown[["y", "y_high"]]) if against == "half_life" else None
    shown = shown.assign(**{name: capped(shown[name], never) for name in ("y", "y_low", "y_high")})
    figure = go.Figure()
    _add_frontier(figure, shown, speed)
    for implementation, rows in shown.groupby("implementation", sort=False):
        _add_points(figure, str(implementation), rows, points, against, speed)
    dress(figure, 470)
    figure.update_xaxes(title_text=SPEEDS[speed], **_speed_axis(shown, speed))
    figure.update_yaxes(title_text=AGAINST[against], **_against_axis(shown, against, never))
    return seat_legend(figure, titled=False)


def _add_frontier(figure: go.Figure, shown: pd.DataFrame, speed: str) -> None:
    best = shown[shown["frontier"]].sort_values(["x", "y"])
    # Between two of them the slower one's y is out of reach at that speed.
    figure.add_scatter(
        x=best["x"], y=best["y"], mode="lines", name="frontier", hoverinfo="skip",
        line={"color": MUTED, "width": 2, "dash": "dot", "shape": "vh" if speed in _MORE else "hv"},
    )  # fmt: skip


def _add_points(
    figure: go.Figure, implementation: str, rows: pd.DataFrame, points: pd.DataFrame, against: str, speed: str
) -> None:
    colour, symbol = implementation_colour(implementation), implementation_marker(implementation)
    told = points.loc[rows.index]  # as measured, not as drawn
    figure.add_scatter(
        x=rows["x"], y=rows["y"], mode="markers+text", name=_short(implementation), cliponaxis=False,
        textposition=f"{'top' if against in _MORE else 'bottom'} center",  # where the frontier does not go
        text=[_short(row.name) if row.frontier else "" for row in rows.itertuples(index=False)],
        marker={
            "symbol": [symbol if frontier else f"{symbol}-open" for frontier in rows["frontier"]], "size": 11, "color": colour,
            "line": {"width": 1.5, "color": colour},
        },
        error_x=_bars(rows, "x", colour), error_y=_bars(rows, "y", colour),
        customdata=[[_hover(row, against, speed), click_key(row.case_id), row.side] for row in told.itertuples(index=False)],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )  # fmt: skip


def _bars(rows: pd.DataFrame, axis: str, colour: str) -> dict:
    up, down = rows[f"{axis}_high"] - rows[axis], rows[axis] - rows[f"{axis}_low"]
    return {
        "type": "data", "symmetric": False, "array": up, "arrayminus": down, "color": colour, "thickness": 1, "width": 3,
    }  # fmt: skip


def _hover(row: Any, against: str, speed: str) -> str:
    n = "" if is_missing(row.blocks) else f"n = {int(row.blocks)} block{'' if row.blocks == 1 else 's'}"
    lines = [
        f"<b>{_short(row.name)}</b>", f"{SPEEDS[speed]}: {speed_text(row, speed)}", n, f"{AGAINST[against]}: {against_text(row, against)}",
        "on the frontier" if row.frontier else "another one is as good in both, and better in one",
    ]  # fmt: skip
    return "<br>".join(line for line in lines if line)


def speed_text(row: Any, speed: str) -> str:
    """Return a point's time or speed-up with its interval."""
    if speed == "time":
        return estimate_text(row.x, row.x_low, row.x_high)
    return times_text(row.x) if row.x_low == row.x_high else times_text(row.x, row.x_low, row.x_high)


def against_text(row: Any, against: str) -> str:
    """Return a point's error ratio, memory, or half-life with its deciles."""
    if is_missing(row.y):
        return "–"
    if against == "half_life":
        return range_text(row.y, row.y_low, row.y_high, "never")
    return size_text(row.y) if against.endswith("_bytes") else significant(row.y, 2)


def _speed_axis(shown: pd.DataFrame, speed: str) -> dict:
    values = pd.concat([shown[name] for name in ("x", "x_low", "x_high")]).dropna().astype(float)
    if speed == "speedup":
        axis = logarithmic(values)
        return axis | {"ticktext": [f"{label}×" for label in axis["ticktext"]]}
    room = 1.3  # labels stand over the first and the last point, too
    low, high = values.min() / room, values.max() * room
    ticks, labels = time_ticks(low, high)
    return {"type": "log", "tickvals": ticks, "ticktext": labels, "range": [math.log10(low), math.log10(high)]}


def _against_axis(shown: pd.DataFrame, against: str, never: float | None) -> dict:
    values = pd.concat([shown[name] for name in ("y", "y_low", "y_high")]).dropna().astype(float)
    if against.endswith("_bytes"):
        return _byte_axis(values)
    if (values <= 0).any():
        top = 1.15 * values.max() or 1
        return {"range": [-0.12 * top, top]}  # a label stands below a point at 0
    axis = logarithmic(values if never is None else values[values < never], never)
    low, high = axis["range"]
    room = 0.08 * (high - low)  # for the labels of the outermost points
    return axis | {"range": [low - room, high + room]}


def _byte_axis(values: pd.Series) -> dict:
    """Return an axis in powers of two, or from 0 on where something takes no memory."""
    low, high = float(values.min()), float(values.max())
    if low <= 0:
        step = 2.0 ** math.ceil(math.log2(max(high, 1.0) / _BYTE_TICKS))
        ticks = [step * number for number in range(_BYTE_TICKS + 1)]
        top = 1.15 * high or 1
        ends: dict[str, Any] = {"range": [-0.12 * top, top]}
    else:
        low, high = low / 1.25, high * 1.25
        ticks = _byte_ticks(low, high)
        ends = {"type": "log", "range": [math.log10(low), math.log10(high)]}
    return ends | {"tickvals": ticks, "ticktext": [size_text(tick) for tick in ticks]}


def _byte_ticks(low: float, high: float) -> list[float]:
    """Return powers of two, or where few of them lie between, even steps in the unit of the largest."""
    exponents = range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)
    if len(exponents) > 2:
        return [2.0**exponent for exponent in exponents][:: -(-len(exponents) // _BYTE_TICKS)]
    unit = next((scale for scale in (2.0**30, 2.0**20, 2.0**10) if high >= scale), 1.0)
    return [tick * unit for tick in ticks_between(low / unit, high / unit)]


def _short(text: str) -> str:
    """Return text that plotly shows as it is, cut where it is too long."""
    clean = " ".join(str(text).split())
    return html.escape(clean if len(clean) <= _LONGEST else clean[: _LONGEST - 1] + "…", quote=False)
