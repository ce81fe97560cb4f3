"""One fixed colour and marker per implementation, everywhere; told apart by colour-blind people, on light and dark.

Okabe and Ito's set without black and yellow, which vanish on a dark or a light page, plus a neutral grey; plugins
get a colour of a second set (after Paul Tol) by hash of their name, so that it stays theirs in every store.
"""

import hashlib

BUILT_IN = {
    "eager": "#8C8C8C",
    "native": "#0072B2",
    "compile": "#E69F00",
    "numba": "#009E73",
    "cudnn": "#CC79A7",
    "onnxruntime": "#56B4E9",
    "triton": "#D55E00",
}
PLUGIN = ("#AA4499", "#999933", "#44AA99", "#882255", "#CC6677", "#6699CC", "#661100", "#997700")

# For what is no implementation: inits, dtypes, gates. Handed out in the order that they are listed.
SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C", "#999933")

MARKERS = {
    "eager": "circle",
    "native": "square",
    "compile": "diamond",
    "numba": "triangle-up",
    "cudnn": "star",
    "onnxruntime": "hexagon",
    "triton": "triangle-down",
}
PLUGIN_MARKERS = ("pentagon", "bowtie", "hourglass", "star-square", "triangle-left", "triangle-right", "cross")

# What is no time: every status has its own colour and its own symbol, for it must be read without colour too.
STATUS = {
    "ok": "#009E73",
    "wrong": "#D55E00",
    "failed": "#D55E00",
    "timeout": "#CC79A7",
    "out_of_memory": "#AA4499",
    "unsupported": "#8C8C8C",
    "unavailable": "#8C8C8C",
    "not measured": "#8C8C8C",
}
STATUS_SYMBOLS = {
    "wrong": "x",
    "failed": "x-thin",
    "timeout": "hourglass-open",
    "out_of_memory": "square-x-open",
    "unsupported": "circle-open",
    "unavailable": "diamond-open",
    "not measured": "line-ew",
}


def implementation_colour(name: str) -> str:
    """Return the colour of an implementation as #RRGGBB: its own, or one of the plugins' by hash of the name."""
    return BUILT_IN.get(name) or PLUGIN[_hash(name) % len(PLUGIN)]


def implementation_marker(name: str) -> str:
    """Return the plotly marker symbol of an implementation, fixed like its colour."""
    return MARKERS.get(name) or PLUGIN_MARKERS[_hash(name) // len(PLUGIN) % len(PLUGIN_MARKERS)]


def series_colours(names: list[str]) -> dict[str, str]:
    """Return a colour per name, in the order given; beyond eight they repeat."""
    return {name: SERIES[index % len(SERIES)] for index, name in enumerate(names)}


def translucent(colour: str, opacity: float) -> str:
    """Return #RRGGBB as rgba(...) with this opacity, 0 to 1."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def text_on(colour: str) -> str:
    """Return black or white, whichever has more contrast on #RRGGBB (WCAG relative luminance)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#FFFFFF"


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
