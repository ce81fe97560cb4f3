"""The look that all figures share: transparent ground, grey grid, legend above the data, room for labels."""

import re

import plotly.graph_objects as go

GRID = "rgba(128,128,128,0.25)"
LINE = "rgba(128,128,128,0.8)"
MUTED = "#8C8C8C"
MOST_MARKS = 5000
NARROW = 600  # pixels that a figure on a page has at least, where the window is 1000 wide
_AXIS = re.compile(r"[xy]axis\d*")
_LETTER, _LINE_OF_LABELS, _LINE_OF_TITLE = (
    5.5,
    16,
    18,
)  # pixels that labels and titles take at plotly's sizes of letters
_SOME_LABEL = "0.000"  # of an axis that finds its ticks itself
LEGEND = 92  # pixels that a figure's height counts for legend and titles, before seat_legend knows how many it takes


def dress(figure: go.Figure, height: int, legend_title: str = "") -> go.Figure:
    """Set ground, margins, legend and hover of a finished figure; returns the same figure."""
    layout = figure.layout
    layout.height, layout.paper_bgcolor, layout.plot_bgcolor = height, "rgba(0,0,0,0)", "rgba(0,0,0,0)"
    parts: dict[str, dict] = {
        "margin": {"l": 12, "r": 16, "t": 56, "b": 12},
        "hoverlabel": {"align": "left"},
        # In the container's frame, not the plot's: it keeps clear of titles and data at every width.
        "legend": {
            "orientation": "h", "xref": "container", "yref": "container", "x": 0, "y": 1, "xanchor": "left", "yanchor": "top",
            "title": {"text": legend_title},
        },
    }  # fmt: skip
    axis = {"gridcolor": GRID, "linecolor": LINE, "zeroline": False, "automargin": True, "title": {"standoff": 12}}
    # Its labels never leave the figure, for the margin grows with them; plotly.js looks where each lies, one by one.
    upright = {**axis, "ticklabeloverflow": "allow"}
    for name, changes in parts.items():
        layout[name] = _merged(layout[name].to_plotly_json(), changes)
    # Axis by axis and whole: plotly's own update_layout and update_xaxes take eight times as long, for every figure.
    for name in {name for name in layout if _AXIS.fullmatch(name)} | {"xaxis", "yaxis"}:
        layout[name] = _merged(layout[name].to_plotly_json(), upright if name.startswith("y") else axis)
    return figure


def _merged(given: dict, changes: dict) -> dict:
    """Return `given` with `changes`, which go into what is nested, too."""
    nested = {
        name: _merged(given[name], value)
        for name, value in changes.items()
        if isinstance(value, dict) and isinstance(given.get(name), dict)
    }
    return {**given, **changes, **nested}


def panel_gap(rows: int) -> float:
    """Return the space between rows of panels, as a share of the height: room for an axis title and a panel title."""
    return 0.0 if rows == 1 else 0.3 / rows


def seat_legend(figure: go.Figure, titled: bool = True, width: int = NARROW) -> go.Figure:
    """Make room above the panels, whose height stays, for the legend and, with `titled`, for the panels' titles.

    width: pixels that the figure has at least; wider ones have a little air. Returns the same figure.
    """
    names = [trace.name for trace in figure.data if trace.name and trace.showlegend is not False]
    widths = [46 + 5.5 * len(name) for name in names]
    columns = len(names) if sum(widths) < width - 80 else max(1, int((width - 80) // max(widths)))
    room = 16 + 19 * -(-len(names) // max(1, columns)) + (38 if titled else 12)
    figure.update_layout(height=figure.layout.height + room - LEGEND, margin_t=room)
    return figure


def seat_axes(figure: go.Figure) -> go.Figure:
    """Make room for labels and titles at the left and below, as wide as they are thought to be; returns the same figure.

    plotly.js makes room itself, too, but only once it has drawn all, and then draws all again: what is right here from the
    start takes half the time in a browser, what is too little only that time.
    """
    layout = figure.layout
    axes = [layout[name] for name in layout if _AXIS.fullmatch(name)]
    starts = {axis.plotly_name.replace("axis", ""): (axis.domain or (0.0,))[0] for axis in axes}
    room = {"l": 0.0, "b": 0.0}
    for axis in axes:
        outermost = starts.get(axis.anchor or "", 0.0) == 0.0 and axis.side in (None, "left", "bottom")
        if axis.visible is False or axis.showticklabels is False or not outermost:
            continue
        labels = [str(text).split("<br>") for text in axis.ticktext or [_SOME_LABEL]]
        titled = _LINE_OF_TITLE * (axis.title.text.count("<br>") + 1) + 4 if axis.title.text else 0
        if axis.plotly_name.startswith("y"):
            letters = max(len(line) for lines in labels for line in lines)
            room["l"] = max(room["l"], 29 + titled + _LETTER * letters)
        else:
            room["b"] = max(room["b"], 24 + titled + _LINE_OF_LABELS * max(map(len, labels)))
    margin = {side: max(getattr(layout.margin, side) or 0, round(pixels)) for side, pixels in room.items()}
    figure.update_layout(margin=margin)
    return figure


def empty(text: str, height: int = 200) -> go.Figure:
    """Return a figure that says in words why it shows nothing."""
    figure = go.Figure()
    figure.add_annotation(text=text, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"size": 15})
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.update_layout(height=height, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)")
    return figure


def thin(count: int, most: int) -> list[int]:
    """Return at most `most` indices spread evenly over range(count), both ends kept."""
    if count <= most:
        return list(range(count))
    step = (count - 1) / (most - 1)
    return sorted({round(index * step) for index in range(most)})
