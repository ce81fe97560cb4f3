"""Changes of time as text: percent with an interval, plus is slower."""

import math

from gatebench.report.quantities import Cell, is_missing


def percent_text(change: Cell) -> str:
    """Return a change as percent with its sign, e.g. `+1.2 %`, `-13 %`; a dash where there is none."""
    return "–" if is_missing(change) else f"{_signed(change)} %"


def change_text(change: Cell, low: Cell, high: Cell) -> str:
    """Return a change with its interval, e.g. `+1.2 % [-0.3, +2.7]`; without one, the change alone."""
    if is_missing(change) or is_missing(low) or is_missing(high):
        return percent_text(change)
    return f"{_signed(change)} % [{_signed(low)}, {_signed(high)}]"


def _signed(change: float) -> str:
    percent = 100 * float(change)
    if not math.isfinite(percent):
        return "∞" if percent > 0 else "-∞"
    return f"{percent:+.0f}" if abs(percent) >= 10 else f"{percent:+.1f}"
