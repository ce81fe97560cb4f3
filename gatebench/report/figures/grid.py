"""Grids of names: axes whose ticks are names from a store, rows downward, columns across the top."""

from html import escape

import plotly.graph_objects as go

LONGEST_NAME = 20  # letters of a name on an axis; the hover text and the tables have it whole
LONGEST_HOVER = 90


def grid_axes(figure: go.Figure, rows: list[str], columns: list[str]) -> go.Figure:
    """Set the axes of a grid whose cells lie at whole numbers, from the upper left; returns the same figure."""
    settings = {"showgrid": False, "fixedrange": True, "showline": False, "ticks": ""}
    figure.update_xaxes(
        tickvals=list(range(len(columns))), ticktext=[escape(short(name)) for name in columns], side="top",
        range=[-0.5, len(columns) - 0.5], autotickangles=[0, -40], **settings,
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=list(range(len(rows))), ticktext=[escape(short(name)) for name in rows],
        range=[len(rows) - 0.5, -0.5], **settings,
    )  # fmt: skip
    return figure


def say_left_out(figure: go.Figure, drawn: int, every: int, what: str) -> None:
    """Say below the grid how many of its rows were left out; nothing where all are drawn."""
    if drawn < every:
        text = f"{every - drawn} of {every} {what} are left out; the table has them"
        figure.update_layout(title={"text": text, "font": {"size": 13}, "y": 0, "yanchor": "bottom"}, margin_b=36)


def short(name: object, longest: int = LONGEST_NAME) -> str:
    """Return a name on one line, cut where it is too long."""
    clean = " ".join(str(name).split())
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def hover_name(name: object) -> str:
    """Return a name from a store as text in plotly's HTML, cut where it is too long."""
    return escape(short(name, LONGEST_HOVER))
