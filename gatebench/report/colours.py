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
# The same hues in the order of the spectrum: neighbours are told apart where a legend has more than eight.
SCALE = ("#0072B2", "#56B4E9", "#009E73", "#999933", "#E69F00", "#D55E00", "#CC79A7")

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
    "ok": "circle",
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
    """Return a colour per name, in the order given; more than eight share out a scale from blue to purple."""
    if len(names) <= len(SERIES):
        return dict(zip(names, SERIES, strict=False))
    places = [index * (len(SCALE) - 1) / (len(names) - 1) for index in range(len(names))]
    return {name: _on_scale(place) for name, place in zip(names, places, strict=True)}


def _on_scale(place: float) -> str:
    """Return the colour between two neighbours of SCALE."""
    index = min(int(place), len(SCALE) - 2)
    ends = zip(_channels(SCALE[index]), _channels(SCALE[index + 1]), strict=True)
    return "#" + "".join(f"{round(low + (high - low) * (place - index)):02X}" for low, high in ends)


def translucent(colour: str, opacity: float) -> str:
    """Return #RRGGBB as rgba(...) with this opacity, 0 to 1."""
    red, green, blue = _channels(colour)
    return f"rgba({red},{green},{blue},{opacity})"


def text_on(colour: str) -> str:
    """Return black or white, whichever has more contrast on #RRGGBB (WCAG relative luminance)."""
    channels = [channel / 255 for channel in _channels(colour)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#FFFFFF"


def _channels(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def _hash(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
