"""Figures as pictures: a caption below the panels, and a browser that draws them."""

import html
import importlib.util
import logging
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gatebench.errors import UserError

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDTH = 1000  # pixels of a picture
PICTURES = (".png", ".svg", ".pdf")
GREY = "#767676"
_LINE, _LETTERS = 15, 180  # of the caption: pixels of a line, and how many letters fit
_AXIS, _TITLED_AXIS = 34, 62  # pixels below the panels for an axis, which its figure's height counts already


def require(flag: str, package: str) -> None:
    """Raise UserError where a package that draws is not installed."""
    if importlib.util.find_spec(package) is None:
        next_step = "pip install 'gatebench[dashboard]'"
        raise UserError(flag, f"{package} is not installed", f"accepted: with {package}", next_step)


def with_caption(figure: "go.Figure", told: str) -> "go.Figure":
    """Set a figure on white and write its caption below the panels, which keep their height; returns the same figure."""
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


def picture(flag: str, figure: "go.Figure", ending: str) -> bytes:
    """Return a picture of a figure, 1,000 pixels wide; raises UserError where no browser draws it."""
    _hush()
    try:
        return figure.to_image(ending.removeprefix("."), width=WIDTH, height=figure.layout.height, scale=1)
    except Exception as error:  # whatever a browser does, or that there is none
        raise _not_drawn(flag, error) from None


def check_folder(flag: str, folder: Path) -> None:
    """Make a folder for pictures; raises UserError where none can be, or where it may not be written."""
    accepted, next_step = "a folder, or a name for a new one, is accepted", "choose another"
    try:
        folder.mkdir(exist_ok=True)
        (folder / ".half").touch()
        (folder / ".half").unlink()
    except FileExistsError:
        raise UserError(flag, f"{folder.name} is a file", accepted, next_step) from None
    except OSError as error:
        raise UserError(flag, f"{folder.name}: cannot write: {error.strerror}", accepted, next_step) from None


def write_pictures(flag: str, folder: Path, figures: Mapping[str, "go.Figure"]) -> None:
    """Write figures as pictures into a folder, by one browser: all of them, or none.

    figures: file name -> figure. Raises UserError where no browser draws them, or they cannot be written.
    """
    import plotly.io

    _hush()
    try:
        with tempfile.TemporaryDirectory(prefix=".half-", dir=folder) as name:
            halves = [Path(name) / file for file in figures]
            heights = [figure.layout.height for figure in figures.values()]
            plotly.io.write_images(list(figures.values()), halves, width=WIDTH, height=heights, scale=1)
            for half in halves:
                half.replace(folder / half.name)
    except OSError as error:
        raise UserError(flag, f"{folder.name}: cannot write: {error.strerror or error}", "a folder that can be written is accepted", "choose another") from None  # fmt: skip
    except Exception as error:  # whatever a browser does, or that there is none
        raise _not_drawn(flag, error) from None


def _hush() -> None:
    for name in ("choreographer", "kaleido"):  # they log what a browser says on its way out as errors
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _not_drawn(flag: str, error: Exception) -> UserError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    accepted = "accepted: .html anywhere, pictures where Chrome or Chromium runs"
    return UserError(flag, reason.rstrip("."), accepted, "draw HTML")
