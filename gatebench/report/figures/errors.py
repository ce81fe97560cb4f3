"""Error ratios: how close each tensor of a gate, by gate block and implementation, is to the limit of being wrong."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.report.figures.grid import grid_axes, hover_name, say_left_out
from gatebench.report.figures.layout import MOST_MARKS, dress, empty
from gatebench.report.names import competitors
from gatebench.report.quantities import is_missing, significant

CASE = ["run_id", "case_id", "side"]
ERROR_COLUMNS = (
    "tensor", "competitor", "implementation", "share", "error_ratio", "limit_ratio", "relative_error", "max_abs_error",
    "dtype", "passed", "case_id", "cases",
)  # fmt: skip
ROW = 22  # pixels of a tensor's row
ENDS = (
    -2.0,
    1.0,
)  # log10(error ratio / limit) at the ends of the colours: a hundredth of the limit, ten times the limit
SCALE = "Cividis"  # made for colour-blind people; its lightness grows all along


def error_cells(accuracy: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    """Return one row per tensor and competitor: the worst of its cases; tensors in the order that cases list them.

    accuracy: columns CASE, tensor, dtype, max_abs_error, relative_error, error_ratio, limit_ratio, passed. cases: the
    measurements of one gate and dtype; columns CASE, implementation, implementation_options. Columns returned:
    ERROR_COLUMNS: share = error_ratio / limit_ratio (1: at the limit; NaN: not told), passed (of all cases), the values
    and the case_id of the worst case (one that did not pass before others, then the largest share), cases (how many).
    """
    named = cases[CASE].assign(competitor=competitors(cases), implementation=cases["implementation"])
    rows = accuracy.merge(named, on=CASE)
    if rows.empty:
        return pd.DataFrame(columns=pd.Index(ERROR_COLUMNS))
    rows["share"] = rows["error_ratio"].astype(float) / rows["limit_ratio"].astype(float)
    rows["passed"] = rows["passed"].astype(object).map(lambda passed: bool(passed) if not is_missing(passed) else None)
    order = tensor_order(rows["tensor"])
    worst_first = rows.assign(bad=rows["passed"].eq(False)).sort_values(["bad", "share"], ascending=False)
    keys = ["tensor", "competitor"]
    worst = worst_first.drop_duplicates(keys).set_index(keys)
    worst["cases"] = rows.groupby(keys).size()
    table = worst.reset_index()[list(ERROR_COLUMNS)]
    return table.sort_values(keys, key=lambda column: column.map(order) if column.name == "tensor" else column)


def tensor_order(tensors: pd.Series) -> dict[str, int]:
    """Return each tensor's place: outputs before gradients, whole, first and last step together, blocks together."""
    names = {name: place for place, name in enumerate(dict.fromkeys(tensors))}
    bases = {base: place for place, base in enumerate(dict.fromkeys(map(_base, names)))}
    ordered = sorted(names, key=lambda name: (name.startswith("grad:"), bases[_base(name)], "@" in name, names[name]))
    return {name: place for place, name in enumerate(ordered)}


def _base(tensor: str) -> str:
    """Return a tensor's name without its step and its gate block: `grad:weight_hh` for `grad:weight_hh/f`."""
    return tensor.partition("@")[0].partition("/")[0]


def error_figure(cells: pd.DataFrame) -> go.Figure:
    """Draw the cells of `error_cells`: tensors and gate blocks downward, competitors across, error ratio against its limit.

    The number in a cell is the error ratio; ✗: wrong, so also where another limit than that of the ratio was
    broken. Cells without a value say so. At most 5,000 cells: the last tensors are left out beyond, and the title says so.
    """
    if cells.empty:
        return empty("No errors are stored for these cases.")
    tensors, names = (list(dict.fromkeys(cells[column])) for column in ("tensor", "competitor"))
    names = sorted(names, key=lambda name: (name != "eager", name))
    drawn = tensors[: max(1, MOST_MARKS // len(names))]
    found = {(row.tensor, row.competitor): row for row in cells.itertuples()}
    grid = [[found.get((tensor, name)) for name in names] for tensor in drawn]
    figure = go.Figure()
    figure.add_heatmap(
        x=list(range(len(names))), y=list(range(len(drawn))), z=[[_colour(cell) for cell in row] for row in grid],
        zmin=ENDS[0], zmax=ENDS[1], colorscale=SCALE, xgap=2, ygap=1, name="error ratio",
        text=[[_text(cell) for cell in row] for row in grid], texttemplate="%{text}", textfont={"size": 12},
        customdata=[[_hover(cell) for cell in row] for row in grid], hovertemplate="%{customdata}<extra></extra>",
        hoverongaps=False, colorbar=_colour_bar(),
    )  # fmt: skip
    _add_gaps(figure, grid, drawn, names)
    dress(figure, ROW * len(drawn) + 112)
    figure.update_layout(margin_t=100, showlegend=False)
    say_left_out(figure, len(drawn), len(tensors), "tensors")
    return grid_axes(figure, drawn, names)


def _colour(cell) -> float:
    """Return log10 of the share of the limit, within the colours' ends; NaN: no colour."""
    if cell is None or is_missing(cell.share):
        return math.nan
    return float(np.clip(math.log10(cell.share), *ENDS)) if cell.share > 0 else ENDS[0]


def _text(cell) -> str:
    if cell is None or is_missing(cell.share):
        return ""
    return significant(cell.error_ratio, 2) + (" ✗" if cell.passed is False else "")


def _hover(cell) -> str:
    if cell is None:
        return ""
    words = [f"<b>{hover_name(cell.tensor)} by {hover_name(cell.competitor)}</b>"]
    words += [
        f"error ratio {_number(cell.error_ratio)}, limit {_number(cell.limit_ratio)}",
        f"largest absolute error {_number(cell.max_abs_error)}",
        f"relative error {_number(cell.relative_error)}",
        f"returned as {hover_name(cell.dtype)}",
        {True: "right", False: "wrong"}.get(cell.passed, "not judged"),
        f"worst of {cell.cases} case{'s' if cell.cases > 1 else ''}: {hover_name(cell.case_id)}",
    ]
    return "<br>".join(words)


def _number(value: object) -> str:
    return "not stored" if is_missing(value) else significant(float(value))  # pyright: ignore[reportArgumentType]


def _add_gaps(figure: go.Figure, grid: list[list], tensors: list[str], names: list[str]) -> None:
    """Write `–` where nothing was compared, and why into the hover text."""
    gaps = [(x, y) for y, row in enumerate(grid) for x, cell in enumerate(row) if math.isnan(_colour(cell))]
    if not gaps:
        return
    why = [
        f"{hover_name(tensors[y])} by {hover_name(names[x])}: "
        + ("not compared in any of these cases" if grid[y][x] is None else "compared, but no ratio or limit is stored")
        for x, y in gaps
    ]
    figure.add_scatter(
        x=[x for x, _ in gaps], y=[y for _, y in gaps], mode="text", text=["–"] * len(gaps), name="not compared",
        customdata=why, hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _colour_bar() -> dict:
    ticks = {-2: "≤ 1 %", -1: "10 %", 0: "the limit", 1: "≥ 10×"}
    return {
        "orientation": "h", "thickness": 10, "x": 0, "xanchor": "left", "yref": "container", "y": 1, "yanchor": "top",
        "len": 0.9, "tickvals": list(ticks), "ticktext": list(ticks.values()),
    }  # fmt: skip
