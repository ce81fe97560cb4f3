"""Stability figures: gradient norm by lag beside its bound, half-lives and Lyapunov exponents."""

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.report.figures.axes import (
    SHORT,
    infinite_lines,
    linear,
    logarithmic,
    never_line,
    tick_label,
    ticks_between,
)
from gatebench.report.figures.curves import (
    LONGEST_TITLE,
    MOST_GATES,
    bands,
    exponent_interval,
    finite,
    inits_in_order,
    interval_words,
    keys,
    labels,
    not_drawn,
    points_per_line,
    styles,
    those_that_fit,
)
from gatebench.report.figures.layout import LINE, MUTED, NARROW, dress, empty, panel_gap, seat_legend, thin
from gatebench.report.figures.panels import Trace, add_rule, add_traces, make_panels, panel_at, set_axes
from gatebench.report.names import coarseness, shown
from gatebench.report.quantities import is_missing, power_of_ten, significant
from gatebench.words import counted

SYMBOLS = ("circle", "diamond-open", "square", "triangle-up-open")
BOUNDS = {"bound": {"dash": "dot", "width": 1.5}, "weight_bound": {"dash": "4px,8px", "width": 1.5}}
BOUND_NAMES = {"bound": "bound (Jacobians)", "weight_bound": "bound (weights)"}
BACK = {"lag": "lag (steps back)", "layer": "layers back from the output"}
SUMMARY_AXES = {"half_life": "half-life (steps)", "lyapunov": "Lyapunov exponent<br>(nats/step)"}
_DRAWN = ["back", "norm", "low", "high", *BOUNDS, "seeds"]  # numbers of a curve
LN10 = math.log(10)
_ROOM = 0.1  # decades that an axis of norms goes on beyond a short range of them
_PLAIN = 300  # decades within which a norm is a float
_MOST_CASES = 1000  # of a summary


def norm_figure(curves: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw gradient norms relative to the last step's, a panel per gate; needs the columns of `norm_curves`.

    Gates with time share one scale of norms, stacks of layers below them another: their norms are not comparable.

    Solid and dashed lines are medians over seeds, ribbons run from the lowest lower to the highest upper decile,
    dotted lines are the bounds, from the Jacobians and (sparser dots, plain RNNs) from the weights alone. A cross ends a
    curve whose gradient is exactly 0 or not finite from there on. At most 5,000 marks (lags are thinned evenly), eight
    gates and 16 inits; the legend says how many more there are.
    """
    if curves.empty:
        return empty("No gradient norm here: ask for the metrics profile or depth.")
    every = list(curves["gate"].unique())
    drawn = curves[curves["gate"].isin(every[:MOST_GATES])]
    drawn, inits, left_out = those_that_fit(drawn, "init", inits_in_order(drawn["init"].unique()))
    left = set(drawn["gate"].unique())
    gates = [gate for gate in every if gate in left]
    cells, titles, names = _cells(drawn, gates), labels(gates, LONGEST_TITLE), labels(inits)
    rows, columns = (max(cell[name] for cell in cells.values()) for name in ("row", "col"))
    taken = {(cell["row"], cell["col"]) for cell in cells.values()}
    specs = [[{} if (row, col) in taken else None for col in range(1, columns + 1)] for row in range(1, rows + 1)]
    figure = make_panels(
        rows=rows, cols=columns, shared_yaxes=True, subplot_titles=[titles[gate] for gate in cells], horizontal_spacing=0.04,
        vertical_spacing=panel_gap(rows), specs=specs,
    )  # fmt: skip
    lines = drawn.groupby(["gate", "init", "dtype", "seq_len", "hidden_size"], sort=False)[_DRAWN]
    most = points_per_line(lines.ngroups, marks=6)  # norm, ribbon twice, two bounds, the end
    colours, dtypes = styles(drawn)
    placed = []
    # Wide lines first: the finer dtype's lie on them.
    for (gate, init, dtype, seq_len, hidden_size), line in sorted(lines, key=lambda group: -coarseness(group[0][2])):
        kept = thin(len(line), most)
        title = f"<b>{shown(gate)}</b>, {names[init]}, {shown(dtype)}, T = {int(seq_len)}, H = {int(hidden_size)}"
        numbers = {name: line[name].to_numpy()[kept] for name in _DRAWN}
        placed += [(cells[gate], trace) for trace in _curve(numbers, title, {"color": colours[init], **dtypes[dtype]})]
    entries = {names[init]: {"color": colour, "width": 3} for init, colour in colours.items()}
    entries |= {shown(dtype): {"color": MUTED, **style} for dtype, style in dtypes.items()}
    entries |= {BOUND_NAMES[name]: {"color": MUTED, **style} for name, style in BOUNDS.items() if drawn[name].notna().any()}  # fmt: skip
    add_traces(figure, [*placed, *keys(entries, not_drawn(left_out, gate=len(every) - len(gates)))])
    dress(figure, 60 + 340 * rows)
    for kind, group in drawn.groupby("kind"):
        own = [cells[gate] for gate in group["gate"].unique()]
        panels = [panel_at(figure, **cell) for cell in own]
        set_axes([panel.xaxis for panel in panels], title_text=BACK[kind])
        set_axes([panel.yaxis for panel in panels], **_norm_axis(group))
        set_axes([panel_at(figure, cell["row"], 1).yaxis for cell in own], title_text="norm / norm at the end")
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


def _curve(line: dict[str, np.ndarray], title: str, style: dict) -> list[Trace]:
    """Return the traces of a gate's norms at one init, dtype and shape, which `title` names; line: the columns _DRAWN."""
    colour = style["color"]
    # Decades, not norms: e^-1000 is no float, but its logarithm is.
    back, norm = line["back"].astype(float), line["norm"].astype(float) / LN10
    shared = {"type": "scatter", "x": back, "mode": "lines", "showlegend": False}
    traces = [
        *bands(back, line["low"] / LN10, line["high"] / LN10, colour),
        {**shared, "y": finite(norm), "line": style,
         "customdata": _curve_hover(line, title), "hovertemplate": "%{customdata}<extra></extra>"},
    ]  # fmt: skip
    for name, dots in BOUNDS.items():
        bound = finite(line[name] / LN10)
        if not np.isnan(bound).all():
            traces.append({**shared, "y": bound, "hoverinfo": "skip", "line": {"color": colour, **dots}})
    return [*traces, *_end(back, norm, colour)]


def _end(back: np.ndarray, norm: np.ndarray, colour: str) -> list[Trace]:
    finite, gone = np.flatnonzero(np.isfinite(norm)), np.flatnonzero(np.isinf(norm))  # NaN: a lag that is not stored
    if not len(gone):
        return []
    what = "is exactly 0" if norm[gone[0]] < 0 else "is not finite"
    at = finite[finite < gone[0]][-1:] if len(finite) else gone[:1]
    return [{
        "type": "scatter", "x": back[at], "y": np.where(np.isfinite(norm[at]), norm[at], 0.0), "mode": "markers",
        "showlegend": False, "marker": {"symbol": "x", "size": 10, "color": colour},
        "hovertemplate": f"a gradient {what} from {int(back[gone[0]])} back on<extra></extra>",
    }]  # fmt: skip


def _curve_hover(line: dict[str, np.ndarray], title: str) -> list[str]:
    columns = (line[name].tolist() for name in ("back", "norm", "low", "high", "bound", "seeds"))
    return [
        f"{title}<br>{int(back)} back: {_decades(norm)}<br>{_deciles(low, high)}"
        f"{'' if is_missing(bound) else f'<br>bound {_decades(bound)}'}<br>n = {counted(seeds, 'seed')}"
        for back, norm, low, high, bound, seeds in zip(*columns, strict=True)
    ]


def _deciles(low: float, high: float) -> str:
    return "no deciles" if is_missing(low) or is_missing(high) else f"deciles {_decades(low)} to {_decades(high)}"


def _decades(nats: float) -> str:
    if is_missing(nats):
        return "not stored"
    return f"10^{nats / LN10:.2f}" if math.isfinite(nats) else ("0" if nats < 0 else "not finite")


def _norm_axis(curves: pd.DataFrame) -> dict[str, Any]:
    """Return ticks and range of an axis of norms in decades."""
    values = curves[["norm", "low", "high", "bound", "weight_bound"]].to_numpy(dtype=float) / LN10
    values = values[np.isfinite(values)]
    if len(values) and values.max() - values.min() <= SHORT and abs(values).max() < _PLAIN:
        ends = [values.min() - _ROOM, values.max() + _ROOM]
        numbers = ticks_between(*(10.0**end for end in ends))
        ticks, labels = [math.log10(number) for number in numbers], [tick_label(number) for number in numbers]
        return {"tickvals": ticks, "ticktext": labels, "range": ends}
    low, high = (math.floor(values.min()), math.ceil(values.max())) if len(values) else (-1, 1)
    step = next(factor * 10**power for power in range(9) for factor in (1, 2, 5) if (high - low) / (factor * 10**power) <= 8)  # fmt: skip
    ticks = list(range(low // step * step, high + step, step))
    labels = [power_of_ten(value) for value in ticks]
    return {"tickvals": ticks, "ticktext": labels, "range": [low - 0.5, high + 0.5]}


def summary_figure(summary: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw half-lives (steps, deciles) and largest Lyapunov exponents (nats/step, 95 % intervals), those that there are.

    Needs the columns of `case_summary`. Colour is the init, symbol the dtype, as in `norm_figure`. A half-life of
    infinity (the gradient does not shrink) stands at the right edge, named, as exponents of -∞ (a unit is dead) do at the
    left. At most 16 inits and 1,000 cases; the legend says how many more there are.
    """
    every = summary.dropna(subset=["half_life", "lyapunov"], how="all")
    if every.empty:
        return empty("No half-life and no Lyapunov exponent here.")
    fitting, _, left_out = those_that_fit(every, "init", inits_in_order(every["init"].unique()))
    gated = fitting.head(_MOST_CASES)
    gates = list(dict.fromkeys(gated["gate"]))[::-1]  # the first on top
    colours, dtypes = styles(gated)
    names, ticks = labels(colours), labels(gates[::-1], LONGEST_TITLE)
    symbols = {name: SYMBOLS[number % len(SYMBOLS)] for number, name in enumerate(dtypes)}
    columns = {
        name: col for col, name in enumerate((name for name in SUMMARY_AXES if gated[name].notna().any()), start=1)
    }
    figure = make_panels(rows=1, cols=len(columns), shared_yaxes=True, horizontal_spacing=0.06)
    half_lives = gated[["half_life", "half_life_low", "half_life_high"]]
    never = never_line(half_lives)
    exponents = gated[["lyapunov", "lyapunov_low", "lyapunov_high"]]
    places = {"half_life": {} if never is None else {math.inf: never}, "lyapunov": infinite_lines(exponents)}
    cases: dict[tuple[str, str], list] = {}
    for row in gated.itertuples():
        cases.setdefault((row.init, row.dtype), []).append(row)
    placed = []
    for (init, dtype), rows in cases.items():
        colour, offset = colours[init], _offset(init, dtype, list(colours), list(dtypes))
        marker = {"color": colour, "symbol": symbols[dtype], "size": 9, "line": {"width": 2, "color": colour}}
        lanes = [gates.index(row.gate) + offset for row in rows]
        for name, col in columns.items():
            if dots := _dots(rows, lanes, name, places[name], names[init]):
                placed.append(({"row": 1, "col": col}, _dots_trace(dots, marker)))
    for name, marker in [(names[init], {"color": colour, "symbol": "circle"}) for init, colour in colours.items()] + [
        (shown(dtype), {"color": MUTED, "symbol": symbol}) for dtype, symbol in symbols.items()
    ]:
        entry = {"type": "scatter", "x": [None], "y": [None], "mode": "markers", "marker": {**marker, "size": 10}}
        placed.append(({"row": 1, "col": 1}, {**entry, "name": name}))
    placed += keys({}, not_drawn(left_out, case=len(fitting) - len(gated)))
    add_traces(figure, placed)
    dress(figure, 170 + max(70, 20 * len(colours) * len(dtypes)) * len(gates))
    seat_legend(figure, titled=False, width=width)
    panels = {name: panel_at(figure, 1, col) for name, col in columns.items()}
    set_axes(
        [panel.yaxis for panel in panels.values()], tickvals=list(range(len(gates))), ticktext=[ticks[gate] for gate in gates],
        range=[-0.55, len(gates) - 0.45], showgrid=False,
    )  # fmt: skip
    for name, panel in panels.items():
        set_axes([panel.xaxis], title_text=SUMMARY_AXES[name])
    if "half_life" in columns:
        set_axes([panels["half_life"].xaxis], **logarithmic(half_lives.to_numpy(float).ravel(), never))
    if places["lyapunov"]:
        set_axes([panels["lyapunov"].xaxis], **linear(exponents.to_numpy(float).ravel(), places["lyapunov"]))
    if np.isfinite(gated["lyapunov"]).any():
        add_rule(figure, {"row": 1, "col": columns["lyapunov"]}, {"color": LINE, "width": 1, "dash": "dot"}, x=0)
    return figure


def _offset(init: str, dtype: str, inits: list[str], dtypes: list[str]) -> float:
    """Return where in its gate's lane a case lies: spread over it in the order of the legend, top down."""
    slots = len(inits) * len(dtypes)
    lane = max(0.7, 1 - 2 / slots)
    number = inits.index(init) * len(dtypes) + dtypes.index(dtype)
    return lane / 2 - lane * (number + 0.5) / slots


def _dots(rows: list, lanes: list[float], name: str, places: dict[float, float], init: str) -> list[tuple]:
    """Return (x, y, reach down, reach up, hover text) of each value to draw; infinite ones at their `places`."""
    dots = []
    for row, lane in zip(rows, lanes, strict=True):
        value, low, high = (float(getattr(row, key)) for key in (name, f"{name}_low", f"{name}_high"))
        at, *ends = (places.get(number, number) for number in (value, low, high))
        if math.isfinite(at):
            reach = [abs(end - at) if math.isfinite(end) else 0.0 for end in ends]
            dots.append((at, lane, *reach, _dot_hover(row, name, value, low, high, init)))
    return dots


def _dot_hover(row, name: str, value: float, low: float, high: float, init: str) -> str:
    unit, kind = ("steps", "deciles") if name == "half_life" else ("nats/step", exponent_interval(row.seeds))
    what = "does not shrink" if name == "half_life" and math.isinf(value) else f"{significant(value)} {unit}"
    return (
        f"<b>{shown(row.gate)}</b>, {init}, {shown(row.dtype)}, T = {row.seq_len}<br>{what}"
        f"<br>{interval_words(kind, low, high, unit)}<br>n = {counted(row.seeds, 'seed')}"
    )


def _dots_trace(dots: list[tuple], marker: dict) -> Trace:
    x, y, down, up, hover = zip(*dots, strict=True)
    return {
        "type": "scatter", "x": np.array(x), "y": np.array(y), "mode": "markers", "marker": marker, "showlegend": False,
        "error_x": {
            "type": "data", "symmetric": False, "array": np.array(up), "arrayminus": np.array(down), "thickness": 2,
            "width": 5, "color": marker["color"],
        },
        "customdata": hover, "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
