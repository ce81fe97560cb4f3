"""Figures for a page: data and layout as compact text, and plotly.js, which the page unpacks in the browser."""

import base64
import gzip
import json
import math
from functools import cache
from typing import Any

import numpy as np
import plotly.graph_objects as go

_DIGITS = 6  # of each number; a pixel is a thousandth of an axis


def packed_figure(figure: go.Figure) -> str:
    """Return data and layout of a figure, packed; without plotly's own template, for the page has one for light and dark."""
    found = figure.to_plotly_json()
    layout = {name: value for name, value in found["layout"].items() if name != "template"}
    value = {"data": _plain(found["data"]), "layout": _plain(layout)}
    return _packed(json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


@cache
def packed_plotly() -> str:
    """Return plotly.js, packed."""
    from plotly.offline import get_plotlyjs

    return _packed(get_plotlyjs())


def _packed(text: str) -> str:
    """Return text as base64 of gzip, alike each time: nothing in it can end the script that it stands in."""
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), 9, mtime=0)).decode("ascii")


def unpacked(text: str) -> str:
    """Return what was packed."""
    return gzip.decompress(base64.b64decode(text)).decode("utf-8")


def _plain(value: Any) -> Any:
    """Return a value of plotly's as JSON knows it: rounded numbers, null for what is not finite."""
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(entry) for entry in value.tolist()]
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return _rounded(value)
    return value


def _rounded(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    short = float(f"{value:.{_DIGITS}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
