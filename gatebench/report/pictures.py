"""Figures of stored stability written to files: HTML that needs no network, or a picture."""

import html
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from gatebench.errors import UserError, unknown
from gatebench.report.figure_files import GREY, PICTURES, WIDTH, picture, require, with_caption
from gatebench.report.files import write_file
from gatebench.report.stability_conditions import caption
from gatebench.report.stability_drawings import KINDS, TITLES, stability_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

ENDINGS = (".html", *PICTURES)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} | GateBench</title></head>
<body style="margin: 8px; background: white">
{figure}
<p style="margin: 8px; font: 12px sans-serif; color: {colour}">{caption}</p>
</body>
</html>
"""


class Drawing(NamedTuple):
    """What to draw, and the file to write it to."""

    kind: str
    path: Path


# --- before anything is measured


def read_drawings(texts: Sequence[str]) -> list[Drawing]:
    """Read `norms=my.png` or `norms.png`; raises UserError for another kind or ending, and a file that cannot be written."""
    drawings = [_read(text) for text in texts]
    paths = [drawing.path.absolute() for drawing in drawings]
    for number, drawing in enumerate(drawings):
        if paths[number] in paths[:number]:
            what = f"{drawing.path.name} is named twice"
            raise UserError("--draw", what, "accepted: a file for each figure", "name another file")
    return drawings


def check_drawings(drawings: Sequence[Drawing], requests: Iterable[Mapping[str, Any]]) -> None:
    """Raise UserError for a figure that would show nothing of what is about to be measured: better now than after it."""
    requests = list(requests)
    asked = {metric for request in requests for metric in request["metrics"]}
    trained = any(request["task"] for request in requests)
    for kind, _ in drawings:
        needed = KINDS[kind]
        if needed and not asked & set(needed):
            accepted = f"accepted: with --metric {' or '.join(needed)}"
            raise UserError("--draw", f"{kind} would show nothing", accepted, "ask for the metric, or drop the figure")
        if kind == "training" and not trained:
            raise UserError("--draw", "training would show nothing", "accepted: with --after-steps", "say how many steps")  # fmt: skip


def _read(text: str) -> Drawing:
    kind, equals, name = text.partition("=")
    path = Path(name if equals else text)
    kind = kind if equals else path.stem
    if kind not in KINDS:
        error = unknown("--draw", "figure", kind, KINDS)
        # Without a kind the file's name is none, but may be meant as a file's name alone.
        raise error if equals else UserError(error.where, error.what, error.accepted, error.next_step or f"say which: norms={path.name or text}")  # fmt: skip
    if path.suffix.lower() not in ENDINGS:
        what = f"{path.name or text} has no known ending"
        raise UserError("--draw", what, f"accepted: {', '.join(ENDINGS)}", f"e.g. {kind}={kind}.html")
    _check_place(path)
    require("--draw", "plotly")
    if path.suffix.lower() in PICTURES:
        require("--draw", "kaleido")
    return Drawing(kind, path)


def _check_place(path: Path) -> None:
    accepted = "accepted: a file in a folder that is there"
    if not path.parent.is_dir():
        raise UserError("--draw", f"no folder {path.parent}", accepted, "make it")
    if path.is_dir():
        raise UserError("--draw", f"{path.name} is a folder", accepted, "name a file in it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError("--draw", f"{path.name} may not be written there", accepted, "check the permissions")


# --- afterwards


def draw_all(stability: pd.DataFrame, drawings: Sequence[Drawing]) -> None:
    """Write all figures that can be; raises the first UserError after the last of them."""
    errors = []
    for drawing in drawings:
        try:
            draw(stability, drawing)
        except UserError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def draw(stability: pd.DataFrame, drawing: Drawing) -> None:
    """Write one figure of a run's stability; raises UserError where the file or the picture cannot be made."""
    ending = drawing.path.suffix.lower()
    told = caption(stability, drawing.kind)
    if ending == ".html":
        made = _page(stability_figure(stability, drawing.kind), TITLES[drawing.kind], told)
    else:
        made = picture("--draw", with_caption(stability_figure(stability, drawing.kind, WIDTH), told), ending)
    write_file("--draw", drawing.path, made)


def _page(figure: "go.Figure", title: str, told: str) -> str:
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white")
    made = figure.to_html(full_html=False, include_plotlyjs=True, config={"responsive": True})
    return PAGE.format(title=title, figure=made, caption=html.escape(told), colour=GREY)
