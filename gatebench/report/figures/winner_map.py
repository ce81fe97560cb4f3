"""Winner map: the fastest competitor of each (T, H), ties hatched, its margin in the cell, missing cells in words."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.analyze.compare import SHARED_COLUMNS, block_logs, compare, ratio
from gatebench.report.colours import STATUS, implementation_colour, text_on, translucent
from gatebench.report.figures.layout import GRID, LINE, MOST_MARKS, dress, empty
from gatebench.report.names import competitors
from gatebench.report.quantities import interval_text, is_missing, significant, time_text, times_text

NEEDED = (
    *SHARED_COLUMNS, "run_id", "case_id", "problem_id", "implementation", "implementation_options", "seq_len", "hidden_size",
    "time_ns", "ci_low_ns", "ci_high_ns", "blocks", "status", "reason",
)  # fmt: skip
LONGEST_NAME = 8  # letters of a tied competitor that fit into a tile; the hover text has the whole list
CELL_COLUMNS = (
    "seq_len", "hidden_size", "state", "winner", "implementation", "tied", "time_ns", "ci_low_ns", "ci_high_ns",
    "blocks", "runner_up", "margin", "margin_low", "margin_high", "outcomes",
)  # fmt: skip


def winner_cells(measurements: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per (T, H) of the grid of measured sizes, cells that nobody measured included.

    measurements: the rows of one slice, where only T, H and the competitor vary; columns NEEDED. samples: their samples.
    Columns returned: seq_len, hidden_size, state (`won`, `alone`: one competitor has a time, `failed`: none has,
    `not measured`), winner and runner_up (competitors), implementation (the winner's), tied (other competitors as
    fast as the winner, ", " between them), time_ns, ci_low_ns, ci_high_ns, blocks (the winner's), margin (runner-up's
    time / winner's, with its 95 % interval over paired blocks), outcomes (a line per competitor).
    """
    if measurements.empty:
        return pd.DataFrame(columns=pd.Index(CELL_COLUMNS))
    compared = compare(measurements[list(NEEDED)], samples).assign(competitor=competitors(measurements))
    blocks = block_logs(samples)
    groups = dict(list(compared.groupby(["seq_len", "hidden_size"])))
    lengths, widths = sorted(compared["seq_len"].unique()), sorted(compared["hidden_size"].unique())
    cells = [_cell(groups.get((t, h)), blocks) | {"seq_len": t, "hidden_size": h} for t in lengths for h in widths]
    return pd.DataFrame(cells, columns=pd.Index(CELL_COLUMNS))


def _cell(rows: pd.DataFrame | None, blocks: dict) -> dict:
    if rows is None:
        return {"state": "not measured", "outcomes": "nobody asked for a case here"}
    timed = rows[rows["time_ns"].notna()].sort_values("time_ns")
    outcomes = "<br>".join(_outcome(row) for row in rows.sort_values("time_ns").itertuples())
    if timed.empty:
        return {"state": "failed", "outcomes": outcomes}
    best = timed.iloc[0]
    cell = {
        "state": "alone", "winner": best["competitor"], "implementation": best["implementation"],
        "time_ns": best["time_ns"], "ci_low_ns": best["ci_low_ns"], "ci_high_ns": best["ci_high_ns"],
        "blocks": best["blocks"], "tied": ", ".join(timed["competitor"].iloc[1:][timed["tied"].iloc[1:]]),
        "outcomes": outcomes,
    }  # fmt: skip
    if len(timed) == 1:
        return cell
    second = timed.iloc[1]
    margin = ratio(*(blocks.get((row["run_id"], row["case_id"], row["side"]), {}) for row in (second, best)))
    names = dict(zip(("margin", "margin_low", "margin_high"), margin, strict=True))
    return cell | {"state": "won", "runner_up": second["competitor"]} | names


def _outcome(row) -> str:
    if is_missing(row.time_ns):
        return f"{row.competitor}: {row.status.replace('_', ' ')} ({row.reason or 'no reason given'})"
    n = "" if is_missing(row.blocks) else f", n = {int(row.blocks)}"
    unsure = " (inconclusive: the machine was busy)" if row.inconclusive else ""
    interval = interval_text(row.ci_low_ns, row.ci_high_ns, row.blocks)
    return f"{row.competitor}: {time_text(row.time_ns)} [{interval}{n}]{unsure}"


def winner_map_figure(cells: pd.DataFrame) -> go.Figure:
    """Draw the cells of `winner_cells`: a coloured tile per (T, H), hatched where others are as fast.

    A tile says the winner and its margin over the runner-up; `?` where one block gives no interval. Failed cells are
    crossed, cells nobody measured are blank. At most 5,000 tiles: the largest T are left out beyond.
    """
    if cells.empty:
        return empty("No case here.")
    widths = sorted(cells["hidden_size"].unique())
    lengths = sorted(cells["seq_len"].unique())[: max(1, MOST_MARKS // len(widths))]
    drawn = cells[cells["seq_len"].isin(lengths)]
    figure = go.Figure()
    place = (lengths, widths)
    for implementation, tiles in drawn.dropna(subset=["implementation"]).groupby("implementation", sort=True):
        _add_tiles(figure, tiles, place, implementation, implementation_colour(implementation))
    for state, text in (("failed", "no competitor has a time"), ("not measured", "not measured")):
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
        customdata=[_tile_hover(row) for row in tiles.itertuples()], hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _tile_text(row) -> str:
    if row.state == "alone":
        return f"{row.winner}<br>alone"
    if row.tied:
        others = row.tied.split(", ")
        named = len(others) == 1 and len(others[0]) <= LONGEST_NAME
        return f"{row.winner}<br>= {others[0] if named else _others(len(others))}"
    unsure = "" if math.isfinite(row.margin_low) else " ?"
    return f"{row.winner}<br>{significant(row.margin)}×{unsure}"


def _others(count: int) -> str:
    return f"{count} other{'s' if count > 1 else ''}"


def _tile_hover(row) -> str:
    head = f"<b>T = {row.seq_len}, H = {row.hidden_size}</b>"
    if row.state == "won":
        interval = times_text(row.margin, row.margin_low, row.margin_high)
        one = "" if math.isfinite(row.margin_low) else ", no interval (one block)"
        head += f"<br>{row.winner} before {row.runner_up}: {interval}{one}"
    return f"{head}<br>{row.outcomes}"


def _add_blanks(figure: go.Figure, tiles: pd.DataFrame, place: tuple[list, list], state: str, text: str) -> None:
    failed = state == "failed"
    colour = STATUS["wrong"] if failed else STATUS["not measured"]
    figure.add_bar(
        **_positions(tiles, place), name=text, text=[state.replace(" ", "<br>")] * len(tiles), textposition="inside",
        insidetextanchor="middle", textangle=0, insidetextfont={"color": colour, "size": 12},
        marker={
            "color": "rgba(0,0,0,0)", "line": {"width": 1, "color": colour if failed else LINE},
            "pattern": {"shape": "x" if failed else "", "fgcolor": translucent(colour, 0.35), "size": 12, "solidity": 0.1},
        },
        customdata=[
            f"<b>T = {row.seq_len}, H = {row.hidden_size}</b><br>{row.outcomes}" for row in tiles.itertuples()
        ],
        hovertemplate="%{customdata}<extra></extra>",
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
