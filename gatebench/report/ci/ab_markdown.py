"""An A/B run as Markdown, from its JSON alone: a second workflow may render a file that a stranger's job wrote."""

from collections.abc import Mapping, Sequence
from typing import Any

from gatebench.report.ci.commands import commands_of
from gatebench.report.ci.escapes import REASON_BYTES, code, code_cell, fenced
from gatebench.report.ci.findings import Broken, Finding, broken, findings, refusals, sentences, undecided
from gatebench.report.ci.markdown import MOST_BYTES, Section, page, table
from gatebench.report.ci.words import NOTHING, OTHERS, QUANTITIES, VERDICTS, number, percent
from gatebench.report.quantities import significant, time_text

Document = Mapping[str, Any]
_WORST = 10  # rows of each table that is not folded: the page's opening stays under 40 kB with the longest names
_COUNTED = {"faster": "faster, less", "slower": "slower, more"}
_TIMES = ("case", "base", "head", "change", "detectable")
_EVERY = ("case", "verdict", "reason", *_TIMES[1:])


def markdown_of(document: Document, most_bytes: int = MOST_BYTES) -> str:
    """Return the page of a value that keeps the schema gatebench-ab/1: the verdict first, at most 60 kB of UTF-8.

    All text of the value stands in code spans; sentences are made again from the numbers, not taken from it.
    """
    first, *rest = sentences(document, _quote)
    broken_cases = broken(document)
    slower = findings(document["cases"], ["time"], ["slower"])
    worse = findings(document["cases"], OTHERS, ["slower"])
    parts = [
        f"**GateBench: {first}**",
        "\n".join(f"- {sentence}" for sentence in rest),
        _versions(document),
        _counts(document),
        _rules(document["plan"]),
        _titled("Wrong or failed", ("case", "base", "head", "coverage", "reason"), [_broken_row(case) for case in broken_cases], 5),
        _titled("Slower", _TIMES, [_time_row(found) for found in slower]),
        _titled("Worse otherwise", ("case", "what", "base", "head", "change"), [_other_row(found) for found in worse], 2),
        "" if any(case.lost for case in broken_cases) else "Coverage lost: none.",
        _largest_errors(document),
        _controls(document),
        _again(document),
    ]  # fmt: skip
    return page("\n\n".join(part for part in parts if part) + "\n", _folded(document, broken_cases, slower, worse), most_bytes)  # fmt: skip


def _quote(text: str) -> str:
    return code(text, REASON_BYTES)


def _versions(document: Document) -> str:
    """Say what was compared, where, and how long it took."""
    facts = [" → ".join(_version(document["sides"][name]) for name in ("base", "head"))]
    if document["suite"]:
        facts.append(f"suite {code(document['suite'])}")
    elapsed = number(document["elapsed_s"])
    took = "" if elapsed is None else f" in {time_text(1e9 * elapsed)}"
    facts.append(f"run {code(document['run_id'])}{took}")
    if document["device_name"]:
        facts.append(f"on {code(document['device_name'])}")
    if document["environment_class"]:
        facts.append(f"environment class {code(document['environment_class'])}")
    return ", ".join(facts)


def _version(side: Mapping[str, Any]) -> str:
    details = [code(side["sha"][:10])] if side["sha"] else []
    details += [code(side["subject"])] if side["subject"] else []
    details += ["with uncommitted changes"] if side["dirty"] else []
    return code(side["given"]) + (f" ({', '.join(details)})" if details else "")


def _counts(document: Document) -> str:
    rows = [
        (QUANTITIES[quantity], *(str(counts.get(word, 0)) for word in VERDICTS))
        for quantity in QUANTITIES if (counts := document["counts"].get(quantity)) is not None
    ]  # fmt: skip
    return table(("cases", *(_COUNTED.get(word, word) for word in VERDICTS)), rows)


def _rules(plan: Mapping[str, Any]) -> str:
    """Say which rules the verdicts keep: what counts as same, and how often a suite without a change raises an alarm."""
    margin, rate = number((plan["margins"] or {}).get("time")), number(plan["rate"])
    rules = [] if margin is None else [f"A time within {percent(margin)} counts as same."]
    rules += [] if rate is None else [f"At most {percent(rate)} of suites without a change raise an alarm."]
    return " ".join(rules)


def _titled(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]], names: int = 1) -> str:
    """Return a table of the first rows; what follows them is folded further down."""
    if not rows:
        return ""
    more = len(rows) - _WORST
    return f"#### {title}\n\n{table(header, rows[:_WORST], names)}" + (f"\n\n{more} more below." if more > 0 else "")


def _broken_row(case: Broken) -> tuple[str, ...]:
    lost = "lost" if case.lost else NOTHING
    return code_cell(case.case_id), case.base, case.head, lost, code_cell(case.reason, REASON_BYTES)


def _time_row(found: Finding) -> tuple[str, ...]:
    return code_cell(found.case_id), found.base, found.head, found.change, found.detectable


def _other_row(found: Finding) -> tuple[str, ...]:
    return code_cell(found.case_id), found.what, found.base, found.head, found.change


def _largest_errors(document: Document) -> str:
    """Name the largest error ratio before and after."""
    parts = []
    for name, worst in document["largest_error"].items():
        value = number(worst and worst["error_ratio"])
        where = "" if value is None else f" ({code(worst['case_id'])}, {code(worst['tensor'])})"
        parts.append(f"{name} {NOTHING if value is None else significant(value, 2)}{where}")
    return "Largest error ratio: " + ", ".join(parts) + "."


def _controls(document: Document) -> str:
    """Show the cases whose true change is known, and what failed of them."""
    rows = []
    for place, case in enumerate(document["controls"], start=1):
        true = number(case["added"])
        expected = NOTHING if true is None else percent(true, sign=True)
        rows += [
            (str(place), found.word, expected, found.change, found.detectable)
            for found in findings([case], ["time"], VERDICTS)
        ]
    header = ("control", "verdict", "true change", "change", "detectable")
    shown = table(header, rows[:_WORST], names=2) if rows else "None ran."
    failed = [f"- failed: {_quote(text)}" for text in document["control_failures"][:_WORST]]
    return "#### Controls\n\n" + shown + ("\n\n" + "\n".join(failed) if failed else "")


def _again(document: Document) -> str:
    """Say how to measure the same again, and how to compute the verdicts again from what was stored."""
    return "#### Measure again, compute again\n\n" + fenced(list(commands_of(document).values()), "sh")


def _folded(
    document: Document, broken_cases: Sequence[Broken], slower: Sequence[Finding], worse: Sequence[Finding]
) -> list[Section]:
    """Return what few will open: the rest of each table, and every other case; the dullest last."""
    cases = document["cases"]
    others = ("case", "what", "base", "head", "change")
    not_measured = [(code_cell(row["case_id"]), code_cell(row["reason"] or "", REASON_BYTES)) for row in document["not_measured"]]  # fmt: skip
    sections = [
        Section("More wrong or failed", ("case", "base", "head", "coverage", "reason"), tuple(map(_broken_row, broken_cases[_WORST:])), names=5),
        Section("More slower", _TIMES, tuple(map(_time_row, slower[_WORST:]))),
        Section("More that is worse otherwise", others, tuple(map(_other_row, worse[_WORST:])), names=2),
        Section("Inconclusive", _EVERY, tuple(map(_row, undecided(document))), names=3),
        Section("Faster", _TIMES, tuple(map(_time_row, findings(cases, ["time"], ["faster"])))),
        Section("Better otherwise", others, tuple(map(_other_row, findings(cases, OTHERS, ["faster"]))), names=2),
        Section("New and gone", _EVERY, tuple(map(_row, findings(cases, ["time"], ["new", "gone"]))), names=3),
        Section("Not measured", ("case", "reason"), tuple(not_measured), names=2),
        Section("Cannot run here, on neither side", ("what", "cases"), tuple((code_cell(text, REASON_BYTES), str(count)) for text, count in refusals(document))),
        Section("Same", _TIMES, tuple(map(_time_row, findings(cases, ["time"], ["same"])))),
        Section("Undecided otherwise", others, tuple(map(_other_row, findings(cases, OTHERS, ["inconclusive"]))), names=2),
    ]  # fmt: skip
    return [Section(**{**vars(section), "folded": True}) for section in sections if section.rows]


def _row(found: Finding) -> tuple[str, ...]:
    reason = code_cell(found.reason, REASON_BYTES) if found.reason else ""
    return code_cell(found.case_id), found.word, reason, found.base, found.head, found.change, found.detectable
