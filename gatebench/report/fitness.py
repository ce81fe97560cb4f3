"""Print what on this machine hurts measuring: what was found, why it hurts, what to do about it."""

from collections.abc import Mapping, Sequence

from gatebench.report.table import Block


def fitness_block(findings: Sequence[Mapping[str, str]]) -> Block:
    """Return a row per finding that hurts, then what is fine and what cannot be told, a line each.

    findings: name, state (hurts, fine, unknown), found, why, advice.
    """

    def of(state: str) -> list[Mapping[str, str]]:
        return [finding for finding in findings if finding["state"] == state]

    rows = []
    for finding in of("hurts"):
        rows += [(finding["name"], f"{finding['found']}: {finding['why']}"), ("", f"→ {finding['advice']}")]
    notes = [] if rows else ["nothing that could be looked at hurts"]
    if good := of("fine"):
        notes.append("fine: " + "; ".join(f"{finding['name']}: {finding['found']}" for finding in good))
    reasons: dict[str, list[str]] = {}
    for finding in of("unknown"):
        reasons.setdefault(finding["why"], []).append(finding["name"])
    notes += [f"cannot be told: {', '.join(names)} ({why})" for why, names in reasons.items()]
    header = ("what", "found, and why it hurts; → what to do") if rows else ()
    return Block("What hurts measuring here", header, tuple(rows), tuple(notes), numbers=False)
