"""What became of each case, in the words of test reports: passed, failure, error or skipped, each with its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gatebench.report.ci.findings import Finding, broken, findings, numbers_text
from gatebench.report.ci.words import QUANTITIES, VERDICTS
from gatebench.report.quantities import estimate_text, is_missing
from gatebench.store.schema import FAILURES, REFUSALS

PASSED, FAILURE, ERROR, SKIPPED = "passed", "failure", "error", "skipped"
_JUDGED = tuple(name for name in QUANTITIES if name != "coverage")
_NO_VERDICT = ("inconclusive", "new", "gone")
_ONE_SIDED = {"new": "only the head has it", "gone": "only the base has it"}
_NO_REASON = "no reason given"


@dataclass(frozen=True)
class Outcome:
    """One case. group: gate.implementation; word: why it did not pass; message: the same with its reason; lines: its numbers, a line a quantity."""

    case_id: str
    group: str
    kind: str
    word: str = ""
    message: str = ""
    lines: tuple[str, ...] = ()


def ab_outcomes(document: Mapping[str, Any]) -> list[Outcome]:
    """Return the outcome of every case of an A/B run, in the plan's order: slower is a failure, wrong and failed an error.

    document: keeps the schema gatebench-ab/1. Skipped is what got no verdict on its time, for whatever reason.
    """
    found: dict[str, list[Finding]] = {}
    for finding in findings(document["cases"], _JUDGED, VERDICTS):
        found.setdefault(finding.case_id, []).append(finding)
    errors = {case.case_id: case for case in broken(document)}
    reasons = {row["case_id"]: row["reason"] for row in document["not_measured"]}
    outcomes = []
    for case in document["cases"]:
        case_id = case["case_id"]
        here = found.get(case_id, [])
        if case_id in errors:
            error = errors[case_id]
            kind, word = ERROR, error.head if error.head != "ok" else "failed"
            message = f"{word}: {error.reason}" + ("; coverage lost" if error.lost else "")
        else:
            kind, word, message = _judged(case, here, reasons.get(case_id))
        outcomes.append(Outcome(case_id, _group(case), kind, word, message, _lines(here)))
    known = {outcome.case_id for outcome in outcomes}
    cut = [row for row in document["not_measured"] if row["case_id"] not in known]
    return outcomes + [
        Outcome(row["case_id"], "gatebench", SKIPPED, "not measured", f"not measured: {row['reason'] or _NO_REASON}") for row in cut
    ]  # fmt: skip


def _judged(case: Mapping[str, Any], found: Sequence[Finding], not_measured: str | None) -> tuple[str, str, str]:
    """Return (kind, word, message) of a case that is neither wrong nor failed."""
    worse = [each for each in found if each.verdict == "slower"]
    if worse:
        return FAILURE, worse[0].word, "; ".join(f"{each.word} {numbers_text(each)}" for each in worse)
    head = case["head"] or {}
    if head.get("status") in REFUSALS:
        return _skipped(head["status"], head.get("reason"))
    time = next((each for each in found if each.quantity == "time"), None)
    if time is None:
        return _skipped("not measured", not_measured or "no verdict on its time")
    if time.verdict in _NO_VERDICT:
        return _skipped(time.verdict, time.reason or _ONE_SIDED.get(time.verdict))
    return PASSED, "", ""


def _skipped(word: str, reason: str | None) -> tuple[str, str, str]:
    return SKIPPED, word, f"{word}: {reason or _NO_REASON}"


def _lines(found: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(f"{QUANTITIES[each.quantity]}: {each.word}: {numbers_text(each)}" for each in found)


def _group(case: Mapping[str, Any]) -> str:
    return ".".join(case[name] for name in ("gate", "implementation") if case[name]) or "gatebench"


def run_outcomes(measurements: pd.DataFrame) -> list[Outcome]:
    """Return the outcome of every case of a plain run: wrong and failed are errors, what cannot run here is skipped.

    Columns: case_id, gate, implementation, status, reason, time_ns, ci_low_ns, ci_high_ns, error_ratio.
    """
    outcomes = []
    for row in measurements.itertuples():
        kind = ERROR if row.status in FAILURES else (SKIPPED if row.status in REFUSALS else PASSED)
        lines = (
            [] if is_missing(row.time_ns) else [f"time: {estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns)}"]
        )
        lines += [] if is_missing(row.error_ratio) else [f"error ratio: {row.error_ratio:.2g}"]
        word = "" if kind == PASSED else row.status.replace("_", " ")
        message = "" if kind == PASSED else f"{word}: {_NO_REASON if is_missing(row.reason) else row.reason}"
        group = f"{row.gate}.{row.implementation}"
        outcomes.append(Outcome(row.case_id, group, kind, word, message, tuple(lines)))
    return outcomes
