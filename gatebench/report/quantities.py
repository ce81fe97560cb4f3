"""Numbers as text for people: times with a fitting unit, intervals, sizes, and ticks of logarithmic axes."""

import math
from typing import Any

Cell = Any  # a float; None, NaN or NA where nothing was measured

_TIME_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_PLAIN_FROM, _PLAIN_BELOW = 1e-5, 1e6  # beyond them numbers are written with an exponent
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def is_missing(value: object) -> bool:
    """Return whether a cell of a DataFrame holds nothing: None, NaN or NA."""
    return value is None or type(value).__name__ == "NAType" or value != value  # NA != NA is no truth value


def significant(value: float, digits: int = 3) -> str:
    """Return a number with this many significant digits, e.g. 1.84, 12.3, 456; an exponent where zeros would fill a line."""
    if not math.isfinite(value) or value == 0:
        return {math.inf: "∞", -math.inf: "-∞"}.get(value, "0" if value == 0 else "nan")
    if not _PLAIN_FROM <= abs(value) < _PLAIN_BELOW:
        return f"{value:.{digits - 1}e}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def time_unit(time_ns: float) -> tuple[float, str]:
    """Return (ns per unit, unit) in which a time reads best."""
    return next(((scale, unit) for scale, unit in _TIME_UNITS if time_ns >= scale), _TIME_UNITS[-1])


def time_text(time_ns: Cell) -> str:
    """Return a time with its unit, e.g. `1.84 ms`; a dash where there is none."""
    if is_missing(time_ns):
        return "–"
    scale, unit = time_unit(time_ns)
    return f"{significant(time_ns / scale)} {unit}"


def interval_text(low: Cell, high: Cell, n: object = None) -> str:
    """Return a time interval, e.g. `1.80 to 1.89 ms`; where there is none, say why (one block gives none)."""
    if is_missing(low) or is_missing(high):
        return "no interval (one block)" if n == 1 else "no interval"
    scale, unit = time_unit(low)
    return f"{significant(low / scale)} to {significant(high / scale)} {unit}"


def estimate_text(value: Cell, low: Cell, high: Cell) -> str:
    """Return a time with its interval, e.g. `1.84 ms (1.80 to 1.89)`, `294 µs (5.92 µs to 14.6 ms)`; a dash where there is none."""
    if is_missing(value):
        return "–"
    if is_missing(low) or is_missing(high):
        return f"{time_text(value)} (no interval)"
    scale, _ = time_unit(value)
    if low / scale >= 0.1 and high / scale < 1000:
        return f"{time_text(value)} ({significant(low / scale)} to {significant(high / scale)})"
    return f"{time_text(value)} ({time_text(low)} to {time_text(high)})"


def times_text(value: Cell, low: Cell = None, high: Cell = None) -> str:
    """Return a speed-up with its interval, e.g. `1.42× (1.38 to 1.46)`."""
    if is_missing(value):
        return "–"
    if is_missing(low) or is_missing(high):
        return f"{significant(value)}×"
    return f"{significant(value)}× ({significant(low)} to {significant(high)})"


def bytes_text(size: Cell) -> str:
    """Return a size in bytes with a fitting binary unit, e.g. `1.50 MiB`; `not measured` where there is none."""
    if is_missing(size):
        return "not measured"
    power = next((power for power in (3, 2, 1) if size >= 1024**power), 0)
    return (
        f"{significant(size / 1024**power)} {('bytes', 'KiB', 'MiB', 'GiB')[power]}" if power else f"{int(size)} bytes"
    )


def range_text(value: Cell, low: Cell, high: Cell, infinite: str = "∞") -> str:
    """Return a number with its range, e.g. `-0.49 (-0.56 to -0.42)`; `infinite` stands for what does not end."""
    if is_missing(value):
        return "–"
    words = [infinite if end == math.inf else significant(end, 2) for end in (value, low, high) if not is_missing(end)]
    return f"{words[0]} ({words[1]} to {words[2]})" if len(words) == 3 else f"{words[0]} (no interval)"


def power_of_ten(exponent: int) -> str:
    """Return e.g. 10⁻⁵; 1 for exponent 0."""
    return "1" if exponent == 0 else "10" + str(exponent).translate(_SUPERSCRIPT)


def size_ticks(values: list[int], most: int = 12) -> list[int]:
    """Return the measured sizes to label: all of them, or evenly thinned to `most`, ends kept."""
    values = sorted(set(values))
    if len(values) <= most:
        return values
    step = (len(values) - 1) / (most - 1)
    return sorted({values[round(index * step)] for index in range(most)})


def round_time(time_ns: float) -> str:
    """Return a time that is meant round, as a tick's label."""
    # A hair is added so that 1000 ns, held as 999.9999, reads 1 µs.
    scale, unit = time_unit(time_ns * 1.0001)
    return f"{time_ns / scale:.3g} {unit}"
