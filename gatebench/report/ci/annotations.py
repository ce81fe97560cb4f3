"""GitHub's workflow commands: at most ten lines that show up beside a job, the gravest first.

Source: docs.github.com, "Workflow commands for GitHub Actions"; a step shows ten of each kind.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gatebench.report.ci.escapes import NAME_BYTES, clean, shorten
from gatebench.report.ci.findings import sentences, undecided
from gatebench.report.ci.outcomes import ERROR, FAILURE, Outcome, ab_outcomes, run_outcomes

MOST = 10
_MESSAGE_BYTES = 1000


def annotations_of(document: Mapping[str, Any]) -> list[str]:
    """Return the lines to print in a job: wrong, failed and slower cases, then unfit controls, then what is undecided.

    document: keeps the schema gatebench-ab/1.
    """
    outcomes = ab_outcomes(document)
    bad = [outcome for kind in (ERROR, FAILURE) for outcome in outcomes if outcome.kind == kind]
    last = []
    if failures := document["control_failures"]:
        last.append(_command("error", "unfit to judge", "; ".join(failures)))
    open_cases = undecided(document)
    if open_cases:
        too_many = [text for text in sentences(document) if text.startswith("undecided")]
        first = f"{len(open_cases)} inconclusive, first {open_cases[0].case_id}: {open_cases[0].reason or 'no reason given'}"
        title = "undecided" if too_many else "inconclusive"
        last.append(_command("warning", title, "; ".join([*too_many, first])))
    return [*_gravest(bad, MOST - len(last)), *last]


def run_annotations(measurements: pd.DataFrame) -> list[str]:
    """Return the lines to print in a job that ran a suite: its wrong and failed cases. Columns: TABLES["measurements"]."""
    return _gravest([outcome for outcome in run_outcomes(measurements) if outcome.kind == ERROR], MOST)


def _gravest(bad: list[Outcome], room: int) -> list[str]:
    """Return a line for each case, the last one for those beyond `room`."""
    shown = bad if len(bad) <= room else bad[: room - 1]
    lines = [_of_case(outcome) for outcome in shown]
    if len(shown) < len(bad):
        lines.append(_command("error", "more", f"{len(bad) - len(shown)} more cases are slower, wrong or failed"))
    return lines


def _of_case(outcome: Outcome) -> str:
    title = f"{outcome.word}: {shorten(clean(outcome.case_id), NAME_BYTES)}"
    return _command("error", title, f"{outcome.case_id}: {outcome.message}")


def _command(level: str, title: str, message: str) -> str:
    """Return one workflow command; what others wrote ends neither the line nor a property."""
    return f"::{level} title={_property(title)}::{_data(shorten(clean(message), _MESSAGE_BYTES))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
