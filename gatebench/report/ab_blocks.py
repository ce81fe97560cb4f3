"""An A/B run as tables of the terminal: what came out first, then each case that is not the same, then what was planned."""

from collections.abc import Mapping, Sequence
from typing import Any

from gatebench.report.ci.commands import commands_of
from gatebench.report.ci.escapes import clean
from gatebench.report.ci.findings import Finding, broken, findings, numbers_text, refusals, sentences, undecided
from gatebench.report.ci.words import OTHERS, QUANTITIES, VERDICTS, number, percent
from gatebench.report.quantities import significant
from gatebench.report.table import Block
from gatebench.words import counted

Document = Mapping[str, Any]


def ab_blocks(document: Document, long: bool = False) -> list[Block]:
    """Return the blocks of a value that keeps the schema gatebench-ab/1; long: a table of every case, too."""
    cases = document["cases"]
    first, *rest = sentences(document, clean)
    lists = (
        ("Wrong or failed", _broken_lines(document)),
        ("Slower", _lines(findings(cases, ["time"], ["slower"]))),
        ("Worse otherwise", _lines(findings(cases, OTHERS, ["slower"]), with_word=True)),
        ("Inconclusive", _lines(undecided(document))),
        ("Faster", _lines(findings(cases, ["time"], ["faster"]))),
        ("Better otherwise", _lines(findings(cases, OTHERS, ["faster"]), with_word=True)),
        ("Undecided otherwise", _lines(findings(cases, OTHERS, ["inconclusive"]), with_word=True)),
        ("New and gone: no verdict", _lines(findings(cases, ["time"], ["new", "gone"]), with_word=True)),
        ("Not measured", [f"{clean(row['case_id'])}: {clean(row['reason'] or '')}" for row in document["not_measured"]]),
        ("Cannot run here, on neither side", [f"{clean(text)} ({counted(count, 'case')})" for text, count in refusals(document)]),
        ("Controls", _control_lines(document)),
        ("Compared", _compared_lines(document)),
    )  # fmt: skip
    shown = [Block(first, (), (), tuple(rest)), _counts(document)]
    shown += [Block(title, (), (), tuple(lines)) for title, lines in lists if lines]
    shown.append(_repeat(document))
    return [*shown, _long(document)] if long else shown


def _counts(document: Document) -> Block:
    """Return how many cases got each verdict, by quantity, without verdicts that none got."""
    counts = {quantity: document["counts"].get(quantity, {}) for quantity in QUANTITIES}
    words = [word for word in VERDICTS if any(word in found for found in counts.values())]
    rows = [(QUANTITIES[quantity], *(str(found.get(word, 0)) for word in words)) for quantity, found in counts.items() if found]  # fmt: skip
    return Block("", ("cases", *words), tuple(rows)) if rows else Block("", (), ())


def _lines(found: Sequence[Finding], with_word: bool = False) -> list[str]:
    lines = []
    for each in found:
        parts = [each.what if with_word else "", clean(numbers_text(each))]
        lines.append(f"{clean(each.case_id)}: {', '.join(part for part in parts if part)}")
    return lines


def _broken_lines(document: Document) -> list[str]:
    return [
        f"{clean(case.case_id)}: {case.head}: {clean(case.reason)}" + (" (coverage lost)" if case.lost else f" (base: {case.base})")
        for case in broken(document)
    ]  # fmt: skip


def _control_lines(document: Document) -> list[str]:
    """Return what failed of the controls, then each with its true change."""
    lines = [f"failed: {clean(text)}" for text in document["control_failures"]]
    for place, case in enumerate(document["controls"], start=1):
        true = percent(number(case["added"]) or 0.0, sign=True)
        lines += [
            f"control {place}, true change {true}: {found.word}, {clean(numbers_text(found))}"
            for found in findings([case], ["time"], VERDICTS)
        ]
    return lines


def _compared_lines(document: Document) -> list[str]:
    """Return what was compared, and the largest errors."""
    lines = []
    for name, side in document["sides"].items():
        subject = f" {clean(side['subject'])}" if side["subject"] else ""
        changed = ", with uncommitted changes" if side["dirty"] else ""
        lines.append(f"{name}: {clean(side['given'])} ({(side['sha'] or 'no commit')[:10]}{subject}{changed})")
    for name, worst in document["largest_error"].items():
        value = number(worst and worst["error_ratio"])
        if value is not None:
            lines.append(f"largest error ratio of {name}: {significant(value, 2)} ({clean(worst['case_id'])}, {clean(worst['tensor'])})")  # fmt: skip
    return lines


def _repeat(document: Document) -> Block:
    """Return how to measure and compute it again; unfolded, for a shell would take a folded line for a new command."""
    lines = tuple(f"{name}: {command}" for name, command in commands_of(document).items())
    return Block("", (), (), lines, unfolded=True)


def _long(document: Document) -> Block:
    """Return a row per case and quantity."""
    rows, reasons = [], []
    for found in findings(document["cases"], list(QUANTITIES), VERDICTS):
        case_id = clean(found.case_id)
        rows.append((case_id, QUANTITIES[found.quantity], found.word, found.base, found.head, found.change, found.detectable))  # fmt: skip
        if found.reason:
            reasons.append(f"{case_id}, {QUANTITIES[found.quantity]}: {clean(found.reason)}")
    header = ("case", "quantity", "verdict", "base", "head", "change", "detectable")
    return Block("", header, tuple(rows), tuple(dict.fromkeys(reasons)), names=3, unfolded=True)
