"""Figures of stability along an axis: a sweep beside theory, spectra by index, what training does."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.report.colours import series_colours
from gatebench.report.figures.axes import capped, infinite_lines, linear, logarithmic, never_line
from gatebench.report.figures.curves import (
    LONGEST_TITLE,
    MOST_GATES,
    bands,
    dtype_lines,
    exponent_interval,
    finite,
    inits_in_order,
    interval_words,
    keys,
    labels,
    not_drawn,
    points_per_line,
    those_that_fit,
)
from gatebench.report.figures.layout import LINE, MUTED, NARROW, dress, empty, panel_gap, seat_legend, thin
from gatebench.report.figures.panels import Trace, add_rule, add_traces, make_panels, panel_at, set_axes
from gatebench.report.names import coarseness, natural, shown
from gatebench.report.quantities import is_missing, significant, size_ticks
from gatebench.words import counted

AXES = {
    "forget_bias": "forget bias b",
    "gaussian": "gain g of Gaussian recurrent weights",
    "orthogonal": "gain g of orthogonal recurrent weights",
    "chrono": "T_max of chrono",
    "seq_len": "T (steps)",
    "hidden_size": "H",
    "train_step": "steps of training",
}
SWEPT = {"half_life": "half-life (steps)", "lyapunov": "largest Lyapunov exponent (nats/step)"}
LOGARITHMIC = ("chrono", "seq_len", "hidden_size")
GAINS = ("gaussian", "orthogonal")  # axes on which an edge is a place
BEYOND = 10.0  # theory is shown as far as this factor beyond what was measured
PANELS = {"loss": "loss", "gradient norm": "gradient norm (before clipping)", "clip rate": "clip rate (per window)", "half-life": "half-life (steps)"}  # fmt: skip
EXPONENTS = "Lyapunov exponent"
_EXPONENTS = ["lyapunov", "lyapunov_low", "lyapunov_high", "predicted_lyapunov"]  # on one axis
_TOLD = ["value", "low", "high", "seeds"]  # of a point, in its hover text
THEORY = {"color": MUTED, "dash": "dot", "width": 2}


def sweep_figure(sweep: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw half-lives and largest Lyapunov exponents, those that there are, against a number; needs the columns of `sweep_table`.

    Bands are deciles over seeds and batch rows, and 95 % intervals over seeds. Dotted lines are what theory predicts,
    vertical ones the edge beyond which the state 0 is unstable. Infinite half-lives lie on a line of their own, `never`,
    and so do infinite exponents. At most 16 series, and 5,000 marks (points are thinned evenly).
    """
    if sweep.empty:
        return empty("Nothing here differs in a number: give inits such as forget_bias=0,forget_bias=1, or several T.")
    panels = [name for name in SWEPT if sweep[name].notna().any()]
    if not panels:
        return empty("No half-life and no Lyapunov exponent here: ask for the metrics profile or lyapunov.")
    axis = str(sweep["axis"].iloc[0])
    drawn, names, left_out = those_that_fit(sweep, "gate", list(dict.fromkeys(sweep["gate"])))
    colours, dtypes, told = series_colours(names), dtype_lines(drawn["dtype"]), labels(names)
    figure = make_panels(rows=1, cols=len(panels), horizontal_spacing=0.16)
    lines = drawn.groupby(["gate", "dtype"], sort=False)
    most = points_per_line(lines.ngroups * len(panels), marks=4)
    never = never_line(drawn[["half_life", "half_life_low", "half_life_high"]])
    infinite = {"half_life": {} if never is None else {math.inf: never}, "lyapunov": infinite_lines(drawn[_EXPONENTS])}
    placed = []
    for col, name in enumerate(panels, start=1):
        for (gate, dtype), line in sorted(lines, key=lambda group: -coarseness(group[0][1])):  # wide lines first
            style = {"color": colours[gate], **dtypes[dtype]}
            title = f"<b>{told[gate]}</b>, {shown(dtype)}, {shown(axis)}"
            traces = _swept(line.iloc[thin(len(line), most)], name, title, style, infinite[name])
            placed += [({"row": 1, "col": col}, trace) for trace in traces]
        set_axes([panel_at(figure, 1, col).yaxis], title_text=SWEPT[name])
    entries = {told[name]: {"color": colour, "width": 3} for name, colour in colours.items()}
    entries |= {shown(name): {"color": MUTED, **style} for name, style in dtypes.items() if len(dtypes) > 1}
    predicted = any(drawn[f"predicted_{name}"].notna().any() for name in panels)
    add_traces(figure, [*placed, *keys(entries | ({"theory": THEORY} if predicted else {}), not_drawn(left_out))])
    dress(figure, 460)
    seat_legend(figure, titled=False, width=width)
    _set_swept_axes(figure, drawn, axis, panels, infinite)
    return figure


def _swept(line: pd.DataFrame, name: str, title: str, style: dict, infinite: dict[float, float]) -> list[Trace]:
    x = line["x"].to_numpy(dtype=float)
    value, low, high, theory = (
        line[key].astype(float).replace(infinite).to_numpy()
        for key in (name, f"{name}_low", f"{name}_high", f"predicted_{name}")
    )
    shared = {"type": "scatter", "x": x, "showlegend": False}
    traces = [
        *bands(x, low, high, style["color"]),
        {**shared, "y": finite(value), "mode": "lines+markers", "line": style, "marker": {"size": 6},
         "customdata": [_swept_hover(row, name, title) for row in line.itertuples()],
         "hovertemplate": "%{customdata}<extra></extra>"},
    ]  # fmt: skip
    if not np.isnan(theory).all():
        dotted = {"line": {**THEORY, "color": style["color"]}, "hoverinfo": "skip"}
        traces.append({**shared, "y": finite(theory), "mode": "lines", **dotted})
    return traces


def _swept_hover(row, name: str, title: str) -> str:
    unit, kind = ("steps", "deciles") if name == "half_life" else ("nats/step", exponent_interval(row.seeds))
    value, low, high, theory = (getattr(row, key) for key in (name, f"{name}_low", f"{name}_high", f"predicted_{name}"))
    told = "" if is_missing(theory) else f"<br>theory: {_number(theory)} {unit}"
    label = "" if is_missing(row.label) else f"{row.label}, "
    return (
        f"{title} = {row.x:g}<br>{_number(value)}{'' if is_missing(value) else f' {unit}'}"
        f"<br>{interval_words(kind, low, high, unit)}{told}<br>{label}n = {counted(row.seeds, 'seed')}"
    )


def _set_swept_axes(
    figure: go.Figure, drawn: pd.DataFrame, axis: str, panels: list[str], infinite: dict[str, dict[float, float]]
) -> None:
    across = [panel_at(figure, 1, col).xaxis for col in range(1, len(panels) + 1)]
    set_axes(across, title_text=AXES.get(axis, shown(axis)))
    if axis in LOGARITHMIC:
        ticks = size_ticks(drawn["x"].tolist())
        set_axes(across, type="log", tickvals=ticks, ticktext=[f"{tick:g}" for tick in ticks])
    if "half_life" in panels:
        measured = finite(pd.concat([drawn[name] for name in ("half_life", "half_life_low", "half_life_high")]))
        theory = drawn["predicted_half_life"].astype(float)
        near = theory[(theory < BEYOND * pd.Series(measured).max()) & (theory > pd.Series(measured).min() / BEYOND)]
        set_axes([panel_at(figure, 1, 1).yaxis], **logarithmic([*measured, *near], infinite["half_life"].get(math.inf)))
    if "lyapunov" in panels and infinite["lyapunov"]:
        values = drawn[_EXPONENTS].to_numpy(float).ravel()
        set_axes([panel_at(figure, 1, len(panels)).yaxis], **linear(values, infinite["lyapunov"]))
    for col, name in enumerate(panels, start=1):
        for line in infinite[name].values():
            add_rule(figure, {"row": 1, "col": col}, {"color": MUTED, "width": 1, "dash": "dot"}, y=line)
    if "lyapunov" in panels:
        add_rule(figure, {"row": 1, "col": len(panels)}, {"color": LINE, "width": 1}, y=0)
    if "lyapunov" in panels and axis in GAINS:
        for edge in sorted(set(drawn["predicted_edge"].dropna())):
            figure.add_vline(
                x=edge, line={"color": MUTED, "width": 1.5, "dash": "dot"}, row=1, col=len(panels),
                annotation_text=f"edge g = {edge:g}", annotation_position="bottom right",
            )  # fmt: skip


def spectrum_figure(spectra: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw Lyapunov exponents and singular values by index, a panel per gate; needs the columns of `spectrum_table`.

    Lines are medians over seeds, bands deciles; solid the exponents, dotted ln σ / T of the end-to-end Jacobian: both
    agree as T grows. Hollow marks are not resolved in float64; what has collapsed (-inf) ends its line. At most eight
    gates and 16 series, and 5,000 marks (indices are thinned evenly); the legend says how many more there are.
    """
    if spectra.empty:
        return empty("No spectrum here: ask for the metrics spectrum or singular_values.")
    every = list(dict.fromkeys(spectra["gate"]))
    rows = _with_dtype(spectra[spectra["gate"].isin(every[:MOST_GATES])], "init")
    drawn, names, left_out = those_that_fit(rows, "init", inits_in_order(rows["init"]))
    gates = list(dict.fromkeys(drawn["gate"]))
    titles, told = labels(gates, LONGEST_TITLE), labels(names)
    if pd.isna(finite(drawn["value"])).all():
        return empty("Every exponent here is -∞: each direction has collapsed.")
    columns = min(2, len(gates))
    height = -(-len(gates) // columns)
    figure = make_panels(
        rows=height, cols=columns, subplot_titles=list(titles.values()), horizontal_spacing=0.1, vertical_spacing=panel_gap(height),
        shared_yaxes=True,
    )  # fmt: skip
    colours = series_colours(names)
    lines = drawn.groupby(["gate", "init", "kind"], sort=False)
    most = points_per_line(lines.ngroups, marks=3)
    placed = []
    for (gate, init, kind), line in lines:
        cell = {"row": gates.index(gate) // columns + 1, "col": gates.index(gate) % columns + 1}
        style = {"color": colours[init], "width": 2, "dash": "solid" if kind == EXPONENTS else "dot"}
        title = f"<b>{shown(gate)}</b>, {told[init]}<br>{kind}"
        placed += [(cell, trace) for trace in _spectrum(line.iloc[thin(len(line), most)], title, style)]
    entries = {told[init]: {"color": colour, "width": 3} for init, colour in colours.items()}
    for kind in dict.fromkeys(drawn["kind"]):
        entries[kind] = {"color": MUTED, "width": 2, "dash": "solid" if kind == EXPONENTS else "dot"}
    add_traces(figure, [*placed, *keys(entries, not_drawn(left_out, gate=len(every) - len(gates)))])
    dress(figure, 60 + 340 * height)
    seat_legend(figure, width=width)
    set_axes(figure.select_xaxes(), title_text="index (1 is the largest)")
    set_axes(figure.select_yaxes(col=1), title_text="nats/step")
    return figure


def _spectrum(line: pd.DataFrame, title: str, style: dict) -> list[Trace]:
    x = line["index"].to_numpy(dtype=float) + 1
    return [
        *bands(x, line["low"].to_numpy(dtype=float), line["high"].to_numpy(dtype=float), style["color"]),
        {
            "type": "scatter", "x": x, "y": finite(line["value"]), "mode": "lines+markers", "showlegend": False, "line": style,
            "marker": {"size": 5, "symbol": ["circle" if known else "circle-open" for known in line["resolved"]]},
            "customdata": [f"{title} {int(index)}: {_number(value)} nats/step<br>{_over_seeds(low, high, seeds, 'nats/step')}"
                           for index, value, low, high, seeds in zip(x, *(line[name] for name in _TOLD), strict=True)],
            "hovertemplate": "%{customdata}<extra></extra>",
        },
    ]  # fmt: skip


def training_figure(training: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw loss, gradient norm, clip rate and half-life over the steps of training; needs the columns of `training_table`.

    Lines are medians over seeds, bands deciles. The clip rate is that of the window that ends at its mark. Infinite
    half-lives lie on a line of their own, `never`. At most 16 series, and 5,000 marks (steps are thinned evenly).
    """
    known = training[training["value"].notna()]
    if known.empty:
        return empty("No training here: give --task and --after-steps.")
    rows = _with_dtype(known.assign(name=known["gate"] + ", " + known["init"]), "name")
    # As sweep_table has them, so that a gate keeps its colour: gates as the run lists them, else as people sort names.
    place = {gate: number for number, gate in enumerate(dict.fromkeys(rows["gate"]))}
    order = {name: (place[gate], natural(name)) for gate, name in zip(rows["gate"], rows["name"], strict=True)}
    drawn, names, left_out = those_that_fit(rows, "name", sorted(order, key=order.__getitem__))
    panels = [what for what in PANELS if what in set(drawn["what"])]
    height = -(-len(panels) // 2)
    figure = make_panels(
        rows=height, cols=min(2, len(panels)), horizontal_spacing=0.1, vertical_spacing=panel_gap(height),
        subplot_titles=[PANELS[what] for what in panels],
    )  # fmt: skip
    colours, told = series_colours(names), labels(names)
    lines = drawn.groupby(["what", "name"], sort=False)
    most = points_per_line(lines.ngroups, marks=3)
    placed = []
    for number, what in enumerate(panels):
        cell = {"row": number // 2 + 1, "col": number % 2 + 1}
        panel = drawn[drawn["what"] == what]
        never = never_line(panel[["value", "low", "high"]]) if what == "half-life" else None
        for name, line in panel.groupby("name", sort=False):
            traces = _trained(line.iloc[thin(len(line), most)], told[name], colours[name], never)
            placed += [(cell, trace) for trace in traces]
        _set_trained_axis(figure, panel, what, never, cell)
    entries = {told[name]: {"color": colour, "width": 3} for name, colour in colours.items()}
    add_traces(figure, [*placed, *keys(entries, not_drawn(left_out))])
    dress(figure, 80 + 300 * height)
    seat_legend(figure, width=width)
    set_axes(figure.select_xaxes(), title_text="steps of training")
    return figure


def _trained(line: pd.DataFrame, name: str, colour: str, never: float | None) -> list[Trace]:
    what, x = line["what"].iloc[0], line["step"].to_numpy()
    unit, rows = ("steps", True) if what == "half-life" else ("", False)
    value, low, high = (capped(line[key], never).to_numpy() for key in ("value", "low", "high"))
    return [
        *bands(x.astype(float), low, high, colour),
        {
            "type": "scatter", "x": x, "y": finite(value), "showlegend": False, "line": {"color": colour, "width": 2},
            "mode": "lines" if what in ("loss", "gradient norm") else "lines+markers",
            "customdata": [f"<b>{name}</b>, step {step}<br>{what}: {_number(value)} {unit}".rstrip() + f"<br>{_over_seeds(low, high, seeds, unit, rows)}"
                           for step, value, low, high, seeds in zip(x, *(line[name] for name in _TOLD), strict=True)],
            "hovertemplate": "%{customdata}<extra></extra>",
        },
    ]  # fmt: skip


def _set_trained_axis(figure: go.Figure, panel: pd.DataFrame, what: str, never: float | None, cell: dict) -> None:
    axis = panel_at(figure, **cell).yaxis
    if what == "clip rate":
        set_axes([axis], tickformat=".0%", range=[-0.02, 1.02])
        return
    set_axes([axis], **logarithmic(panel[["value", "low", "high"]].to_numpy(float).ravel(), never))
    if never is not None:
        add_rule(figure, cell, {"color": MUTED, "width": 1, "dash": "dot"}, y=never)


def _with_dtype(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return rows whose series say their dtype, where there are several."""
    return rows if rows["dtype"].nunique() < 2 else rows.assign(**{column: rows[column] + ", " + rows["dtype"]})


def _over_seeds(low: float, high: float, seeds: int, unit: str, rows: bool = False) -> str:
    """Return deciles and n as hover texts say them; of one seed alone, without its `rows`, there are none."""
    between = interval_words("deciles", low, high, unit) if rows or seeds > 1 else "no interval"
    return f"{between}<br>n = {counted(seeds, 'seed')}"


def _number(value: float) -> str:
    return "not known" if is_missing(value) else significant(float(value))
