"""Figures of stability along an axis: a sweep beside theory, spectra by index, what training does."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gatebench.report.colours import series_colours
from gatebench.report.figures.layout import LINE, MOST_MARKS, MUTED, dress, empty, panel_gap, seat_legend, thin
from gatebench.report.figures.lines import (
    add_band,
    add_entries,
    drawable,
    dtype_dashes,
    dtype_entries,
    never_at,
    number_text,
    set_decades,
)

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
HALF_LIVES = ["half_life", "half_life_low", "half_life_high"]
LOGARITHMIC = ("chrono", "seq_len", "hidden_size")
PANELS = {"loss": "loss", "gradient norm": "gradient norm (before clipping)", "clip rate": "clip rate (per window)", "half-life": "half-life (steps)"}  # fmt: skip
EVERY_STEP = ("loss", "gradient norm")  # too many for marks
MOST_GATES = 8


def sweep_figure(sweep: pd.DataFrame) -> go.Figure:
    """Draw half-lives and largest Lyapunov exponents, those that there are, against a number; needs the columns of `sweep_table`.

    Bands are deciles over seeds and batch rows, and 95 % intervals over seeds. Dotted lines are what theory predicts,
    vertical ones the edge beyond which the state 0 is unstable. Infinite half-lives lie on a line of their own.
    """
    if sweep.empty:
        return empty("Nothing here differs in a number: give inits such as forget_bias=0,forget_bias=1, or several T.")
    axis = str(sweep["axis"].iloc[0])
    sweep = sweep.dropna(subset=list(SWEPT), how="all")
    panels = [name for name in SWEPT if sweep[name].notna().any()]
    if not panels:
        return empty("No half-life and no Lyapunov exponent here.")
    figure = make_subplots(rows=1, cols=len(panels), horizontal_spacing=0.16)
    colours, dashes = _colours(sweep["gate"]), dtype_dashes(sweep["dtype"])
    never = never_at(sweep[HALF_LIVES])
    for col, name in enumerate(panels, start=1):
        for (gate, dtype), line in sweep.groupby(["gate", "dtype"], sort=False):
            _add_swept(figure, line, name, {"color": colours[gate], "width": 2, "dash": dashes[dtype]}, never, col)
        _add_predictions(figure, sweep, f"predicted_{name}", colours, col)
        figure.update_yaxes(title_text=SWEPT[name], row=1, col=col)
    entries = [(name, {"color": colour, "width": 3}) for name, colour in colours.items()] + dtype_entries(dashes)
    if any(sweep[f"predicted_{name}"].notna().any() for name in panels):
        entries.append(("theory", {"color": MUTED, "dash": "dot", "width": 2}))
    add_entries(figure, entries)
    dress(figure, 480)
    seat_legend(figure, titled=False)
    figure.update_xaxes(title_text=AXES.get(axis, axis), **_across(axis, sweep["x"]))
    if "half_life" in panels:
        set_decades(figure, sweep[[*HALF_LIVES, "predicted_half_life"]], {"row": 1, "col": 1}, never)
    if "lyapunov" in panels:
        _add_edges(figure, sweep, colours, len(panels))
    return figure


def _across(axis: str, numbers: pd.Series) -> dict:
    """Return the axis below a sweep; sizes are few, and named where they are."""
    if axis not in LOGARITHMIC:
        return {}
    ticks = sorted(set(numbers.astype(float)))
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _add_swept(figure: go.Figure, line: pd.DataFrame, name: str, style: dict, never: float | None, col: int) -> None:
    unit = "steps" if name == "half_life" else "nats/step"
    cell = {"row": 1, "col": col}
    x = line["x"].tolist()
    value, low, high = (drawable(line[column], never) for column in (name, f"{name}_low", f"{name}_high"))
    add_band(figure, x, low, high, style["color"], cell)
    text = [
        f"<b>{row.gate}</b>, {row.dtype}, {row.axis} = {row.x:g}<br>{number_text(getattr(row, name))} {unit}<br>"
        f"{number_text(getattr(row, f'{name}_low'))} to {number_text(getattr(row, f'{name}_high'))}<br>{row.label}, n = {row.seeds} seeds"
        for row in line.itertuples()
    ]
    figure.add_scatter(
        x=x, y=value, mode="lines+markers", line=style, marker={"size": 6}, showlegend=False,
        customdata=text, hovertemplate="%{customdata}<extra></extra>", **cell,
    )  # fmt: skip


def _add_predictions(figure: go.Figure, sweep: pd.DataFrame, name: str, colours: dict[str, str], col: int) -> None:
    """Draw each prediction once: in its gate's colour, in grey where theory says the same of several gates."""
    known = sweep[sweep[name].notna()].drop_duplicates(["gate", "x", name])
    lines: dict[tuple, list[str]] = {}
    for gate, line in known.groupby("gate", sort=False):
        points = line.sort_values("x")
        lines.setdefault((tuple(points["x"]), tuple(points[name])), []).append(str(gate))
    for (x, y), gates in lines.items():
        colour = colours[gates[0]] if len(gates) == 1 else MUTED
        figure.add_scatter(
            x=x, y=drawable(pd.Series(y)), mode="lines", line={"color": colour, "width": 2, "dash": "dot"},
            showlegend=False, hoverinfo="skip", row=1, col=col,
        )  # fmt: skip


def _add_edges(figure: go.Figure, sweep: pd.DataFrame, colours: dict[str, str], col: int) -> None:
    """Mark where the exponent is 0, and where theory has it change its sign."""
    figure.add_hline(y=0, line={"color": LINE, "width": 1}, row=1, col=col)
    for edge, group in sweep.dropna(subset=["predicted_edge"]).groupby("predicted_edge"):
        gates = group["gate"].unique()
        colour = colours[gates[0]] if len(gates) == 1 else MUTED
        figure.add_vline(
            x=edge, line={"color": colour, "width": 1.5, "dash": "dot"}, row=1, col=col, annotation_text=f"edge g = {edge:g}",
            annotation_position="bottom right",
        )  # fmt: skip


def spectrum_figure(spectra: pd.DataFrame) -> go.Figure:
    """Draw Lyapunov exponents and singular values by index, a panel per gate; needs the columns of `spectrum_table`.

    Lines are medians over seeds, bands deciles; solid the exponents, dotted ln σ / T of the end-to-end Jacobian: both
    agree as T grows. Hollow marks are not resolved in float64; what has collapsed (-inf) ends its line.
    """
    if spectra.empty:
        return empty("No spectrum here: ask for the metrics spectrum or singular_values.")
    gates = list(dict.fromkeys(spectra["gate"]))[:MOST_GATES]
    columns = min(2, len(gates))
    rows = -(-len(gates) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, subplot_titles=gates, horizontal_spacing=0.12, vertical_spacing=panel_gap(rows)
    )
    spectra = _named(spectra, ["init", "dtype"])
    colours = _colours(spectra["name"])
    lines = spectra[spectra["gate"].isin(gates)].groupby(["gate", "name", "kind"], sort=False)
    most = max(20, MOST_MARKS // (4 * max(1, lines.ngroups)))
    for (gate, name, kind), line in lines:
        cell = {"row": gates.index(gate) // columns + 1, "col": gates.index(gate) % columns + 1}
        _add_spectrum(figure, line.iloc[thin(len(line), most)], kind, colours[name], cell)
    kinds = [(kind, {"color": MUTED, "width": 2, "dash": _kind_dash(kind)}) for kind in dict.fromkeys(spectra["kind"])]
    add_entries(figure, [(name, {"color": colour, "width": 3}) for name, colour in colours.items()] + kinds)
    dress(figure, 60 + 340 * rows)
    seat_legend(figure)
    figure.update_xaxes(title_text="index (1 is the largest)")
    figure.update_yaxes(title_text="nats/step", col=1)
    return figure


def _kind_dash(kind: str) -> str:
    return "solid" if kind == "Lyapunov exponent" else "dot"


def _add_spectrum(figure: go.Figure, line: pd.DataFrame, kind: str, colour: str, cell: dict) -> None:
    x = (line["index"].astype(float) + 1).tolist()
    add_band(figure, x, drawable(line["low"]), drawable(line["high"]), colour, cell)
    text = [
        f"<b>{row.gate}</b>, {row.name}<br>{kind} {row.place:g}: {number_text(row.value)} nats/step<br>n = {row.seeds} seeds"
        for row in line.assign(place=x).itertuples(index=False)
    ]
    figure.add_scatter(
        x=x, y=drawable(line["value"]), mode="lines+markers", showlegend=False, **cell,
        line={"color": colour, "width": 2, "dash": _kind_dash(kind)},
        marker={"size": 5, "symbol": ["circle" if known else "circle-open" for known in line["resolved"]]},
        customdata=text, hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def training_figure(training: pd.DataFrame) -> go.Figure:
    """Draw loss, gradient norm, clip rate and half-life over the steps of training; needs the columns of `training_table`.

    Lines are medians over seeds, bands deciles. The clip rate is that of the window that ends at its mark. Infinite
    half-lives lie on a line of their own; a gap is a loss or a norm that was not finite.
    """
    if training.empty:
        return empty("No training here: give --task and --after-steps.")
    training = _named(training, ["gate", "init"])
    panels = [what for what in PANELS if what in set(training["what"])]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, horizontal_spacing=0.12, vertical_spacing=panel_gap(rows),
        subplot_titles=[PANELS[what] for what in panels],
    )  # fmt: skip
    colours, dashes = _colours(training["name"]), dtype_dashes(training["dtype"])
    most = max(20, MOST_MARKS // (4 * max(1, training.groupby(["what", "name", "dtype"]).ngroups)))
    entries = [(name, {"color": colour, "width": 3}) for name, colour in colours.items()]
    add_entries(figure, entries + dtype_entries(dashes))
    dress(figure, 80 + 300 * rows)
    seat_legend(figure)
    for number, what in enumerate(panels):
        cell = {"row": number // columns + 1, "col": number % columns + 1}
        rows_here = training[training["what"] == what]
        never = never_at(rows_here[["value", "low", "high"]]) if what == "half-life" else None
        for (name, dtype), line in rows_here.groupby(["name", "dtype"], sort=False):
            style = {"color": colours[name], "width": 2, "dash": dashes[dtype]}
            _add_training(figure, line.iloc[thin(len(line), most)], style, never, cell)
        if what == "clip rate":
            figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.02], **cell)
        else:
            set_decades(figure, rows_here[["value", "low", "high"]], cell, never)
    last = max(1.0, float(training["step"].max()))
    figure.update_xaxes(title_text="steps of training", range=[-0.03 * last, 1.03 * last])
    return figure


def _add_training(figure: go.Figure, line: pd.DataFrame, style: dict, never: float | None, cell: dict) -> None:
    value, low, high = (drawable(line[column], never) for column in ("value", "low", "high"))
    add_band(figure, line["step"].tolist(), low, high, style["color"], cell)
    text = [
        f"<b>{row.name}</b>, {row.dtype}, step {row.step}<br>{row.what}: {number_text(row.value)}<br>n = {row.seeds} seeds"
        for row in line.itertuples(index=False)
    ]
    figure.add_scatter(
        x=line["step"], y=value, mode="lines" if line["what"].iloc[0] in EVERY_STEP else "lines+markers", line=style,
        showlegend=False, customdata=text, hovertemplate="%{customdata}<extra></extra>", **cell,
    )  # fmt: skip


def _named(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Name lines by those of these columns in which they differ; by the first where they don't."""
    told = [name for name in columns if table[name].nunique() > 1] or columns[:1]
    return table.assign(name=table[told].astype(str).agg(", ".join, axis=1))


def _colours(names: pd.Series) -> dict[str, str]:
    return series_colours(list(dict.fromkeys(names)))
