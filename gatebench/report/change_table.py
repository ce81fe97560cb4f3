"""Tables of what changed from run A to run B. DataFrames in, rows of text out."""

from typing import Any

import pandas as pd

from gatebench.report.ci.words import change_text
from gatebench.report.names import competitors, options_label
from gatebench.report.quantities import is_missing, time_text
from gatebench.report.table import Block, grouped, shape_label, speedup_text, table_title, tables_of
from gatebench.store.schema import REFUSALS
from gatebench.words import counted

_FEW = 8  # cases that are named one by one where `--long` is not asked for


def change_blocks(changed: pd.DataFrame, across: bool) -> list[Block]:
    """Return one Block per gate, dtype, mode and device: a row per shape, a column per implementation.

    changed: from analyze.two_runs.changes; rows of one run alone have no cell. across: the runs are of two machines, so
    cells are speed-ups of B over A and no changes.
    """
    found = []
    for rows in tables_of(changed[changed["found"] == "both"]).values():
        competing = grouped(rows, lambda row: row.competitor)
        columns = [name for name, cases in competing.items() if not all(_refused(row) for row in cases)]
        lines = []
        for shape in grouped(rows, lambda row: (row.seq_len, row.batch, row.input_size, row.hidden_size)).values():
            here = {row.competitor: row for row in shape}
            cells = (_cell(here[name], across) if name in here else "–" for name in columns)
            lines.append((shape_label(shape[0]), *cells))
        what = "speed-up of B over A" if across else "change of time from A to B, plus is slower"
        notes = tuple(note for row in rows if (note := _outcome(row)))
        if columns:
            found.append(Block(f"{table_title(rows[0])}: {what}", ("shape", *columns), tuple(lines), notes))
    return found


def _refused(row: Any) -> bool:
    return row.status_before == row.status_after and row.status_after in REFUSALS


def _cell(row: Any, across: bool) -> str:
    """Return the change of one case, `~` where A or B was unsteady, `!` where one is inconclusive, or both outcomes."""
    if is_missing(row.change):
        return " → ".join(dict.fromkeys(word.replace("_", " ") for word in (row.status_before, row.status_after)))
    return _estimate(row.change, row.change_low, row.change_high, across) + _doubts(row)


def _estimate(change: float, low: float, high: float, across: bool) -> str:
    if not across:
        return change_text(change, low, high)
    speeds = (1 / (1 + value) for value in (change, high, low))
    return speedup_text(*speeds)


def _doubts(row: Any) -> str:
    unsteady = any(not is_missing(flag) and bool(flag) for flag in (row.unsteady_before, row.unsteady_after))
    marks = ("~" if unsteady else "") + ("!" if row.change_inconclusive else "")
    return f" {marks}" if marks else ""


def _outcome(row: Any) -> str:
    """Return why a case has no change where its outcome is another one in B; empty where there is nothing to tell."""
    if row.status_before == row.status_after:
        return ""
    sides = (
        f"{status.replace('_', ' ')}{'' if is_missing(reason) else f' ({reason})'} in {name}"
        for name, status, reason in (("A", row.status_before, row.reason_before), ("B", row.status_after, row.reason_after))
    )  # fmt: skip
    return f"{row.competitor} at {shape_label(row)}: {', '.join(sides)}"


def long_changes(changed: pd.DataFrame, across: bool) -> Block:
    """Return one row per case that both runs hold: time in A, time in B, change."""
    rows = []
    for row in changed[changed["found"] == "both"].itertuples():
        times = (
            status if status != "ok" else time_text(time)
            for status, time in ((row.status_before, row.time_ns_before), (row.status_after, row.time_ns_after))
        )
        rows.append((row.case_id, *times, "–" if is_missing(row.change) else _cell(row, across)))
    return Block("", ("case", "A", "B", "speed-up of B" if across else "change"), tuple(rows), unfolded=True)


def means_of_changes(means: pd.DataFrame, by: list[str], across: bool) -> Block:
    """Return the geometric mean of each group, with how many of its cases have an interval on one side of no change."""
    rows = []
    for mean in means.itertuples(index=False):
        cells = (options_label(mean.gate_options) if name == "gate_options" else getattr(mean, name) for name in by)
        counts = f"{mean.slower} slower, {mean.faster} faster"
        rows.append((*map(str, cells), _estimate(mean.change, mean.low, mean.high, across), f"{mean.cases}", counts))
    what = "speed-ups of B over A" if across else "changes"
    notes = () if rows else ("no case has a time in both runs",)
    header = (*by, "geometric mean", "cases", "told apart")
    return Block(f"Geometric means of {what}", header if rows else (), tuple(rows), notes, names=len(by))


def only_in(changed: pd.DataFrame, every: bool) -> tuple[str, ...]:
    """Return a line per run that holds what the other does not; every: name all cases, however many."""
    alone = changed[changed["found"] != "both"]
    alone = alone.assign(competitor=competitors(alone))
    harnesses = changed.groupby(["case_id", "side"])["harness"].agg(lambda names: list(dict.fromkeys(names)))
    notes = []
    for found, name in (("before", "A"), ("after", "B")):
        rows = alone[alone["found"] == found]
        if not len(rows):
            continue
        count = f"only in {name}: {counted(len(rows), 'case')}"
        if every or len(rows) <= _FEW:
            notes.append(f"{count}: {', '.join(rows['case_id'])}")
        else:
            pairs = rows.groupby(["gate", "competitor"], sort=False).size()
            notes.append(f"{count}: " + ", ".join(f"{gate} by {who} ({n})" for (gate, who), n in pairs.items()))
    mixed = sum(len(names) > 1 for names in harnesses)
    if mixed:
        notes.append(f"{mixed} of them measured in another way in A than in B (harness): such times are never compared")
    return tuple(notes)
