"""Scaling: time against T or H on logarithmic axes, one line and band per competitor, what is missing below."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gatebench.report.colours import (
    STATUS,
    STATUS_SYMBOLS,
    implementation_colour,
    implementation_marker,
    translucent,
)
from gatebench.report.figures.layout import MOST_MARKS, dress, empty
from gatebench.report.names import TOKEN_FAMILIES, competitors
from gatebench.report.quantities import interval_text, is_missing, size_ticks, time_text, time_ticks

AXES = {"seq_len": "T (sequence length, steps)", "hidden_size": "H (hidden size)"}
PER = {"call": "time of one call", "step": "time per step", "token": "time per token (one step of one sequence)"}
DASHES = ("solid", "dash", "dot", "dashdot")


def scaling_points(measurements: pd.DataFrame, axis: str = "seq_len", per: str = "call") -> pd.DataFrame:
    """Return one row per competitor and measured size, those nobody measured included.

    Columns needed: implementation, implementation_options, batch, seq_len, hidden_size, time_ns, ci_low_ns,
    ci_high_ns, blocks, samples, status, reason; the rows of one slice, where only `axis` and the competitor vary.
    Columns returned: competitor, implementation, size, value_ns, low_ns, high_ns (per call, step = call / T, or
    token = call / (B T), nothing where B T are no tokens), blocks, samples, status (`not measured` too), reason.
    """
    rows = measurements.assign(competitor=competitors(measurements), size=measurements[axis].astype(int))
    divisor = pd.Series(1.0, index=rows.index)
    if per in ("step", "token"):
        divisor *= rows["seq_len"]
    if per == "token":
        divisor = (divisor * rows["batch"]).where(rows["family"].isin(TOKEN_FAMILIES))
    for name, source in (("value_ns", "time_ns"), ("low_ns", "ci_low_ns"), ("high_ns", "ci_high_ns")):
        rows[name] = rows[source] / divisor
    keep = ["competitor", "implementation", "size", "value_ns", "low_ns", "high_ns", "blocks", "samples"]
    points = rows[[*keep, "status", "reason"]]
    return pd.concat([points, _not_measured(points)]).sort_values(["competitor", "size"], ignore_index=True)


def _not_measured(points: pd.DataFrame) -> pd.DataFrame:
    names = points.drop_duplicates("competitor")[["competitor", "implementation"]]
    sizes = points[["size"]].drop_duplicates()
    every = names.merge(sizes, how="cross")
    seen = set(zip(points["competitor"], points["size"], strict=True))
    absent = [pair not in seen for pair in zip(every["competitor"], every["size"], strict=True)]
    return (
        every[absent].assign(status="not measured", reason="nobody asked for this case").reindex(columns=points.columns)
    )


def scaling_figure(measurements: pd.DataFrame, axis: str = "seq_len", per: str = "call") -> go.Figure:
    """Draw time against T or H; needs the columns of `scaling_points`.

    Bands are 95 % intervals over blocks. A line breaks where a size has no time; a strip below says what became
    of it. At most 5,000 marks: beyond, the competitors listed last are left out and the title says so.
    """
    points = scaling_points(measurements, axis, per)
    if points["value_ns"].notna().sum() == 0:
        return empty("No case here has a time; the table below says why.")
    points, left_out = _limited(points)
    missing = points[points["value_ns"].isna()]
    lanes = list(dict.fromkeys(missing["competitor"]))
    strip = 24 * len(lanes) + 8
    figure = make_subplots(
        rows=2 if lanes else 1, cols=1, shared_xaxes=True, vertical_spacing=0.03,
        row_heights=[400, strip] if lanes else [1],
    )  # fmt: skip
    for number, (name, line) in enumerate(_by_age(points)):
        _add_line(figure, name, line, DASHES[number % len(DASHES)])
    _add_missing(figure, missing)
    dress(figure, 480 + (strip if lanes else 0))
    _set_axes(figure, points, lanes, axis, PER[per])
    if left_out:
        figure.update_layout(title={"text": f"{left_out} competitors left out", "font": {"size": 13}})
    return figure


def _limited(points: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the points of as many competitors as fit into the marks (a point and two band ends each)."""
    names = list(dict.fromkeys(points["competitor"]))
    per_name = max(1, points["size"].nunique() * 3)
    kept = names[: max(1, MOST_MARKS // per_name)]
    return points[points["competitor"].isin(kept)], len(names) - len(kept)


def _by_age(points: pd.DataFrame):
    """Yield (competitor, its points), numbered dashes starting anew for each implementation."""
    return [(name, line) for name, line in points.groupby("competitor", sort=False) if line["value_ns"].notna().any()]


def _add_line(figure: go.Figure, name: str, line: pd.DataFrame, dash: str) -> None:
    implementation = line["implementation"].iloc[0]
    colour = implementation_colour(implementation)
    for band in _unbroken(line.dropna(subset=["low_ns", "high_ns"]), line):
        outline = [*band["high_ns"], *band["low_ns"][::-1]]
        figure.add_scatter(
            x=[*band["size"], *band["size"][::-1]], y=outline, fill="toself", mode="lines", line={"width": 0},
            fillcolor=translucent(colour, 0.22), hoverinfo="skip", showlegend=False, legendgroup=name,
        )  # fmt: skip
    figure.add_scatter(
        x=line["size"], y=line["value_ns"], mode="lines+markers", name=name, legendgroup=name, connectgaps=False,
        line={"color": colour, "width": 2, "dash": "solid" if name == implementation else dash or "dash"},
        marker={"symbol": implementation_marker(implementation), "size": 9, "color": colour},
        customdata=[_hover(row) for row in line.itertuples()], hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _unbroken(with_interval: pd.DataFrame, line: pd.DataFrame) -> list[pd.DataFrame]:
    """Split a competitor's points with an interval where a measured size in between has none."""
    place = {size: number for number, size in enumerate(line["size"])}
    jumps = with_interval["size"].map(place).diff().fillna(1) > 1
    return [part for _, part in with_interval.groupby(jumps.cumsum())]


def _hover(row) -> str:
    n = "" if is_missing(row.blocks) else f"<br>n = {int(row.blocks)} blocks, {int(row.samples)} samples"
    return (
        f"<b>{row.competitor}</b> at {row.size}<br>{time_text(row.value_ns)}"
        f"<br>95 %: {interval_text(row.low_ns, row.high_ns, row.blocks)}{n}"
    )


def _add_missing(figure: go.Figure, missing: pd.DataFrame) -> None:
    for status, rows in missing.groupby("status"):
        figure.add_scatter(
            row=2, col=1, x=rows["size"], y=rows["competitor"], mode="markers", name=status.replace("_", " "),
            marker={
                "symbol": STATUS_SYMBOLS.get(status, "x"), "size": 9, "color": STATUS.get(status, "#8C8C8C"),
                "line": {"width": 2, "color": STATUS.get(status, "#8C8C8C")},
            },
            customdata=[f"{row.competitor} at {row.size}: {status}<br>{row.reason or ''}" for row in rows.itertuples()],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip


def _set_axes(figure: go.Figure, points: pd.DataFrame, lanes: list[str], axis: str, title: str) -> None:
    sizes = size_ticks(list(points["size"]))
    ends = np.log10([points["size"].min(), points["size"].max()]) + np.array([-0.06, 0.06])
    figure.update_xaxes(type="log", tickvals=sizes, ticktext=[str(size) for size in sizes], range=list(ends))
    figure.update_xaxes(title_text=AXES[axis], row=2 if lanes else 1, col=1)
    lows, highs = points["low_ns"].fillna(points["value_ns"]), points["high_ns"].fillna(points["value_ns"])
    low, high = float(lows.min()) / 1.15, float(highs.max()) * 1.15
    values, labels = time_ticks(low, high)
    figure.update_yaxes(
        type="log", tickvals=values, ticktext=labels, title_text=title, range=list(np.log10([low, high])), row=1, col=1
    )
    if lanes:
        figure.update_xaxes(showticklabels=False, row=1, col=1)
        figure.update_yaxes(
            type="category", categoryarray=lanes[::-1], range=[-0.6, len(lanes) - 0.4], showgrid=False,
            title_text="no time", tickfont={"size": 12}, row=2, col=1,
        )  # fmt: skip
