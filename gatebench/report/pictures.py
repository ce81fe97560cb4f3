"""Figures of stored stability written to files: HTML that needs no network, or a picture."""

import html
import importlib.util
import logging
import os
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from gatebench.errors import UserError, unknown
from gatebench.report.stability import BY_STEP, SATURATION, case_summary, norm_curves, saturation_table
from gatebench.report.stability_conditions import caption
from gatebench.report.stability_series import SPECTRA, series, spectrum_table, sweep_table, training_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDTH = 1000  # pixels of a picture; HTML has the width of its window
PICTURES = (".png", ".svg", ".pdf")
ENDINGS = (".html", *PICTURES)
TITLES = {
    "norms": "Gradient norms", "summary": "Half-lives and Lyapunov exponents", "saturation": "Saturation",
    "sweep": "Sweep of half-lives and Lyapunov exponents", "spectrum": "Spectra", "training": "Training",
}  # fmt: skip
PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} | GateBench</title></head>
<body style="margin: 8px; background: white">
{figure}
<p style="margin: 8px; font: 12px sans-serif; color: {colour}">{caption}</p>
</body>
</html>
"""
GREY = "#767676"
_LINE, _LETTERS = 15, 180  # of the caption of a picture: pixels of a line, and how many letters fit
_AXIS, _TITLED_AXIS = 34, 62  # pixels below the panels for an axis, which its figure's height counts already
# Figure -> the groups of metrics of which one at least has something for it to show.
KINDS = {
    "norms": ("profile", "depth"),
    "summary": ("profile", "lyapunov"),
    "saturation": ("saturation",),
    "sweep": ("profile", "lyapunov"),
    "spectrum": ("spectrum", "singular_values"),
    "training": (),
}


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
    _require("plotly")
    if path.suffix.lower() in PICTURES:
        _require("kaleido")
    return Drawing(kind, path)


def _check_place(path: Path) -> None:
    accepted = "accepted: a file in a folder that is there"
    if not path.parent.is_dir():
        raise UserError("--draw", f"no folder {path.parent}", accepted, "make it")
    if path.is_dir():
        raise UserError("--draw", f"{path.name} is a folder", accepted, "name a file in it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError("--draw", f"{path.name} may not be written there", accepted, "check the permissions")


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        next_step = "pip install 'gatebench[dashboard]'"
        raise UserError("--draw", f"{package} is not installed", f"accepted: with {package}", next_step)


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
        made = _page(_figure(stability, drawing.kind), TITLES[drawing.kind], told)
    else:
        made = _picture(_with_caption(_figure(stability, drawing.kind, WIDTH), told), ending)
    try:
        drawing.path.write_bytes(made)
    except OSError as error:
        what = f"{drawing.path.name} cannot be written: {error.strerror}"
        raise UserError("--draw", what, "accepted: a file that can be written", "check the path") from None


def _page(figure: "go.Figure", title: str, told: str) -> bytes:
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white")
    made = figure.to_html(full_html=False, include_plotlyjs=True, config={"responsive": True})
    return PAGE.format(title=title, figure=made, caption=html.escape(told), colour=GREY).encode()


def _with_caption(figure: "go.Figure", told: str) -> "go.Figure":
    """Write the caption below the panels, which keep their height."""
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", width=WIDTH)
    if not told:
        return figure
    lines = textwrap.wrap(told, _LETTERS)
    titled = any(axis.title.text for axis in figure.select_xaxes())
    room = (_TITLED_AXIS if titled else _AXIS) + _LINE * len(lines)
    figure.update_layout(
        height=figure.layout.height + _LINE * len(lines),
        margin_b=room,
        title={
            "text": "<br>".join(map(html.escape, lines)), "font": {"size": 11, "color": GREY}, "pad": {"b": 8 + _LINE * (len(lines) - 1), "l": 12},
            "x": 0, "xref": "container", "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom",
        },
    )  # fmt: skip
    return figure


def _picture(figure: "go.Figure", ending: str) -> bytes:
    for name in ("choreographer", "kaleido"):  # they log what a browser says on its way out as errors
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        return figure.to_image(ending.removeprefix("."), width=WIDTH, height=figure.layout.height, scale=1)
    except Exception as error:  # whatever a browser does, or that there is none
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        accepted = "accepted: .html anywhere, pictures where Chrome or Chromium runs"
        raise UserError("--draw", reason.rstrip("."), accepted, "draw HTML") from None


def _figure(stability: pd.DataFrame, kind: str, width: int | None = None) -> "go.Figure":
    from gatebench.report.figures import stability as by_lag
    from gatebench.report.figures import stability_series as along
    from gatebench.report.figures.layout import NARROW

    width = width or NARROW

    # Only what is drawn tells series apart: spectra have no probes, whatever was measured beside them.
    metrics, probes = stability["metric"], stability["probe"]
    cases = series(stability[~metrics.isin(BY_STEP)])
    figures: dict[str, Callable[[], go.Figure]] = {
        "norms": lambda: by_lag.norm_figure(norm_curves(cases), width),
        "summary": lambda: by_lag.summary_figure(case_summary(cases), width),
        "saturation": lambda: by_lag.saturation_figure(
            saturation_table(series(stability[metrics.isin(list(SATURATION))])), width
        ),
        "sweep": lambda: along.sweep_figure(sweep_table(stability), width),
        "spectrum": lambda: along.spectrum_figure(
            spectrum_table(series(stability[metrics.isin(list(SPECTRA))])), width
        ),
        "training": lambda: along.training_figure(
            training_table(series(stability[probes == "ones"], but=("train_step",))), width
        ),
    }
    return figures[kind]()
