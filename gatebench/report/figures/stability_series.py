"""Figures of stability along an axis: a sweep beside theory, spectra by index, what training does."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from gatebench.report.colours import series_colours, translucent
from gatebench.report.figures.layout import LINE, MOST_MARKS, MUTED, dress, empty, thin
from gatebench.report.quantities import is_missing, significant

DASHES = ("solid", "dash", "dashdot", "longdash")
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
PANELS = {"loss": "loss", "gradient norm": "gradient norm (before clipping)", "clip rate": "clip rate (per window)", "half-life": "half-life (steps)"}  # fmt: skip


def sweep_figure(sweep: pd.DataFrame) -> go.Figure:
    """Draw half-lives and largest Lyapunov exponents, those that there are, against a number; needs the columns of `sweep_table`.

    Bands are deciles over seeds and batch rows, and 95 % intervals over seeds. Dotted lines are what theory predicts,
    vertical ones the edge beyond which the state 0 is unstable. Infinite half-lives lie on a line of their own.
    """
    if sweep.empty:
        return empty("Nothing here differs in a number: give inits such as forget_bias=0,forget_bias=1, or several T.")
    axis = str(sweep["axis"].iloc[0])
    panels = [name for name in SWEPT if sweep[name].notna().any()]
    figure = make_subplots(rows=1, cols=max(1, len(panels)), horizontal_spacing=0.1)
    colours, dashes = _styles(sweep, "gate")
    drawn, never = _capped(sweep)
    for col, name in enumerate(panels, start=1):
        for (gate, dtype), line in drawn.groupby(["gate", "dtype"], sort=False):
            _add_band(figure, line, name, {"color": colours[gate], "width": 2, "dash": dashes[dtype]}, col)
            _add_prediction(figure, line, f"predicted_{name}", colours[gate], col)
        figure.update_yaxes(title_text=SWEPT[name], row=1, col=col)
    _add_keys(
        figure, colours, dashes, [f"predicted_{name}" for name in panels if sweep[f"predicted_{name}"].notna().any()]
    )
    dress(figure, 460)
    figure.update_layout(margin_t=92)
    figure.update_xaxes(title_text=AXES.get(axis, axis), type="log" if axis in LOGARITHMIC else "linear")
    if "half_life" in panels:
        _set_half_lives(figure, drawn, never)
    if "lyapunov" in panels:
        _add_edges(figure, sweep, len(panels))
    return figure


def _set_half_lives(figure: go.Figure, drawn: pd.DataFrame, never: float | None) -> None:
    figure.update_yaxes(**_decades(drawn[["half_life", "half_life_low", "half_life_high"]]), row=1, col=1)
    if never is not None:
        figure.add_hline(y=never, line={"color": MUTED, "width": 1, "dash": "dot"}, row=1, col=1)
        # On a logarithmic axis annotations stand at logarithms, lines at values.
        figure.add_annotation(
            x=0, xref="x domain", xanchor="left", y=math.log10(never), yref="y", yanchor="top", text="does not shrink",
            showarrow=False,
        )  # fmt: skip


def _add_edges(figure: go.Figure, sweep: pd.DataFrame, col: int) -> None:
    """Mark where the exponent is 0, and where theory has it change its sign."""
    figure.add_hline(y=0, line={"color": LINE, "width": 1}, row=1, col=col)
    for edge in sorted(set(sweep["predicted_edge"].dropna())):
        figure.add_vline(
            x=edge, line={"color": MUTED, "width": 1.5, "dash": "dot"}, row=1, col=col, annotation_text=f"edge g = {edge:g}",
            annotation_position="bottom right",
        )  # fmt: skip


def spectrum_figure(spectra: pd.DataFrame) -> go.Figure:
    """Draw Lyapunov exponents and singular values by index, a panel per gate; needs the columns of `spectrum_table`.

    Lines are medians over seeds, bands deciles; solid the exponents, dotted ln σ / T of the end-to-end Jacobian: both
    agree as T grows. Hollow marks are not resolved in float64; what has collapsed (-inf) ends its line.
    """
    if spectra.empty:
        return empty("No spectrum here: ask for the metrics spectrum or singular_values.")
    gates = list(dict.fromkeys(spectra["gate"]))[:8]
    columns = min(2, len(gates))
    figure = make_subplots(
        rows=-(-len(gates) // columns), cols=columns, subplot_titles=gates, horizontal_spacing=0.1, shared_yaxes=True
    )
    colours, _ = _styles(spectra, "init")
    lines = spectra[spectra["gate"].isin(gates)].groupby(["gate", "init", "dtype", "kind"], sort=False)
    most = max(20, MOST_MARKS // (4 * max(1, lines.ngroups)))
    for (gate, init, _, kind), line in lines:
        cell = {"row": gates.index(gate) // columns + 1, "col": gates.index(gate) % columns + 1}
        line = line.iloc[thin(len(line), most)]
        x = (line["index"].astype(float) + 1).tolist()
        dash = "solid" if kind == "Lyapunov exponent" else "dot"
        _fill(figure, x, line["low"], line["high"], colours[init], cell)
        figure.add_scatter(
            x=x, y=_finite(line["value"]), mode="lines+markers", showlegend=False, **cell,
            line={"color": colours[init], "width": 2, "dash": dash},
            marker={"size": 5, "symbol": ["circle" if known else "circle-open" for known in line["resolved"]]},
            customdata=[f"<b>{gate}</b>, {init}<br>{kind} {int(row.index_) + 1}: {_number(row.value)} nats/step<br>n = {row.seeds} seeds"
                        for row in line.rename(columns={"index": "index_"}).itertuples()],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    for init, colour in colours.items():
        figure.add_scatter(
            x=[None], y=[None], mode="lines", line={"color": colour, "width": 3}, name=init, row=1, col=1
        )
    for kind in dict.fromkeys(spectra["kind"]):
        style = {"color": MUTED, "width": 2, "dash": "solid" if kind == "Lyapunov exponent" else "dot"}
        figure.add_scatter(x=[None], y=[None], mode="lines", line=style, name=kind, row=1, col=1)
    dress(figure, 60 + 340 * -(-len(gates) // columns))
    figure.update_layout(margin_t=92)
    figure.update_xaxes(title_text="index (1 is the largest)")
    figure.update_yaxes(title_text="nats/step", col=1)
    return figure


def training_figure(training: pd.DataFrame) -> go.Figure:
    """Draw loss, gradient norm, clip rate and half-life over the steps of training; needs the columns of `training_table`.

    Lines are medians over seeds, bands deciles. The clip rate is that of the window that ends at its mark.
    """
    if training.empty:
        return empty("No training here: give --task and --after-steps.")
    names = training["gate"] + ", " + training["init"]
    training = training.assign(name=names)
    panels = [what for what in PANELS if what in set(training["what"])]
    figure = make_subplots(
        rows=-(-len(panels) // 2), cols=min(2, len(panels)), horizontal_spacing=0.1, vertical_spacing=0.2,
        subplot_titles=[PANELS[what] for what in panels],
    )  # fmt: skip
    colours, _ = _styles(training, "name")
    lines = training.groupby(["what", "name", "dtype"], sort=False)
    most = max(20, MOST_MARKS // (4 * max(1, lines.ngroups)))
    for (what, name, _), line in lines:
        cell = {"row": panels.index(what) // 2 + 1, "col": panels.index(what) % 2 + 1}
        line = line.iloc[thin(len(line), most)]
        _fill(figure, line["step"].tolist(), line["low"], line["high"], colours[name], cell)
        figure.add_scatter(
            x=line["step"], y=_finite(line["value"]), showlegend=False, **cell,
            mode="lines" if what in ("loss", "gradient norm") else "lines+markers", line={"color": colours[name], "width": 2},
            customdata=[f"<b>{name}</b>, step {row.step}<br>{what}: {_number(row.value)}<br>n = {row.seeds} seeds"
                        for row in line.itertuples()],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    for name, colour in colours.items():
        figure.add_scatter(
            x=[None], y=[None], mode="lines", line={"color": colour, "width": 3}, name=name, row=1, col=1
        )
    dress(figure, 80 + 300 * -(-len(panels) // 2))
    figure.update_layout(margin_t=92)
    figure.update_xaxes(title_text="steps of training")
    for number, what in enumerate(panels):
        cell = {"row": number // 2 + 1, "col": number % 2 + 1}
        if what == "clip rate":
            figure.update_yaxes(tickformat=".0%", range=[-0.02, 1.02], **cell)
        else:
            figure.update_yaxes(**_decades(training.loc[training["what"] == what, "value"]), **cell)
    return figure


def _capped(sweep: pd.DataFrame) -> tuple[pd.DataFrame, float | None]:
    """Put half-lives that are infinite on a line well above all others; None where none is."""
    names = ["half_life", "half_life_low", "half_life_high"]
    values = sweep[names].to_numpy(dtype=float)
    if not np.isinf(values).any():
        return sweep, None
    finite = values[np.isfinite(values)]
    edge = float(finite.max()) * 3 if len(finite) else 1e3
    return sweep.assign(**{name: sweep[name].astype(float).clip(upper=edge) for name in names}), edge


def _decades(values: pd.DataFrame | pd.Series) -> dict:
    """Return a logarithmic axis with a label per decade; over less than two, 2 and 5 have one too."""
    numbers = values.to_numpy(dtype=float)
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    narrow = len(numbers) == 0 or numbers.max() / numbers.min() < 100
    return {"type": "log", "dtick": "D2" if narrow else 1, "exponentformat": "power"}


def _styles(rows: pd.DataFrame, column: str) -> tuple[dict[str, str], dict[str, str]]:
    dtypes = list(dict.fromkeys(rows["dtype"]))
    return series_colours(list(dict.fromkeys(rows[column]))), dict(zip(dtypes, DASHES * len(dtypes), strict=False))


def _add_band(figure: go.Figure, line: pd.DataFrame, name: str, style: dict, col: int) -> None:
    unit = "steps" if name == "half_life" else "nats/step"
    cell = {"row": 1, "col": col}
    x = line["x"].tolist()
    _fill(figure, x, line[f"{name}_low"], line[f"{name}_high"], style["color"], cell)
    text = [
        f"<b>{row.gate}</b>, {row.dtype}, {row.axis} = {row.x:g}<br>{_number(getattr(row, name))} {unit}<br>"
        f"{_number(getattr(row, f'{name}_low'))} to {_number(getattr(row, f'{name}_high'))}<br>{row.label}, n = {row.seeds} seeds"
        for row in line.itertuples()
    ]
    figure.add_scatter(
        x=x, y=_finite(line[name]), mode="lines+markers", line=style, marker={"size": 6}, showlegend=False,
        customdata=text, hovertemplate="%{customdata}<extra></extra>", **cell,
    )  # fmt: skip


def _add_prediction(figure: go.Figure, line: pd.DataFrame, name: str, colour: str, col: int) -> None:
    if line[name].notna().any():
        figure.add_scatter(
            x=line["x"], y=_finite(line[name]), mode="lines", line={"color": colour, "width": 2, "dash": "dot"},
            showlegend=False, hoverinfo="skip", row=1, col=col,
        )  # fmt: skip


def _add_keys(figure: go.Figure, colours: dict[str, str], dashes: dict[str, str], predicted: list[str]) -> None:
    entries = [(name, {"color": colour, "width": 3}) for name, colour in colours.items()]
    if len(dashes) > 1:
        entries += [(name, {"color": MUTED, "dash": dash, "width": 2}) for name, dash in dashes.items()]
    if predicted:
        entries.append(("theory", {"color": MUTED, "dash": "dot", "width": 2}))
    for name, line in entries:
        figure.add_scatter(x=[None], y=[None], mode="lines", line=line, name=name, row=1, col=1)


def _fill(figure: go.Figure, x: list, low: pd.Series, high: pd.Series, colour: str, cell: dict) -> None:
    """Draw a band between two series, over the longest range where both are finite at every point."""
    inside = np.isfinite(low.to_numpy(float)) & np.isfinite(high.to_numpy(float))
    if not inside.any():
        return
    at = np.asarray(x, dtype=float)[inside]
    figure.add_scatter(
        x=[*at, *at[::-1]], y=[*low.to_numpy(float)[inside], *high.to_numpy(float)[inside][::-1]], fill="toself",
        mode="lines", line={"width": 0}, fillcolor=translucent(colour, 0.18), hoverinfo="skip", showlegend=False, **cell,
    )  # fmt: skip


def _finite(values: pd.Series) -> np.ndarray:
    numbers = values.to_numpy(dtype=float)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _number(value: float) -> str:
    if is_missing(value):
        return "not known"
    return significant(float(value)) if math.isfinite(value) else ("0" if value < 0 else "∞")
