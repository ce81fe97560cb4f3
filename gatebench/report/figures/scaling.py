"""Scaling: time, share of the ceiling or speed-up against T, H or B, a line and band per competitor, crossovers marked."""

from collections import Counter

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.report.colours import (
    STATUS,
    STATUS_SYMBOLS,
    implementation_colour,
    implementation_marker,
    translucent,
)
from gatebench.report.figures.axes import tick_label, ticks_between, time_ticks
from gatebench.report.figures.curves import band_edge
from gatebench.report.figures.keys import click_key
from gatebench.report.figures.layout import LINE, MOST_MARKS, MUTED, dress, empty, seat_legend
from gatebench.report.figures.panels import make_panels
from gatebench.report.names import competitors, shown
from gatebench.report.quantities import is_missing, significant, size_ticks, time_text
from gatebench.report.scaling import AXES, PER, SHARE, TIME, Per, scaling_points
from gatebench.words import counted

DASHES = ("dash", "dot", "dashdot")  # of an implementation's variants; without options it is solid
MOST_CROSSOVERS = 40  # marks; the table has all
LONGEST_NAME = 40  # letters of a competitor
WIDEST = 10.0  # times the values that an axis reaches for a band
_KEYS = 10  # marks of what stands in the legend alone


def scaling_figure(
    measurements: pd.DataFrame, axis: str = "seq_len", per: str = "call", crossings: pd.DataFrame | None = None
) -> go.Figure:
    """Draw time, share or speed-up (`per`, one of PER) against T, H or B; needs the columns of `scaling_points`.

    Bands are 95 % intervals over blocks. A line breaks where a size has no value; a strip below says what became of it.
    crossings: of analyze.scaling.crossovers, marked where the two lines cross. At most 5,000 marks: beyond, the competitors
    listed last are left out and the title says so. A point's customdata is its hover text, and the click_key of its
    case_id where it has a value.
    """
    points = scaling_points(measurements, axis, per)
    if points["value"].notna().sum() == 0:
        without = points["time_ns"].notna().any()
        return empty(f"No case here has a {'number' if without else 'time'}; the table below says why.")
    points, left_out = _limited(points)
    missing = points[points["value"].isna()]
    lanes = list(dict.fromkeys(missing["competitor"]))
    strip = 24 * len(lanes) + 8
    figure = make_panels(
        rows=2 if lanes else 1, cols=1, shared_xaxes=True, vertical_spacing=0.03,
        row_heights=[400, strip] if lanes else [1],
    )  # fmt: skip
    lines = [(name, line) for name, line in points.groupby("competitor", sort=False) if line["value"].notna().any()]
    variants: Counter[str] = Counter()
    for name, line in lines:
        implementation, dash = str(line["implementation"].iloc[0]), "solid"
        if name != implementation:
            dash = DASHES[variants[implementation] % len(DASHES)]
            variants[implementation] += 1
        _add_line(figure, str(name), line, dash, PER[per])
    _add_crossings(figure, crossings, dict(lines))
    _add_missing(figure, missing)
    dress(figure, 480 + (strip if lanes else 0))
    _set_axes(figure, points, lanes, axis, PER[per])
    seat_legend(figure, titled=False)
    if left_out:
        figure.add_annotation(
            text=f"{left_out} competitors left out", xref="paper", yref="paper", x=1, y=1, xanchor="right", yanchor="bottom",
            showarrow=False, font={"size": 12, "color": MUTED},
        )  # fmt: skip
    return figure


def _limited(points: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the points of as many competitors as fit into the marks (a point and two band ends each)."""
    names = list(dict.fromkeys(points["competitor"]))
    per_name = max(1, points["size"].nunique() * 3)
    kept = names[: max(1, (MOST_MARKS - MOST_CROSSOVERS - _KEYS) // per_name)]
    return points[points["competitor"].isin(kept)], len(names) - len(kept)


def _add_line(figure: go.Figure, name: str, line: pd.DataFrame, dash: str, per: Per) -> None:
    implementation = line["implementation"].iloc[0]
    colour = implementation_colour(implementation)
    label = shown(name, LONGEST_NAME)
    for band in _unbroken(line.dropna(subset=["low", "high"]), line):
        outline = [*band["high"], *band["low"][::-1]]
        figure.add_scatter(
            x=[*band["size"], *band["size"][::-1]], y=outline, fill="toself", mode="lines", line=band_edge(len(band), colour),
            fillcolor=translucent(colour, 0.22), hoverinfo="skip", showlegend=False, legendgroup=label,
        )  # fmt: skip
    figure.add_scatter(
        x=line["size"], y=line["value"], mode="lines+markers", name=label, legendgroup=label,
        connectgaps=False, line={"color": colour, "width": 2, "dash": dash},
        marker={"symbol": implementation_marker(implementation), "size": 9, "color": colour},
        customdata=[(_hover(row, per), _case(row)) for row in line.itertuples()],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )  # fmt: skip


def _unbroken(with_interval: pd.DataFrame, line: pd.DataFrame) -> list[pd.DataFrame]:
    """Split a competitor's points with an interval where a measured size in between has none."""
    place = {size: number for number, size in enumerate(line["size"])}
    jumps = with_interval["size"].map(place).diff().fillna(1) > 1
    return [part for _, part in with_interval.groupby(jumps.cumsum())]


def _hover(row, per: Per) -> str:
    interval = f"{per.text(row.low)} to {per.text(row.high)}"
    if is_missing(row.low) or is_missing(row.high):
        interval = "no interval (one block)" if row.blocks == 1 else "no interval"
    lines = [f"<b>{shown(row.competitor)}</b> at {row.size}", per.text(row.value), f"95 %: {interval}"]
    counts = [
        counted(int(count), what)
        for count, what in ((row.blocks, "block"), (row.samples, "sample"))
        if not is_missing(count)
    ]
    lines += [f"n = {', '.join(counts)}"] if counts else []
    if per.title != PER["call"].title:
        lines.append(f"{time_text(row.time_ns)} a call")
    works = ((row.flops, "GFLOP/s"), (row.bytes_min, "GB/s"))
    rates = [
        f"{significant(work / row.time_ns)} {unit}"
        for work, unit in works
        if not is_missing(work) and not is_missing(row.time_ns)
    ]
    lines += [", ".join(rates)] if rates else []
    if isinstance(row.bound, str):
        lines.append(f"bound by {'the matrix product' if row.bound == 'compute' else 'memory'}")
    return "<br>".join(lines)


def _case(row) -> str | None:
    return click_key(row.case_id) if isinstance(row.case_id, str) and not is_missing(row.value) else None


def _add_crossings(figure: go.Figure, crossings: pd.DataFrame | None, lines: dict[str, pd.DataFrame]) -> None:
    """Mark where lines cross, on the line of the one that is faster below."""
    if crossings is None or crossings.empty:
        return
    others = crossings[["other", "other_options"]].set_axis(["implementation", "implementation_options"], axis=1)
    named = crossings.assign(competitor=competitors(crossings), over=competitors(others))
    named = named[named["competitor"].isin(lines) & named["over"].isin(lines)][:MOST_CROSSOVERS]
    figure.add_scatter(
        x=named["size"], y=[_height(lines[row.competitor], row.size) for row in named.itertuples()], mode="markers",
        name="crossover", marker={"symbol": "circle-open", "size": 17, "color": LINE, "line": {"width": 2}},
        customdata=[
            f"<b>about {significant(row.size)}</b>, between {row.below} and {row.above}<br>below: {shown(row.competitor)} is faster"
            f"<br>above: {shown(row.over)} is faster"
            for row in named.itertuples()
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _height(line: pd.DataFrame, size: float) -> float:
    """Return the value of a drawn line between its points, linear in logs."""
    known = line[line["value"].notna()]
    return float(
        np.exp(np.interp(np.log(size), np.log(known["size"].astype(float)), np.log(known["value"].astype(float))))
    )


def _add_missing(figure: go.Figure, missing: pd.DataFrame) -> None:
    for status, rows in missing.groupby("status"):
        colour = STATUS.get(str(status), MUTED)
        figure.add_scatter(
            row=2, col=1, x=rows["size"], y=[shown(name, LONGEST_NAME) for name in rows["competitor"]], mode="markers",
            name=str(status).replace("_", " "),
            marker={
                "symbol": STATUS_SYMBOLS.get(str(status), "line-ns"), "size": 9, "color": colour,
                "line": {"width": 2, "color": colour},
            },
            customdata=[
                f"{shown(row.competitor)} at {row.size}: {row.status.replace('_', ' ')}"
                + ("" if is_missing(row.reason) else f"<br>{shown(row.reason, 200)}")
                for row in rows.itertuples()
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip


def _set_axes(figure: go.Figure, points: pd.DataFrame, lanes: list[str], axis: str, per: Per) -> None:
    sizes = size_ticks(list(points["size"]))
    ends = np.log10([points["size"].min(), points["size"].max()]) + np.array([-0.06, 0.06])
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=[str(size) for size in sizes], range=list(ends))
    figure.update_xaxes(title_text=AXES[axis], row=2 if lanes else 1, col=1)
    lows, highs = points["low"].fillna(points["value"]), points["high"].fillna(points["value"])
    # Where samples are few an interval may span decades: the lines, too, are to be seen.
    least, most = float(points["value"].min()) / WIDEST, float(points["value"].max()) * WIDEST
    cut = bool(lows.min() < least or highs.max() > most)
    low, high = max(float(lows.min()), least) / 1.15, min(float(highs.max()), most) * 1.15
    if per.kind != TIME:  # what 100 % and 1× are is seen, too
        low, high = min(low, 1 / 1.15), max(high, 1.15)
        figure.add_hline(y=1, line={"color": LINE, "width": 1.5, "dash": "dot"}, row=1, col=1)
    values, labels = _ticks(low, high, per)
    figure.update_yaxes(
        type="log",
        tickvals=values,
        ticktext=labels,
        title_text=per.title + "<br>(bands run on beyond the edges)" * cut,
        range=list(np.log10([low, high])),
        row=1,
        col=1,
    )
    if lanes:
        figure.update_xaxes(showticklabels=False, row=1, col=1)
        names = [shown(name, LONGEST_NAME) for name in lanes]
        figure.update_yaxes(
            type="category", categoryarray=names[::-1], range=[-0.6, len(lanes) - 0.4], showgrid=False,
            title_text="no value" if per.kind != TIME else "no time", tickfont={"size": 12}, row=2, col=1,
        )  # fmt: skip


def _ticks(low: float, high: float, per: Per) -> tuple[list[float], list[str]]:
    if per.kind == TIME:
        return time_ticks(low, high)
    factor, unit = (100.0, " %") if per.kind == SHARE else (1.0, "×")
    ticks = ticks_between(low * factor, high * factor)
    return [tick / factor for tick in ticks], [f"{tick_label(tick)}{unit}" for tick in ticks]
