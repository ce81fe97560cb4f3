"""Figures of stored stability written to files: HTML that needs no network, or a picture."""

import importlib.util
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from gatebench.errors import UserError, unknown
from gatebench.report.stability import BY_STEP, SATURATION, case_summary, norm_curves, saturation_table
from gatebench.report.stability_series import SPECTRA, series, spectrum_table, sweep_table, training_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDTH = 1000  # pixels
PICTURES = (".png", ".svg", ".pdf")
ENDINGS = (".html", *PICTURES)
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
        raise unknown("--draw", "figure", kind, KINDS)
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
    figure = _figure(stability, drawing.kind)
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", width=WIDTH)
    ending = drawing.path.suffix.lower()
    made = figure.to_html(include_plotlyjs=True).encode() if ending == ".html" else _picture(figure, ending)
    try:
        drawing.path.write_bytes(made)
    except OSError as error:
        what = f"{drawing.path.name} cannot be written: {error.strerror}"
        raise UserError("--draw", what, "accepted: a file that can be written", "check the path") from None


def _picture(figure: "go.Figure", ending: str) -> bytes:
    for name in ("choreographer", "kaleido"):  # they log what a browser says on its way out as errors
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        return figure.to_image(ending.removeprefix("."), width=WIDTH, height=figure.layout.height, scale=1)
    except Exception as error:  # whatever a browser does, or that there is none
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        accepted = "accepted: .html anywhere, pictures where Chrome or Chromium runs"
        raise UserError("--draw", reason.rstrip("."), accepted, "draw HTML") from None


def _figure(stability: pd.DataFrame, kind: str) -> "go.Figure":
    from gatebench.report.figures import stability as by_lag
    from gatebench.report.figures import stability_series as along

    # Only what is drawn tells series apart: spectra have no probes, whatever was measured beside them.
    metrics, probes = stability["metric"], stability["probe"]
    cases = series(stability[~metrics.isin(BY_STEP)])
    figures: dict[str, Callable[[], go.Figure]] = {
        "norms": lambda: by_lag.norm_figure(norm_curves(cases)),
        "summary": lambda: by_lag.summary_figure(case_summary(cases)),
        "saturation": lambda: by_lag.saturation_figure(
            saturation_table(series(stability[metrics.isin(list(SATURATION))]))
        ),
        "sweep": lambda: along.sweep_figure(sweep_table(stability)),
        "spectrum": lambda: along.spectrum_figure(spectrum_table(series(stability[metrics.isin(list(SPECTRA))]))),
        "training": lambda: along.training_figure(
            training_table(series(stability[probes == "ones"], but=("train_step",)))
        ),
    }
    return figures[kind]()
