"""How often gate letters stand at an end of their range: stacked bars, a panel per gate."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gatebench.report.colours import translucent
from gatebench.report.figures.curves import (
    LONGEST_TITLE,
    MARKS_OF_KEYS,
    MOST_GATES,
    inits_in_order,
    labels,
    not_drawn,
    styles,
    those_that_fit,
)
from gatebench.report.figures.layout import MOST_MARKS, MUTED, NARROW, dress, empty, panel_gap, seat_legend
from gatebench.report.figures.panels import Cell, Trace, add_traces, make_panels, set_axes
from gatebench.report.names import shown
from gatebench.report.stability import FLAT
from gatebench.words import counted

PATTERNS = {
    "below 0.1": "/", "above 0.9": "", "beyond ±0.99 (tanh)": "x", "0 (relu)": "-", "1 (of 0 or 1)": "+",
    "below 0 (swish, gelu)": "\\", FLAT: ".",
}  # fmt: skip
HATCH = "rgba(255,255,255,0.9)"
LONGEST_LETTER = 20  # of a letter's own name below its bars
_MOST_BARS = MOST_MARKS - MARKS_OF_KEYS


def saturation_figure(saturation: pd.DataFrame, width: int = NARROW) -> go.Figure:
    """Draw shares of each gate letter, at an end of its range or flat, a panel per gate; needs the columns of `saturation_table`.

    Bars stack the values below 0.1 (hatched) and above 0.9 of sigmoid letters; other letters have one share, and those
    whose slope says more than their values a second bar. One bar per init and dtype, the coarser dtype the paler. At most
    eight gates and 16 inits, and 5,000 bars; the legend says how many more there are.
    """
    if saturation.empty:
        return empty("No saturation here.")
    if not saturation["share"].any():
        return empty("No letter has a value at an end of its range.")
    every = list(dict.fromkeys(saturation["gate"]))
    first = saturation[saturation["gate"].isin(every[:MOST_GATES])]
    fitting, _, left_out = those_that_fit(first, "init", inits_in_order(first["init"]), _MOST_BARS)
    drawn = fitting.head(_MOST_BARS)
    gates = list(dict.fromkeys(drawn["gate"]))
    columns = 1 if len(gates) == 1 else 2
    rows = -(-len(gates) // columns)
    figure = make_panels(
        rows=rows, cols=columns, shared_yaxes=True, subplot_titles=list(labels(gates, LONGEST_TITLE).values()), horizontal_spacing=0.04,
        vertical_spacing=panel_gap(rows),
    )  # fmt: skip
    colours, dtypes = styles(drawn)
    names, letters, shades = labels(colours), labels(drawn["letter"], LONGEST_LETTER), _shades(list(dtypes))
    bars: dict[tuple[str, str, str, str], list] = {}
    for row in drawn.itertuples():
        bars.setdefault((row.gate, row.init, row.dtype, row.side), []).append(row)
    # Beside each other as the legend lists them; sides of one bar stay as they are.
    order = sorted(bars, key=lambda bar: (list(colours).index(bar[1]), list(dtypes).index(bar[2])))
    placed = []
    for gate, init, dtype, side in order:
        cell = {"row": gates.index(gate) // columns + 1, "col": gates.index(gate) % columns + 1}
        title = f"<b>{shown(gate)}</b>, {names[init]}, {shown(dtype)}"
        group = f"{list(colours).index(init)} {list(dtypes).index(dtype)} "
        placed.append((cell, _bars(bars[gate, init, dtype, side], title, letters, group, colours[init], shades[dtype])))
    taken = placed[0][1]["offsetgroup"]  # one of their own would leave a gap beside the first panel's bars
    missing = not_drawn(left_out, gate=len(every) - len(gates), bar=len(fitting) - len(drawn))
    named = {names[init]: colour for init, colour in colours.items()}
    paler = {shown(dtype): shade for dtype, shade in shades.items()}
    placed += _keys(named, paler, list(drawn["side"].unique()), missing, taken)
    add_traces(figure, placed)
    dress(figure, 60 + 280 * rows)
    figure.layout.barmode, figure.layout.legend.traceorder = "stack", "normal"
    seat_legend(figure, width=width)
    highest = drawn.groupby(["gate", "init", "dtype", "letter"])["share"].sum().max()
    top = min(1.0, max(0.02, float(highest)) * 1.1)
    set_axes(figure.select_xaxes(), type="category")
    set_axes(figure.select_yaxes(), tickformat=".0%" if top > 0.1 else ".1%", range=[0, top])
    set_axes(figure.select_yaxes(col=1), title_text="share of values")
    return figure


def _bars(rows: list, title: str, letters: dict[str, str], group: str, colour: str, shade: float) -> Trace:
    """Return the letters of a gate, init, dtype and side; group: which bars of a letter are one."""
    side = rows[0].side
    return {
        "type": "bar", "x": [letters[row.letter] for row in rows], "y": np.array([row.share for row in rows]),
        "offsetgroup": f"{group}{side if side == FLAT else ''}", "showlegend": False,
        "marker": {"color": translucent(colour, shade), "line": {"width": 1, "color": colour}, "pattern": _pattern(side)},
        "customdata": [f"{title}<br>letter {letters[row.letter]}, {side}: {row.share:.1%}<br>n = {counted(row.seeds, 'seed')}"
                       for row in rows],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _shades(dtypes: list[str]) -> dict[str, float]:
    """Return how much of the colour each dtype's bars have, the first all of it, each further one less."""
    palest = 0.55 if len(dtypes) < 3 else 0.25
    return {dtype: float(shade) for dtype, shade in zip(dtypes, np.linspace(1.0, palest, len(dtypes)), strict=True)}


def _keys(
    colours: dict[str, str], shades: dict[str, float], sides: list[str], left_out: list[str], offset_group: str
) -> list[tuple[Cell, Trace]]:
    """Return legend entries; colours and shades: by the names that are shown."""
    entries = [(init, {"color": colour}) for init, colour in colours.items()]
    entries += [(f"{dtype}{f' (paler, {shade:.0%})' if shade < 1 else ''}", {"color": translucent(MUTED, shade)})
                for dtype, shade in shades.items()] if len(shades) > 1 else []  # fmt: skip
    entries += [(side, {"color": MUTED, "pattern": _pattern(side)}) for side in sides]
    entries += [(words, {"color": translucent(MUTED, 0.0)}) for words in left_out]
    shared = {"type": "bar", "x": [None], "y": [None], "offsetgroup": offset_group}
    return [({"row": 1, "col": 1}, {**shared, "name": name, "marker": marker}) for name, marker in entries]


def _pattern(side: str) -> dict:
    return {"shape": PATTERNS[side], "fillmode": "overlay", "fgcolor": HATCH, "size": 6, "solidity": 0.3}
