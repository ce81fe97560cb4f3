"""Stability figures: gradient norm by lag beside its bound, half-lives and Lyapunov exponents, saturated letters."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gatebench.report.colours import series_colours, translucent
from gatebench.report.figures.axes import SHORT, logarithmic, never_line, tick_label, ticks_between
from gatebench.report.figures.curves import (
    add_band,
    add_keys,
    dashes_of,
    finite,
    inits_in_order,
    points_per_line,
    those_that_fit,
)
from gatebench.report.figures.layout import LINE, MUTED, NARROW, dress, empty, panel_gap, seat_legend, thin
from gatebench.report.quantities import is_missing, power_of_ten, significant
from gatebench.report.stability import FLAT

SYMBOLS = ("circle", "diamond-open", "square", "triangle-up-open")
PATTERNS = {
    "below 0.1": "/", "above 0.9": "", "beyond ±0.99 (tanh)": "x", "0 (relu)": "-", "1 (of 0 or 1)": "+",
    "below 0 (swish, gelu)": "\\", FLAT: ".",
}  # fmt: skip
BOUNDS = {"bound": {"dash": "dot", "width": 1.5}, "weight_bound": {"dash": "4px,8px", "width": 1.5}}
BOUND_NAMES = {"bound": "bound (Jacobians)", "weight_bound": "bound (weights)"}
BACK = {"lag": "lag (steps back)", "layer": "layers back from the output"}
SUMMED = {"half_life": "half-life (steps)", "lyapunov": "Lyapunov exponent<br>(nats/step)"}
MOST_GATES = 8
LN10 = math.log(10)
_ROOM = 0.1  # decades that an axis of norms goes on beyond a short range of them
_PLAIN = 300  # decades within which a norm is a float
HATCH = "rgba(255,255,255,0.9)"


def norm_figure(curves: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw gradient norms relative to the last step's, a panel per gate; needs the columns of `norm_curves`.

    Gates with time share one scale of norms, stacks of layers below them another: their norms are not comparable.

    Solid and dashed lines are medians over seeds, ribbons run from the lowest lower to the highest upper decile,
    dotted lines are the bounds, from the Jacobians and (sparser dots, plain RNNs) from the weights alone. A cross ends a
    curve whose gradient is exactly 0 or not finite from there on. At most 5,000 marks (lags are thinned evenly), eight
    gates and 16 inits.
    """
    if curves.empty:
        return empty("No gradient norm here: ask for the metrics profile or depth.")
    gates = list(dict.fromkeys(curves["gate"]))[:MOST_GATES]
    drawn = curves[curves["gate"].isin(gates)]
    drawn, _, left_out = those_that_fit(drawn, "init", inits_in_order(drawn["init"]))
    gates = [gate for gate in gates if gate in set(drawn["gate"])]
    cells = _cells(drawn, gates)
    rows, columns = (max(cell[name] for cell in cells.values()) for name in ("row", "col"))
    taken = {(cell["row"], cell["col"]) for cell in cells.values()}
    specs = [[{} if (row, col) in taken else None for col in range(1, columns + 1)] for row in range(1, rows + 1)]
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, subplot_titles=list(cells), horizontal_spacing=0.04,
        vertical_spacing=panel_gap(rows), specs=specs,
    )  # fmt: skip
    keys = ["gate", "init", "dtype", "seq_len", "hidden_size"]
    most = points_per_line(drawn.groupby(keys).ngroups, marks=6)  # norm, ribbon twice, two bounds, the end
    colours, dashes = _styles(drawn)
    for key, line in drawn.groupby(keys, sort=False):
        cell = cells[key[0]]
        _add_curve(figure, line.iloc[thin(len(line), most)], colours[key[1]], dashes[key[2]], cell)
        figure.update_xaxes(title_text=BACK[line["kind"].iloc[0]], **cell)
    lines = {init: {"color": colour, "width": 3} for init, colour in colours.items()}
    lines |= {dtype: {"color": MUTED, "dash": dash, "width": 2} for dtype, dash in dashes.items()}
    lines |= {BOUND_NAMES[name]: {"color": MUTED, **style} for name, style in BOUNDS.items() if drawn[name].notna().any()}  # fmt: skip
    add_keys(figure, lines, left_out)
    dress(figure, 60 + 340 * rows)
    for _, group in drawn.groupby("kind"):
        _set_norm_axes(figure, group, sorted({cells[gate]["row"] for gate in group["gate"]}))
    return seat_legend(figure, width=width)


def _cells(curves: pd.DataFrame, gates: list[str]) -> dict[str, dict[str, int]]:
    """Return the panel of each gate: two to a row, gates with time first, stacks of layers on rows of their own."""
    kinds = curves.drop_duplicates("gate").set_index("gate")["kind"]
    columns = min(2, int(kinds.value_counts().max()))
    cells, row = {}, 0
    for kind in BACK:
        members = [gate for gate in gates if kinds[gate] == kind]
        for number, gate in enumerate(members):
            cells[gate] = {"row": row + number // columns + 1, "col": number % columns + 1}
        row += -(-len(members) // columns)
    return cells


def _styles(rows: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """Return a colour per init and a dash per dtype, in the order of the legend."""
    return series_colours(inits_in_order(rows["init"])), dashes_of(rows["dtype"])


def _add_curve(figure: go.Figure, line: pd.DataFrame, colour: str, dash: str, cell: dict) -> None:
    # Decades, not norms: e^-1000 is no float, but its logarithm is.
    back = line["back"].to_numpy(dtype=float)
    add_band(figure, back, line["low"] / LN10, line["high"] / LN10, colour, cell)
    text = [_curve_hover(row) for row in line.itertuples()]
    figure.add_scatter(
        x=back, y=finite(line["norm"] / LN10), mode="lines", line={"color": colour, "width": 2, "dash": dash},
        customdata=text, hovertemplate="%{customdata}<extra></extra>", showlegend=False, **cell,
    )  # fmt: skip
    for name, style in BOUNDS.items():
        bound = finite(line[name] / LN10)
        if not np.isnan(bound).all():
            figure.add_scatter(
                x=back, y=bound, mode="lines", hoverinfo="skip", showlegend=False, line={"color": colour, **style}, **cell,
            )  # fmt: skip
    _add_end(figure, back, line["norm"].to_numpy(dtype=float) / LN10, colour, cell)


def _add_end(figure: go.Figure, back: np.ndarray, norm: np.ndarray, colour: str, cell: dict) -> None:
    finite, gone = np.flatnonzero(np.isfinite(norm)), np.flatnonzero(~np.isfinite(norm))
    if not len(gone):
        return
    what = "is exactly 0" if norm[gone[0]] < 0 else "is not finite"
    at = finite[finite < gone[0]][-1:] if len(finite) else gone[:1]
    figure.add_scatter(
        x=back[at], y=np.where(np.isfinite(norm[at]), norm[at], 0.0), mode="markers", showlegend=False,
        marker={"symbol": "x", "size": 10, "color": colour},
        hovertemplate=f"a gradient {what} from {int(back[gone[0]])} back on<extra></extra>", **cell,
    )  # fmt: skip


def _curve_hover(row) -> str:
    where = f"T = {int(row.seq_len)}, H = {int(row.hidden_size)}"
    bound = "" if is_missing(row.bound) else f"<br>bound {_decades(row.bound)}"
    return (
        f"<b>{row.gate}</b>, {row.init}, {row.dtype}, {where}<br>{int(row.back)} back: {_decades(row.norm)}"
        f"<br>deciles {_decades(row.low)} to {_decades(row.high)}{bound}<br>n = {row.seeds} seeds"
    )


def _decades(nats: float) -> str:
    if is_missing(nats):
        return "not stored"
    return f"10^{nats / LN10:.2f}" if math.isfinite(nats) else ("0" if nats < 0 else "not finite")


def _set_norm_axes(figure: go.Figure, curves: pd.DataFrame, rows: list[int]) -> None:
    values = curves[["norm", "low", "high", "bound", "weight_bound"]].to_numpy(dtype=float) / LN10
    values = values[np.isfinite(values)]
    if len(values) and values.max() - values.min() <= SHORT and abs(values).max() < _PLAIN:
        ends = [values.min() - _ROOM, values.max() + _ROOM]
        numbers = ticks_between(*(10.0**end for end in ends))
        _label_norms(
            figure, rows, [math.log10(number) for number in numbers], [tick_label(number) for number in numbers], ends
        )
        return
    low, high = (math.floor(values.min()), math.ceil(values.max())) if len(values) else (-1, 1)
    step = next(factor * 10**power for power in range(9) for factor in (1, 2, 5) if (high - low) / (factor * 10**power) <= 8)  # fmt: skip
    ticks = list(range(low // step * step, high + step, step))
    _label_norms(figure, rows, ticks, [power_of_ten(value) for value in ticks], [low - 0.5, high + 0.5])


def _label_norms(figure: go.Figure, rows: list[int], ticks: list, labels: list[str], ends: list[float]) -> None:
    for row in rows:
        figure.update_yaxes(tickvals=ticks, ticktext=labels, range=ends, row=row)
        figure.update_yaxes(title_text="norm / norm at the end", row=row, col=1)


def summary_figure(summary: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw half-lives (steps, deciles) and largest Lyapunov exponents (nats/step, 95 % intervals), those that there are.

    Needs the columns of `case_summary`. Colour is the init, symbol the dtype, as in `norm_figure`. A half-life of
    infinity (the gradient does not shrink) stands at the right edge, named. At most 1,000 cases.
    """
    gated = summary.dropna(subset=["half_life", "lyapunov"], how="all").head(1000)
    if gated.empty:
        return empty("No half-life and no Lyapunov exponent here.")
    gates = list(dict.fromkeys(gated["gate"]))[::-1]  # the first on top
    colours, dashes = _styles(gated)
    symbols = {name: SYMBOLS[number % len(SYMBOLS)] for number, name in enumerate(dashes)}
    columns = {name: col for col, name in enumerate((name for name in SUMMED if gated[name].notna().any()), start=1)}
    figure = make_subplots(rows=1, cols=len(columns), shared_yaxes=True, horizontal_spacing=0.06)
    offsets = _offsets(gated, list(colours), list(dashes))
    half_lives = gated[["half_life", "half_life_low", "half_life_high"]]
    never = never_line(half_lives)
    for number, row in enumerate(gated.itertuples()):
        y = gates.index(row.gate) + offsets[number]
        colour = colours[row.init]
        marker = {"color": colour, "symbol": symbols[row.dtype], "size": 9, "line": {"width": 2, "color": colour}}
        for name, col in columns.items():
            _add_dot(figure, row, y, marker, name, never if name == "half_life" else None, col)
    for name, marker in [(init, {"color": colour, "symbol": "circle"}) for init, colour in colours.items()] + [
        (dtype, {"color": MUTED, "symbol": symbol}) for dtype, symbol in symbols.items()
    ]:
        figure.add_scatter(x=[None], y=[None], mode="markers", marker={**marker, "size": 10}, name=name, row=1, col=1)
    dress(figure, 170 + max(70, 20 * len(colours) * len(dashes)) * len(gates))
    seat_legend(figure, titled=False, width=width)
    figure.update_yaxes(
        tickvals=list(range(len(gates))), ticktext=gates, range=[-0.55, len(gates) - 0.45], showgrid=False
    )
    for name, col in columns.items():
        figure.update_xaxes(title_text=SUMMED[name], row=1, col=col)
    if "half_life" in columns:
        figure.update_xaxes(**logarithmic(half_lives.to_numpy(float).ravel(), never), row=1, col=1)
    if "lyapunov" in columns:
        figure.add_vline(x=0, line={"color": LINE, "width": 1, "dash": "dot"}, row=1, col=columns["lyapunov"])
    return figure


def _offsets(rows: pd.DataFrame, inits: list[str], dtypes: list[str]) -> list[float]:
    """Spread the cases of one gate over its lane, in the order of the legend, top down."""
    slots = len(inits) * len(dtypes)
    lane = max(0.7, 1 - 2 / slots)
    numbers = [inits.index(row.init) * len(dtypes) + dtypes.index(row.dtype) for row in rows.itertuples()]
    return [lane / 2 - lane * (number + 0.5) / slots for number in numbers]


def _add_dot(figure: go.Figure, row, y: float, marker: dict, name: str, never: float | None, col: int) -> None:
    """Add a value with its range; infinite ones at `never`, where there is such a place."""
    value, low, high = (float(getattr(row, key)) for key in (name, f"{name}_low", f"{name}_high"))
    at, *ends = (never if number == math.inf and never is not None else number for number in (value, low, high))
    if not math.isfinite(at):
        return
    reach = [abs(end - at) if math.isfinite(end) else 0.0 for end in ends]
    unit, kind = ("steps", "deciles") if name == "half_life" else ("nats/step", "95 %")
    what = "does not shrink" if math.isinf(value) else f"{significant(value)} {unit}"
    between = "no interval" if math.isnan(low) else f"{significant(low)} to {significant(high)} {unit}"
    figure.add_scatter(
        x=[at], y=[y], mode="markers", marker=marker, showlegend=False, row=1, col=col,
        error_x={
            "type": "data", "symmetric": False, "array": [reach[1]], "arrayminus": [reach[0]], "thickness": 2,
            "width": 5, "color": marker["color"],
        },
        hovertemplate=(
            f"<b>{row.gate}</b>, {row.init}, {row.dtype}, T = {row.seq_len}<br>{what}<br>{kind}: {between}"
            f"<br>n = {row.seeds} seeds<extra></extra>"
        ),
    )  # fmt: skip


def saturation_figure(saturation: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw shares of each gate letter, at an end of its range or flat, a panel per gate; needs the columns of `saturation_table`.

    Bars stack the values below 0.1 (hatched) and above 0.9 of sigmoid letters; other letters have one share, and those
    whose slope says more than their values a second bar. One bar per init and dtype. At most eight gates.
    """
    if saturation.empty:
        return empty("No saturation here.")
    if not saturation["share"].any():
        return empty("No letter has a value at an end of its range.")
    gates = list(dict.fromkeys(saturation["gate"]))[:MOST_GATES]
    columns = 1 if len(gates) == 1 else 2
    rows = -(-len(gates) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, subplot_titles=gates, horizontal_spacing=0.04,
        vertical_spacing=panel_gap(rows),
    )  # fmt: skip
    colours, dashes = _styles(saturation)
    drawn = saturation[saturation["gate"].isin(gates)]
    groups = list(drawn.groupby(["gate", "init", "dtype", "side"], sort=False))
    # Beside each other as the legend lists them; sides of one bar stay as they are.
    groups.sort(key=lambda group: (list(colours).index(group[0][1]), list(dashes).index(group[0][2])))
    for (gate, init, dtype, side), bars in groups:
        position = gates.index(gate)
        faint = 1.0 if list(dashes).index(dtype) == 0 else 0.55
        figure.add_bar(
            x=bars["letter"], y=bars["share"], offsetgroup=f"{init} {dtype}{side if side == FLAT else ''}",
            showlegend=False,
            marker={
                "color": translucent(colours[init], faint), "line": {"width": 1, "color": colours[init]},
                "pattern": _pattern(side),
            },
            customdata=[f"<b>{gate}</b>, letter {row.letter}, {init}, {dtype}<br>{side}: {row.share:.1%}"
                        f"<br>n = {row.seeds} seeds" for row in bars.itertuples()],
            hovertemplate="%{customdata}<extra></extra>", row=position // columns + 1, col=position % columns + 1,
        )  # fmt: skip
    _add_saturation_keys(figure, colours, list(dashes), list(dict.fromkeys(saturation["side"])))
    dress(figure, 60 + 280 * rows)
    figure.update_layout(barmode="stack", legend_traceorder="normal")
    seat_legend(figure, width=width)
    highest = saturation.groupby(["gate", "init", "dtype", "letter"])["share"].sum().max()
    top = min(1.0, max(0.02, float(highest)) * 1.1)
    figure.update_yaxes(tickformat=".0%" if top > 0.1 else ".1%", range=[0, top])
    figure.update_yaxes(title_text="share of values", col=1)
    figure.update_xaxes(type="category")
    return figure


def _add_saturation_keys(figure: go.Figure, colours: dict[str, str], dtypes: list[str], sides: list[str]) -> None:
    entries = [(init, {"color": colour}) for init, colour in colours.items()]
    entries += [(f"{dtype}{' (paler)' if number else ''}", {"color": translucent(MUTED, 0.55 if number else 1.0)})
                for number, dtype in enumerate(dtypes)] if len(dtypes) > 1 else []  # fmt: skip
    entries += [(side, {"color": MUTED, "pattern": _pattern(side)}) for side in sides]
    taken = figure.data[0].offsetgroup  # one of their own would leave a gap beside the first panel's bars
    for name, marker in entries:
        figure.add_bar(x=[None], y=[None], name=name, marker=marker, offsetgroup=taken, row=1, col=1)


def _pattern(side: str) -> dict:
    return {"shape": PATTERNS[side], "fillmode": "overlay", "fgcolor": HATCH, "size": 6, "solidity": 0.3}
