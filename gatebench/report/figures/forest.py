"""Forest plot of two sides: a row per case, its effect with interval on a logarithmic axis, a line where nothing differs."""

import html
import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.analyze.sides import CHANGE, TOLD_APART, Sides
from gatebench.report.ci.words import QUANTITIES
from gatebench.report.colours import implementation_colour, implementation_marker, translucent
from gatebench.report.figures.axes import tick_label, ticks_between
from gatebench.report.figures.keys import click_key
from gatebench.report.figures.layout import LINE, MUTED, dress, empty, seat_legend
from gatebench.report.names import competitors
from gatebench.report.quantities import is_missing
from gatebench.report.side_words import (
    MEASURES,
    TIMES,
    amount_text,
    blocks_text,
    case_names,
    effect_text,
    group_names,
    outcome_text,
)
from gatebench.words import counted

MOST_ROWS = 60  # cases drawn at once; beyond, those with the smallest effects are left out
BEYOND = 3.0  # an interval is drawn up to this factor beyond all estimates; further, the estimates would be squeezed
_OUT_OF_SIGHT = 1.5  # an interval that goes on ends this factor beyond the axis: no cap says that it ended
ROW = 23  # pixels of height
TALL = 15  # cases; with more, the axis below is out of sight
_MOST_ARMS = 0.9  # share of the intervals' halves that are drawn whole, unless BEYOND cuts them
_LETTER = 5.5  # pixels of width that a letter of a name has at least, on average
LONGEST_NAME = 34  # letters of a case's or a group's name
MEAN = "geometric mean"
_RATIOS = {"ratio": "value", "ratio_low": "low", "ratio_high": "high"}
_MODES = {"forward": 0, "backward": 1, "forward_backward": 2}


def forest_rows(sides: Sides, most: int = MOST_ROWS) -> pd.DataFrame:
    """Return what the forest draws: the `most` rows with the largest effects, group by group, largest first in each.

    Columns added to those of `Sides.rows`: ratio, ratio_low, ratio_high (the effect as a ratio, 1: no difference), place
    (of the row in Sides.rows), group and case (names). What has no place on a logarithmic axis is left out: no number, or
    a change from or to nothing.
    """
    rows = _with_ratios(sides.rows, sides.measure).assign(place=range(len(sides.rows)))
    rows = rows[_on_axis(rows["ratio"])]
    rows = rows.assign(group=group_names(rows), case=case_names(rows), effect=np.log(rows["ratio"]).abs())
    rows = rows.nlargest(most, "effect", keep="first")
    first = rows.groupby("gate", dropna=False)["place"].transform("min")  # gates as the run lists them
    rows = rows.assign(first=first, order=[_MODES.get(mode, len(_MODES)) for mode in rows["mode"]])
    return rows.sort_values(["first", "order", "group", "effect"], ascending=[True, True, True, False])


def _with_ratios(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return rows or means with their value and its interval as ratios: columns _RATIOS."""
    shift = 1 if measure == CHANGE else 0
    return rows.assign(**{name: rows[source].astype(float) + shift for name, source in _RATIOS.items()})


def _on_axis(ratios: pd.Series) -> pd.Series:
    """Say which ratios have a logarithm; a change from nothing is infinite, one to nothing is 0."""
    return np.isfinite(ratios) & (ratios > 0)


def forest_figure(sides: Sides, quantity: str = "time", most: int = MOST_ROWS) -> go.Figure:
    """Draw effects with their 95 % intervals; a filled marker is told apart (faster, slower), a hollow one is not.

    A diamond is the geometric mean of a group, of all its cases, those left out too. Intervals are cut BEYOND all
    estimates. Lines above the rows count what is not drawn. Each case's point has customdata [hover text, click_key of its
    key]; a mean's has the text alone.
    """
    drawn = forest_rows(sides, most)
    ratios = _with_ratios(sides.rows, sides.measure)["ratio"].dropna()
    placed = int(_on_axis(ratios).sum())
    beyond = len(ratios) - placed
    if drawn.empty and beyond:
        return empty(f"{counted(beyond, 'change')} from or to nothing: no place on this axis; see the table below.")
    if drawn.empty:
        return empty("No case has a number on both sides; the table below says why.")
    places, headers, means = _layout(drawn, _means(sides))
    low, high = _ends(drawn, means, _margin(drawn, sides))
    names = [*drawn["case"], *(_mean_name(mean) for mean in means)]
    figure = go.Figure()
    for name, rows in drawn.assign(competitor=competitors(drawn)).groupby("competitor", sort=False):
        _add_cases(figure, str(name), rows.assign(y=rows["key"].map(places)), sides, quantity, (low, high))
    _add_means(figure, means, sides.measure, (low, high))
    written = [(y, f"<b>{_short(text, 2 * LONGEST_NAME)}</b>", {"size": 12}) for y, text in headers]
    height = ROW * (len(drawn) + len(headers) + len(means)) + 165
    dress(figure, height).update_layout(showlegend=True)  # one competitor is named, too
    _set_axes(figure, drawn, places, means, (low, high), sides.measure, quantity)
    _add_ground(figure, drawn, headers, sides)
    seat_legend(figure, titled=False)
    lines = [f"{len(drawn)} of {placed} cases, the largest effects; the table has all"] if len(drawn) < placed else []
    if beyond:
        has, them = ("has", "it") if beyond == 1 else ("have", "them")
        lines.append(f"{counted(beyond, 'case')} from or to nothing {has} no place on this axis; the table has {them}")
    written += [(-1 - number, text, {"size": 11, "color": MUTED}) for number, text in enumerate(reversed(lines))]
    figure.update_yaxes(range=[figure.layout.yaxis.range[0], -0.7 - len(lines)])
    figure.update_layout(height=figure.layout.height + ROW * len(lines))
    _write(figure, written, names)
    if len(drawn) > TALL:
        _repeat_ticks(figure)
    return figure


def _repeat_ticks(figure: go.Figure) -> None:
    """Write the first tick, 1 and the last one above the rows, too: who reads those of a tall figure sees no axis."""
    axis = figure.layout.xaxis
    ticks = dict(zip(axis.tickvals, axis.ticktext, strict=True))
    shown = dict.fromkeys((min(ticks), 1.0, max(ticks)))
    figure.layout.annotations = [
        *figure.layout.annotations,
        *({"x": math.log10(tick), "y": 1, "xref": "x", "yref": "paper", "text": ticks[tick], "showarrow": False, "yanchor": "bottom"} for tick in shown),
    ]  # fmt: skip
    figure.update_layout(height=figure.layout.height + ROW, margin_t=figure.layout.margin.t + ROW)


def _write(figure: go.Figure, lines: list[tuple[float, str, dict]], names: list[str]) -> None:
    """Write lines (height, text, font) across the figure, from below the names of rows on: they have room at every width."""
    shift = -_LETTER * min(max(map(len, names)), LONGEST_NAME)
    figure.layout.annotations = [
        {"x": 0, "y": y, "xref": "paper", "yref": "y", "text": text, "showarrow": False, "xanchor": "left", "xshift": shift, "font": font}
        for y, text, font in lines
    ]  # all at once: each one added checks all before it  # fmt: skip


def _means(sides: Sides) -> pd.DataFrame:
    means = sides.means.assign(group=group_names(sides.means)) if len(sides.means) else sides.means.assign(group=[])
    means = _with_ratios(means, sides.measure)
    return means[(means["cases"] > 1) & _on_axis(means["ratio"])]


def _layout(drawn: pd.DataFrame, means: pd.DataFrame) -> tuple[dict[str, float], list[tuple[float, str]], list[dict]]:
    """Return heights of the cases by key, of the groups' headers, and the groups' means with theirs; downwards from 0."""
    places: dict[str, float] = {}
    headers, found, y = [], [], 0.0
    by_group = {row["group"]: row for row in means.to_dict("records")}
    for group, rows in drawn.groupby("group", sort=False):
        headers.append((y, str(group)))
        y += 1
        if group in by_group:
            found.append(by_group[group] | {"y": y})
            y += 1
        for key in rows["key"]:
            places[key] = y
            y += 1
    return places, headers, found


def _mean_name(mean: dict) -> str:
    return f"{MEAN} of {mean['cases']}"


def _margin(drawn: pd.DataFrame, sides: Sides) -> float:
    """Return the change that counts as the same, where verdicts share one; else 0."""
    margins = drawn["margin"].dropna().unique()
    return float(margins[0]) if sides.judged and len(margins) == 1 and 0 < margins[0] < 1 else 0.0


def _ends(drawn: pd.DataFrame, means: list[dict], margin: float) -> tuple[float, float]:
    """Return the ends of the axis: all estimates, 1 and its margin, and most intervals, as far as they do not squeeze the estimates."""
    ratios, lows, highs = pd.DataFrame([*drawn.to_dict("records"), *means])[list(_RATIOS)].to_numpy(dtype=float).T
    lows, highs = np.where(np.isnan(lows), ratios, lows), np.where(np.isnan(highs), ratios, highs)
    smallest, largest = min(1 - margin, float(ratios.min())), max(1 + margin, float(ratios.max()))
    arms = np.concatenate([highs / ratios, ratios / lows.clip(min=1e-300)])
    beyond = min(max(largest / smallest, float(np.quantile(arms, _MOST_ARMS))), BEYOND)
    low, high = max(float(lows.min()), smallest / beyond), min(float(highs.max()), largest * beyond)
    low, high = min(low, smallest), max(high, largest)
    room = max((high / low) ** 0.04, 1.001)
    return low / room, high * room


def _add_cases(
    figure: go.Figure, name: str, rows: pd.DataFrame, sides: Sides, quantity: str, ends: tuple[float, float]
) -> None:
    implementation = str(rows["implementation"].iloc[0])
    colour, symbol = implementation_colour(implementation), implementation_marker(implementation)
    figure.add_scatter(
        x=rows["ratio"], y=rows["y"], mode="markers", name=_short(name), error_x=_bars(rows, colour, ends),
        marker={
            "symbol": [symbol if outcome in TOLD_APART else f"{symbol}-open" for outcome in rows["outcome"]],
            "size": 10, "color": colour, "line": {"width": 1.5, "color": colour},
        },
        customdata=[[_hover(row, sides, quantity), click_key(row.key)] for row in rows.itertuples()],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )  # fmt: skip


def _bars(rows: pd.DataFrame, colour: str, ends: tuple[float, float]) -> dict:
    """Return the intervals as error bars, cut out of sight beyond the ends of the axis; none where there is none."""
    lows, highs = (
        rows[name].clip(ends[0] / _OUT_OF_SIGHT, ends[1] * _OUT_OF_SIGHT) for name in ("ratio_low", "ratio_high")
    )
    return {
        "type": "data", "symmetric": False, "array": highs - rows["ratio"], "arrayminus": rows["ratio"] - lows,
        "color": colour, "thickness": 1.5, "width": 3,
    }  # fmt: skip


def _hover(row: Any, sides: Sides, quantity: str) -> str:
    lines = [
        f"<b>{_short(row.group)}</b>", _short(row.case, 60), f"{MEASURES[sides.measure]}: {effect_text(row.value, row.low, row.high, sides.measure, quantity)}",
        f"n = {blocks_text(row)}",
        f"{'verdict: ' if sides.judged else ''}{outcome_text(row.outcome, quantity)}",
        "" if is_missing(row.reason) else _short(row.reason, 90),
        *(f"{side}: {amount_text(*values, quantity)}" for side, values in (("A", (row.amount_a, row.low_a, row.high_a)), ("B", (row.amount_b, row.low_b, row.high_b)))),
    ]  # fmt: skip
    return "<br>".join(line for line in lines if line)


def _add_means(figure: go.Figure, means: list[dict], measure: str, ends: tuple[float, float]) -> None:
    if not means:
        return
    rows = pd.DataFrame(means)
    figure.add_scatter(
        x=rows["ratio"], y=rows["y"], mode="markers", name=f"{MEAN} of a group", error_x=_bars(rows, MUTED, ends),
        marker={"symbol": "diamond-wide", "size": 13, "color": MUTED},
        customdata=[
            [f"<b>{_short(row.group)}</b><br>{MEAN} of {row.cases} cases: {effect_text(row.value, row.low, row.high, measure)}"]
            for row in rows.itertuples()
        ],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )  # fmt: skip


def _set_axes(
    figure: go.Figure, drawn: pd.DataFrame, places: dict[str, float], means: list[dict], ends: tuple[float, float], measure: str,
    quantity: str,
) -> None:  # fmt: skip
    ticks = sorted({1.0, *ticks_between(*ends)})
    labels = [_change_label(tick) if measure == CHANGE else f"{tick_label(tick)}×" for tick in ticks]
    figure.update_xaxes(
        type="log",
        range=[math.log10(end) for end in ends],
        tickvals=ticks,
        ticktext=labels,
        title_text=_title(measure, quantity),
    )
    names = dict(zip(drawn["key"], drawn["case"], strict=True))
    labelled = [
        *((y, _short(names[key])) for key, y in places.items()),
        *((mean["y"], _mean_name(mean)) for mean in means),
    ]
    last = max(y for y, _ in labelled)
    figure.update_yaxes(
        tickvals=[y for y, _ in labelled], ticktext=[text for _, text in labelled], range=[last + 0.7, -0.7], showgrid=False, showline=False
    )  # fmt: skip


def _title(measure: str, quantity: str) -> str:
    if measure == CHANGE:
        worse = "slower" if quantity in TIMES else "more"
        return f"change from A to B of<br>{QUANTITIES.get(quantity, quantity)} (right: {worse})"
    return f"{MEASURES[measure]}<br>(right: faster)"


def _change_label(ratio: float) -> str:
    """Return a ratio's tick as a change: `+5 %`."""
    share = round(100 * (ratio - 1), 6)
    return f"{'+' if share > 0 else ''}{share:g} %"


def _add_ground(figure: go.Figure, drawn: pd.DataFrame, headers: list[tuple[float, str]], sides: Sides) -> None:
    """Draw the line where nothing differs, beside each group, and of versions the margin that counts as same."""
    line = {"type": "line", "x0": 1, "x1": 1, "line": {"color": LINE, "width": 1.5}, "layer": "below"}
    ends = [y - 0.5 for y, _ in headers[1:]] + [float(figure.layout.yaxis.range[0])]
    shapes = [line | {"y0": y + 0.5, "y1": end} for (y, _), end in zip(headers, ends, strict=True)]
    if margin := _margin(drawn, sides):
        band = {"type": "rect", "x0": 1 - margin, "x1": 1 + margin, "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 0}}  # fmt: skip
        shapes.append(band | {"fillcolor": translucent(MUTED, 0.15), "layer": "below"})
    figure.layout.shapes = shapes


def _short(text: str, most: int = LONGEST_NAME) -> str:
    """Return text that plotly shows as it is, on one line, cut where it is too long."""
    clean = " ".join(str(text).split())
    return html.escape(clean if len(clean) <= most else clean[: most - 1] + "…", quote=False)
