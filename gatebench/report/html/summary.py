"""Section Summary: what was asked, what is fastest, what failed; each in a few rows."""

from collections import Counter
from typing import Any

import pandas as pd

from gatebench.report.html.content import Part, Section
from gatebench.report.runs import failures
from gatebench.report.table import Block, grouped, table_title, tables_of, unsure
from gatebench.store.schema import STATUSES

QUESTION = "What is fastest, and is anything wrong?"
_FEW = 3  # winners that are named in a row


def summary_section(compared: pd.DataFrame, stability: pd.DataFrame) -> Section:
    """Return counts by status, the winners of each gate, dtype and mode, and every failure with its reason.

    compared: from analyze.compare.compare over the whole run.
    """
    blocks = [_counts(compared, stability)]
    if compared["time_ns"].notna().any():
        blocks.append(_fastest(compared))
    blocks.append(_failures(compared))
    return Section("summary", "Summary", QUESTION, [Part("", blocks=tuple(blocks))])


def _counts(compared: pd.DataFrame, stability: pd.DataFrame) -> Block:
    header = tuple(word.replace("_", " ") for word in STATUSES)
    rows = []
    for what, frame in (("timed cases", compared), ("values of stability", stability)):
        if len(frame):
            found = frame["status"].value_counts()
            rows.append((what, *(str(found.get(status, 0)) for status in STATUSES)))
    return Block("Outcomes", ("what", *header) if rows else (), tuple(rows), () if rows else ("Nothing was measured.",))


def _fastest(compared: pd.DataFrame) -> Block:
    """Return a row per gate, dtype and mode: how many shapes have a time, and who is fastest at how many."""
    rows = []
    for table in tables_of(compared).values():
        problems = grouped(table, lambda row: row.problem_id)
        wins: Counter[str] = Counter()
        ties = doubts = timed = 0
        for problem in problems.values():
            best = next((row for row in problem if row.rank == 1), None)
            if best is None:
                continue
            timed += 1
            wins[_winner(best)] += 1
            ties += bool(best.tied)
            doubts += bool(best.inconclusive or unsure(best))
        counts = (str(ties), str(doubts)) if timed else ("–", "–")
        rows.append((table_title(table[0]), f"{timed} of {len(problems)}", _names(wins), *counts))
    notes = (
        "others as fast: within 1.5×, and the 95 % interval over paired blocks contains 1; not sure: one block, no interval, an "
        "interval that contains 1 beyond that, or a machine that was too busy; see the winner map",
    )
    header = ("problem", "shapes with a time", "fastest (number of shapes)", "others as fast at", "not sure at")
    return Block("Fastest", header, tuple(rows), notes)


def _winner(best: Any) -> str:
    return "nobody for sure (machine busy)" if best.inconclusive else str(best.competitor)


def _names(wins: Counter[str]) -> str:
    told = [f"{name} {count}" for name, count in wins.most_common(_FEW)]
    return ", ".join([*told, *([f"{len(wins) - _FEW} more"] if len(wins) > _FEW else [])]) or "nobody has a time"


def _failures(compared: pd.DataFrame) -> Block:
    table = failures(compared)
    if table.empty:
        return Block(
            "Wrong or failed", (), (), ("Nothing: every case that could run here ran, and its results are right.",)
        )
    columns = ["status", "implementation", "reason", "cases", "gates", "modes", "dtypes"]
    table = table.assign(status=table["status"].str.replace("_", " "))[columns].astype(str)
    rows = tuple(table.itertuples(index=False, name=None))
    return Block("Wrong or failed", tuple(columns), rows, numbers=False)
