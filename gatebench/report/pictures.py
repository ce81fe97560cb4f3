"""Figures of stored stability written to files: HTML that needs no network, or a picture."""

import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from gatebench.errors import UserError, unknown
from gatebench.report.stability import case_summary, norm_curves, saturation_table
from gatebench.report.stability_series import series, spectrum_table, sweep_table, training_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDTH = 1000  # pixels
PICTURES = (".png", ".svg", ".pdf")
ENDINGS = (".html", *PICTURES)
KINDS = ("norms", "summary", "saturation", "sweep", "spectrum", "training")


class Drawing(NamedTuple):
    """What to draw, and the file to write it to."""

    kind: str
    path: Path


def read_drawings(texts: Sequence[str]) -> list[Drawing]:
    """Read `norms=norms.png` or `norms.png`; raises UserError for another kind, ending, or a folder that is not there."""
    return [_read(text) for text in texts]


def _read(text: str) -> Drawing:
    kind, equals, name = text.partition("=")
    path = Path(name if equals else text)
    kind = kind if equals else path.stem
    if kind not in KINDS:
        raise unknown("--draw", "figure", kind, KINDS)
    if path.suffix.lower() not in ENDINGS:
        raise UserError("--draw", f"{path.name} has no known ending", f"accepted: {', '.join(ENDINGS)}", "rename it")
    if not path.parent.is_dir():
        raise UserError("--draw", f"no folder {path.parent}", "accepted: a file in a folder that is there", "make it")
    _require("plotly", "gatebench[dashboard]")
    if path.suffix.lower() in PICTURES:
        _require("kaleido", "gatebench[dashboard]")
    return Drawing(kind, path)


def _require(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise UserError("--draw", f"{package} is not installed", f"accepted: with {package}", f"pip install '{extra}'")


def draw(stability: pd.DataFrame, drawing: Drawing) -> None:
    """Write one figure of a run's stability; raises UserError where the file or the picture cannot be made."""
    figure = _figure(stability, drawing.kind)
    for name in ("choreographer", "kaleido"):  # they log what a browser says on its way out as errors
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", width=WIDTH)
    try:
        if drawing.path.suffix.lower() == ".html":
            figure.write_html(drawing.path, include_plotlyjs=True)
        else:
            figure.write_image(drawing.path, width=WIDTH, height=figure.layout.height, scale=1)
    except OSError as error:
        raise UserError(
            "--draw", f"{drawing.path.name} cannot be written: {error.strerror}", "", "check the path"
        ) from None
    except RuntimeError as error:  # kaleido needs a Chrome or Chromium
        reason = str(error).strip().splitlines()[0]
        raise UserError("--draw", reason, "accepted: .html anywhere, pictures where Chrome is installed", "draw HTML") from None  # fmt: skip


def _figure(stability: pd.DataFrame, kind: str) -> "go.Figure":
    from gatebench.report.figures import stability as by_lag
    from gatebench.report.figures import stability_series as along

    figures: dict[str, Callable[[], go.Figure]] = {
        "norms": lambda: by_lag.norm_figure(norm_curves(series(stability))),
        "summary": lambda: by_lag.summary_figure(case_summary(series(stability))),
        "saturation": lambda: by_lag.saturation_figure(saturation_table(series(stability))),
        "sweep": lambda: along.sweep_figure(sweep_table(stability)),
        "spectrum": lambda: along.spectrum_figure(spectrum_table(series(stability))),
        "training": lambda: along.training_figure(training_table(series(stability, but=("train_step",)))),
    }
    return figures[kind]()
