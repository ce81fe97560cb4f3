"""Print what the conformance kit found: a row per check, a column per gate, and every failure with its hint."""

from collections.abc import Sequence
from typing import Any

from gatebench.report.table import Block
from gatebench.report.terminal import print_block, print_json

_MANY = 3  # failures that may well have one cause
_MARKS = {"passed": "ok", "failed": "FAILED", "not applicable": "–"}


def print_checks(results: Sequence[Any], rules: dict[str, tuple[str, str]], as_json: bool) -> None:
    """Print the results of one or more implementations; rules: id -> (sentence, hint)."""
    if as_json:
        print_json({"checks": [result.to_json() for result in results]})
        return
    for name in dict.fromkeys(result.implementation for result in results):
        print_block(_block(name, [result for result in results if result.implementation == name], rules))


def _block(name: str, results: Sequence[Any], rules: dict[str, tuple[str, str]]) -> Block:
    gates = list(dict.fromkeys(result.gate for result in results))
    found = {(result.check, result.gate): result for result in results}
    rows = []
    for check in dict.fromkeys(result.check for result in results):
        here = [found.get((check, gate)) for gate in gates]
        rows.append((check, *(_MARKS[result.status] if result else "" for result in here)))
    notes = []
    for result in results:
        if result.status == "failed":
            sentence, hint = rules[result.check]
            notes += [f"{result.check}, {result.gate}: {result.message}", f"    the rule: {sentence}", f"    look at: {hint}"]  # fmt: skip
    failed = [result for result in results if result.status == "failed"]
    if len(failed) > _MANY:
        notes.append(f"mend {failed[0].check} first, then check again: one mistake fails many checks")
    counts = {status: sum(result.status == status for result in results) for status in _MARKS}
    seconds = sum(result.seconds for result in results)
    notes.append(", ".join(f"{count} {status}" for status, count in counts.items()) + f", {seconds:.0f} s in checks")
    return Block(f"{name}: does it keep the rules?", ("check", *gates), tuple(rows), tuple(notes), numbers=False)
