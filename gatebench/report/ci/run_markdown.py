"""A plain run as Markdown: what failed first, then the tables that the terminal shows."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from gatebench.report.ci.escapes import REASON_BYTES, clean, code, code_cell, fenced, shorten
from gatebench.report.ci.markdown import MOST_BYTES, Section, page, table
from gatebench.report.ci.outcomes import ERROR, Outcome, run_outcomes
from gatebench.report.stability_blocks import stability_blocks
from gatebench.report.table import Block, blocks, wide_legend
from gatebench.store.schema import STATUSES

_WORST = 10
_NOTES, _NOTE_BYTES = 20, 500
# E.g. 1.42× [1.38, 1.46] *?, 1.42× [wide] =, 318 µs ~!
_NUMBER = re.compile(r"[-+0-9][-+0-9eµmns×%., \[\]]*(\[wide\])?[ *=~?!]*")
_LEGEND = (
    "Times are of one call; × is how many times faster than the baseline. \\* fastest, = tied with it, "
    "\\~ unsettled, or machine busy, ? one block: ties unknown, ! inconclusive: others disturbed over a fifth of its samples. "
    "[ ] 95 % interval over blocks."
)
_HEADER = ("case", "what")


def run_markdown(
    compared: pd.DataFrame,
    samples: pd.DataFrame,
    stability: pd.DataFrame,
    manifest: Mapping[str, Any],
    most_bytes: int = MOST_BYTES,
) -> str:
    """Return the page of a run: counts of each status, failures, a table of speed-ups per gate, dtype and mode.

    compared: from analyze.compare.compare over the whole run, with its pay_back_calls, as for report.table.blocks.
    """
    failed = [_failed_row(outcome) for outcome in run_outcomes(compared) if outcome.kind == ERROR]
    parts = [f"**GateBench: {_counts(compared, stability)}**", facts_line(manifest)]
    if failed:
        more = len(failed) - _WORST
        parts.append(f"#### Wrong or failed\n\n{table(_HEADER, failed[:_WORST], names=2)}")
        parts += [f"{more} more below."] if more > 0 else []
    tables = blocks(compared, samples, stability) if len(compared) else stability_blocks(stability)
    if compared["time_ns"].notna().any():
        parts.append(f"{_LEGEND} {wide_legend(tables)}".strip())
    sections = [section_of(block) for block in tables]
    if len(failed) > _WORST:
        sections.append(Section("More wrong or failed", _HEADER, tuple(failed[_WORST:]), folded=True, names=2))
    return page("\n\n".join(part for part in parts if part) + "\n", sections, most_bytes)


def _counts(compared: pd.DataFrame, stability: pd.DataFrame) -> str:
    found = (compared if len(compared) else stability)["status"].value_counts()
    words = [f"{found[status]} {status.replace('_', ' ')}" for status in (*STATUSES[1:], "ok") if status in found]
    return ", ".join(words) or "nothing was measured"


def facts_line(manifest: Mapping[str, Any]) -> str:
    """Return suite, run, commit and machine of a run in one line."""
    git, environment = manifest.get("git") or {}, manifest.get("environment") or {}
    facts = {
        "suite": (manifest.get("suite") or {}).get("name"), "run": manifest["run_id"], "commit": (git.get("sha") or "")[:10],
        "on": environment.get("device_name"), "environment class": manifest.get("environment_class"),
    }  # fmt: skip
    said = [f"{name} {code(str(value))}" for name, value in facts.items() if value]
    said += ["with uncommitted changes"] if git.get("dirty") else []
    return ", ".join([*said, "interrupted: not all was measured"] if manifest["status"] == "partial" else said)


def _failed_row(outcome: Outcome) -> tuple[str, ...]:
    return code_cell(outcome.case_id), code_cell(outcome.message, REASON_BYTES)


def _cell(text: str) -> str:
    """Return a number, or a word of our own, as it is: its marks would be emphasis; anything else is a code span."""
    if _NUMBER.fullmatch(text) or (text.isascii() and text.replace(" ", "").isalpha()) or text == "–":
        return text.replace("*", "\\*").replace("~", "\\~")
    return code_cell(text)


def section_of(block: Block) -> Section:
    """Return a table of the terminal as Markdown, every cell a code span but for the numbers, its notes in a block of code."""
    names = block.names if block.numbers else len(block.header)
    rows = tuple(tuple(_cell(cell) if column >= names else code_cell(cell) for column, cell in enumerate(row)) for row in block.rows)  # fmt: skip
    notes = [shorten(clean(note), _NOTE_BYTES) for note in block.notes[:_NOTES]]
    notes += [f"{len(block.notes) - _NOTES} more lines"] if len(block.notes) > _NOTES else []
    header = tuple(code_cell(name) for name in block.header)
    return Section(code(block.title), header, rows, fenced(notes, "text") if notes else "", names=names)
