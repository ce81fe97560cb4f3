"""Winner map: the fastest competitor of each (T, H), ties hatched, its margin in the cell, missing cells in words."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.report.colours import STATUS, implementation_colour, text_on, translucent
from gatebench.report.figures.layout import GRID, LINE, MOST_MARKS, dress, empty
from gatebench.report.names import shown
from gatebench.report.quantities import bytes_text, is_missing, significant, time_text, times_text
from gatebench.words import counted

LONGEST_NAME = 8  # letters of a tied competitor that fit into a tile; the hover text has the whole list
LONGEST_LINE = 14  # letters of a winner's name in a tile
BLANKS = (
    ("failed", "no competitor has a time"),
    ("no time", "right, not timed"),
    ("left out", "left out: memory or compile cost"),
    ("not measured", "not measured"),
)


def winner_map_figure(cells: pd.DataFrame) -> go.Figure:
    """Draw the cells of `winner_cells`: a coloured tile per (T, H), hatched where others are as fast.

    A tile says the winner and its margin over the runner-up; `?` where that is not sure: one block gives no
    interval, the interval holds 1, or the machine was too busy. Failed cells are crossed, those that are right and were not
    timed are dotted, those whose competitors may not compete are lined, cells nobody measured are blank.
    Each tile's customdata is [hover text, T, H]. At most 5,000 tiles: the largest T are left out beyond.
    """
    if cells.empty:
        return empty("No case here.")
    widths = sorted(cells["hidden_size"].unique())
    lengths = sorted(cells["seq_len"].unique())[: max(1, MOST_MARKS // len(widths))]
    drawn = cells[cells["seq_len"].isin(lengths)]
    figure = go.Figure()
    place = (lengths, widths)
    for implementation, tiles in drawn.dropna(subset=["implementation"]).groupby("implementation", sort=True):
        _add_tiles(figure, tiles, place, shown(implementation), implementation_colour(implementation))
    for state, text in BLANKS:
        tiles = drawn[drawn["state"] == state]
        if len(tiles):
            _add_blanks(figure, tiles, place, state, text)
    if any(isinstance(tied, str) and tied for tied in drawn["tied"]):
        _add_key(figure, "hatched: others are as fast")
    height = 52 * len(widths) + 150
    dress(figure, max(height, 300))
    figure.update_layout(barmode="overlay", bargap=0, uniformtext={"minsize": 8, "mode": "hide"}, showlegend=True)
    _set_axes(figure, lengths, widths)
    return figure


def _positions(tiles: pd.DataFrame, place: tuple[list, list]) -> dict:
    lengths, widths = place
    return {
        "x": [lengths.index(t) for t in tiles["seq_len"]], "base": [widths.index(h) - 0.48 for h in tiles["hidden_size"]],
        "y": [0.96] * len(tiles), "width": [0.97] * len(tiles),
    }  # fmt: skip


def _add_tiles(figure: go.Figure, tiles: pd.DataFrame, place: tuple[list, list], name: str, colour: str) -> None:
    hatched = ["/" if tied else "" for tied in tiles["tied"]]
    figure.add_bar(
        **_positions(tiles, place), name=name, text=[_tile_text(row) for row in tiles.itertuples()],
        textposition="inside", insidetextanchor="middle", textangle=0, constraintext="both",
        insidetextfont={"color": text_on(colour), "size": 13},
        marker={
            "color": colour, "line": {"width": 0},
            "pattern": {
                "shape": hatched, "fillmode": "overlay", "fgcolor": translucent(text_on(colour), 0.45), "size": 10,
                "solidity": 0.15,
            },
        },
        customdata=[_data(row, _tile_hover(row)) for row in tiles.itertuples()],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )  # fmt: skip


def _data(row, hover: str) -> list:
    """Return what belongs to a tile: its hover text, T and H, by which a click on it is understood."""
    return [hover, int(row.seq_len), int(row.hidden_size)]


def _tile_text(row) -> str:
    name = shown(row.winner, LONGEST_LINE)
    if row.state == "alone":
        return f"{name}<br>alone"
    if row.tied:
        named = row.ties == 1 and len(row.tied) <= LONGEST_NAME
        return f"{name}<br>= {shown(row.tied) if named else counted(row.ties, 'other')}"
    margin = "–" if is_missing(row.margin) else f"{significant(row.margin)}×"
    return f"{name}<br>{margin}{' ?' if row.unsure else ''}"


def _head(row) -> str:
    return f"<b>T = {row.seq_len}, H = {row.hidden_size}</b>"


def _tile_hover(row) -> str:
    lines = [_head(row)]
    if row.state == "won":
        interval = times_text(row.margin, row.margin_low, row.margin_high)
        lines.append(f"{shown(row.winner)} before {shown(row.runner_up)}: {interval}{_without_interval(row)}")
    if not is_missing(row.compile_ns) and row.compile_ns > 0:
        lines.append(f"the first call costs {time_text(row.compile_ns)} more")
    lines.append(f"memory of one call: {bytes_text(row.peak_bytes)}")
    return "<br>".join([*lines, row.outcomes])


def _without_interval(row) -> str:
    """Say why a margin has no interval; it is of the blocks that the two have in common."""
    if is_missing(row.margin):
        return ", no block in common"
    return ", no interval (one block in common)" if is_missing(row.margin_low) else ""


def _add_blanks(figure: go.Figure, tiles: pd.DataFrame, place: tuple[list, list], state: str, text: str) -> None:
    failed = state == "failed"
    colour = STATUS["wrong"] if failed else STATUS["not measured"]
    shape = {"failed": "x", "left out": "-", "no time": "."}.get(state, "")
    figure.add_bar(
        **_positions(tiles, place), name=text, text=[state.replace(" ", "<br>")] * len(tiles), textposition="inside",
        insidetextanchor="middle", textangle=0, insidetextfont={"color": colour, "size": 12},
        marker={
            "color": "rgba(0,0,0,0)", "line": {"width": 1, "color": colour if failed else LINE},
            "pattern": {"shape": shape, "fgcolor": translucent(colour, 0.35), "size": 12, "solidity": 0.1},
        },
        customdata=[_data(row, f"{_head(row)}<br>{row.outcomes}") for row in tiles.itertuples()],
        hovertemplate="%{customdata[0]}<extra></extra>",
    )  # fmt: skip


def _add_key(figure: go.Figure, text: str) -> None:
    pattern = {"shape": "/", "fgcolor": LINE, "size": 6}
    figure.add_bar(x=[None], y=[None], name=text, marker={"color": GRID, "pattern": pattern})


def _set_axes(figure: go.Figure, lengths: list[int], widths: list[int]) -> None:
    for update, sizes, title in (
        (figure.update_xaxes, lengths, "T (sequence length, steps)"),
        (figure.update_yaxes, widths, "H (hidden size)"),
    ):
        ticks = list(np.arange(len(sizes)))
        update(
            tickvals=ticks, ticktext=[str(size) for size in sizes], title_text=title, showgrid=False,
            range=[-0.55, len(sizes) - 0.45],
        )  # fmt: skip
