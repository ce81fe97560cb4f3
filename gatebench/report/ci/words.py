"""Verdicts, changes and sizes as people read them: in data the words stay faster and slower, whatever the quantity."""

import math
from collections.abc import Mapping
from typing import Any

from gatebench.report.quantities import is_missing, significant, time_text

VERDICTS = ("faster", "slower", "same", "inconclusive", "new", "gone", "wrong", "failed")
# What each quantity is called, and what its verdicts are called where `faster` and `slower` are no words for it.
QUANTITIES = {
    "time": "time",
    "compile": "compile time",
    "peak_bytes": "peak memory",
    "saved_bytes": "memory kept for the backward",
    "error_ratio": "error ratio",
    "coverage": "coverage",
}
OTHERS = tuple(name for name in QUANTITIES if name not in ("time", "coverage"))  # what may be worse beside time
_WORDS = {
    "compile": {"slower": "slower to compile", "faster": "faster to compile"},
    "peak_bytes": {"slower": "more memory", "faster": "less memory"},
    "saved_bytes": {"slower": "more memory kept for the backward", "faster": "less memory kept for the backward"},
    "error_ratio": {"slower": "less exact", "faster": "more exact"},
    "coverage": {"wrong": "coverage lost", "failed": "coverage lost", "new": "coverage gained"},
}
NOTHING = "–"
_PLAIN_BELOW = 1e6  # percent beyond which an exponent says more than digits


def verdict_word(quantity: str, verdict: str) -> str:
    """Return what a verdict is called for people, e.g. `more memory` for a `slower` of peak_bytes."""
    return _WORDS.get(quantity, {}).get(verdict, verdict)


def number(value: Any) -> float | None:
    """Return a number of a frame, or of the JSON, where non-finite ones are strings; null, NA and NaN are None."""
    found = None if is_missing(value) else float(value)
    return None if found is None or math.isnan(found) else found


def percent(share: float, sign: bool = False) -> str:
    """Return a share in percent, e.g. `2.1 %`, `0.43 %`, `+350 %`; finer below 1 %, whole above 100 %."""
    value = 100 * share
    if value == 0:
        text = "0"
    elif not abs(value) < _PLAIN_BELOW:
        text = significant(value)
    else:
        text = f"{value:,.{2 if abs(value) < 1 else (1 if abs(value) < 100 else 0)}f}"
    return f"{'+' if sign and value > 0 else ''}{text} %"


def change_text(change: Any, low: Any, high: Any) -> str:
    """Return a change with its interval in percent, e.g. `+3.2 % [2.6, 3.9]`; what was counted exactly has no interval.

    Numbers are those of a frame or of the JSON; a dash where there is no change.
    """
    change, low, high = number(change), number(low), number(high)
    if change is None:
        return NOTHING
    if low is None or high is None:
        return percent(change, sign=True)
    ends = ", ".join(percent(end).removesuffix(" %") for end in (low, high))
    return f"{percent(change, sign=True)} [{ends}]"


def share_text(value: Any) -> str:
    """Return a share of the JSON in percent; a dash where there is none."""
    share = number(value)
    return NOTHING if share is None else percent(share)


def value_text(side: Mapping[str, Any] | None, quantity: str, column: str) -> str:
    """Return what one side measured of a quantity, with its unit; a dash where it measured nothing."""
    if quantity == "coverage":
        return str((side or {}).get("status") or "absent").replace("_", " ")
    value = number((side or {}).get(column))
    if value is None:
        return NOTHING
    if quantity in ("time", "compile"):
        return time_text(value)
    return size_text(value) if quantity.endswith("_bytes") else significant(value, 2)


def size_text(size: float) -> str:
    """Return bytes with a fitting unit, fine enough to show a change of 1 %, e.g. `1.312 MiB`, `960 bytes`."""
    for scale, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size:.0f} bytes"


def column_of(case: Mapping[str, Any], quantity: str) -> str:
    """Return the column of a side that holds a quantity; of compile times the one that both sides have."""
    if quantity == "time":
        return "time_ns"
    if quantity != "compile":
        return quantity
    sides = [case["base"] or {}, case["head"] or {}]
    both = [
        name for name in ("compile_warm_ns", "compile_cold_ns") if all(side.get(name) is not None for side in sides)
    ]
    return both[0] if both else "compile_warm_ns"
