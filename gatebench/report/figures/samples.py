"""Raw samples of one case in the order they were measured, and how alike successive ones are."""

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.analyze.raw_samples import DISTURBED, DROPPED, KEPT
from gatebench.report.colours import STATUS, implementation_colour, implementation_marker, translucent
from gatebench.report.figures.axes import logarithmic
from gatebench.report.figures.layout import LINE, MOST_MARKS, dress, empty, panel_gap, seat_legend, thin
from gatebench.report.figures.panels import make_panels
from gatebench.report.names import shown
from gatebench.report.quantities import is_missing, size_ticks, time_text, time_unit

PANEL = 280  # pixels of one side's panel
LONGEST_REASON = 160  # letters of a reason in a hover text
_BAND = "rgba(128,128,128,0.10)"  # behind every other block
_LOGARITHMIC = 10.0  # times the fastest sample from which the slowest makes the axis of time logarithmic
_MOST_BLOCKS = 400  # blocks that get a line and a band of their own
_MOST_NAMED = 12  # blocks whose number fits below the panel
_RESERVED = 1000  # marks kept for lines of blocks and of the estimate
_NAMES = {KEPT: "kept", DISTURBED: "disturbed, kept all the same", DROPPED: "dropped"}


def thinned(ordered: pd.DataFrame, most: int = MOST_MARKS - _RESERVED) -> pd.DataFrame:
    """Return at most `most` of the rows of `in_order`: dropped ones first, the kept ones evenly among what room is left."""
    if len(ordered) <= most:
        return ordered
    dropped = np.flatnonzero(ordered["state"] == DROPPED)
    others = np.flatnonzero(ordered["state"] != DROPPED)
    chosen = dropped[thin(len(dropped), most)] if len(dropped) else dropped
    room = most - len(chosen)
    kept = others[thin(len(others), room)] if room > 1 and len(others) else others[:room]
    return ordered.iloc[np.sort(np.concatenate([chosen, kept]))]


def samples_figure(ordered: pd.DataFrame, estimates: pd.DataFrame, implementation: str = "") -> go.Figure:
    """Draw the samples of one case as they came, a panel per side, blocks shaded in turn.

    ordered: from gatebench.analyze.raw_samples.in_order. estimates: from gatebench.analyze.statistics.estimate, a row per side
    (time_ns, ci_low_ns, ci_high_ns, blocks). implementation: whose colour and marker kept samples have. Line and band: the
    estimate with its 95 % interval; short lines: the median of each block. At most 5,000 marks: kept samples are thinned
    evenly, and the axis says so.
    """
    if ordered.empty:
        return empty("This case has no timing samples.")
    drawn = thinned(ordered)
    sides = sorted(set(ordered["side"]))  # base before head
    figure = make_panels(
        rows=len(sides), cols=1, shared_xaxes=True, vertical_spacing=panel_gap(len(sides)) / 2,
        subplot_titles=[shown(side) for side in sides] if len(sides) > 1 else None,
    )  # fmt: skip
    scale, unit = time_unit(float(ordered["time_ns"].median()))
    colour = implementation_colour(implementation)
    for row, side in enumerate(sides, start=1):
        own = ordered[ordered["side"] == side]
        _add_estimate(figure, ordered["place"], estimates[estimates["side"] == side], scale, colour, row)
        _add_blocks(figure, own, scale, row)
        _add_samples(figure, drawn[drawn["side"] == side], scale, colour, implementation_marker(implementation), row)
        figure.update_yaxes(title_text=f"time of one call ({unit})", row=row, col=1)
    _show_blocks(figure, ordered, len(sides))
    dress(figure, PANEL * len(sides) + 150)
    figure.update_yaxes(**_time_axis(drawn["time_ns"] / scale))
    figure.update_xaxes(range=[0.5 - 0.01 * len(ordered), len(ordered) * 1.01 + 0.5], showgrid=False)
    figure.update_xaxes(title_text=_axis_title(len(ordered), len(drawn)), row=len(sides), col=1)
    return seat_legend(figure, titled=len(sides) > 1)


def _time_axis(times: pd.Series) -> dict:
    """Return range and type of the axes of time: around the samples, logarithmic where one is ten times another."""
    low, high = float(times.min()), float(times.max())
    if low > 0 and high > _LOGARITHMIC * low:
        return logarithmic(times)
    room = 0.06 * (high - low) or 0.1 * high or 1.0
    return {"range": [low - room, high + room]}


def _axis_title(count: int, drawn: int) -> str:
    words = "blocks; samples in the order measured"
    return words if count == drawn else f"{words}<br>{drawn:,} of {count:,} drawn:<br>dropped ones first, others evenly"


def _add_estimate(
    figure: go.Figure, places: pd.Series, estimates: pd.DataFrame, scale: float, colour: str, row: int
) -> None:
    ends = [places.iloc[0] - 0.5, places.iloc[-1] + 0.5]
    for found in estimates.itertuples():
        style = {"row": row, "col": 1, "hoverinfo": "skip"}
        if not is_missing(found.ci_low_ns):
            low, high = found.ci_low_ns / scale, found.ci_high_ns / scale
            figure.add_scatter(
                x=[*ends, *ends[::-1]], y=[low, low, high, high], fill="toself", mode="lines", line={"width": 0},
                fillcolor=translucent(colour, 0.22), showlegend=row == 1, name="its 95 % interval", legendgroup="interval", **style,
            )  # fmt: skip
        figure.add_scatter(
            x=ends, y=[found.time_ns / scale] * 2, mode="lines", line={"color": colour, "width": 2}, name="estimate",
            legendgroup="estimate", showlegend=row == 1, **style,
        )  # fmt: skip


def _add_blocks(figure: go.Figure, own: pd.DataFrame, scale: float, row: int) -> None:
    """Draw the median of each block's kept samples, in log time as the estimate has it."""
    x, y = [], []
    for _, block in own[own["state"] != DROPPED].groupby(["stage", "block"], sort=False):
        positive = block.loc[block["time_ns"] > 0, "time_ns"]
        if len(positive):
            median = float(np.exp(np.median(np.log(positive)))) / scale
            x += [block["place"].iloc[0] - 0.4, block["place"].iloc[-1] + 0.4, None]
            y += [median, median, None]
    if 0 < len(x) <= 3 * _MOST_BLOCKS // 2:
        figure.add_scatter(
            x=x, y=y, mode="lines", line={"color": LINE, "width": 2, "dash": "dot"}, name="median of a block",
            hoverinfo="skip", showlegend=row == 1, legendgroup="block", row=row, col=1,
        )  # fmt: skip


def _add_samples(figure: go.Figure, drawn: pd.DataFrame, scale: float, colour: str, symbol: str, row: int) -> None:
    looks = {
        KEPT: {"color": colour, "size": 7, "symbol": symbol},
        DISTURBED: {"color": colour, "size": 8, "symbol": f"{symbol}-open"},
        DROPPED: {"color": STATUS["wrong"], "size": 8, "symbol": "x-thin", "line": {"width": 2, "color": STATUS["wrong"]}},
    }  # fmt: skip
    named = {trace.name for trace in figure.data}
    for state, marker in looks.items():
        rows = drawn[drawn["state"] == state]
        if len(rows):
            figure.add_scatter(
                x=rows["place"], y=rows["time_ns"] / scale, mode="markers", marker=marker, name=_NAMES[state],
                legendgroup=state, showlegend=_NAMES[state] not in named, row=row, col=1,
                customdata=[_hover(sample) for sample in rows.itertuples()],
                hovertemplate="%{customdata}<extra></extra>",
            )  # fmt: skip


def _hover(sample) -> str:
    words = [f"<b>{time_text(sample.time_ns)}</b>", f"{_place(sample)}"]
    if sample.state != KEPT:
        reason = "no reason given" if is_missing(sample.reason) else str(sample.reason)
        short = reason if len(reason) <= LONGEST_REASON else reason[:LONGEST_REASON] + " …"
        words.append(f"{_NAMES[sample.state]}: {escape(short)}")
    cpu = getattr(sample, "cpu_ns", None)
    words += [] if is_missing(cpu) else [f"CPU time {time_text(cpu)}"]
    return "<br>".join(words)


def _place(sample) -> str:
    """Return where a sample stands: `screen, block 2, round 3`, numbers as the store has them."""
    stage = "" if sample.stage == "run" else f"{escape(str(sample.stage))}, "
    place = f"{stage}block {sample.block:g}"
    return place if is_missing(sample.round) else f"{place}, round {sample.round:g}"


def _show_blocks(figure: go.Figure, ordered: pd.DataFrame, rows: int) -> None:
    """Shade every other block behind all panels, draw a line where a stage ends, and name both below the last panel."""
    spans = ordered.groupby(["stage", "block"], sort=False)["place"].agg(["min", "max"]).reset_index()
    new_stage = spans["stage"] != spans["stage"].shift()
    shaded = spans.iloc[1::2] if len(spans) <= _MOST_BLOCKS else spans.iloc[:0]
    for span in shaded.itertuples():
        figure.add_shape(
            type="rect", x0=span.min - 0.5, x1=span.max + 0.5, y0=0, y1=1, xref="x", yref="paper", fillcolor=_BAND,
            line={"width": 0}, layer="below",
        )  # fmt: skip
    for span in spans[new_stage].iloc[1:].itertuples():
        figure.add_shape(
            type="line", x0=span.min - 0.5, x1=span.min - 0.5, y0=0, y1=1, xref="x", yref="paper",
            line={"color": LINE, "width": 1, "dash": "dash"}, layer="below",
        )  # fmt: skip
    staged = new_stage.sum() > 1 or spans["stage"].iloc[0] != "run"
    step = -(-len(spans) // _MOST_NAMED)
    in_stage = spans.groupby(new_stage.cumsum()).cumcount()
    labelled = spans.index[in_stage % step == 0]
    names = [
        f"{spans['block'][at]:g}" + (f"<br>{escape(str(spans['stage'][at]))}" if staged and new_stage[at] else "")
        for at in labelled
    ]
    middles = [(spans["min"][at] + spans["max"][at]) / 2 for at in labelled]
    figure.update_xaxes(tickvals=middles, ticktext=names, tickangle=0, row=rows, col=1)


def autocorrelation_figure(table: pd.DataFrame, implementation: str = "") -> go.Figure:
    """Draw the autocorrelation by lag with the bounds of independent samples, a panel per side.

    table: from gatebench.analyze.autocorrelation. Needs side, lag, autocorrelation, bound, blocks, samples.
    """
    if table.empty:
        return empty("No autocorrelation: no block has four kept samples that differ.", height=120)
    sides = sorted(set(table["side"]))
    figure = make_panels(
        rows=1, cols=len(sides), shared_yaxes=True, horizontal_spacing=0.06,
        subplot_titles=[shown(side) for side in sides] if len(sides) > 1 else None,
    )  # fmt: skip
    colour = implementation_colour(implementation)
    for col, side in enumerate(sides, start=1):
        own, cell = table[table["side"] == side], {"row": 1, "col": col}
        for bound in (own["bound"], -own["bound"]):
            figure.add_scatter(
                x=own["lag"], y=bound, mode="lines", line={"color": LINE, "width": 2, "dash": "dot", "shape": "hvh"},
                hoverinfo="skip", showlegend=False, **cell,
            )  # fmt: skip
        figure.add_bar(
            x=own["lag"], y=own["autocorrelation"], width=0.35, marker={"color": colour}, showlegend=False,
            customdata=[
                f"lag {row.lag}: <b>{row.autocorrelation:.2f}</b><br>independent samples: within ±{row.bound:.2f}"
                f"<br>n = {row.samples} samples in {row.blocks} block{'' if row.blocks == 1 else 's'}"
                for row in own.itertuples()
            ],
            hovertemplate="%{customdata}<extra></extra>", **cell,
        )  # fmt: skip
        lags = size_ticks(list(own["lag"]), most=8)
        figure.update_xaxes(title_text="lag (samples)", tickvals=lags, range=[0.3, own["lag"].max() + 0.7], **cell)
    dress(figure, 220)
    figure.update_layout(margin_t=30)
    reach = max(float(table["bound"].max()), float(table["autocorrelation"].abs().max())) * 1.1
    figure.update_yaxes(range=[-reach, reach], zeroline=True, zerolinecolor=LINE)
    figure.update_yaxes(title_text="autocorrelation", row=1, col=1)
    return figure
