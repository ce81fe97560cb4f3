"""What can be said of a case without its times: which side has it, what failed, and what is counted exactly."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from gatebench.store.schema import FAILURES

COUNTS = ("peak_bytes", "saved_bytes", "error_ratio")
STATUS_WORDS = {
    "wrong": "is wrong",
    "failed": "failed",
    "timeout": "timed out",
    "out_of_memory": "ran out of memory",
    "unsupported": "does not support it",
    "unavailable": "is unavailable",
}
_HARMLESS_ERROR = 1.0  # an error ratio up to eager's own is no loss, however much it grew

Row = Mapping[str, Any]  # one measurement
Verdict = tuple[str, str | None]  # the word and the reason


def is_ok(row: Row | None) -> bool:
    """Say whether a side has a right result."""
    return row is not None and row["status"] == "ok"


def without_times(presence: str, base: Row | None, head: Row | None, cut: str | None) -> Verdict | None:
    """Return the verdict on a case that has no two sides to compare; None where both sides are right.

    A head that is wrong or fails is said first, whatever the base did. cut: why it was not measured, where the plan says so.
    """
    if head is not None and head["status"] in FAILURES:
        beside = "" if base is None or is_ok(base) else f"; the base {STATUS_WORDS[base['status']]} too"
        return ("wrong" if head["status"] == "wrong" else "failed"), _reason("head", head) + beside
    if presence != "both":
        side, row = ("head", head) if presence == "new" else ("base", base)
        return presence, None if row is None or is_ok(row) else _reason(side, row)
    if base is None or head is None:
        return "inconclusive", f"not measured: {cut or 'interrupted'}"
    if is_ok(base):
        return None if is_ok(head) else ("failed", _reason("head", head))
    judged = "the head was judged for correctness alone" if is_ok(head) else _reason("head", head)
    return "inconclusive", f"{_reason('base', base)}; {judged}"


def _reason(side: str, row: Row) -> str:
    return f"the {side} {STATUS_WORDS[row['status']]}: {row['reason']}"


def coverage(presence: str, base: Row | None, head: Row | None, cut: str | None) -> Verdict:
    """Return whether the head still computes what the base did: same, failed or wrong (lost), new, gone."""
    found = without_times(presence, base, head, cut)
    if found is None or presence != "both" or base is None or head is None:
        return found or ("same", None)
    if is_ok(head):
        return "new", _reason("base", base)
    return found if is_ok(base) else ("same", f"{_reason('base', base)}; {_reason('head', head)}")


def count_verdicts(base: Row, head: Row, margins: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """Return verdict, change, margin and reason of each exactly counted quantity that a side has; both sides are right."""
    found = {}
    for quantity in COUNTS:
        before, after = _number(base[quantity]), _number(head[quantity])
        if before is None and after is None:
            continue
        margin, change = margins[quantity], None
        if before is None or after is None:
            verdict, reason = "inconclusive", f"counted in the {'head' if before is None else 'base'} only"
        else:
            change = _change(before, after)
            verdict, reason = _judge_count(quantity, before, after, margin), None
            if unsteady := [side for side, row in (("base", base), ("head", head)) if quantity in _differing(row)]:
                verdict, reason = "inconclusive", f"blocks of the {' and the '.join(unsteady)} disagree about it"
        found[quantity] = {"verdict": verdict, "change": change, "margin": margin, "reason": reason}
    return found


def _judge_count(quantity: str, before: float, after: float, margin: float) -> str:
    """Return whether more was counted (slower), less (faster) or the same, within the margin.

    An error ratio has changed where it doubled or halved (a margin of 1), and the larger one is above eager's own.
    """
    if quantity == "error_ratio" and max(before, after) <= _HARMLESS_ERROR:
        return "same"
    if _change(before, after) > margin:
        return "slower"
    less = _change(after, before) > margin if quantity == "error_ratio" else _change(before, after) < -margin
    return "faster" if less else "same"


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)


def _change(before: float, after: float) -> float:
    """Return after / before - 1; from nothing to something is infinitely more."""
    if before == after:
        return 0.0
    return (after - before) / before if before else math.inf  # 1010 / 1000 - 1 would be above 1 %


def _differing(row: Row) -> list[str]:
    """Return the quantities that differed between a side's blocks."""
    detail = row["detail"]
    return json.loads(detail).get("counts_differ", []) if isinstance(detail, str) and detail else []
