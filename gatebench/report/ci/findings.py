"""What an A/B run found, worst first, and the sentences that say so. In: the JSON gatebench-ab/1, its numbers as text or numbers."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatebench.report.ci.words import (
    NOTHING,
    OTHERS,
    QUANTITIES,
    change_text,
    column_of,
    number,
    percent,
    share_text,
    value_text,
    verdict_word,
)
from gatebench.store.schema import FAILURES, REFUSALS
from gatebench.words import counted

Case = Mapping[str, Any]
Document = Mapping[str, Any]
Quote = Callable[[str], str]  # how text that others wrote (names, reasons) is set into a sentence
COMPARED = ("faster", "slower", "same", "inconclusive")  # verdicts on cases that both sides have
LOST = ("wrong", "failed")


@dataclass(frozen=True)
class Finding:
    """One verdict on one quantity of one case, as text: what it was before, what it is now, and what could have been seen."""

    case_id: str
    quantity: str
    verdict: str
    word: str
    base: str
    head: str
    change: str
    detectable: str
    reason: str

    @property
    def what(self) -> str:
        """Name the verdict so that one knows of what: `more memory`, `compile time inconclusive`."""
        named = self.quantity == "time" or self.word != self.verdict
        return self.word if named else f"{QUANTITIES[self.quantity]} {self.word}"


def findings(cases: Sequence[Case], quantities: Sequence[str], verdicts: Sequence[str]) -> list[Finding]:
    """Return these verdicts on these quantities: by quantity, of each the largest change first."""
    found = []
    for quantity in quantities:
        chosen = [case for case in cases if case["verdicts"].get(quantity, {}).get("verdict") in verdicts]
        chosen.sort(key=lambda case: -_size(case["verdicts"][quantity]))
        found += [_finding(case, quantity) for case in chosen]
    return found


def _size(verdict: Mapping[str, Any]) -> float:
    change = number(verdict.get("change"))
    return -1.0 if change is None else abs(change)


def _finding(case: Case, quantity: str) -> Finding:
    verdict = case["verdicts"][quantity]
    column = column_of(case, quantity)
    return Finding(
        case_id=case["case_id"],
        quantity=quantity,
        verdict=verdict["verdict"],
        word=verdict_word(quantity, verdict["verdict"]),
        base=value_text(case["base"], quantity, column),
        head=value_text(case["head"], quantity, column),
        change=change_text(*(verdict.get(name) for name in ("change", "ci_low", "ci_high"))),
        detectable=share_text(verdict.get("minimum_detectable_effect")),
        reason=verdict.get("reason") or "",
    )


@dataclass(frozen=True)
class Broken:
    """A case that is wrong or failed in the head. lost: it was ok in the base, so the head covers less."""

    case_id: str
    base: str
    head: str
    reason: str
    lost: bool


def broken(document: Document) -> list[Broken]:
    """Return the cases that are wrong or failed in the head, those that were ok in the base first."""
    found = []
    for case in document["cases"]:
        verdicts = case["verdicts"]
        words = {quantity: verdict["verdict"] for quantity, verdict in verdicts.items()}
        head, base = case["head"] or {}, case["base"] or {}
        if head.get("status") not in FAILURES and not set(words.values()) & set(LOST):
            continue
        reasons = [verdict.get("reason") for verdict in verdicts.values() if verdict["verdict"] in LOST]
        reason = head.get("reason") or next((text for text in reasons if text), "no reason given")
        status = [str(side.get("status") or "absent").replace("_", " ") for side in (base, head)]
        found.append(Broken(case["case_id"], *status, reason, lost=words.get("coverage") in LOST))
    return sorted(found, key=lambda case: not case.lost)


def refused(case: Case) -> bool:
    """Say whether neither side can run a case here: it has no time to compare, and nothing was lost."""
    return all((case[name] or {}).get("status") in REFUSALS for name in ("base", "head"))


def refusals(document: Document) -> list[tuple[str, int]]:
    """Return what neither side can run here, as `implementation: status: reason`, and how many cases that are."""
    rows = [(case["implementation"] or case["case_id"], case["head"]) for case in document["cases"] if refused(case)]
    return list(Counter(f"{name}: {head['status']}: {head['reason'] or 'no reason given'}" for name, head in rows).items())  # fmt: skip


def undecided(document: Document) -> list[Finding]:
    """Return the inconclusive times, without cases that cannot run here."""
    return findings([case for case in document["cases"] if not refused(case)], ["time"], ["inconclusive"])


def _decidable(open_cases: list[Finding], document: Document) -> list[Finding]:
    """Return the inconclusive times that count as undecided: where a side is wrong or refuses, there is nothing to decide."""
    right = {
        case["case_id"]
        for case in document["cases"]
        if all((case[side] or {}).get("status") in (None, "ok") for side in ("base", "head"))
    }
    return [found for found in open_cases if found.case_id in right]


def sentences(document: Document, quote: Quote = str) -> list[str]:
    """Say what came out, the gravest first; that nothing became slower is never said without what would have been seen."""
    said = []
    if document["status"] == "partial":
        said.append("interrupted: only what was measured until then is judged")
    said += _broken_sentence(document, quote)
    if failures := document["control_failures"]:
        said.append(f"unfit to judge: {counted(len(failures), 'control')} failed, first: {quote(failures[0])}")
    said += _slower_sentences(document, quote)
    wanted, decided = number(document["plan"].get("decided")), number(document["decided"])
    several = len(_decidable(undecided(document), document)) > 1  # a lone inconclusive case never fails a job
    if several and wanted is not None and decided is not None and decided < wanted:
        said.append(f"undecided: {100 * decided:.4g} % of the cases got a verdict, {100 * wanted:.4g} % are asked for")
    return said


def _broken_sentence(document: Document, quote: Quote) -> list[str]:
    cases = broken(document)
    if not cases:
        return []
    first, lost = cases[0], sum(case.lost for case in cases)
    total = sum(case["head"] is not None for case in document["cases"])
    text = f"wrong or failed: {len(cases)} of {counted(total, 'case')}, first {quote(first.case_id)} ({first.head}: {quote(first.reason)})"
    return [text + (f"; coverage lost in {lost}" if lost else "")]


def _slower_sentences(document: Document, quote: Quote) -> list[str]:
    """Say what became slower, what would have been found, and what else became worse."""
    cases = [case for case in document["cases"] if not refused(case)]
    compared = findings(cases, ["time"], COMPARED)
    slower = [case for case in compared if case.verdict == "slower"]
    open_cases = len(undecided(document))
    said = []
    if slower:
        said.append(f"slower: {len(slower)} of {counted(len(compared), 'case')}, worst {quote(slower[0].case_id)} {slower[0].change}")  # fmt: skip
    if compared:
        nothing = "" if slower else "no case became slower"
        unknown = f"{open_cases} of {len(compared)} inconclusive" if open_cases else ""
        said.append("; ".join(text for text in (nothing, unknown, _detection(document, quote)) if text))
    else:
        said.append("nothing was compared: no case has a time on both sides")
    for quantity in OTHERS:
        worse = findings(cases, [quantity], ["slower"])
        if worse:
            total = len(findings(cases, [quantity], COMPARED))
            said.append(f"{worse[0].word}: {len(worse)} of {counted(total, 'case')}, worst {quote(worse[0].case_id)} {worse[0].change}")  # fmt: skip
    return said


def _detection(document: Document, quote: Quote) -> str:
    """Say which slow-down would have been found: in the median case, and in the one that shows least."""
    effects = {}
    for case in document["cases"]:
        verdict = case["verdicts"].get("time", {})
        effect = number(verdict.get("minimum_detectable_effect"))
        if verdict.get("verdict") in COMPARED and effect is not None:
            effects[case["case_id"]] = effect
    if not effects:
        return "no slow-down could have been found: no case has enough blocks"
    worst = max(effects, key=lambda case_id: effects[case_id])
    middle, power = statistics.median(effects.values()), number(document["plan"].get("power"))
    if math.isinf(middle):
        return "in most cases no slow-down could have been found: they have too few blocks"
    found = "found" if power is None else f"found in {100 * power:.4g} % of runs"
    text = f"a change of {percent(middle)} or more would have been {found}"
    if len(effects) == 1:
        return text
    return f"{text} in the median case (largest minimum detectable effect {percent(effects[worst])}, {quote(worst)})"


def numbers_text(found: Finding) -> str:
    """Return a finding in one line without its case: change, both sides, what could have been seen, the reason."""
    parts = [] if found.change == NOTHING else [found.change]
    if (found.base, found.head) != (NOTHING, NOTHING):
        parts.append(f"{found.base} → {found.head}")
    if found.detectable != NOTHING:
        parts.append(f"detectable {found.detectable}")
    numbers = ", ".join(parts)
    return "; ".join(text for text in (numbers, found.reason) if text)
