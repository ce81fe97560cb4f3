"""Coverage: a tile per gate and implementation, with the worst status as colour and symbol, and the counts."""

import pandas as pd
import plotly.graph_objects as go

from gatebench.report.colours import STATUS, STATUS_SYMBOLS, translucent
from gatebench.report.coverage import NOT_MEASURED, SEVERITY, counts
from gatebench.report.figures.grid import grid_axes, hover_name, say_left_out
from gatebench.report.figures.keys import click_key
from gatebench.report.figures.layout import LINE, MOST_MARKS, dress, empty

ROW = 66  # pixels of a tile's height: a symbol and two lines
TILE_TEXT = "#7A7A7A"  # is read on light and on dark tiles; by itself plotly takes black in both themes
TOP = 96  # pixels above the tiles: implementations' names, slanted where they need it, below one line of legend
HALF_WIDTH, HALF_HEIGHT = 0.47, 0.46
SYMBOL_AT = 0.27  # height of the symbol above the middle of its tile


def coverage_figure(cells: pd.DataFrame) -> go.Figure:
    """Draw the cells of `coverage_cells`: gates downward, implementations across; needs their columns.

    Every tile shows the symbol of its worst status, and below it what the table says: `2 wrong`, `12 ok`. A dashed frame:
    cases of the gate that other implementations have and this one has not. At most 2,500 tiles (two marks each): the last
    gates are left out beyond, and the title says so. A tile's customdata is its hover text and the click_key of its
    `tile_key`.
    """
    if cells.empty:
        return empty("Nothing was measured here.")
    gates, names = (list(dict.fromkeys(cells[column])) for column in ("gate", "implementation"))
    drawn = gates[: max(1, MOST_MARKS // 2 // len(names))]
    cells = cells[cells["gate"].isin(drawn)]
    places = cells.assign(
        x=cells["implementation"].map({name: place for place, name in enumerate(names)}),
        y=cells["gate"].map({name: place for place, name in enumerate(drawn)}),
    )
    figure = go.Figure()
    for status in (*SEVERITY, NOT_MEASURED):
        tiles = places[places["status"] == status]
        if len(tiles):
            _add_tiles(figure, tiles, status)
    dress(figure, ROW * len(drawn) + TOP + 12)
    figure.update_layout(
        barmode="overlay", bargap=0, margin_t=TOP, showlegend=True, uniformtext={"minsize": 8, "mode": "hide"}
    )
    say_left_out(figure, len(drawn), len(gates), "gates")
    return grid_axes(figure, drawn, names)


def _add_tiles(figure: go.Figure, tiles: pd.DataFrame, status: str) -> None:
    colour = STATUS[status]
    rows = [row for _, row in tiles.iterrows()]
    hover = {
        "customdata": [(_hover(row), click_key(tile_key(row["gate"], row["implementation"]))) for row in rows],
        "hovertemplate": "%{customdata[0]}<extra></extra>",
    }
    figure.add_bar(
        x=tiles["x"], base=tiles["y"] + HALF_HEIGHT, y=[-2 * HALF_HEIGHT] * len(tiles), width=[2 * HALF_WIDTH] * len(tiles),
        name=status.replace("_", " "), legendgroup=status, showlegend=False,
        text=[_tile_text(row) for row in rows], textposition="inside", insidetextanchor="start", textangle=0,
        constraintext="both", insidetextfont={"size": 12, "color": TILE_TEXT},
        marker={
            "color": "rgba(0,0,0,0)" if status == NOT_MEASURED else translucent(colour, 0.16),
            "line": {"width": 1, "color": LINE if status == NOT_MEASURED else translucent(colour, 0.5)},
            "pattern": {"shape": ["/" if row["missing"] and row["cases"] else "" for row in rows], "fillmode": "overlay",
                        "fgcolor": translucent(STATUS[NOT_MEASURED], 0.35), "size": 9, "solidity": 0.15},
        },
        **hover,
    )  # fmt: skip
    figure.add_scatter(
        x=tiles["x"], y=tiles["y"] - SYMBOL_AT, mode="markers", name=status.replace("_", " "), legendgroup=status,
        marker={
            "symbol": STATUS_SYMBOLS[status], "size": 11, "color": colour,
            "line": {"width": 2, "color": colour},
        },
        **hover,
    )  # fmt: skip


def tile_key(gate: str, implementation: str) -> str:
    """Return what a tile is called: `gru by numba`."""
    return f"{gate} by {implementation}"


def _tile_text(row: pd.Series) -> str:
    """Return at most two lines; what does not fit is counted."""
    words = counts(row) if row["cases"] else [NOT_MEASURED]
    return "<br>".join(words if len(words) < 3 else [words[0], f"{len(words) - 1} more kinds"])


def _hover(row: pd.Series) -> str:
    head = f"<b>{hover_name(row['gate'])} by {hover_name(row['implementation'])}</b>"
    return "<br>".join([head, *counts(row)])
