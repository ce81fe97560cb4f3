"""How often gate letters stand at an end of their range: stacked bars, a panel per gate."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.report.colours import translucent
from gatebench.report.figures.curves import MOST_GATES, styles
from gatebench.report.figures.layout import MUTED, NARROW, dress, empty, panel_gap, seat_legend
from gatebench.report.figures.panels import Cell, Trace, add_traces, make_panels, set_axes
from gatebench.report.stability import FLAT

PATTERNS = {
    "below 0.1": "/", "above 0.9": "", "beyond ±0.99 (tanh)": "x", "0 (relu)": "-", "1 (of 0 or 1)": "+",
    "below 0 (swish, gelu)": "\\", FLAT: ".",
}  # fmt: skip
HATCH = "rgba(255,255,255,0.9)"


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
    figure = make_panels(
        rows=rows, cols=columns, shared_yaxes=True, subplot_titles=gates, horizontal_spacing=0.04,
        vertical_spacing=panel_gap(rows),
    )  # fmt: skip
    colours, dtypes = styles(saturation)
    bars: dict[tuple[str, str, str, str], list] = {}
    for row in saturation[saturation["gate"].isin(gates)].itertuples():
        bars.setdefault((row.gate, row.init, row.dtype, row.side), []).append(row)
    # Beside each other as the legend lists them; sides of one bar stay as they are.
    order = sorted(bars, key=lambda names: (list(colours).index(names[1]), list(dtypes).index(names[2])))
    placed = []
    for names in order:
        gate, init, dtype, _ = names
        cell = {"row": gates.index(gate) // columns + 1, "col": gates.index(gate) % columns + 1}
        placed.append((cell, _bars(names, bars[names], colours[init], paler=dtype != next(iter(dtypes)))))
    taken = placed[0][1]["offsetgroup"]  # one of their own would leave a gap beside the first panel's bars
    placed += _saturation_keys(colours, list(dtypes), list(saturation["side"].unique()), taken)
    add_traces(figure, placed)
    dress(figure, 60 + 280 * rows)
    figure.layout.barmode, figure.layout.legend.traceorder = "stack", "normal"
    seat_legend(figure, width=width)
    highest = saturation.groupby(["gate", "init", "dtype", "letter"])["share"].sum().max()
    top = min(1.0, max(0.02, float(highest)) * 1.1)
    set_axes(figure.select_xaxes(), type="category")
    set_axes(figure.select_yaxes(), tickformat=".0%" if top > 0.1 else ".1%", range=[0, top])
    set_axes(figure.select_yaxes(col=1), title_text="share of values")
    return figure


def _bars(names: tuple[str, str, str, str], letters: list, colour: str, paler: bool) -> Trace:
    """Return the letters of a gate, init, dtype and side."""
    gate, init, dtype, side = names
    return {
        "type": "bar", "x": [row.letter for row in letters], "y": np.array([row.share for row in letters]),
        "offsetgroup": f"{init} {dtype}{side if side == FLAT else ''}", "showlegend": False,
        "marker": {
            "color": translucent(colour, 0.55 if paler else 1.0), "line": {"width": 1, "color": colour},
            "pattern": _pattern(side),
        },
        "customdata": [f"<b>{gate}</b>, letter {row.letter}, {init}, {dtype}<br>{side}: {row.share:.1%}"
                       f"<br>n = {row.seeds} seeds" for row in letters],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _saturation_keys(
    colours: dict[str, str], dtypes: list[str], sides: list[str], offset_group: str
) -> list[tuple[Cell, Trace]]:
    entries = [(init, {"color": colour}) for init, colour in colours.items()]
    entries += [(f"{dtype}{' (paler)' if number else ''}", {"color": translucent(MUTED, 0.55 if number else 1.0)})
                for number, dtype in enumerate(dtypes)] if len(dtypes) > 1 else []  # fmt: skip
    entries += [(side, {"color": MUTED, "pattern": _pattern(side)}) for side in sides]
    shared = {"type": "bar", "x": [None], "y": [None], "offsetgroup": offset_group}
    return [({"row": 1, "col": 1}, {**shared, "name": name, "marker": marker}) for name, marker in entries]


def _pattern(side: str) -> dict:
    return {"shape": PATTERNS[side], "fillmode": "overlay", "fgcolor": HATCH, "size": 6, "solidity": 0.3}
