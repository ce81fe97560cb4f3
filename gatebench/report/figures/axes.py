"""Axes of stability figures: whole ticks, room around the data, and a line for what never ends or is infinite."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd

from gatebench.report.quantities import power_of_ten, round_time

NEVER = "never"
INFINITE = {-math.inf: "-∞", math.inf: "∞"}
ROOM = 1.15  # an axis goes on beyond its data by this factor
ABOVE = 3.0  # how far above all finite values the line of the infinite ones lies
_BEYOND = 0.25  # of the finite range, which a line of infinite values lies beyond it
_MANY = 8  # ticks that fit
_FEW = 3  # ticks that there are at least
SHORT = 2.0  # decades up to which 1, 2 and 5 have a tick


def never_line(values: pd.DataFrame | pd.Series) -> float | None:
    """Return where infinite values are drawn: well above all finite ones; None where none is infinite."""
    numbers = values.to_numpy(dtype=float)
    if not np.isposinf(numbers).any():
        return None
    finite = numbers[np.isfinite(numbers)]
    return float(finite.max()) * ABOVE if len(finite) and finite.max() > 0 else 1e3


def capped(values: pd.Series, never: float | None) -> pd.Series:
    """Return values with the infinite ones on their line."""
    numbers = values.astype(float)
    return numbers if never is None else numbers.mask(np.isposinf(numbers), never)


def logarithmic(values: Iterable[float], never: float | None = None) -> dict:
    """Return type, range and ticks of an axis that shows the positive finite ones of `values`, and the line `never`."""
    numbers = np.fromiter(values, dtype=float)
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)].clip(1e-300, 1e300)  # room around them is finite, too
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (1.0, 10.0)
    ticks = ticks_between(low / ROOM, high * ROOM)
    ends = min(low / ROOM, ticks[0]), max(high * ROOM, ticks[-1])
    labels = [tick_label(tick) for tick in ticks]
    if never is not None:
        ticks = [tick for tick in ticks if tick <= never / 1.4]  # labels further up would lie on that of the line
        ticks, labels, ends = [*ticks, never], [*labels[: len(ticks)], NEVER], (ends[0], max(high * ROOM, never * 1.3))
    return {"type": "log", "tickvals": ticks, "ticktext": labels, "range": [math.log10(end) for end in ends]}


def infinite_lines(values: pd.DataFrame | pd.Series) -> dict[float, float]:
    """Return where each of -inf and inf among the values is drawn on a linear axis: beyond all finite ones."""
    numbers = values.to_numpy(dtype=float)
    low, high = _ends(numbers)
    room = _BEYOND * (high - low or abs(low) or 1.0)
    return {end: place for end, place in ((-math.inf, low - room), (math.inf, high + room)) if (numbers == end).any()}


def linear(values: Iterable[float], lines: dict[float, float]) -> dict:
    """Return range and ticks of a linear axis that shows the finite ones of `values`, and the lines of `infinite_lines`."""
    low, high = _ends(np.fromiter(values, dtype=float))
    ticks = _even(low, high) if low < high else [low]
    places = [low, high, *lines.values()]
    room = 0.06 * (max(places) - min(places))
    labels = [*(f"{tick:.6g}" for tick in ticks), *(INFINITE[end] for end in lines)]
    return {
        "tickvals": [*ticks, *lines.values()], "ticktext": labels, "range": [min(places) - room, max(places) + room],
    }  # fmt: skip


def _ends(numbers: np.ndarray) -> tuple[float, float]:
    """Return the least and the largest finite number; one number where rounding alone parts them, 0 where there is none."""
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return 0.0, 0.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high - low > 1e-6 * max(abs(low), abs(high)) else (low, low)


def ticks_between(low: float, high: float) -> list[float]:
    """Return whole decades over a long range, else 1, 2 and 5 of each; where these are fewer than three, evenly spaced ones."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if math.log10(high / low) > SHORT:
        step = math.ceil(len(decades) / _MANY)
        inside = _inside([10.0**decade for decade in decades if decade % step == 0], low, high)
        if len(inside) >= _FEW:
            return inside
    inside = _inside([factor * 10.0**decade for decade in decades for factor in (1, 2, 5)], low, high)
    if len(inside) >= _FEW:
        return inside
    return _even(low, high)  # over so short a range they lie as well


def _even(low: float, high: float) -> list[float]:
    """Return evenly spaced ticks, at least three."""
    decade = math.floor(math.log10(max(abs(low), abs(high))))
    steps = (factor * 10.0**power for power in range(decade, decade - 16, -1) for factor in (5, 2, 1))
    step = next(step for step in steps if math.floor(high / step) - math.ceil(low / step) + 1 >= _FEW)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def time_ticks(low_ns: float, high_ns: float) -> tuple[list[float], list[str]]:
    """Return (values in ns, labels) for a logarithmic time axis, at least three."""
    values = ticks_between(low_ns, high_ns)
    return values, [round_time(value) for value in values]


def _inside(ticks: list[float], low: float, high: float) -> list[float]:
    return [tick for tick in ticks if low <= tick <= high]


def tick_label(value: float) -> str:
    """Return a tick's number: plain where it is short, else as a power of ten."""
    if 1e-3 <= value < 1e5:
        return f"{value:g}"
    decade = math.floor(math.log10(value) + 1e-9)
    factor = f"{value / 10.0**decade:.4g}"
    return ("" if factor == "1" else f"{factor}·") + power_of_ten(decade)
